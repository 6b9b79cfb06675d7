/// \file
/// Making one tree like another, as `rsync` does between two places of one machine: only what differs is touched, and
/// the options have rsync 3.5's meaning.
///
/// Below the roots everything is done relative to held directory descriptors, one name at a time, never following a
/// symlink that somebody could have put there: what is copied, and above all what is deleted, is inside the two trees.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <ferry/base.hpp>
#include <ferry/copy.hpp>
#include <ferry/tree.hpp>

namespace ferry {

// ---------------------------------------------------------------------------------------------- options

/// One --filter, --include, --exclude, ... argument. Their order decides: the first rule that matches is taken.
struct FilterArgument {
  enum class Kind : std::uint8_t {
    rule,          ///< -f RULE: `text` is any rule ("- *.o", ": .rsync-filter", "merge FILE").
    exclude,       ///< --exclude=PATTERN
    include,       ///< --include=PATTERN
    exclude_from,  ///< --exclude-from=FILE: `text` names the file, "-" is standard input.
    include_from,  ///< --include-from=FILE
    cvs_exclude,   ///< -C; `text` is empty.
  };
  Kind kind = Kind::rule;
  std::string text;
  bool nul_separated = false;  ///< -0: the entries of the file that `text` names end with NUL instead of a newline.
};

enum class DeleteMode : std::uint8_t {
  none,
  before,  ///< All deletions, then the copies.
  during,  ///< Each directory's before its copies.
  delay,   ///< Found during, done after all copies.
  after,   ///< Found and done after all copies.
};

/// What is done with a symlink in the source.
enum class SymlinkMode : std::uint8_t {
  skip,         ///< Neither -l nor -L: told as skipped_non_regular.
  keep,         ///< -l
  dereference,  ///< -L
  copy_unsafe,  ///< -l --copy-unsafe-links: what leads out of the tree is copied as what it leads to.
  skip_unsafe,  ///< -l --safe-links: what leads out of the tree is ignored.
  only_unsafe,  ///< --copy-unsafe-links without -l: the others are skipped.
};

/// --compare-dest, --copy-dest, --link-dest, --reflink-dest: another tree in which an unchanged file may be found.
struct BasisDirectory {
  enum class Kind : std::uint8_t {
    compare,  ///< A file that is there needs no copy at all.
    copy,     ///< It is copied from there.
    link,     ///< It is hard-linked from there.
    reflink,  ///< It is copied from there by sharing its extents; of a changed file the changed blocks are rewritten.
  };
  Kind kind = Kind::compare;
  std::filesystem::path path;  ///< Relative ones are relative to the destination directory.
};

struct SyncOptions {
  // -------- what is copied
  bool recursive = false;  ///< -r
  bool dirs = false;       ///< -d: directories without their contents.
  SymlinkMode symlinks = SymlinkMode::skip;
  bool copy_dirlinks = false;                    ///< -k: symlinks to directories are taken as directories.
  bool keep_dirlinks = false;                    ///< -K: a symlink to a directory in the destination stays one.
  bool devices = false;                          ///< --devices
  bool specials = false;                         ///< --specials
  bool one_file_system = false;                  ///< -x
  bool one_file_system_no_mount_points = false;  ///< -xx: mount points themselves are left out too.
  bool prune_empty_dirs = false;                 ///< -m
  std::optional<std::uint64_t> min_size_bytes;
  std::optional<std::uint64_t> max_size_bytes;
  std::vector<FilterArgument> filters;
  /// --files-from: names relative to the (one) source; implies relative and dirs where the command says so.
  std::optional<std::vector<std::string>> files;
  bool relative = false;     ///< -R
  bool implied_dirs = true;  ///< --no-implied-dirs
  bool mkpath = false;       ///< --mkpath
  bool remove_source_files = false;

  // -------- what counts as changed
  bool checksum = false;      ///< -c: contents are compared instead of size and time.
  bool ignore_times = false;  ///< -I
  bool size_only = false;     ///< --size-only
  /// -@: times differ if more than so many seconds apart; negative: nanoseconds count too.
  std::int64_t modify_window_seconds = 0;
  bool update = false;           ///< -u: files that are newer in the destination are kept.
  bool existing = false;         ///< --existing: nothing new is made.
  bool ignore_existing = false;  ///< --ignore-existing: nothing old is changed.

  // -------- what is kept of it
  bool hard_links = false;     ///< -H
  bool permissions = false;    ///< -p
  bool executability = false;  ///< -E
  bool acls = false;           ///< -A
  bool xattrs = false;         ///< -X
  bool owner = false;          ///< -o
  bool group = false;          ///< -g
  bool times = false;          ///< -t
  bool atimes = false;         ///< -U
  bool open_noatime = false;
  bool crtimes = false;          ///< -N: refused (ENOTSUP): Linux cannot set a birth time.
  bool omit_dir_times = false;   ///< -O
  bool omit_link_times = false;  ///< -J
  /// --chmod: the mode that a source of that type is taken to have. Empty: as it is. Called by several threads.
  std::function<std::uint32_t(std::uint32_t mode, bool is_directory)> change_mode = {};
  /// --usermap, --groupmap, --chown: the id that is given instead. Empty: the same. Called by several threads.
  std::function<std::uint32_t(std::uint32_t uid)> map_user = {};
  std::function<std::uint32_t(std::uint32_t gid)> map_group = {};

