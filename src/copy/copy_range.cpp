// Ranges of open files of any type.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>

#include <ferry/copy.hpp>

#include "base/sys.hpp"
#include "copy/block_size.hpp"
#include "copy/copy_settings.hpp"
#include "copy/mover.hpp"
#include "copy/segments.hpp"
#include "copy/source_check.hpp"
#include "copy/statistics.hpp"
#include "copy/transfer_buffer.hpp"
#include "copy/verify.hpp"

namespace ferry {
namespace {

using engine::Mover;
using std::chrono::steady_clock;

constexpr std::uint64_t last_offset = std::numeric_limits<std::int64_t>::max();

bool fits(std::uint64_t offset, std::uint64_t length) noexcept {
  return offset <= last_offset && length <= last_offset - offset;
}

// Puts a descriptor's position back, which looking for holes moves.
class KeptPosition {
 public:
  explicit KeptPosition(int fd) noexcept : fd_(fd), position_(sys::lseek(fd, 0, SEEK_CUR)) {}
  KeptPosition(const KeptPosition&) = delete;
  KeptPosition& operator=(const KeptPosition&) = delete;
  ~KeptPosition() {
    if (position_ >= 0) {
      (void)sys::lseek(fd_, position_, SEEK_SET);
    }
  }

 private:
  int fd_;
  off_t position_;
};

// One range on its way.
class RangeCopy {
 public:
  RangeCopy(const CopyRange& range, const CopyOptions& options, CopyReport& report) noexcept
      : range_(range), options_(options), report_(report) {}

  [[nodiscard]] Result<void> run();

 private:
  [[nodiscard]] Result<void> look_at_both();
  [[nodiscard]] Result<void> refuse_overlap() const;
  [[nodiscard]] Result<void> choose();
  [[nodiscard]] Result<std::uint64_t> move();
  [[nodiscard]] Result<bool> share_extents();
  [[nodiscard]] Result<std::uint64_t> move_segments(Mover& mover);
  [[nodiscard]] Result<void> reach(std::uint64_t length) const;
  [[nodiscard]] Result<void> finish();

  [[nodiscard]] bool same_file() const noexcept {
    return in_status_.stx_ino == out_status_.stx_ino && in_status_.stx_dev_major == out_status_.stx_dev_major &&
           in_status_.stx_dev_minor == out_status_.stx_dev_minor;
  }

