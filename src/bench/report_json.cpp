#include "bench/report_json.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <ferry/base.hpp>
#include <nlohmann/json.hpp>

#include "bench/statistics.hpp"

namespace ferry::bench {
namespace {

using Json = nlohmann::ordered_json;

// ---------------------------------------------------------------------------------------------- writing

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
  if (!contender.runs.empty()) {
    json["wall_seconds"] = to_json(summarize(wall_seconds(contender)));
  }
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
  if (!group.published.empty()) {
    json["published"] = Json::array();
  }
  for (const Published& published : group.published) {
    json["published"].push_back({{"name", published.name},
                                 {"least_seconds", published.least_seconds},
                                 {"most_seconds", published.most_seconds}});
  }
  return json;
}

// ---------------------------------------------------------------------------------------------- reading

constexpr std::uint64_t document_limit = std::uint64_t{64} << 20U;
constexpr std::uint64_t largest_count = std::uint64_t{1} << 53U;  // what JSON numbers hold exactly everywhere
constexpr std::uint64_t longest_ns = std::uint64_t{100} * 86'400 * 1'000'000'000;

/// A place in the document. What is not as it should be is kept as the document's error, the first one only, and read
/// as empty: so a reader reads on, and asks once at its end.
class Place {
 public:
  Place(const Json& value, std::string path, std::string& error)
      : value_(&value), path_(std::move(path)), error_(&error) {}

  [[nodiscard]] Place operator[](const char* name) const {
    static const Json nothing;
    const std::string path = path_.empty() ? name : path_ + '.' + name;
    if (!value_->is_object()) {
      complain("is not an object");
      return {nothing, path, *error_};
    }
    const auto found = value_->find(name);
    if (found == value_->end()) {
      Place(nothing, path, *error_).complain("is missing");
      return {nothing, path, *error_};
    }
    return {*found, path, *error_};
  }

  [[nodiscard]] bool has(const char* name) const { return value_->is_object() && value_->contains(name); }
  [[nodiscard]] bool is_null() const { return value_->is_null(); }

  [[nodiscard]] std::vector<Place> items() const {
    std::vector<Place> places;
    if (!value_->is_array()) {
      complain("is not an array");
      return places;
    }
    for (std::size_t i = 0; i < value_->size(); ++i) {
      places.emplace_back((*value_)[i], fmt::format("{}[{}]", path_, i), *error_);
    }
    return places;
  }

  /// The members of an object, with their names.
  [[nodiscard]] std::vector<std::pair<std::string, Place>> members() const {
    std::vector<std::pair<std::string, Place>> places;
    if (!value_->is_object()) {
      complain("is not an object");
      return places;
    }
    for (const auto& [name, value] : value_->items()) {
      places.emplace_back(name, Place(value, path_ + '.' + name, *error_));
    }
    return places;
  }

  [[nodiscard]] std::string text() const {
    if (!value_->is_string()) {
      complain("is not a text");
      return {};
    }
    return value_->get<std::string>();
  }

  [[nodiscard]] bool flag() const {
    if (!value_->is_boolean()) {
      complain("is neither true nor false");
      return false;
    }
    return value_->get<bool>();
  }

  [[nodiscard]] std::uint64_t count(std::uint64_t least, std::uint64_t most) const {
    const bool whole = value_->is_number_unsigned();
    const std::uint64_t value = whole ? value_->get<std::uint64_t>() : 0;
    if (!whole || value < least || value > most) {
      complain(fmt::format("is not a whole number from {} to {}", least, most));
      return least;
    }
    return value;
  }

  [[nodiscard]] std::optional<std::uint64_t> known_count(std::uint64_t least, std::uint64_t most) const {
    return is_null() ? std::nullopt : std::optional(count(least, most));
  }

  [[nodiscard]] double figure(double most) const {
    const double value = value_->is_number() ? value_->get<double>() : -1;
    if (value < 0 || value > most) {  // JSON has no NaN
      complain(fmt::format("is not a number from 0 to {:g}", most));
      return 0;
    }
    return value;
  }

  void complain(const std::string& what) const {
    if (error_->empty()) {
      *error_ = (path_.empty() ? "the document" : path_) + ' ' + what;
    }
  }

