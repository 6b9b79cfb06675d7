// What to do about what is under the destination's name already: cp's rules.
#include "base/sys.hpp"
#include "tree/backup.hpp"
#include "tree/entry_copier.hpp"
#include "tree/temporary_name.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace ferry {
namespace {

bool is_not_newer(const statx_timestamp& a, const statx_timestamp& b) noexcept {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec <= b.tv_nsec;
}

// The directory part of an operand ("." if there is none) and its last component, slashes at the end ignored.
std::pair<std::string, std::string> split(std::string path) {
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) {
    return {".", path};
  }
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

// Whether source and destination, known to be one inode, are also one directory entry.
bool is_same_entry(const CopyEntry& entry) {
  if (!entry.is_operand) {
    return entry.directory.source_identity == entry.directory.destination_identity &&
           std::strcmp(entry.source, entry.destination) == 0;
  }
  const auto [source_parent, source_name] = split(entry.source);
  const auto [destination_parent, destination_name] = split(entry.directory.destination_operand);
  struct statx a = {};
  struct statx b = {};
  return source_name == destination_name && sys::statx(AT_FDCWD, source_parent.c_str(), 0, STATX_INO, a) == 0 &&
         sys::statx(AT_FDCWD, destination_parent.c_str(), 0, STATX_INO, b) == 0 && identity_of(a) == identity_of(b);
}

// What the operand or entry leads to if it is a symlink that is copied as such; false if nowhere.
bool follow_source_link(const CopyEntry& entry, struct statx& target) {
  return sys::statx(entry.directory.source_fd(), entry.source, 0, STATX_BASIC_STATS, target) == 0;
}

bool source_is_symlink(const CopyEntry& entry) {
  struct statx itself = {};
  return sys::statx(entry.directory.source_fd(), entry.source, AT_SYMLINK_NOFOLLOW, STATX_TYPE, itself) == 0 &&
         S_ISLNK(itself.stx_mode);
}

}  // namespace

int open_beneath_destination(const Directory& directory, const char* name, int flags) {
  const Directory* root = &directory;
  while (!root->parent->is_anchor()) {
    root = root->parent.get();
  }
  open_how how = {};
  how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const int fd = sys::openat2(root->destination_fd(), joined(directory.relative_path(), name).c_str(), how);
  return fd == -ENOSYS ? -EXDEV : fd;  // without openat2 nobody can say that it stays inside
}

bool EntryCopier::look(const CopyEntry& entry, Existing& existing) {
  if (options_.dry_run && entry.directory.destination_is_new) {
    return true;  // not even its directory is there
  }
  const int dirfd = entry.directory.destination_fd();
  int result = sys::statx(dirfd, entry.destination, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, existing.status);
  if (result == -ENOENT) {
    return true;
  }
  if (result < 0) {
    return fail(TreeProblem::cannot_stat_destination, -result, "statx", entry);
  }
  existing.is_present = true;
  existing.target = existing.status;
  existing.is_symlink = S_ISLNK(existing.status.stx_mode);
  if (existing.is_symlink) {
    if (entry.is_operand) {
      result = sys::statx(dirfd, entry.destination, 0, STATX_BASIC_STATS, existing.target);
    } else {
      const UniqueFd target(job_.descriptors.open_within_budget(
          [&] { return open_beneath_destination(entry.directory, entry.destination, O_PATH); }));
      result = target ? sys::statx(target.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, existing.target) : target.get();
    }
    existing.target_error = -result;
  }
  return true;
}

