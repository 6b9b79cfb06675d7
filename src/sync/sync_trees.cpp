// From operands to a finished job: what is where, the destination's root, the passes.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <ferry/sync.hpp>

#include "base/sys.hpp"
#include "sync/filter_rules.hpp"
#include "sync/sync_traversal.hpp"
#include "tree/workers.hpp"

namespace ferry {
namespace {

std::unexpected<SyncFailure> refuse(SyncExit exit, int error, const char* operation, std::string path = {}) {
  return std::unexpected(
      SyncFailure{exit, Error{std::error_code(error, std::generic_category()), operation, std::move(path)}});
}

// What this version cannot do is refused, never ignored.
std::expected<void, SyncFailure> check(const SyncOptions& options) {
  const auto unsupported = [](const char* option) { return refuse(SyncExit::unsupported, ENOTSUP, option); };
  if (options.crtimes) {
    return unsupported("--crtimes");
  }
  if (!options.temp_dir.empty()) {
    return unsupported("--temp-dir");
  }
  if (options.partial || !options.partial_dir.empty()) {
    return unsupported("--partial");
  }
  if (options.delay_updates) {
    return unsupported("--delay-updates");
  }
  if (options.timeout.count() != 0) {
    return unsupported("--timeout");
  }
  if (!options.journal.empty() || options.retry_failed_only) {
    return unsupported("--resume");
  }
  if (options.inplace && options.backup) {
    return unsupported("--inplace with --backup");
  }
  for (const BasisDirectory& basis : options.basis) {
    if (basis.kind == BasisDirectory::Kind::reflink) {
      return unsupported("--reflink-dest");
    }
  }
  if (options.basis.size() > 20) {
    return refuse(SyncExit::syntax, E2BIG, "more than 20 of --compare-dest, --copy-dest, --link-dest");
  }
  if (options.delete_mode != DeleteMode::none && !options.recursive && !options.dirs) {
    return refuse(SyncExit::syntax, EINVAL, "--delete without --recursive or --dirs");
  }
  if (options.inplace && options.sparse && !options.whole_file) {
    return unsupported("--inplace with --sparse and --no-whole-file");
  }
  return {};
}

// One run of sync_trees().
class Run {
 public:
  Run(const SyncOptions& options, unsigned workers)
      : options_(options), job_(options, workers), workers_(workers), anchor_(new Directory({}, "")) {}

  std::expected<SyncReport, SyncFailure> go(std::span<const std::string> sources, const std::string& destination) {
    const auto began = std::chrono::steady_clock::now();
    auto rules = FilterRules::parse(options_.filters, options_.delete_excluded);
    if (!rules) {
      return std::unexpected(SyncFailure{SyncExit::syntax, rules.error()});
    }
    rules_ = *rules;
    auto plan = make_plan(job_, anchor_, *rules_, sources);
    if (!plan) {
      return std::unexpected(SyncFailure{SyncExit::syntax, plan.error()});
    }
    plan_ = std::move(*plan);
    if (auto ready = prepare_destination(destination); !ready) {
      return std::unexpected(ready.error());
    }
    SyncReport report = transfer();
    job_.finish(report);
    report.elapsed = std::chrono::steady_clock::now() - began;
    return report;
  }

 private:
  // Decides whether the destination is a directory to put things in or a new name, and opens or makes that directory.
  std::expected<void, SyncFailure> prepare_destination(const std::string& destination) {
    struct statx status = {};
    const int result = sys::statx(AT_FDCWD, destination.c_str(), 0, STATX_BASIC_STATS, status);
    if (result < 0 && result != -ENOENT && result != -ENOTDIR) {
      return refuse(SyncExit::file_io, -result, "statx", destination);
    }
    if (result == 0 && S_ISDIR(status.stx_mode)) {
      return open_destination(destination);
    }
    const bool is_one_entry = !plan_.root.contents && plan_.root.children.size() == 1 &&
                              plan_.root.children.begin()->second->locations.size() == 1 &&
                              plan_.root.children.begin()->second->children.empty();
    const bool names_directory = destination.empty() || destination.ends_with('/');
    const bool is_one_file = is_one_entry && is_no_directory(*plan_.root.children.begin()->second);
    if (is_one_file && !names_directory) {
      return rename_only_entry(destination);
    }
    if (result == 0) {
      return refuse(SyncExit::file_selection, ENOTDIR, "the destination is no directory", destination);
    }
    if (plan_.root.children.empty() && !plan_.root.contents) {
      return {};  // none of the sources is there
    }
    return make_destination(destination);
  }

