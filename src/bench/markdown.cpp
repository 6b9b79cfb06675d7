#include "bench/markdown.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "bench/overview.hpp"
#include "bench/quantities.hpp"
#include "bench/statistics.hpp"

namespace ferry::bench {
namespace {

// Text for a cell or a paragraph, as it is.
std::string plain(std::string_view text) {
  std::string escaped;
  for (const char byte : one_line(text)) {
    if (byte == '<') {
      escaped += "&lt;";
    } else if (byte == '|' || byte == '*' || byte == '`' || byte == '[' || byte == '\\') {
      escaped += '\\';
      escaped += byte;
    } else {
      escaped += byte;
    }
  }
  return escaped;
}

std::string row(const std::vector<std::string>& cells) { return fmt::format("| {} |\n", fmt::join(cells, " | ")); }

std::string heading(const std::vector<std::string>& titles) {
  std::string rule = "|---|";
  for (std::size_t i = 1; i < titles.size(); ++i) {
    rule += "--:|";
  }
  return row(titles) + rule + '\n';
}

double shown_seconds(const Group& group, const ContenderResult& contender) {
  return median(wall_seconds(contender)) / shown_units(group);
}

std::string ratio_text(const std::optional<Ratio>& ratio) {
  if (!ratio) {
    return "-";
  }
  return ratio->confidence && !ratio->shows_difference() ? "no difference shown" : format_factor(ratio->value);
}

std::string interval_text(const std::optional<Ratio>& ratio) {
  if (!ratio || !ratio->confidence) {
    return "-";
  }
  return fmt::format("{:.2f} - {:.2f}", ratio->confidence->low, ratio->confidence->high);
}

std::string times_row(const Group& group, std::size_t index, const TimeUnit& unit) {
  const ContenderResult& contender = group.result.contenders[index];
  const Summary wall = summarize(wall_seconds(contender));
  std::vector<double> processor;
  std::uint64_t memory = 0;
  for (const Cost& run : contender.runs) {
    processor.push_back(std::chrono::duration<double>(run.user + run.system).count());
    memory = std::max(memory, run.tree_rss_bytes.value_or(run.max_rss_bytes));
  }
  const double scale = unit.per_second / shown_units(group);
  const auto ratio = time_ratio(group.result, index);
  return row({index == 0 ? "**" + plain(contender.name) + "**" : plain(contender.name),
              format_figure(wall.median * scale), index == 0 ? "1" : ratio_text(ratio),
              index == 0 ? "" : interval_text(ratio),
              fmt::format("{} - {}", format_figure(wall.minimum * scale), format_figure(wall.maximum * scale)),
              fmt::format("{:.0f}", group.units_per_run / wall.median),
              fmt::format("{:.0f}%", 100 * median(processor) / wall.median), format_size(memory)});
}

std::string times_table(const Group& group) {
  std::optional<double> quickest;
  for (const ContenderResult& contender : group.result.contenders) {
    if (!contender.runs.empty()) {
      const double seconds = shown_seconds(group, contender);
      quickest = quickest ? std::min(*quickest, seconds) : seconds;
    }
  }
  if (!quickest) {
    return {};
  }
  const TimeUnit unit = time_unit(*quickest);
  std::string text = heading({"", fmt::format("median {}", unit.name), "time / ferry", "95% interval", "min - max",
                              group.unit + "/s", "CPU", "memory"});
  for (std::size_t i = 0; i < group.result.contenders.size(); ++i) {
    if (!group.result.contenders[i].runs.empty()) {
      text += times_row(group, i, unit);
    }
  }
  return text + '\n';
}

// Contenders as columns, counts as lines.
std::string counts_table(const Group& group) {
  std::vector<std::string> titles = {plain(group.counted)};
  std::vector<std::string> names;
  for (const ContenderResult& contender : group.result.contenders) {
    titles.push_back(plain(contender.name));
    for (const Count& count : contender.counts) {
      if (std::ranges::find(names, count.name) == names.end()) {
        names.push_back(count.name);
      }
    }
  }
  std::string text = heading(titles);
  for (const std::string& name : names) {
    std::vector<std::string> cells = {plain(name)};
    for (const ContenderResult& contender : group.result.contenders) {
      const auto count = std::ranges::find(contender.counts, name, &Count::name);
      cells.push_back(count == contender.counts.end() ? "" : fmt::format("{:.6g}", count->per_unit));
    }
    text += row(cells);
  }
  return names.empty() ? "" : text + '\n';
}

std::string facts_list(const std::vector<Fact>& facts) {
  std::string text;
  for (const Fact& fact : facts) {
    text += fmt::format("- {}: {}\n", plain(fact.name), plain(fact.value));
  }
  return text.empty() ? "" : text + '\n';
}

std::string notes(const Group& group) {
  std::string text;
  for (const ContenderResult& contender : group.result.contenders) {
    if (!contender.failure.empty()) {
      text += fmt::format("- {} failed: {}\n", plain(contender.name), plain(contender.failure));
    } else if (summarize(wall_seconds(contender)).outliers > 0) {
      text += fmt::format("- a round of {} differs much from the others\n", plain(contender.name));
    }
  }
  for (const MissingContender& missing : group.result.missing) {
    text += fmt::format("- not installed: {}\n", plain(missing.name));
  }
  if (group.result.interrupted) {
    text += "- interrupted: fewer rounds than asked for\n";
  }
  return text.empty() ? "" : text + '\n';
}

// One line for each group, in place of a section.
std::string overview_table(const Report& report, const std::string& publisher) {
  std::string text = heading({"", "ferry", "floor", "ferry / floor", "95% interval", plain(publisher), "/ ferry"});
  for (const OverviewLine& line : overview_of(report)) {
    text +=
        row({plain(line.job), line.ferry, line.floor, line.ratio, line.interval, line.published, line.to_published});
  }
  for (const Group& group : report.groups) {
    for (const ContenderResult& contender : group.result.contenders) {
      if (!contender.failure.empty()) {
        text +=
            fmt::format("\n- {}: {} failed: {}", plain(group.name), plain(contender.name), plain(contender.failure));
      }
    }
  }
  return text + '\n';
}

std::string title_of(const Report& report) {
  if (!report.title.empty()) {
    return report.title;
  }
  return report.groups.size() == 1 ? report.groups.front().name : report.suite;
}

std::string summary_row(const Report& report, const Group& group) {
  std::string job = plain(title_of(report));
  if (report.groups.size() > 1) {
    job += ": " + plain(group.name);
  }
  std::vector<std::string> own;
  std::vector<std::string> rivals;
  for (std::size_t i = 0; i < group.result.contenders.size(); ++i) {
    const ContenderResult& contender = group.result.contenders[i];
    if (contender.runs.empty()) {
      continue;
    }
    const std::string named = plain(contender.name) + ' ' + format_time(shown_seconds(group, contender));
    if (is_ferry(group, i)) {
      own.push_back(named);
    } else {
      rivals.push_back(named + ", " + ratio_text(time_ratio(group.result, i)));
    }
  }
  return row({job, fmt::format("{}", fmt::join(own, "; ")), fmt::format("{}", fmt::join(rivals, "; "))});
}

}  // namespace

std::string to_markdown(const Report& report, std::string_view chart) {
  std::string text = fmt::format("## {}\n\n", plain(title_of(report)));
  std::vector<Fact> facts = report.facts;
  const std::vector<std::string> versions = versions_in(report);
  if (!versions.empty()) {
    facts.push_back({"versions", fmt::format("{}", fmt::join(versions, "; "))});
  }
  facts.push_back({"machine", fmt::format("{}, load {:.2f}", describe(report.machine), report.machine.load)});
  if (!report.taken.empty()) {
    facts.push_back({"measured", report.taken});
  }
  text += facts_list(facts);
  text += fmt::format("    {}\n\n", one_line(report.command));
  if (!chart.empty()) {
    text += fmt::format("![{}]({})\n\n", plain(title_of(report)), chart);
  }
  if (const std::string publisher = published_by(report); !publisher.empty()) {
    return text + overview_table(report, publisher);
  }
  for (const Group& group : report.groups) {
    if (report.groups.size() > 1) {
      text += fmt::format("### {}\n\n", plain(group.name));
    }
    text += facts_list(group.facts);
    text += group.deterministic ? "" : times_table(group);
    text += group.counted.empty() ? "" : counts_table(group);
    text += notes(group);
  }
  return text;
}

std::string summary_markdown(std::span<const Report> reports) {
  std::string text = "| job | ferry | rivals: time, and how many times ferry's |\n|---|---|---|\n";
  for (const Report& report : reports) {
    for (const Group& group : report.groups) {
      if (!group.deterministic) {
        text += summary_row(report, group);
      }
    }
  }
  return text;
}

}  // namespace ferry::bench
