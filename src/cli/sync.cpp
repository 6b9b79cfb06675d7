#include <fmt/chrono.h>
#include <fmt/format.h>
#include <langinfo.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <ferry/sync.hpp>

#include "cli/commands.hpp"
#include "cli/interruption.hpp"
#include "cli/sync_arguments.hpp"
#include "cli/sync_output.hpp"
#include "cli/terminal.hpp"

namespace ferry::cli {
namespace {

// ------------------------------------------------------------------------------------------ the log file

// --log-file: lines with time and process, appended. Used by one thread at a time.
class LogFile {
 public:
  // The errno of opening it, or 0.
  [[nodiscard]] int open(const std::string& path) {
    file_.reset(std::fopen(path.c_str(), "ae"));
    return file_ ? 0 : errno;
  }

  void write(std::string_view line) {
    if (!file_) {
      return;
    }
    const std::time_t now = std::time(nullptr);
    std::tm moment = {};
    localtime_r(&now, &moment);
    const std::string text = fmt::format("{:%Y/%m/%d %H:%M:%S} [{}] {}\n", moment, getpid(), line);
    note(std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size());
  }

  // The first error of writing, or 0.
  [[nodiscard]] int close() {
    if (std::FILE* file = file_.release(); file != nullptr) {
      note(std::fclose(file) == 0);
    }
    return error_;
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { (void)std::fclose(file); }
  };
  void note(bool is_done) {
    if (!is_done && error_ == 0) {
      error_ = errno;
    }
  }

  std::unique_ptr<std::FILE, Close> file_;
  int error_ = 0;
};

// ------------------------------------------------------------------------------------------ the run

bool locale_is_utf8() {
  return std::setlocale(LC_CTYPE, "") != nullptr && std::string_view(nl_langinfo(CODESET)) == "UTF-8";
}

std::string_view meaning(SyncExit exit) noexcept {
  switch (exit) {
    case SyncExit::partial: return "some files or attributes were not transferred (see the messages above)";
    case SyncExit::vanished: return "some files vanished before they could be transferred";
    case SyncExit::deletion_limit: return "the limit of --max-delete stopped deletions";
    case SyncExit::timeout: return "the time was over";
    case SyncExit::interrupted: return "interrupted";
    default: return "not everything was done";
  }
}

class SyncRun {
 public:
  explicit SyncRun(SyncCommand command) : command_(std::move(command)), utf8_(locale_is_utf8()), lines_(command_) {}

  int run();

 private:
  [[nodiscard]] SyncOptions options_with_callbacks();
  void on_event(SyncEvent event);
  void on_error(const SyncError& error);
  void print(std::string_view line);
  void begin_output();
  void complain(const std::string& message);
  [[nodiscard]] int fail(const SyncFailure& failure);
  void tell_end(SyncReport report);
  [[nodiscard]] int finish(int status);