  static bool is_no_directory(const PlanNode& node) {
    struct statx status = {};
    const PlanNode::Location& location = node.locations.front();
    return sys::statx(location.directory->source_fd(), location.name.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE,
                      status) == 0 &&
           !S_ISDIR(status.stx_mode);
  }

  std::expected<void, SyncFailure> rename_only_entry(const std::string& destination) {
    const std::size_t slash = destination.rfind('/');
    const std::string parent = slash == std::string::npos ? "." : destination.substr(0, slash + 1);
    const auto entry = plan_.root.children.begin();
    std::unique_ptr<PlanNode> node = std::move(entry->second);
    node->shown_name = entry->first;
    plan_.root.children.clear();
    plan_.root.children[slash == std::string::npos ? destination : destination.substr(slash + 1)] = std::move(node);
    if (options_.mkpath) {
      if (const int error = make_path(parent); error != 0) {
        return refuse(SyncExit::file_io, error, "mkdirat", parent);
      }
    }
    return open_destination(parent);
  }

  // Makes the directories of the path that are missing; 0 or an errno.
  [[nodiscard]] int make_path(const std::string& path) const {
    if (options_.dry_run) {
      return 0;
    }
    for (std::size_t end = 1; end <= path.size(); ++end) {
      if (end == path.size() || path[end] == '/') {
        const int result = sys::mkdirat(AT_FDCWD, path.substr(0, end).c_str(), 0777);
        struct statx status = {};
        if (result < 0 && result != -EEXIST &&
            sys::statx(AT_FDCWD, path.substr(0, end).c_str(), 0, STATX_TYPE, status) < 0) {
          return -result;
        }
      }
    }
    return 0;
  }

  std::expected<void, SyncFailure> make_destination(const std::string& destination) {
    if (options_.mkpath) {
      const std::size_t last = destination.find_last_not_of('/');
      const std::size_t slash = last == std::string::npos ? last : destination.rfind('/', last);
      if (slash != std::string::npos && slash != 0) {
        if (const int error = make_path(destination.substr(0, slash)); error != 0) {
          return refuse(SyncExit::file_io, error, "mkdirat", destination);
        }
      }
    }
    if (!options_.dry_run) {
      const int result = sys::mkdirat(AT_FDCWD, destination.c_str(), 0777);
      if (result < 0) {
        return refuse(SyncExit::file_io, -result, "mkdirat", destination);
      }
    }
    SyncEvent event;
    event.action = SyncAction::created_root;
    event.type = FileType::directory;
    event.path = destination;
    job_.event(event);
    is_root_new_ = true;
    if (options_.dry_run) {
      return {};
    }
    return open_destination(destination);
  }

  std::expected<void, SyncFailure> open_destination(const std::string& path) {
    auto opened = open_operand(job_, anchor_, path.empty() ? "." : path);
    if (!opened) {
      return std::unexpected(SyncFailure{SyncExit::file_io, opened.error()});
    }
    destination_ = *opened;
    job_.destination_root = destination_->source_identity;
    for (const BasisDirectory& basis : options_.basis) {
      const std::string basis_path =
          basis.path.is_absolute() ? basis.path.native() : joined(path.empty() ? "." : path, basis.path.native());
      auto basis_directory = open_operand(job_, anchor_, basis_path);
      basis_.push_back(basis_directory ? *basis_directory : DirectoryRef());
    }
    return {};
  }

