// Saved reports for documents: docs/PERFORMANCE.md and the README's table.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "bench/report.hpp"

namespace ferry::bench {

/// One section: facts, versions and command, and of every group a table. `chart` is the path of an image to show, or
/// empty.
[[nodiscard]] std::string to_markdown(const Report& report, std::string_view chart);

/// One table of all reports, a line per group: ferry's time, and of each rival the time and how many times ferry's.
[[nodiscard]] std::string summary_markdown(std::span<const Report> reports);

}  // namespace ferry::bench
