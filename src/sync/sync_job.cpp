#include "sync/sync_job.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <thread>
#include <utility>

#include "base/sys.hpp"

namespace ferry {
namespace {

// The umask, asked for without changing it (proc(5), since Linux 4.7); a usual one where /proc is missing, which costs
// no more than a chmod where none was needed.
std::uint32_t current_umask() {
  constexpr std::uint32_t usual = 022;
  const UniqueFd file(sys::openat(AT_FDCWD, "/proc/self/status", O_RDONLY));
  std::array<char, 1024> text = {};
  if (!file) {
    return usual;
  }
  const ssize_t length = sys::read(file.get(), text.data(), text.size());
  const std::string_view status(text.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  constexpr std::string_view label = "Umask:\t";
  const std::size_t at = status.find(label);
  std::uint32_t bits = usual;
  if (at != std::string_view::npos) {
    const char* const begin = status.data() + at + label.size();
    std::from_chars(begin, status.data() + status.size(), bits, 8);
  }
  return bits;
}

std::string suffix_of(const SyncOptions& options) {
  if (!options.backup_suffix.empty()) {
    return options.backup_suffix;
  }
  return options.backup_dir.empty() ? "~" : "";
}

}  // namespace

SyncJob::SyncJob(const SyncOptions& its_options, unsigned workers)
    : options(its_options),
      descriptors(its_options.descriptor_budget, workers),
      user(::geteuid()),
      group(::getegid()),
      is_root(user == 0),
      umask_bits(current_umask()),
      backup_suffix(suffix_of(its_options)),
      bandwidth_free_at_(std::chrono::steady_clock::now()) {}

void SyncJob::fail(SyncProblem problem, int error, const char* operation, std::string path) {
  fail(problem, Error{std::error_code(error, std::generic_category()), operation, std::move(path)});
}

void SyncJob::fail(SyncProblem problem, Error error) {
  switch (problem) {
    case SyncProblem::vanished: has_vanished_ = true; break;
    case SyncProblem::deletion_limit:
    case SyncProblem::deletion_skipped:
    case SyncProblem::cannot_delete_not_empty:
    case SyncProblem::stopped: break;
    case SyncProblem::cannot_stat_source:
    case SyncProblem::cannot_read_directory:
      // A name that is not there hides nothing that should be kept; a directory that cannot be opened might.
      has_read_error = has_read_error || error.errno_value() != ENOENT || std::string_view(error.operation) != "statx";
      is_partial_ = true;
      break;
    case SyncProblem::cannot_open_source:
    case SyncProblem::cannot_read_source:
      // Deletions that are still to come as a whole do not come, as with rsync.
      has_read_error = has_read_error || options.delete_mode == DeleteMode::after;
      is_partial_ = true;
      break;
    default: is_partial_ = true; break;
  }
  errors_.fetch_add(1, std::memory_order_relaxed);
  if (options.on_error) {
    const std::scoped_lock lock(mutex_);
    options.on_error(SyncError{problem, std::move(error)});
  }
}

void SyncJob::event(const SyncEvent& event) {
  if (options.on_event) {
    const std::scoped_lock lock(mutex_);
    options.on_event(event);
  }
}

bool SyncJob::may_delete() {
  if (!has_read_error || options.ignore_errors) {
    return true;
  }
  if (!told_no_deletion_.exchange(true)) {
    fail(SyncProblem::deletion_skipped, EIO, "delete", {});
  }
  return false;
}

bool SyncJob::take_deletion() {
  if (!options.max_delete) {
    return true;
  }
  if (deletions_.fetch_add(1) < *options.max_delete) {
    return true;
  }
  deletions_skipped_.fetch_add(1);
  if (!told_limit_.exchange(true)) {
    fail(SyncProblem::deletion_limit, EDQUOT, "delete", {});
  }
  return false;
}

bool SyncJob::stopped() {
  if (is_out_of_time_.load(std::memory_order_relaxed) || is_interrupted_.load(std::memory_order_relaxed)) {
    return true;
  }
  if (options.stop.stop_requested()) {
    if (!is_interrupted_.exchange(true)) {
      fail(SyncProblem::stopped, ECANCELED, "stop", {});
    }
    return true;
  }
  if (options.stop_at && std::chrono::system_clock::now() >= *options.stop_at) {
    if (!is_out_of_time_.exchange(true)) {
      fail(SyncProblem::stopped, ETIME, "stop", {});
    }
    return true;
  }
  return false;
}

void SyncJob::throttle(std::uint64_t bytes) {
  const std::uint64_t rate = options.bandwidth_bytes_per_second;
  if (rate == 0 || bytes == 0) {
    return;
  }
  std::chrono::steady_clock::time_point until;
  {
    const std::scoped_lock lock(bandwidth_mutex_);
    const auto cost = std::chrono::nanoseconds(
        static_cast<std::int64_t>(static_cast<double>(bytes) / static_cast<double>(rate) * 1e9));
    bandwidth_free_at_ = std::max(bandwidth_free_at_, std::chrono::steady_clock::now()) + cost;
    until = bandwidth_free_at_;
  }
  constexpr auto step = std::chrono::milliseconds(100);  // a stop request is heard in between
  while (!stopped()) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= until) {
      break;
    }
    std::this_thread::sleep_for(std::min<std::chrono::steady_clock::duration>(step, until - now));
  }
}

bool SyncJob::is_same_time(const struct statx_timestamp& a, const struct statx_timestamp& b) const noexcept {
  const std::int64_t window = options.modify_window_seconds;
  if (window < 0) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
  }
  return a.tv_sec > b.tv_sec ? a.tv_sec - b.tv_sec <= window : b.tv_sec - a.tv_sec <= window;
}

void SyncJob::adjust(struct statx& source) const {
  if (options.change_mode && !S_ISLNK(source.stx_mode)) {
    const std::uint32_t mode = options.change_mode(source.stx_mode & permission_bits, S_ISDIR(source.stx_mode));
    source.stx_mode = static_cast<std::uint16_t>((source.stx_mode & ~permission_bits) | (mode & permission_bits));
  }
  if (options.map_user) {
    source.stx_uid = options.map_user(source.stx_uid);
  }
  if (options.map_group) {
    source.stx_gid = options.map_group(source.stx_gid);
  }
}

void SyncJob::finish(SyncReport& report) const {
  report.errors = errors_;
  report.deletions_skipped = deletions_skipped_;
  // rsync's order of precedence (cleanup.c, exit_cleanup): a stop, then partial, vanished, the limit.
  if (is_interrupted_) {
    report.exit = SyncExit::interrupted;
  } else if (is_out_of_time_) {
    report.exit = SyncExit::timeout;
  } else if (is_partial_) {
    report.exit = SyncExit::partial;
  } else if (has_vanished_) {
    report.exit = SyncExit::vanished;
  } else if (deletions_skipped_ > 0) {
    report.exit = SyncExit::deletion_limit;
  }
}

}  // namespace ferry
