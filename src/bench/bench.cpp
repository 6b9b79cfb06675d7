// The arguments of `ferry bench`, and where its report goes.
#include "bench/bench.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <ferry/base.hpp>

#include "bench/choice.hpp"
#include "bench/output.hpp"
#include "bench/saved.hpp"
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

// The command line that repeats the measurement: without the options that only say where its report goes.
std::string command_line(int argc, char** argv) {
  std::string line = "ferry bench";
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const bool json = word == "--json";
    if (json || word == "--html" || word == "--title") {
      const bool has_value = i + 1 < argc && (!json || argv[i + 1][0] != '-');
      i += has_value ? 1 : 0;
    } else if (!word.starts_with("--json=") && !word.starts_with("--html=") && !word.starts_with("--title=")) {
      const bool plain = word.find_first_of(" \t\n'\"\\$&|;<>()*?[]#~`!{}") == std::string::npos && !word.empty();
      line += ' ' + (plain ? std::string(word) : ferry::quoted(word));
    }
  }
  return line;
}

// "2026-11-25T02:28:23Z"
std::string now_in_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts = {};
  ::gmtime_r(&now, &parts);
  std::array<char, sizeof "2026-11-25T02:28:23Z"> text = {};
  return {text.data(), std::strftime(text.data(), text.size(), "%FT%TZ", &parts)};
}

// On standard error, where progress is shown, too; a report may go to standard output.
std::optional<std::string> ask_at_terminal(std::string_view text) {
  fmt::print(stderr, "{}", text);
  std::fflush(stderr);
  std::string line;
  return std::getline(std::cin, line) ? std::optional(line) : std::nullopt;
}

Outcome<Plan> choose_at_terminal(Plan plan) {
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDERR_FILENO) != 1) {
    return std::unexpected("--choose: there is no terminal to ask at; --files, --size and --grep choose, too");
  }
  return choose_by_asking(std::move(plan), ask_at_terminal);
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
  const std::string taken = now_in_utc();
  auto report = carry_out(plan, session);
  progress.clear();
  if (!report) {
    return fail_with(report.error());
  }
  report->title = output.title;
  report->taken = taken;
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

int run_bench(int argc, char** argv, const TableStyle& style) {
  SuiteArguments arguments;
  OutputOptions output;
  output.style = style;
  CLI::App app("Measures ferry against the tools you would have used, on this machine.", "ferry bench");
  app.require_subcommand(1);
  for (CLI::App* const suite : add_suites(app, arguments)) {
    add_output(*suite, output);
  }
  CompareArguments saved_pair;
  ReportArguments saved;
  const CLI::App* const compare = add_compare(app, saved_pair);
  const CLI::App* const report = add_report(app, saved);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (compare->parsed()) {
    saved_pair.json = compare->count("--json") > 0;
    return run_compare(saved_pair, style);
  }
  if (report->parsed()) {
    return run_report(saved, style);
  }
  const CLI::App& suite = *app.get_subcommands().front();
  if (suite.get_name() == "copy-repeatedly") {
    return copy_repeatedly(arguments.tree.copies, arguments.source, arguments.target);
  }
  output.json = suite.count("--json") > 0;
  arguments.common.command_line = command_line(argc, argv);
  auto plan = plan_suite(suite, arguments);
  if (plan && arguments.choose) {
    plan = choose_at_terminal(std::move(*plan));
  }
  if (!plan) {
    fail_with(plan.error());
    return 2;
  }
  if (const auto writable = check_output(output); !writable) {
    fail_with(writable.error());
    return 2;
  }
  return measure(*plan, output);
}

}  // namespace ferry::bench
