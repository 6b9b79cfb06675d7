#include "cli/commands.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "cli/cp_arguments.hpp"
#include "cli/cp_messages.hpp"
#include "cli/cp_operands.hpp"
#include "cli/interruption.hpp"
#include "cli/source_total.hpp"
#include "cli/terminal.hpp"

namespace ferry::cli {
namespace {

// ------------------------------------------------------------------------------------------ answers

// Lines of standard input, waited for together with the wish to stop. A line that begins with y or Y is a yes, as in
// the C locale; the end of the input is a no.
class Answers {
 public:
  explicit Answers(int stop_descriptor) : stop_descriptor_(stop_descriptor) {}

  bool yes() {
    bool first = true;
    bool result = false;
    for (;;) {
      const int c = next();
      if (c < 0 || c == '\n') {
        return result;
      }
      if (first) {
        result = c == 'y' || c == 'Y';
        first = false;
      }
    }
  }

 private:
  // The next byte, -1 at the end or when a stop was asked for.
  int next() {
    if (begin_ == end_) {
      std::array<pollfd, 2> waits = {pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{stop_descriptor_, POLLIN, 0}};
      while (poll(waits.data(), waits.size(), -1) < 0 && errno == EINTR) {
      }
      if (waits[1].revents != 0) {
        return -1;
      }
      const ssize_t got = read(STDIN_FILENO, buffer_.data(), buffer_.size());
      if (got <= 0) {
        return -1;
      }
      begin_ = 0;
      end_ = static_cast<std::size_t>(got);
    }
    return static_cast<unsigned char>(buffer_[begin_++]);
  }

  int stop_descriptor_;
  std::array<char, 4096> buffer_ = {};
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

// ------------------------------------------------------------------------------------------ repeated sources

// Remembers the sources of this command line. GNU cp takes one named twice for a slip, warns and copies it once.
class SourcesSeen {
 public:
  // Whether this source was there already; then `warning` says so.
  bool repeated(const CpJob& job, const TreeOptions& options, std::string& warning) {
    struct stat status = {};
    const int flags = options.dereference == Dereference::never ? AT_SYMLINK_NOFOLLOW : 0;
    is_directory_ = false;
    if (fstatat(AT_FDCWD, job.source.c_str(), &status, flags) != 0) {
      return false;  // the copy will say what is wrong
    }
    is_directory_ = S_ISDIR(status.st_mode);
    if (is_directory_) {
      if (!options.recursive || directories_.emplace(status.st_dev, status.st_ino, job.destination).second) {
        return false;
      }
      warning = fmt::format("warning: source directory {} specified more than once", ferry::quoted(job.source));
      return true;
    }
    if (options.backup != Backup::none) {
      return false;
    }
    // The same directory entry, not merely the same file: two hard links are two sources.
    const std::string name(last_component(job.source));
    const std::string folder = job.source.substr(0, job.source.size() - name.size());
    if (!folder_ || *folder_ != folder) {
      if (stat(folder.empty() ? "." : folder.c_str(), &folder_status_) != 0) {
        return false;
      }
      folder_ = folder;
    }
    if (files_.emplace(folder_status_.st_dev, folder_status_.st_ino, name).second) {
      return false;
    }
    warning = fmt::format("warning: source file {} specified more than once", ferry::quoted(job.source));
    return true;
  }
  // Whether the source asked about last is a directory.
  [[nodiscard]] bool is_directory() const noexcept { return is_directory_; }

 private:
  bool is_directory_ = false;
  // The folder of the source before: most operands are from one place.
  std::optional<std::string> folder_;
  struct stat folder_status_ = {};
  std::set<std::tuple<dev_t, ino_t, std::string>> files_;
  std::set<std::tuple<dev_t, ino_t, std::string>> directories_;
};

// ------------------------------------------------------------------------------------------ the job

class CpRun {
 public:
  explicit CpRun(CpCommand command);
  int run(const CpJobs& jobs);

 private:
  void show_progress(const CpJobs& jobs);
  TreeOptions options_with_callbacks();
  void copy_one(const CpJob& job);
  void copy_waiting();
  bool copy_parents(const CpJob& job, bool again);
  // cp's one way to copy a file onto itself: `cp --force --backup x x` copies x to its own backup name.
  [[nodiscard]] bool is_backup_of_itself(const CpJob& job) const;
  void back_up_itself(const CpJob& job);
  void note(const Result<void>& result);
  bool may_overwrite(std::string_view destination, std::uint32_t mode);
  void on_event(const TreeEvent& event);
  void on_error(const TreeError& error);
  void begin(const std::string& source, const std::string& destination, bool parent);
  int finish();

