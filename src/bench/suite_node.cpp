// The Node.js package against what Node and Bun have themselves, in the same process.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/contenders.hpp"
#include "bench/fingerprint.hpp"
#include "bench/listing.hpp"
#include "bench/script_peer.hpp"
#include "bench/suites.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;

constexpr FileSet large_tree{.files = 13'000, .file_bytes = 4096, .directories = 130};

enum class NodeJob : std::uint8_t { small_tree_over_a_copy, large_tree_fresh, large_tree_listed };

std::string title_of(NodeJob job) {
  switch (job) {
    case NodeJob::small_tree_over_a_copy: return "9 files over an existing copy";
    case NodeJob::large_tree_fresh: return "13 000 files of 4 KiB in 130 directories, to a fresh name";
    case NodeJob::large_tree_listed: return "the 13 000 files listed with their types";
  }
  return {};
}

// What the first contender and the last one have in common but for the functions: the process, the arguments.
std::vector<Contender> contenders_of(const Peer& peer, const FoundPeer& found, NodeJob job, ScriptPeer process) {
  const bool lists = job == NodeJob::large_tree_listed;
  const auto script = std::make_shared<ScriptPeer>(std::move(process));
  const std::string call = lists ? "readdirSync(source, {recursive: true, withFileTypes: true})"
                                 : "cpSync(source, target, {recursive: true, force: true})";
  const std::string what = lists ? "readdirSync" : "cpSync";
  const auto contender = [&](std::string name, std::string version, std::string command, ScriptApi api) {
    return Contender{.name = std::move(name),
                     .version = std::move(version),
                     .command = std::move(command),
                     .run = [script, api](const Turn& turn) { return script->run(turn, api); },
                     .check = {}};
  };
  std::vector<Contender> contenders = {
      contender("ferry-native " + what, ferry_version(), "ferry." + call, ScriptApi::ferry)};
  if (!lists) {
    contenders.push_back(contender("ferry-native cpSync, atomic", ferry_version(),
                                   "ferry.cpSync(source, target, {recursive: true, force: true, atomic: true})",
                                   ScriptApi::ferry_atomic));
  }
  contenders.push_back(
      contender(fmt::format("{} {}", peer.name, what), version_of(peer, found), "fs." + call, ScriptApi::fs));
  return contenders;
}

// How the target is made ready, and its content checked, by each contender of the job alike.
Outcome<void> prepare(Job& job, NodeJob which, const fs::path& source) {
  if (which == NodeJob::large_tree_listed) {
    const auto expected = listing_of(source);
    if (!expected) {
      return std::unexpected(expected.error());
    }
    for (Contender& contender : job.contenders) {
      contender.check = [list = *expected](const Turn& turn) { return check_listing(list, turn.target); };
    }
    return {};
  }
  const auto expected = fingerprint_of(source, Fidelity::content);
  if (!expected) {
    return std::unexpected(expected.error());
  }
  for (Contender& contender : job.contenders) {
    if (which == NodeJob::small_tree_over_a_copy) {
      contender.set_up = [source](const Turn& turn) { return make_stale_copy(source, turn.target); };
    }
    contender.check = [source, print = *expected](const Turn& turn) {
      return check_copy(source, print, turn.target, Fidelity::content);
    };
  }
  return {};
}

Outcome<Group> measure(const std::string& name, const Peer& peer, NodeJob which, const NodeSuite& suite,
                       const SuiteOptions& options, const Session& session) {
  const auto from = ScratchDirectory::create(options.from);
  const auto to = from ? ScratchDirectory::create(options.to) : std::unexpected(from.error());
  if (!to) {
    return std::unexpected(to.error());
  }
  const fs::path source = from->path() / "source";
  const bool small = which == NodeJob::small_tree_over_a_copy;
  if (auto made = small ? make_small_tree(source) : make_file_set(source, large_tree, &session.interrupted); !made) {
    return std::unexpected(made.error());
  }
  Job job{.name = name,
          .contenders = {},
          .missing = {},
          .target_directory = to->path(),
          .warm_ups = options.warm_ups,
          .rounds = options.rounds,
          .repetitions = small ? suite.copies : 1};
  const auto found = find_peer(peer);
  if (found) {
    auto process =
        ScriptPeer::start(found->program, which == NodeJob::large_tree_listed ? ScriptWork::list : ScriptWork::copy,
                          source, fs::absolute(suite.package));
    if (!process) {
      return std::unexpected(process.error());
    }
    job.contenders = contenders_of(peer, *found, which, std::move(*process));
  } else {
    job.missing.push_back({std::string(peer.name), std::string(peer.package)});
  }
  if (auto prepared = prepare(job, which, source); !prepared) {
    return std::unexpected(prepared.error());
  }
  Group group{.name = name,
              .facts = {{"source", describe_place(options.from)},
                        {"target", describe_place(options.to)},
                        {"times",
                         fmt::format("per {}; {}; all in one process",
                                     which == NodeJob::large_tree_listed ? "list" : "copy", describe_rounds(options))}},
              .units_per_run = static_cast<double>(job.repetitions),
              .unit = which == NodeJob::large_tree_listed ? "lists" : "copies",
              .time_per_unit = true};
  group.result = run_job(job, session.tell, session.interrupted);
  return group;
}

}  // namespace

Plan plan_node(const NodeSuite& suite, const SuiteOptions& options) {
  Plan plan{.report = begin_report("node", options), .groups = {}};
  for (const Peer* const peer : {&node_peer, &bun_peer}) {
    if (!takes_part(options, *peer)) {
      continue;
    }
    for (const NodeJob job : {NodeJob::small_tree_over_a_copy, NodeJob::large_tree_fresh, NodeJob::large_tree_listed}) {
      const std::string name = fmt::format("{}: {}", peer->name, title_of(job));
      plan.groups.push_back(
          {.name = name,
           .can_run = [=] { return require_space(options.to, large_tree.size_bytes()); },
           .measure = [=](const Session& session) { return measure(name, *peer, job, suite, options, session); }});
    }
  }
  return plan;
}

}  // namespace ferry::bench
