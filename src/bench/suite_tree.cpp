// The loop suite: what one call of a copy function costs when the tree is small and everything is cached.
#include <filesystem>
#include <memory>
#include <system_error>

#include <fmt/format.h>
#include <ferry/base.hpp>
#include <ferry/tree.hpp>

#include "bench/contenders.hpp"
#include "bench/fingerprint.hpp"
#include "bench/script_peer.hpp"
#include "bench/suites.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;

/// One copy to `target`, through some API.
using CopyOnce = std::function<Outcome<void>(const fs::path& target)>;

Contender in_process(std::string name, std::string version, std::string command, std::uint64_t copies,
                     const CopyOnce& copy) {
  const auto loop = [copies, copy](const Turn& turn) {
    return run_in_child([&]() -> Outcome<void> {
      for (std::uint64_t i = 0; i < copies; ++i) {
        if (auto done = copy(turn.target); !done) {
          return done;
        }
      }
      return {};
    });
  };
  return {
      .name = std::move(name), .version = std::move(version), .command = std::move(command), .run = loop, .check = {}};
}

Contender ferry_contender(const fs::path& source, std::uint64_t copies, bool inplace) {
  ferry::TreeOptions options;
  options.copy.inplace = inplace;
  const CopyOnce copy = [source, options](const fs::path& target) -> Outcome<void> {
    const auto report = ferry::copy_tree(source, target, options);
    return report ? Outcome<void>{} : Outcome<void>(std::unexpected(report.error().to_string()));
  };
  return in_process(inplace ? "ferry::copy_tree in place" : "ferry::copy_tree default (atomic)", ferry_version(),
                    fmt::format("ferry::copy_tree(source, target, {{.copy = {{.inplace = {}}}}})", inplace), copies,
                    copy);
}

Contender standard_contender(const fs::path& source, std::uint64_t copies) {
  const CopyOnce copy = [source](const fs::path& target) -> Outcome<void> {
    std::error_code error;
    fs::copy(source, target, fs::copy_options::recursive | fs::copy_options::overwrite_existing, error);
    return error ? Outcome<void>(std::unexpected(error.message())) : Outcome<void>{};
  };
  return in_process("std::filesystem::copy", standard_library_version(),
                    "std::filesystem::copy(source, target, recursive | overwrite_existing)", copies, copy);
}

Outcome<Contender> script_contender(const std::string& name, const FoundPeer& found, const fs::path& source,
                                    std::uint64_t copies) {
  auto started = ScriptPeer::start(found.program, source, copies);
  if (!started) {
    return std::unexpected(started.error());
  }
  const auto peer = std::make_shared<ScriptPeer>(std::move(*started));
  return Contender{.name = name + " cpSync",
                   .version = name + ' ' + found.version,
                   .command = "fs.cpSync(source, target, {recursive: true, force: true})",
                   .run = [peer](const Turn& turn) { return peer->run(turn.target); },
                   .check = {}};
}

void add_script_peer(Job& job, const Peer& peer, const SuiteOptions& options, const fs::path& source,
                     std::uint64_t copies) {
  if (!takes_part(options, peer, true)) {
    return;
  }
  const std::string name(peer.name);
  const auto found = find_peer(peer);
  if (!found) {
    job.missing.push_back({name + " cpSync", std::string(peer.package)});
    return;
  }
  if (auto contender = script_contender(name, *found, source, copies)) {
    job.contenders.push_back(std::move(*contender));
  }
}

}  // namespace

Outcome<Report> run_loop(const LoopSuite& suite, const SuiteOptions& options, const Session& session) {
  const auto from = ScratchDirectory::create(options.from);
  const auto to = from ? ScratchDirectory::create(options.to) : std::unexpected(from.error());
  if (!to) {
    return std::unexpected(to.error());
  }
  const fs::path source = suite.source.value_or(from->path() / "source");
  if (!suite.source) {
    if (const auto made = make_small_tree(source); !made) {
      return std::unexpected(made.error());
    }
  }
  const auto expected = fingerprint_of(source, Fidelity::content);
  if (!expected) {
    return std::unexpected(expected.error());
  }

  Job job{.name = fmt::format("tree: {} copies in a loop over an existing copy", suite.copies),
          .contenders = {},
          .missing = {},
          .target_directory = to->path(),
          .warm_ups = options.warm_ups,
          .rounds = options.rounds};
  job.contenders.push_back(ferry_contender(source, suite.copies, true));
  job.contenders.push_back(ferry_contender(source, suite.copies, false));
  if (takes_part(options, {"std", ""}, true)) {
    job.contenders.push_back(standard_contender(source, suite.copies));
  }
  add_script_peer(job, node_peer, options, source, suite.copies);
  add_script_peer(job, bun_peer, options, source, suite.copies);
  for (Contender& contender : job.contenders) {
    // The target holds other bytes under the same names: a contender that does nothing is found out.
    contender.set_up = [source](const Turn& turn) { return make_stale_copy(source, turn.target); };
    contender.check = [source, expected = *expected](const Turn& turn) {
      return check_copy(source, expected, turn.target, Fidelity::content);
    };
  }

  Report report{.suite = "tree", .command = options.command_line, .machine = this_machine(), .facts = {}, .groups = {}};
  report.facts = {{"source", fmt::format("{}, {} directories, {} files, {} bytes", describe_place(source),
                                         expected->directories, expected->regular_files, expected->bytes)},
                  {"target", describe_place(options.to)},
                  {"times", fmt::format("per copy; {} rounds of {} copies, after {} to warm up; start-up of processes "
                                        "not included",
                                        options.rounds, suite.copies, options.warm_ups)}};
  report.groups.push_back({.name = job.name,
                           .result = run_job(job, session.tell, session.interrupted),
                           .units_per_run = static_cast<double>(suite.copies),
                           .unit = "copies",
                           .time_per_unit = true});
  report.interrupted = report.groups.back().result.interrupted;
  return report;
}

}  // namespace ferry::bench
