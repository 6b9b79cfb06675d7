#include "bench/contenders.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/hardware_counters.hpp"
#include "bench/system_calls.hpp"

namespace ferry::bench {
namespace {

void replace_all(std::string& text, std::string_view what, const std::string& with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

}  // namespace

bool takes_part(const SuiteOptions& options, const Peer& peer) {
  return options.peers.empty() || std::ranges::any_of(options.peers, [&peer](const std::string& name) {
           return name == "all" || name == peer.name;
         });
}

std::string version_of(const Peer& peer, const FoundPeer& found) {
  return found.version.starts_with(peer.name) ? found.version : fmt::format("{} {}", peer.name, found.version);
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
      const auto cost = run_command(step, turn.control);
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

void add_script_peer(Job& job, const Peer& peer, const SuiteOptions& options, ScriptWork work,
                     const std::filesystem::path& source) {
  if (!takes_part(options, peer)) {
    return;
  }
  const bool copies = work == ScriptWork::copy;
  const std::string name = fmt::format("{} {}", peer.name, copies ? "cpSync" : "readdirSync");
  const auto found = find_peer(peer);
  if (!found) {
    job.missing.push_back({name, std::string(peer.package)});
    return;
  }
  auto started = ScriptPeer::start(found->program, work, source);
  if (!started) {
    job.missing.push_back({name, started.error()});
    return;
  }
  const auto script = std::make_shared<ScriptPeer>(std::move(*started));
  job.contenders.push_back({.name = name,
                            .version = version_of(peer, *found),
                            .command = copies ? "fs.cpSync(source, target, {recursive: true, force: true})"
                                              : "fs.readdirSync(source, {recursive: true, withFileTypes: true})",
                            .run = [script](const Turn& turn) { return script->run(turn); },
                            .check = {}});
}

Outcome<void> prepare_caches(Caches caches, const std::filesystem::path& source,
                             const std::filesystem::path& target_directory) {
  settle(target_directory);
  return caches == Caches::cold ? make_cold(source, cold_method()) : Outcome<void>{};
}

Fact cache_fact(Caches caches) {
  return {"caches", caches == Caches::cold ? fmt::format("cold: {}", to_string(cold_method()))
                                           : "warm: the source was read before the first run"};
}

Fact counters_fact() {
  const HardwareCounters counters = HardwareCounters::of_process(0);
  return {"counters", counters.why_nothing().empty() ? "loads, stores and misses of the last-level cache"
                                                     : "not available here: " + counters.why_nothing()};
}

std::string describe_rounds(const SuiteOptions& options) {
  return fmt::format("{} round{} after {} to warm up", options.rounds, options.rounds == 1 ? "" : "s",
                     options.warm_ups);
}

Report begin_report(std::string suite, const SuiteOptions& options) {
  return {.suite = std::move(suite),
          .command = options.command_line,
          .machine = this_machine(),
          .facts = {counters_fact()},
          .groups = {}};
}

void add_system_calls(Group& group, const Job& job, std::uint64_t repetitions, const Session& session) {
  const auto tracer = find_tracer();
  if (!tracer) {
    group.facts.push_back({"system calls", "not available here: " + tracer.error()});
    return;
  }
  group.facts.push_back(
      {"system calls", fmt::format("of {} more repetitions, counted by {}", repetitions, tracer->version)});
  for (std::size_t i = 0; i < job.contenders.size() && !session.interrupted; ++i) {
    ContenderResult& result = group.result.contenders[i];
    if (!result.failure.empty()) {
      continue;
    }
    session.tell(fmt::format("{}: counting system calls: {}", group.name, result.name));
    Turn turn{.target = job.target_directory / fmt::format("traced{}", i), .repetitions = repetitions};
    turn.control.stop = &session.interrupted;
    auto counts = count_system_calls(*tracer, job.contenders[i], turn);
    if (counts) {
      result.counts = std::move(*counts);
    } else if (!session.interrupted) {
      group.facts.push_back({"not counted", fmt::format("{}: {}", result.name, counts.error())});
    }
  }
  group.result.interrupted = group.result.interrupted || session.interrupted;
}

std::string size_label(std::uint64_t bytes) {
  for (const auto& [unit, name] : {std::pair(std::uint64_t{1'000'000'000}, "GB"), {std::uint64_t{1'000'000}, "MB"}}) {
    if (bytes >= unit && bytes % unit == 0) {
      return fmt::format("{} {}", bytes / unit, name);
    }
  }
  return format_size(bytes);
}

std::string describe_place(const std::filesystem::path& path) {
  return fmt::format("{} ({})", path.native(), file_system_of(path));
}

std::string ferry_version() { return fmt::format("ferry {}", version()); }

}  // namespace ferry::bench
