#include "bench/table.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/overview.hpp"
#include "bench/quantities.hpp"
#include "bench/statistics.hpp"

namespace ferry::bench {
namespace {

using Seconds = std::chrono::duration<double>;

template <typename Field>
Summary summary_of(const ContenderResult& contender, Field field) {
  std::vector<double> values;
  values.reserve(contender.runs.size());
  for (const Cost& run : contender.runs) {
    values.push_back(static_cast<double>(field(run)));
  }
  return summarize(values);
}

std::uint64_t memory_of(const Cost& run) { return run.tree_rss_bytes.value_or(run.max_rss_bytes); }
std::uint64_t switches_of(const Cost& run) { return run.voluntary_switches + run.involuntary_switches; }
std::uint64_t misses_of(const Cost& run) { return run.cache.misses.value_or(0); }

bool any_run(const Group& group, std::uint64_t (*figure)(const Cost&)) {
  return std::ranges::any_of(group.result.contenders, [figure](const ContenderResult& contender) {
    return std::ranges::any_of(contender.runs, [figure](const Cost& run) { return figure(run) > 0; });
  });
}

double quickest_median(const Group& group) {
  double quickest = 0;
  for (const ContenderResult& contender : group.result.contenders) {
    const double median = summarize(wall_seconds(contender)).median;
    if (median > 0 && (quickest == 0 || median < quickest)) {
      quickest = median;
    }
  }
  return quickest;
}

// What the whole table has in common: one unit, so that columns can be compared by eye, and the columns that say
// something.
struct Layout {
  TimeUnit unit;
  bool written = false;
  bool switches = false;
  bool misses = false;
};

Layout layout_of(const Group& group) {
  return {.unit = time_unit(quickest_median(group) / shown_units(group)),
          .written = any_run(group, [](const Cost& run) { return run.device_bytes_written; }),
          .switches = any_run(group, switches_of),
          .misses = any_run(group, misses_of)};
}

std::vector<TextTable::Column> columns_of(const Group& group, const Layout& layout) {
  std::vector<TextTable::Column> columns = {{.title = "contender", .left = true},
                                            {.title = fmt::format("median {}", layout.unit.name)},
                                            {.title = "time/ferry"},
                                            {.title = "95% interval", .rank = 1},
                                            {.title = "min", .rank = 3},
                                            {.title = "max", .rank = 3},
                                            {.title = "MAD", .rank = 5},
                                            {.title = group.unit + "/s", .rank = 4},
                                            {.title = "/s/core", .rank = 6},
                                            {.title = "user", .rank = 2},
                                            {.title = "system", .rank = 2},
                                            {.title = "total", .rank = 6},
                                            {.title = "RSS", .rank = 4}};
  if (layout.written) {
    columns.push_back({.title = "written", .rank = 7});
  }
  if (layout.switches) {
    columns.push_back({.title = "switches", .rank = 7});
  }
  if (layout.misses) {
    columns.push_back({.title = "LLC misses", .rank = 7});
  }
  return columns;
}

// What one core would do in a second of processor time.
std::string per_core(double units, double processor_seconds) {
  return processor_seconds > 0 ? fmt::format("{:.0f}", units / processor_seconds) : "-";
}

std::string interval_text(const std::optional<Ratio>& ratio) {
  if (!ratio || !ratio->confidence) {
    return "";
  }
  return fmt::format("{:.2f}-{:.2f}", ratio->confidence->low, ratio->confidence->high);
}

std::string ratio_text(const std::optional<Ratio>& ratio) {
  if (!ratio) {
    return "-";
  }
  return format_factor(ratio->value) + (ratio->confidence && !ratio->shows_difference() ? " ~" : "");
}

std::vector<std::string> cells_of(const Group& group, std::size_t index, const Layout& layout) {
  const ContenderResult& contender = group.result.contenders[index];
  const Summary wall = summarize(wall_seconds(contender));
  const double user = summary_of(contender, [](const Cost& run) { return Seconds(run.user).count(); }).median;
  const double system = summary_of(contender, [](const Cost& run) { return Seconds(run.system).count(); }).median;
  const double memory = summary_of(contender, memory_of).maximum;
  const double scale = layout.unit.per_second / shown_units(group);
  const auto ratio = time_ratio(group.result, index);
  const auto percent = [&wall](double seconds) { return fmt::format("{:.0f}%", 100 * seconds / wall.median); };
  std::vector<std::string> cells = {contender.name,
                                    format_figure(wall.median * scale),
                                    ratio_text(ratio),
                                    interval_text(ratio),
                                    format_figure(wall.minimum * scale),
                                    format_figure(wall.maximum * scale),
                                    format_figure(wall.mad * scale) + (wall.outliers > 0 ? "!" : ""),
                                    fmt::format("{:.0f}", group.units_per_run / wall.median),
                                    per_core(group.units_per_run, user + system),
                                    percent(user),
                                    percent(system),
                                    percent(user + system),
                                    format_size(static_cast<std::uint64_t>(memory))};
  if (layout.written) {
    const auto written = [](const Cost& run) { return run.device_bytes_written; };
    cells.push_back(format_size(static_cast<std::uint64_t>(summary_of(contender, written).median)));
  }
  if (layout.switches) {
    cells.push_back(fmt::format("{:.0f}", summary_of(contender, switches_of).median));
  }
  if (layout.misses) {
    cells.push_back(fmt::format("{:.0f}", summary_of(contender, misses_of).median));
  }
  return cells;
}

std::string times_table(const Group& group, const TableStyle& style) {
  const Layout layout = layout_of(group);
  TextTable table(columns_of(group, layout));
  for (std::size_t i = 0; i < group.result.contenders.size(); ++i) {
    const ContenderResult& contender = group.result.contenders[i];
    if (!contender.runs.empty()) {
      table.add(cells_of(group, i, layout), i == 0 ? Emphasis::strong : Emphasis::none);
    } else if (contender.failure.empty()) {
      table.add({contender.name, "no round finished"}, Emphasis::faint);
    } else {
      table.add({contender.name, "FAILED: " + contender.failure}, Emphasis::bad);
    }
  }
  for (const Published& published : group.published) {
    table.add({published.name, format_published(published) + ", published"}, Emphasis::faint);
  }
  return table.to_string(style);
}

std::string overview_text(const Report& report, const TableStyle& style) {
  const std::string publisher = published_by(report);
  if (publisher.empty()) {
    return {};
  }
  TextTable table({{.title = "overview", .left = true},
                   {.title = "ferry"},
                   {.title = "floor"},
                   {.title = "ferry/floor"},
                   {.title = "95% interval", .rank = 2},
                   {.title = publisher},
                   {.title = "/ferry", .rank = 1}});
  for (const OverviewLine& line : overview_of(report)) {
    table.add(
        {one_line(line.job), line.ferry, line.floor, line.ratio, line.interval, line.published, line.to_published});
  }
  return '\n' + table.to_string(style);
}

std::string counts_of(const ContenderResult& contender) {
  std::string line;
  for (const Count& count : contender.counts) {
    line += fmt::format("{}{} {:.3f}", line.empty() ? "" : ", ", count.name, count.per_unit);
  }
  return line;
}

std::string counts_table(const Group& group, const TableStyle& style) {
  TextTable table({{.title = group.counted, .left = true}, {.title = "", .left = true}});
  for (const ContenderResult& contender : group.result.contenders) {
    if (!contender.failure.empty()) {
      table.add({contender.name, "FAILED: " + contender.failure}, Emphasis::bad);
    } else {
      table.add({contender.name, counts_of(contender)});
    }
  }
  return table.to_string({.colour = style.colour, .columns = 0});
}

bool any_contender(const Group& group, bool (*is_so)(const Group&, std::size_t)) {
  for (std::size_t i = 0; i < group.result.contenders.size(); ++i) {
    if (is_so(group, i)) {
      return true;
    }
  }
  return false;
}

bool has_outliers(const Group& group, std::size_t i) {
  return summarize(wall_seconds(group.result.contenders[i])).outliers > 0;
}

bool is_undecided(const Group& group, std::size_t i) {
  const auto ratio = time_ratio(group.result, i);
  return i > 0 && ratio && ratio->confidence && !ratio->shows_difference();
}

bool has_too_few_rounds(const Group& group, std::size_t i) {
  const auto ratio = time_ratio(group.result, i);
  return i > 0 && ratio && !ratio->confidence;
}

std::string notes(const Group& group, const TableStyle& style) {
  std::string text;
  const auto note = [&](std::string line, Emphasis emphasis) {
    text += emphasized(std::move(line), emphasis, style) + '\n';
  };
  for (const MissingContender& missing : group.result.missing) {
    note(one_line(
             fmt::format("missing: {} - brought by {}; ./dev bench --install-rivals", missing.name, missing.package)),
         Emphasis::faint);
  }
  if (any_contender(group, is_undecided)) {
    note("~ no difference shown: the 95% confidence interval of the ratio includes 1", Emphasis::faint);
  }
  if (any_contender(group, has_too_few_rounds)) {
    note("fewer than 5 rounds: too few to say how sure the ratios are", Emphasis::faint);
  }
  if (any_contender(group, has_outliers)) {
    note("! a round differs much from the others: something else was using this machine", Emphasis::bad);
  }
  if (group.result.interrupted) {
    note("INTERRUPTED: fewer rounds than asked for", Emphasis::bad);
  }
  return text;
}

std::string group_text(const Group& group, const TableStyle& style) {
  std::string text = '\n' + emphasized(one_line(group.name), Emphasis::strong, style) + '\n';
  text += list_facts(group.facts);
  if (!group.deterministic) {
    text += times_table(group, style);
  }
  if (!group.counted.empty()) {
    text += (group.deterministic ? "" : "\n") + counts_table(group, style);
  }
  return text + notes(group, style);
}

std::vector<Fact> head_of(const Report& report) {
  std::vector<Fact> head = {{"ferry bench", report.title.empty() ? report.suite : report.title},
                            {"machine", fmt::format("{}, load {:.2f}", describe(report.machine), report.machine.load)}};
  if (!report.taken.empty()) {
    head.push_back({"measured", report.taken});
  }
  head.insert(head.end(), report.facts.begin(), report.facts.end());
  bool first = true;
  for (const std::string& found : versions_in(report)) {
    head.push_back({first ? "versions" : "", found});
    first = false;
  }
  head.push_back({"repeat with", report.command});
  return head;
}

}  // namespace

std::string list_facts(const std::vector<Fact>& facts) {
  std::size_t width = 0;
  for (const Fact& fact : facts) {
    width = std::max(width, fact.name.size());
  }
  std::string text;
  for (const Fact& fact : facts) {
    text += fmt::format("{:<{}}  {}\n", one_line(fact.name), width, one_line(fact.value));
  }
  return text;
}

std::string to_table(const Report& report, const TableStyle& style) {
  std::string text = list_facts(head_of(report));
  for (const Group& group : report.groups) {
    text += group_text(group, style);
  }
  text += overview_text(report, style);
  if (report.interrupted) {
    text += emphasized("INTERRUPTED: not everything was measured", Emphasis::bad, style) + '\n';
  }
  return text;
}

}  // namespace ferry::bench
