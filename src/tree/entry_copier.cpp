#include "tree/entry_copier.hpp"

#include "base/sys.hpp"
#include "tree/temporary_name.hpp"
#include "tree/traversal.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace ferry {
namespace {

constexpr int most_retries = 3;  // of an entry that changes its type or vanishes under our hands
constexpr std::uint64_t bytes_per_cost = std::uint64_t{32} << 10U;

bool is_out_of_descriptors(const Error& error) noexcept {
  return error.errno_value() == EMFILE || error.errno_value() == ENFILE;
}

// Whether an error of FileCopier is about the source (see FileCopier::copy).
bool is_about_source(const Error& error) noexcept {
  const std::string_view operation = error.operation;
  return operation == "read" || operation == "pread" || operation == "lseek" || operation == "statx";
}

TreeProblem problem_of(const Error& error) noexcept {
  if (error.errno_value() == ECANCELED) {
    return TreeProblem::canceled;
  }
  const std::string_view operation = error.operation;
  if (operation == "verify") {
    return TreeProblem::verify_failed;
  }
  if (operation.starts_with("FICLONE")) {
    return TreeProblem::cannot_clone;
  }
  if (operation == "copy_file_range" || operation == "splice" || operation == "sendfile") {
    return TreeProblem::cannot_copy_data;
  }
  return is_about_source(error) ? TreeProblem::cannot_read_source : TreeProblem::cannot_write_destination;
}

// Whether the directory's destination is the working directory, in which a relative source's name means the source.
bool is_working_directory(const Directory& directory) {
  struct statx here = {};
  return sys::statx(AT_FDCWD, ".", 0, STATX_BASIC_STATS, here) == 0 &&
         identity_of(here) == directory.destination_identity;
}

TreeName name_of(const CopyEntry& entry) { return {DirectoryRef(&entry.directory), entry.source, entry.destination}; }

}  // namespace

EntryCopier::EntryCopier(CopyJob& job, Hooks hooks)
    : job_(job), options_(job.options), hooks_(std::move(hooks)), copier_(job.options.copy) {
  copier_.on_progress([this](const CopyProgress& progress) {
    job_.bytes_done.fetch_add(progress.bytes_done - progress_reported_, std::memory_order_relaxed);
    progress_reported_ = progress.bytes_done;
  });
}

bool EntryCopier::copy(const CopyEntry& entry, FileType type) {
  const bool is_entered = dispatch(entry, type, most_retries);
  if (!is_entered) {
    job_.entries_done.fetch_add(1, std::memory_order_relaxed);
  }
  return is_entered;
}

bool EntryCopier::fail(TreeProblem problem, int error, const char* operation, const CopyEntry& entry) {
  job_.fail_entry(problem, error, operation, entry);
  return false;
}

bool EntryCopier::follows(const CopyEntry& entry) const noexcept {
  return options_.dereference == Dereference::always ||
         (entry.is_operand && options_.dereference == Dereference::command_line);
}

// ------------------------------------------------------------------------------------------ by file type

bool EntryCopier::dispatch(const CopyEntry& entry, FileType type, int retries) {
  if (type == FileType::unknown || (type == FileType::symlink && follows(entry))) {
    struct statx status = {};
    const int result = sys::statx(entry.directory.source_fd(), entry.source, follows(entry) ? 0 : AT_SYMLINK_NOFOLLOW,
                                  STATX_TYPE | STATX_MODE, status);
    if (result < 0) {
      return fail(TreeProblem::cannot_stat_source, -result, "statx", entry);
    }
    type = file_type_of_mode(status.stx_mode);
  }
  if (type == FileType::directory) {
    return true;
  }
  if (options_.link_mode != LinkMode::copy) {
    make_link(entry);
    return false;
  }
  if (type == FileType::symlink) {
    return copy_symlink(entry);
  }
  const bool as_regular = options_.copy_contents || !options_.recursive;
  if (type == FileType::regular || as_regular) {
    return copy_regular(entry, as_regular, retries);
  }
  return copy_special(entry, type, retries);
}

// The entry is no longer what readdir said: start over with what it is now.
bool EntryCopier::copy_changed(const CopyEntry& entry, int retries) {
  if (retries == 0) {
    return fail(TreeProblem::source_changed, EAGAIN, "openat", entry);
  }
  return dispatch(entry, FileType::unknown, retries - 1);
}

