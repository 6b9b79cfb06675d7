// Files by name. New content is written beside and put in place when complete; where the inode must stay it is written
// into the file itself.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <string_view>

#include <ferry/copy.hpp>

#include "base/sys.hpp"
#include "copy/kept_attributes.hpp"

namespace ferry {
namespace {

namespace fs = std::filesystem;

bool is_same_file(const struct ::statx& a, const struct ::statx& b) noexcept {
  return a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major && a.stx_dev_minor == b.stx_dev_minor;
}

std::uint64_t device_of(const struct ::statx& status) noexcept {
  return makedev(status.stx_dev_major, status.stx_dev_minor);
}

// A name may be taken or lost to others between looking and acting; then look again, so often.
constexpr int most_attempts = 8;

class NamedCopy {
 public:
  NamedCopy(const fs::path& source, const fs::path& destination, const CopyOptions& options)
      : source_name_(source), destination_name_(destination), options_(options), copier_(options) {}

  [[nodiscard]] Result<CopyReport> run(int source_dirfd, int destination_dirfd);

 private:
  enum class Outcome : std::uint8_t { done, look_again, write_in_place };

  [[nodiscard]] Result<void> open_source(int source_dirfd);
  [[nodiscard]] Result<void> open_directory(int destination_dirfd);
  [[nodiscard]] Result<Outcome> create();
  [[nodiscard]] Result<Outcome> replace();
  [[nodiscard]] Result<Outcome> write_in_place();
  [[nodiscard]] Result<void> fill(int out, std::uint64_t old_size, std::uint64_t device);
  [[nodiscard]] Result<void> fill_stream(int out);
  [[nodiscard]] Result<void> sync_directory();

  [[nodiscard]] std::unexpected<Error> source_failed(int error, const char* operation) const {
    return fail(-error, operation, source_name_.string());
  }
  [[nodiscard]] std::unexpected<Error> destination_failed(int error, const char* operation) const {
    return fail(-error, operation, destination_name_.string());
  }

