#include "bench/overview.hpp"

#include <fmt/format.h>

#include "bench/quantities.hpp"
#include "bench/statistics.hpp"

namespace ferry::bench {
namespace {

double shown_seconds(const Group& group, std::size_t contender) {
  return median(wall_seconds(group.result.contenders.at(contender))) / shown_units(group);
}

void add_floor(OverviewLine& line, const Group& group) {
  line.floor = format_time(shown_seconds(group, 1));
  const auto inverse = time_ratio(group.result, 1);  // floor to ferry
  if (!inverse || inverse->value <= 0) {
    return;
  }
  const bool undecided = inverse->confidence && !inverse->shows_difference();
  line.ratio = format_factor(1 / inverse->value) + (undecided ? " ~" : "");
  if (inverse->confidence && inverse->confidence->low > 0) {
    line.interval = fmt::format("{:.2f} - {:.2f}", 1 / inverse->confidence->high, 1 / inverse->confidence->low);
  }
}

void add_published(OverviewLine& line, const Group& group) {
  const Published& published = group.published.front();
  line.published = format_published(published);
  const double seconds = shown_seconds(group, 0);
  line.to_published = fmt::format("{:.1f}x", published.least_seconds / seconds);
  if (published.least_seconds != published.most_seconds) {
    line.to_published += fmt::format(" - {:.1f}x", published.most_seconds / seconds);
  }
}

}  // namespace

std::string published_by(const Report& report) {
  for (const Group& group : report.groups) {
    if (!group.published.empty()) {
      return group.published.front().name;
    }
  }
  return {};
}

std::vector<OverviewLine> overview_of(const Report& report) {
  std::vector<OverviewLine> lines;
  for (const Group& group : report.groups) {
    const auto& contenders = group.result.contenders;
    if (contenders.empty() || contenders.front().runs.empty()) {
      continue;
    }
    OverviewLine line;
    line.job = group.name;
    line.ferry = format_time(shown_seconds(group, 0));
    if (contenders.size() > 1 && !contenders[1].runs.empty()) {
      add_floor(line, group);
    }
    if (!group.published.empty()) {
      add_published(line, group);
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace ferry::bench
