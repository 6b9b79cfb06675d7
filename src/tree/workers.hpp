// How many threads a job may use.
#pragma once

#include <algorithm>
#include <thread>

namespace ferry {

inline constexpr unsigned max_workers = 256;

// `requested` threads, or when 0 two for each core that this process may use (sched_getaffinity(2), by way of the
// standard library): while one waits for a disk the other works. On a cold cache that is half as fast again as one for
// each, and on tmpfs nothing is lost (docs/PERFORMANCE.md).
inline unsigned worker_count(unsigned requested) noexcept {
  constexpr unsigned default_most = 16;  // more only fight for the same directory and inode locks
  if (requested != 0) {
    return std::min(requested, max_workers);
  }
  // Asked once: the standard library reads a file of sysfs each time, which takes as long as copying several small
  // files.
  static const unsigned cores = std::max(std::thread::hardware_concurrency(), 1U);
  return std::min(2 * cores, default_most);
}

}  // namespace ferry
