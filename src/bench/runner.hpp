// The heart of the benchmarks: contenders doing the same job by turns, each result checked before its time counts.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/outcome.hpp"
#include "bench/process.hpp"

namespace ferry::bench {

/// One turn of one contender.
struct Turn {
  unsigned round = 0;            ///< Counts warm-ups too, from 0.
  bool warm_up = false;          ///< Run and checked like the others, but its time does not count.
  std::filesystem::path target;  ///< Where the result goes: a name no turn before had.
  /// How often the work is done in this turn, by contenders that do it in a loop.
  std::uint64_t repetitions = 1;
  RunControl control = {};
};

/// Something that can do the job. Only `run` is measured; any step that fails ends this contender's part in the job:
/// it is reported as failed, and none of its times are shown.
struct Contender {
  std::string name;
  std::string version;
  std::string command;  ///< What is run, for people to repeat.
  std::function<Outcome<void>(const Turn&)> set_up = {};
  std::function<Outcome<Cost>(const Turn&)> run;
  std::function<Outcome<void>(const Turn&)> check;
  /// Called after every turn, failed or not.
  std::function<void(const Turn&)> clean_up = {};
};

struct MissingContender {
  std::string name;
  std::string package;
};

struct Job {
  std::string name;
  /// The first one is what the others are compared with: ferry.
  std::vector<Contender> contenders;
  std::vector<MissingContender> missing = {};
  std::filesystem::path target_directory;
  unsigned warm_ups = 1;
  unsigned rounds = 5;
  std::uint64_t repetitions = 1;  ///< Of the work in each turn.
};

/// Something counted rather than timed, per unit of work: {"openat", 4.0}.
struct Count {
  std::string name;
  double per_unit = 0;
};

struct ContenderResult {
  std::string name;
  std::string version;
  std::string command;
  std::vector<Cost> runs;     ///< Of the counted rounds, in order; empty if it failed.
  std::string failure;        ///< Empty if none.
  std::vector<Count> counts;  ///< The largest first; empty if nothing was counted.
};

struct JobResult {
  std::vector<ContenderResult> contenders;
  std::vector<MissingContender> missing;
  bool interrupted = false;  ///< Fewer rounds than asked for.
};

/// One turn: set-up, run, check and clean-up. The cost of the run if everything went well.
[[nodiscard]] Outcome<Cost> take_turn(const Contender& contender, const Turn& turn);

/// Runs every contender in turn, round after round (A B C, A B C, ...), so that a machine that changes its pace
/// changes it for all. `tell` is called before each turn with a line for a person waiting. Ends early when
/// `interrupted` becomes true: a turn that is under way is stopped, and does not count.
[[nodiscard]] JobResult run_job(const Job& job, const std::function<void(std::string_view)>& tell,
                                const std::atomic<bool>& interrupted);

}  // namespace ferry::bench
