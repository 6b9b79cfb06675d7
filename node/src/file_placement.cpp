#include "file_placement.hpp"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace ferry_node {
namespace {

using ferry::CopyReport;
using ferry::UniqueFd;

constexpr std::uint32_t permission_bits = 07777;
// What a file may be created with; set-user-ID and the like are given to it when it is complete.
constexpr std::uint32_t creation_bits = 0777;
constexpr const char* copyfile = "copyfile";

// Of new files in the directory. Asked for once; 0, which is none, if it cannot be told.
std::uint64_t device_of(TargetDirectory& directory) {
  if (directory.device == 0) {
    struct ::statx status = {};
    const bool here = directory.fd == AT_FDCWD;
    if (status_of(directory.fd, here ? "." : "", 0, status) == 0) {
      directory.device = makedev(status.stx_dev_major, status.stx_dev_minor);
    }
  }
  return directory.device;
}

std::unexpected<Failure> copy_failed(const ferry::Error& error) { return failed(error.errno_value(), copyfile); }

}  // namespace

int status_of(int dirfd, const char* name, int flags, struct ::statx& status) noexcept {
  const int empty = *name == '\0' ? AT_EMPTY_PATH : 0;
  return ::statx(dirfd, name, flags | empty | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &status) == 0 ? 0 : errno;
}

FilePlacement::FilePlacement(const PlacementOptions& options, const ferry::CopyOptions& copy)
    : options_(options), copier_(copy), user_(::geteuid()), group_(::getegid()) {}

