// What a suite is going to measure: groups that are chosen, asked whether they can be measured, and then are.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/outcome.hpp"
#include "bench/report.hpp"

namespace ferry::bench {

/// The person waiting: told what runs, and able to interrupt it.
struct Session {
  std::function<void(std::string_view)> tell;
  const std::atomic<bool>& interrupted;
};

struct PlannedGroup {
  std::string name;
  /// Whether what it needs is here: the source, space. Asked for all groups before any is measured.
  std::function<Outcome<void>()> can_run;
  /// May return "interrupted" when session.interrupted.
  std::function<Outcome<Group>(const Session&)> measure;
};

struct Plan {
  Report report;  ///< Without its groups.
  std::vector<PlannedGroup> groups;
};

/// Whether the text is an extended regular expression.
[[nodiscard]] bool is_expression(const std::string& text);

/// Keeps the groups in whose name the extended regular expression is found; an empty one keeps all. A failure that
/// lists all groups if none is left.
[[nodiscard]] Outcome<Plan> choose_groups(Plan plan, const std::string& expression);

/// Measures group by group. A failure if one of them cannot run, or the first one fails. When a later one fails or
/// `session` is interrupted, what was measured until then is the report, and marked.
[[nodiscard]] Outcome<Report> carry_out(const Plan& plan, const Session& session);

}  // namespace ferry::bench