  // -------- deleting
  DeleteMode delete_mode = DeleteMode::none;
  bool delete_excluded = false;
  std::optional<std::uint64_t> max_delete;
  bool ignore_errors = false;  ///< Delete even after read errors.
  bool force = false;          ///< Directories that are not empty make way for files, without a delete mode too.

  // -------- how it is written
  bool dry_run = false;    ///< -n
  bool whole_file = true;  ///< -W; false (--no-whole-file): large files are updated by the blocks that changed.
  bool inplace = false;
  bool append = false;
  bool append_verify = false;
  bool preallocate = false;
  bool sparse = false;  ///< -S
  bool fsync = false;
  bool verify = false;               ///< Compare each copy with its source afterwards.
  bool backup = false;               ///< -b
  std::filesystem::path backup_dir;  ///< Relative ones are relative to the destination directory.
  std::string backup_suffix;         ///< Empty: "~", or nothing with backup_dir.
  std::filesystem::path temp_dir;    ///< Relative ones are relative to the destination directory.
  bool partial = false;
  std::filesystem::path partial_dir;
  bool delay_updates = false;
  std::vector<BasisDirectory> basis;                             ///< Tried in this order, at most 20, all of one kind.
  std::uint64_t bandwidth_bytes_per_second = 0;                  ///< --bwlimit; 0: none.
  std::optional<std::chrono::system_clock::time_point> stop_at;  ///< --stop-after, --stop-at: exit code 30.
  std::chrono::seconds timeout{0};  ///< --timeout: nothing moved for so long; exit code 30. 0: none.
  /// Methods, reflink mode, chunk size, queue depth of the copies. sparse, inplace, fsync, preallocate, verify in here
  /// are set from the fields above.
  CopyOptions copy;

  // -------- the run
  unsigned jobs = 0;               ///< Threads at most, 1..256; 0: by the machine.
  unsigned descriptor_budget = 0;  ///< 0: RLIMIT_NOFILE.
  bool adaptive = true;            ///< --no-adaptive-concurrency: EMFILE and ENOMEM fail an entry at once.
  std::filesystem::path journal;   ///< --resume, --retry-failed; empty: none.
  bool retry_failed_only = false;  ///< --retry-failed
  std::stop_token stop = {};

  /// Events and errors come one at a time, from any worker, in no particular order.
  std::function<void(const struct SyncEvent&)> on_event = {};
  std::function<void(const struct SyncError&)> on_error = {};
  bool report_unchanged = false;  ///< -ii: events for what is as it should be, too.
};

// ---------------------------------------------------------------------------------------------- what happened

/// What was (or with dry_run: would be) done with an entry.
enum class SyncAction : std::uint8_t {
  none,                 ///< Nothing but attributes at most: rsync's '.'.
  transferred,          ///< A file's data was written: '>'.
  created,              ///< A directory, symlink, device or special file was made or changed: 'c'.
  hard_linked,          ///< 'h': to `link_target`.
  deleted,              ///< '*deleting'
  source_removed,       ///< --remove-source-files
  skipped_non_regular,  ///< "skipping non-regular file"
  skipped_directory,    ///< "skipping directory": neither -r nor -d.
  skipped_existing,     ///< --ignore-existing ("exists")
  skipped_newer,        ///< -u ("is newer")
  skipped_missing,      ///< --existing ("not creating new ...")
  skipped_size,         ///< --min-size, --max-size ("is under min-size" / "over max-size")
  skipped_unsafe_link,  ///< --safe-links ("ignoring unsafe symlink")
  created_root,         ///< "created directory DESTINATION"
};

/// Which attributes differed, in the order of rsync's %i. A set of bits.
enum class SyncChange : std::uint16_t {
  content = 1U << 0U,   ///< c: different checksum (-c), or a changed symlink or device value.
  size = 1U << 1U,      ///< s
  time = 1U << 2U,      ///< t
  time_now = 1U << 3U,  ///< T: the time is set to the time of the transfer (no -t), or a symlink's cannot be set.
  mode = 1U << 4U,      ///< p
  owner = 1U << 5U,     ///< o
  group = 1U << 6U,     ///< g
  atime = 1U << 7U,     ///< u
  acl = 1U << 8U,       ///< a
  xattr = 1U << 9U,     ///< x
};

/// One entry. Valid during the call only.
struct SyncEvent {
  SyncAction action = SyncAction::none;
  FileType type = FileType::unknown;
  bool is_new = false;           ///< It was not there before: '+' for every attribute.
  std::uint16_t changes = 0;     ///< SyncChange bits.
  std::string_view path;         ///< As rsync's %n without the slash of directories: relative to the destination root.
  std::string_view link_target;  ///< A symlink's, or of what name it is a hard link.
  std::string_view source_path;  ///< As found, for people. Empty for deletions.
  std::uint64_t size_bytes = 0;
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int64_t mtime_seconds = 0;
  std::uint64_t bytes_written = 0;     ///< Of data.
  const CopyReport* report = nullptr;  ///< How the data was moved; for transferred files.

