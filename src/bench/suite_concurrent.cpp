// The concurrent suite: many files at once, by copy_files() and by goroutines.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <ferry/base.hpp>
#include <ferry/copy.hpp>

#include "bench/contenders.hpp"
#include "bench/fingerprint.hpp"
#include "bench/machine.hpp"
#include "bench/suites.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* go_program = "goroutine-copy";
constexpr const char* go_package = "golang-go (apt), then ./dev bench --install-rivals";

std::vector<CopyPair> pairs_between(const fs::path& source, const fs::path& target) {
  std::vector<CopyPair> pairs;
  for (const auto& entry : fs::directory_iterator(source)) {
    pairs.push_back({entry.path(), target / entry.path().filename()});
  }
  return pairs;
}

Contender by_copy_files(const std::string& name, const CopyFilesOptions& options, const fs::path& source) {
  const auto run = [options, source](const Turn& turn) -> Outcome<Cost> {
    const std::vector<CopyPair> pairs = pairs_between(source, turn.target);
    return run_in_child(
        [&]() -> Outcome<void> {
          const auto report = copy_files(pairs, options);
          if (!report) {
            return std::unexpected(report.error().to_string());
          }
          return report->failed == 0 ? Outcome<void>{} : std::unexpected(report->first_error->to_string());
        },
        turn.control);
  };
  const std::string words = fmt::format(".engine = {}{}{}", to_string(options.engine),
                                        options.workers == 0 ? "" : fmt::format(", .workers = {}", options.workers),
                                        options.copy.inplace ? ", .copy = {.inplace = true}" : "");
  return {.name = name,
          .version = ferry_version(),
          .command = fmt::format("ferry::copy_files(pairs, {{{}}})", words),
          .run = run,
          .check = {}};
}

std::optional<FoundPeer> find_go_program() {
  const char* const home = std::getenv("HOME");
  const std::string program = fmt::format("{}/.cache/ferry/peers/{}", home != nullptr ? home : "", go_program);
  const auto said = output_of({.program = program, .words = {go_program, "--version"}});
  return said ? std::optional(FoundPeer{.program = program, .version = said->substr(0, said->find('\n'))})
              : std::nullopt;
}

// The program tells how long its goroutines took; processor time is the whole process's.
Outcome<std::chrono::nanoseconds> told_time(int output) {
  std::array<char, 64> text = {};
  const ssize_t got = ::pread(output, text.data(), text.size(), 0);
  std::int64_t nanoseconds = 0;
  if (got <= 0 || std::from_chars(text.data(), text.data() + got, nanoseconds).ec != std::errc{}) {
    return std::unexpected(std::string(go_program) + " did not say how long it took");
  }
  return std::chrono::nanoseconds(nanoseconds);
}

Contender by_goroutines(const FoundPeer& found, const fs::path& source) {
  const auto run = [found, source](const Turn& turn) -> Outcome<Cost> {
    const UniqueFd output(::memfd_create("goroutine-copy", MFD_CLOEXEC));
    auto cost =
        run_command({.program = found.program, .words = {go_program, source, turn.target}}, turn.control, output.get());
    const auto time = cost ? told_time(output.get()) : std::unexpected(cost.error());
    if (!time) {
      return std::unexpected(time.error());
    }
    cost->wall = *time;
    return cost;
  };
  return {.name = "goroutines, 64 KB buffers",
          .version = found.version,
          .command = fmt::format("{} {} TARGET", go_program, ferry::quoted(source.native())),
          .run = run,
          .check = {}};
}

void enter_all(Job& job, const ConcurrentSuite& suite, const SuiteOptions& options, const fs::path& source) {
  const auto add = [&](const std::string& name, CopyEngine engine, bool in_place) {
    CopyFilesOptions how;
    how.engine = engine;
    how.workers = suite.workers;
    how.copy.inplace = in_place;
    job.contenders.push_back(by_copy_files(name, how, source));
  };
  if (suite.mode == ConcurrentMode::automatic) {
    add("ferry, auto", CopyEngine::automatic, false);
    add("ferry, auto, in place", CopyEngine::automatic, true);
  }
  if (suite.mode != ConcurrentMode::uring) {
    add("ferry, threads", CopyEngine::threads, false);
  }
  if (suite.mode != ConcurrentMode::threads) {
    add("ferry, uring", CopyEngine::uring, false);
  }
  const bool wanted = options.peers.empty() || std::ranges::find(options.peers, "go") != options.peers.end() ||
                      std::ranges::find(options.peers, "all") != options.peers.end();
  if (!wanted) {
    return;
  }
  if (const auto found = find_go_program()) {
    job.contenders.push_back(by_goroutines(*found, source));
  } else {
    job.missing.push_back({"goroutines", go_package});
  }
}

