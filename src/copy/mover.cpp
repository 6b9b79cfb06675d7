#include "copy/mover.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/sys.hpp"
#include "copy/statistics.hpp"
#include "copy/transfer_buffer.hpp"
#include "copy/zero_runs.hpp"

namespace ferry::engine {
namespace {

using std::chrono::steady_clock;

// Kernel copies are asked for in pieces that take 50-100 ms, so that progress and cancellation work; the kernel itself
// stops at 0x7ffff000 bytes per call (MAX_RW_COUNT). Powers of two: an unaligned piece would defeat block sharing.
constexpr std::uint64_t first_kernel_piece_bytes = std::uint64_t{8} << 20U;
constexpr std::uint64_t least_kernel_piece_bytes = std::uint64_t{1} << 20U;
constexpr std::uint64_t most_kernel_piece_bytes = std::uint64_t{1} << 30U;
constexpr std::int64_t too_slow_nanoseconds = 100'000'000;
constexpr std::int64_t too_quick_nanoseconds = 50'000'000;

// Larger ones are no quicker, and writes of 256 KiB and more to ext4 vary widely (docs/PERFORMANCE.md).
constexpr int pipe_capacity_bytes = 128 << 10;

off_t as_offset(std::uint64_t value) noexcept { return static_cast<off_t>(value); }

}  // namespace

Mover::Mover(const MoveSettings& settings, CopyReport& report) noexcept
    : settings_(settings), report_(report), kernel_piece_bytes_(first_kernel_piece_bytes) {}

Result<std::uint64_t> Mover::move(std::uint64_t in_offset, std::uint64_t out_offset, std::uint64_t length) {
  std::uint64_t moved = 0;
  while (moved < length) {
    if (settings_.stop != nullptr && settings_.stop->stop_requested()) {
      return failure({-ECANCELED, "copy"});
    }
    if (!settings_.in_seekable && !has_input()) {
      continue;
    }
    const CopyMethod method = only_read_write_ ? CopyMethod::read_write : settings_.methods[current_];
    const Step result = step(method, in_offset + moved, out_offset + moved, length - moved);
    if (result.final) {
      return failure(result);
    }
    if (result.moved > 0) {
      moved += static_cast<std::uint64_t>(result.moved);
      account(method, static_cast<std::uint64_t>(result.moved));
      continue;
    }
    if (result.moved == -EAGAIN && !settings_.in_seekable) {
      continue;  // open without blocking, and somebody else read what was there
    }
    if (method == CopyMethod::read_write) {
      if (result.moved == 0) {
        break;  // only read() may say where the source ends
      }
      return failure(result);
    }
    // A kernel method stopped. Zero bytes can be the end of the source, but synthetic file systems and some network
    // ones answer it too early; and an error after some bytes is for read_write to confirm or to overcome.
    if (moved == 0) {
      const int reason = result.moved == 0 ? ENODATA : static_cast<int>(-result.moved);
      const bool may_try_next = result.moved == 0 || classify_refusal(method, reason) == Refusal::unsupported;
      if (!may_try_next) {
        return failure(result);
      }
      if (result.moved < 0 && current_ + 1 < settings_.methods.size()) {
        refuse(method, reason);
        ++current_;
        continue;
      }
      if (result.moved == 0 && switch_to_read_write()) {
        refuse(method, reason);
        continue;
      }
    } else if (switch_to_read_write()) {
      continue;
    }
    if (result.moved < 0) {
      refuse(method, static_cast<int>(-result.moved));
      return failure(result);
    }
    if (source_has_more(in_offset + moved)) {
      refuse(method, ENODATA);
      return failure({-ENODATA, result.operation});
    }
    break;
  }
  return moved;
}

Result<void> Mover::make_hole(std::uint64_t out_offset, std::uint64_t length) {
  if (const int error = clear(out_offset, length); error != 0) {
    return failure({error, "pwrite"});
  }
  report_.hole_bytes += length;
  if (settings_.hash != nullptr) {
    settings_.hash->add_zeros(length);
  }
  notify(length);
  return {};
}

int Mover::clear(std::uint64_t out_offset, std::uint64_t length) {
  if (out_offset >= settings_.out_data_end) {
    return 0;
  }
  const std::uint64_t old_content = std::min(length, settings_.out_data_end - out_offset);
  const int punched = sys::fallocate(settings_.out, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, as_offset(out_offset),
                                     as_offset(old_content));
  return punched == 0 ? 0 : write_zeros(out_offset, old_content);
}

// A pipe may be silent for ever: not read before there is something to read, so that a stop request is met.
bool Mover::has_input() const noexcept {
  constexpr int look_every_ms = 50;
  return sys::poll(settings_.in, POLLIN, look_every_ms) != 0;  // on an error, reading tells
}

Mover::Step Mover::step(CopyMethod method, std::uint64_t in_offset, std::uint64_t out_offset, std::uint64_t length) {
  if (method == CopyMethod::read_write) {
    return by_read_write(in_offset, out_offset, length);
  }
  const auto begin = steady_clock::now();
  const std::uint64_t piece = std::min(length, kernel_piece_bytes_);
  Step result;
  switch (method) {
    case CopyMethod::copy_file_range: result = by_copy_file_range(in_offset, out_offset, piece); break;
    case CopyMethod::splice: result = by_splice(in_offset, out_offset, piece); break;
    case CopyMethod::sendfile: result = by_sendfile(in_offset, out_offset, piece); break;
    case CopyMethod::uring: result = by_uring(in_offset, out_offset, piece); break;
    default:
      result = {-ENOSYS, to_string(method).data()};  // NOLINT(*-stringview-data-usage): a literal
      break;
  }
  if (result.moved > 0) {
    adapt_piece(static_cast<std::uint64_t>(result.moved), (steady_clock::now() - begin).count());
  }
  return result;
}

Mover::Step Mover::by_copy_file_range(std::uint64_t in_offset, std::uint64_t out_offset, std::uint64_t length) {
  off_t from = as_offset(in_offset);
  off_t to = as_offset(out_offset);
  return {sys::copy_file_range(settings_.in, &from, settings_.out, &to, length), "copy_file_range"};
}

// sendfile writes at the destination's own position, which is put back afterwards.
Mover::Step Mover::by_sendfile(std::uint64_t in_offset, std::uint64_t out_offset, std::uint64_t length) {
  off_t position = 0;
  if (settings_.out_seekable) {
    position = sys::lseek(settings_.out, 0, SEEK_CUR);
    const off_t moved_to = position < 0 ? position : sys::lseek(settings_.out, as_offset(out_offset), SEEK_SET);
    if (moved_to < 0) {
      return {moved_to, "sendfile"};
    }
  }
  off_t from = as_offset(in_offset);
  const ssize_t sent = sys::sendfile(settings_.out, settings_.in, settings_.in_seekable ? &from : nullptr, length);
  if (settings_.out_seekable) {
    (void)sys::lseek(settings_.out, position, SEEK_SET);
  }
  return {sent, "sendfile"};
}

Mover::Step Mover::by_uring(std::uint64_t in_offset, std::uint64_t out_offset, std::uint64_t length) {
  if (!uring_) {
    uring_.emplace(settings_.in, settings_.out, settings_.pipeline, settings_.direct);
  }
  const PipelineResult result = uring_->move({in_offset, out_offset, length});
  if (result.polling_refused != 0) {
    report_.polling_refused_errno = -result.polling_refused;
  }
  if (result.moved == 0 || result.final) {
    return {result.error, result.operation, result.final};
  }
  report_.direct_bytes += result.direct;
  report_.polled_bytes += result.polled;
  return {static_cast<std::int64_t>(result.moved), result.operation};
}

// One end is a pipe: one call moves the bytes. Otherwise they go through a pipe of ours.
Mover::Step Mover::by_splice(std::uint64_t in_offset, std::uint64_t out_offset, std::uint64_t length) {
  if (!settings_.in_seekable || !settings_.out_seekable) {
    return splice_direct(in_offset, out_offset, length);
  }
  if (const int error = open_pipe(); error != 0) {
    return {error, "pipe2"};
  }
  std::uint64_t moved = 0;
  while (moved < length) {
    off_t from = as_offset(in_offset + moved);
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(length - moved, settings_.pipe->capacity));
    const ssize_t filled = sys::splice(settings_.in, &from, settings_.pipe->write_end.get(), nullptr, piece, 0);
    if (filled <= 0) {
      return moved > 0 ? Step{static_cast<std::int64_t>(moved), "splice"} : Step{filled, "splice"};
    }
    const Step drained = drain_pipe(out_offset + moved, static_cast<std::size_t>(filled));
    moved += drained.moved > 0 ? static_cast<std::uint64_t>(drained.moved) : 0;
    if (drained.moved != filled) {
      *settings_.pipe = {};  // what is left in it is still in the source
      return moved > 0 ? Step{static_cast<std::int64_t>(moved), "splice"} : drained;
    }
  }
  return {static_cast<std::int64_t>(moved), "splice"};
}