// In the order in which GNU cp asks, so that the same thing is said about a destination with several things wrong.
EntryCopier::Verdict EntryCopier::check_existing(const CopyEntry& entry, const struct statx& source,
                                                 bool replaces_entry, const Existing& existing) {
  const bool makes_room = options_.remove_destination || options_.backup != Backup::none;
  const bool writes_through = !replaces_entry && !makes_room;
  const struct statx& there = writes_through ? existing.target : existing.status;

  const auto skip = [&] {
    ++report_.skipped;
    job_.event(TreeEventKind::skipped, entry);
    return Verdict::skip;
  };
  switch (compare_with_source(entry, source, replaces_entry, existing)) {
    case Sameness::different: break;
    case Sameness::already_linked: return Verdict::skip;
    case Sameness::same:
      if (options_.overwrite == Overwrite::skip) {
        return skip();
      }
      fail(TreeProblem::same_file, EINVAL, "copy", entry);
      return Verdict::failed;
  }
  if (writes_through && existing.is_symlink && existing.target_error != 0) {
    const bool leads_nowhere = existing.target_error == ENOENT || existing.target_error == ELOOP;
    fail(leads_nowhere ? TreeProblem::dangling_symlink_destination : TreeProblem::symlink_leads_outside,
         existing.target_error, "openat2", entry);
    return Verdict::failed;
  }
  if (options_.overwrite == Overwrite::if_older && is_not_newer(source.stx_mtime, there.stx_mtime)) {
    return skip();
  }
  if (options_.overwrite == Overwrite::skip) {
    return skip();
  }
  if (options_.overwrite == Overwrite::fail) {
    fail(TreeProblem::destination_exists, EEXIST, "copy", entry);
    return Verdict::failed;
  }
  if (options_.on_overwrite && !job_.ask_overwrite(entry, there.stx_mode)) {
    return skip();
  }
  if (S_ISDIR(there.stx_mode)) {
    fail(TreeProblem::overwrite_directory_with_non_directory, EISDIR, "copy", entry);
    return Verdict::failed;
  }
  if (options_.backup != Backup::numbered && (entry.is_operand || options_.destinations_may_collide) &&
      job_.created.has_name(entry.directory, entry.destination)) {
    fail(TreeProblem::just_created, EEXIST, "copy", entry);
    return Verdict::failed;
  }
  return Verdict::proceed;
}

EntryCopier::Sameness EntryCopier::compare_with_source(const CopyEntry& entry, const struct statx& source,
                                                       bool replaces_entry, const Existing& existing) const {
  const InodeIdentity identity = identity_of(source);
  const bool same_inode = identity == identity_of(existing.status);
  if (replaces_entry) {
    if (same_inode) {
      if (options_.link_mode == LinkMode::hard_link || S_ISLNK(source.stx_mode)) {
        return is_same_entry(entry) && options_.link_mode != LinkMode::hard_link ? Sameness::same
                                                                                 : Sameness::already_linked;
      }
      return options_.backup != Backup::none && !is_same_entry(entry) ? Sameness::different : Sameness::same;
    }
    // A symlink over the very file it leads to would leave a symlink to itself and nothing else.
    struct statx target = {};
    const bool destroys_target = S_ISLNK(source.stx_mode) && options_.backup == Backup::none && !existing.is_symlink &&
                                 follow_source_link(entry, target) &&
                                 identity_of(target) == identity_of(existing.status);
    if (!destroys_target) {
      return Sameness::different;
    }
    // For --link the two count as linked: so says cp, and does nothing.
    return options_.link_mode == LinkMode::hard_link ? Sameness::already_linked : Sameness::same;
  }
  if (!same_inode) {
    if (!existing.is_symlink || existing.target_error != 0 || !(identity == identity_of(existing.target))) {
      return Sameness::different;
    }
    // A symlink to the source: written through, it is the source; but it may be taken away.
    return options_.remove_destination || options_.backup != Backup::none ? Sameness::different : Sameness::same;
  }
  if (options_.backup != Backup::none) {
    return is_same_entry(entry) || (follows(entry) && source_is_symlink(entry)) ? Sameness::same : Sameness::different;
  }
  return options_.remove_destination && existing.status.stx_nlink > 1 && !is_same_entry(entry) ? Sameness::different
                                                                                               : Sameness::same;
}

// Whether what is there is taken away before anything is tried: where symlinks are not followed, anything but a regular
// file takes the place of any file, be it as a copy or a link; --attributes-only takes away nothing.
bool EntryCopier::makes_room_for(const struct statx& source) const noexcept {
  return options_.remove_destination ||
         (options_.dereference != Dereference::always && !S_ISREG(source.stx_mode) && !options_.attributes_only);
}

