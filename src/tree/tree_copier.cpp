// Copying trees: operands, directories on the way in and out, and the summing up.
#include <ferry/tree.hpp>

#include "base/sys.hpp"
#include "tree/staged_directory.hpp"
#include "tree/tree_copier_state.hpp"
#include "tree/workers.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <utility>

namespace ferry {

namespace {

Error system_error(int errno_value, const char* operation) {
  return Error{std::error_code(errno_value, std::generic_category()), operation, {}};
}

}  // namespace

TreeCopier::State::State(TreeOptions options, unsigned workers)
    : JobHolder(std::move(options), workers),
      Traversal(workers, job.descriptors),
      copiers_(workers),
      parents_(workers) {
  begin_with_partners();
}

TreeCopier::State::~State() { end_with_partners(); }

EntryCopier& TreeCopier::State::copier(unsigned worker) {
  std::unique_ptr<EntryCopier>& own = copiers_[worker];
  if (!own) {
    EntryCopier::Hooks hooks{.note_cost = [this](std::uint64_t units) { note_cost(units); },
                             .let_go = [this, worker](Directory& directory) { let_go(worker, directory); },
                             .share = [this, worker](Directory& directory) { share(worker, directory); },
                             .claim = {},
                             .copy_in_ranges = {}};
    if (job.options.partners != nullptr) {
      hooks.claim = [this](InodeIdentity inode, std::uint32_t links, TreeName name) {
        claim(inode, links, std::move(name));
      };
      hooks.copy_in_ranges = [this](const SharedFile& file) { return copy_in_ranges(file); };
    }
    own = std::make_unique<EntryCopier>(job, std::move(hooks));
  }
  return *own;
}

// ------------------------------------------------------------------------------------------------- operands

Result<void> TreeCopier::State::run(std::span<const TreeOperand> operands, bool with_contents) {
  const auto begin = std::chrono::steady_clock::now();
  std::unordered_set<std::string_view> destinations;
  const bool all_differ = std::ranges::all_of(
      operands, [&](const TreeOperand& operand) { return destinations.insert(operand.destination).second; });
  if (all_differ) {
    run_in_parallel(operands, with_contents);
  } else {
    for (const TreeOperand& operand : operands) {
      run_in_parallel({&operand, 1}, with_contents);
    }
  }
  elapsed_ += std::chrono::steady_clock::now() - begin;
  if (job.stopped()) {
    return fail(ECANCELED, "copy", operands.empty() ? std::string() : operands[0].source);
  }
  if (std::optional<Error> error = job.take_first_error()) {
    return std::unexpected(std::move(*error));
  }
  return {};
}

void TreeCopier::State::run_in_parallel(std::span<const TreeOperand> operands, bool with_contents) {
  operands_ = operands;
  with_contents_ = with_contents;
  run_operands(operands.size());
  // Not kept for later calls: by then the paths may lead elsewhere.
  std::ranges::fill(parents_, DestinationParent{});
}

void TreeCopier::State::copy_operand(unsigned worker, const TreeOperand& operand) {
  const std::string& source = operand.source;
  const std::string& destination = operand.destination;
  DirectoryRef anchor(new Directory(DirectoryRef(), ""));
  anchor->source_operand = source;
  anchor->destination_operand = destination;
  job.entries_found.fetch_add(1, std::memory_order_relaxed);

  const bool follow = job.options.dereference != Dereference::never;
  struct statx status = {};
  const int result = sys::statx(AT_FDCWD, source.c_str(), follow ? 0 : AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, status);
  if (result < 0) {
    job.fail_entry(TreeProblem::cannot_stat_source, -result, "statx", {*anchor, source.c_str(), "", true});
    return;
  }
  const FileType type = file_type_of_mode(status.stx_mode);
  const CopyEntry whole{*anchor, source.c_str(), destination.c_str(), true};
  if (type == FileType::directory && !job.options.recursive && with_contents_) {
    job.fail_entry(TreeProblem::directory_omitted, EISDIR, "copy", whole);
    return;
  }
  if (type == FileType::directory) {
    copy_directory(worker, *anchor, whole);
    return;
  }
  std::string name;
  if (open_parent(worker, *anchor, whole, name)) {
    copier(worker).copy({*anchor, source.c_str(), name.c_str(), true, &status}, type);
  }
}

// Opens the directory that holds the destination's name, unless the worker has it open from the operand before; `name`
// is set to the last component. (Directories need none of this: the path leads to them, new or not.)
bool TreeCopier::State::open_parent(unsigned worker, Directory& anchor, const CopyEntry& entry, std::string& name) {
  const std::string& destination = anchor.destination_operand;
  const std::size_t slash = destination.rfind('/');
  name = slash == std::string::npos ? destination : destination.substr(slash + 1);
  if (name.empty()) {
    job.fail_entry(TreeProblem::cannot_create_file, destination.empty() ? ENOENT : ENOTDIR, "openat", entry);
    return false;
  }
  if (name == "." || name == "..") {
    name = destination;  // a directory, whatever it is called
    return true;
  }
  const std::string path = slash == std::string::npos ? "." : destination.substr(0, slash + 1);
  DestinationParent& parent = parents_[worker];
  if (parent.path != path) {
    parent = {};
    const int error = open_parent_directory(path, parent);
    if (error != 0) {
      job.fail_entry(TreeProblem::cannot_create_file, error, "openat", entry);
      return false;
    }
  }
  anchor.shared_destination = parent.fd;
  anchor.destination_status = parent.status;
  anchor.destination_identity = identity_of(parent.status);
  anchor.has_default_acl = parent.has_default_acl;
  return true;
}

// 0 or an errno.
int TreeCopier::State::open_parent_directory(const std::string& path, DestinationParent& parent) {
  bool is_readable = true;
  const int fd = job.descriptors.open_within_budget([&] {
    const int readable = sys::openat(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY);
    is_readable = readable != -EACCES;
    return is_readable ? readable : sys::openat(AT_FDCWD, path.c_str(), O_PATH | O_DIRECTORY);
  });
  if (fd < 0) {
    return -fd;
  }
  auto owned = std::make_shared<const UniqueFd>(fd);
  if (const int result = sys::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, parent.status); result < 0) {
    return -result;
  }
  parent.has_default_acl = !is_readable || sys::fgetxattr(fd, "system.posix_acl_default", nullptr, 0) > 0;
  parent.fd = std::move(owned);
  parent.path = path;
  return 0;
}

