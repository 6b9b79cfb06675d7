// Counting for copy_stats().
#pragma once

#include <cstdint>

#include <ferry/copy.hpp>

namespace ferry::engine {

// Threads count in different cache lines, so this costs a few nanoseconds.
void count_moved(CopyMethod method, std::uint64_t bytes) noexcept;
void count_fallback(CopyMethod method) noexcept;
// The kernel said ENOSYS to copy_file_range.
void note_kernel_copy_missing() noexcept;

}  // namespace ferry::engine
