// Counting the system calls of a process from outside, by strace or perf: exact, and the same on every run.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <ferry/base.hpp>

#include "bench/child_process.hpp"
#include "bench/outcome.hpp"
#include "bench/runner.hpp"

namespace ferry::bench {

/// Calls by name.
using SystemCalls = std::map<std::string, std::uint64_t>;

/// A program that counts the system calls of others.
struct Tracer {
  enum class Kind : std::uint8_t { strace, perf };
  Kind kind = Kind::strace;
  std::string program;
  std::string version;
  /// What perf counts. Each event costs about 20 ms when perf ends, all system calls together 8 s.
  std::string events = "syscalls:sys_enter_*";
};
/// strace, or else perf; a message for a person if neither is here and may trace.
[[nodiscard]] Outcome<Tracer> find_tracer();

/// What `strace -c` and `perf stat -x,` say, as counts. A failure if it is something else.
[[nodiscard]] Outcome<SystemCalls> parse_strace_summary(std::string_view text);
[[nodiscard]] Outcome<SystemCalls> parse_perf_counts(std::string_view text);

/// A tracer at work on one process, its threads, and those it makes.
class SystemCallTrace {
 public:
  /// Returns when every thread of `process` is traced.
  [[nodiscard]] static Outcome<SystemCallTrace> attach(const Tracer& tracer, pid_t process);
  /// Ends the tracing (the process goes on, if it has not ended), and gives what was counted.
  [[nodiscard]] Outcome<SystemCalls> finish();

 private:
  SystemCallTrace(Tracer::Kind kind, ChildProcess tracer, UniqueFd result, UniqueFd control, UniqueFd answers);
  [[nodiscard]] Outcome<void> wait_until_attached(pid_t process);
  [[nodiscard]] Outcome<void> order(std::string_view command);

  Tracer::Kind kind_;
  ChildProcess tracer_;
  UniqueFd result_;   // a file in memory: what the tracer writes at its end
  UniqueFd control_;  // perf's: orders to it, and its answers
  UniqueFd answers_;
};

/// How many calls of each kind one repetition of the work costs: a turn of 2 * repetitions less a turn of
/// `repetitions`, divided by these, so that what happens once in a process does not count. The largest first, led by
/// "all". Both turns are set up and checked like any other. `turn` holds a target prefix and the stop flag.
[[nodiscard]] Outcome<std::vector<Count>> count_system_calls(const Tracer& tracer, const Contender& contender,
                                                             const Turn& turn);
/// The difference of two counts for each of `units`, as count_system_calls() gives it: rounded to a hundredth, because
/// a call more or less in hundreds of units differs from run to run.
[[nodiscard]] std::vector<Count> calls_per_unit(const SystemCalls& fewer, const SystemCalls& more, double units);

}  // namespace ferry::bench