// Claims an inode with several names and makes a link to its copy if there is one, or else calls `make`.
void EntryCopier::link_or_make(const CopyEntry& entry, InodeIdentity inode, std::uint32_t links,
                               const std::function<bool()>& make) {
  if (claimed_ == inode) {
    claimed_is_made_ = make();
    return;
  }
  TreeName existing;
  hooks_.share(entry.directory);
  Traversal::hold(entry.directory);  // before the claim: a deferred name may be linked, and let go of, at once
  if (hooks_.claim) {
    hooks_.claim(inode, links, name_of(entry));
    return;
  }
  const HardLinks::Claim claim = job_.hard_links.claim(inode, links, name_of(entry), existing);
  if (claim == HardLinks::Claim::deferred) {
    return;
  }
  hooks_.let_go(entry.directory);  // never the last hold: the directory is being visited
  if (claim == HardLinks::Claim::link) {
    link_to(entry, existing);
    return;
  }
  const bool is_made = make();
  const std::vector<TreeName> waiting =
      is_made ? job_.hard_links.made(inode, name_of(entry)) : job_.hard_links.failed(inode);
  for (const TreeName& name : waiting) {
    const CopyEntry later{*name.directory, name.source.c_str(), name.destination.c_str(), name.directory->is_anchor()};
    if (auto pinned = job_.descriptors.pin(*name.directory); pinned) {
      const Pin pin(job_.descriptors, *name.directory);
      if (is_made) {
        link_to(later, name_of(entry));
      } else {
        dispatch(later, FileType::unknown, most_retries);
      }
    } else {
      job_.fail_entry(TreeProblem::cannot_create_hard_link, pinned.error(), later);
    }
    hooks_.let_go(*name.directory);
  }
}

bool EntryCopier::make_claimed(const CopyEntry& entry, InodeIdentity inode) {
  claimed_ = inode;
  claimed_is_made_ = false;
  dispatch(entry, FileType::unknown, most_retries);
  claimed_.reset();
  return claimed_is_made_;
}

bool EntryCopier::link_to(const CopyEntry& entry, const TreeName& existing) {
  auto pinned = job_.descriptors.pin(*existing.directory);
  if (!pinned) {
    job_.fail_entry(TreeProblem::cannot_create_hard_link, pinned.error(), entry);
    return false;
  }
  const Pin pin(job_.descriptors, *existing.directory);
  struct statx copy = {};
  if (!options_.dry_run) {
    const int result = sys::statx(existing.directory->destination_fd(), existing.destination.c_str(),
                                  AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, copy);
    if (result < 0) {
      return fail(TreeProblem::cannot_create_hard_link, -result, "statx", entry);
    }
  }
  const bool is_made = make_at_name(
      entry, copy, /*may_replace=*/true, TreeProblem::cannot_create_hard_link, "linkat", [&](const char* name) {
        return sys::linkat(existing.directory->destination_fd(), existing.destination.c_str(),
                           entry.directory.destination_fd(), name, 0);
      });
  if (is_made) {
    ++report_.hard_links;
    job_.event(TreeEventKind::hard_link_created, entry);
  }
  return is_made;
}

// LinkMode: a link to the source instead of a copy.
void EntryCopier::make_link(const CopyEntry& entry) {
  const bool is_hard = options_.link_mode == LinkMode::hard_link;
  const TreeProblem problem = is_hard ? TreeProblem::cannot_create_hard_link : TreeProblem::cannot_create_symlink;
  struct statx source = {};
  const int result = sys::statx(entry.directory.source_fd(), entry.source, follows(entry) ? 0 : AT_SYMLINK_NOFOLLOW,
                                STATX_BASIC_STATS, source);
  if (result < 0) {
    fail(TreeProblem::cannot_stat_source, -result, "statx", entry);
    return;
  }
  const std::string target = is_hard ? std::string() : entry.source_path();
  if (!is_hard && !target.starts_with('/') && !is_working_directory(entry.directory)) {
    refuse_relative_symlink(entry, source);
    return;
  }
  const bool is_made = make_at_name(
      entry, source, /*may_replace=*/options_.force, problem, is_hard ? "linkat" : "symlinkat", [&](const char* name) {
        if (is_hard) {
          return sys::linkat(entry.directory.source_fd(), entry.source, entry.directory.destination_fd(), name,
                             follows(entry) ? AT_SYMLINK_FOLLOW : 0);
        }
        return sys::symlinkat(target.c_str(), entry.directory.destination_fd(), name);
      });
  if (is_made) {
    if (!is_hard && options_.preserve.times && !options_.dry_run) {
      // Of all attributes cp gives a link its source's times only.
      source.stx_mode = S_IFLNK;
      source.stx_rdev_major = source.stx_rdev_minor = 0;
      preserve_by_path(entry, {}, source, {.times = true});
    }
    ++(is_hard ? report_.hard_links : report_.symlinks);
    job_.event(is_hard ? TreeEventKind::hard_link_created : TreeEventKind::symlink_created, entry);
  }
}

