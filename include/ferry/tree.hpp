/// \file
/// Whole directory trees: walking them in parallel, and copying them with everything `cp` knows.
///
/// All work below the two roots is done relative to held directory descriptors, one name at a time, never following a
/// symlink that the tree contains: a tree that somebody rearranges while it is copied cannot redirect the copy.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include <ferry/base.hpp>
#include <ferry/copy.hpp>
#include <ferry/meta.hpp>

namespace ferry {

enum class FileType : std::uint8_t {
  unknown,
  regular,
  directory,
  symlink,
  fifo,
  socket,
  character_device,
  block_device,
};
[[nodiscard]] std::string_view to_string(FileType type) noexcept;

// ---------------------------------------------------------------------------------------------- walking

/// One entry met by walk(). Valid during the call of the visitor only.
struct WalkEntry {
  /// Path relative to the root, components joined by '/'. Raw bytes.
  std::string_view path;
  /// Last component of `path`; NUL-terminated in memory, so data() can be given to *at calls with `dirfd`.
  std::string_view name;
  FileType type = FileType::unknown;  ///< Never `unknown`: asked for where readdir does not tell.
  std::uint64_t inode = 0;            ///< As readdir reports it.
  std::uint32_t depth = 0;            ///< 0 for the root's own entries.
  int dirfd = -1;                     ///< The directory holding the entry, open for reading.
};

enum class WalkAction : std::uint8_t {
  descend,  ///< Go on; enter the entry if it is a directory.
  skip,     ///< Go on, but do not enter this directory.
  stop,     ///< End the walk.
};

struct WalkOptions {
  unsigned jobs =
      0;  ///< Threads at most, 1..256; 0: two for each core, 16 at most. 1: calls come in order of discovery.
  bool one_file_system = false;  ///< Do not enter directories on other file systems than the root's.
  /// Called for directories that cannot be read (from any worker); the walk goes on. Without it the first such error
  /// ends the walk.
  std::function<void(const Error&)> on_error = {};
  std::stop_token stop = {};  ///< ECANCELED
};

struct WalkReport {
  std::uint64_t entries = 0;
  std::uint64_t directories = 0;
  std::uint64_t errors = 0;
};

/// Calls `visit` for every entry below the directory `root` (not for the root itself), each exactly once, a directory
/// before its contents; otherwise in no order. `visit` is called from several threads at once unless jobs is 1.
/// Cost: one open, one statx and the getdents calls per directory, none per entry where readdir tells the type.
[[nodiscard]] Result<WalkReport> walk(const std::filesystem::path& root,
                                      const std::function<WalkAction(const WalkEntry&)>& visit,
                                      const WalkOptions& options = {});

// ---------------------------------------------------------------------------------------------- copying

enum class Dereference : std::uint8_t {
  never,         ///< -P: symlinks are copied as symlinks.
  command_line,  ///< -H: only the source named in the call is followed.
  always,        ///< -L: every symlink is followed. Loops are an error, not a hang.
};

/// What happens when a non-directory would go where there is one already.
enum class Overwrite : std::uint8_t {
  replace,   ///< It is replaced.
  if_older,  ///< -u: replaced only if its modification time is older than the source's.
  skip,      ///< --update=none, -n: kept silently (event `skipped`).
  fail,      ///< --update=none-fail: kept, and an error.
};

enum class Backup : std::uint8_t { none, simple, numbered, existing };

/// What is made of a source regular file.
enum class LinkMode : std::uint8_t { copy, hard_link, symbolic_link };

/// What went wrong with one entry, so that a program can word it.
enum class TreeProblem : std::uint8_t {
  cannot_stat_source,     ///< lstat/stat of the source failed.
  cannot_open_source,     ///< open for reading failed.
  cannot_read_source,     ///< read failed.
  cannot_read_directory,  ///< getdents failed.
  cannot_read_symlink,
  cannot_stat_destination,
  cannot_create_file,
  cannot_write_destination,
  cannot_copy_data,  ///< A call that moves bytes between the two failed (copy_file_range, splice, sendfile).
  cannot_create_directory,
  cannot_create_symlink,
  cannot_create_hard_link,
  cannot_create_special_file,
  cannot_remove_destination,
  cannot_back_up,
  cannot_sync,
  cannot_clone,  ///< --reflink=always and no reflink possible.
  cannot_preserve_owner,
  cannot_preserve_mode,
  cannot_preserve_times,
  cannot_preserve_xattrs,
  cannot_preserve_acls,
  cannot_preserve_inode_flags,
  directory_omitted,  ///< Source is a directory and `recursive` is off.
  same_file,          ///< Source and destination are one file.
  overwrite_directory_with_non_directory,
  overwrite_non_directory_with_directory,
  into_itself,                   ///< A directory would be copied into itself.
  directory_loop,                ///< A directory contains itself (bind mount or followed symlink).
  just_created,                  ///< The destination was created from another source in this same job.
  dangling_symlink_destination,  ///< Would write through a symlink to nothing.
  symlink_leads_outside,         ///< An in-tree destination symlink that leaves the destination root.
  backup_would_destroy_source,
  relative_symlink_elsewhere,  ///< LinkMode::symbolic_link: a relative name would lead nowhere in this directory.
  destination_exists,          ///< Overwrite::fail
  source_changed,              ///< Copied, but the source changed meanwhile.
  verify_failed,
  canceled,
  other,
};

/// A source and the exact name its copy gets.
struct TreeOperand {
  std::string source;
  std::string destination;
};

/// One failed entry.
struct TreeError {
  TreeProblem problem = TreeProblem::other;
  Error error;
  std::string source;       ///< Path as composed from the call's source argument.
  std::string destination;  ///< Path as composed from the call's destination argument.
  TreeOperand operand;      ///< The arguments of copy() that the entry belongs to.
};

enum class TreeEventKind : std::uint8_t {
  copied,  ///< Bytes were copied; `report` says how.
  directory_created,
  directory_merged,  ///< The destination directory was there already.
  symlink_created,
  hard_link_created,  ///< As a further name of a file copied before, or by LinkMode::hard_link.
  special_created,
  attributes_copied,  ///< attributes_only
  skipped,            ///< Kept the destination, by options.overwrite or by the choice of on_overwrite.
  removed,            ///< The old destination was removed (remove_destination).
};

/// One entry done. Valid during the call only.
struct TreeEvent {
  TreeEventKind kind = TreeEventKind::copied;
  std::string_view source;
  std::string_view destination;
  std::string_view backup;             ///< Path the old destination was renamed to; empty if none.
  const CopyReport* report = nullptr;  ///< For `copied`.
};

struct TreeProgress {
  std::uint64_t bytes_done = 0;
  std::uint64_t entries_done = 0;
  /// Found so far; grows while the tree is read. Final if `walk_complete`, which TreeCopier itself never says, as it
  /// copies while it reads: it is for who has counted beforehand.
  std::uint64_t bytes_found = 0;
  std::uint64_t entries_found = 0;
  bool walk_complete = false;
};

/// The other processes of a copy that several do together: src/mpi.
class TreePartners;

struct TreeOptions {
  bool recursive = true;
  Dereference dereference = Dereference::never;
  bool one_file_system = false;
  MetadataSelection preserve = {};
  bool preserve_hard_links = false;
  /// Attributes unsupported by the destination: an error (`cp --preserve=xattr`) or not (`cp -a`).
  UnsupportedAttributes unsupported_attributes = UnsupportedAttributes::ignore;
  /// --no-preserve=mode: new files get the default mode, not the source's.
  bool default_mode = false;
  Overwrite overwrite = Overwrite::replace;
  /// -i: asked (serialized) before a non-directory is replaced; false keeps it. `destination_mode` is its st_mode.
  std::function<bool(std::string_view destination, std::uint32_t destination_mode)> on_overwrite = {};
  bool force = false;               ///< -f: remove an unwritable destination and try again.
  bool remove_destination = false;  ///< Remove an existing destination before creating the new one.
  Backup backup = Backup::none;
  std::string backup_suffix = "~";
  LinkMode link_mode = LinkMode::copy;
  bool attributes_only = false;
  bool copy_contents = false;           ///< Read fifos and devices as if they were regular files.
  bool keep_directory_symlink = false;  ///< Follow destination symlinks to directories (inside the destination root).
  /// Set when copy() will be called for sources whose destinations may coincide (`cp -r a/x b/x dir`): each created
  /// name is remembered (about 64 bytes), so that none is overwritten by a later source (TreeProblem::just_created).
  /// The destinations of the sources themselves are always remembered.
  bool destinations_may_collide = false;
  bool dry_run = false;  ///< Change nothing; events tell what would be done.
  /// Methods, sparse, reflink, chunk size, fsync (batched at the end of the job), inplace, verify, stop.
  /// on_progress is not used: see below.
  CopyOptions copy = {};
  unsigned jobs = 0;  ///< Threads at most, 1..256; 0: two for each core, 16 at most.
  /// Descriptors this job may hold at most; 0: RLIMIT_NOFILE less what is open. EMFILE lowers it, never fails the job.
  unsigned descriptor_budget = 0;
  /// Called for each entry done / failed, serialized (never two at once), from any worker. Building the paths costs:
  /// leave empty if not needed.
  std::function<void(const TreeEvent&)> on_event = {};
  std::function<void(const TreeError&)> on_error = {};
  /// Shares the work with other processes, which see the same files; must outlive the copier. Null: this one does it
  /// all. Set by src/mpi.
  TreePartners* partners = nullptr;
};

struct TreeReport {
  CopyReport data;  ///< Sum over all files.
  std::uint64_t regular_files = 0;
  std::uint64_t directories = 0;
  std::uint64_t symlinks = 0;
  std::uint64_t hard_links = 0;
  std::uint64_t special_files = 0;
  std::uint64_t skipped = 0;
  std::uint64_t errors = 0;
  std::chrono::nanoseconds elapsed{0};