  const fs::path& source_name_;
  const fs::path& destination_name_;
  const CopyOptions& options_;
  FileCopier copier_;
  UniqueFd source_;
  struct ::statx source_status_ = {};
  UniqueFd own_directory_;
  int directory_ = -1;  // AT_FDCWD allowed
  std::string leaf_;
  CopyReport report_;
};

Result<CopyReport> NamedCopy::run(int source_dirfd, int destination_dirfd) {
  if (const auto opened = open_source(source_dirfd); !opened) {
    return std::unexpected(opened.error());
  }
  if (const auto opened = open_directory(destination_dirfd); !opened) {
    return std::unexpected(opened.error());
  }
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    struct ::statx old = {};
    const int looked = sys::statx(directory_, leaf_.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, old);
    if (looked != 0 && looked != -ENOENT) {
      return destination_failed(looked, "statx");
    }
    if (looked == 0 && S_ISDIR(old.stx_mode)) {
      return destination_failed(-EISDIR, "openat");
    }
    if (looked == 0 && is_same_file(old, source_status_)) {
      return destination_failed(-EINVAL, "copy_file");
    }
    const bool inode_must_stay = looked == 0 && (!S_ISREG(old.stx_mode) || old.stx_nlink > 1);
    auto outcome = looked == -ENOENT && !options_.inplace ? create()
                   : options_.inplace || inode_must_stay  ? write_in_place()
                                                          : replace();
    if (outcome && *outcome == Outcome::write_in_place) {
      outcome = write_in_place();
    }
    if (!outcome) {
      return std::unexpected(outcome.error());
    }
    if (*outcome == Outcome::done) {
      return report_;
    }
  }
  return destination_failed(-EBUSY, "openat");
}

Result<void> NamedCopy::open_source(int source_dirfd) {
  source_.reset(sys::openat(source_dirfd, source_name_.c_str(), O_RDONLY | O_NOCTTY));
  if (!source_) {
    return source_failed(source_.get(), "openat");
  }
  if (const int error = sys::statx(source_.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, source_status_); error != 0) {
    return source_failed(error, "statx");
  }
  if (S_ISDIR(source_status_.stx_mode)) {
    return source_failed(-EISDIR, "openat");
  }
  return {};
}

// The directory is opened once; from then on only one component is looked up.
Result<void> NamedCopy::open_directory(int destination_dirfd) {
  leaf_ = destination_name_.filename().string();
  if (leaf_.empty() || leaf_ == "." || leaf_ == "..") {
    return destination_failed(destination_name_.empty() ? -ENOENT : -EISDIR, "openat");
  }
  const fs::path parent = destination_name_.parent_path();
  if (parent.empty()) {
    directory_ = destination_dirfd;
    return {};
  }
  own_directory_.reset(sys::openat(destination_dirfd, parent.c_str(), O_PATH | O_DIRECTORY));
  if (!own_directory_) {
    return destination_failed(own_directory_.get(), "openat");
  }
  directory_ = own_directory_.get();
  return {};
}

// Copies into `out` and syncs if asked; the error gets the name of the side it happened on.
Result<void> NamedCopy::fill(int out, std::uint64_t old_size, std::uint64_t device) {
  auto copied = copier_.copy(source_.get(), source_status_, out, old_size, device);
  if (!copied) {
    const std::string_view operation = copied.error().operation;
    const bool by_source = operation == "read" || operation == "pread" || operation == "lseek";
    copied.error().path = (by_source ? source_name_ : destination_name_).string();
    return std::unexpected(copied.error());
  }
  report_ = *copied;
  if (options_.fsync) {
    if (const int error = sys::fsync(out); error != 0) {
      return destination_failed(error, "fsync");
    }
  }
  return {};
}

Result<NamedCopy::Outcome> NamedCopy::create() {
  auto staged = StagedFile::create(directory_, leaf_.c_str(), source_status_.stx_mode & 0777U);
  if (!staged) {
    return destination_failed(-staged.error().errno_value(), staged.error().operation);
  }
  struct ::statx created = {};
  if (const int error = sys::statx(staged->fd(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, created); error != 0) {
    return destination_failed(error, "statx");
  }
  if (const auto filled = fill(staged->fd(), 0, device_of(created)); !filled) {
    return std::unexpected(filled.error());
  }
  if (const auto committed = staged->commit(StagedFile::Existing::keep); !committed) {
    if (committed.error().errno_value() == EEXIST && S_ISREG(source_status_.stx_mode)) {
      // Somebody made the name meanwhile: it is to be replaced then.
      if (const off_t rewound = sys::lseek(source_.get(), 0, SEEK_SET); rewound < 0) {
        return source_failed(static_cast<int>(rewound), "lseek");
      }
      return Outcome::look_again;
    }
    return destination_failed(-committed.error().errno_value(), committed.error().operation);
  }
  if (const auto synced = sync_directory(); !synced) {
    return std::unexpected(synced.error());
  }
  return Outcome::done;
}

namespace {

// Errors of making or naming a file beside the old one that do not keep anybody from writing into the old one: no
// permission in the directory, a sticky directory, a mount point.
bool only_the_directory_refuses(int error) noexcept { return error == EACCES || error == EPERM || error == EBUSY; }

}  // namespace

Result<NamedCopy::Outcome> NamedCopy::replace() {
  // For writing, although nothing is written: who may not write the old file may not replace it either, as with cp.
  UniqueFd old(sys::openat(directory_, leaf_.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (old.get() == -ETXTBSY) {  // a running program can be replaced, not written
    old.reset(sys::openat(directory_, leaf_.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  }
  if (!old) {
    if (old.get() == -ENOENT || old.get() == -ELOOP) {
      return Outcome::look_again;
    }
    return destination_failed(old.get(), "openat");
  }
  struct ::statx status = {};
  if (const int error = sys::statx(old.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status); error != 0) {
    return destination_failed(error, "statx");
  }
  if (!S_ISREG(status.stx_mode) || status.stx_nlink > 1 || is_same_file(status, source_status_)) {
    return Outcome::look_again;
  }
  auto staged = StagedFile::create(directory_, leaf_.c_str(), status.stx_mode & 0700U);
  if (!staged) {
    if (only_the_directory_refuses(staged.error().errno_value())) {
      return Outcome::write_in_place;
    }
    return destination_failed(-staged.error().errno_value(), staged.error().operation);
  }
  if (engine::keep_attributes(old.get(), status, staged->fd()) != 0) {
    return Outcome::write_in_place;  // keeps them by keeping the file
  }
  if (const auto filled = fill(staged->fd(), 0, device_of(status)); !filled) {
    return std::unexpected(filled.error());
  }
  // Writing may have taken set-user-ID bits away.
  if ((status.stx_mode & (S_ISUID | S_ISGID)) != 0) {
    if (const int error = sys::fchmod(staged->fd(), status.stx_mode & 07777U); error != 0) {
      return destination_failed(error, "fchmod");
    }
  }
  if (const auto committed = staged->commit(StagedFile::Existing::replace); !committed) {
    if (only_the_directory_refuses(committed.error().errno_value()) && S_ISREG(source_status_.stx_mode)) {
      if (const off_t rewound = sys::lseek(source_.get(), 0, SEEK_SET); rewound < 0) {
        return source_failed(static_cast<int>(rewound), "lseek");
      }
      return Outcome::write_in_place;
    }
    return destination_failed(-committed.error().errno_value(), committed.error().operation);
  }
  if (const auto synced = sync_directory(); !synced) {
    return std::unexpected(synced.error());
  }
  return Outcome::done;
}

Result<NamedCopy::Outcome> NamedCopy::write_in_place() {
  const UniqueFd out(
      sys::openat(directory_, leaf_.c_str(), O_WRONLY | O_CREAT | O_NOCTTY, source_status_.stx_mode & 0777U));
  if (!out) {
    return destination_failed(out.get(), "openat");
  }
  struct ::statx status = {};
  if (const int error = sys::statx(out.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status); error != 0) {
    return destination_failed(error, "statx");
  }
  if (is_same_file(status, source_status_)) {  // through a symlink or another name
    return destination_failed(-EINVAL, "copy_file");
  }
  const auto filled =
      S_ISREG(status.stx_mode) ? fill(out.get(), status.stx_size, device_of(status)) : fill_stream(out.get());
  if (!filled) {
    return std::unexpected(filled.error());
  }
  if (const auto synced = sync_directory(); !synced) {
    return std::unexpected(synced.error());
  }
  return Outcome::done;
}

// A device, fifo or the like: nothing to trim, no holes, everything up to the source's end.
Result<void> NamedCopy::fill_stream(int out) {
  const bool sized = S_ISREG(source_status_.stx_mode) && source_status_.stx_size > 0;
  constexpr std::uint64_t no_end = INT64_MAX;
  auto copied = copy_range(source_.get(), 0, out, 0, sized ? source_status_.stx_size : no_end, options_);
  if (!copied) {
    copied.error().path = destination_name_.string();
    return std::unexpected(copied.error());
  }
  report_ = *copied;
  return {};
}

Result<void> NamedCopy::sync_directory() {
  if (!options_.fsync) {
    return {};
  }
  const UniqueFd readable(sys::openat(directory_, ".", O_RDONLY | O_DIRECTORY));
  const int error = readable ? sys::fsync(readable.get()) : readable.get();
  return error == 0 ? Result<void>{} : destination_failed(error, "fsync");
}

}  // namespace

Result<CopyReport> copy_file(const fs::path& source, const fs::path& destination, const CopyOptions& options) {
  return copy_file_at(AT_FDCWD, source, AT_FDCWD, destination, options);
}

Result<CopyReport> copy_file_at(int source_dirfd, const fs::path& source, int destination_dirfd,
                                const fs::path& destination, const CopyOptions& options) {
  return NamedCopy(source, destination, options).run(source_dirfd, destination_dirfd);
}

}  // namespace ferry