// What is there already is looked at first: it may have to be left alone without a word.
void EntryCopier::refuse_relative_symlink(const CopyEntry& entry, const struct statx& source) {
  Existing existing;
  if (!look(entry, existing) ||
      (existing.is_present && check_existing(entry, source, /*replaces_entry=*/true, existing) != Verdict::proceed)) {
    return;
  }
  fail(TreeProblem::relative_symlink_elsewhere, EINVAL, "symlinkat", entry);
}

// -------------------------------------------------------------------------------- symlinks and special files

bool EntryCopier::copy_symlink(const CopyEntry& entry) {
  struct statx source = {};
  const bool wants_status = options_.preserve.any() || options_.preserve_hard_links || entry.is_operand ||
                            options_.overwrite == Overwrite::if_older;
  if (wants_status) {
    const int result =
        sys::statx(entry.directory.source_fd(), entry.source, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, source);
    if (result < 0) {
      return fail(TreeProblem::cannot_stat_source, -result, "statx", entry);
    }
  }
  std::array<char, PATH_MAX> target;  // NOLINT(*-member-init): filled by the kernel
  const ssize_t length = sys::readlinkat(entry.directory.source_fd(), entry.source, target.data(), target.size());
  if (length < 0 || static_cast<std::size_t>(length) == target.size()) {
    return fail(TreeProblem::cannot_read_symlink, length < 0 ? static_cast<int>(-length) : ENAMETOOLONG, "readlinkat",
                entry);
  }
  target[static_cast<std::size_t>(length)] = '\0';

  const auto make = [&] {
    const bool is_made = make_at_name(
        entry, source, /*may_replace=*/options_.force, TreeProblem::cannot_create_symlink, "symlinkat",
        [&](const char* name) { return sys::symlinkat(target.data(), entry.directory.destination_fd(), name); });
    if (!is_made) {
      return false;
    }
    if (options_.preserve.any() && !options_.dry_run) {
      const UniqueFd from(options_.preserve.xattrs ? job_.descriptors.open_within_budget([&] {
        return sys::openat(entry.directory.source_fd(), entry.source, O_PATH | O_NOFOLLOW);
      })
                                                   : -1);
      preserve_by_path(entry, {from.get(), true}, source, options_.preserve);
    }
    ++report_.symlinks;
    job_.event(TreeEventKind::symlink_created, entry);
    return true;
  };
  make_once(entry, source, make);
  return false;
}

bool EntryCopier::copy_special(const CopyEntry& entry, FileType type, int retries) {
  const UniqueFd from(job_.descriptors.open_within_budget([&] {
    return sys::openat(entry.directory.source_fd(), entry.source, O_PATH | (follows(entry) ? 0 : O_NOFOLLOW));
  }));
  struct statx source = {};
  const int result = from.get() < 0 ? from.get() : sys::statx(from.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, source);
  if (result < 0) {
    return fail(TreeProblem::cannot_stat_source, -result, "statx", entry);
  }
  if (file_type_of_mode(source.stx_mode) != type) {
    return copy_changed(entry, retries);
  }
  const mode_t permissions = options_.default_mode ? 0666 : source.stx_mode & 0777U;
  // For its owner alone until it has him; then the mode follows.
  const bool restricts = job_.owner_may_change(source);
  const mode_t mode = (source.stx_mode & S_IFMT) | (restricts ? permissions & 0700U : permissions);
  const dev_t device = makedev(source.stx_rdev_major, source.stx_rdev_minor);
  const auto make = [&] {
    const bool is_made = make_at_name(
        entry, source, /*may_replace=*/false, TreeProblem::cannot_create_special_file, "mknodat",
        [&](const char* name) { return sys::mknodat(entry.directory.destination_fd(), name, mode, device); });
    if (!is_made) {
      return false;
    }
    if (options_.preserve.any() && !options_.dry_run) {
      preserve_by_path(entry, {from.get(), true}, source, options_.preserve);
    }
    ++report_.special_files;
    job_.event(TreeEventKind::special_created, entry);
    return true;
  };
  make_once(entry, source, make);
  return false;
}

