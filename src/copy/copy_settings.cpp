#include "copy/copy_settings.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "copy/free_memory.hpp"

namespace ferry {
namespace {

// Where nobody asked for a chunk size: a buffer that stays in the second-level cache between read and write is quicker
// than a larger one (docs/PERFORMANCE.md).
constexpr std::size_t cached_piece_bytes = std::size_t{128} << 10U;

// The ring's own, through the page cache and past it (docs/PERFORMANCE.md).
constexpr std::size_t ring_piece_bytes = std::size_t{256} << 10U;
constexpr std::size_t direct_piece_bytes = std::size_t{1} << 20U;
constexpr unsigned default_queue_depth = 8;

std::atomic<std::size_t> process_chunk_size = 0;  // 0: not set

// Not worth asking the kernel what is free, for which a dozen files in /proc and /sys are read.
constexpr std::uint64_t unquestioned_bytes = std::uint64_t{2} << 20U;

std::uint64_t budget_for(const CopyOptions& options, std::uint64_t wanted) noexcept {
  if (options.memory_budget_bytes != 0) {
    return options.memory_budget_bytes;
  }
  return wanted <= unquestioned_bytes ? wanted : engine::copy_memory_share();
}

bool within_limits(std::size_t bytes) noexcept {
  return bytes >= min_copy_chunk_size_bytes && bytes <= max_copy_chunk_size_bytes;
}

}  // namespace

Result<void> set_copy_chunk_size(std::size_t bytes) {
  if (!within_limits(bytes)) {
    return fail(ERANGE, "set_copy_chunk_size");
  }
  process_chunk_size.store(bytes, std::memory_order_relaxed);
  return {};
}

std::size_t copy_chunk_size() noexcept {
  const std::size_t set = process_chunk_size.load(std::memory_order_relaxed);
  return set == 0 ? default_copy_chunk_size_bytes : set;
}

namespace engine {

Result<std::size_t> chunk_for(const CopyOptions& options) {
  const std::size_t by_process = process_chunk_size.load(std::memory_order_relaxed);
  const std::size_t unless_asked = by_process == 0 ? cached_piece_bytes : by_process;
  const std::size_t configured = options.chunk_size_bytes == 0 ? unless_asked : options.chunk_size_bytes;
  if (!within_limits(configured)) {
    return fail(ERANGE, "chunk size");
  }
  const std::uint64_t affordable = std::min<std::uint64_t>(configured, budget_for(options, configured));
  constexpr std::size_t page = 4096;
  return std::max<std::size_t>(affordable / page * page, min_copy_chunk_size_bytes);
}

Result<PipelineShape> pipeline_shape_for(const CopyOptions& options) {
  if (options.queue_depth > max_copy_queue_depth) {
    return fail(ERANGE, "queue depth");
  }
  const bool asked = options.chunk_size_bytes != 0 || process_chunk_size.load(std::memory_order_relaxed) != 0;
  CopyOptions sized = options;
  const std::size_t unless_asked = options.direct ? direct_piece_bytes : ring_piece_bytes;
  sized.chunk_size_bytes = asked ? options.chunk_size_bytes : unless_asked;
  const auto chunk = chunk_for(sized);
  if (!chunk) {
    return std::unexpected(chunk.error());
  }
  const unsigned depth = options.queue_depth == 0 ? default_queue_depth : options.queue_depth;
  const std::uint64_t budget = budget_for(options, depth * *chunk);
  return PipelineShape{*chunk, static_cast<unsigned>(std::clamp<std::uint64_t>(budget / *chunk, 1, depth)),
                       options.direct && options.poll_devices};
}

Result<MethodOrder> methods_for(CopyFacts facts, const CopyOptions& options, DevicePair devices, CopyReport& report) {
  facts.refused = refused_methods(devices);
  facts.kernel = kernel_version();
  facts.allowed = options.methods;
  facts.reflink = options.reflink;
  facts.sparse = options.sparse;
  facts.verify = options.verify;
  facts.direct = options.direct;
  const MethodOrder methods = choose_methods(facts);
  for (std::size_t i = 0; i < copy_method_count; ++i) {
    report.refused_errno[i] = refused_errno(devices, static_cast<CopyMethod>(i));
  }
  if (methods.empty()) {
    for (std::size_t i = 0; i < copy_method_count; ++i) {
      const auto method = static_cast<CopyMethod>(i);
      if (options.methods.contains(method) && report.refused_errno[i] != 0) {
        return fail(report.refused_errno[i], method == CopyMethod::reflink ? "FICLONE" : to_string(method).data());
      }
    }
    return fail(EINVAL, "copy options");
  }
  return methods;
}

}  // namespace engine
}  // namespace ferry
