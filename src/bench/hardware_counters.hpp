// The processor's own counters of traffic between the last-level cache and memory, where the machine lets us read them.
#pragma once

#include <linux/perf_event.h>
#include <sys/types.h>

#include <array>
#include <functional>
#include <string>

#include <ferry/base.hpp>

#include "bench/process.hpp"

namespace ferry::bench {

/// perf_event_open(2) with no group, on every processor: a descriptor, or -errno. Tests put another one in its place.
using OpenCounter = std::function<int(perf_event_attr& attributes, pid_t process)>;
[[nodiscard]] int open_counter(perf_event_attr& attributes, pid_t process);

class HardwareCounters {
 public:
  /// Counts what is done by programs that children of this process, forked from now on, exec; not by this process.
  [[nodiscard]] static HardwareCounters of_programs(const OpenCounter& open = open_counter);
  /// Counts what `process` (0: this one) and threads and children it makes from now on do between start() and stop().
  [[nodiscard]] static HardwareCounters of_process(pid_t process, const OpenCounter& open = open_counter);

  void start() const;
  void stop() const;
  /// What was counted until now; of programs, those that have ended. Counters this machine does not have are empty.
  [[nodiscard]] CacheTraffic read() const;

  /// Empty if anything is counted, else why nothing is: "perf_event_open: No such file or directory".
  [[nodiscard]] const std::string& why_nothing() const noexcept { return why_nothing_; }

 private:
  HardwareCounters(pid_t process, bool programs, const OpenCounter& open);

  enum Event : std::size_t { loads, load_misses, stores, store_misses, event_count };
  std::array<UniqueFd, event_count> events_;
  std::string why_nothing_;
};

}  // namespace ferry::bench
