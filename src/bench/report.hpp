// What was measured: the data that tables, JSON documents and pages are made of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ferry/base.hpp>

#include "bench/machine.hpp"
#include "bench/runner.hpp"
#include "bench/statistics.hpp"

namespace ferry::bench {

/// A fact about the job that the numbers cannot be understood without: {"source", "/dev/shm (tmpfs), 9 files"}.
struct Fact {
  std::string name;
  std::string value;
};

/// What somebody else published for the work of one unit: on another machine, so that only its order of magnitude
/// tells.
struct Published {
  std::string name;  ///< "mmap-io 0.9.11"
  double least_seconds = 0;
  double most_seconds = 0;  ///< Not the same as `least_seconds` where one figure stands for several jobs.
};

/// One job of a report: contenders that did the same, and can be compared.
struct Group {
  std::string name;  ///< Unlike that of any other group of the report: "file: 1.0 GiB".
  JobResult result = {};
  std::vector<Fact> facts = {};  ///< Those that the report's groups do not share.
  /// Work done by one run, and its name in the plural: 10000 "copies". Times are given per unit if `time_per_unit`.
  double units_per_run = 1;
  std::string unit = "runs";
  bool time_per_unit = false;
  /// What the contenders' `counts` are: "system calls per copy"; empty if they have none.
  std::string counted = {};
  /// Only the counts matter: nothing was timed, and they are the same on every machine with this kernel.
  bool deterministic = false;
  /// The size of one file in bytes, if the groups of a report differ in it: then throughput can be shown by size.
  std::optional<std::uint64_t> size_bytes = {};
  std::vector<Published> published = {};
};

struct Report {
  std::string suite;    ///< "tree"
  std::string command;  ///< The command line that repeats the measurement.
  Machine machine;
  std::vector<Fact> facts;
  std::vector<Group> groups;
  bool interrupted = false;  ///< Fewer rounds or groups than asked for.
  std::string title = {};    ///< What people call the measurement; empty: its groups' names say it.
  std::string ferry_version = std::string(version());
  std::string taken = {};  ///< When, in UTC: "2026-11-25T02:28:23Z"; empty if not known.
};

/// Wall-clock seconds of each run.
[[nodiscard]] std::vector<double> wall_seconds(const ContenderResult& contender);

/// The median time of a contender relative to the first one's: 2.0 took twice as long. Empty if either has no times.
[[nodiscard]] std::optional<Ratio> time_ratio(const JobResult& result, std::size_t contender);

/// By what a median of seconds is divided before it is shown: the units of a run, or 1.
[[nodiscard]] double shown_units(const Group& group);

/// "172 us", "131 - 135 ns"
[[nodiscard]] std::string format_published(const Published& published);

/// Whether the contender is one of ferry's own ways: the first one, and those whose version is a version of ferry.
[[nodiscard]] bool is_ferry(const Group& group, std::size_t contender);

/// Versions of everyone who takes part, each once.
[[nodiscard]] std::vector<std::string> versions_in(const Report& report);

/// "2 cores, AMD EPYC, 31.2 GiB memory, Linux 6.18.5 x86_64".
[[nodiscard]] std::string describe(const Machine& machine);

}  // namespace ferry::bench