// Metadata for what cannot be opened for reading. The new entry is reached by its name once, without following it, and
// is taken for ours only if it is what we made and has that one name: somebody may have put another file there.
void EntryCopier::preserve_by_path(const CopyEntry& entry, MetadataTarget from, const struct statx& source,
                                   MetadataSelection selection) {
  const UniqueFd to(job_.descriptors.open_within_budget(
      [&] { return sys::openat(entry.directory.destination_fd(), entry.destination, O_PATH | O_NOFOLLOW); }));
  struct statx made = {};
  const int result = !to ? -ENOENT : sys::statx(to.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, made);
  const bool is_ours = result == 0 && (made.stx_mode & S_IFMT) == (source.stx_mode & S_IFMT) && made.stx_nlink == 1 &&
                       made.stx_rdev_major == source.stx_rdev_major && made.stx_rdev_minor == source.stx_rdev_minor;
  if (!is_ours) {
    fail(TreeProblem::cannot_preserve_times, result < 0 ? -result : ESTALE, "openat", entry);
    return;
  }
  if (from.fd < 0) {
    selection.xattrs = false;
    selection.acls = false;
  }
  if (S_ISLNK(source.stx_mode)) {
    selection.acls = false;
  }
  const MetadataState state{made.stx_mode & 07777U, made.stx_uid, made.stx_gid, entry.directory.has_default_acl};
  preserve_parts(entry, from, source, {to.get(), true}, state, selection);
}

// --------------------------------------------------------------------------------------------- regular files

int EntryCopier::open_source(const CopyEntry& entry, bool follow) const {
  const int flags = O_RDONLY | (follow ? 0 : O_NOFOLLOW);
  // O_NONBLOCK: opening a fifo must not hang; should it be copied, its writer is waited for when reading. It says
  // EWOULDBLOCK where a lease is held (fcntl(2), F_SETLEASE); then the plain open waits for its holder.
  return job_.descriptors.open_within_budget([&] {
    const int fd = sys::openat(entry.directory.source_fd(), entry.source, flags | O_NONBLOCK);
    return fd == -EWOULDBLOCK ? sys::openat(entry.directory.source_fd(), entry.source, flags) : fd;
  });
}

// Whether the options keep what is there, so that the source need not even be opened. (Otherwise it is looked at again
// when it is open: then nobody can put another file in its place.)
bool EntryCopier::is_surely_kept(const CopyEntry& entry) {
  if (options_.overwrite == Overwrite::replace || options_.on_overwrite || entry.directory.destination_is_new) {
    return false;
  }
  struct statx source = {};
  if (entry.source_status != nullptr) {
    source = *entry.source_status;
  } else if (sys::statx(entry.directory.source_fd(), entry.source, follows(entry) ? 0 : AT_SYMLINK_NOFOLLOW,
                        STATX_BASIC_STATS, source) < 0) {
    return false;
  }
  if (!S_ISREG(source.stx_mode) || (options_.preserve_hard_links && source.stx_nlink > 1)) {
    return false;
  }
  Existing existing;
  if (!look(entry, existing)) {
    return true;  // which was reported
  }
  return existing.is_present && check_existing(entry, source, /*replaces_entry=*/false, existing) != Verdict::proceed;
}

bool EntryCopier::copy_regular(const CopyEntry& entry, bool any_type, int retries) {
  const bool follow = follows(entry);
  if (is_surely_kept(entry)) {
    return false;
  }
  Source source;
  const int fd = open_source(entry, follow);
  if (fd < 0) {
    const bool is_other_type = (fd == -ELOOP && !follow) || (fd == -ENXIO && !any_type);
    return is_other_type ? copy_changed(entry, retries) : fail(TreeProblem::cannot_open_source, -fd, "openat", entry);
  }
  source.fd.reset(fd);
  if (const int result = sys::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, source.status); result < 0) {
    return fail(TreeProblem::cannot_stat_source, -result, "statx", entry);
  }
  if (S_ISDIR(source.status.stx_mode) || (!S_ISREG(source.status.stx_mode) && !any_type)) {
    return copy_changed(entry, retries);
  }
  job_.bytes_found.fetch_add(source.status.stx_size, std::memory_order_relaxed);
  hooks_.note_cost(1 + source.status.stx_size / bytes_per_cost);
  make_once(entry, source.status, [&] { return place(entry, source); });
  return false;
}

