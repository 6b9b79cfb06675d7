#include "bench/report.hpp"

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "bench/quantities.hpp"

namespace ferry::bench {

std::vector<double> wall_seconds(const ContenderResult& contender) {
  std::vector<double> seconds;
  seconds.reserve(contender.runs.size());
  for (const Cost& run : contender.runs) {
    seconds.push_back(std::chrono::duration<double>(run.wall).count());
  }
  return seconds;
}

std::optional<Ratio> time_ratio(const JobResult& result, std::size_t contender) {
  const bool measured = !result.contenders.front().runs.empty();
  if (contender == 0) {
    return measured ? std::optional(Ratio{.value = 1}) : std::nullopt;
  }
  return ratio_of_medians(wall_seconds(result.contenders.at(contender)), wall_seconds(result.contenders.front()));
}

double shown_units(const Group& group) { return group.time_per_unit ? group.units_per_run : 1; }

std::string format_published(const Published& published) {
  const std::string most = format_time(published.most_seconds);
  return published.least_seconds == published.most_seconds ? most : format_time(published.least_seconds) + " - " + most;
}

bool is_ferry(const Group& group, std::size_t contender) {
  return contender == 0 || group.result.contenders.at(contender).version.starts_with("ferry ");
}

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

std::string describe(const Machine& machine) {
  return fmt::format("{} {}{}{}, {} memory, {}", machine.cores, machine.cores == 1 ? "core" : "cores",
                     machine.processor.empty() ? "" : ", ", machine.processor, format_size(machine.memory_bytes),
                     machine.kernel);
}

}  // namespace ferry::bench