  /// Adds the numbers of another report; `elapsed` stays.
  void merge(const TreeReport& other) noexcept;
};

/// Copies trees, one job after the other, remembering between calls what `cp` remembers between its operands: hard
/// links, and which destinations this job created. copy() may not be called concurrently; progress() may be called any
/// time from any thread.
class TreeCopier {
 public:
  explicit TreeCopier(TreeOptions options);
  TreeCopier(TreeCopier&&) noexcept;
  TreeCopier& operator=(TreeCopier&&) noexcept;
  ~TreeCopier();

  /// Makes `destination` (the exact name, not a directory to put it in) a copy of `source`. An existing directory is
  /// merged into. Entries that fail are reported through on_error and counted; the rest is done. Returns the first
  /// failure, if any.
  [[nodiscard]] Result<void> copy(const std::filesystem::path& source, const std::filesystem::path& destination);
  /// As copy() for each of the operands, several at a time. Cheaper than one call each: a directory that many of them
  /// go into is opened once. Operands with equal destinations are copied one after the other, so that the first keeps
  /// the name.
  [[nodiscard]] Result<void> copy(std::span<const TreeOperand> operands);
  /// As copy() for one directory alone, without its contents: for `cp --parents`. The directory is created if missing,
  /// with the mode of `source`.
  [[nodiscard]] Result<void> copy_directory_only(const std::filesystem::path& source,
                                                 const std::filesystem::path& destination);
  /// With options.partners, in place of copy(): works on what they give, until they end the job.
  void serve_partners();
  /// Ends the job: with options.copy.fsync makes everything durable (grouped: syncfs where that is less work).
  [[nodiscard]] Result<void> finish();

  /// Sums over all copy() calls so far.
  [[nodiscard]] TreeReport report() const;
  [[nodiscard]] TreeProgress progress() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Copies `source` to the exact name `destination` and finishes. The first failed entry's error is returned, after
/// everything else was done; use TreeCopier to learn of each. Errors: see TreeProblem; ECANCELED.
[[nodiscard]] Result<TreeReport> copy_tree(const std::filesystem::path& source,
                                           const std::filesystem::path& destination, const TreeOptions& options = {});

}  // namespace ferry