int FilePlacement::write_flags() const noexcept {
  // O_NONBLOCK: what has the name may be a fifo, whose open would wait for a reader.
  return (options_.verify ? O_RDWR : O_WRONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
}

Outcome<CopyReport> FilePlacement::place(int in, const struct ::statx& status, TargetDirectory& directory,
                                         const char* name) {
  using Existing = ferry::StagedFile::Existing;
  if (options_.atomic && directory.created) {
    if (auto placed = replace(in, status, directory, name, Existing::keep);
        placed || placed.error().errno_value != EEXIST) {
      return placed;
    }
  } else if (directory.created) {
    if (auto placed = create(in, status, directory, name); placed || placed.error().errno_value != EEXIST) {
      return placed;
    }
  }
  // Twice at most: the name may be given or taken between two looks.
  for (int attempt = 0;; ++attempt) {
    UniqueFd out(::openat(directory.fd, name, write_flags() | O_NOFOLLOW));
    const int refused = out ? 0 : errno;
    if (refused == EISDIR) {
      return failed(EISDIR, copyfile);
    }
    if (refused == ENOENT) {
      auto placed =
          options_.atomic ? replace(in, status, directory, name, Existing::keep) : create(in, status, directory, name);
      if (!placed && placed.error().errno_value == EEXIST && attempt == 0) {
        continue;
      }
      return placed;
    }
    if (out) {
      struct ::statx old = {};
      if (const int error = status_of(out.get(), "", 0, old); error != 0) {
        return failed(error, copyfile);
      }
      if (same_inode(status, old)) {
        return failed(0, copyfile);
      }
      if (!options_.atomic && may_be_written_in_place(old)) {
        return overwrite(in, status, std::move(out), old);
      }
    }
    // A symlink, a special file, a file with other names, of another owner, running, or not writable.
    return replace(in, status, directory, name, Existing::replace);
  }
}

// Whether nobody could tell the old inode with the new content from a new file.
bool FilePlacement::may_be_written_in_place(const struct ::statx& old) const noexcept {
  return S_ISREG(old.stx_mode) && old.stx_nlink == 1 && old.stx_uid == user_ && old.stx_gid == group_;
}

Outcome<CopyReport> FilePlacement::overwrite(int in, const struct ::statx& status, UniqueFd out,
                                             const struct ::statx& old) {
  const auto device = makedev(old.stx_dev_major, old.stx_dev_minor);
  auto report = copier_.copy(in, status, out.get(), old.stx_size, device);
  if (!report) {
    return copy_failed(report.error());
  }
  const bool other_mode = ((old.stx_mode ^ status.stx_mode) & permission_bits) != 0 ||
                          (status.stx_mode & ~creation_bits & permission_bits) != 0;  // a write clears these
  if (auto finished = finish(in, status, out.get(), other_mode); !finished) {
    return std::unexpected(finished.error());
  }
  if (const int error = out.close(); error != 0) {
    return failed(error, copyfile);
  }
  return *report;
}

Outcome<CopyReport> FilePlacement::create(int in, const struct ::statx& status, TargetDirectory& directory,
                                          const char* name) {
  UniqueFd out(
      ::openat(directory.fd, name, write_flags() | O_CREAT | O_EXCL | O_NOFOLLOW, status.stx_mode & creation_bits));
  if (!out) {
    return failed(errno, copyfile);
  }
  const auto copied = [&]() -> Outcome<CopyReport> {
    auto report = copier_.copy(in, status, out.get(), 0, device_of(directory));
    if (!report) {
      return copy_failed(report.error());
    }
    if (auto finished = finish(in, status, out.get(), mode_must_be_set(status, out.get(), directory)); !finished) {
      return std::unexpected(finished.error());
    }
    if (const int error = out.close(); error != 0) {
      return failed(error, copyfile);
    }
    return *report;
  }();
  if (!copied) {
    ::unlinkat(directory.fd, name, 0);  // a file that looks whole must be whole
  }
  return copied;
}

Outcome<CopyReport> FilePlacement::replace(int in, const struct ::statx& status, TargetDirectory& directory,
                                           const char* name, ferry::StagedFile::Existing existing) {
  auto staged = ferry::StagedFile::create(directory.fd, name, status.stx_mode & creation_bits);
  if (!staged) {
    return copy_failed(staged.error());
  }
  auto report = copier_.copy(in, status, staged->fd(), 0, device_of(directory));
  if (!report) {
    return copy_failed(report.error());
  }
  if (auto finished = finish(in, status, staged->fd(), true); !finished) {
    return std::unexpected(finished.error());
  }
  if (auto committed = staged->commit(existing); !committed) {
    return copy_failed(committed.error());
  }
  return *report;
}

// Node gives the copy all permission bits of the source, whatever the umask. Most files have them from the beginning:
// what one new file here was granted, the next is granted, too.
bool FilePlacement::mode_must_be_set(const struct ::statx& status, int out, TargetDirectory& directory) {
  const std::uint32_t wanted = status.stx_mode & permission_bits;
  if ((wanted & ~directory.granted_mode) == 0) {
    return false;
  }
  struct ::statx created = {};
  if ((wanted & ~creation_bits) != 0 || status_of(out, "", 0, created) != 0) {
    return true;
  }
  directory.granted_mode |= created.stx_mode & wanted;
  return (created.stx_mode & permission_bits) != wanted;
}

Outcome<void> FilePlacement::finish(int in, const struct ::statx& status, int out, bool set_mode) const {
  if (options_.preserve_timestamps) {
    // Reading has changed the access time, and that is the one fs.cp gives to the copy.
    struct ::statx now = {};
    if (const int error = status_of(in, "", 0, now); error != 0) {
      return failed(error, "stat");
    }
    const std::array<timespec, 2> times = {timespec{now.stx_atime.tv_sec, now.stx_atime.tv_nsec},
                                           timespec{now.stx_mtime.tv_sec, now.stx_mtime.tv_nsec}};
    if (::futimens(out, times.data()) != 0) {
      return failed(errno, "utime");
    }
  }
  if (set_mode && ::fchmod(out, status.stx_mode & permission_bits) != 0) {
    return failed(errno, "chmod");
  }
  return {};
}

}  // namespace ferry_node