// Puts the open source's content under the destination's name. True if it is there.
bool EntryCopier::place(const CopyEntry& entry, Source& source) {
  if (const std::optional<bool> written =
          options_.copy.inplace ? write_quickly(entry, source) : overwrite_quickly(entry, source)) {
    return *written;
  }
  // Nothing in a directory that this job has made is there unless this job put it there, so it is enough to look when a
  // name turns out to be taken.
  bool is_surely_new = entry.directory.destination_is_new;
  std::optional<Placement> forced;
  std::optional<InodeIdentity> checked;  // a second attempt does not ask the user again
  for (int attempt = 0; attempt < most_retries; ++attempt) {
    Existing existing;
    if (!is_surely_new && !look(entry, existing)) {
      return false;
    }
    is_surely_new = false;
    Placement placement = Placement::create;
    std::string backup;
    if (existing.is_present) {
      if (const InodeIdentity found = identity_of(existing.status); checked != found) {
        const Verdict verdict = check_existing(entry, source.status, /*replaces_entry=*/false, existing);
        if (verdict != Verdict::proceed) {
          return verdict == Verdict::skip;
        }
        checked = found;
      }
      placement = forced ? *forced : placement_for(entry, existing);
      if (!prepare_replacing(entry, placement == Placement::replace, backup)) {
        return false;
      }
    }
    if (options_.dry_run) {
      job_.event(TreeEventKind::copied, entry, nullptr, backup);
      return true;
    }
    switch (placement == Placement::in_place ? write_in_place(entry, source, existing)
                                             : place_new(entry, source, placement, existing, backup)) {
      case Outcome::done: return true;
      case Outcome::failed: return false;
      case Outcome::again: break;
      case Outcome::in_place: forced = Placement::in_place; break;
      case Outcome::replace: forced = Placement::replace; break;
    }
    if (const off_t result = sys::lseek(source.fd.get(), 0, SEEK_SET); result < 0) {
      return fail(TreeProblem::cannot_read_source, static_cast<int>(-result), "lseek", entry);
    }
  }
  return fail(TreeProblem::cannot_create_file, EEXIST, "linkat", entry);
}

EntryCopier::Placement EntryCopier::placement_for(const CopyEntry& entry, const Existing& existing) const {
  const bool is_regular = S_ISREG(existing.status.stx_mode);
  if (options_.remove_destination || options_.backup != Backup::none ||
      (options_.preserve_hard_links && existing.status.stx_nlink > 1 && is_regular)) {
    return Placement::replace;
  }
  if (!is_regular || existing.status.stx_nlink > 1 || options_.copy.inplace || options_.attributes_only) {
    return Placement::in_place;
  }
  if (!job_.is_root() &&
      sys::faccessat(entry.directory.destination_fd(), entry.destination, W_OK, AT_SYMLINK_NOFOLLOW) < 0) {
    return Placement::in_place;  // which fails as it does for cp, unless forced
  }
  return Placement::replace_keep_attributes;
}

EntryCopier::Outcome EntryCopier::place_new(const CopyEntry& entry, Source& source, Placement placement,
                                            const Existing& existing, std::string_view backup) {
  const int dirfd = entry.directory.destination_fd();
  const bool keeps = placement == Placement::replace_keep_attributes;
  // A large file would be a large leftover.
  const bool is_unshared = placement == Placement::create && !entry.directory.staged_name.empty() &&
                           source.status.stx_size <= small_file_bytes;
  std::uint32_t mode = keeps ? existing.status.stx_mode & 0777U : new_file_mode(source.status);
  if (is_unshared && job_.owner_may_change(source.status)) {
    mode &= 0700U;  // it can be opened from now on: by its owner alone until it has him
  }
  constexpr std::uint32_t owner_may_open_it = 0600;
  const bool is_shared = hooks_.copy_in_ranges && is_worth_sharing(source.status) &&
                         ((mode & owner_may_open_it) == owner_may_open_it || job_.is_root());
  const auto create = is_shared     ? StagedFile::create_named
                      : is_unshared ? StagedFile::create_unshared
                                    : StagedFile::create;
  Result<StagedFile> staged = create(dirfd, entry.destination, mode);
  for (unsigned attempt = 0; !staged && is_out_of_descriptors(staged.error()) && job_.descriptors.make_room(attempt);
       ++attempt) {
    staged = create(dirfd, entry.destination, mode);
  }
  if (is_unshared && !staged && staged.error().errno_value() == EEXIST) {
    return Outcome::again;
  }
  if (!staged) {
    const int error = staged.error().errno_value();
    if (keeps && (error == EACCES || error == EPERM)) {
      return Outcome::in_place;  // the file may be written, its directory may not
    }
    fail(TreeProblem::cannot_create_file, error, staged.error().operation, entry);
    return Outcome::failed;
  }
  const std::uint64_t device = entry.directory.destination_identity.device;
  CopyReport report;
  if (!options_.attributes_only && !(is_shared ? fill_together(entry, source, *staged, report)
                                               : fill(entry, source, staged->fd(), 0, device, report))) {
    return Outcome::failed;
  }
  if (keeps || options_.preserve.any()) {
    auto state = created_state(entry, staged->fd(), mode);
    if (!state) {
      fail(TreeProblem::cannot_create_file, state.error().errno_value(), "statx", entry);
      return Outcome::failed;
    }
    if (keeps && keep_attributes(entry, existing, staged->fd(), *state) != 0) {
      return Outcome::in_place;
    }
    if (options_.preserve.any()) {
      MetadataSelection selection = options_.preserve;
      selection.inode_flags = false;
      preserve_parts(entry, {source.fd.get(), false}, source.status, {staged->fd(), false}, *state, selection);
    }
  }
  if (!sync(entry, staged->fd(), device)) {
    return Outcome::failed;
  }
  const auto committed =
      staged->commit(placement == Placement::create ? StagedFile::Existing::keep : StagedFile::Existing::replace);
  if (!committed) {
    const int error = committed.error().errno_value();
    if (error == EEXIST && placement == Placement::create) {
      return Outcome::again;
    }
    if (error == EBUSY && keeps) {
      return Outcome::in_place;  // a mount point
    }
    fail(TreeProblem::cannot_create_file, error, committed.error().operation, entry);
    return Outcome::failed;
  }
  if (options_.preserve.inode_flags) {
    // Now, because an immutable file can be given no name.
    preserve_parts(entry, {source.fd.get(), false}, source.status, {staged->fd(), false}, {}, {.inode_flags = true});
  }
  finish_file(entry, report, backup);
  return Outcome::done;
}

