// The arguments of `ferry bench`, and where its report goes.
#include "bench/bench.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <ferry/base.hpp>

#include "bench/machine.hpp"
#include "bench/suites.hpp"

namespace ferry::bench {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set in a signal handler");

/// Catches SIGINT and SIGTERM for its lifetime, so that what was measured is reported and scratch files go.
/// Programs under measurement get the terminal's SIGINT themselves.
class InterruptGuard {
 public:
  InterruptGuard() {
    interrupted = false;
    struct sigaction action = {};
    action.sa_handler = [](int) { interrupted = true; };
    ::sigaction(SIGINT, &action, &old_interrupt_);
    ::sigaction(SIGTERM, &action, &old_terminate_);
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;  // NOLINT(performance-no-int-to-ptr): the macro's own cast
    ::sigaction(SIGPIPE, &ignore, &old_pipe_);
  }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  ~InterruptGuard() {
    ::sigaction(SIGINT, &old_interrupt_, nullptr);
    ::sigaction(SIGTERM, &old_terminate_, nullptr);
    ::sigaction(SIGPIPE, &old_pipe_, nullptr);
  }

 private:
  struct sigaction old_interrupt_ = {};
  struct sigaction old_terminate_ = {};
  struct sigaction old_pipe_ = {};
};

/// One line on a terminal that is written over; nothing where nobody looks.
class ProgressLine {
 public:
  void show(std::string_view text) const {
    if (on_terminal_) {
      fmt::print(stderr, "\r\033[K{}", text);
      std::fflush(stderr);
    }
  }
  void clear() const { show(""); }

 private:
  bool on_terminal_ = ::isatty(STDERR_FILENO) == 1;
};

const std::map<std::string, TreeSuite>& presets() {
  static const std::map<std::string, TreeSuite> known = {
      {"share", {.title = "tree: /usr/share", .source = "/usr/share", .generate = {}, .stage = true, .archive = true}},
      {"small-files",
       {.title = "tree: 10 000 files of 4 KiB in 100 directories",
        .source = {},
        .generate = FileSet{.files = 10'000, .file_bytes = 4096, .directories = 100},
        .stage = false,
        .archive = false}},
      {"medium-files",
       {.title = "tree: 200 files of 1 MiB",
        .source = {},
        .generate = FileSet{.files = 200, .file_bytes = std::uint64_t{1} << 20U, .directories = 1},
        .stage = false,
        .archive = false}},
      {"flat",
       {.title = "tree: 100 000 files of 1 KiB in one directory",
        .source = {},
        .generate = FileSet{.files = 100'000, .file_bytes = 1024, .directories = 1},
        .stage = false,
        .archive = true}}};
  return known;
}

/// Everything the command line says.
struct Arguments {
  SuiteOptions common;
  bool json = false;
  std::string json_file;  ///< Empty: standard output, instead of the table.
  std::vector<std::string> rivals;
  LoopSuite loop;
  std::string preset;
  std::string source;
  std::string flags;
  bool stage = false;
  FileSuite file;
};

std::string check_size(std::string& text) {
  const auto size = parse_size(text);
  if (!size) {
    return "not a size: " + text;
  }
  constexpr std::uint64_t largest = std::uint64_t{1} << 43U;
  if (*size == 0 || *size > largest) {
    return "size must be from 1 to 8T";
  }
  text = std::to_string(*size);
  return {};
}

std::string check_rival(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos || text.find("{src}") == std::string::npos ||
      text.find("{dst}") == std::string::npos) {
    return "a rival is NAME=COMMAND with {src} and {dst} in the command: " + text;
  }
  return {};
}

void add_common(CLI::App& suite, Arguments& arguments, const std::vector<std::string>& peers) {
  SuiteOptions& common = arguments.common;
  suite.add_option("--rounds", common.rounds, "Rounds that count")->check(CLI::Range(1, 1000))->capture_default_str();
  suite.add_option("--warm-up", common.warm_ups, "Rounds before those that count")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  suite.add_option("--from", common.from, "Directory to make or stage the source in")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  suite.add_option("--to", common.to, "Directory to copy to")->check(CLI::ExistingDirectory)->capture_default_str();
  suite.add_flag("--cold", common.cold, "Drop the source from the cache before each run (all caches, if root)");
  suite.add_option("--peers", common.peers, "Whom to compare with, separated by commas; 'all' for everyone")
      ->delimiter(',')
      ->check(CLI::IsMember(peers));
  suite
      .add_option("--rival", arguments.rivals,
                  "One more rival: NAME=COMMAND, run by sh, with {src} and {dst} for the paths; may be repeated")
      ->check(CLI::Validator(check_rival, "NAME=COMMAND"))
      ->expected(1)
      ->take_all();
  suite
      .add_option("--json", arguments.json_file,
                  "Print JSON instead of the table; with a FILE, write it there besides the table")
      ->expected(0, 1)
      ->type_name("[FILE]");
}

CLI::App* add_tree(CLI::App& app, Arguments& arguments) {
  CLI::App* const tree = app.add_subcommand(
      "tree",
      "Copy trees. Without --preset or --source: a generated tree of 5 directories and 9 small files, copied "
      "over an existing copy in a loop, through the APIs of C++, Node and Bun. With one of them: a whole tree "
      "to a fresh name, by whole processes");
  add_common(*tree, arguments, {"cp", "rsync", "node", "bun", "std", "all"});
  std::vector<std::string> names;
  for (const auto& [name, preset] : presets()) {
    names.push_back(name);
  }
  auto* const copies = tree->add_option("--copies", arguments.loop.copies, "Copies per round of the loop")
                           ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{100'000'000}))
                           ->capture_default_str();
  auto* const preset =
      tree->add_option("--preset", arguments.preset, "A tree with known results")->check(CLI::IsMember(names));
  tree->add_option("--source", arguments.source, "A tree of your own; with --copies, in the loop")
      ->check(CLI::ExistingDirectory)
      ->excludes(preset);
  preset->excludes(copies);
  tree->add_option("--flags", arguments.flags, "-a or -r, for ferry and its rivals alike [-a; presets know theirs]")
      ->check(CLI::IsMember({"-a", "-r"}));
  tree->add_flag("--stage", arguments.stage, "Copy the --source into --from first, and measure from there");
  return tree;
}

