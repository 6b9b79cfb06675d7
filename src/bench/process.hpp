// Running what is measured in processes of its own, so that time, processor use and memory are its alone.
#pragma once

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
  /// Largest resident memory of all processes of the run together, sampled; empty where it is not known.
  std::optional<std::uint64_t> tree_rss_bytes = {};
  std::uint64_t device_bytes_written = 0;
  std::uint64_t voluntary_switches = 0;
  std::uint64_t involuntary_switches = 0;
  CacheTraffic cache = {};

  /// Adds a later step of the same run: times and counts add up, of the memory the larger counts.
  Cost& operator+=(const Cost& step);
};

/// A program and its arguments.
struct Command {
  std::string program;             ///< Absolute path; "/proc/self/exe" is this very program.
  std::vector<std::string> words;  ///< argv, [0] included: what is shown to people.

  /// The words quoted for a shell.
  [[nodiscard]] std::string to_string() const;
};

/// Gives a forked child the default answers to SIGINT, SIGTERM and SIGPIPE: what was caught stays caught after a fork,
/// and what was ignored stays ignored even after exec.
void restore_signals();

/// Runs the command to its end, standard output discarded. The cost is that of the process and every descendant it
/// waited for, from before fork(2) to its end. A non-zero exit is a failure that quotes the end of standard error.
[[nodiscard]] Outcome<Cost> run_command(const Command& command);
/// As run_command; gives the standard output instead (at most 64 KiB).
[[nodiscard]] Outcome<std::string> output_of(const Command& command);

/// Calls `work` in a forked child of this (single-threaded) process and gives the cost of the call: time and processor
/// use are taken around the call, inside the child. `work` fails by returning a message. A crash is a failure.
[[nodiscard]] Outcome<Cost> run_in_child(const std::function<Outcome<void>()>& work);

}  // namespace ferry::bench
