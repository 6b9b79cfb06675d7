#include "sync/file_writer.hpp"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/sys.hpp"

namespace ferry {
namespace {

constexpr std::size_t compare_bytes = std::size_t{512} << 10U;
constexpr std::size_t block_bytes = 4096;  // a changed one is written; neighbours together, up to compare_bytes
// Below this a whole new copy costs less than comparing.
constexpr std::uint64_t smallest_updated_bytes = std::uint64_t{64} << 10U;

CopyOptions copy_options_of(const SyncOptions& options) {
  CopyOptions copy = options.copy;
  copy.fsync = false;  // done here, once the attributes are set
  copy.inplace = options.inplace;
  copy.preallocate = options.preallocate;
  copy.verify = options.verify;
  copy.stop = options.stop;
  if (options.sparse) {
    copy.sparse = SparseMode::always;
  }
  return copy;
}

// Whether an error of FileCopier is about the source (see FileCopier::copy).
bool is_about_source(const Error& error) noexcept {
  const std::string_view operation = error.operation;
  return operation == "read" || operation == "pread" || operation == "lseek" || operation == "statx";
}

std::uint64_t device_of(const struct statx& status) noexcept {
  return makedev(status.stx_dev_major, status.stx_dev_minor);
}

bool is_changed(const struct statx& before, const struct statx& now) noexcept {
  return before.stx_size != now.stx_size || before.stx_mtime.tv_sec != now.stx_mtime.tv_sec ||
         before.stx_mtime.tv_nsec != now.stx_mtime.tv_nsec;
}

// Fills the buffer as far as the file goes; bytes, or -errno.
ssize_t read_fully(int fd, std::byte* buffer, std::size_t length, std::uint64_t offset) noexcept {
  std::size_t done = 0;
  while (done < length) {
    const ssize_t n = sys::pread(fd, buffer + done, length - done, static_cast<off_t>(offset + done));
    if (n < 0) {
      return n;
    }
    if (n == 0) {
      break;
    }
    done += static_cast<std::size_t>(n);
  }
  return static_cast<ssize_t>(done);
}

int write_fully(int fd, const std::byte* data, std::size_t length, std::uint64_t offset) noexcept {
  while (length > 0) {
    const ssize_t n = sys::pwrite(fd, data, length, static_cast<off_t>(offset));
    if (n <= 0) {
      return n < 0 ? static_cast<int>(-n) : ENOSPC;
    }
    data += n;
    length -= static_cast<std::size_t>(n);
    offset += static_cast<std::uint64_t>(n);
  }
  return 0;
}

// What is created in a directory: known without asking, but for ACLs and set-group-ID directories.
bool is_ordinary(SyncDirectory& directory) {
  if ((directory.destination_status.stx_mode & S_ISGID) != 0) {
    return false;
  }
  using DefaultAcl = SyncDirectory::DefaultAcl;
  if (directory.default_acl == DefaultAcl::unknown) {
    const bool has_one = sys::fgetxattr(directory.destination_fd(), "system.posix_acl_default", nullptr, 0) > 0;
    directory.default_acl = has_one ? DefaultAcl::present : DefaultAcl::absent;
  }
  return directory.default_acl == DefaultAcl::absent;
}

// Of the old file, when it was written into: that clears set-user-ID bits.
AttributeState state_after_writing(const SyncJob& job, const SyncEntry& entry) {
  return {.mode = entry.existing.stx_mode & 0777U,
          .uid = entry.existing.stx_uid,
          .gid = entry.existing.stx_gid,
          .wanted_mode = wanted_mode(job, entry.source, entry.existing.stx_mode),
          .may_have_attributes = true};
}

}  // namespace

FileWriter::FileWriter(SyncJob& job, Backups& backups)
    : job_(job), backups_(backups), copier_(copy_options_of(job.options)) {
  if (job.options.bandwidth_bytes_per_second != 0) {
    copier_.on_progress([this, last = std::uint64_t{0}](const CopyProgress& progress) mutable {
      job_.throttle(progress.bytes_done >= last ? progress.bytes_done - last : progress.bytes_done);
      last = progress.bytes_done;
    });
  }
}

std::optional<FileWriter::Written> FileWriter::fail(const SyncEntry& entry, const Error& error) {
  const bool is_source = is_about_source(error);
  SyncProblem problem = is_source ? SyncProblem::cannot_read_source : SyncProblem::cannot_write;
  if (std::string_view(error.operation) == "verify") {
    problem = SyncProblem::verify_failed;
  }
  if (error.errno_value() == ECANCELED) {
    (void)job_.stopped();  // which tells it
    return std::nullopt;
  }
  job_.fail(problem, error.errno_value(), error.operation, is_source ? entry.source_path() : entry.path);
  return std::nullopt;
}

bool FileWriter::open_source(const SyncEntry& entry, Source& source) {
  const int flags =
      O_RDONLY | O_NONBLOCK | (entry.follows ? 0 : O_NOFOLLOW) | (job_.options.open_noatime ? O_NOATIME : 0);
  source.fd.reset(
      job_.descriptors.open_within_budget([&] { return sys::openat(entry.source_dirfd(), entry.source_name, flags); }));
  if (!source.fd) {
    const int error = -source.fd.get();
    job_.fail(error == ENOENT ? SyncProblem::vanished : SyncProblem::cannot_open_source, error, "openat",
              entry.source_path());
    return false;
  }
  if (const int result = sys::statx(source.fd.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, source.status); result < 0) {
    job_.fail(SyncProblem::cannot_stat_source, -result, "statx", entry.source_path());
    return false;
  }
  if (!S_ISREG(source.status.stx_mode)) {
    job_.fail(SyncProblem::source_changed, EAGAIN, "openat", entry.source_path());
    return false;
  }
  return true;
}

int FileWriter::open_existing(const SyncEntry& entry, int flags, UniqueFd& fd) const {
  fd.reset(sys::openat(entry.directory.destination_fd(), entry.name, flags | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) {
    return -fd.get();
  }
  struct statx now = {};
  if (const int result = sys::statx(fd.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, now); result < 0) {
    return -result;
  }
  return identity_of(now) == identity_of(entry.existing) ? 0 : ESTALE;
}

std::optional<FileWriter::Written> FileWriter::write(const SyncEntry& entry) {
  Source source;
  if (!open_source(entry, source)) {
    return std::nullopt;
  }
  const bool has_old_file = entry.exists && S_ISREG(entry.existing.stx_mode);
  if (has_old_file && (job_.options.append || job_.options.append_verify)) {
    return append(entry, source);
  }
  if (has_old_file && job_.options.inplace) {
    return write_in_place(entry, source);
  }
  return replace(entry, source);
}

std::optional<FileWriter::Written> FileWriter::write_from(const SyncEntry& entry, int basis_dirfd,
                                                          const char* basis_name) {
  Source source;
  source.fd.reset(sys::openat(basis_dirfd, basis_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (!source.fd || sys::statx(source.fd.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, source.status) < 0 ||
      !S_ISREG(source.status.stx_mode)) {
    return write(entry);
  }
  if (job_.options.acls || job_.options.xattrs) {
    source.attributes.reset(
        sys::openat(entry.source_dirfd(), entry.source_name, O_PATH | (entry.follows ? 0 : O_NOFOLLOW)));
    if (!source.attributes) {
      const int error = -source.attributes.get();
      job_.fail(error == ENOENT ? SyncProblem::vanished : SyncProblem::cannot_open_source, error, "openat",
                entry.source_path());
      return std::nullopt;
    }
  }
  return replace(entry, source);
}

std::optional<FileWriter::Written> FileWriter::copy_all(const SyncEntry& entry, Source& source, int out,
                                                        std::uint64_t old_size) {
  const auto copied =
      copier_.copy(source.fd.get(), source.status, out, old_size, device_of(entry.directory.destination_status));
  if (!copied) {
    return fail(entry, copied.error());
  }
  if (copied->source_changed) {
    source.has_changed = true;
    job_.fail(SyncProblem::source_changed, EAGAIN, "copy", entry.source_path());
  }
  if (copied->bytes_copied <= small_file_bytes) {
    job_.throttle(copied->bytes_copied);  // larger ones were slowed as they went
  }
  return Written{.report = *copied, .literal_bytes = copied->bytes_copied};
}

// Sets the attributes of the new content and makes it durable, as far as asked for.
bool FileWriter::finish(const SyncEntry& entry, const Source& source, int out, const AttributeState& state) {
  struct statx wanted = entry.source;
  if (source.status.stx_ino == entry.source.stx_ino) {
    wanted.stx_mtime = source.status.stx_mtime;  // of the content that was copied
  }
  if (source.has_changed) {
    wanted.stx_mtime = {};  // a time that no file has by chance: the next run looks again
  }
  const MetadataTarget from =
      source.attributes ? MetadataTarget{source.attributes.get(), true} : MetadataTarget{source.fd.get(), false};
  (void)set_attributes(job_, from, wanted, {out, false}, state, entry.path);
  if (job_.options.fsync) {
    if (const int result = sys::fsync(out); result < 0) {
      job_.fail(SyncProblem::cannot_write, -result, "fsync", entry.path);
      return false;
    }
  }
  return true;
}

std::optional<FileWriter::Written> FileWriter::replace(const SyncEntry& entry, Source& source) {
  SyncDirectory& directory = entry.directory;
  const bool has_old_file = entry.exists && S_ISREG(entry.existing.stx_mode);
  const std::uint32_t mode = (has_old_file ? wanted_mode(job_, entry.source, entry.existing.stx_mode)
                                           : entry.source.stx_mode & permission_bits);
  Result<StagedFile> staged = StagedFile::create(directory.destination_fd(), entry.name, mode & 0777U);
  for (unsigned attempt = 0; !staged && job_.options.adaptive &&
                             (staged.error().errno_value() == EMFILE || staged.error().errno_value() == ENFILE) &&
                             job_.descriptors.make_room(attempt);
       ++attempt) {
    staged = StagedFile::create(directory.destination_fd(), entry.name, mode & 0777U);
  }
  if (!staged) {
    job_.fail(SyncProblem::cannot_create, staged.error().errno_value(), staged.error().operation, entry.path);
    return std::nullopt;
  }
  // The new file begins as one that shares all extents with the old one, where that is possible; then only what differs
  // is written.
  UniqueFd old;
  const bool shares = has_old_file && !job_.options.whole_file && source.status.stx_size >= smallest_updated_bytes &&
                      entry.existing.stx_size >= smallest_updated_bytes &&
                      job_.options.copy.reflink != ReflinkMode::never && open_existing(entry, O_RDONLY, old) == 0 &&
                      sys::ficlone(staged->fd(), old.get()) == 0;
  const std::optional<Written> written =
      shares ? update_blocks(entry, source, old.get(), staged->fd(), entry.existing.stx_size)
             : copy_all(entry, source, staged->fd(), 0);
  if (!written) {
    return std::nullopt;
  }
  AttributeState state{.mode = mode & 0777U & ~job_.umask_bits, .uid = job_.user, .gid = job_.group};
  if (!is_ordinary(directory)) {
    struct statx made = {};
    if (const int result = sys::statx(staged->fd(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, made); result < 0) {
      job_.fail(SyncProblem::cannot_create, -result, "statx", entry.path);
      return std::nullopt;
    }
    state = {.mode = made.stx_mode, .uid = made.stx_uid, .gid = made.stx_gid, .may_have_attributes = true};
  }
  state.wanted_mode = job_.options.permissions || has_old_file ? mode : state.mode & permission_bits;
  if (!finish(entry, source, staged->fd(), state)) {
    return std::nullopt;
  }
  if (entry.exists && job_.options.backup &&
      !backups_.make(directory.destination_fd(), directory.path, entry.name, /*keep_name=*/true)) {
    return std::nullopt;
  }
  const auto committed = staged->commit(entry.exists ? StagedFile::Existing::replace : StagedFile::Existing::keep);
  if (!committed) {
    job_.fail(SyncProblem::cannot_create, committed.error().errno_value(), committed.error().operation, entry.path);
    return std::nullopt;
  }
  directory.is_touched = true;
  return written;
}

std::optional<FileWriter::Written> FileWriter::write_in_place(const SyncEntry& entry, Source& source) {
  if (job_.options.backup) {
    // The old content has to be copied: what is written into is the file itself.
    job_.fail(SyncProblem::cannot_back_up, ENOTSUP, "backup", entry.path);
    return std::nullopt;
  }
  UniqueFd out;
  if (const int error = open_existing(entry, O_RDWR, out); error != 0) {
    job_.fail(SyncProblem::cannot_create, error, "openat", entry.path);
    return std::nullopt;
  }
  std::optional<Written> written;
  if (!job_.options.whole_file && source.status.stx_size >= smallest_updated_bytes) {
    written = update_blocks(entry, source, out.get(), out.get(), entry.existing.stx_size);
  } else {
    written = copy_all(entry, source, out.get(), entry.existing.stx_size);
  }
  if (!written) {
    return std::nullopt;
  }
  if (!finish(entry, source, out.get(), state_after_writing(job_, entry))) {
    return std::nullopt;
  }
  return written;
}

// Only what the source has beyond the old file's size is written. With append_verify the rest must be the same, or all
// is written anew.
std::optional<FileWriter::Written> FileWriter::append(const SyncEntry& entry, Source& source) {
  const std::uint64_t old_size = entry.existing.stx_size;
  if (job_.options.append_verify) {
    UniqueFd old;
    if (const int error = open_existing(entry, O_RDONLY, old); error != 0) {
      job_.fail(SyncProblem::cannot_create, error, "openat", entry.path);
      return std::nullopt;
    }
    std::uint64_t same = 0;
    left_.resize(compare_bytes);
    right_.resize(compare_bytes);
    while (same < old_size) {
      const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(compare_bytes, old_size - same));
      const ssize_t a = read_fully(source.fd.get(), left_.data(), piece, same);
      const ssize_t b = read_fully(old.get(), right_.data(), piece, same);
      if (a != static_cast<ssize_t>(piece) || a != b || std::memcmp(left_.data(), right_.data(), piece) != 0) {
        return replace(entry, source);
      }
      same += piece;
    }
  }
  UniqueFd out;
  if (const int error = open_existing(entry, O_WRONLY, out); error != 0) {
    job_.fail(SyncProblem::cannot_create, error, "openat", entry.path);
    return std::nullopt;
  }
  auto copied = copy_range(source.fd.get(), old_size, out.get(), old_size, source.status.stx_size - old_size,
                           copy_options_of(job_.options));
  if (!copied) {
    return fail(entry, copied.error());
  }
  copied->source_changed = note_change(entry, source);
  if (!finish(entry, source, out.get(), state_after_writing(job_, entry))) {
    return std::nullopt;
  }
  return Written{.report = *copied, .literal_bytes = copied->bytes_copied, .matched_bytes = old_size};
}

// Whether the source is another now than when it was opened; that is told.
bool FileWriter::note_change(const SyncEntry& entry, Source& source) {
  struct statx now = {};
  if (sys::statx(source.fd.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, now) < 0 || is_changed(source.status, now)) {
    source.has_changed = true;
    job_.fail(SyncProblem::source_changed, EAGAIN, "copy", entry.source_path());
  }
  return source.has_changed;
}

std::optional<FileWriter::Written> FileWriter::update_blocks(const SyncEntry& entry, Source& source, int old, int out,
                                                             std::uint64_t old_size) {
  const std::uint64_t size = source.status.stx_size;
  Written written;
  left_.resize(compare_bytes);
  right_.resize(compare_bytes);
  std::uint64_t offset = 0;
  while (offset < size) {
    if (job_.stopped()) {
      return std::nullopt;
    }
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(compare_bytes, size - offset));
    const ssize_t got = read_fully(source.fd.get(), left_.data(), wanted, offset);
    if (got < 0) {
      job_.fail(SyncProblem::cannot_read_source, static_cast<int>(-got), "pread", entry.source_path());
      return std::nullopt;
    }
    const auto piece = static_cast<std::size_t>(got);
    const ssize_t had = offset < old_size ? read_fully(old, right_.data(), piece, offset) : 0;
    if (had < 0) {
      job_.fail(SyncProblem::cannot_write, static_cast<int>(-had), "pread", entry.path);
      return std::nullopt;
    }
    const auto kept = static_cast<std::size_t>(had);
    for (std::size_t at = 0; at < piece;) {
      // A run of blocks that differ.
      std::size_t end = at;
      while (end < piece) {
        const std::size_t length = std::min(block_bytes, piece - end);
        if (end + length <= kept && std::memcmp(left_.data() + end, right_.data() + end, length) == 0) {
          break;
        }
        end += length;
      }
      if (end > at) {
        if (const int error = write_fully(out, left_.data() + at, end - at, offset + at); error != 0) {
          job_.fail(SyncProblem::cannot_write, error, "pwrite", entry.path);
          return std::nullopt;
        }
        written.literal_bytes += end - at;
        job_.throttle(end - at);
      }
      const std::size_t same = end < piece ? std::min(block_bytes, piece - end) : 0;
      written.matched_bytes += same;
      at = end + same;
    }
    offset += piece;
    if (piece < wanted) {
      break;  // the source became shorter
    }
  }
  if (offset != old_size) {
    if (const int result = sys::ftruncate(out, static_cast<off_t>(offset)); result < 0) {
      job_.fail(SyncProblem::cannot_write, -result, "ftruncate", entry.path);
      return std::nullopt;
    }
  }
  written.report.source_changed = note_change(entry, source);
  written.report.bytes_by_method[static_cast<std::size_t>(CopyMethod::read_write)] = written.literal_bytes;
  written.report.bytes_copied = written.literal_bytes;
  written.report.size_bytes = offset;
  return written;
}

std::optional<bool> FileWriter::has_same_content(const SyncEntry& entry, int dirfd, const char* name) {
  Source source;
  if (!open_source(entry, source)) {
    return std::nullopt;
  }
  const UniqueFd other(sys::openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (!other) {
    return false;  // it is written anew, which tells what is wrong with it
  }
  const std::uint64_t size = source.status.stx_size;
  left_.resize(compare_bytes);
  right_.resize(compare_bytes);
  for (std::uint64_t offset = 0; offset < size;) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(compare_bytes, size - offset));
    const ssize_t a = read_fully(source.fd.get(), left_.data(), piece, offset);
    if (a < 0) {
      job_.fail(SyncProblem::cannot_read_source, static_cast<int>(-a), "pread", entry.source_path());
      return std::nullopt;
    }
    const ssize_t b = read_fully(other.get(), right_.data(), piece, offset);
    if (a != b || a != static_cast<ssize_t>(piece) || std::memcmp(left_.data(), right_.data(), piece) != 0) {
      return false;
    }
    offset += piece;
    if (job_.stopped()) {
      return std::nullopt;
    }
  }
  return true;
}

}  // namespace ferry
