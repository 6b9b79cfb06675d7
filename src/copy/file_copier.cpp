// Whole open files: small ones by one read and one write, others by the method that suits the pair.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include <ferry/copy.hpp>

#include "base/sys.hpp"
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

// Room for more than the largest small file, so that one read shows that there is no more.
constexpr std::size_t small_buffer_bytes = small_file_bytes + 4096;

// What the kernel reads ahead anyway: half of its usual window (read_ahead_kb, 128). Nobody need be told of more.
constexpr std::uint64_t read_ahead_bytes = std::uint64_t{64} << 10U;

constexpr std::size_t slot(CopyMethod method) noexcept { return static_cast<std::size_t>(method); }

// The largest file that one read and one write may copy under these options.
std::size_t small_limit(const CopyOptions& options) noexcept {
  const bool asks_for_more = options.verify || options.reflink == ReflinkMode::always ||
                             options.sparse == SparseMode::always || options.preallocate;
  const std::size_t chunk = options.chunk_size_bytes;
  const bool chunk_wrong = chunk != 0 && (chunk < min_copy_chunk_size_bytes || chunk > max_copy_chunk_size_bytes);
  const bool budget_small = options.memory_budget_bytes != 0 && options.memory_budget_bytes < small_buffer_bytes;
  const bool possible =
      options.methods.contains(CopyMethod::read_write) && !asks_for_more && !chunk_wrong && !budget_small;
  return possible ? std::min(small_file_bytes, options.one_read_bytes) : 0;
}

}  // namespace

struct FileCopier::State {
  explicit State(const CopyOptions& given) : options(given), small_limit_bytes(small_limit(given)) {}

  Result<CopyReport> copy_small(int in, const struct ::statx& in_status, int out, std::uint64_t out_old_size);
  Result<CopyReport> copy_large(int in, const struct ::statx& in_status, int out, std::uint64_t out_old_size,
                                std::uint64_t out_device);

  CopyOptions options;
  std::size_t small_limit_bytes;
  engine::SplicePipe pipe;
};

FileCopier::FileCopier(const CopyOptions& options) : state_(std::make_unique<State>(options)) {}
FileCopier::FileCopier(FileCopier&&) noexcept = default;
FileCopier& FileCopier::operator=(FileCopier&&) noexcept = default;
FileCopier::~FileCopier() = default;

void FileCopier::on_progress(std::function<void(const CopyProgress&)> callback) {
  state_->options.on_progress = std::move(callback);
}

Result<CopyReport> FileCopier::copy(int in, const struct ::statx& in_status, int out, std::uint64_t out_old_size,
                                    std::uint64_t out_device) {
  const auto begin = steady_clock::now();
  const bool small = S_ISREG(in_status.stx_mode) && in_status.stx_size <= state_->small_limit_bytes &&
                     state_->small_limit_bytes > 0 &&
                     (state_->options.sparse == SparseMode::never || !engine::may_have_holes(in_status));
  auto report = small ? state_->copy_small(in, in_status, out, out_old_size)
                      : state_->copy_large(in, in_status, out, out_old_size, out_device);
  if (report) {
    report->elapsed = steady_clock::now() - begin;
  }
  return report;
}

namespace {

// Writes all of `data` at the descriptor's position; 0 or -errno.
int write_fully(int out, const std::byte* data, std::size_t size) noexcept {
  while (size > 0) {
    const ssize_t n = sys::write(out, data, size);
    if (n <= 0) {
      return n == 0 ? -ENOSPC : static_cast<int>(n);
    }
    data += n;
    size -= static_cast<std::size_t>(n);
  }
  return 0;
}

}  // namespace

