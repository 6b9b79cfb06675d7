// Asking a person at a terminal what to measure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "bench/outcome.hpp"
#include "bench/plan.hpp"

namespace ferry::bench {

/// Shows a text and returns the line that was typed; empty at the end of the input.
using Ask = std::function<std::optional<std::string>(std::string_view text)>;

/// Lists the groups of the plan by number and keeps those that are named: "1,3-5"; an empty line keeps all. What cannot
/// be understood is asked again, twice. A failure then, and at the end of the input.
[[nodiscard]] Outcome<Plan> choose_by_asking(Plan plan, const Ask& ask);

}  // namespace ferry::bench
