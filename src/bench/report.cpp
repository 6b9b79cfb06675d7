#include "bench/report.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>

#include <fmt/format.h>
#include <ferry/base.hpp>
#include <nlohmann/json.hpp>

#include "bench/statistics.hpp"

namespace ferry::bench {
namespace {

using Json = nlohmann::ordered_json;
using Seconds = std::chrono::duration<double>;

template <typename Field>
Summary summary_of(const ContenderResult& contender, Field field) {
  std::vector<double> values;
  values.reserve(contender.runs.size());
  for (const Cost& run : contender.runs) {
    values.push_back(field(run));
  }
  return summarize(values);
}

std::vector<double> wall_times(const ContenderResult& contender) {
  std::vector<double> seconds;
  seconds.reserve(contender.runs.size());
  for (const Cost& run : contender.runs) {
    seconds.push_back(Seconds(run.wall).count());
  }
  return seconds;
}

Summary wall_seconds(const ContenderResult& contender) { return summarize(wall_times(contender)); }

// ---------------------------------------------------------------------------------------------- the table

struct TimeUnit {
  std::string_view name;
  double per_second;
};

// One unit for the whole table, so that columns can be compared by eye: that of its quickest row.
TimeUnit unit_for(double seconds) {
  constexpr std::array<TimeUnit, 4> units = {{{"s", 1}, {"ms", 1e3}, {"us", 1e6}, {"ns", 1e9}}};
  const auto* const found =
      std::ranges::find_if(units, [seconds](const TimeUnit& unit) { return seconds * unit.per_second >= 1; });
  return found == units.end() ? units.back() : *found;
}

double quickest_median(const Group& group) {
  double quickest = 0;
  for (const ContenderResult& contender : group.result.contenders) {
    const double median = wall_seconds(contender).median;
    if (median > 0 && (quickest == 0 || median < quickest)) {
      quickest = median;
    }
  }
  return quickest;
}

std::string format_number(double value) {
  int decimals = 3;  // four digits that count
  for (double limit = 10; decimals > 0 && value >= limit; limit *= 10) {
    --decimals;
  }
  return fmt::format("{:.{}f}", value, decimals);
}

using Row = std::vector<std::string>;

std::uint64_t rss_of(const Cost& run) { return run.tree_rss_bytes.value_or(run.max_rss_bytes); }

// What one core would do in a second of processor time.
std::string per_core(double units, double processor_seconds) {
  return processor_seconds > 0 ? fmt::format("{:.0f}", units / processor_seconds) : "-";
}

std::string format_ratio(const Ratio& ratio) {
  if (!ratio.confidence) {
    return fmt::format("{:.2f}x", ratio.value);
  }
  return fmt::format("{:.2f}x {:.2f}-{:.2f}{}", ratio.value, ratio.confidence->low, ratio.confidence->high,
                     ratio.shows_difference() ? "" : " ~");
}

Row row_of(const Group& group, std::size_t index, const TimeUnit& unit) {
  const ContenderResult& contender = group.result.contenders[index];
  if (contender.runs.empty()) {
    return {contender.name, contender.failure.empty() ? "no round finished" : "FAILED: " + contender.failure};
  }
  const Summary wall = wall_seconds(contender);
  const Summary user = summary_of(contender, [](const Cost& run) { return Seconds(run.user).count(); });
  const Summary system = summary_of(contender, [](const Cost& run) { return Seconds(run.system).count(); });
  const Summary memory = summary_of(contender, [](const Cost& run) { return static_cast<double>(rss_of(run)); });
  const double scale = unit.per_second / (group.time_per_unit ? group.units_per_run : 1);
  const auto ratio = time_ratio(group.result, index);
  const auto percent = [&wall](double seconds) { return fmt::format("{:.0f}%", 100 * seconds / wall.median); };
  return {contender.name,
          format_number(wall.median * scale),
          format_number(wall.minimum * scale),
          format_number(wall.maximum * scale),
          format_number(wall.mad * scale) + (wall.outliers > 0 ? "!" : ""),
          fmt::format("{:.0f}", group.units_per_run / wall.median),
          per_core(group.units_per_run, user.median + system.median),
          percent(user.median),
          percent(system.median),
          percent(user.median + system.median),
          format_size(static_cast<std::uint64_t>(memory.maximum)),
          ratio ? format_ratio(*ratio) : "-"};
}

// The first column is text and goes to the left, numbers to the right. A row with fewer cells than the header ends
// with text and takes no part in the widths.
std::string align(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size() && (i == 0 || row.size() == widths.size()); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i == 0) {
        line += fmt::format("{:<{}}", row[i], widths[i]);
      } else {
        line += row.size() == widths.size() ? fmt::format("  {:>{}}", row[i], widths[i]) : "  " + row[i];
      }
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::string counts_table(const Group& group) {
  std::vector<Row> rows = {{group.counted, ""}};
  for (const ContenderResult& contender : group.result.contenders) {
    std::string line;
    for (const Count& count : contender.counts) {
      line += fmt::format("{}{} {:.3f}", line.empty() ? "" : ", ", count.name, count.per_unit);
    }
    rows.push_back({contender.name, contender.failure.empty() ? line : "FAILED: " + contender.failure});
  }
  return align(rows);
}

std::string measurements_table(const Group& group) {
  if (group.deterministic) {
    return counts_table(group);
  }
  const double quickest = quickest_median(group) / (group.time_per_unit ? group.units_per_run : 1);
  const TimeUnit unit = unit_for(quickest);
  std::vector<Row> rows = {{"contender", fmt::format("median {}", unit.name), "min", "max", "MAD", group.unit + "/s",
                            "/s/core", "user", "system", "total", "RSS", "time/ferry"}};
  for (std::size_t i = 0; i < group.result.contenders.size(); ++i) {
    rows.push_back(row_of(group, i, unit));
  }
  return align(rows) + (group.counted.empty() ? "" : '\n' + counts_table(group));
}

bool has_outliers(const JobResult& result) {
  return std::ranges::any_of(result.contenders,
                             [](const ContenderResult& contender) { return wall_seconds(contender).outliers > 0; });
}

bool has_undecided(const JobResult& result) {
  for (std::size_t i = 1; i < result.contenders.size(); ++i) {
    const auto ratio = time_ratio(result, i);
    if (ratio && ratio->confidence && !ratio->shows_difference()) {
      return true;
    }
  }
  return false;
}

std::string notes(const Group& group) {
  std::string text;
  for (const MissingContender& missing : group.result.missing) {
    text += fmt::format("missing: {} - brought by {}; ./dev bench --install-rivals\n", missing.name, missing.package);
  }
  if (has_undecided(group.result)) {
    text += "~ no difference shown: the 95% confidence interval of the ratio includes 1\n";
  }
  if (has_outliers(group.result)) {
    text += "! a round differs much from the others: something else was using this machine\n";
  }
  if (group.result.interrupted) {
    text += "INTERRUPTED: fewer rounds than asked for\n";
  }
  return text;
}

// ---------------------------------------------------------------------------------------------- JSON

Json to_json(const Summary& summary) {
  return {{"count", summary.count}, {"median", summary.median}, {"min", summary.minimum},
          {"max", summary.maximum}, {"mad", summary.mad},       {"outliers", summary.outliers}};
}

Json known(const std::optional<std::uint64_t>& value) { return value ? Json(*value) : Json(nullptr); }

Json to_json(const Cost& run) {
  return {{"wall_ns", run.wall.count()},
          {"user_ns", run.user.count()},
          {"system_ns", run.system.count()},
          {"max_rss_bytes", run.max_rss_bytes},
          {"tree_rss_bytes", known(run.tree_rss_bytes)},
          {"device_bytes_written", run.device_bytes_written},
          {"voluntary_switches", run.voluntary_switches},
          {"involuntary_switches", run.involuntary_switches},
          {"cache_loads", known(run.cache.loads)},
          {"cache_stores", known(run.cache.stores)},
          {"cache_misses", known(run.cache.misses)}};
}

Json to_json(const Ratio& ratio) {
  Json json = {{"value", ratio.value}};
  json["confidence_95"] =
      ratio.confidence ? Json::array({ratio.confidence->low, ratio.confidence->high}) : Json(nullptr);
  return json;
}

Json to_json(const std::vector<Count>& counts) {
  Json json = Json::object();
  for (const Count& count : counts) {
    json[count.name] = count.per_unit;
  }
  return json;
}

Json contender_json(const JobResult& result, std::size_t index) {
  const ContenderResult& contender = result.contenders[index];
  Json json = {{"name", contender.name}, {"version", contender.version}, {"command", contender.command}};
  if (!contender.failure.empty()) {
    json["status"] = "failed";
    json["error"] = contender.failure;
    return json;
  }
  json["status"] = contender.runs.empty() && contender.counts.empty() ? "not measured" : "ok";
  json["counts"] = to_json(contender.counts);
  json["wall_seconds"] = to_json(wall_seconds(contender));
  const auto ratio = time_ratio(result, index);
  json["time_ratio_to_ferry"] = ratio ? to_json(*ratio) : Json(nullptr);
  json["runs"] = Json::array();
  for (const Cost& run : contender.runs) {
    json["runs"].push_back(to_json(run));
  }
  return json;
}

Json machine_json(const Machine& machine) {
  return {{"kernel", machine.kernel},
          {"processor", machine.processor},
          {"cores", machine.cores},
          {"memory_bytes", machine.memory_bytes},
          {"load_1_minute", machine.load}};
}

Json facts_json(const std::vector<Fact>& facts) {
  Json json = Json::object();
  for (const Fact& fact : facts) {
    json[fact.name] = fact.value;
  }
  return json;
}

Json group_json(const Group& group) {
  Json json = {{"name", group.name},
               {"interrupted", group.result.interrupted},
               {"unit", group.unit},
               {"units_per_run", group.units_per_run},
               {"time_per_unit", group.time_per_unit},
               {"counted", group.counted},
               {"deterministic", group.deterministic},
               {"size_bytes", known(group.size_bytes)},
               {"facts", facts_json(group.facts)}};
  json["contenders"] = Json::array();
  for (std::size_t i = 0; i < group.result.contenders.size(); ++i) {
    json["contenders"].push_back(contender_json(group.result, i));
  }
  json["missing"] = Json::array();
  for (const MissingContender& missing : group.result.missing) {
    json["missing"].push_back({{"name", missing.name}, {"package", missing.package}});
  }
  return json;
}

// Versions of everyone who takes part, each once.
std::vector<std::string> versions_in(const Report& report) {
  std::vector<std::string> versions;
  for (const Group& group : report.groups) {
    for (const ContenderResult& contender : group.result.contenders) {
      if (!contender.version.empty() && std::ranges::find(versions, contender.version) == versions.end()) {
        versions.push_back(contender.version);
      }
    }
  }
  return versions;
}

// Names to the left, values in one column.
std::string list_facts(const std::vector<Fact>& facts) {
  std::size_t width = 0;
  for (const Fact& fact : facts) {
    width = std::max(width, fact.name.size());
  }
  std::string text;
  for (const Fact& fact : facts) {
    text += fmt::format("{:<{}}  {}\n", fact.name, width, fact.value);
  }
  return text;
}

}  // namespace

std::optional<Ratio> time_ratio(const JobResult& result, std::size_t contender) {
  const bool measured = !result.contenders.front().runs.empty();
  if (contender == 0) {
    return measured ? std::optional(Ratio{.value = 1}) : std::nullopt;
  }
  return ratio_of_medians(wall_times(result.contenders.at(contender)), wall_times(result.contenders.front()));
}

std::string to_table(const Report& report) {
  std::vector<Fact> head = {
      {"ferry bench", report.suite},
      {"machine", fmt::format("{} cores{}{}, {} memory, {}, load {:.2f}", report.machine.cores,
                              report.machine.processor.empty() ? "" : ", ", report.machine.processor,
                              format_size(report.machine.memory_bytes), report.machine.kernel, report.machine.load)}};
  head.insert(head.end(), report.facts.begin(), report.facts.end());
  for (const std::string& found : versions_in(report)) {
    head.push_back({head.back().name == "versions" || head.back().name.empty() ? "" : "versions", found});
  }
  head.push_back({"repeat with", report.command});
  std::string text = list_facts(head);
  for (const Group& group : report.groups) {
    text += '\n' + group.name + '\n' + list_facts(group.facts) + measurements_table(group) + notes(group);
  }
  return text + (report.interrupted ? "INTERRUPTED: not everything was measured\n" : "");
}

std::string to_json(const Report& report) {
  Json json = {{"schema", json_schema_version},
               {"ferry_version", std::string(version())},
               {"suite", report.suite},
               {"command", report.command},
               {"machine", machine_json(report.machine)},
               {"interrupted", report.interrupted},
               {"facts", facts_json(report.facts)}};
  json["groups"] = Json::array();
  for (const Group& group : report.groups) {
    json["groups"].push_back(group_json(group));
  }
  // Paths may hold any byte; JSON may not.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace ferry::bench