Result<CopyReport> FileCopier::State::copy_small(int in, const struct ::statx& in_status, int out,
                                                 std::uint64_t out_old_size) {
  std::byte* const buffer = engine::thread_buffer(small_buffer_bytes);
  if (buffer == nullptr) {
    return fail(ENOMEM, "malloc");
  }
  CopyReport report;
  std::uint64_t total = 0;
  for (bool at_end = false; !at_end;) {
    if (options.stop.stop_requested()) {
      return fail(ECANCELED, "copy");
    }
    const ssize_t got = sys::read(in, buffer, small_buffer_bytes);
    if (got < 0) {
      return fail(static_cast<int>(-got), "read");
    }
    if (const int error = write_fully(out, buffer, static_cast<std::size_t>(got)); error != 0) {
      return fail(-error, "write");
    }
    total += static_cast<std::uint64_t>(got);
    // The size found, in one read with room for more: the whole file as it was at one moment. Anything else is a file
    // that changes or whose size means nothing: read until the end.
    at_end = got == 0 || (total == in_status.stx_size && static_cast<std::uint64_t>(got) == total);
  }
  if (total != in_status.stx_size) {
    const auto changed = engine::source_changed(in, in_status, total, in_status.stx_size);
    if (!changed) {
      return std::unexpected(changed.error());
    }
    report.source_changed = *changed;
  }
  if (out_old_size > total) {
    if (const int error = sys::ftruncate(out, static_cast<off_t>(total)); error != 0) {
      return fail(-error, "ftruncate");
    }
  }
  engine::count_moved(CopyMethod::read_write, total);
  report.bytes_by_method[slot(CopyMethod::read_write)] = total;
  report.bytes_copied = total;
  report.size_bytes = total;
  if (options.on_progress) {
    options.on_progress({total, in_status.stx_size});
  }
  return report;
}

namespace {

// One large (or unusual) file on its way.
class WholeFileCopy {
 public:
  WholeFileCopy(const CopyOptions& options, int in, const struct ::statx& in_status, int out,
                std::uint64_t out_old_size, std::uint64_t out_device) noexcept
      : options_(options), in_(in), before_(in_status), out_(out), out_size_(out_old_size) {
    settings_.in = in;
    settings_.out = out;
    settings_.devices = {makedev(in_status.stx_dev_major, in_status.stx_dev_minor), out_device};
    settings_.bytes_total = in_status.stx_size;
    settings_.out_data_end = out_old_size;
    settings_.on_progress = &options.on_progress;
    settings_.stop = &options.stop;
  }

  [[nodiscard]] Result<CopyReport> run(engine::SplicePipe& pipe);

 private:
  [[nodiscard]] Result<void> look_at_both();
  [[nodiscard]] Result<bool> share_extents();
  [[nodiscard]] Result<void> preallocate();
  [[nodiscard]] Result<std::uint64_t> move_segments(Mover& mover);
  [[nodiscard]] Result<void> verify(bool shared);
  [[nodiscard]] Result<void> set_size(std::uint64_t size, std::uint64_t written_to);

  const CopyOptions& options_;
  int in_;
  const struct ::statx& before_;
  int out_;
  std::uint64_t out_size_;  // as the file is now, as far as known
  bool out_is_regular_ = true;
  bool has_holes_ = false;
  bool size_known_ = false;
  engine::MoveSettings settings_;
  std::optional<engine::ContentHash> hash_;
  CopyReport report_;
};

}  // namespace

Result<CopyReport> FileCopier::State::copy_large(int in, const struct ::statx& in_status, int out,
                                                 std::uint64_t out_old_size, std::uint64_t out_device) {
  auto report = WholeFileCopy(options, in, in_status, out, out_old_size, out_device).run(pipe);
  engine::trim_thread_buffer();
  return report;
}

