#include "copy/uring_mover.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
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
  PipelineResult result = copy(range);
  if (made_longer_) {
    give_back(range, result);
  }
  return result;
}

// What polling leaves - all of it where a device has no queues for it, the last block that is not full - is done
// without.
PipelineResult UringMover::copy(const PipelineRange& range) {
  PipelineResult polled = polls_ ? poll_for(range) : PipelineResult{};
  polls_ = polls_ && polled.polling_refused == 0;
  if (polled.error != 0 || polled.moved == range.length) {
    return polled;
  }
  PipelineResult rest = copy_by_uring(
      in_, out_, {range.in_offset + polled.moved, range.out_offset + polled.moved, range.length - polled.moved},
      shape_);
  rest.moved += polled.moved;
  rest.direct += polled.direct;
  rest.polled = polled.polled;
  rest.polling_refused = polled.polling_refused;
  return rest;
}

// Whole blocks only, and only with O_DIRECT on both sides (io_uring_setup(2), IORING_SETUP_IOPOLL). A device
// without queues for it says EOPNOTSUPP (seen with Linux 6.18); older kernels wait for its interrupts and do not tell.
PipelineResult UringMover::poll_for(const PipelineRange& range) {
  const std::uint64_t block = std::max(in_.direct_alignment, out_.direct_alignment);
  PipelineResult result;
  if (in_.direct_fd < 0 || out_.direct_fd < 0) {
    result.polling_refused = -EOPNOTSUPP;
    return result;
  }
  if (range.in_offset % block != 0 || range.out_offset % block != 0 || range.length < block) {
    return result;
  }
  PipelineShape shape = shape_;
  shape.polls = true;
  result = copy_by_uring(in_, out_, {range.in_offset, range.out_offset, range.length - range.length % block}, shape);
  result.polled = result.direct;
  const std::string_view operation = result.operation;
  const bool by_device = operation == "pread" || operation == "pwrite";
  if (!by_device || result.error == -EOPNOTSUPP || result.error == -EINVAL) {
    result.polling_refused = std::exchange(result.error, 0);
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
// file gets its size first, but no more than the source has: the range may be longer. Where blocks cannot be reserved
// they are written one at a time.
void UringMover::reserve(const PipelineRange& range) {
  struct ::statx in_status = {};
  struct ::statx out_status = {};
  made_longer_ = false;
  if (sys::statx(in_.fd, "", AT_EMPTY_PATH, STATX_SIZE, in_status) != 0 ||
      sys::statx(out_.fd, "", AT_EMPTY_PATH, STATX_SIZE, out_status) != 0 || in_status.stx_size <= range.in_offset) {
    return;
  }
  const std::uint64_t length = std::min<std::uint64_t>(range.length, in_status.stx_size - range.in_offset);
  if (out_status.stx_size >= range.out_offset + length) {
    return;
  }
  size_before_ = out_status.stx_size;
  reserved_to_ = range.out_offset + length;
  made_longer_ = sys::fallocate(out_.fd, 0, static_cast<off_t>(range.out_offset), static_cast<off_t>(length)) == 0;
}

// A file that stays longer than what was copied into it would be a wrong copy.
void UringMover::give_back(const PipelineRange& range, PipelineResult& result) const {
  const std::uint64_t size = std::max(size_before_, range.out_offset + result.moved);
  if (size >= reserved_to_) {
    return;
  }
  if (const int error = sys::ftruncate(out_.fd, static_cast<off_t>(size)); error != 0) {
    result.error = error;
    result.operation = "ftruncate";
    result.final = true;
  }
}

}  // namespace ferry::engine