Mover::Step Mover::splice_direct(std::uint64_t in_offset, std::uint64_t out_offset, std::size_t length) {
  off_t from = as_offset(in_offset);
  off_t to = as_offset(out_offset);
  return {sys::splice(settings_.in, settings_.in_seekable ? &from : nullptr, settings_.out,
                      settings_.out_seekable ? &to : nullptr, length, 0),
          "splice"};
}

Mover::Step Mover::drain_pipe(std::uint64_t out_offset, std::size_t bytes) {
  std::size_t drained = 0;
  while (drained < bytes) {
    off_t to = as_offset(out_offset + drained);
    const ssize_t n =
        sys::splice(settings_.pipe->read_end.get(), nullptr, settings_.out, &to, bytes - drained, SPLICE_F_MOVE);
    if (n <= 0) {
      return drained > 0 ? Step{static_cast<std::int64_t>(drained), "splice"} : Step{n == 0 ? -EIO : n, "splice"};
    }
    drained += static_cast<std::size_t>(n);
  }
  return {static_cast<std::int64_t>(drained), "splice"};
}

int Mover::open_pipe() {
  if (settings_.pipe->capacity != 0) {
    return 0;
  }
  int fds[2] = {-1, -1};
  if (const int error = sys::pipe2(fds, 0); error != 0) {
    return error;
  }
  settings_.pipe->read_end.reset(fds[0]);
  settings_.pipe->write_end.reset(fds[1]);
  // Over fs.pipe-max-size or the user's pipe quota this fails and the default of 64 KiB serves.
  const int capacity = sys::set_pipe_size(fds[1], pipe_capacity_bytes);
  settings_.pipe->capacity = capacity > 0 ? static_cast<std::size_t>(capacity) : std::size_t{65536};
  return 0;
}