  SyncDirectoryRef make_root() {
    auto root = std::make_shared<SyncDirectory>();
    root->sources = plan_.contents;
    root->destination = destination_;
    root->basis = basis_;
    root->plan = &plan_.root;
    root->rules = rules_;
    root->receiver_rules = rules_;
    root->contents = plan_.root.contents;
    root->recursive = plan_.root.recursive;
    root->is_new = is_root_new_;
    if (destination_) {
      root->destination_status = destination_->source_status;
    }
    if (!plan_.contents.empty()) {
      root->source_status = plan_.contents.front()->source_status;
      job_.adjust(root->source_status);
      root->has_attributes = true;
      enter_rules(*root);
    }
    return root;
  }

  void enter_rules(SyncDirectory& root) {
    if (!rules_->has_directory_files()) {
      return;
    }
    const auto enter = [&](std::shared_ptr<const FilterRules>& rules, int dirfd) {
      auto own = rules->enter_directory(dirfd, "");
      if (!own) {
        root.has_read_error = true;
        job_.fail(SyncProblem::filter_file, own.error());
      } else if (*own) {
        rules = *own;
      }
    };
    enter(root.rules, root.sources.front()->source_fd());
    if (root.destination) {
      enter(root.receiver_rules, root.destination_fd());
    }
  }

  // "./" as rsync itemizes it, when the contents of a source go into the root.
  void tell_root(SyncDirectory& root) {
    if (!root.has_attributes) {
      return;
    }
    SyncEvent event;
    event.type = FileType::directory;
    event.action = root.is_new ? SyncAction::created : SyncAction::none;
    event.is_new = root.is_new;
    event.path = ".";
    if (!root.is_new) {
      event.changes = attribute_changes(job_, root.source_status, root.destination_status);
      event.changes |=
          extended_changes(job_, root.sources.front()->source_fd(), ".", root.destination_fd(), ".", false);
    }
    root.differs = root.is_new || event.changes != 0;
    if (root.differs || options_.report_unchanged) {
      job_.event(event);
    }
  }

  SyncReport transfer() {
    if (!destination_ && !options_.dry_run) {
      return {};
    }
    Backups backups(job_, destination_ ? destination_->source_fd() : -1);
    SyncTraversal traversal(job_, backups, workers_);
    // What --remove-source-files takes away must not look like something that the source does not have.
    const bool is_last = options_.delete_mode == DeleteMode::after || options_.delete_mode == DeleteMode::delay;
    const bool deletes_last = is_last && !options_.remove_source_files;
    const bool deletes_first = options_.delete_mode == DeleteMode::before || (is_last && options_.remove_source_files);
    if (deletes_first && destination_) {
      traversal.run(SyncTraversal::Pass::deletions, make_root());
    }
    SyncDirectoryRef root = make_root();
    if (destination_) {
      // Deletions before have changed it.
      (void)sys::statx(destination_->source_fd(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, root->destination_status);
    }
    tell_root(*root);
    traversal.run(SyncTraversal::Pass::transfer, root);
    if (deletes_last && destination_ && !job_.stopped() && job_.may_delete()) {
      traversal.run(SyncTraversal::Pass::deletions, make_root());
    }
    SyncReport report = traversal.report();
    if (root->has_attributes) {
      ++report.found.directories;
      report.created.directories += root->is_new ? 1 : 0;
    }
    return report;
  }

  const SyncOptions& options_;
  SyncJob job_;
  unsigned workers_;
  DirectoryRef anchor_;
  std::shared_ptr<const FilterRules> rules_;
  Plan plan_;
  DirectoryRef destination_;
  std::vector<DirectoryRef> basis_;
  bool is_root_new_ = false;
};

}  // namespace

std::expected<SyncReport, SyncFailure> sync_trees(std::span<const std::string> sources, const std::string& destination,
                                                  const SyncOptions& options) {
  if (auto checked = check(options); !checked) {
    return std::unexpected(checked.error());
  }
  if (sources.empty()) {
    return refuse(SyncExit::syntax, EINVAL, "no source");
  }
  Run run(options, worker_count(options.jobs));
  return run.go(sources, destination);
}

}  // namespace ferry