void TreeCopier::State::copy_directory(unsigned worker, Directory& anchor, const CopyEntry& entry) {
  DirectoryRef root(new Directory(DirectoryRef(&anchor), entry.source));
  root->source_operand = anchor.source_operand;
  root->destination_operand = anchor.destination_operand;
  root->destination_name = entry.destination;
  root->follow_source = job.options.dereference != Dereference::never;
  // A parent made for --parents is a part of the destination's path: followed like the rest of it.
  root->follow_destination = job.options.keep_directory_symlink || !with_contents_;
  if (!open_source(*root, entry) || !open_destination(*root, entry)) {
    return;
  }
  root->root_device = root->source_identity.device;
  job.created.add_root(root->destination_identity);
  const bool enter = with_contents_ && is_to_be_entered(*root, entry);
  job.descriptors.add(*root);  // pinned: the root stays open, all else is found from here
  ++copier(worker).report().directories;
  if (enter) {
    start(worker, root);
  } else {
    let_go(worker, *root);
  }
}

// ---------------------------------------------------------------------------------------------- directories

DirectoryRef TreeCopier::State::enter(unsigned worker, Directory& parent, std::string_view name) {
  if (parent.destination_is_lost) {
    return {};
  }
  DirectoryRef child(new Directory(DirectoryRef(&parent), name));
  child->follow_source = job.options.dereference == Dereference::always;
  child->follow_destination = job.options.keep_directory_symlink;
  const CopyEntry entry{parent, child->name.c_str(), child->name.c_str()};
  if (!open_source(*child, entry)) {
    return {};
  }
  // Before the destination is made: what would go into itself leaves no directory behind.
  if (job.created.is_root(child->source_identity)) {
    job.fail_entry(TreeProblem::into_itself, EINVAL, "copy", entry);
    return {};
  }
  for (const Directory* d = &parent; !d->is_anchor(); d = d->parent.get()) {
    if (d->source_identity == child->source_identity) {
      job.fail_entry(TreeProblem::directory_loop, ELOOP, "copy", entry);
      return {};
    }
  }
  if (!open_destination(*child, entry)) {
    return {};
  }
  job.descriptors.add(*child);
  ++copier(worker).report().directories;
  job.entries_done.fetch_add(1, std::memory_order_relaxed);
  note_cost(4);
  if (is_to_be_entered(*child, entry)) {
    return child;
  }
  // As a task of the child's own: its hold on the parent is let go of with it.
  const Pin pin(job.descriptors, *child);
  hold(parent);
  let_go(worker, *child);
  return {};
}

