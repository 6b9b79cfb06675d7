// What all workers of one sync share: the options, what went wrong, events, limits.
#pragma once

#include <ferry/sync.hpp>

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tree/directory.hpp"

namespace ferry {

// Of a mode: all but the type.
inline constexpr std::uint32_t permission_bits = 07777;

// Thread-safe.
class SyncJob {
 public:
  SyncJob(const SyncOptions& options, unsigned workers);

  const SyncOptions& options;
  Descriptors descriptors;
  const std::uint32_t user;  // what new files belong to
  const std::uint32_t group;
  const bool is_root;
  const std::uint32_t umask_bits;
  const std::string backup_suffix;
  InodeIdentity destination_root;  // set before the workers begin

  // A source directory could not be read, or an entry of it not looked at: nothing is deleted from then on.
  std::atomic<bool> has_read_error = false;

  void fail(SyncProblem problem, Error error);
  void fail(SyncProblem problem, int error, const char* operation, std::string path);
  void event(const SyncEvent& event);
  [[nodiscard]] bool wants_events() const noexcept { return static_cast<bool>(options.on_event); }

  // Whether deletions may go on: no read errors, or they are to be ignored. Tells once why not.
  [[nodiscard]] bool may_delete();
  // Takes one of the deletions that --max-delete allows; false: none is left.
  [[nodiscard]] bool take_deletion();

  // The time or the caller says to stop. Told once.
  [[nodiscard]] bool stopped();
  // Sleeps as --bwlimit asks after so many more bytes.
  void throttle(std::uint64_t bytes);

  // Times within --modify-window of each other.
  [[nodiscard]] bool is_same_time(const struct statx_timestamp& a, const struct statx_timestamp& b) const noexcept;
  // The source as options have it: --chmod, --usermap, --groupmap, --chown applied.
  void adjust(struct statx& source) const;

  // Fills in errors, deletions over the limit and the exit code.
  void finish(SyncReport& report) const;

 private:
  std::mutex mutex_;
  std::atomic<std::uint64_t> errors_ = 0;
  std::atomic<bool> is_partial_ = false;
  std::atomic<bool> has_vanished_ = false;
  std::atomic<bool> is_out_of_time_ = false;
  std::atomic<bool> is_interrupted_ = false;
  std::atomic<bool> told_no_deletion_ = false;
  std::atomic<bool> told_limit_ = false;
  std::atomic<std::uint64_t> deletions_ = 0;
  std::atomic<std::uint64_t> deletions_skipped_ = 0;
  std::mutex bandwidth_mutex_;
  std::chrono::steady_clock::time_point bandwidth_free_at_;
};

}  // namespace ferry
