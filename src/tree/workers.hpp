// How many threads a job may use.
#pragma once

#include <algorithm>
#include <thread>

namespace ferry {

inline constexpr unsigned max_workers = 256;

// `requested` threads, or as many as the machine gives this process when 0 (sched_getaffinity(2), by way of the
// standard library).
inline unsigned worker_count(unsigned requested) noexcept {
  constexpr unsigned default_most = 16;  // more only fight for the same directory and inode locks
  if (requested != 0) {
    return std::min(requested, max_workers);
  }
  // Asked once: the standard library reads a file of sysfs each time, which takes as long as copying several small
  // files.
  static const unsigned cores = std::clamp(std::thread::hardware_concurrency(), 1U, default_most);
  return cores;
}

}  // namespace ferry
