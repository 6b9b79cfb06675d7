#include "sync/backups.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <utility>

#include "base/sys.hpp"

namespace ferry {
namespace {

constexpr int open_directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

// Calls `step(component)` for each component of a path until it fails; 0 or -errno.
template <typename Step>
int for_each_component(std::string_view path, Step step) {
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string component(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
    if (component.empty() || component == ".") {
      continue;
    }
    if (const int result = step(component.c_str()); result < 0) {
      return result;
    }
  }
  return 0;
}

// Opens the directory, making it if it is missing.
int open_or_make(int dirfd, const char* name, int flags, bool& is_made) noexcept {
  is_made = false;
  int fd = sys::openat(dirfd, name, flags);
  if (fd == -ENOENT) {
    const int made = sys::mkdirat(dirfd, name, 0700);
    if (made < 0 && made != -EEXIST) {
      return made;
    }
    is_made = made == 0;
    fd = sys::openat(dirfd, name, flags);
  }
  return fd;
}

// A copy where no name can be given to the file itself: the backup is on another file system.
int copy_across(int from_dirfd, const char* from, int to_dirfd, const std::string& to) {
  const UniqueFd in(sys::openat(from_dirfd, from, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (!in) {
    return in.get();
  }
  struct statx status = {};
  if (const int result = sys::statx(in.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status); result < 0) {
    return result;
  }
  if (!S_ISREG(status.stx_mode)) {
    return -EXDEV;
  }
  auto staged = StagedFile::create(to_dirfd, to.c_str(), 0600);
  if (!staged) {
    return -staged.error().errno_value();
  }
  if (const auto copied = FileCopier({}).copy(in.get(), status, staged->fd(), 0, 0); !copied) {
    return -copied.error().errno_value();
  }
  const MetadataSelection all{.mode = true, .owner = true, .times = true, .acls = true, .xattrs = true};
  const MetadataState created{.mode = ~0U, .uid = ~0U, .gid = ~0U};
  if (const auto kept = copy_metadata({in.get(), false}, status, {staged->fd(), false}, created, all); !kept) {
    return -kept.error().error.errno_value();
  }
  const auto committed = staged->commit(StagedFile::Existing::replace);
  return committed ? 0 : -committed.error().errno_value();
}

int link_replacing(int from_dirfd, const char* from, int to_dirfd, const std::string& to) noexcept {
  int result = sys::linkat(from_dirfd, from, to_dirfd, to.c_str(), 0);
  if (result == -EEXIST && sys::unlinkat(to_dirfd, to.c_str(), 0) == 0) {
    result = sys::linkat(from_dirfd, from, to_dirfd, to.c_str(), 0);
  }
  return result;
}

}  // namespace

bool Backups::is_backup_name(std::string_view name) const noexcept {
  return job_.options.backup_dir.empty() && name.size() > job_.backup_suffix.size() &&
         name.ends_with(job_.backup_suffix);
}

Result<UniqueFd> Backups::open_root() {
  const std::filesystem::path& path = job_.options.backup_dir;
  UniqueFd fd;
  // The path is the user's own: symlinks in it are followed.
  const int result = [&] {
    const std::string text = path.native();
    const int base = path.is_absolute() ? AT_FDCWD : destination_root_;
    int opened = sys::openat(base, text.c_str(), O_RDONLY | O_DIRECTORY);
    for (std::size_t end = 1; opened == -ENOENT && end <= text.size(); ++end) {
      if (end == text.size() || text[end] == '/') {
        const int made = sys::mkdirat(base, text.substr(0, end).c_str(), 0777);
        if (made < 0 && made != -EEXIST) {
          return made;
        }
      }
      if (end == text.size()) {
        opened = sys::openat(base, text.c_str(), O_RDONLY | O_DIRECTORY);
        break;
      }
    }
    return opened;
  }();
  if (result < 0) {
    return ferry::fail(-result, "openat", path.native());
  }
  fd.reset(result);
  return fd;
}

// The directory's counterpart in the backup tree, made with the modes and owners of the directories it stands for.
Result<UniqueFd> Backups::open_directory(std::string_view directory_path) {
  auto backup = open_root();
  if (!backup) {
    return backup;
  }
  UniqueFd original(sys::openat(destination_root_, ".", O_RDONLY | O_DIRECTORY));
  const int result = for_each_component(directory_path, [&](const char* component) {
    bool is_made = false;
    const int fd = open_or_make(backup->get(), component, open_directory_flags, is_made);
    if (fd < 0) {
      return fd;
    }
    backup->reset(fd);
    if (original) {
      original.reset(sys::openat(original.get(), component, open_directory_flags));
    }
    struct statx status = {};
    if (is_made && original && sys::statx(original.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status) == 0) {
      // What cannot be given away stays ours, and closed to others.
      if (sys::fchown(fd, status.stx_uid, status.stx_gid) == 0) {
        (void)sys::fchmod(fd, status.stx_mode & 07777U);
      }
    }
    return 0;
  });
  if (result < 0) {
    return ferry::fail(-result, "openat", joined(job_.options.backup_dir.native(), directory_path));
  }
  return backup;
}

bool Backups::make(int dirfd, std::string_view directory_path, const char* name, bool keep_name) {
  if (job_.options.dry_run) {
    return true;
  }
  UniqueFd backup_directory;
  int backup_dirfd = dirfd;
  if (!job_.options.backup_dir.empty()) {
    auto opened = open_directory(directory_path);
    if (!opened) {
      job_.fail(SyncProblem::cannot_back_up, opened.error());
      return false;
    }
    backup_directory = std::move(*opened);
    backup_dirfd = backup_directory.get();
  }
  const std::string backup_name = name + job_.backup_suffix;
  const char* operation = "linkat";
  int result = keep_name ? link_replacing(dirfd, name, backup_dirfd, backup_name) : -EPERM;
  if (result < 0 && result != -EXDEV) {
    operation = "renameat2";
    result = sys::renameat2(dirfd, name, backup_dirfd, backup_name.c_str(), 0);
  }
  if (result == -EXDEV) {
    operation = "copy";
    result = copy_across(dirfd, name, backup_dirfd, backup_name);
    if (result == 0 && !keep_name) {
      operation = "unlinkat";
      result = sys::unlinkat(dirfd, name, 0);
    }
  }
  if (result < 0 && result != -ENOENT) {
    job_.fail(SyncProblem::cannot_back_up, -result, operation, joined(directory_path, name));
    return false;
  }
  return true;
}

}  // namespace ferry
