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

Summary wall_seconds(const ContenderResult& contender) {
  return summary_of(contender, [](const Cost& run) { return Seconds(run.wall).count(); });
}

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

double quickest_median(const Report& report) {
  double quickest = 0;
  for (const ContenderResult& contender : report.result.contenders) {
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

Row row_of(const Report& report, std::size_t index, const TimeUnit& unit) {
  const ContenderResult& contender = report.result.contenders[index];
  if (contender.runs.empty()) {
    return {contender.name, contender.failure.empty() ? "no round finished" : "FAILED: " + contender.failure};
  }
  const Summary wall = wall_seconds(contender);
  const Summary user = summary_of(contender, [](const Cost& run) { return Seconds(run.user).count(); });
  const Summary system = summary_of(contender, [](const Cost& run) { return Seconds(run.system).count(); });
  const Summary memory = summary_of(contender, [](const Cost& run) { return static_cast<double>(run.max_rss_bytes); });
  const double scale = unit.per_second / (report.time_per_unit ? report.units_per_run : 1);
  const auto ratio = time_ratio(report.result, index);
  const auto percent = [&wall](double seconds) { return fmt::format("{:.0f}%", 100 * seconds / wall.median); };
  return {contender.name,
          format_number(wall.median * scale),
          format_number(wall.minimum * scale),
          format_number(wall.maximum * scale),
          format_number(wall.mad * scale) + (wall.outliers > 0 ? "!" : ""),
          fmt::format("{:.0f}", report.units_per_run / wall.median),
          percent(user.median),
          percent(system.median),
          format_size(static_cast<std::uint64_t>(memory.maximum)),
          ratio ? fmt::format("{:.2f}x", *ratio) : "-"};
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

std::string measurements_table(const Report& report) {
  const double quickest = quickest_median(report) / (report.time_per_unit ? report.units_per_run : 1);
  const TimeUnit unit = unit_for(quickest);
  std::vector<Row> rows = {{"contender", fmt::format("median {}", unit.name), "min", "max", "MAD", report.unit + "/s",
                            "user", "system", "RSS", "time/ferry"}};
  for (std::size_t i = 0; i < report.result.contenders.size(); ++i) {
    rows.push_back(row_of(report, i, unit));
  }
  return align(rows);
}

bool has_outliers(const JobResult& result) {
  return std::ranges::any_of(result.contenders,
                             [](const ContenderResult& contender) { return wall_seconds(contender).outliers > 0; });
}

std::string notes(const Report& report) {
  std::string text;
  for (const MissingContender& missing : report.result.missing) {
    text += fmt::format("missing: {} - brought by {}; ./dev bench --install-rivals\n", missing.name, missing.package);
  }
  if (has_outliers(report.result)) {
    text += "! a round differs much from the others: something else was using this machine\n";
  }
  if (report.result.interrupted) {
    text += "INTERRUPTED: fewer rounds than asked for\n";
  }
  return text;
}

// ---------------------------------------------------------------------------------------------- JSON

Json to_json(const Summary& summary) {
  return {{"count", summary.count}, {"median", summary.median}, {"min", summary.minimum},
          {"max", summary.maximum}, {"mad", summary.mad},       {"outliers", summary.outliers}};
}

Json to_json(const Cost& run) {
  return {{"wall_ns", run.wall.count()},
          {"user_ns", run.user.count()},
          {"system_ns", run.system.count()},
          {"max_rss_bytes", run.max_rss_bytes},
          {"device_bytes_written", run.device_bytes_written},
          {"voluntary_switches", run.voluntary_switches},
          {"involuntary_switches", run.involuntary_switches}};
}

Json contender_json(const JobResult& result, std::size_t index) {
  const ContenderResult& contender = result.contenders[index];
  Json json = {{"name", contender.name}, {"version", contender.version}, {"command", contender.command}};
  if (!contender.failure.empty()) {
    json["status"] = "failed";
    json["error"] = contender.failure;
    return json;
  }
  json["status"] = contender.runs.empty() ? "not measured" : "ok";
  json["wall_seconds"] = to_json(wall_seconds(contender));
  const auto ratio = time_ratio(result, index);
  json["time_ratio_to_ferry"] = ratio ? Json(*ratio) : Json(nullptr);
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

}  // namespace

std::optional<double> time_ratio(const JobResult& result, std::size_t contender) {
  const double base = wall_seconds(result.contenders.front()).median;
  const double own = wall_seconds(result.contenders.at(contender)).median;
  return base > 0 && own > 0 ? std::optional(own / base) : std::nullopt;
}

std::string to_table(const Report& report) {
  std::vector<Row> head = {
      {"ferry bench", report.result.name},
      {"machine", fmt::format("{} cores{}{}, {} memory, {}, load {:.2f}", report.machine.cores,
                              report.machine.processor.empty() ? "" : ", ", report.machine.processor,
                              format_size(report.machine.memory_bytes), report.machine.kernel, report.machine.load)}};
  for (const Fact& fact : report.facts) {
    head.push_back({fact.name, fact.value});
  }
  std::vector<std::string> versions;
  for (const ContenderResult& contender : report.result.contenders) {
    if (!contender.version.empty() && std::ranges::find(versions, contender.version) == versions.end()) {
      head.push_back({versions.empty() ? "versions" : "", contender.version});
      versions.push_back(contender.version);
    }
  }
  head.push_back({"repeat with", report.command});
  std::size_t width = 0;
  for (const Row& row : head) {
    width = std::max(width, row[0].size());
  }
  std::string text;
  for (const Row& row : head) {
    text += fmt::format("{:<{}}  {}\n", row[0], width, row[1]);
  }
  return text + '\n' + measurements_table(report) + notes(report);
}

std::string to_json(const Report& report) {
  Json json = {{"schema", json_schema_version},
               {"ferry_version", std::string(version())},
               {"suite", report.suite},
               {"job", report.result.name},
               {"command", report.command},
               {"machine", machine_json(report.machine)},
               {"interrupted", report.result.interrupted},
               {"unit", report.unit},
               {"units_per_run", report.units_per_run}};
  json["facts"] = Json::object();
  for (const Fact& fact : report.facts) {
    json["facts"][fact.name] = fact.value;
  }
  json["contenders"] = Json::array();
  for (std::size_t i = 0; i < report.result.contenders.size(); ++i) {
    json["contenders"].push_back(contender_json(report.result, i));
  }
  json["missing"] = Json::array();
  for (const MissingContender& missing : report.result.missing) {
    json["missing"].push_back({{"name", missing.name}, {"package", missing.package}});
  }
  // Paths may hold any byte; JSON may not.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace ferry::bench
