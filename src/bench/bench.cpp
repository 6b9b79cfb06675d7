// The arguments of `ferry bench`, and where its report goes.
#include "bench/bench.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <ferry/base.hpp>

#include "bench/suite_arguments.hpp"

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

/// Where the report goes.
struct OutputOptions {
  bool json = false;
  std::string json_file;  ///< Empty: standard output, instead of the table.
};

void add_output(CLI::App& suite, OutputOptions& output) {
  suite
      .add_option("--json", output.json_file,
                  "Print JSON instead of the table; with a FILE, write it there besides the table")
      ->expected(0, 1)
      ->type_name("[FILE]");
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

Outcome<void> write_report(const Report& report, const OutputOptions& output) {
  if (output.json && output.json_file.empty()) {
    fmt::print("{}", to_json(report));
    return {};
  }
  fmt::print("{}", to_table(report));
  if (output.json) {
    std::ofstream file(output.json_file, std::ios::binary | std::ios::trunc);
    file << to_json(report);
    file.close();
    if (!file) {
      return std::unexpected("cannot write " + ferry::quoted(output.json_file));
    }
  }
  return {};
}

int fail_with(const std::string& message) {
  fmt::print(stderr, "ferry bench: {}\n", message);
  return 1;
}

int measure(const Plan& plan, const OutputOptions& output) {
  const ProgressLine progress;
  const InterruptGuard guard;
  const Session session{.tell = [&progress](std::string_view text) { progress.show(text); },
                        .interrupted = interrupted};
  const auto report = carry_out(plan, session);
  progress.clear();
  if (!report) {
    return fail_with(report.error());
  }
  if (const auto written = write_report(*report, output); !written) {
    return fail_with(written.error());
  }
  if (interrupted) {
    return 130;
  }
  const bool ferry_failed = std::ranges::any_of(
      report->groups, [](const Group& group) { return !group.result.contenders.front().failure.empty(); });
  return ferry_failed || report->interrupted ? 1 : 0;
}

}  // namespace

int run_bench(int argc, char** argv) {
  SuiteArguments arguments;
  OutputOptions output;
  CLI::App app("Measures ferry against the tools you would have used, on this machine.", "ferry bench");
  app.require_subcommand(1);
  for (CLI::App* const suite : add_suites(app, arguments)) {
    add_output(*suite, output);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const CLI::App& suite = *app.get_subcommands().front();
  if (suite.get_name() == "copy-repeatedly") {
    return copy_repeatedly(arguments.tree.copies, arguments.source, arguments.target);
  }
  output.json = suite.count("--json") > 0;
  arguments.common.command_line = command_line(argc, argv);
  const auto plan = plan_suite(suite, arguments);
  if (!plan) {
    fail_with(plan.error());
    return 2;
  }
  return measure(*plan, output);
}

}  // namespace ferry::bench