// What a new file in the entry's directory looks like before anything is set: known from the ones before it, or asked
// for.
Result<MetadataState> EntryCopier::created_state(const CopyEntry& entry, int out, std::uint32_t requested_mode) {
  const Directory& directory = entry.directory;
  const std::uint64_t device = directory.destination_identity.device;
  const bool is_ordinary =
      device != 0 && !directory.has_default_acl && (directory.destination_status.stx_mode & S_ISGID) == 0;
  if (is_ordinary) {
    if (const auto known = job_.creation_defaults.find(device, requested_mode)) {
      return *known;
    }
  }
  struct statx made = {};
  if (const int result = sys::statx(out, "", AT_EMPTY_PATH, STATX_BASIC_STATS, made); result < 0) {
    return ferry::fail(-result, "statx");
  }
  if (is_ordinary) {
    job_.creation_defaults.learn(device, requested_mode, made);
  }
  return MetadataState{made.stx_mode & 07777U, made.stx_uid, made.stx_gid, directory.has_default_acl};
}

// Gives a file that replaces another that one's owner, mode, ACLs and attributes. 0, or an errno: then the old file has
// to be written into.
int EntryCopier::keep_attributes(const CopyEntry& entry, const Existing& existing, int out, MetadataState& state) {
  const struct statx& old = existing.status;
  if (state.uid != old.stx_uid || state.gid != old.stx_gid) {
    if (const int result = sys::fchown(out, old.stx_uid, old.stx_gid); result < 0) {
      return -result;
    }
    state.uid = old.stx_uid;
    state.gid = old.stx_gid;
  }
  MetadataSelection selection{.mode = true};
  MetadataTarget from;
  UniqueFd old_fd;
  // By name: most files have no attributes, and then that is all there is to know. What has some is opened and made
  // sure of.
  std::array<char, 1> none = {};
  const std::string old_path = fmt::format("/proc/self/fd/{}/{}", entry.directory.destination_fd(), entry.destination);
  const ssize_t attributes = entry.is_operand && entry.directory.destination_fd() == AT_FDCWD
                                 ? -ERANGE
                                 : sys::llistxattr(old_path.c_str(), none.data(), none.size());
  if ((attributes != 0 && attributes != -EOPNOTSUPP) || state.may_have_acls) {
    old_fd.reset(job_.descriptors.open_within_budget(
        [&] { return sys::openat(entry.directory.destination_fd(), entry.destination, O_PATH | O_NOFOLLOW); }));
    struct statx now = {};
    if (!old_fd || sys::statx(old_fd.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, now) < 0 ||
        !(identity_of(now) == identity_of(old))) {
      return ESTALE;
    }
    from = {old_fd.get(), true};
    selection.acls = true;
    selection.xattrs = true;
  }
  const auto kept = copy_metadata(from, old, {out, false}, state, selection, UnsupportedAttributes::report);
  state.mode = old.stx_mode & 07777U;
  state.may_have_acls = true;
  return kept ? 0 : kept.error().error.errno_value();
}

void EntryCopier::preserve_parts(const CopyEntry& entry, MetadataTarget from, const struct statx& from_status,
                                 MetadataTarget to, const MetadataState& state, const MetadataSelection& selection) {
  const auto preserved = copy_metadata(from, from_status, to, state, selection, options_.unsupported_attributes);
  if (!preserved) {
    job_.fail_entry(problem_of(preserved.error().part), preserved.error().error, entry);
  }
}

// Copies the bytes; on failure reports it.
bool EntryCopier::fill(const CopyEntry& entry, Source& source, int out, std::uint64_t out_old_size,
                       std::uint64_t out_device, CopyReport& report) {
  progress_reported_ = 0;
  Result<CopyReport> copied = copier_.copy(source.fd.get(), source.status, out, out_old_size, out_device);
  if (!copied) {
    job_.fail_entry(problem_of(copied.error()), copied.error(), entry);
    return false;
  }
  report = *copied;
  job_.bytes_done.fetch_add(report.size_bytes - progress_reported_, std::memory_order_relaxed);
  return true;
}

