#include "bench/plan.hpp"

#include <regex>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <ferry/base.hpp>

namespace ferry::bench {

Outcome<Plan> choose_groups(Plan plan, const std::string& expression) {
  const std::regex wanted(expression, std::regex::extended);
  std::vector<std::string> all;
  std::vector<PlannedGroup> chosen;
  for (PlannedGroup& group : plan.groups) {
    all.push_back(group.name);
    if (std::regex_search(group.name, wanted)) {
      chosen.push_back(std::move(group));
    }
  }
  if (chosen.empty()) {
    return std::unexpected(
        fmt::format("nothing to measure matches {}; there is: {}", ferry::quoted(expression), fmt::join(all, "; ")));
  }
  plan.groups = std::move(chosen);
  return plan;
}

Outcome<Report> carry_out(const Plan& plan, const Session& session) {
  for (const PlannedGroup& group : plan.groups) {
    if (auto possible = group.can_run(); !possible) {
      return std::unexpected(possible.error());
    }
  }
  Report report = plan.report;
  for (const PlannedGroup& planned : plan.groups) {
    auto group = planned.measure(session);
    if (group) {
      report.interrupted = group->result.interrupted;
      report.groups.push_back(std::move(*group));
    } else if (session.interrupted) {
      report.interrupted = true;
    } else if (report.groups.empty()) {
      return std::unexpected(group.error());
    } else {
      report.facts.push_back({"stopped at", fmt::format("{}: {}", planned.name, group.error())});
      report.interrupted = true;
    }
    if (report.interrupted) {
      break;
    }
  }
  return report;
}

}  // namespace ferry::bench
