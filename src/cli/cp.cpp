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
#include <mutex>
#include <set>
#include <tuple>
#include <vector>

#include "cli/cp_arguments.hpp"
#include "cli/cp_messages.hpp"
#include "cli/cp_operands.hpp"
#include "cli/interruption.hpp"
#include "cli/ranks.hpp"
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
  // `ranks`: the other processes that share the work, of which this one is the first; or null.
  CpRun(CpCommand command, Interruption& interruption, Ranks* ranks);
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
  Interruption& interruption_;
  Ranks* ranks_;
  std::stop_token stop_;
  std::mutex reports_;  // guards what events and errors use: others' come from the thread that receives them
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

CpRun::CpRun(CpCommand command, Interruption& interruption, Ranks* ranks)
    : command_(std::move(command)),
      interruption_(interruption),
      ranks_(ranks),
      stop_(ranks != nullptr ? ranks->stop_token() : interruption.token()),
      answers_(interruption_.descriptor()),
      copier_(options_with_callbacks()) {}

TreeOptions CpRun::options_with_callbacks() {
  TreeOptions options = command_.tree;
  options.copy.stop = stop_;
  options.partners = ranks_ != nullptr ? &ranks_->partners() : nullptr;
  options.on_error = [this](const TreeError& error) { on_error(error); };
  // Building paths for events costs, so only who asked for lines pays.
  if (command_.verbose || command_.explain) {
    options.on_event = [this](const TreeEvent& event) { on_event(event); };
  }
  if (ranks_ != nullptr) {
    ranks_->begin({.on_event = options.on_event, .on_error = options.on_error}, interruption_.token());
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
  const std::scoped_lock lock(reports_);
  operand_ = {source, destination, parent};
  complaints_ = 0;
}

void CpRun::note(const Result<void>& result) {
  if (result) {
    return;
  }
  const std::scoped_lock lock(reports_);
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
  const std::scoped_lock lock(reports_);
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
  const std::scoped_lock lock(reports_);
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
  options.partners = nullptr;  // one file
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
  if (!are_there && !stop_.stop_requested()) {
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
  terminal_.start_progress([this] {
    TreeProgress progress = copier_.progress();
    if (ranks_ != nullptr) {
      const TreeProgress others = ranks_->progress_of_others();
      progress.bytes_done += others.bytes_done;
      progress.entries_done += others.entries_done;
      progress.bytes_found += others.bytes_found;
      progress.entries_found += others.entries_found;
    }
    return total_ ? total_->add_to(progress) : progress;
  });
}

int CpRun::run(const CpJobs& jobs) {
  show_progress(jobs);
  SourcesSeen seen;
  for (const CpJob& job : jobs.jobs) {
    if (stop_.stop_requested()) {
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
  if (ranks_ != nullptr) {
    ranks_->end_work();
  }
  if (!stop_.stop_requested()) {
    begin({}, {}, false);
    note(copier_.finish());
  }
  TreeReport report = copier_.report();
  if (ranks_ != nullptr) {
    const Ranks::Outcome all = ranks_->finish(report, failed_);
    report = all.report;
    failed_ = failed_ || all.failed;
  }
  terminal_.stop_progress();
  total_.reset();
  const int signal = interruption_.signal_number();
  const int status = signal != 0 ? 128 + signal : failed_ ? 1 : 0;
  if (command_.json) {
    terminal_.print_line(json_summary(report, status, signal, command_.tree.dry_run));
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

// ------------------------------------------------------------------------------------------ under mpirun

// What one process after the other does; rank 0 complains for all.
const char* refused_with_ranks(const CpCommand& command) {
  if (command.interactive) {
    return "-i (--interactive) cannot be used with several processes: run it without mpirun";
  }
  if (command.parents) {
    return "--parents cannot be used with several processes: run it without mpirun";
  }
  return nullptr;
}

// All ranks but the first: works on what the others give, and tells rank 0 what it did.
int serve_cp(const CpCommand& command, Interruption& interruption, Ranks& ranks) {
  ranks.begin({}, interruption.token());
  TreeOptions options = command.tree;
  options.copy.stop = ranks.stop_token();
  options.partners = &ranks.partners();
  options.on_error = [&](const TreeError& error) { ranks.forward(error); };
  if (command.verbose || command.explain) {
    options.on_event = [&](const TreeEvent& event) { ranks.forward(event); };
  }
  TreeCopier copier(std::move(options));
  ranks.tell_progress([&] { return copier.progress(); });
  copier.serve_partners();
  ranks.tell_progress({});
  bool failed = false;
  if (!ranks.stop_token().stop_requested()) {
    if (const auto finished = copier.finish(); !finished) {
      failed = true;
      ranks.forward(TreeError{.problem = TreeProblem::cannot_sync,
                              .error = finished.error(),
                              .source = {},
                              .destination = finished.error().path,
                              .operand = {}});
    }
  }
  (void)ranks.finish(copier.report(), failed);
  return 0;  // rank 0 has the status of all: mpirun ends the others when one has another
}

std::vector<TreeOperand> operands_of(const CpJobs& jobs) {
  std::vector<TreeOperand> operands;
  operands.reserve(jobs.jobs.size());
  for (const CpJob& job : jobs.jobs) {
    operands.push_back({job.source, job.destination});
  }
  return operands;
}

int cp_of_several(int argc, char** argv, const Launch& launch) {
  const RankFacts facts = facts_of_command(argc, argv);  // before parsing, which reorders them
  std::expected<CpCommand, CpExit> command;
  {
    const Silence silence(launch);
    command = parse_cp_arguments(argc, argv);
    if (!command) {
      return command.error().status;
    }
    if (const char* const reason = refused_with_ranks(*command); reason != nullptr) {
      fmt::print(stderr, "{}: {}\n", cp_name, reason);
      return 1;
    }
  }
  Interruption interruption;
  const auto ranks = join_ranks(launch);
  if (!ranks) {
    // By each that it happens to: it may be one alone, on a machine that is set up otherwise.
    fmt::print(stderr, "{}: rank {}: {}\n", cp_name, launch.rank, ranks.error());
    return 1;
  }
  if (launch.rank != 0) {
    const auto checked = (*ranks)->check(facts, std::nullopt);
    return checked ? serve_cp(*command, interruption, **ranks) : 0;
  }
  const auto jobs = resolve_operands(*command);
  const auto checked = (*ranks)->check(facts, jobs ? std::optional(operands_of(*jobs)) : std::nullopt);
  if (!checked) {
    if (!checked.error().empty()) {
      fmt::print(stderr, "{}: {}; nothing was copied\n", cp_name, checked.error());
    }
    return 1;
  }
  return CpRun(std::move(*command), interruption, ranks->get()).run(*jobs);
}

}  // namespace

int cp_main(int argc, char** argv) {
  if (const Launch launch = launched_as(); launch.is_one_of_several()) {
    return cp_of_several(argc, argv, launch);
  }
  auto command = parse_cp_arguments(argc, argv);
  if (!command) {
    return command.error().status;
  }
  const auto jobs = resolve_operands(*command);
  if (!jobs) {
    return jobs.error().status;
  }
  Interruption interruption;
  return CpRun(std::move(*command), interruption, nullptr).run(*jobs);
}

}  // namespace ferry::cli