CLI::App* add_file(CLI::App& app, Arguments& arguments) {
  CLI::App* const file = app.add_subcommand("file", "Copy one file to a fresh name, by whole processes");
  add_common(*file, arguments, {"cp", "rsync", "dd", "all"});
  file->add_option("--size", arguments.file.size_bytes, "Size of the file: 1G, 100MB, ... [1G]")
      ->transform(CLI::Validator(check_size, "SIZE"))
      ->type_name("");
  file->add_flag("--fsync", arguments.file.durable, "The time includes making file and name durable");
  file->add_flag("--sparse", arguments.file.sparse, "1 MiB of data in every 16 MiB, the rest holes");
  file->add_option("--method", arguments.file.method, "Method for ferry cp to use: reflink, copy_file_range, ...");
  return file;
}

bool is_loop(const Arguments& arguments, const CLI::App& tree) {
  return tree.parsed() && (tree.count("--copies") > 0 || (arguments.preset.empty() && arguments.source.empty()));
}

// Options that are right by themselves and wrong together; empty if there are none.
std::string contradiction(const Arguments& arguments, const CLI::App& tree) {
  const SuiteOptions& common = arguments.common;
  if (is_loop(arguments, tree) &&
      (!common.rivals.empty() || common.cold || arguments.stage || !arguments.flags.empty())) {
    return "--rival, --cold, --stage and --flags need --preset, or --source without --copies";
  }
  const bool in_place = !arguments.source.empty() && !arguments.stage;
  const std::filesystem::path source = in_place ? std::filesystem::path(arguments.source) : common.from;
  if (common.cold && file_system_of(source) == "tmpfs") {
    return "--cold: " + ferry::quoted(source.native()) + " is on tmpfs, which is never cold; choose another --from";
  }
  return {};
}

Outcome<Report> run_tree_suite(const Arguments& arguments, const CLI::App& tree, const Session& session) {
  if (is_loop(arguments, tree)) {
    LoopSuite suite = arguments.loop;
    if (!arguments.source.empty()) {
      suite.source = arguments.source;
    }
    return run_loop(suite, arguments.common, session);
  }
  TreeSuite suite = arguments.preset.empty() ? TreeSuite{.title = "tree: " + ferry::quoted(arguments.source),
                                                         .source = arguments.source,
                                                         .generate = {},
                                                         .stage = arguments.stage,
                                                         .archive = true}
                                             : presets().at(arguments.preset);
  if (!arguments.flags.empty()) {
    suite.archive = arguments.flags == "-a";
  }
  return run_tree(suite, arguments.common, session);
}

std::string command_line(int argc, char** argv) {
  std::string line = "ferry bench";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool plain = word.find_first_of(" \t\n'\"\\$&|;<>()*?[]#~`!{}") == std::string::npos && !word.empty();
    line += ' ' + (plain ? word : ferry::quoted(word));
  }
  return line;
}

Outcome<void> write_report(const Report& report, const Arguments& arguments) {
  if (arguments.json && arguments.json_file.empty()) {
    fmt::print("{}", to_json(report));
    return {};
  }
  fmt::print("{}", to_table(report));
  if (arguments.json) {
    std::ofstream file(arguments.json_file, std::ios::binary | std::ios::trunc);
    file << to_json(report);
    file.close();
    if (!file) {
      return std::unexpected("cannot write " + ferry::quoted(arguments.json_file));
    }
  }
  return {};
}

int fail_with(const std::string& message) {
  fmt::print(stderr, "ferry bench: {}\n", message);
  return 1;
}

int measure(const Arguments& arguments, const CLI::App& tree) {
  const ProgressLine progress;
  const InterruptGuard guard;
  const Session session{.tell = [&progress](std::string_view text) { progress.show(text); },
                        .interrupted = interrupted};
  const auto report =
      tree.parsed() ? run_tree_suite(arguments, tree, session) : run_file(arguments.file, arguments.common, session);
  progress.clear();
  if (!report) {
    return fail_with(report.error());
  }
  if (const auto written = write_report(*report, arguments); !written) {
    return fail_with(written.error());
  }
  if (report->interrupted) {
    return 130;
  }
  const bool ferry_failed = std::ranges::any_of(
      report->groups, [](const Group& group) { return !group.result.contenders.front().failure.empty(); });
  return ferry_failed ? 1 : 0;
}

}  // namespace

int run_bench(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Measures ferry against the tools you would have used, on this machine.", "ferry bench");
  app.require_subcommand(1);
  const CLI::App* const tree = add_tree(app, arguments);
  add_file(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  for (const CLI::App* const suite : app.get_subcommands()) {
    arguments.json = suite->count("--json") > 0;
  }
  arguments.common.command_line = command_line(argc, argv);
  for (const std::string& rival : arguments.rivals) {
    const std::size_t equals = rival.find('=');
    arguments.common.rivals.push_back({.name = rival.substr(0, equals), .command = rival.substr(equals + 1)});
  }
  if (const std::string wrong = contradiction(arguments, *tree); !wrong.empty()) {
    fail_with(wrong);
    return 2;
  }
  return measure(arguments, *tree);
}

}  // namespace ferry::bench