  CpCommand command_;
  Interruption interruption_;
  Terminal terminal_;
  Answers answers_;
  TreeCopier copier_;
  std::vector<TreeOperand> waiting_;    // operands without anything special: copied together
  std::unique_ptr<SourceTotal> total_;  // while there is a progress line
  CurrentOperand operand_;
  bool quiet_ = false;  // events are not reported: a second pass over directories
  bool failed_ = false;
  std::uint64_t complaints_ = 0;  // of the current call into the engine
};

CpRun::CpRun(CpCommand command)
    : command_(std::move(command)), answers_(interruption_.descriptor()), copier_(options_with_callbacks()) {}

TreeOptions CpRun::options_with_callbacks() {
  TreeOptions options = command_.tree;
  options.copy.stop = interruption_.token();
  options.on_error = [this](const TreeError& error) { on_error(error); };
  // Building paths for events costs, so only who asked for lines pays.
  if (command_.verbose || command_.explain) {
    options.on_event = [this](const TreeEvent& event) { on_event(event); };
  }
  if (command_.interactive) {
    if (options.jobs == 0) {
      options.jobs = 1;  // questions in the order of the tree
    }
    // A yes to replacing a file by a hard link is meant, though -f was not given.
    options.force = options.force || options.link_mode == LinkMode::hard_link;
    options.on_overwrite = [this](std::string_view destination, std::uint32_t mode) {
      return may_overwrite(destination, mode);
    };
  }
  return options;
}

void CpRun::begin(const std::string& source, const std::string& destination, bool parent) {
  operand_ = {source, destination, parent};
  complaints_ = 0;
}

void CpRun::note(const Result<void>& result) {
  if (result) {
    return;
  }
  failed_ = true;
  if (complaints_ == 0 && result.error().errno_value() != ECANCELED) {
    terminal_.complain(cp_name, result.error().to_string());
  }
}

bool CpRun::may_overwrite(std::string_view destination, std::uint32_t mode) {
  const bool writable = S_ISLNK(mode) || faccessat(AT_FDCWD, std::string(destination).c_str(), W_OK, AT_EACCESS) == 0;
  terminal_.ask(cp_name, overwrite_question(destination, mode, writable,
                                            command_.tree.force || command_.tree.remove_destination));
  return answers_.yes();
}

void CpRun::on_event(const TreeEvent& event) {
  if (quiet_) {
    return;
  }
  if (command_.json) {
    terminal_.print_line(json_event(event));
    return;
  }
  if (command_.explain) {
    terminal_.print_line(explain_line(event));
  } else if (const std::string line = verbose_line(event, operand_); !line.empty()) {
    terminal_.print_line(line);
  } else if (command_.debug && event.kind == TreeEventKind::skipped) {
    terminal_.print_line("skipped " + ferry::quoted(event.destination));
  }
  if (command_.debug && event.kind == TreeEventKind::copied && event.report != nullptr) {
    terminal_.print_line(debug_line(*event.report, command_.tree.copy));
  }
}

void CpRun::on_error(const TreeError& error) {
  ++complaints_;
  failed_ = true;
  if (error.problem == TreeProblem::canceled) {
    return;  // the user knows
  }
  const std::string message = describe(error, operand_, command_.tree.link_mode);
  if (command_.json && command_.explain) {
    terminal_.print_line(json_error(error, message));
  }
  terminal_.complain(cp_name, message);
}

// The directories of `source` below the target directory. `again`: their attributes once more, which the copies made
// inside have changed. False if one could not be made.
bool CpRun::copy_parents(const CpJob& job, bool again) {
  const std::size_t source_begin = std::min(job.source.find_first_not_of('/'), job.source.size());
  for (std::size_t at = job.destination.find('/', job.parents_begin); at != std::string::npos;
       at = job.destination.find('/', job.destination.find_first_not_of('/', at))) {
    begin(job.source.substr(0, source_begin + at - job.parents_begin), job.destination.substr(0, at), true);
    quiet_ = again;
    // The slash: a symbolic link on the way is followed, whatever -P says.
    const Result<void> made = copier_.copy_directory_only(operand_.source + "/", operand_.destination);
    quiet_ = false;
    note(made);
    if (!made) {
      return false;
    }
  }
  return true;
}

bool CpRun::is_backup_of_itself(const CpJob& job) const {
  struct stat status = {};
  return command_.tree.force && command_.tree.backup != Backup::none && job.source == job.destination &&
         stat(job.source.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

void CpRun::back_up_itself(const CpJob& job) {
  TreeOptions options = options_with_callbacks();
  options.backup = Backup::none;
  TreeCopier copier(std::move(options));
  const std::string destination = backup_name(job.destination, command_.tree.backup, command_.tree.backup_suffix);
  begin(job.source, destination, false);
  note(copier.copy(job.source, destination));
  note(copier.finish());
}

void CpRun::copy_one(const CpJob& job) {
  if (!command_.parents) {
    waiting_.push_back({job.source, job.destination});
    return;
  }
  std::error_code ignored;
  // Where all of them are there, cp leaves them as they are, whatever is to be preserved.
  const std::size_t slash = job.destination.rfind('/', job.destination.find_last_not_of('/'));
  const bool are_there = std::filesystem::is_directory(job.destination.substr(0, slash + 1), ignored);
  if (!are_there && !copy_parents(job, false)) {
    return;
  }
  begin(job.source, job.destination, false);
  note(copier_.copy(job.source, job.destination));
  if (!are_there && !interruption_.token().stop_requested()) {
    (void)copy_parents(job, true);
  }
}

void CpRun::copy_waiting() {
  if (!waiting_.empty()) {
    begin({}, {}, false);
    note(copier_.copy(waiting_));
    waiting_.clear();
  }
}

void CpRun::show_progress(const CpJobs& jobs) {
  // A question and a moving line do not go together.
  const ProgressMode mode = command_.interactive ? ProgressMode::never : command_.progress;
  if (!Terminal::shows_progress(mode)) {
    return;
  }
  if (SourceTotal::is_meaningful(command_.tree)) {
    std::vector<std::string> sources;
    sources.reserve(jobs.jobs.size());
    std::ranges::transform(jobs.jobs, std::back_inserter(sources), &CpJob::source);
    total_ = std::make_unique<SourceTotal>(std::move(sources), command_.tree);
  }
  terminal_.start_progress([this] { return total_ ? total_->add_to(copier_.progress()) : copier_.progress(); });
}

int CpRun::run(const CpJobs& jobs) {
  show_progress(jobs);
  SourcesSeen seen;
  for (const CpJob& job : jobs.jobs) {
    if (interruption_.token().stop_requested()) {
      break;
    }
    std::string warning;
    if (jobs.into_directory && seen.repeated(job, command_.tree, warning)) {
      copy_waiting();
      terminal_.complain(cp_name, warning);
    } else if (!jobs.into_directory && is_backup_of_itself(job)) {
      back_up_itself(job);
    } else if (seen.is_directory()) {
      // One at a time, in order: one operand may be where the others go to (cp -r a b c b).
      copy_waiting();
      copy_one(job);
      copy_waiting();
    } else {
      copy_one(job);
    }
  }
  copy_waiting();
  return finish();
}

int CpRun::finish() {
  if (!interruption_.token().stop_requested()) {
    begin({}, {}, false);
    note(copier_.finish());
  }
  terminal_.stop_progress();
  total_.reset();
  const int signal = interruption_.signal_number();
  const int status = signal != 0 ? 128 + signal : failed_ ? 1 : 0;
  if (command_.json) {
    terminal_.print_line(json_summary(copier_.report(), status, signal, command_.tree.dry_run));
  }
  if (const int error = terminal_.flush(); error != 0) {
    terminal_.complain(cp_name, fmt::format("write error: {}", std::strerror(error)));
    return 1;
  }
  if (signal != 0) {
    Interruption::die_by(signal);
  }
  return status;
}

}  // namespace

int cp_main(int argc, char** argv) {
  auto command = parse_cp_arguments(argc, argv);
  if (!command) {
    return command.error().status;
  }
  const auto jobs = resolve_operands(*command);
  if (!jobs) {
    return jobs.error().status;
  }
  return CpRun(std::move(*command)).run(*jobs);
}

}  // namespace ferry::cli
