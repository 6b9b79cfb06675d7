// Walking a tree: what an entry costs.
#include <atomic>
#include <filesystem>
#include <optional>
#include <system_error>

#include <ferry/tree.hpp>

#include "sources.hpp"

namespace ferry::micro {
namespace {

constexpr std::uint64_t files = 10'000;
constexpr std::uint64_t directories = 100;

/// 10 000 files in 100 directories.
class WalkBenchmark : public benchmark::Fixture {
 public:
  void SetUp(benchmark::State& state) override {
    auto made = bench::ScratchDirectory::create(place());
    if (worked(state, made)) {
      scratch_.emplace(std::move(*made));
      worked(state, bench::make_file_set(tree(), {.files = files, .file_bytes = 0, .directories = directories}));
    }
  }
  void TearDown(benchmark::State& /*state*/) override { scratch_.reset(); }

 protected:
  [[nodiscard]] std::filesystem::path tree() const { return scratch_->path() / "tree"; }

  static void count(benchmark::State& state) {
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(files + directories));
  }

 private:
  std::optional<bench::ScratchDirectory> scratch_;
};

BENCHMARK_DEFINE_F(WalkBenchmark, walk)(benchmark::State& state) {
  WalkOptions options;
  options.jobs = static_cast<unsigned>(state.range(0));
  std::atomic<std::uint64_t> seen{0};
  for ([[maybe_unused]] auto _ : state) {
    const auto report = ferry::walk(
        tree(),
        [&seen](const WalkEntry&) {
          seen.fetch_add(1, std::memory_order_relaxed);
          return WalkAction::descend;
        },
        options);
    if (!worked(state, report)) {
      break;
    }
  }
  if (seen != static_cast<std::uint64_t>(state.iterations()) * (files + directories)) {
    state.SkipWithError("the walk did not see every entry once");
  }
  count(state);
}
BENCHMARK_REGISTER_F(WalkBenchmark, walk)->ArgName("jobs")->Arg(1)->Arg(2)->Arg(4)->UseRealTime();

BENCHMARK_DEFINE_F(WalkBenchmark, standard_library)(benchmark::State& state) {
  for ([[maybe_unused]] auto _ : state) {
    std::error_code error;
    std::uint64_t seen = 0;
    for (std::filesystem::recursive_directory_iterator at(tree(), error), end; !error && at != end;
         at.increment(error)) {
      ++seen;
    }
    if (seen != files + directories) {
      state.SkipWithError("the walk did not see every entry once");
    }
  }
  count(state);
}
BENCHMARK_REGISTER_F(WalkBenchmark, standard_library)->UseRealTime();

}  // namespace
}  // namespace ferry::micro
