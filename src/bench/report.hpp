// What was measured, as a table for people and as JSON for programs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/machine.hpp"
#include "bench/runner.hpp"

namespace ferry::bench {

/// Version of the JSON document; raised when a field changes its meaning or goes away.
inline constexpr int json_schema_version = 1;

/// A fact about the job that the numbers cannot be understood without: {"source", "/dev/shm (tmpfs), 9 files"}.
struct Fact {
  std::string name;
  std::string value;
};

struct Report {
  std::string suite;    ///< "tree"
  std::string command;  ///< The command line that repeats the measurement.
  Machine machine;
  std::vector<Fact> facts;
  JobResult result;
  /// Work done by one run, and its name in the plural: 10000 "copies". Times are given per unit if `per_unit`.
  double units_per_run = 1;
  std::string unit = "runs";
  bool time_per_unit = false;
};

/// The median time of a contender relative to the first one's: 2.0 took twice as long. Empty if either has no times.
[[nodiscard]] std::optional<double> time_ratio(const JobResult& result, std::size_t contender);

[[nodiscard]] std::string to_table(const Report& report);
[[nodiscard]] std::string to_json(const Report& report);

}  // namespace ferry::bench
