// The counts suite: what one more file costs in system calls and allocations.
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>

#include <unistd.h>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/contenders.hpp"
#include "bench/fingerprint.hpp"
#include "bench/suites.hpp"
#include "bench/system_calls.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t repetitions = 500;  // and twice as many; the difference is what counts
constexpr const char* preload_name = "ferry-allocation-counter.so";

/// One thing to be counted: a command that does its work `repetitions` times, and how its result is judged.
struct CountedWork {
  std::string name;  ///< "cp -a"
  std::string unit;  ///< "file"
  /// Makes what is copied, for the repetitions, below the directory.
  std::function<Outcome<fs::path>(const fs::path& scratch, std::uint64_t times)> make_source;
  /// What is there before.
  std::function<Outcome<void>(const fs::path& source, const fs::path& target)> make_target;
  std::function<Command(const fs::path& source, const fs::path& target, std::uint64_t times)> by_ferry;
  std::function<std::optional<Command>(const fs::path& source, const fs::path& target)> by_cp;
  Fidelity fidelity = Fidelity::content;
};

CountedWork command_work(const std::string& flag) {
  return {.name = "cp " + flag,
          .unit = "file",
          .make_source = [](const fs::path& scratch, std::uint64_t times) -> Outcome<fs::path> {
            fs::path source = scratch / std::to_string(times);
            std::error_code error;
            if (fs::exists(source, error)) {
              return source;
            }
            const auto made = make_file_set(source, {.files = times, .file_bytes = 100, .directories = 1});
            return made ? Outcome<fs::path>(source) : std::unexpected(made.error());
          },
          .make_target = [](const fs::path&, const fs::path&) { return Outcome<void>{}; },
          .by_ferry = [flag](const fs::path& source, const fs::path& target,
                             std::uint64_t) { return ferry_command({"cp", flag, "--jobs=1", source, target}); },
          .by_cp = [flag](const fs::path& source, const fs::path& target) -> std::optional<Command> {
            const auto found = find_peer(cp_peer);
            return found ? std::optional(Command{.program = found->program, .words = {"cp", flag, source, target}})
                         : std::nullopt;
          },
          .fidelity = flag == "-a" ? Fidelity::attributes : Fidelity::content};
}

CountedWork small_tree_work() {
  return {.name = "small tree, in place",
          .unit = "copy",
          .make_source = [](const fs::path& scratch, std::uint64_t) -> Outcome<fs::path> {
            fs::path source = scratch / "small";
            std::error_code error;
            const auto made = fs::exists(source, error) ? Outcome<void>{} : make_small_tree(source);
            return made ? Outcome<fs::path>(source) : std::unexpected(made.error());
          },
          .make_target = make_stale_copy,
          .by_ferry =
              [](const fs::path& source, const fs::path& target, std::uint64_t times) {
                return ferry_command({"bench", "copy-repeatedly", std::to_string(times), source, target});
              },
          .by_cp = [](const fs::path&, const fs::path&) { return std::optional<Command>{}; }};
}

/// Sets up, runs a command of, and checks, turns whose number of repetitions may differ.
Contender counted_contender(std::string name, std::string version, const CountedWork& work, const fs::path& scratch,
                            const std::function<Command(const fs::path&, const Turn&)>& command) {
  Contender contender{.name = std::move(name), .version = std::move(version), .command = {}, .run = {}, .check = {}};
  contender.set_up = [work, scratch](const Turn& turn) -> Outcome<void> {
    const auto source = work.make_source(scratch, turn.repetitions);
    return source ? work.make_target(*source, turn.target) : std::unexpected(source.error());
  };
  contender.run = [work, scratch, command](const Turn& turn) -> Outcome<Cost> {
    const auto source = work.make_source(scratch, turn.repetitions);
    return source ? run_command(command(*source, turn), turn.control) : std::unexpected(source.error());
  };
  contender.check = [work, scratch](const Turn& turn) -> Outcome<void> {
    const auto source = work.make_source(scratch, turn.repetitions);
    const auto expected = source ? fingerprint_of(*source, work.fidelity) : std::unexpected(source.error());
    return expected ? check_copy(*source, *expected, turn.target, work.fidelity) : std::unexpected(expected.error());
  };
  return contender;
}

std::vector<Contender> contenders_for_calls(const CountedWork& work, const fs::path& scratch) {
  std::vector<Contender> contenders = {
      counted_contender("ferry", ferry_version(), work, scratch, [work](const fs::path& source, const Turn& turn) {
        return work.by_ferry(source, turn.target, turn.repetitions);
      })};
  if (work.by_cp({}, {})) {
    contenders.push_back(counted_contender("cp", version_of(cp_peer, find_peer(cp_peer).value_or(FoundPeer{})), work,
                                           scratch, [work](const fs::path& source, const Turn& turn) {
                                             return work.by_cp(source, turn.target).value_or(Command{});
                                           }));
  }
  return contenders;
}

/// The library that counts allocations, which lies beside the program in a build tree.
std::optional<fs::path> allocation_counter() {
  std::error_code error;
  const fs::path library = fs::read_symlink("/proc/self/exe", error).parent_path() / preload_name;
  return ::access(library.c_str(), R_OK) == 0 ? std::optional(library) : std::nullopt;
}

