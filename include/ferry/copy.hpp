/// \file
/// Moving the bytes of files: between two open descriptors, or between two names, by the fastest method that
/// works for the pair of file systems, with an exact record of what was done.
///
/// Safe fallback is the heart of it: a method that the kernel or a file system refuses before it moved a byte
/// is replaced by the next; a failure after bytes moved is real and is reported. A result shorter than the
/// source is never a success.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string_view>

#include <ferry/base.hpp>

struct statx;  // <sys/stat.h>

namespace ferry {

/// How bytes are moved from one open file to another.
enum class CopyMethod : std::uint8_t {
  reflink,          ///< FICLONE / FICLONERANGE: extents become shared, no data is moved (ioctl_ficlone(2)).
  copy_file_range,  ///< In-kernel copy (copy_file_range(2)); not used before Linux 5.3, where it is unsafe.
  splice,           ///< Through a pipe (splice(2)).
  sendfile,         ///< In-kernel copy through the page cache (sendfile(2)).
  uring,            ///< io_uring: several chunks in flight, each read into a registered buffer and written from it.
  read_write,       ///< pread(2) and pwrite(2) with one chunk buffer. Always works.
};
inline constexpr std::size_t copy_method_count = 6;

/// "reflink", "copy_file_range", ... Static storage.
[[nodiscard]] std::string_view to_string(CopyMethod method) noexcept;
/// The inverse of to_string; empty for an unknown name.
[[nodiscard]] std::optional<CopyMethod> parse_copy_method(std::string_view name) noexcept;

/// A set of methods.
class CopyMethodSet {
 public:
  constexpr CopyMethodSet() noexcept = default;
  constexpr CopyMethodSet(CopyMethod only) noexcept { insert(only); }  // NOLINT(google-explicit-constructor)
  /// Every method.
  [[nodiscard]] static constexpr CopyMethodSet all() noexcept {
    CopyMethodSet set;
    set.bits_ = (1U << copy_method_count) - 1U;
    return set;
  }
  constexpr void insert(CopyMethod method) noexcept { bits_ |= bit(method); }
  constexpr void erase(CopyMethod method) noexcept { bits_ &= ~bit(method); }
  [[nodiscard]] constexpr bool contains(CopyMethod method) const noexcept { return (bits_ & bit(method)) != 0; }
  [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
  friend constexpr bool operator==(CopyMethodSet, CopyMethodSet) noexcept = default;

 private:
  [[nodiscard]] static constexpr unsigned bit(CopyMethod method) noexcept {
    return 1U << static_cast<unsigned>(method);
  }
  unsigned bits_ = 0;
};

/// Whether destination extents may be shared with the source.
enum class ReflinkMode : std::uint8_t {
  never,      ///< Bytes are really copied; copy_file_range is not used either, because it may share silently.
  automatic,  ///< Share where possible, else copy.
  always,     ///< Share or fail; a failure leaves no new destination behind.
};

/// What becomes of holes.
enum class SparseMode : std::uint8_t {
  never,      ///< Everything is written, zeros included.
  automatic,  ///< Holes of the source stay holes.
  always,     ///< Besides, aligned runs of zeros of 4 KiB or more become holes.
};

/// How far a copy has come. `bytes_total` is the size found at the start (0 when unknown).
struct CopyProgress {
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;
};

inline constexpr std::size_t min_copy_chunk_size_bytes = std::size_t{64} << 10U;
inline constexpr std::size_t default_copy_chunk_size_bytes = std::size_t{4} << 20U;
inline constexpr std::size_t max_copy_chunk_size_bytes = std::size_t{64} << 20U;
inline constexpr unsigned max_copy_queue_depth = 256;

/// Sets the process-wide chunk size of the read_write method, in bytes: 64 KiB to 64 MiB; ERANGE outside, and the
/// old value stays. Thread-safe; copies already running keep theirs.
[[nodiscard]] Result<void> set_copy_chunk_size(std::size_t bytes);
/// The process-wide chunk size in bytes; default_copy_chunk_size_bytes until set.
[[nodiscard]] std::size_t copy_chunk_size() noexcept;

struct CopyOptions {
  /// Methods that may be used. If none of the allowed ones works the copy fails with the last one's error.
  CopyMethodSet methods = CopyMethodSet::all();
  ReflinkMode reflink = ReflinkMode::automatic;
  SparseMode sparse = SparseMode::automatic;
  /// Bytes per chunk of the read_write and uring methods, 64 KiB to 64 MiB (ERANGE outside); 0: copy_chunk_size() if
  /// that was set, else a smaller size that was measured to be quicker.
  std::size_t chunk_size_bytes = 0;
  /// Files of at most this many bytes, and of at most small_file_bytes, are copied by one read and one write, where
  /// read_write is allowed.
  std::size_t one_read_bytes = std::size_t{256} << 10U;
  /// Chunks in flight at once of the uring method, 1 to 256 (ERANGE outside); 0: 8.
  unsigned queue_depth = 0;
  /// Read and write files over small_file_bytes past the page cache (O_DIRECT) on each side that can; by the uring
  /// method, which is then tried before all that move bytes. What is left of the last block goes through the cache.
  bool direct = false;
  /// With `direct`: poll the devices for completions (IOPOLL) instead of waiting for their interrupts, where both files
  /// lie on devices with queues for it. Elsewhere as without, and CopyReport::polling_refused_errno tells why.
  bool poll_devices = false;
  /// Most bytes of buffer this copy may hold (at least 64 KiB is used); 0: a share of what the cgroup and the machine
  /// have free. Smaller budgets mean smaller chunks.
  std::uint64_t memory_budget_bytes = 0;
  /// Reserve the destination's blocks first (fallocate(2)), so that ENOSPC comes before any byte is written.
  /// Ignored where the file system cannot, and for files with holes.
  bool preallocate = false;
  /// Make data and metadata durable (fsync(2)) before success is reported; for named copies, the directory too.
  bool fsync = false;
  /// Named copies: write into an existing destination instead of replacing it. Quicker for small files, but an
  /// error or a kill in the middle leaves it half written.
  bool inplace = false;
  /// After copying, compare XXH3-128 of source and destination, the latter re-read from storage where the page
  /// cache can be dropped; a reflink is verified by its shared extents. EIO on mismatch.
  bool verify = false;
  /// Called after each chunk, on the copying thread.
  std::function<void(const CopyProgress&)> on_progress = {};
  /// Stops the copy with ECANCELED within one chunk (50-100 ms at most on ordinary storage).
  std::stop_token stop = {};
};

/// What a copy did. Trivially copyable: keeping one costs no allocation.
struct CopyReport {
  /// Bytes moved (or shared) by each method, indexed by CopyMethod.
  std::array<std::uint64_t, copy_method_count> bytes_by_method = {};
  /// The errno with which each method was refused here; 0: not refused. (0-byte results of copy_file_range on
  /// synthetic files are recorded as ENODATA.)
  std::array<int, copy_method_count> refused_errno = {};
  /// Bytes of data moved by all methods; holes are not counted.
  std::uint64_t bytes_copied = 0;
  /// Bytes that went past the page cache on both sides (options.direct).
  std::uint64_t direct_bytes = 0;
  /// Bytes of these whose completions were polled for (options.poll_devices).
  std::uint64_t polled_bytes = 0;
  /// The errno with which polling was refused; 0: not refused. EOPNOTSUPP: a device has no queues for it, or a file no
  /// O_DIRECT.
  int polling_refused_errno = 0;
  /// Bytes of the result that are holes.
  std::uint64_t hole_bytes = 0;
  /// Size of the result in bytes.
  std::uint64_t size_bytes = 0;
  std::chrono::nanoseconds elapsed{0};
  /// The source's size, mtime or ctime changed between the beginning and the end of the copy.
  bool source_changed = false;
  /// options.verify was asked for and the contents were found equal.
  bool verified = false;