Mover::Step Mover::by_read_write(std::uint64_t in_offset, std::uint64_t out_offset, std::uint64_t length) {
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(length, settings_.chunk_bytes));
  std::byte* const buffer = thread_buffer(settings_.chunk_bytes);
  if (buffer == nullptr) {
    return {-ENOMEM, "malloc"};
  }
  const ssize_t got = settings_.in_seekable ? sys::pread(settings_.in, buffer, wanted, as_offset(in_offset))
                                            : sys::read(settings_.in, buffer, wanted);
  const char* const write_name = settings_.out_seekable ? "pwrite" : "write";
  if (got <= 0) {
    return {got, settings_.in_seekable ? "pread" : "read"};
  }
  const auto size = static_cast<std::size_t>(got);
  if (settings_.hash != nullptr) {
    settings_.hash->add(buffer, size);
  }
  const int error =
      settings_.skip_zeros ? write_skipping_zeros(buffer, size, out_offset) : write_all(buffer, size, out_offset);
  return error != 0 ? Step{error, write_name} : Step{got, write_name};
}

int Mover::write_all(const std::byte* data, std::size_t size, std::uint64_t out_offset) {
  std::size_t written = 0;
  while (written < size) {
    const ssize_t n = settings_.out_seekable
                          ? sys::pwrite(settings_.out, data + written, size - written, as_offset(out_offset + written))
                          : sys::write(settings_.out, data + written, size - written);
    if (n <= 0) {
      return n == 0 ? -ENOSPC : static_cast<int>(n);  // 0 for a non-empty write: no room, as GNU's full_write has it
    }
    written += static_cast<std::size_t>(n);
  }
  return 0;
}

