// Google Benchmark's timed loop as a contender's turn: for work of nanoseconds, which cannot be timed one by one.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include <benchmark/benchmark.h>

#include "bench/outcome.hpp"
#include "bench/process.hpp"

namespace ferry::bench {

struct TimedLoop {
  /// Holds `for (auto _ : state)` around the work. Before and after it nothing is timed: there it sets up, and says by
  /// SkipWithError() what went wrong.
  std::function<void(benchmark::State&)> body;
  unsigned threads = 1;  ///< That run the body at the same time.
};

/// How many repetitions take at least this long, as Google Benchmark finds it out.
[[nodiscard]] Outcome<std::uint64_t> repetitions_for(const TimedLoop& loop, std::chrono::milliseconds at_least);

/// Runs the loop `repetitions` times in each thread. Wall time is that of the loop alone; processor time and memory are
/// this process's.
[[nodiscard]] Outcome<Cost> time_loop(const TimedLoop& loop, std::uint64_t repetitions);

/// "Google Benchmark 1.7.1"
[[nodiscard]] std::string timed_loop_version();

}  // namespace ferry::bench
