#include "bench/plan.hpp"

#include <regex.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <ferry/base.hpp>

namespace ferry::bench {
namespace {

/// An extended regular expression (regex(7)).
class Expression {
 public:
  explicit Expression(const std::string& text)
      : valid_(::regcomp(&compiled_, text.c_str(), REG_EXTENDED | REG_NOSUB) == 0) {}
  Expression(const Expression&) = delete;
  Expression& operator=(const Expression&) = delete;
  ~Expression() {
    if (valid_) {
      ::regfree(&compiled_);
    }
  }
  [[nodiscard]] bool is_valid() const noexcept { return valid_; }
  [[nodiscard]] bool is_found_in(const std::string& text) const {
    return valid_ && ::regexec(&compiled_, text.c_str(), 0, nullptr, 0) == 0;
  }

 private:
  regex_t compiled_ = {};
  bool valid_;
};

}  // namespace

bool is_expression(const std::string& text) { return Expression(text).is_valid(); }

Outcome<Plan> choose_groups(Plan plan, const std::string& expression) {
  const Expression wanted(expression);
  std::vector<std::string> all;
  std::vector<PlannedGroup> chosen;
  for (PlannedGroup& group : plan.groups) {
    all.push_back(group.name);
    if (wanted.is_found_in(group.name)) {
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