int Mover::write_skipping_zeros(const std::byte* data, std::size_t size, std::uint64_t out_offset) {
  std::size_t position = 0;
  while (position < size) {
    const Run run = next_run(data + position, size - position, out_offset + position);
    const int error = run.zeros ? clear(out_offset + position, run.size)
                                : write_all(data + position, run.size, out_offset + position);
    if (error != 0) {
      return error;
    }
    zeros_skipped_ += run.zeros ? run.size : 0;
    position += run.size;
  }
  return 0;
}

int Mover::write_zeros(std::uint64_t out_offset, std::uint64_t length) {
  static constexpr std::array<std::byte, 65536> zeros = {};
  while (length > 0) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(length, zeros.size()));
    if (const int error = write_all(zeros.data(), piece, out_offset); error != 0) {
      return error;
    }
    out_offset += piece;
    length -= piece;
  }
  return 0;
}

bool Mover::switch_to_read_write() noexcept {
  for (const CopyMethod method : settings_.methods) {
    if (method == CopyMethod::read_write) {
      only_read_write_ = true;
      return true;
    }
  }
  return false;
}

// Asked when no allowed method could tell: one byte, not used.
bool Mover::source_has_more(std::uint64_t in_offset) const noexcept {
  std::byte byte{};
  return settings_.in_seekable && sys::pread(settings_.in, &byte, 1, as_offset(in_offset)) > 0;
}

void Mover::refuse(CopyMethod method, int errno_value) noexcept {
  report_.refused_errno[static_cast<std::size_t>(method)] = errno_value;
  count_fallback(method);
  if (method == CopyMethod::copy_file_range && errno_value == ENOSYS) {
    note_kernel_copy_missing();
  }
  if (refusal_is_lasting(errno_value)) {
    remember_refused(settings_.devices, method, errno_value);
  }
}

void Mover::account(CopyMethod method, std::uint64_t bytes) {
  const std::uint64_t data = bytes - zeros_skipped_;
  report_.bytes_by_method[static_cast<std::size_t>(method)] += data;
  report_.bytes_copied += data;
  report_.hole_bytes += std::exchange(zeros_skipped_, 0);
  count_moved(method, data);
  notify(bytes);
}

void Mover::notify(std::uint64_t bytes) {
  bytes_done_ += bytes;
  if (settings_.on_progress != nullptr && *settings_.on_progress) {
    (*settings_.on_progress)({bytes_done_, settings_.bytes_total});
  }
}

void Mover::adapt_piece(std::uint64_t moved, std::int64_t nanoseconds) noexcept {
  if (nanoseconds > too_slow_nanoseconds) {
    kernel_piece_bytes_ = std::max(kernel_piece_bytes_ / 2, least_kernel_piece_bytes);
  } else if (nanoseconds < too_quick_nanoseconds && moved == kernel_piece_bytes_) {
    kernel_piece_bytes_ = std::min(kernel_piece_bytes_ * 2, most_kernel_piece_bytes);
  }
}

// Without a path: the callers know what the descriptors are called.
std::unexpected<Error> Mover::failure(const Step& step) { return fail(static_cast<int>(-step.moved), step.operation); }

}  // namespace ferry::engine