// Makes the backup, and tells of the removal of what is about to be replaced.
bool EntryCopier::prepare_replacing(const CopyEntry& entry, bool removes, std::string& backup) {
  if (options_.backup != Backup::none) {
    return back_up(entry, backup);
  }
  if (removes) {
    job_.event(TreeEventKind::removed, entry);
  }
  return true;
}

bool EntryCopier::back_up(const CopyEntry& entry, std::string& backup) {
  const int dirfd = entry.directory.destination_fd();
  const auto name = backup_name(dirfd, entry.destination, options_.backup, options_.backup_suffix);
  if (!name) {
    return fail(TreeProblem::cannot_back_up, name.error().errno_value(), name.error().operation, entry);
  }
  struct statx source = {};
  struct statx at_backup = {};
  if (sys::statx(entry.directory.source_fd(), entry.source, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, source) == 0 &&
      sys::statx(dirfd, name->c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, at_backup) == 0 &&
      identity_of(source) == identity_of(at_backup)) {
    return fail(TreeProblem::backup_would_destroy_source, EINVAL, "renameat2", entry);
  }
  const std::string path = entry.destination_path();
  backup = path.substr(0, path.size() - std::strlen(entry.destination)) + *name;
  if (options_.dry_run) {
    return true;
  }
  const int result = keep_as_backup(dirfd, entry.destination, name->c_str());
  return result >= 0 || fail(TreeProblem::cannot_back_up, -result, "renameat2", entry);
}

bool EntryCopier::make_at_name(const CopyEntry& entry, const struct statx& source, bool may_replace,
                               TreeProblem problem, const char* operation,
                               const std::function<int(const char* name)>& make) {
  constexpr int attempts = 3;  // if what is there vanishes between the making and the look
  for (int attempt = 0; attempt < attempts; ++attempt) {
    const int result = options_.dry_run ? -EEXIST : make(entry.destination);
    if (result >= 0) {
      if (entry.is_operand || options_.destinations_may_collide) {
        job_.created.add_name(entry.directory, entry.destination);
      }
      return true;
    }
    if (result != -EEXIST) {
      return fail(problem, -result, operation, entry);
    }
    Existing existing;
    if (!look(entry, existing)) {
      return false;
    }
    if (!existing.is_present) {
      if (options_.dry_run) {
        return true;
      }
      continue;
    }
    if (const Verdict verdict = check_existing(entry, source, /*replaces_entry=*/true, existing);
        verdict != Verdict::proceed) {
      return false;
    }
    if (!may_replace && !makes_room_for(source) && options_.backup == Backup::none) {
      return fail(problem, EEXIST, operation, entry);
    }
    std::string backup;
    if (!prepare_replacing(entry, options_.link_mode == LinkMode::copy || makes_room_for(source), backup)) {
      return false;
    }
    return options_.dry_run || replace_by_rename(entry, problem, operation, make);
  }
  return fail(problem, EEXIST, operation, entry);
}

bool EntryCopier::replace_by_rename(const CopyEntry& entry, TreeProblem problem, const char* operation,
                                    const std::function<int(const char* name)>& make) {
  const std::string temporary = temporary_name_for(entry.destination);
  const int dirfd = entry.directory.destination_fd();
  int result = make(temporary.c_str());
  if (result == -EEXIST) {  // left by a killed process
    (void)sys::unlinkat(dirfd, temporary.c_str(), 0);
    result = make(temporary.c_str());
  }
  if (result < 0) {
    return fail(problem, -result, operation, entry);
  }
  result = sys::renameat2(dirfd, temporary.c_str(), dirfd, entry.destination, 0);
  if (result < 0) {
    (void)sys::unlinkat(dirfd, temporary.c_str(), 0);
    return fail(problem, -result, "renameat2", entry);
  }
  if (entry.is_operand || options_.destinations_may_collide) {
    job_.created.add_name(entry.directory, entry.destination);
  }
  return true;
}

}  // namespace ferry