 private:
  const Json* value_;
  std::string path_;
  std::string* error_;
};

std::chrono::nanoseconds nanoseconds_at(const Place& place, std::uint64_t least) {
  return std::chrono::nanoseconds(place.count(least, longest_ns));
}

Cost cost_at(const Place& place) {
  return {.wall = nanoseconds_at(place["wall_ns"], 1),
          .user = nanoseconds_at(place["user_ns"], 0),
          .system = nanoseconds_at(place["system_ns"], 0),
          .max_rss_bytes = place["max_rss_bytes"].count(0, largest_count),
          .tree_rss_bytes = place["tree_rss_bytes"].known_count(0, largest_count),
          .device_bytes_written = place["device_bytes_written"].count(0, largest_count),
          .voluntary_switches = place["voluntary_switches"].count(0, largest_count),
          .involuntary_switches = place["involuntary_switches"].count(0, largest_count),
          .cache = {.loads = place["cache_loads"].known_count(0, largest_count),
                    .stores = place["cache_stores"].known_count(0, largest_count),
                    .misses = place["cache_misses"].known_count(0, largest_count)}};
}

ContenderResult contender_at(const Place& place) {
  ContenderResult contender{.name = place["name"].text(),
                            .version = place["version"].text(),
                            .command = place["command"].text(),
                            .runs = {},
                            .failure = {},
                            .counts = {}};
  const std::string status = place["status"].text();
  if (status == "failed") {
    contender.failure = place["error"].text();
    if (contender.failure.empty()) {
      contender.failure = "failed";
    }
    return contender;
  }
  if (status != "ok" && status != "not measured") {
    place["status"].complain("is none of ok, failed, not measured");
  }
  for (const auto& [name, value] : place["counts"].members()) {
    contender.counts.push_back({.name = name, .per_unit = value.figure(1e18)});
  }
  for (const Place& run : place["runs"].items()) {
    contender.runs.push_back(cost_at(run));
  }
  if ((status == "ok") == (contender.runs.empty() && contender.counts.empty())) {
    place["status"].complain("contradicts the runs");
  }
  return contender;
}

std::vector<Fact> facts_at(const Place& place) {
  std::vector<Fact> facts;
  for (const auto& [name, value] : place.members()) {
    facts.push_back({.name = name, .value = value.text()});
  }
  return facts;
}

// Comparisons go by names, so they must be there once.
template <typename List>
void check_names(const List& list, const Place& place) {
  std::set<std::string> names;
  for (const auto& each : list) {
    if (!names.insert(each.name).second) {
      place.complain("holds twice: " + ferry::quoted(each.name));
    }
  }
  if (names.contains("")) {
    place.complain("holds one without a name");
  }
}

Group group_at(const Place& place) {
  Group group{.name = place["name"].text(),
              .result = {},
              .facts = facts_at(place["facts"]),
              .units_per_run = place["units_per_run"].figure(1e18),
              .unit = place["unit"].text(),
              .time_per_unit = place["time_per_unit"].flag(),
              .counted = place["counted"].text(),
              .deterministic = place["deterministic"].flag(),
              .size_bytes = place["size_bytes"].known_count(1, largest_count)};
  if (group.units_per_run <= 0) {
    place["units_per_run"].complain("is not over 0");
    group.units_per_run = 1;
  }
  group.result.interrupted = place["interrupted"].flag();
  for (const Place& contender : place["contenders"].items()) {
    group.result.contenders.push_back(contender_at(contender));
  }
  check_names(group.result.contenders, place["contenders"]);
  if (group.result.contenders.empty()) {
    place["contenders"].complain("is empty");
  }
  for (const Place& missing : place["missing"].items()) {
    group.result.missing.push_back({.name = missing["name"].text(), .package = missing["package"].text()});
  }
  if (place.has("published")) {
    for (const Place& published : place["published"].items()) {
      group.published.push_back({.name = published["name"].text(),
                                 .least_seconds = published["least_seconds"].figure(1e9),
                                 .most_seconds = published["most_seconds"].figure(1e9)});
    }
  }
  return group;
}

Machine machine_at(const Place& place) {
  return {.kernel = place["kernel"].text(),
          .processor = place["processor"].text(),
          .cores = static_cast<unsigned>(place["cores"].count(1, 1'000'000)),
          .memory_bytes = place["memory_bytes"].count(0, largest_count),
          .load = place["load_1_minute"].figure(1e6)};
}

Report report_at(const Place& place) {
  Report report{.suite = place["suite"].text(),
                .command = place["command"].text(),
                .machine = machine_at(place["machine"]),
                .facts = facts_at(place["facts"]),
                .groups = {},
                .interrupted = place["interrupted"].flag(),
                .title = place["title"].text(),
                .ferry_version = place["ferry_version"].text(),
                .taken = place["taken"].text()};
  for (const Place& group : place["groups"].items()) {
    report.groups.push_back(group_at(group));
  }
  check_names(report.groups, place["groups"]);
  return report;
}

Outcome<void> check_schema(const Json& json) {
  if (!json.is_object() || !json.contains("schema") || !json.contains("ferry_version")) {
    return std::unexpected("this JSON was not written by ferry bench --json");
  }
  const Json& schema = json["schema"];
  if (!schema.is_number_integer() || schema.get<std::int64_t>() != json_schema_version) {
    return std::unexpected(
        fmt::format("its schema is {}, this ferry reads {}: measure again with the same version of ferry",
                    schema.dump(-1, ' ', true, Json::error_handler_t::replace), json_schema_version));
  }
  return {};
}

}  // namespace

std::string to_json(const Report& report) {
  Json json = {{"schema", json_schema_version},
               {"ferry_version", report.ferry_version},
               {"suite", report.suite},
               {"title", report.title},
               {"command", report.command},
               {"taken", report.taken},
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

Outcome<Report> report_from_json(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) {
    return std::unexpected("not JSON, or cut off");
  }
  if (auto right = check_schema(json); !right) {
    return std::unexpected(right.error());
  }
  std::string error;
  Report report = report_at(Place(json, "", error));
  if (!error.empty()) {
    return std::unexpected(error);
  }
  return report;
}

Outcome<Report> read_report(const std::filesystem::path& path) {
  const std::string name = ferry::quoted(path.native());
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path)) {
    return failed("cannot read " + name, file ? EISDIR : errno);
  }
  std::string text;
  std::vector<char> piece(std::size_t{1} << 16U);
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())), file.gcount() > 0) {
    text.append(piece.data(), static_cast<std::size_t>(file.gcount()));
    if (text.size() > document_limit) {
      return std::unexpected(name + ": too large for a report");
    }
  }
  if (file.bad()) {
    return failed("cannot read " + name, errno);
  }
  auto report = report_from_json(text);
  if (!report) {
    return std::unexpected(name + ": " + report.error());
  }
  return report;
}

Outcome<std::vector<std::filesystem::path>> report_files(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    return std::vector{path};
  }
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == ".json") {
      files.push_back(entry->path());
    }
  }
  if (error) {
    return std::unexpected("cannot read " + ferry::quoted(path.native()) + ": " + error.message());
  }
  if (files.empty()) {
    return std::unexpected("no *.json in " + ferry::quoted(path.native()));
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace ferry::bench
