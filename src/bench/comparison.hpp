// Two measurements of the same thing, before and after a change: what got slower, and whether that is more than noise.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/outcome.hpp"
#include "bench/report.hpp"
#include "bench/text_table.hpp"

namespace ferry::bench {

/// What is said of a contender, or of one of its counts.
enum class Verdict : std::uint8_t {
  regressed,  ///< Times: the medians' ratio is over 1 + threshold and its whole 95% interval over 1. Counts: more.
  improved,   ///< Times: the ratio is under 1 / (1 + threshold) and its whole interval under 1. Counts: fewer.
  unchanged,  ///< Neither: within the threshold, or within the noise.
  part,       ///< A count of one kind where there is a count of "all", which decides.
  undecided,  ///< Fewer than 5 runs on a side: no interval, so nothing is shown.
  broken,     ///< Right before, and failed now.
  unequal,    ///< Not the same work, or counts that differ from run to run: not compared.
  absent,     ///< Only on one side.
};
[[nodiscard]] const char* to_string(Verdict verdict);

/// How one contender, or one of its counts, changed.
struct Change {
  std::string group;
  std::string contender = {};
  std::string counted = {};  ///< "openat"; empty for times.
  /// Median seconds as the group shows them (per unit of work or per run), or the count per unit; empty if not there.
  std::optional<double> base = {};
  std::optional<double> head = {};
  std::optional<Ratio> ratio = {};  ///< head to base; of counts without an interval.
  Verdict verdict = Verdict::absent;
  std::string remark = {};  ///< Why there is no ratio; empty if there is one.
  bool of_ferry = false;
};

/// Which changes fail the comparison; rivals never do: when they change, it was the machine.
enum class FailOn : std::uint8_t {
  any,     ///< Regressed times and counts, and what is broken.
  counts,  ///< Regressed counts and what is broken: for machines whose times cannot be trusted.
};

struct Comparison {
  std::vector<Change> changes;     ///< In the order of the base; what only the head has at the end.
  std::vector<std::string> notes;  ///< Why the two may not be comparable: other machine, other facts, fewer rounds.
  double threshold = 0;            ///< 0.15: 15%.

  [[nodiscard]] bool failed(FailOn what) const;
};

/// The runs of several reports of one command line as one report. Fails if they did not measure the same.
[[nodiscard]] Outcome<Report> joined(const std::vector<Report>& reports);

/// Compares group by group and contender by contender, by their names. Fails if nothing is in both.
[[nodiscard]] Outcome<Comparison> compare(const Report& base, const Report& head, double threshold);

[[nodiscard]] std::string to_table(const Comparison& comparison, const TableStyle& style = {});
[[nodiscard]] std::string to_json(const Comparison& comparison);

}  // namespace ferry::bench
