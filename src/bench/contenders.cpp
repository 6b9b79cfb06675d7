#include "bench/contenders.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <ferry/base.hpp>

namespace ferry::bench {
namespace {

void replace_all(std::string& text, std::string_view what, const std::string& with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

}  // namespace

bool takes_part(const SuiteOptions& options, const Peer& peer, bool usual) {
  if (options.peers.empty()) {
    return usual;
  }
  return std::ranges::any_of(options.peers,
                             [&peer](const std::string& name) { return name == "all" || name == peer.name; });
}

Contender command_contender(std::string name, std::string version, const Steps& steps,
                            const std::filesystem::path& target_for_show) {
  Contender contender{.name = std::move(name), .version = std::move(version), .command = {}, .run = {}, .check = {}};
  for (const Command& step : steps(target_for_show)) {
    contender.command += (contender.command.empty() ? "" : " && ") + step.to_string();
  }
  contender.run = [steps](const Turn& turn) -> Outcome<Cost> {
    Cost total;
    for (const Command& step : steps(turn.target)) {
      const auto cost = run_command(step);
      if (!cost) {
        return cost;
      }
      total += *cost;
    }
    return total;
  };
  return contender;
}

Command ferry_command(std::vector<std::string> words) {
  words.insert(words.begin(), "ferry");
  return {.program = "/proc/self/exe", .words = std::move(words)};
}

Command custom_command(const CustomRival& rival, const std::filesystem::path& source,
                       const std::filesystem::path& target) {
  std::string line = rival.command;
  replace_all(line, "{src}", ferry::quoted(source.native()));
  replace_all(line, "{dst}", ferry::quoted(target.native()));
  return {.program = "/bin/sh", .words = {"sh", "-c", line}};
}

Outcome<void> prepare_caches(const SuiteOptions& options, const std::filesystem::path& source) {
  settle(options.to);
  return options.cold ? make_cold(source, cold_method()) : Outcome<void>{};
}

Fact cache_fact(const SuiteOptions& options) {
  return {"caches", options.cold ? fmt::format("cold: {}", to_string(cold_method()))
                                 : "warm: the source was read before the first run"};
}

std::string describe_place(const std::filesystem::path& path) {
  return fmt::format("{} ({})", path.native(), file_system_of(path));
}

std::string ferry_version() { return fmt::format("ferry {}", version()); }

}  // namespace ferry::bench