  /// The method that moved most bytes; empty if none moved any.
  [[nodiscard]] std::optional<CopyMethod> method() const noexcept;
  /// Adds the numbers of another report; `source_changed` is or-ed, `verified` and-ed.
  void merge(const CopyReport& other) noexcept;
};

/// Copies `length` bytes from `in` at `in_offset` to `out` at `out_offset`, whatever the file types; both
/// descriptors' own positions are unchanged when they are seekable. Stops early, with success and a smaller
/// `bytes_copied`, only at the end of the source. Holes are kept according to options.sparse. `in` and
/// `out` may be the same file if the ranges do not overlap (EINVAL if they do).
///
/// Errors: what the failing call said, with the range; EINVAL for negative or overflowing offsets; ECANCELED;
/// EBADF when `in` is not readable or `out` not writable. Thread-safe.
[[nodiscard]] Result<CopyReport> copy_range(int in, std::uint64_t in_offset, int out, std::uint64_t out_offset,
                                            std::uint64_t length, const CopyOptions& options = {});

/// One range of a copy_ranges() call, offsets and length in bytes.
struct CopyRange {
  int in = -1;
  std::uint64_t in_offset = 0;
  int out = -1;
  std::uint64_t out_offset = 0;
  std::uint64_t length = 0;
};

/// Copies many ranges. Neighbours in the list that continue one another in both files are merged into one
/// copy. The first failure ends it; the report tells what was moved by all before, through `report_on_error` if given.
[[nodiscard]] Result<CopyReport> copy_ranges(std::span<const CopyRange> ranges, const CopyOptions& options = {},
                                             CopyReport* report_on_error = nullptr);

/// Copies the contents of the regular file (or any readable file) `source` to the name `destination`, with
/// source's permission bits less the umask if the destination is new. An existing regular file is replaced
/// as a whole, keeping its mode, owner, ACLs and attributes: until the moment of success it holds its old
/// content, and on every error it keeps it. Written in place instead: with options.inplace, and where the inode
/// must stay: the destination is a symlink, has other hard links, is a mount point, or is no regular file.
///
/// Errors: EINVAL if both are the same file, EISDIR if either is a directory, and what the failing call said.
[[nodiscard]] Result<CopyReport> copy_file(const std::filesystem::path& source,
                                           const std::filesystem::path& destination, const CopyOptions& options = {});

/// As copy_file, with names relative to directory descriptors (AT_FDCWD allowed).
[[nodiscard]] Result<CopyReport> copy_file_at(int source_dirfd, const std::filesystem::path& source,
                                              int destination_dirfd, const std::filesystem::path& destination,
                                              const CopyOptions& options = {});

/// Copies whole open files one after the other: the state copy_file() would set up each time (buffer, pipe) is
/// kept. One per thread; not thread-safe. No allocation per file.
class FileCopier {
 public:
  /// Errors of the options (ERANGE chunk size) are reported by copy().
  explicit FileCopier(const CopyOptions& options);
  FileCopier(FileCopier&&) noexcept;
  FileCopier& operator=(FileCopier&&) noexcept;
  ~FileCopier();