bool TreeCopier::State::open_source(Directory& directory, const CopyEntry& entry) {
  const int flags = O_DIRECTORY | (directory.follow_source ? 0 : O_NOFOLLOW);
  const auto open = [&](int access) {
    return job.descriptors.open_within_budget(
        [&] { return sys::openat(entry.directory.source_fd(), entry.source, flags | access); });
  };
  int fd = open(O_RDONLY);
  if (fd == -EACCES) {
    // It cannot be read, but it can be looked at: as with cp, an empty directory of its kind is made.
    job.fail_entry(TreeProblem::cannot_read_directory, EACCES, "openat", entry);
    directory.source_is_readable = false;
    fd = open(O_PATH);
    if (fd < 0) {
      return false;
    }
  }
  if (fd < 0) {
    job.fail_entry(TreeProblem::cannot_read_directory, -fd, "openat", entry);
    return false;
  }
  directory.source.reset(fd);
  const int result = sys::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, directory.source_status);
  if (result < 0) {
    job.fail_entry(TreeProblem::cannot_stat_source, -result, "statx", entry);
    return false;
  }
  directory.source_identity = identity_of(directory.source_status);
  return true;
}

// Whether the contents are to be copied, and not the directory alone.
bool TreeCopier::State::is_to_be_entered(const Directory& directory, const CopyEntry& entry) const {
  const bool is_elsewhere = directory.source_identity.device != directory.root_device;
  const bool is_left_out = is_elsewhere && job.options.one_file_system && !entry.is_operand;
  return directory.source_is_readable && !is_left_out;
}

bool TreeCopier::State::open_destination(Directory& directory, const CopyEntry& entry) {
  // What was made a moment ago is most likely still empty; what was there most likely holds the rest, too.
  const bool is_surely_new = entry.directory.destination_is_new;
  int fd = is_surely_new ? -ENOENT : open_existing_directory(directory, entry);
  if (fd == -ENOENT) {
    fd = make_and_open_directory(directory, entry);
    directory.destination_is_new = fd >= 0;
    if (fd == -EEXIST) {
      const int made_meanwhile = open_existing_directory(directory, entry);
      fd = made_meanwhile == -ENOENT ? -EEXIST : made_meanwhile;  // a symlink that leads nowhere has the name
    }
  }
  if (job.options.dry_run && (fd == -ENOENT || is_surely_new)) {
    directory.destination_is_new = true;
    job.event(TreeEventKind::directory_created, entry);
    return true;
  }
  if (fd < 0) {
    return refuse_existing(entry, -fd);
  }
  directory.destination.reset(fd);
  struct statx& status = directory.destination_status;
  if (const int result = sys::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, status); result < 0) {
    if (!directory.staged_name.empty()) {
      (void)sys::unlinkat(entry.directory.destination_fd(), directory.staged_name.c_str(), AT_REMOVEDIR);
    }
    job.fail_entry(TreeProblem::cannot_stat_destination, -result, "statx", entry);
    return false;
  }
  directory.destination_identity = identity_of(status);
  if (directory.destination_identity == directory.source_identity) {
    job.fail_entry(TreeProblem::same_file, EINVAL, "copy", entry);
    return false;
  }
  if (directory.destination_is_new) {
    directory.added_mode_bits = 0700U & ~directory.source_status.stx_mode;
  }
  // What is made in a directory with a default ACL inherits it (acl(5)); so does a directory, default ACL included.
  const bool inherits_none = directory.destination_is_new && !entry.is_operand && !entry.directory.has_default_acl;
  const bool matters = job.options.preserve.any() || !job.options.copy.inplace;
  directory.has_default_acl =
      !inherits_none && matters && sys::fgetxattr(fd, "system.posix_acl_default", nullptr, 0) > 0;
  job.event(directory.destination_is_new ? TreeEventKind::directory_created : TreeEventKind::directory_merged, entry);
  return true;
}

// With the source's permission bits less the umask, and with all the owner's, so that it can be filled; what is too
// much is taken away at the end. While its owner may still change, nobody else gets in.
mode_t TreeCopier::State::new_directory_mode(const Directory& directory) const noexcept {
  const std::uint32_t source_mode = job.options.default_mode ? 0777U : directory.source_status.stx_mode & 01777U;
  return (job.owner_may_change(directory.source_status) ? source_mode & 0700U : source_mode) | 0700U;
}

