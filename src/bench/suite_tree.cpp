// The tree suite: what one call of a copy function costs when the tree is small and everything is cached.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>

#include <fmt/format.h>
#include <ferry/base.hpp>
#include <ferry/tree.hpp>

#include "bench/contenders.hpp"
#include "bench/fingerprint.hpp"
#include "bench/suites.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;

/// One copy to `target`, through some API.
using CopyOnce = std::function<Outcome<void>(const fs::path& target)>;

Contender in_process(std::string name, std::string version, std::string command, const CopyOnce& copy) {
  const auto loop = [copy](const Turn& turn) {
    return run_in_child(
        [&]() -> Outcome<void> {
          for (std::uint64_t i = 0; i < turn.repetitions; ++i) {
            if (auto done = copy(turn.target); !done) {
              return done;
            }
          }
          return {};
        },
        turn.control);
  };
  return {
      .name = std::move(name), .version = std::move(version), .command = std::move(command), .run = loop, .check = {}};
}

Contender ferry_contender(const fs::path& source, bool inplace) {
  ferry::TreeOptions options;
  options.copy.inplace = inplace;
  const CopyOnce copy = [source, options](const fs::path& target) -> Outcome<void> {
    const auto report = ferry::copy_tree(source, target, options);
    return report ? Outcome<void>{} : Outcome<void>(std::unexpected(report.error().to_string()));
  };
  return in_process(inplace ? "ferry::copy_tree in place" : "ferry::copy_tree default (atomic)", ferry_version(),
                    fmt::format("ferry::copy_tree(source, target, {{.copy = {{.inplace = {}}}}})", inplace), copy);
}

Contender standard_contender(const fs::path& source) {
  const CopyOnce copy = [source](const fs::path& target) -> Outcome<void> {
    std::error_code error;
    fs::copy(source, target, fs::copy_options::recursive | fs::copy_options::overwrite_existing, error);
    return error ? Outcome<void>(std::unexpected(error.message())) : Outcome<void>{};
  };
  return in_process("std::filesystem::copy", standard_library_version(),
                    "std::filesystem::copy(source, target, recursive | overwrite_existing)", copy);
}

// A process for each copy is 10 times slower than anything else here; of many copies one tenth is made, and its cost
// taken tenfold.
std::uint64_t copies_by_processes(std::uint64_t repetitions) {
  return repetitions >= 1000 ? repetitions / 10 : repetitions;
}

// -T: onto the target, not into it.
void add_cp(Job& job, const SuiteOptions& options, const fs::path& source) {
  if (!takes_part(options, cp_peer)) {
    return;
  }
  const auto found = find_peer(cp_peer);
  if (!found) {
    job.missing.push_back({"cp", std::string(cp_peer.package)});
    return;
  }
  const auto command = [program = found->program, source](const fs::path& target) {
    return Command{.program = program, .words = {"cp", "-rT", source, target}};
  };
  const auto loop = [command](const Turn& turn) -> Outcome<Cost> {
    Cost total;
    const std::uint64_t copies = copies_by_processes(turn.repetitions);
    for (std::uint64_t i = 0; i < copies; ++i) {
      const auto cost = run_command(command(turn.target), turn.control);
      if (!cost) {
        return cost;
      }
      total += *cost;
    }
    return total.repeated(static_cast<double>(turn.repetitions) / static_cast<double>(copies));
  };
  job.contenders.push_back({.name = "cp -rT (a process each time)",
                            .version = found->version,
                            .command = command(job.target_directory / "copy").to_string(),
                            .run = loop,
                            .check = {}});
}

Outcome<Group> measure(const std::string& name, const TreeSuite& suite, const SuiteOptions& options,
                       const Session& session) {
  const auto from = ScratchDirectory::create(options.from);
  const auto to = from ? ScratchDirectory::create(options.to) : std::unexpected(from.error());
  if (!to) {
    return std::unexpected(to.error());
  }
  const auto source = small_or_given_tree(suite.source, from->path());
  const auto expected = source ? fingerprint_of(*source, Fidelity::content) : std::unexpected(source.error());
  if (!expected) {
    return std::unexpected(expected.error());
  }

  Job job{.name = name,
          .contenders = {},
          .missing = {},
          .target_directory = to->path(),
          .warm_ups = options.warm_ups,
          .rounds = options.rounds,
          .repetitions = suite.copies};
  job.contenders.push_back(ferry_contender(*source, true));
  job.contenders.push_back(ferry_contender(*source, false));
  if (takes_part(options, {"std", ""})) {
    job.contenders.push_back(standard_contender(*source));
  }
  add_script_peer(job, node_peer, options, ScriptWork::copy, *source);
  add_script_peer(job, bun_peer, options, ScriptWork::copy, *source);
  add_cp(job, options, *source);
  for (Contender& contender : job.contenders) {
    // The target holds other bytes under the same names: a contender that does nothing is found out.
    contender.set_up = [source](const Turn& turn) { return make_stale_copy(*source, turn.target); };
    contender.check = [source, expected](const Turn& turn) {
      return check_copy(*source, *expected, turn.target, Fidelity::content);
    };
  }

  Group group{
      .name = name,
      .facts = {{"source", fmt::format("{}, {} directories, {} files, {} bytes",
                                       describe_place(suite.source.value_or(options.from)), expected->directories,
                                       expected->regular_files, expected->bytes)},
                {"target", describe_place(options.to)},
                {"times", fmt::format("per copy; {}, of {} copies each, of {} by cp, whose start-up is included",
                                      describe_rounds(options), suite.copies, copies_by_processes(suite.copies))}},
      .units_per_run = static_cast<double>(suite.copies),
      .unit = "copies",
      .time_per_unit = true};
  group.result = run_job(job, session.tell, session.interrupted);
  if (suite.count_system_calls) {
    group.counted = "system calls per copy";
    add_system_calls(group, job, std::min<std::uint64_t>(suite.copies, 20), session);
  }
  return group;
}

}  // namespace

Plan plan_tree(const TreeSuite& suite, const SuiteOptions& options) {
  const std::string name = fmt::format("tree: {} copies in a loop over an existing copy", suite.copies);
  const auto can_run = [=]() -> Outcome<void> {
    if (!suite.source) {
      return {};
    }
    if (auto outside = require_outside(options.to, *suite.source); !outside) {
      return outside;
    }
    const auto size = size_of_tree(*suite.source);
    return size ? require_space(options.to, *size) : std::unexpected(size.error());
  };
  return {.report = begin_report("tree", options),
          .groups = {{.name = name, .can_run = can_run, .measure = [=](const Session& session) {
                        return measure(name, suite, options, session);
                      }}}};
}

int copy_repeatedly(std::uint64_t copies, const fs::path& source, const fs::path& target) {
  ferry::TreeOptions options;
  options.copy.inplace = true;
  options.jobs = 1;
  for (std::uint64_t i = 0; i < copies; ++i) {
    if (!ferry::copy_tree(source, target, options)) {
      return 1;
    }
  }
  return 0;
}

}  // namespace ferry::bench
