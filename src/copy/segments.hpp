// Where a sparse file has data.
#pragma once

#include <cstdint>

struct statx;

namespace ferry::engine {

// Whether it is worth asking for holes: the file has fewer blocks than its size needs. Never asked otherwise, because
// file systems have reported dirty data as holes (openzfs 15526, 17658).
[[nodiscard]] bool may_have_holes(const struct ::statx& status) noexcept;

// A range of data, [begin, end). Empty at the end of the file: begin == end == size.
struct Segment {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// The first data at or after `position` (< size), by SEEK_DATA and SEEK_HOLE; moves the descriptor's position. Whatever
// goes wrong (no support, answers that make no sense, extents flipped by a writer) makes the rest of the file data, so
// a caller that continues at `end` always gets forward.
[[nodiscard]] Segment next_segment(int fd, std::uint64_t position, std::uint64_t size) noexcept;

}  // namespace ferry::engine
