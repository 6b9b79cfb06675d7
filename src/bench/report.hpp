// What was measured, as a table for people and as JSON for programs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/machine.hpp"
#include "bench/runner.hpp"
#include "bench/statistics.hpp"

namespace ferry::bench {

/// Version of the JSON document; raised when a field changes its meaning or goes away.
inline constexpr int json_schema_version = 2;

/// A fact about the job that the numbers cannot be understood without: {"source", "/dev/shm (tmpfs), 9 files"}.
struct Fact {
  std::string name;
  std::string value;
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
};

struct Report {
  std::string suite;    ///< "tree"
  std::string command;  ///< The command line that repeats the measurement.
  Machine machine;
  std::vector<Fact> facts;
  std::vector<Group> groups;
  bool interrupted = false;  ///< Fewer rounds or groups than asked for.
};

/// The median time of a contender relative to the first one's: 2.0 took twice as long. Empty if either has no times.
[[nodiscard]] std::optional<Ratio> time_ratio(const JobResult& result, std::size_t contender);

[[nodiscard]] std::string to_table(const Report& report);
[[nodiscard]] std::string to_json(const Report& report);

}  // namespace ferry::bench
