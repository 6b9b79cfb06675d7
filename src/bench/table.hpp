// A report as a table for people.
#pragma once

#include <string>
#include <vector>

#include "bench/report.hpp"
#include "bench/text_table.hpp"

namespace ferry::bench {

/// Machine, facts and versions; of every group one line per contender, the warnings, and who is missing.
[[nodiscard]] std::string to_table(const Report& report, const TableStyle& style = {});

/// Names to the left, values in one column.
[[nodiscard]] std::string list_facts(const std::vector<Fact>& facts);

}  // namespace ferry::bench
