// The buffer of read_write: page-aligned, one per thread, kept between copies.
#pragma once

#include <cstddef>

namespace ferry::engine {

// At least `bytes` of page-aligned memory belonging to this thread, valid until its next call; null when there is no
// memory. A loop of small copies allocates once.
[[nodiscard]] std::byte* thread_buffer(std::size_t bytes) noexcept;
// Gives unusually large buffers back (over 4 MiB); called at the end of a copy that may have made one.
void trim_thread_buffer() noexcept;

}  // namespace ferry::engine