  /// Copies all of `in` (positioned at 0, open for reading; `in_status` is its statx with at least
  /// STATX_BASIC_STATS) to `out`, a file open for writing whose size is `out_old_size` bytes and which is
  /// trimmed if it was longer. `out_device` is the destination's st_dev as makedev value. Does not sync.
  ///
  /// Cost for a file of at most small_file_bytes: one read and one write. The path in errors is empty:
  /// Error::operation says which side failed ("read", "pread", "lseek": source; others: destination).
  [[nodiscard]] Result<CopyReport> copy(int in, const struct ::statx& in_status, int out, std::uint64_t out_old_size,
                                        std::uint64_t out_device);

  /// Progress within large files, replacing options.on_progress.
  void on_progress(std::function<void(const CopyProgress&)> callback);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Files of at most this many bytes are copied by one read and one write (measured: docs/PERFORMANCE.md).
inline constexpr std::size_t small_file_bytes = std::size_t{256} << 10U;

/// Files of at most this many bytes can be overwritten safely (overwrite_page()): they fit into one page of every
/// machine's page cache.
inline constexpr std::size_t overwrite_page_bytes = 4096;

/// Writes the content of the regular file `in` into the regular file `out` (open for reading and writing) by a single
/// write(2) within one page: whatever happens, a kill included, `out` holds its old or its new content in full. Should
/// the write fail or fall short, the old content is put back. Five system calls, where replacing a file takes a new
/// inode and a rename. Readers that have the file open see the new content; a power cut leaves what the device makes of
/// one block. The positions of both descriptors are not used.
///
/// Empty, and nothing done, if that cannot be promised: `in` holds more than overwrite_page_bytes, is shorter than
/// `out` (it would have to be trimmed by a second call) or is changing; the file system of `out` is none of those whose
/// writes are known to be so (tmpfs, ext4, XFS, Btrfs, F2FS, overlayfs); or the options ask for what one write does not
/// give (fsync, verify, reflink always, sparse always, methods without read_write).
///
/// The path in errors is empty: Error::operation says which side failed ("pread": source; "pwrite": destination).
/// Thread-safe.
[[nodiscard]] Result<std::optional<CopyReport>> overwrite_page(int in, const struct ::statx& in_status, int out,
                                                               const struct ::statx& out_status,
                                                               const CopyOptions& options);

/// A new regular file that gets its name only when it is complete. The file is unnamed (O_TMPFILE) where the file
/// system can, else has a temporary name ".ferry-*.tmp" in the same directory; destroyed without commit() it is
/// gone. Not thread-safe.
class StagedFile {
 public:
  StagedFile(StagedFile&& other) noexcept;
  StagedFile& operator=(StagedFile&& other) noexcept;
  ~StagedFile();

