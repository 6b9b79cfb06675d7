// Keeping what is replaced or deleted: -b, --backup-dir, --suffix.
#pragma once

#include "sync/sync_directory.hpp"
#include "sync/sync_job.hpp"

namespace ferry {

// Thread-safe. Names below the roots are opened one by one, never through a symlink.
class Backups {
 public:
  // `destination_root`: open as long as this lives; relative backup directories are beneath it.
  Backups(SyncJob& job, int destination_root) noexcept : job_(job), destination_root_(destination_root) {}

  // Gives `name`, an entry of the open directory `dirfd` whose transfer path is `directory_path`, a backup.
  // `keep_name`: it is about to be replaced, and keeps its name until then where the file system can link it. Reports
  // failures.
  bool make(int dirfd, std::string_view directory_path, const char* name, bool keep_name);

  // Whether the name is that of a backup beside its file: these get none themselves.
  [[nodiscard]] bool is_backup_name(std::string_view name) const noexcept;

 private:
  [[nodiscard]] Result<UniqueFd> open_directory(std::string_view directory_path);
  [[nodiscard]] Result<UniqueFd> open_root();

  SyncJob& job_;
  int destination_root_;
};

}  // namespace ferry
