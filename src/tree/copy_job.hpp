// What all workers of a copy share: the options, the descriptors, what was created so far, the numbers and the
// callbacks.
#pragma once

#include <ferry/tree.hpp>

#include "tree/directory.hpp"
#include "tree/hard_links.hpp"

#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

namespace ferry {

// One entry to be copied: its directory and its names there. For an operand (the source given to copy()) the directory
// is the job's anchor, `source` may be a whole path, and symlinks on the way are the user's own.
struct CopyEntry {
  Directory& directory;
  const char* source = "";
  const char* destination = "";
  bool is_operand = false;
  const struct statx* source_status = nullptr;  // as found for an operand; null: not asked for yet

  [[nodiscard]] std::string source_path() const;
  [[nodiscard]] std::string destination_path() const;
};

// Names and directories that this job created. Thread-safe.
class Created {
 public:
  void add_name(const Directory& directory, const char* name);
  [[nodiscard]] bool has_name(const Directory& directory, const char* name) const;
  // Roots of destination trees: a source directory that is one of them would be copied into itself.
  void add_root(InodeIdentity identity);
  [[nodiscard]] bool is_root(InodeIdentity identity) const;

 private:
  struct Hash {
    std::size_t operator()(const InodeIdentity& id) const noexcept {
      return id.inode * 0x9E3779B97F4A7C15U ^ id.device;
    }
  };
  mutable std::mutex mutex_;
  std::unordered_set<std::string> names_;  // device, inode and name of each
  std::unordered_set<InodeIdentity, Hash> roots_;
  std::atomic<bool> has_roots_ = false;
};

// What a newly created file looks like before anything is set: learnt from the first of each kind, so that the others
// need no question. Valid for one file system and directories without default ACLs and set-group-ID bits. Thread-safe.
class CreationDefaults {
 public:
  // What a file created with `requested` permission bits on `device` has; empty: not known yet.
  [[nodiscard]] std::optional<MetadataState> find(std::uint64_t device, std::uint32_t requested) const noexcept;
  void learn(std::uint64_t device, std::uint32_t requested, const struct statx& created) noexcept;

 private:
  std::atomic<std::uint64_t> device_ = 0;
  std::atomic<bool> has_owner_ = false;
  std::atomic<std::uint32_t> uid_ = 0;
  std::atomic<std::uint32_t> gid_ = 0;
  static constexpr std::uint16_t unknown = 0;
  std::array<std::atomic<std::uint16_t>, 01000> modes_ = {};  // created mode + 1
};

TreeProblem problem_of(MetadataPart part) noexcept;

struct CopyJob {
  explicit CopyJob(TreeOptions tree_options, unsigned workers);

  const TreeOptions options;
  Descriptors descriptors;
  HardLinks hard_links;
  Created created;
  CreationDefaults creation_defaults;
  const std::uint32_t effective_uid;
  const std::uint32_t effective_gid;
  [[nodiscard]] bool is_root() const noexcept { return effective_uid == 0; }  // permission bits need not be asked about

  // Whether a new entry's mode is set after its owner: until then nobody else is to get in.
  [[nodiscard]] bool owner_may_change(const struct statx& source) const noexcept {
    return options.preserve.owner && options.preserve.mode &&
           (source.stx_uid != effective_uid || source.stx_gid != effective_gid);
  }

  // Progress, for progress().
  std::atomic<std::uint64_t> bytes_done = 0;
  std::atomic<std::uint64_t> bytes_found = 0;
  std::atomic<std::uint64_t> entries_done = 0;
  std::atomic<std::uint64_t> entries_found = 0;

  [[nodiscard]] bool stopped() const noexcept { return options.copy.stop.stop_requested(); }

  // Reports a failed entry. `error` without a path gets the one of the side that `problem` is about.
  void fail_entry(TreeProblem problem, Error error, const CopyEntry& entry);
  void fail_directory(TreeProblem problem, Error error, const Directory& directory);
  void fail_entry(TreeProblem problem, int error, const char* operation, const CopyEntry& entry);
  void event(TreeEventKind kind, const CopyEntry& entry, const CopyReport* report = nullptr,
             std::string_view backup = {});
  void event(TreeEventKind kind, const std::string& source, const std::string& destination);
  [[nodiscard]] bool ask_overwrite(const CopyEntry& entry, std::uint32_t mode);

  [[nodiscard]] std::uint64_t errors() const;
  // The first failure since the last call.
  [[nodiscard]] std::optional<Error> take_first_error();

  // Durability (options.copy.fsync): the first few files are synced one by one, more of them by file system at the end.
  [[nodiscard]] bool sync_now(int fd_on_same_file_system, std::uint64_t device);
  [[nodiscard]] Result<void> sync_rest();

 private:
  void report(TreeError error);

  mutable std::mutex mutex_;  // callbacks, errors and the file systems to be synced
  std::uint64_t errors_ = 0;
  std::optional<Error> first_error_;
  std::uint64_t synced_ = 0;
  struct FileSystem {
    std::uint64_t device;
    UniqueFd fd;
  };
  std::vector<FileSystem> unsynced_;
};

}  // namespace ferry