bool EntryCopier::is_worth_sharing(const struct statx& source) const noexcept {
  constexpr std::uint64_t block = 512;
  return S_ISREG(source.stx_mode) && source.stx_size >= shared_file_bytes &&
         source.stx_blocks * block >= source.stx_size && !options_.attributes_only && !options_.copy.verify &&
         options_.copy.reflink != ReflinkMode::always && options_.copy.sparse != SparseMode::always;
}

// As fill(), by this process and by others that have nothing to do.
bool EntryCopier::fill_together(const CopyEntry& entry, Source& source, const StagedFile& staged, CopyReport& report) {
  const auto size = static_cast<off_t>(source.status.stx_size);
  if (options_.copy.reflink == ReflinkMode::automatic && options_.copy.methods.contains(CopyMethod::reflink) &&
      sys::ficlone(staged.fd(), source.fd.get()) == 0) {
    report.size_bytes = report.bytes_copied = source.status.stx_size;
    report.bytes_by_method[static_cast<std::size_t>(CopyMethod::reflink)] = source.status.stx_size;
    job_.bytes_done.fetch_add(source.status.stx_size, std::memory_order_relaxed);
    return true;
  }
  if (options_.copy.preallocate) {
    if (const int result = sys::fallocate(staged.fd(), 0, 0, size); result < 0 && result != -EOPNOTSUPP) {
      return fail(TreeProblem::cannot_write_destination, -result, "fallocate", entry);
    }
  }
  if (const int result = sys::ftruncate(staged.fd(), size); result < 0) {
    return fail(TreeProblem::cannot_write_destination, -result, "ftruncate", entry);
  }
  const Result<CopyReport> copied =
      hooks_.copy_in_ranges({entry, source.fd.get(), source.status, staged.fd(), staged.temporary_name()});
  if (!copied) {
    job_.fail_entry(copied.error().errno_value() == EAGAIN ? TreeProblem::source_changed : problem_of(copied.error()),
                    copied.error(), entry);
    return false;
  }
  report = *copied;
  return true;
}

void EntryCopier::finish_file(const CopyEntry& entry, const CopyReport& report, std::string_view backup) {
  report_.data.merge(report);
  ++report_.regular_files;
  if (options_.destinations_may_collide || entry.is_operand) {
    job_.created.add_name(entry.directory, entry.destination);
  }
  if (report.source_changed) {
    fail(TreeProblem::source_changed, EAGAIN, "statx", entry);
  }
  job_.event(options_.attributes_only ? TreeEventKind::attributes_copied : TreeEventKind::copied, entry, &report,
             backup);
}

// ------------------------------------------------------------------------------------------ writing in place

std::uint32_t EntryCopier::new_file_mode(const struct statx& source) const noexcept {
  return options_.default_mode ? 0666U : source.stx_mode & 0777U;
}

// Opens what is under the destination's name for writing. A symlink is followed: an operand's wherever it leads, as cp
// does; one inside the tree only to a place inside the destination.
int EntryCopier::open_existing(const CopyEntry& entry, const Existing& existing) {
  // Not blocking on regular files, in case somebody puts a fifo there; a fifo that is meant is waited for, as by cp.
  const int flags = (options_.copy.verify ? O_RDWR : O_WRONLY) | (S_ISREG(existing.target.stx_mode) ? O_NONBLOCK : 0);
  return job_.descriptors.open_within_budget([&] {
    if (!existing.is_symlink) {
      return sys::openat(entry.directory.destination_fd(), entry.destination, flags | O_NOFOLLOW);
    }
    return entry.is_operand ? sys::openat(entry.directory.destination_fd(), entry.destination, flags)
                            : open_beneath_destination(entry.directory, entry.destination, flags);
  });
}

EntryCopier::Outcome EntryCopier::write_in_place(const CopyEntry& entry, Source& source, const Existing& existing) {
  UniqueFd out(open_existing(entry, existing));
  if (!out) {
    const int error = -out.get();
    if (error == ENOENT || (error == ELOOP && !existing.is_symlink)) {
      return Outcome::again;  // somebody changed it since we looked
    }
    if (options_.force && !existing.is_symlink) {
      return Outcome::replace;
    }
    fail(error == EXDEV ? TreeProblem::symlink_leads_outside : TreeProblem::cannot_create_file, error, "openat", entry);
    return Outcome::failed;
  }
  struct statx status = {};
  if (const int result = sys::statx(out.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status); result < 0) {
    fail(TreeProblem::cannot_stat_destination, -result, "statx", entry);
    return Outcome::failed;
  }
  return write_open(entry, source, std::move(out), status) ? Outcome::done : Outcome::failed;
}

