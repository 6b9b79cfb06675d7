// Deleting what the sources do not have: by the descriptor of the directory that holds it, never through a symlink.
#pragma once

#include "sync/backups.hpp"
#include "sync/sync_directory.hpp"
#include "sync/sync_job.hpp"

#include <memory>
#include <string>
#include <vector>

namespace ferry {

// Adds one entry of that type.
// Whether rmdir(2) would find the directory not empty.
bool holds_something(int dirfd, const char* name);

void count_entry(SyncReport::Counts& counts, FileType type) noexcept;

// One per worker; not thread-safe.
class Remover {
 public:
  Remover(SyncJob& job, Backups& backups) noexcept : job_(job), backups_(backups) {}

  // Deletes `name` of the pinned directory, with all below it that no filter rule protects. `recursive`: else a
  // directory must be empty. True if it is gone (or would be: dry run).
  bool remove(SyncDirectory& directory, const char* name, FileType type, bool recursive);
  // The same for what is in the way of an entry of another type, which itself is no deletion: it is neither told nor
  // counted, but what it held is.
  bool make_way(SyncDirectory& directory, const char* name, FileType type, bool recursive);

  [[nodiscard]] const SyncReport::Counts& deleted() const noexcept { return deleted_; }

 private:
  struct Found {
    std::string name;
    FileType type = FileType::unknown;
  };
  struct Level {
    UniqueFd fd;
    InodeIdentity identity;
    std::string name;
    std::string path;
    std::vector<Found> entries;
    std::shared_ptr<const FilterRules> rules;
    bool keeps_something = false;
  };
  [[nodiscard]] bool is_deletion(std::string_view path) const noexcept { return path != made_way_; }
  bool remove_file(int dirfd, std::string_view directory_path, const char* name, FileType type);
  bool remove_empty_directory(int dirfd, const char* name, const std::string& path, bool keeps_something);
  bool enter(int dirfd, const char* name, std::string path, const std::shared_ptr<const FilterRules>& rules,
             std::vector<Level>& levels);
  bool read(Level& level);
  bool return_to(std::vector<Level>& levels);
  static void note_touched(SyncDirectory& directory, bool is_gone) noexcept;
  void note(FileType type, std::string_view path);

  SyncJob& job_;
  Backups& backups_;
  SyncReport::Counts deleted_;
  std::string made_way_;  // path of what is not told
};

}  // namespace ferry
