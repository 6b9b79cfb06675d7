// A file that gets its name when it is complete.
//
// Unnamed (O_TMPFILE) where that works. Where a temporary name is needed - to replace an existing name, and on file
// systems without O_TMPFILE - it is made from the final name, so that what a killed process left is found and removed
// by the next one that writes the same name. A living owner holds an flock(2) on its file, so that it is told from a
// leftover; the lock, unlike one of fcntl(2), needs no write permission to be tested.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include <ferry/copy.hpp>

#include "base/sys.hpp"
#include "copy/unnamed_files.hpp"

namespace ferry {
namespace {

using TemporaryName = std::array<char, 32>;

// The plain name, then ones with a number: taken by racing copies to the same name.
constexpr int temporary_name_candidates = 16;
// Racing removers of one leftover get in each other's way; each round one of them succeeds.
constexpr int attempts_per_candidate = 8;

TemporaryName temporary_name(const char* final_name, int candidate) noexcept {
  TemporaryName name = {};
  const auto hash = static_cast<unsigned long long>(XXH64(final_name, std::strlen(final_name), 0));
  if (candidate == 0) {
    fmt::format_to_n(name.data(), name.size() - 1, ".ferry-{:016x}.tmp", hash);
  } else {
    fmt::format_to_n(name.data(), name.size() - 1, ".ferry-{:016x}.{}.tmp", hash, candidate);
  }
  return name;
}

bool is_same_file(const struct ::statx& a, const struct ::statx& b) noexcept {
  return a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major && a.stx_dev_minor == b.stx_dev_minor;
}

bool name_refers_to(int dirfd, const char* name, int fd) noexcept {
  struct ::statx by_name = {};
  struct ::statx by_fd = {};
  return sys::statx(dirfd, name, AT_SYMLINK_NOFOLLOW, STATX_INO, by_name) == 0 &&
         sys::statx(fd, "", AT_EMPTY_PATH, STATX_INO, by_fd) == 0 && is_same_file(by_name, by_fd);
}

// Removes a temporary file that nobody owns any more. False when it has a living owner, or cannot be told or removed.
bool remove_leftover(int dirfd, const char* name) noexcept {
  const UniqueFd leftover(sys::openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (!leftover || sys::flock(leftover.get(), LOCK_EX | LOCK_NB) != 0) {
    return false;
  }
  // Whoever unlinks holds the lock of the file it unlinks, so the name cannot come to mean another file in between.
  return name_refers_to(dirfd, name, leftover.get()) && sys::unlinkat(dirfd, name, 0) == 0;
}

// Calls `take(name)`, which returns 0 or -errno, with one temporary name after the other until it succeeds or fails
// for another reason than EEXIST.
template <typename Take>
int take_temporary_name(int dirfd, const char* final_name, TemporaryName& taken, Take take) noexcept {
  for (int candidate = 0; candidate < temporary_name_candidates; ++candidate) {
    const TemporaryName name = temporary_name(final_name, candidate);
    for (int attempt = 0; attempt < attempts_per_candidate; ++attempt) {
      const int result = take(name.data());
      if (result == 0) {
        taken = name;
        return 0;
      }
      if (result != -EEXIST) {
        return result;
      }
      if (!remove_leftover(dirfd, name.data())) {
        break;
      }
    }
  }
  return -EEXIST;
}

// Creates and locks a file under a temporary name. EEXIST also when another process took it for a leftover between
// open and lock: then it removes the name, and the next attempt has it free.
int open_named(int dirfd, const char* name, std::uint32_t mode, UniqueFd& opened) noexcept {
  UniqueFd fd(sys::openat(dirfd, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, mode));
  if (!fd) {
    return fd.get();
  }
  const int locked = sys::flock(fd.get(), LOCK_EX | LOCK_NB);
  if (locked == -EWOULDBLOCK || !name_refers_to(dirfd, name, fd.get())) {
    return -EEXIST;
  }
  opened = std::move(fd);  // without a lock, where there are none: nobody can take one to remove it either
  return 0;
}

}  // namespace

StagedFile::StagedFile(StagedFile&& other) noexcept
    : fd_(std::move(other.fd_)),
      dirfd_(other.dirfd_),
      name_(std::exchange(other.name_, nullptr)),
      temporary_name_(std::exchange(other.temporary_name_, {})),
      has_final_name_(std::exchange(other.has_final_name_, false)) {}

StagedFile& StagedFile::operator=(StagedFile&& other) noexcept {
  if (this != &other) {
    discard();
    fd_ = std::move(other.fd_);
    dirfd_ = other.dirfd_;
    name_ = std::exchange(other.name_, nullptr);
    temporary_name_ = std::exchange(other.temporary_name_, {});
    has_final_name_ = std::exchange(other.has_final_name_, false);
  }
  return *this;
}

StagedFile::~StagedFile() { discard(); }

Result<StagedFile> StagedFile::create(int dirfd, const char* name, std::uint32_t mode) {
  StagedFile file;
  file.dirfd_ = dirfd;
  file.name_ = name;
  const bool try_unnamed = engine::unnamed_files_expected(dirfd);
  if (try_unnamed) {
    file.fd_.reset(sys::openat(dirfd, ".", O_TMPFILE | O_WRONLY, mode));
    if (file.fd_) {
      return file;
    }
    if (!engine::says_no_unnamed_files(file.fd_.get())) {
      return fail(-file.fd_.get(), "openat", name);
    }
  }
  const int result = take_temporary_name(dirfd, name, file.temporary_name_, [&](const char* temporary) {
    return open_named(dirfd, temporary, mode, file.fd_);
  });
  if (result != 0) {
    return fail(-result, "openat", name);
  }
  if (try_unnamed) {
    engine::note_unnamed_files_missing(dirfd);
  }
  return file;
}

Result<StagedFile> StagedFile::create_named(int dirfd, const char* name, std::uint32_t mode) {
  StagedFile file;
  file.dirfd_ = dirfd;
  file.name_ = name;
  const int result = take_temporary_name(dirfd, name, file.temporary_name_, [&](const char* temporary) {
    return open_named(dirfd, temporary, mode, file.fd_);
  });
  if (result != 0) {
    return fail(-result, "openat", name);
  }
  return file;
}

Result<StagedFile> StagedFile::create_unshared(int dirfd, const char* name, std::uint32_t mode) {
  StagedFile file;
  file.fd_.reset(sys::openat(dirfd, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, mode));
  if (!file.fd_) {
    return fail(-file.fd_.get(), "openat", name);
  }
  file.dirfd_ = dirfd;
  file.name_ = name;
  file.has_final_name_ = true;
  return file;
}

namespace {

// Gives the file its name unless that is taken; 0 or -errno, and the operation that said so.
int move_to_free_name(int dirfd, const char* temporary, const char* name, const char*& operation) noexcept {
  operation = "renameat2";
  const int renamed = sys::renameat2(dirfd, temporary, dirfd, name, RENAME_NOREPLACE);
  if (renamed != -EINVAL && renamed != -ENOSYS) {
    return renamed;
  }
  operation = "linkat";  // the file system does not know the flag
  if (const int linked = sys::linkat(dirfd, temporary, dirfd, name, 0); linked != 0) {
    return linked;
  }
  (void)sys::unlinkat(dirfd, temporary, 0);  // the name is in place; a second one does no harm
  return 0;
}

}  // namespace

Result<void> StagedFile::commit(Existing existing) {
  const char* operation = "linkat";
  const bool unnamed = temporary_name_[0] == '\0';
  int result = 0;
  if (has_final_name_) {
    has_final_name_ = false;
  } else if (existing == Existing::keep) {
    result = unnamed ? engine::link_unnamed(fd_.get(), dirfd_, name_)
                     : move_to_free_name(dirfd_, temporary_name_.data(), name_, operation);
  } else {
    if (unnamed) {
      (void)sys::flock(fd_.get(), LOCK_EX | LOCK_NB);  // first: a name without a lock is a leftover
      result = take_temporary_name(dirfd_, name_, temporary_name_, [&](const char* temporary) {
        return engine::link_unnamed(fd_.get(), dirfd_, temporary);
      });
    }
    if (result == 0) {
      operation = "renameat2";
      result = sys::renameat2(dirfd_, temporary_name_.data(), dirfd_, name_, 0);
    }
  }
  const char* const name = name_;
  if (result == 0) {
    temporary_name_ = {};
    name_ = nullptr;
    return {};
  }
  discard();
  return fail(-result, operation, name);
}

void StagedFile::discard() noexcept {
  if (temporary_name_[0] != '\0') {
    (void)sys::unlinkat(dirfd_, temporary_name_.data(), 0);  // before the lock goes with the descriptor
    temporary_name_ = {};
  }
  if (has_final_name_) {
    (void)sys::unlinkat(dirfd_, name_, 0);
    has_final_name_ = false;
  }
  fd_.reset();
  name_ = nullptr;
}

}  // namespace ferry
