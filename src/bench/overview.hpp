// A report of many small jobs in one table: a line for each job that was measured beside its floor.
#pragma once

#include <string>
#include <vector>

#include "bench/report.hpp"

namespace ferry::bench {

/// Figures as text, times with their units; what is not known is empty.
struct OverviewLine {
  std::string job;
  std::string ferry;
  std::string floor;         ///< The second contender's.
  std::string ratio;         ///< ferry to floor: "1.04x"; " ~" behind it: no difference shown.
  std::string interval;      ///< Of the ratio, 95%.
  std::string published;     ///< "172 us", "131 - 135 ns"
  std::string to_published;  ///< What was published, to ferry: "6.4x".
};

/// Whose published figures the report has: "mmap-io 0.9.11". Empty if it has none; then there is no overview.
[[nodiscard]] std::string published_by(const Report& report);

/// A line for each group with times.
[[nodiscard]] std::vector<OverviewLine> overview_of(const Report& report);

}  // namespace ferry::bench
