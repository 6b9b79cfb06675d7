#include "copy/segments.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/sys.hpp"

namespace ferry::engine {

bool may_have_holes(const struct ::statx& status) noexcept {
  // Rounded down like GNU cp: a last block that is not full is no hole.
  return S_ISREG(status.stx_mode) && status.stx_blocks < status.stx_size / 512;
}

Segment next_segment(int fd, std::uint64_t position, std::uint64_t size) noexcept {
  const Segment rest{position, size};
  const off_t data = sys::lseek(fd, static_cast<off_t>(position), SEEK_DATA);
  if (data == -ENXIO) {
    return {size, size};  // a hole up to the end (lseek(2)), or the file shrank: the caller compares sizes
  }
  if (data < 0 || static_cast<std::uint64_t>(data) < position) {
    return rest;
  }
  const auto begin = static_cast<std::uint64_t>(data);
  if (begin >= size) {
    return {size, size};
  }
  const off_t hole = sys::lseek(fd, data, SEEK_HOLE);
  if (hole <= data) {  // an error, or no progress
    return {begin, size};
  }
  return {begin, std::min(static_cast<std::uint64_t>(hole), size)};
}

}  // namespace ferry::engine
