// One entry of a directory that is being synced.
#pragma once

#include <sys/stat.h>

#include <string>

#include "sync/sync_directory.hpp"

namespace ferry {

struct SyncEntry {  // NOLINT(*-member-init)
  SyncDirectory& directory;
  const char* name;  // in the destination
  std::string path;  // as events tell it
  const Directory* source_directory = nullptr;
  const char* source_name = nullptr;
  bool follows = false;        // the source may be a symlink, and stands for what it leads to
  struct statx source = {};    // as SyncJob::adjust() leaves it
  bool exists = false;         // the destination's name is taken
  struct statx existing = {};  // by this

  [[nodiscard]] int source_dirfd() const noexcept { return source_directory->source_fd(); }
  [[nodiscard]] std::string source_path() const { return joined(source_directory->source_path(), source_name); }
};

}  // namespace ferry
