// Listing a tree recursively, with the type of every entry.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <system_error>

#include <fcntl.h>

#include <fmt/format.h>
#include <ferry/base.hpp>
#include <ferry/tree.hpp>

#include "bench/contenders.hpp"
#include "bench/listing.hpp"
#include "bench/suites.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;

struct ListedEntry {
  char type = '?';
  std::string path;  // relative to the root
};
using List = std::vector<ListedEntry>;

/// Makes one list, through some API.
using ListOnce = std::function<Outcome<void>(const fs::path& source, List& list)>;

Outcome<void> write_list(const List& list, const fs::path& target) {
  std::ofstream file(target, std::ios::binary);
  for (const ListedEntry& entry : list) {
    file << entry.type << ' ' << entry.path << '\0';
  }
  file.close();
  return file ? Outcome<void>{} : std::unexpected("cannot write " + ferry::quoted(target.native()));
}

// Everyone makes a whole new list in memory each time, as readdirSync does; the last one is written down afterwards.
Contender in_process(std::string name, std::string version, std::string command, const fs::path& source,
                     const ListOnce& make) {
  const auto loop = [source, make](const Turn& turn) {
    const auto list = std::make_shared<List>();
    return run_in_child(
        [&turn, &source, &make, list]() -> Outcome<void> {
          for (std::uint64_t i = 0; i < turn.repetitions; ++i) {
            list->clear();
            if (auto done = make(source, *list); !done) {
              return done;
            }
          }
          return {};
        },
        turn.control, [&turn, list] { return write_list(*list, turn.target); });
  };
  return {
      .name = std::move(name), .version = std::move(version), .command = std::move(command), .run = loop, .check = {}};
}

char letter_of(FileType type) {
  switch (type) {
    case FileType::regular: return 'f';
    case FileType::directory: return 'd';
    case FileType::symlink: return 'l';
    default: return '?';
  }
}

Outcome<void> list_by_ferry(const fs::path& source, List& list, unsigned jobs) {
  std::mutex mutex;
  const auto note = [&](const WalkEntry& entry) {
    ListedEntry listed{.type = letter_of(entry.type), .path = std::string(entry.path)};
    const std::scoped_lock lock(mutex);  // the visitor is called by several threads
    list.push_back(std::move(listed));
    return WalkAction::descend;
  };
  const auto done = ferry::walk(source, note, {.jobs = jobs});
  return done ? Outcome<void>{} : std::unexpected(done.error().to_string());
}

char letter_of(const fs::directory_entry& entry) {
  if (entry.is_symlink()) {
    return 'l';
  }
  if (entry.is_directory()) {
    return 'd';
  }
  return entry.is_regular_file() ? 'f' : '?';
}

Outcome<void> list_by_standard_library(const fs::path& source, List& list) {
  std::error_code error;
  const std::size_t root_length = source.native().size() + 1;
  for (fs::recursive_directory_iterator at(source, error); !error && at != fs::recursive_directory_iterator();
       at.increment(error)) {
    list.push_back({.type = letter_of(*at), .path = at->path().native().substr(root_length)});
  }
  return error ? Outcome<void>(std::unexpected(error.message())) : Outcome<void>{};
}

// A process for each list; what the last one prints is the list.
void add_find(Job& job, const SuiteOptions& options, const fs::path& source) {
  if (!takes_part(options, findutils_peer)) {
    return;
  }
  const auto found = find_peer(findutils_peer);
  if (!found) {
    job.missing.push_back({"find", std::string(findutils_peer.package)});
    return;
  }
  const Command command{.program = found->program, .words = {"find", source, "-mindepth", "1", "-printf", "%y %P\\0"}};
  const auto loop = [command](const Turn& turn) -> Outcome<Cost> {
    Cost total;
    for (std::uint64_t i = 0; i < turn.repetitions; ++i) {
      const UniqueFd target(::open(turn.target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
      if (!target) {
        return failed("cannot create " + ferry::quoted(turn.target.native()), errno);
      }
      const auto cost = run_command(command, turn.control, target.get());
      if (!cost) {
        return cost;
      }
      total += *cost;
    }
    return total;
  };
  job.contenders.push_back({.name = "find (a process each time)",
                            .version = found->version,
                            .command = command.to_string(),
                            .run = loop,
                            .check = {}});
}

Outcome<Group> measure(const std::string& name, const ReaddirSuite& suite, const SuiteOptions& options,
                       const Session& session) {
  const auto from = ScratchDirectory::create(options.from);
  const auto to = from ? ScratchDirectory::create(options.to) : std::unexpected(from.error());
  if (!to) {
    return std::unexpected(to.error());
  }
  const auto source = small_or_given_tree(suite.source, from->path());
  const auto expected = source ? listing_of(*source) : std::unexpected(source.error());
  if (!expected) {
    return std::unexpected(expected.error());
  }
  Job job{.name = name,
          .contenders = {},
          .missing = {},
          .target_directory = to->path(),
          .warm_ups = options.warm_ups,
          .rounds = options.rounds,
          .repetitions = suite.lists};
  job.contenders.push_back(in_process("ferry::walk", ferry_version(), "ferry::walk(source, note)", *source,
                                      [](const fs::path& root, List& list) { return list_by_ferry(root, list, 0); }));
  job.contenders.push_back(in_process("ferry::walk, 1 job", ferry_version(), "ferry::walk(source, note, {.jobs = 1})",
                                      *source,
                                      [](const fs::path& root, List& list) { return list_by_ferry(root, list, 1); }));
  if (takes_part(options, {"std", ""})) {
    job.contenders.push_back(in_process("std::filesystem::recursive_directory_iterator", standard_library_version(),
                                        "std::filesystem::recursive_directory_iterator(source)", *source,
                                        list_by_standard_library));
  }
  add_script_peer(job, node_peer, options, ScriptWork::list, *source);
  add_script_peer(job, bun_peer, options, ScriptWork::list, *source);
  add_find(job, options, *source);
  for (Contender& contender : job.contenders) {
    contender.check = [&expected](const Turn& turn) { return check_listing(*expected, turn.target); };
    contender.clean_up = [](const Turn& turn) {
      std::error_code ignored;
      fs::remove(turn.target, ignored);
    };
  }
  const auto directories =
      std::ranges::count_if(*expected, [](const std::string& entry) { return entry.starts_with('d'); });
  Group group{.name = name,
              .facts = {{"source", fmt::format("{}, {} entries, {} of them directories",
                                               describe_place(suite.source.value_or(options.from)), expected->size(),
                                               directories)},
                        {"times", fmt::format("per list; {}, of {} lists each; start-up of processes not included, "
                                              "but of find",
                                              describe_rounds(options), suite.lists)}},
              .units_per_run = static_cast<double>(suite.lists),
              .unit = "lists",
              .time_per_unit = true};
  group.result = run_job(job, session.tell, session.interrupted);
  if (suite.count_system_calls) {
    group.counted = "system calls per list";
    add_system_calls(group, job, std::min<std::uint64_t>(suite.lists, 20), session);
  }
  return group;
}

}  // namespace

Plan plan_readdir(const ReaddirSuite& suite, const SuiteOptions& options) {
  const std::string name = fmt::format("readdir: {} recursive lists with file types", suite.lists);
  return {.report = begin_report("tree --readdir", options),
          .groups = {{.name = name,
                      .can_run = [] { return Outcome<void>{}; },
                      .measure = [=](const Session& session) { return measure(name, suite, options, session); }}}};
}

}  // namespace ferry::bench