Outcome<std::uint64_t> read_number(const fs::path& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  return file >> number ? Outcome<std::uint64_t>(number)
                        : std::unexpected("the allocation counter has not told what it counted");
}

Outcome<std::vector<Count>> count_allocations(const CountedWork& work, const fs::path& library, const fs::path& scratch,
                                              const Session& session) {
  const fs::path result = scratch / "allocations";
  const Contender contender =
      counted_contender("ferry", ferry_version(), work, scratch, [&](const fs::path& source, const Turn& turn) {
        Command command = work.by_ferry(source, turn.target, turn.repetitions);
        command.environment = {"LD_PRELOAD=" + library.native(), "FERRY_ALLOCATION_COUNT=" + result.native()};
        return command;
      });
  std::array<std::uint64_t, 2> counted = {};
  for (std::size_t i = 0; i < counted.size(); ++i) {
    Turn turn{.target = scratch / fmt::format("copy{}", i), .repetitions = repetitions * (i + 1)};
    turn.control.stop = &session.interrupted;
    const auto cost = take_turn(contender, turn);
    const auto number = cost ? read_number(result) : std::unexpected(cost.error());
    if (!number) {
      return std::unexpected(number.error());
    }
    counted[i] = *number;
  }
  const double extra = static_cast<double>(counted[1]) - static_cast<double>(counted[0]);
  return std::vector<Count>{{.name = "allocations", .per_unit = extra / static_cast<double>(repetitions)}};
}

Group begin_group(const std::string& name, const std::string& counted, const CountedWork& work) {
  return {.name = name,
          .units_per_run = static_cast<double>(repetitions),
          .unit = work.unit + "s",
          .counted = counted + " per " + work.unit,
          .deterministic = true};
}

ContenderResult counted_result(const Contender& contender, Outcome<std::vector<Count>> counts) {
  ContenderResult result{
      .name = contender.name, .version = contender.version, .command = {}, .runs = {}, .failure = {}, .counts = {}};
  if (counts) {
    result.counts = std::move(*counts);
  } else {
    result.failure = counts.error();
  }
  return result;
}

Outcome<Group> measure_calls(const std::string& name, const CountedWork& work, const SuiteOptions& options,
                             const Session& session) {
  const auto scratch = ScratchDirectory::create(options.to);
  const auto tracer = scratch ? find_tracer() : std::unexpected(scratch.error());
  if (!tracer) {
    return std::unexpected(tracer.error());
  }
  Group group = begin_group(name, "system calls", work);
  group.facts = {{"counted by", tracer->version}};
  for (const Contender& contender : contenders_for_calls(work, scratch->path())) {
    session.tell(fmt::format("{}: {}", name, contender.name));
    Turn turn{.target = scratch->path() / ("copy-by-" + contender.name), .repetitions = repetitions};
    turn.control.stop = &session.interrupted;
    auto result = counted_result(contender, count_system_calls(*tracer, contender, turn));
    if (session.interrupted) {
      return std::unexpected("interrupted");
    }
    group.result.contenders.push_back(std::move(result));
  }
  return group;
}

Outcome<Group> measure_allocations(const std::string& name, const CountedWork& work, const fs::path& library,
                                   const SuiteOptions& options, const Session& session) {
  const auto scratch = ScratchDirectory::create(options.to);
  if (!scratch) {
    return std::unexpected(scratch.error());
  }
  Group group = begin_group(name, "allocations", work);
  session.tell(name);
  auto counts = count_allocations(work, library, scratch->path(), session);
  if (session.interrupted) {
    return std::unexpected("interrupted");
  }
  group.result.contenders.push_back(counted_result(
      {.name = "ferry", .version = ferry_version(), .command = {}, .run = {}, .check = {}}, std::move(counts)));
  return group;
}

}  // namespace

Plan plan_counts(const SuiteOptions& options) {
  Plan plan{.report = begin_report("counts", options), .groups = {}};
  plan.report.facts = {{"target", describe_place(options.to)},
                       {"counts", fmt::format("of one unit more: those of {} less those of {}, divided by {}; one job",
                                              2 * repetitions, repetitions, repetitions)}};
  const auto library = allocation_counter();
  if (!library) {
    plan.report.facts.push_back(
        {"allocations", fmt::format("not counted: {} is not beside this program", preload_name)});
  }
  for (const CountedWork& work : {command_work("-a"), command_work("-r"), small_tree_work()}) {
    const auto space = [=] {
      return require_space(options.to, 20 * FileSet{.files = repetitions, .file_bytes = 100}.size_bytes());
    };
    const std::string calls = fmt::format("counts: {}, system calls per {}", work.name, work.unit);
    plan.groups.push_back({.name = calls, .can_run = space, .measure = [=](const Session& session) {
                             return measure_calls(calls, work, options, session);
                           }});
    if (library) {
      const std::string allocations = fmt::format("counts: {}, allocations per {}", work.name, work.unit);
      plan.groups.push_back({.name = allocations, .can_run = space, .measure = [=](const Session& session) {
                               return measure_allocations(allocations, work, *library, options, session);
                             }});
    }
  }
  return plan;
}

}  // namespace ferry::bench
