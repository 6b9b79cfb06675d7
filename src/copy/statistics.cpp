#include "copy/statistics.hpp"

#include <array>
#include <atomic>

#include "copy/kernel_version.hpp"

namespace ferry {
namespace engine {
namespace {

struct MethodCounters {
  std::atomic<std::uint64_t> operations = 0;
  std::atomic<std::uint64_t> bytes = 0;
  std::atomic<std::uint64_t> fallbacks = 0;
};
struct alignas(64) Shard {
  std::array<MethodCounters, copy_method_count> methods;
};
constexpr std::size_t shard_count = 16;
std::array<Shard, shard_count> shards;
std::atomic<std::size_t> next_shard = 0;
std::atomic<bool> kernel_copy_missing = false;

MethodCounters& counters(CopyMethod method) noexcept {
  thread_local const std::size_t mine = next_shard.fetch_add(1, std::memory_order_relaxed) % shard_count;
  return shards[mine].methods[static_cast<std::size_t>(method)];
}

}  // namespace

void count_moved(CopyMethod method, std::uint64_t bytes) noexcept {
  MethodCounters& c = counters(method);
  c.operations.fetch_add(1, std::memory_order_relaxed);
  c.bytes.fetch_add(bytes, std::memory_order_relaxed);
}

void count_fallback(CopyMethod method) noexcept { counters(method).fallbacks.fetch_add(1, std::memory_order_relaxed); }

void note_kernel_copy_missing() noexcept { kernel_copy_missing.store(true, std::memory_order_relaxed); }

}  // namespace engine

CopyStats copy_stats() noexcept {
  CopyStats stats;
  for (const engine::Shard& shard : engine::shards) {
    for (std::size_t i = 0; i < copy_method_count; ++i) {
      const engine::MethodCounters& from = shard.methods[i];
      CopyStats::Method& to = stats.by_method[i];
      to.operations += from.operations.load(std::memory_order_relaxed);
      to.bytes += from.bytes.load(std::memory_order_relaxed);
      to.fallbacks += from.fallbacks.load(std::memory_order_relaxed);
    }
  }
  for (const CopyStats::Method& method : stats.by_method) {
    stats.total_operations += method.operations;
    stats.total_bytes += method.bytes;
  }
  stats.kernel_copy_supported = engine::kernel_version() >= engine::KernelVersion{5, 3} &&
                                !engine::kernel_copy_missing.load(std::memory_order_relaxed);
  return stats;
}

void reset_copy_stats() noexcept {
  for (engine::Shard& shard : engine::shards) {
    for (engine::MethodCounters& counters : shard.methods) {
      counters.operations.store(0, std::memory_order_relaxed);
      counters.bytes.store(0, std::memory_order_relaxed);
      counters.fallbacks.store(0, std::memory_order_relaxed);
    }
  }
}

}  // namespace ferry