namespace {

Result<CopyReport> WholeFileCopy::run(engine::SplicePipe& pipe) {
  const auto chunk = engine::chunk_for(options_);
  if (!chunk) {
    return std::unexpected(chunk.error());
  }
  settings_.chunk_bytes = *chunk;
  const auto pipeline = engine::pipeline_shape_for(options_);
  if (!pipeline) {
    return std::unexpected(pipeline.error());
  }
  settings_.pipeline = *pipeline;
  settings_.direct = options_.direct;
  settings_.pipe = &pipe;
  if (const auto looked = look_at_both(); !looked) {
    return std::unexpected(looked.error());
  }
  const auto shared = share_extents();
  if (!shared) {
    return std::unexpected(shared.error());
  }
  std::uint64_t size = before_.stx_size;
  if (!*shared) {
    if (const auto reserved = preallocate(); !reserved) {
      return std::unexpected(reserved.error());
    }
    settings_.hash = options_.verify ? &hash_.emplace() : nullptr;
    Mover mover(settings_, report_);
    const auto moved = !size_known_ ? mover.move(0, 0, engine::until_end)
                       : has_holes_ ? move_segments(mover)
                                    : mover.move(0, 0, before_.stx_size);
    if (!moved) {
      return std::unexpected(moved.error());
    }
    size = *moved;
    if (const auto sized = set_size(size, has_holes_ || settings_.skip_zeros ? 0 : size); !sized) {
      return std::unexpected(sized.error());
    }
  }
  const auto changed = engine::source_changed(in_, before_, size, before_.stx_size);
  if (!changed) {
    return std::unexpected(changed.error());
  }
  report_.source_changed = *changed;
  report_.size_bytes = size;
  if (const auto verified = verify(*shared); !verified) {
    return std::unexpected(verified.error());
  }
  return report_;
}

// What kind of files these are decides the order of methods.
Result<void> WholeFileCopy::look_at_both() {
  const engine::FileKind source = engine::file_kind(before_.stx_mode);
  size_known_ = source == engine::FileKind::regular && before_.stx_size > 0;
  const bool sparse_source = engine::may_have_holes(before_);
  engine::FileKind destination = engine::FileKind::regular;
  if (sparse_source || options_.sparse == SparseMode::always || source != engine::FileKind::regular) {
    // Leaving holes out of a device would leave its old bytes there.
    struct ::statx out_status = {};
    if (const int error = sys::statx(out_, "", AT_EMPTY_PATH, STATX_TYPE, out_status); error != 0) {
      return fail(-error, "statx");
    }
    destination = engine::file_kind(out_status.stx_mode);
  }
  out_is_regular_ = destination == engine::FileKind::regular;
  has_holes_ = sparse_source && options_.sparse != SparseMode::never && out_is_regular_;
  settings_.skip_zeros = options_.sparse == SparseMode::always && out_is_regular_;
  settings_.in_seekable = source == engine::FileKind::regular || sys::lseek(in_, 0, SEEK_CUR) >= 0;
  settings_.out_seekable = out_is_regular_ || sys::lseek(out_, 0, SEEK_CUR) >= 0;

  engine::CopyFacts facts;
  facts.source = source;
  facts.destination = destination;
  facts.size_bytes = size_known_ ? before_.stx_size : 0;
  facts.has_holes = sparse_source;
  const auto methods = engine::methods_for(facts, options_, settings_.devices, report_);
  if (!methods) {
    return std::unexpected(methods.error());
  }
  settings_.methods = *methods;
  if (!size_known_ || before_.stx_size > read_ahead_bytes) {
    (void)sys::fadvise(in_, 0, 0, POSIX_FADV_SEQUENTIAL);  // length 0: the whole file; a hint
  }
  return {};
}

// True when source and destination share their blocks now and nothing is left to copy.
Result<bool> WholeFileCopy::share_extents() {
  if (settings_.methods[0] != CopyMethod::reflink) {
    return false;
  }
  int result = sys::ficlone(out_, in_);
  if (result == -EINVAL && out_size_ > before_.stx_size) {
    // A last block that is not full can only be shared as the destination's last one.
    if (const int error = sys::ftruncate(out_, static_cast<off_t>(before_.stx_size)); error != 0) {
      return fail(-error, "ftruncate");
    }
    out_size_ = before_.stx_size;
    result = sys::ficlone(out_, in_);
  }
  if (result == 0) {
    engine::count_moved(CopyMethod::reflink, before_.stx_size);
    const std::uint64_t allocated = std::min<std::uint64_t>(before_.stx_blocks * 512, before_.stx_size);
    report_.hole_bytes = engine::may_have_holes(before_) ? before_.stx_size - allocated : 0;
    report_.bytes_copied = before_.stx_size - report_.hole_bytes;
    report_.bytes_by_method[slot(CopyMethod::reflink)] = report_.bytes_copied;
    if (out_size_ > before_.stx_size) {
      if (const int error = sys::ftruncate(out_, static_cast<off_t>(before_.stx_size)); error != 0) {
        return fail(-error, "ftruncate");
      }
    }
    return true;
  }
  const int reason = -result;
  report_.refused_errno[slot(CopyMethod::reflink)] = reason;
  if (engine::classify_refusal(CopyMethod::reflink, reason) == engine::Refusal::final ||
      settings_.methods.size() == 1) {
    return fail(reason, "FICLONE");
  }
  engine::count_fallback(CopyMethod::reflink);
  if (engine::refusal_is_lasting(reason)) {
    engine::remember_refused(settings_.devices, CopyMethod::reflink, reason);
  }
  settings_.methods.drop_first();
  return false;
}

Result<void> WholeFileCopy::preallocate() {
  if (!options_.preallocate || !size_known_ || has_holes_ || settings_.skip_zeros || !out_is_regular_) {
    return {};
  }
  const int result = sys::fallocate(out_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(before_.stx_size));
  if (result == 0 || result == -EOPNOTSUPP || result == -ENOSYS || result == -EINVAL) {
    return {};
  }
  return fail(-result, "fallocate");
}

// Segment by segment; returns where the source ended.
Result<std::uint64_t> WholeFileCopy::move_segments(Mover& mover) {
  if (out_size_ > 0) {  // old content must not show through the holes
    if (const int error = sys::ftruncate(out_, 0); error != 0) {
      return fail(-error, "ftruncate");
    }
    out_size_ = 0;
    settings_.out_data_end = 0;
  }
  std::uint64_t position = 0;
  while (position < before_.stx_size) {
    const engine::Segment segment = engine::next_segment(in_, position, before_.stx_size);
    if (segment.begin > position) {
      if (const auto made = mover.make_hole(position, segment.begin - position); !made) {
        return std::unexpected(made.error());
      }
    }
    const std::uint64_t length = segment.end - segment.begin;
    const auto moved = mover.move(segment.begin, segment.begin, length);
    if (!moved) {
      return moved;
    }
    if (*moved < length) {
      return segment.begin + *moved;
    }
    position = segment.end;
  }
  return position;
}

Result<void> WholeFileCopy::verify(bool shared) {
  if (!options_.verify) {
    return {};
  }
  const engine::VerifyRange whole{in_, 0, out_, 0, report_.size_bytes};
  if (!shared || !engine::shares_all_extents(whole)) {
    // The digest made on the way holds if every byte went through read_write.
    const bool all_hashed = !shared && report_.bytes_by_method[slot(CopyMethod::read_write)] == report_.bytes_copied;
    const auto equal =
        engine::verify_by_reading(whole, all_hashed ? std::optional(hash_->digest()) : std::nullopt, options_.stop);
    if (!equal) {
      return equal;
    }
  }
  report_.verified = true;
  return {};
}

// Trims what is longer; extends over a hole at the end. `written_to`: the file is known to reach this far.
Result<void> WholeFileCopy::set_size(std::uint64_t size, std::uint64_t written_to) {
  const bool reserved_more = options_.preallocate && size < before_.stx_size;
  if (!out_is_regular_ || (out_size_ <= size && written_to == size && !reserved_more)) {
    return {};
  }
  if (const int error = sys::ftruncate(out_, static_cast<off_t>(size)); error != 0) {
    return fail(-error, "ftruncate");
  }
  return {};
}

}  // namespace
}  // namespace ferry
