// Running what is measured in processes of its own, so that time, processor use and memory are its alone.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/outcome.hpp"

namespace ferry::bench {

/// Traffic between the last-level cache and memory, as far as this machine counts it.
struct CacheTraffic {
  std::optional<std::uint64_t> loads;   ///< Reads that reached the last-level cache.
  std::optional<std::uint64_t> stores;  ///< Writes that reached it.
  std::optional<std::uint64_t> misses;  ///< Of both, those that went on to memory: a cache line each.
};

/// What one run cost.
struct Cost {
  std::chrono::nanoseconds wall{0};
  std::chrono::nanoseconds user{0};
  std::chrono::nanoseconds system{0};
  /// Largest resident set of any single process of the run.
  std::uint64_t max_rss_bytes = 0;
  /// Largest resident memory of all processes of the run together, sampled (see child_process.hpp); empty where it is
  /// not known.
  std::optional<std::uint64_t> tree_rss_bytes = {};
  std::uint64_t device_bytes_written = 0;
  std::uint64_t voluntary_switches = 0;
  std::uint64_t involuntary_switches = 0;
  CacheTraffic cache = {};

  /// Adds a later step of the same run: times and counts add up, of the memory the larger counts.
  Cost& operator+=(const Cost& step);
  /// What `factor` runs like this one would cost, one after the other: of the memory as much.
  [[nodiscard]] Cost repeated(double factor) const;

  /// An estimate of the bytes moved between cache and memory in each second: misses times the line of 64 bytes.
  /// Empty where misses are not counted.
  [[nodiscard]] std::optional<double> memory_bytes_per_second() const;
};

/// A program and its arguments.
struct Command {
  std::string program;             ///< Absolute path; "/proc/self/exe" is this very program.
  std::vector<std::string> words;  ///< argv, [0] included: what is shown to people.
  /// Variables that are added to the environment: "NAME=VALUE".
  std::vector<std::string> environment = {};

  /// The words quoted for a shell.
  [[nodiscard]] std::string to_string() const;
};

/// What others want of a run.
struct RunControl {
  /// The run is killed, and has failed, as soon as this is true.
  const std::atomic<bool>* stop = nullptr;
  /// Called with the process that will do the work while it waits to begin: for who wants to watch it.
  std::function<Outcome<void>(pid_t)> before_it_begins = {};
};

/// Runs the command to its end, standard output discarded or written to the descriptor `out`. The cost is that of the
/// process and every descendant it waited for, from before fork(2) to its end. A non-zero exit is a failure that
/// quotes the end of standard error.
[[nodiscard]] Outcome<Cost> run_command(const Command& command, const RunControl& control = {}, int out = -1);
/// As run_command; gives the standard output instead (at most 64 KiB).
[[nodiscard]] Outcome<std::string> output_of(const Command& command);

/// Work that fails by returning a message.
using Work = std::function<Outcome<void>()>;
/// Calls `work` in a forked child of this (single-threaded) process and gives the cost of the call: time and processor
/// use are taken around the call, inside the child. `afterwards`, if any, is called in the child when the clock has
/// stopped. A crash is a failure.
[[nodiscard]] Outcome<Cost> run_in_child(const Work& work, const RunControl& control = {}, const Work& afterwards = {});

}  // namespace ferry::bench