Outcome<Group> measure(const std::string& name, const ConcurrentSuite& suite, const FileSet& set,
                       const SuiteOptions& options, const Session& session) {
  const auto from = ScratchDirectory::create(options.from);
  auto to = from ? ScratchDirectory::create(options.to) : std::unexpected(from.error());
  if (!to) {
    return std::unexpected(to.error());
  }
  const fs::path source = from->path() / "source";
  session.tell(fmt::format("{}: making the files", name));
  if (const auto made = make_file_set(source, set, &session.interrupted); !made) {
    return std::unexpected(made.error());
  }
  const auto expected = fingerprint_of(source, Fidelity::content);
  if (!expected) {
    return std::unexpected(expected.error());
  }
  Job job{.name = name,
          .contenders = {},
          .target_directory = to->path(),
          .warm_ups = options.warm_ups,
          .rounds = options.rounds};
  enter_all(job, suite, options, source);
  const unsigned last_round = options.warm_ups + options.rounds - 1;
  for (Contender& contender : job.contenders) {
    contender.set_up = [&](const Turn& turn) -> Outcome<void> {
      std::error_code error;
      fs::create_directory(turn.target, error);
      return error ? std::unexpected(error.message()) : prepare_caches(Caches::warm, source, to->path());
    };
    contender.check = [&](const Turn& turn) { return check_copy(source, *expected, turn.target, Fidelity::content); };
    contender.clean_up = [&](const Turn& turn) {
      std::error_code ignored;
      if (!suite.keep || turn.round != last_round) {
        fs::remove_all(turn.target, ignored);
      }
    };
  }
  Group group{.name = name,
              .facts = {},
              .units_per_run = static_cast<double>(set.files),
              .unit = "files",
              .size_bytes = set.file_bytes};
  group.result = run_job(job, session.tell, session.interrupted);
  if (suite.keep && !group.result.interrupted) {
    group.facts.push_back({"kept", to->keep().native()});
  }
  return group;
}

}  // namespace

std::vector<FileSet> concurrent_scenarios() {
  constexpr std::uint64_t kilobyte = 1024;
  constexpr std::uint64_t megabyte = 1024 * kilobyte;
  const auto set = [](std::uint64_t files, std::uint64_t bytes) {
    return FileSet{.files = files, .file_bytes = bytes};
  };
  return {set(1000, 4 * kilobyte), set(200, 64 * kilobyte), set(100, 256 * kilobyte), set(50, megabyte),
          set(20, 5 * megabyte),   set(10, 10 * megabyte),  set(5, 50 * megabyte)};
}

Plan plan_concurrent(const ConcurrentSuite& suite, const SuiteOptions& options) {
  Plan plan{.report = begin_report("concurrent", options), .groups = {}};
  const std::vector<Fact> facts = {
      {"source", describe_place(options.from) + ", files of pseudo-random bytes in one directory, in the page cache"},
      {"target", describe_place(options.to) + ", a new directory for every run"},
      {"times", fmt::format("the copying alone, in one process, its start and the list of files not counted; {}; not "
                            "made durable",
                            describe_rounds(options))},
      {"equal work",
       "goroutines write each file under its final name, as ferry does in place; ferry's default gives a "
       "file its name when it is complete"}};
  plan.report.facts.insert(plan.report.facts.begin(), facts.begin(), facts.end());
  for (const FileSet& set : suite.scenarios) {
    const std::string name = fmt::format("concurrent: {} files of {}", set.files, format_size(set.file_bytes));
    plan.groups.push_back(
        {.name = name,
         .can_run = [=] { return require_space_for(set.size_bytes(), options.from, set.size_bytes(), options.to); },
         .measure = [=](const Session& session) { return measure(name, suite, set, options, session); }});
  }
  return plan;
}

}  // namespace ferry::bench