  const CopyRange& range_;
  const CopyOptions& options_;
  CopyReport& report_;
  struct ::statx in_status_ = {};
  struct ::statx out_status_ = {};
  std::uint64_t length_ = 0;  // of the range, up to where the source ends if that is known
  bool size_known_ = false;
  bool has_holes_ = false;
  bool shared_ = false;
  engine::MoveSettings settings_;
  engine::SplicePipe pipe_;
  std::optional<engine::ContentHash> hash_;
};

Result<void> RangeCopy::run() {
  if (!fits(range_.in_offset, range_.length) || !fits(range_.out_offset, range_.length)) {
    return fail(EINVAL, "copy_range");
  }
  if (const auto looked = look_at_both(); !looked) {
    return looked;
  }
  if (length_ == 0) {
    return {};
  }
  if (const auto chosen = choose(); !chosen) {
    return chosen;
  }
  const auto moved = move();
  engine::trim_thread_buffer();
  if (!moved) {
    return std::unexpected(moved.error());
  }
  report_.size_bytes = *moved;
  return finish();
}

Result<void> RangeCopy::look_at_both() {
  if (const int error = sys::statx(range_.in, "", AT_EMPTY_PATH, STATX_BASIC_STATS, in_status_); error != 0) {
    return fail(-error, "statx");
  }
  if (const int error = sys::statx(range_.out, "", AT_EMPTY_PATH, STATX_BASIC_STATS, out_status_); error != 0) {
    return fail(-error, "statx");
  }
  const bool in_regular = S_ISREG(in_status_.stx_mode);
  const bool out_regular = S_ISREG(out_status_.stx_mode);
  settings_.in_seekable = in_regular || sys::lseek(range_.in, 0, SEEK_CUR) >= 0;
  settings_.out_seekable = out_regular || sys::lseek(range_.out, 0, SEEK_CUR) >= 0;
  if ((!settings_.in_seekable && range_.in_offset != 0) || (!settings_.out_seekable && range_.out_offset != 0)) {
    return fail(ESPIPE, "lseek");
  }
  if (out_regular) {
    const int flags = sys::get_file_flags(range_.out);
    if (flags >= 0 && (flags & O_APPEND) != 0) {
      return fail(EBADF, "pwrite");  // would append whatever the offset (pwrite(2), BUGS)
    }
  }
  size_known_ = in_regular && in_status_.stx_size > 0;
  length_ = range_.length;
  if (size_known_) {
    const std::uint64_t rest = in_status_.stx_size > range_.in_offset ? in_status_.stx_size - range_.in_offset : 0;
    length_ = std::min(length_, rest);
  }
  return refuse_overlap();
}

Result<void> RangeCopy::refuse_overlap() const {
  const bool apart = range_.in_offset + length_ <= range_.out_offset || range_.out_offset + length_ <= range_.in_offset;
  if (S_ISREG(in_status_.stx_mode) && same_file() && length_ > 0 && !apart) {
    return fail(EINVAL, "copy_range");
  }
  return {};
}

Result<void> RangeCopy::choose() {
  const auto chunk = engine::chunk_for(options_);
  if (!chunk) {
    return std::unexpected(chunk.error());
  }
  const bool out_regular = S_ISREG(out_status_.stx_mode);
  const bool sparse_source = engine::may_have_holes(in_status_);
  has_holes_ = sparse_source && out_regular && options_.sparse != SparseMode::never;
  settings_.in = range_.in;
  settings_.out = range_.out;
  settings_.devices = {makedev(in_status_.stx_dev_major, in_status_.stx_dev_minor),
                       makedev(out_status_.stx_dev_major, out_status_.stx_dev_minor)};
  settings_.chunk_bytes = *chunk;
  const auto pipeline = engine::pipeline_shape_for(options_);
  if (!pipeline) {
    return std::unexpected(pipeline.error());
  }
  settings_.pipeline = *pipeline;
  settings_.direct = options_.direct;
  settings_.skip_zeros = options_.sparse == SparseMode::always && out_regular;
  settings_.out_data_end = out_regular ? out_status_.stx_size : 0;
  settings_.bytes_total = length_;
  settings_.on_progress = &options_.on_progress;
  settings_.stop = &options_.stop;
  settings_.pipe = &pipe_;
  settings_.hash = options_.verify ? &hash_.emplace() : nullptr;

  engine::CopyFacts facts;
  facts.source = engine::file_kind(in_status_.stx_mode);
  facts.destination = engine::file_kind(out_status_.stx_mode);
  facts.size_bytes = size_known_ ? length_ : 0;
  facts.has_holes = sparse_source;
  const auto methods = engine::methods_for(facts, options_, settings_.devices, report_);
  if (!methods) {
    return std::unexpected(methods.error());
  }
  settings_.methods = *methods;
  return {};
}

// Returns how many bytes of the range the source had.
Result<std::uint64_t> RangeCopy::move() {
  const auto shared = share_extents();
  if (!shared) {
    return std::unexpected(shared.error());
  }
  shared_ = *shared;
  if (shared_) {
    return length_;
  }
  Mover mover(settings_, report_);
  if (has_holes_) {
    const KeptPosition position(range_.in);
    return move_segments(mover);
  }
  const auto moved = mover.move(range_.in_offset, range_.out_offset, length_);
  if (moved && settings_.skip_zeros) {
    if (const auto reached = reach(*moved); !reached) {
      return std::unexpected(reached.error());
    }
  }
  return moved;
}

Result<bool> RangeCopy::share_extents() {
  if (settings_.methods[0] != CopyMethod::reflink) {
    return false;
  }
  // Blocks are shared whole; only a range that ends both files may end inside one (ioctl_ficlonerange(2)).
  const std::uint64_t block = engine::block_size_from(in_status_.stx_blksize);
  const bool ends_both =
      range_.in_offset + length_ == in_status_.stx_size && range_.out_offset + length_ >= out_status_.stx_size;
  const bool aligned =
      range_.in_offset % block == 0 && range_.out_offset % block == 0 && (length_ % block == 0 || ends_both);
  int reason = EINVAL;
  if (aligned) {
    struct file_clone_range clone = {};
    clone.src_fd = range_.in;
    clone.src_offset = range_.in_offset;
    clone.src_length = length_;
    clone.dest_offset = range_.out_offset;
    reason = -sys::ficlonerange(range_.out, clone);
    if (reason == 0) {
      engine::count_moved(CopyMethod::reflink, length_);
      report_.bytes_by_method[static_cast<std::size_t>(CopyMethod::reflink)] += length_;
      report_.bytes_copied += length_;
      return true;
    }
    engine::count_fallback(CopyMethod::reflink);
  }
  report_.refused_errno[static_cast<std::size_t>(CopyMethod::reflink)] = reason;
  if (engine::classify_refusal(CopyMethod::reflink, reason) == engine::Refusal::final ||
      settings_.methods.size() == 1) {
    return fail(reason, "FICLONERANGE");
  }
  if (engine::refusal_is_lasting(reason)) {
    engine::remember_refused(settings_.devices, CopyMethod::reflink, reason);
  }
  settings_.methods.drop_first();
  return false;
}

Result<std::uint64_t> RangeCopy::move_segments(Mover& mover) {
  const std::uint64_t end = range_.in_offset + length_;
  std::uint64_t position = range_.in_offset;
  const auto to_out = [&](std::uint64_t in_offset) { return in_offset - range_.in_offset + range_.out_offset; };
  while (position < end) {
    const engine::Segment segment = engine::next_segment(range_.in, position, end);
    if (segment.begin > position) {
      if (const auto made = mover.make_hole(to_out(position), segment.begin - position); !made) {
        return std::unexpected(made.error());
      }
    }
    const auto moved = mover.move(segment.begin, to_out(segment.begin), segment.end - segment.begin);
    if (!moved) {
      return moved;
    }
    position = segment.begin + *moved;
    if (position < segment.end) {
      break;  // the source ends here now
    }
  }
  if (const auto reached = reach(position - range_.in_offset); !reached) {
    return std::unexpected(reached.error());
  }
  return position - range_.in_offset;
}

// Extends the destination over a hole at its end.
Result<void> RangeCopy::reach(std::uint64_t length) const {
  if (range_.out_offset + length <= out_status_.stx_size) {
    return {};
  }
  if (const int error = sys::ftruncate(range_.out, static_cast<off_t>(range_.out_offset + length)); error != 0) {
    return fail(-error, "ftruncate");
  }
  return {};
}

Result<void> RangeCopy::finish() {
  if (size_known_ && !same_file()) {  // in one file the copy itself is the change
    const auto changed = engine::source_changed(range_.in, in_status_, report_.size_bytes, length_);
    if (!changed) {
      return std::unexpected(changed.error());
    }
    report_.source_changed = *changed;
  }
  if (options_.fsync) {
    if (const int error = sys::fsync(range_.out); error != 0 && error != -EINVAL) {  // EINVAL: nothing to sync
      return fail(-error, "fsync");
    }
  }
  if (options_.verify) {
    const engine::VerifyRange both{range_.in, range_.in_offset, range_.out, range_.out_offset, report_.size_bytes};
    const auto& by_method = report_.bytes_by_method;
    const bool all_hashed =
        !shared_ && by_method[static_cast<std::size_t>(CopyMethod::read_write)] == report_.bytes_copied;
    if (!shared_ || !engine::shares_all_extents(both)) {
      const auto equal =
          engine::verify_by_reading(both, all_hashed ? std::optional(hash_->digest()) : std::nullopt, options_.stop);
      if (!equal) {
        return equal;
      }
    }
    report_.verified = true;
  }
  return {};
}

Result<void> copy_one(const CopyRange& range, const CopyOptions& options, CopyReport& report) {
  const auto begin = steady_clock::now();
  auto done = RangeCopy(range, options, report).run();
  report.elapsed = steady_clock::now() - begin;
  if (!done) {
    done.error().path = fmt::format("{} bytes at {} to {}", range.length, range.in_offset, range.out_offset);
  }
  return done;
}

}  // namespace

Result<CopyReport> copy_range(int in, std::uint64_t in_offset, int out, std::uint64_t out_offset, std::uint64_t length,
                              const CopyOptions& options) {
  CopyReport report;
  if (const auto done = copy_one({in, in_offset, out, out_offset, length}, options, report); !done) {
    return std::unexpected(done.error());
  }
  return report;
}

namespace {

bool continues(const CopyRange& first, const CopyRange& next) noexcept {
  return first.in == next.in && first.out == next.out && fits(first.in_offset, first.length) &&
         fits(first.out_offset, first.length) && first.in_offset + first.length == next.in_offset &&
         first.out_offset + first.length == next.out_offset && first.length <= last_offset - next.length;
}

}  // namespace

Result<CopyReport> copy_ranges(std::span<const CopyRange> ranges, const CopyOptions& options,
                               CopyReport* report_on_error) {
  CopyReport total;
  total.verified = options.verify && !ranges.empty();
  for (std::size_t i = 0; i < ranges.size();) {
    CopyRange merged = ranges[i];
    for (++i; i < ranges.size() && continues(merged, ranges[i]); ++i) {
      merged.length += ranges[i].length;
    }
    CopyReport report;
    const auto done = copy_one(merged, options, report);
    total.merge(report);
    if (!done) {
      if (report_on_error != nullptr) {
        *report_on_error = total;
      }
      return std::unexpected(done.error());
    }
  }
  return total;
}

}  // namespace ferry
