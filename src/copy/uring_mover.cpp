#include "copy/uring_mover.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/sys.hpp"

namespace ferry::engine {
namespace {

constexpr std::uint32_t page_bytes = 4096;  // what buffers are aligned to

// What O_DIRECT wants offsets and lengths to be multiples of; 0: not possible. Told since Linux 6.1 (STATX_DIOALIGN,
// statx(2)); before, no file system wants more than the page.
std::uint32_t alignment_of(int fd) {
  struct ::statx status = {};
  if (sys::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, status) != 0 || (status.stx_mask & STATX_DIOALIGN) == 0) {
    return page_bytes;
  }
  return status.stx_dio_mem_align <= page_bytes ? status.stx_dio_offset_align : 0;
}

// The same open file once more, so that the flag is not set on a description that others share.
UniqueFd reopened(int fd, int access) {
  std::array<char, 32> path = {};
  fmt::format_to_n(path.data(), path.size() - 1, "/proc/self/fd/{}", fd);
  return UniqueFd(sys::openat(AT_FDCWD, path.data(), access | O_DIRECT));
}

}  // namespace

PipelineResult UringMover::move(const PipelineRange& range) {
  if (std::exchange(direct_, false)) {
    open_direct();
  }
  if (out_.direct_fd >= 0) {
    reserve(range);
  }
  const PipelineResult result = copy_by_uring(in_, out_, range, shape_);
  if (made_longer_) {
    give_back(range, result.moved);
  }
  return result;
}

// Where it is not possible, on either side, the page cache is used.
void UringMover::open_direct() {
  const std::uint32_t in_alignment = alignment_of(in_.fd);
  const std::uint32_t out_alignment = alignment_of(out_.fd);
  own_in_ = in_alignment != 0 ? reopened(in_.fd, O_RDONLY) : UniqueFd();
  own_out_ = out_alignment != 0 ? reopened(out_.fd, O_WRONLY) : UniqueFd();
  in_.direct_fd = own_in_ ? own_in_.get() : -1;
  in_.direct_alignment = in_alignment;
  out_.direct_fd = own_out_ ? own_out_.get() : -1;
  out_.direct_alignment = out_alignment;
}

// Direct writes beyond the end of a file are made one at a time (ext4(5), XFS: the inode is locked for each): so the
// file gets its size first. Where blocks cannot be reserved they are written one at a time.
void UringMover::reserve(const PipelineRange& range) {
  struct ::statx status = {};
  made_longer_ = false;
  if (sys::statx(out_.fd, "", AT_EMPTY_PATH, STATX_SIZE, status) != 0 ||
      status.stx_size >= range.out_offset + range.length) {
    return;
  }
  size_before_ = status.stx_size;
  made_longer_ =
      sys::fallocate(out_.fd, 0, static_cast<off_t>(range.out_offset), static_cast<off_t>(range.length)) == 0;
}

void UringMover::give_back(const PipelineRange& range, std::uint64_t moved) const {
  if (moved < range.length) {
    const std::uint64_t size = std::max(size_before_, range.out_offset + moved);
    (void)sys::ftruncate(out_.fd, static_cast<off_t>(size));
  }
}

}  // namespace ferry::engine
