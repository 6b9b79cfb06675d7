#include "bench/choice.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>
#include <ferry/base.hpp>

namespace ferry::bench {
namespace {

constexpr int most_questions = 3;

// "3" or "3-5", each from 1 to `count`; empty if it is neither.
std::optional<std::pair<std::size_t, std::size_t>> parse_range(std::string_view text, std::size_t count) {
  const auto number = [&](std::string_view digits) -> std::size_t {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc{} && end == digits.data() + digits.size() && value <= count ? value : 0;
  };
  const std::size_t dash = text.find('-');
  const std::size_t first = number(text.substr(0, dash));
  const std::size_t last = dash == std::string_view::npos ? first : number(text.substr(dash + 1));
  return first == 0 || last < first ? std::nullopt : std::optional(std::pair(first, last));
}

// Which of the `count` were named; empty if the line cannot be understood.
std::optional<std::vector<bool>> parse_choice(std::string_view line, std::size_t count) {
  constexpr std::string_view separators = ", \t";
  std::vector<bool> chosen(count, false);
  std::size_t begin = line.find_first_not_of(separators);
  if (begin == std::string_view::npos) {
    return std::vector<bool>(count, true);
  }
  while (begin != std::string_view::npos) {
    const std::size_t end = std::min(line.find_first_of(separators, begin), line.size());
    const auto range = parse_range(line.substr(begin, end - begin), count);
    if (!range) {
      return std::nullopt;
    }
    for (std::size_t i = range->first; i <= range->second; ++i) {
      chosen[i - 1] = true;
    }
    begin = line.find_first_not_of(separators, end);
  }
  return chosen;
}

}  // namespace

Outcome<Plan> choose_by_asking(Plan plan, const Ask& ask) {
  std::string text;
  for (std::size_t i = 0; i < plan.groups.size(); ++i) {
    text += fmt::format("{:>3}  {}\n", i + 1, plan.groups[i].name);
  }
  text += "Which of these, as in 1,3-5 [all]? ";
  for (int question = 0; question < most_questions; ++question) {
    const auto line = ask(text);
    if (!line) {
      break;
    }
    if (const auto chosen = parse_choice(*line, plan.groups.size())) {
      std::vector<PlannedGroup> groups;
      for (std::size_t i = 0; i < chosen->size(); ++i) {
        if ((*chosen)[i]) {
          groups.push_back(std::move(plan.groups[i]));
        }
      }
      plan.groups = std::move(groups);
      return plan;
    }
    text =
        fmt::format("Not a choice: {}. Numbers from 1 to {}, as in 1,3-5: ", ferry::quoted(*line), plan.groups.size());
  }
  return std::unexpected("nothing was chosen");
}

}  // namespace ferry::bench