  SyncCommand command_;
  Interruption interruption_;
  Terminal terminal_;
  bool utf8_;
  SyncLines lines_;
  LogFile log_;
  bool has_begun_ = false;
  std::atomic<std::uint64_t> bytes_done_ = 0;
  std::atomic<std::uint64_t> entries_done_ = 0;
};

// The first line, once it is clear that the sync begins at all. Called by one thread at a time.
void SyncRun::begin_output() {
  if (!std::exchange(has_begun_, true) && command_.telling.info.list > 0 && !command_.telling.quiet) {
    terminal_.print_line("sending incremental file list");
  }
}

void SyncRun::print(std::string_view line) {
  begin_output();
  terminal_.print_line(escaped(line, command_.telling.eight_bit, utf8_));
}

void SyncRun::complain(const std::string& message) {
  terminal_.complain(sync_name, message);
  log_.write(message);
}

SyncOptions SyncRun::options_with_callbacks() {
  SyncOptions options = command_.options;
  const SyncTelling& telling = command_.telling;
  options.stop = interruption_.token();
  options.on_error = [this](const SyncError& error) { on_error(error); };
  // Events cost, so only who asked for something gets them.
  if (telling.json || telling.explain || !telling.log_file.empty() || telling.info.progress > 0 || lines_.tells()) {
    options.on_event = [this](const SyncEvent& event) { on_event(event); };
  }
  return options;
}

void SyncRun::on_event(SyncEvent event) {
  if (command_.options.dry_run) {
    event.bytes_written = 0;  // nothing was written; the engine tells what would be
  }
  bytes_done_ += event.bytes_written;
  ++entries_done_;
  const std::time_t now = std::time(nullptr);
  if (!command_.telling.log_file.empty()) {
    if (const std::string line = lines_.for_log(event, now); !line.empty()) {
      log_.write(escaped(line, command_.telling.eight_bit, utf8_));
    }
  }
  if (command_.telling.json) {
    terminal_.print_line(json_event(event));
    return;
  }
  if (const std::string line = lines_.for_output(event, now); !line.empty()) {
    print(line);
  }
  if (command_.telling.explain) {
    if (const std::string line = explain_line(event); !line.empty()) {
      terminal_.print_line(line);
    }
  }
}

void SyncRun::on_error(const SyncError& error) {
  if (error.problem == SyncProblem::stopped && interruption_.signal_number() != 0) {
    return;  // the user knows
  }
  if (command_.telling.json) {
    terminal_.print_line(json_error(error));
  }
  if (error.problem == SyncProblem::cannot_delete_not_empty) {  // no error: what is protected from deletion is inside
    if (!command_.telling.json && !command_.telling.quiet) {
      print(describe(error));
    }
    return;
  }
  complain(describe(error));
}

int SyncRun::fail(const SyncFailure& failure) {
  if (command_.telling.json) {
    terminal_.print_line(json_failure(failure));
  }
  if (failure.exit == SyncExit::unsupported) {
    // The engine names the option as the operation.
    complain(fmt::format("{} is not supported by ferry sync yet: leave it out", failure.error.operation));
  } else {
    complain(failure.error.to_string());
  }
  return finish(static_cast<int>(failure.exit));
}

void SyncRun::tell_end(SyncReport report) {
  const SyncTelling& telling = command_.telling;
  const bool dry_run = command_.options.dry_run;
  if (dry_run) {
    report.literal_bytes = 0;  // nothing was written; the engine counts what would be
  }
  log_.write(fmt::format("sent {} bytes  received 0 bytes  total size {}", human_number(report.literal_bytes, 1),
                         human_number(report.total_size_bytes, 1)));
  if (telling.json) {
    terminal_.print_line(json_summary(report, dry_run));
  } else if (!telling.quiet) {
    begin_output();
    if (telling.info.statistics > 1) {
      terminal_.print_line("\n" + statistics_block(report, telling.human));
    }
    if (telling.info.statistics > 0) {
      terminal_.print_line("\n" + statistics_end(report, telling.human, dry_run));
    }
  }
  if (report.exit != SyncExit::success) {
    complain(fmt::format("{} (code {})", meaning(report.exit), static_cast<int>(report.exit)));
  }
}

int SyncRun::finish(int status) {
  constexpr int failed = static_cast<int>(SyncExit::file_io);
  if (const int error = log_.close(); error != 0) {
    terminal_.complain(
        sync_name, fmt::format("write error: {}: {}", ferry::quoted(command_.telling.log_file), std::strerror(error)));
    status = status == 0 ? failed : status;
  }
  if (const int error = terminal_.flush(); error != 0) {
    terminal_.complain(sync_name, fmt::format("write error: {}", std::strerror(error)));
    status = status == 0 ? failed : status;
  }
  return status;
}

int SyncRun::run() {
  const SyncTelling& telling = command_.telling;
  if (!telling.log_file.empty()) {
    if (const int error = log_.open(telling.log_file); error != 0) {
      terminal_.complain(sync_name,
                         fmt::format("--log-file: {}: {}", ferry::quoted(telling.log_file), std::strerror(error)));
      return static_cast<int>(SyncExit::file_io);
    }
    log_.write("building file list");
  }
  if (telling.info.progress > 0 && Terminal::shows_progress(ProgressMode::automatic)) {
    terminal_.start_progress([this] {
      TreeProgress progress;
      progress.bytes_done = bytes_done_;
      progress.entries_done = entries_done_;
      progress.entries_found = progress.entries_done;
      return progress;
    });
  }
  const auto report = sync_trees(command_.sources, command_.destination, options_with_callbacks());
  terminal_.stop_progress();
  if (!report) {
    return fail(report.error());
  }
  tell_end(*report);
  return finish(static_cast<int>(report->exit));
}

int answer(const SyncAnswer& answer) {
  if (answer.status != 0) {
    fmt::print(stderr, "{}: {}\n", sync_name, answer.text);
    if (answer.status == static_cast<int>(SyncExit::syntax)) {
      fmt::print(stderr, "Try '{} --help' for more information.\n", sync_name);
    }
    return answer.status;
  }
  fmt::print("{}", answer.text);
  return std::fflush(stdout) == 0 ? 0 : static_cast<int>(SyncExit::file_io);
}

}  // namespace

int sync_main(int argc, char** argv) {
  auto command = parse_sync_arguments(std::span<const char* const>(argv, static_cast<std::size_t>(argc)).subspan(1));
  if (!command) {
    return answer(command.error());
  }
  return SyncRun(std::move(*command)).run();
}

}  // namespace ferry::cli
