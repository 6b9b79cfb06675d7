// XXH3-128, as --verify uses it.
#include <cstddef>
#include <vector>

#include <benchmark/benchmark.h>

#include "copy/content_hash.hpp"

namespace ferry::micro {
namespace {

void content_hash(benchmark::State& state) {
  const std::vector<std::byte> data(static_cast<std::size_t>(state.range(0)), std::byte{0x5a});
  for ([[maybe_unused]] auto _ : state) {
    engine::ContentHash hash;
    hash.add(data.data(), data.size());
    benchmark::DoNotOptimize(hash.digest());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(content_hash)->Arg(100)->Arg(4096)->Arg(1 << 20)->Arg(16 << 20);

// Zeros that are in no file, as those of a hole.
void content_hash_of_holes(benchmark::State& state) {
  for ([[maybe_unused]] auto _ : state) {
    engine::ContentHash hash;
    hash.add_zeros(static_cast<std::uint64_t>(state.range(0)));
    benchmark::DoNotOptimize(hash.digest());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(content_hash_of_holes)->Arg(1 << 20);

}  // namespace
}  // namespace ferry::micro