  [[nodiscard]] bool has(SyncChange change) const noexcept {
    return (changes & static_cast<std::uint16_t>(change)) != 0;
  }
};

/// What went wrong with one entry, so that a program can word it.
enum class SyncProblem : std::uint8_t {
  cannot_stat_source,       ///< 23. "link_stat ... failed"
  cannot_read_directory,    ///< 23, and no deletion from then on.
  cannot_open_source,       ///< 23
  cannot_read_source,       ///< 23
  vanished,                 ///< 24. "file has vanished"
  source_changed,           ///< 23. It changed while it was copied.
  cannot_create,            ///< 23: file, directory, symlink, device
  cannot_write,             ///< 23
  cannot_set_attributes,    ///< 23
  cannot_delete,            ///< 23
  cannot_delete_not_empty,  ///< No error for rsync: "cannot delete non-empty directory"
  cannot_back_up,           ///< 23
  cannot_link,              ///< 23
  cannot_remove_source,     ///< 23
  deletion_skipped,         ///< 23, from the read error: "IO error encountered -- skipping file deletion"
  deletion_limit,           ///< 25. "Deletions stopped due to --max-delete limit"; told once.
  verify_failed,            ///< 23
  filter_file,              ///< 23: a per-directory filter file could not be read or has a wrong rule.
  stopped,                  ///< 30: stop_at or timeout; 20: options.stop
};

struct SyncError {
  SyncProblem problem = SyncProblem::cannot_create;
  Error error;  ///< path: as for people, the source's or the destination's.
};

/// rsync's exit codes.
enum class SyncExit : std::uint8_t {
  success = 0,
  syntax = 1,
  file_selection = 3,
  unsupported = 4,
  file_io = 11,
  interrupted = 20,
  partial = 23,
  vanished = 24,
  deletion_limit = 25,
  timeout = 30,
};

/// Why nothing was begun.
struct SyncFailure {
  SyncExit exit = SyncExit::syntax;
  Error error;
};

struct SyncReport {
  /// Counts by kind.
  struct Counts {
    std::uint64_t regular = 0;
    std::uint64_t directories = 0;
    std::uint64_t symlinks = 0;
    std::uint64_t devices = 0;
    std::uint64_t specials = 0;
    [[nodiscard]] std::uint64_t total() const noexcept { return regular + directories + symlinks + devices + specials; }
  };
  Counts found;    ///< "Number of files"
  Counts created;  ///< "Number of created files"
  Counts deleted;  ///< "Number of deleted files"
  std::uint64_t transferred_files = 0;
  std::uint64_t total_size_bytes = 0;        ///< Of the regular files and symlinks found.
  std::uint64_t transferred_size_bytes = 0;  ///< Sizes of the files transferred.
  std::uint64_t literal_bytes = 0;           ///< Data written.
  std::uint64_t matched_bytes = 0;           ///< Data of those files that was there already.
  std::uint64_t deletions_skipped = 0;       ///< Over max_delete.
  std::uint64_t errors = 0;
  CopyReport data;
  SyncExit exit = SyncExit::success;
  std::chrono::nanoseconds elapsed{0};
};

/// Makes `destination` hold what the sources name, with rsync's rules: a source "dir/" (or "dir/.") stands for the
/// contents of the directory, "dir" for the directory; of an entry that several sources have, the first one's is taken.
/// If `destination` is no directory and there is one source that is no directory, it is the new file's name.
///
/// Entries that fail are told through on_error and counted, and the rest is done: the report's `exit` tells. Errors:
/// what keeps it from beginning at all (bad or unsupported options, a destination that cannot be made).
[[nodiscard]] std::expected<SyncReport, SyncFailure> sync_trees(std::span<const std::string> sources,
                                                                const std::string& destination,
                                                                const SyncOptions& options);

/// Reads the names of --files-from: one a line (comments '#' and ';' and empty lines left out), or NUL-separated and
/// taken as they are. "-" is standard input. "..", and leading and doubled slashes, are cleaned as rsync does.
[[nodiscard]] Result<std::vector<std::string>> read_file_list(const std::filesystem::path& file, bool nul_separated);

}  // namespace ferry