// Whether no option asks for a look at what is there before it is written.
bool EntryCopier::may_write_unseen(const CopyEntry& entry) const {
  return options_.overwrite == Overwrite::replace && !options_.on_overwrite && !options_.remove_destination &&
         options_.backup == Backup::none && !options_.destinations_may_collide && !entry.is_operand &&
         !options_.attributes_only && !options_.dry_run;
}

// A file that can be overwritten by one write, which is as safe as replacing it and a quarter of the work. Empty: it
// takes more than that, and nothing was done.
std::optional<bool> EntryCopier::overwrite_quickly(const CopyEntry& entry, Source& source) {
  if (entry.directory.destination_is_new || source.status.stx_size > overwrite_page_bytes || !may_write_unseen(entry)) {
    return std::nullopt;
  }
  UniqueFd out(job_.descriptors.open_within_budget([&] {
    return sys::openat(entry.directory.destination_fd(), entry.destination, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  }));
  struct statx status = {};
  if (!out || sys::statx(out.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status) < 0 || status.stx_nlink != 1 ||
      identity_of(status) == identity_of(source.status)) {
    return std::nullopt;
  }
  const auto written = overwrite_page(source.fd.get(), source.status, out.get(), status, options_.copy);
  if (!written) {
    job_.fail_entry(problem_of(written.error()), written.error(), entry);
    return false;
  }
  if (!*written) {
    return std::nullopt;
  }
  job_.bytes_done.fetch_add((*written)->size_bytes, std::memory_order_relaxed);
  return finish_open(entry, source, std::move(out), status, **written);
}

// In place, with no option that asks for a look first: opened at once, whether it exists or not. Empty: it takes more
// than that.
std::optional<bool> EntryCopier::write_quickly(const CopyEntry& entry, Source& source) {
  if (!may_write_unseen(entry) || options_.preserve_hard_links) {
    return std::nullopt;
  }
  const int dirfd = entry.directory.destination_fd();
  const int access = options_.copy.verify ? O_RDWR : O_WRONLY;
  const auto open = [&](int flags) {
    return job_.descriptors.open_within_budget([&] {
      return sys::openat(dirfd, entry.destination, access | O_NOFOLLOW | O_NONBLOCK | flags,
                         new_file_mode(source.status));
    });
  };
  UniqueFd out(entry.directory.destination_is_new ? -ENOENT : open(0));
  if (out.get() == -ENOENT) {
    out.reset(open(O_CREAT | O_EXCL));
  }
  if (!out) {
    return std::nullopt;
  }
  struct statx status = {};
  if (sys::statx(out.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status) < 0 || !S_ISREG(status.stx_mode)) {
    return std::nullopt;
  }
  return write_open(entry, source, std::move(out), status);
}

bool EntryCopier::write_open(const CopyEntry& entry, Source& source, UniqueFd out, const struct statx& status) {
  if (identity_of(status) == identity_of(source.status)) {
    return fail(TreeProblem::same_file, EINVAL, "copy", entry);
  }
  const std::uint64_t device = identity_of(status).device;
  const std::uint64_t old_size = S_ISREG(status.stx_mode) ? status.stx_size : 0;
  CopyReport report;
  if (!options_.attributes_only && !fill(entry, source, out.get(), old_size, device, report)) {
    return false;
  }
  return finish_open(entry, source, std::move(out), status, report);
}

// What follows once the old file, which was `status`, has its new content.
bool EntryCopier::finish_open(const CopyEntry& entry, Source& source, UniqueFd out, const struct statx& status,
                              const CopyReport& report) {
  if (options_.preserve.any()) {
    const MetadataState state{status.stx_mode & 07777U, status.stx_uid, status.stx_gid, true};
    preserve_parts(entry, {source.fd.get(), false}, source.status, {out.get(), false}, state, options_.preserve);
  }
  if (!sync(entry, out.get(), identity_of(status).device)) {
    return false;
  }
  if (const int error = out.close(); error != 0) {
    return fail(TreeProblem::cannot_write_destination, error, "close", entry);
  }
  finish_file(entry, report, {});
  return true;
}

bool EntryCopier::sync(const CopyEntry& entry, int out, std::uint64_t device) {
  if (!options_.copy.fsync || !job_.sync_now(entry.directory.destination_fd(), device)) {
    return true;
  }
  const int result = sys::fsync(out);
  return result >= 0 || fail(TreeProblem::cannot_sync, -result, "fsync", entry);
}

}  // namespace ferry