  /// Begins a file to be called `name` (one component; must outlive this object) in the directory `dirfd` (must stay
  /// open). `mode`: permission bits, reduced by the umask. Errors: those of openat(2).
  [[nodiscard]] static Result<StagedFile> create(int dirfd, const char* name, std::uint32_t mode);
  /// As create(), for a directory that nobody else knows yet: the file has its name from the beginning, and loses it if
  /// it is not committed. Cheaper by one linkat(2). EEXIST if the name is taken.
  [[nodiscard]] static Result<StagedFile> create_unshared(int dirfd, const char* name, std::uint32_t mode);

  /// As create(), but with a temporary name in any case: temporary_name(), by which other processes can open it, too.
  [[nodiscard]] static Result<StagedFile> create_named(int dirfd, const char* name, std::uint32_t mode);

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// Empty for a file without one.
  [[nodiscard]] const char* temporary_name() const noexcept { return temporary_name_.data(); }

  enum class Existing : std::uint8_t {
    keep,     ///< The name must be free: EEXIST if it is not (nothing changed). One linkat(2).
    replace,  ///< Whatever non-directory has the name is replaced atomically (renameat2(2)).
  };
  /// Puts the file in place under its name. On error the name is as it was and the file is gone.
  [[nodiscard]] Result<void> commit(Existing existing);

 private:
  StagedFile() noexcept = default;
  void discard() noexcept;
  UniqueFd fd_;
  int dirfd_ = -1;
  const char* name_ = nullptr;
  std::array<char, 32> temporary_name_ = {};  // empty: unnamed, or named from the beginning
  bool has_final_name_ = false;
};

/// One file of a copy_files() call.
struct CopyPair {
  std::filesystem::path source;
  std::filesystem::path destination;
};

/// What carries out many copies at the same time.
enum class CopyEngine : std::uint8_t {
  automatic,  ///< The one that was measured to be quicker: threads (docs/PERFORMANCE.md).
  uring,      ///< One thread and an event loop on io_uring, many files in flight. ENOSYS or EPERM where it is refused.
  threads,    ///< A bounded number of workers, the calling thread among them.
};
/// "auto", "uring", "threads". Static storage.
[[nodiscard]] std::string_view to_string(CopyEngine engine) noexcept;
[[nodiscard]] std::optional<CopyEngine> parse_copy_engine(std::string_view name) noexcept;

struct CopyFilesOptions {
  /// For each file. `on_progress` is called by several threads at the same time. Between files and within large ones
  /// `stop` ends the call; what was not copied counts as failed, with ECANCELED.
  CopyOptions copy;
  CopyEngine engine = CopyEngine::automatic;
  /// threads: how many, 1 to 256; uring: files in flight, 1 to 256; 0: by the machine.
  unsigned workers = 0;
  /// Called once for each file, with its index, one call at a time, on any of the threads.
  std::function<void(std::size_t index, const Result<CopyReport>& report)> on_result = {};
};

struct CopyFilesReport {
  CopyReport total;                           ///< Of the files that were copied.
  std::size_t copied = 0;                     ///< Files.
  std::size_t failed = 0;                     ///< Files; each was told to on_result.
  std::optional<Error> first_error;           ///< Of a file that failed, if any.
  CopyEngine engine = CopyEngine::automatic;  ///< The one used.
};

/// Copies each pair as copy_file() would, in no particular order. A failure of one does not keep the others: success
/// means that all were tried, `failed` tells. No two destinations should be one file.
///
/// Cost: about what the system calls of the files cost, divided by the cores; threads are started only where there is
/// enough to do. Errors: EINVAL or ERANGE for the options, and with CopyEngine::uring those of Loop::create().
[[nodiscard]] Result<CopyFilesReport> copy_files(std::span<const CopyPair> pairs, const CopyFilesOptions& options = {});

/// Process-wide numbers since start or reset_copy_stats(), one slot per method. A snapshot; each number is exact,
/// the set is not taken atomically.
struct CopyStats {
  struct Method {
    std::uint64_t operations = 0;  ///< Successful calls.
    std::uint64_t bytes = 0;
    std::uint64_t fallbacks = 0;  ///< Times the method was refused and the next one took over.
  };
  std::array<Method, copy_method_count> by_method = {};
  std::uint64_t total_operations = 0;
  std::uint64_t total_bytes = 0;
  /// copy_file_range is usable in this kernel (5.3 or newer and not answered ENOSYS).
  bool kernel_copy_supported = false;
};
/// Thread-safe.
[[nodiscard]] CopyStats copy_stats() noexcept;
/// Thread-safe. Does not forget what is known about file systems.
void reset_copy_stats() noexcept;

}  // namespace ferry