// A descriptor or -errno.
int TreeCopier::State::make_and_open_directory(Directory& directory, const CopyEntry& entry) {
  if (job.options.dry_run) {
    return -ENOENT;
  }
  const mode_t mode = new_directory_mode(directory);
  const int parent = entry.directory.destination_fd();
  // An operand's directory is seen from the beginning; the ones in it, as soon as the files in them are whole.
  const bool is_staged =
      with_contents_ && !entry.is_operand && !job.options.copy.inplace && is_to_be_entered(directory, entry);
  if (is_staged) {
    std::string name = staged_directory_name(entry.destination);
    const int fd = make_staged_directory(parent, name, mode, [&](const char* staged) {
      return job.descriptors.open_within_budget(
          [&] { return sys::openat(parent, staged, O_RDONLY | O_DIRECTORY | O_NOFOLLOW); });
    });
    if (fd >= 0) {
      directory.staged_name = std::move(name);
      return fd;
    }
  }
  const int made = sys::mkdirat(parent, entry.destination, mode);
  return made < 0 ? made : open_existing_directory(directory, entry);
}

void TreeCopier::State::share(unsigned /*worker*/, Directory& directory) {
  if (directory.staged_name.empty()) {
    return;
  }
  Directory& parent = *directory.parent;
  const CopyEntry entry{parent, directory.name.c_str(), directory.name.c_str()};
  if (auto pinned = job.descriptors.pin(parent); !pinned) {
    job.fail_entry(TreeProblem::cannot_create_directory, pinned.error(), entry);
    directory.staged_name.clear();
    directory.destination_is_lost = true;
    return;
  }
  const Pin pin(job.descriptors, parent);
  const int published = publish_staged_directory(parent.destination_fd(), directory.staged_name,
                                                 directory.destination.get(), entry.destination);
  if (published < 0) {
    merge_staged(directory, entry);
  }
  directory.staged_name.clear();
}

// Somebody else has made what the staged directory was to be, or it cannot be renamed: what is in it is moved.
void TreeCopier::State::merge_staged(Directory& directory, const CopyEntry& entry) {
  const int parent = entry.directory.destination_fd();
  const int made = sys::mkdirat(parent, entry.destination, new_directory_mode(directory));
  UniqueFd to(made >= 0 || made == -EEXIST ? open_existing_directory(directory, entry) : made);
  struct statx status = {};
  int result = to ? sys::statx(to.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status) : to.get();
  if (result < 0) {
    refuse_existing(entry, -result);
    discard_staged_directory(parent, directory.staged_name, directory.destination.get());
    directory.destination_is_lost = true;
    return;
  }
  const bool replaces = job.options.overwrite == Overwrite::replace;
  result = move_staged_entries(
      parent, directory.staged_name, directory.destination.get(), to.get(), replaces, [&](const char* name, int error) {
        job.fail_entry(TreeProblem::cannot_create_file, error, "renameat2", {directory, name, name});
      });
  if (result < 0) {
    job.fail_entry(TreeProblem::cannot_create_directory, -result, "renameat2", entry);
  }
  directory.destination = std::move(to);
  directory.destination_status = status;
  directory.destination_identity = identity_of(status);
  directory.destination_is_new = made >= 0;
}

int TreeCopier::State::open_existing_directory(const Directory& directory, const CopyEntry& entry) {
  const int flags = O_RDONLY | O_DIRECTORY;
  return job.descriptors.open_within_budget([&] {
    const int fd = sys::openat(entry.directory.destination_fd(), entry.destination, flags | O_NOFOLLOW);
    const bool may_be_symlink = (fd == -ENOTDIR || fd == -ELOOP) && directory.follow_destination;
    if (!may_be_symlink) {
      return fd;
    }
    return entry.is_operand ? sys::openat(entry.directory.destination_fd(), entry.destination, flags)
                            : open_beneath_destination(entry.directory, entry.destination, flags);
  });
}

bool TreeCopier::State::refuse_existing(const CopyEntry& entry, int error) {
  TreeProblem problem = TreeProblem::cannot_create_directory;
  if (error == ENOTDIR || error == ELOOP) {
    problem = TreeProblem::overwrite_non_directory_with_directory;
  } else if (error == EXDEV) {
    problem = TreeProblem::symlink_leads_outside;
  }
  job.fail_entry(problem, error, problem == TreeProblem::cannot_create_directory ? "mkdirat" : "openat", entry);
  return false;
}

// Metadata last: filling a directory changes its times, and its final mode may not allow filling.
void TreeCopier::State::leave(unsigned /*worker*/, Directory& directory) {
  if (directory.receipt != 0) {
    job.options.partners->done(directory.receipt, std::nullopt);
    return;
  }
  if (job.options.dry_run || !directory.destination || directory.destination_is_lost) {
    return;
  }
  const int out = directory.destination.get();
  const auto fail_here = [&](TreeProblem problem, Error error) {
    job.fail_directory(problem, std::move(error), directory);
  };
  const struct statx& made = directory.destination_status;
  const std::uint32_t mode = made.stx_mode & 07777U;
  if (job.options.preserve.any()) {
    const bool may_have_acls = !directory.destination_is_new || directory.has_default_acl;
    const auto preserved = copy_metadata(
        {directory.source.get(), !directory.source_is_readable}, directory.source_status, {out, false},
        {mode, made.stx_uid, made.stx_gid, may_have_acls}, job.options.preserve, job.options.unsupported_attributes);
    if (!preserved) {
      fail_here(problem_of(preserved.error().part), preserved.error().error);
    }
  }
  if (!job.options.preserve.mode && directory.destination_is_new && (mode & directory.added_mode_bits) != 0) {
    if (const int result = sys::fchmod(out, mode & ~directory.added_mode_bits); result < 0) {
      fail_here(TreeProblem::cannot_preserve_mode, system_error(-result, "fchmod"));
    }
  }
  if (job.options.copy.fsync && job.sync_now(out, directory.destination_identity.device)) {
    if (const int result = sys::fsync(out); result < 0) {
      fail_here(TreeProblem::cannot_sync, system_error(-result, "fsync"));
    }
  }
}

// ------------------------------------------------------------------------------------------ entries and errors

bool TreeCopier::State::visit(unsigned worker, Directory& directory, const DirectoryEntry& entry) {
  if (directory.destination_is_lost) {
    return false;
  }
  job.entries_found.fetch_add(1, std::memory_order_relaxed);
  return copier(worker).copy({directory, entry.name, entry.name}, entry.type);
}

void TreeCopier::State::read_failed(Directory& directory, Error error) {
  job.fail_directory(TreeProblem::cannot_read_directory, std::move(error), directory);
}

TreeReport TreeCopier::State::report() const {
  TreeReport sum;
  for (const auto& copier : copiers_) {
    if (copier) {
      sum.merge(std::as_const(*copier).report());
    }
  }
  sum.elapsed = elapsed_;
  sum.errors = job.errors();
  sum.data.verified = job.options.copy.verify && sum.errors == 0;
  return sum;
}

// ---------------------------------------------------------------------------------------------- public

void TreeReport::merge(const TreeReport& other) noexcept {
  data.merge(other.data);
  regular_files += other.regular_files;
  directories += other.directories;
  symlinks += other.symlinks;
  hard_links += other.hard_links;
  special_files += other.special_files;
  skipped += other.skipped;
  errors += other.errors;
}

TreeCopier::TreeCopier(TreeOptions options) {
  const unsigned workers = worker_count(options.jobs);
  state_ = std::make_unique<State>(std::move(options), workers);
}
TreeCopier::TreeCopier(TreeCopier&&) noexcept = default;
TreeCopier& TreeCopier::operator=(TreeCopier&&) noexcept = default;
TreeCopier::~TreeCopier() = default;

Result<void> TreeCopier::copy(const std::filesystem::path& source, const std::filesystem::path& destination) {
  const TreeOperand operand{source.native(), destination.native()};
  return state_->run({&operand, 1}, /*with_contents=*/true);
}

Result<void> TreeCopier::copy(std::span<const TreeOperand> operands) {
  return state_->run(operands, /*with_contents=*/true);
}

Result<void> TreeCopier::copy_directory_only(const std::filesystem::path& source,
                                             const std::filesystem::path& destination) {
  const TreeOperand operand{source.native(), destination.native()};
  return state_->run({&operand, 1}, /*with_contents=*/false);
}

void TreeCopier::serve_partners() { state_->serve_partners(); }

Result<void> TreeCopier::finish() { return state_->job.sync_rest(); }

TreeReport TreeCopier::report() const { return state_->report(); }

TreeProgress TreeCopier::progress() const noexcept {
  const CopyJob& job = state_->job;
  return {.bytes_done = job.bytes_done,
          .entries_done = job.entries_done,
          .bytes_found = job.bytes_found,
          .entries_found = job.entries_found,
          .walk_complete = false};
}

Result<TreeReport> copy_tree(const std::filesystem::path& source, const std::filesystem::path& destination,
                             const TreeOptions& options) {
  TreeCopier copier(options);
  if (auto copied = copier.copy(source, destination); !copied) {
    return std::unexpected(copied.error());
  }
  if (auto finished = copier.finish(); !finished) {
    return std::unexpected(finished.error());
  }
  return copier.report();
}

}  // namespace ferry
