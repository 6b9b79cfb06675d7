#include "sync/remover.hpp"

#include <fcntl.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "base/sys.hpp"
#include "tree/traversal.hpp"

namespace ferry {
namespace {

// Of a deep tree only the lowest directories are held open; the others are found again through "..".
constexpr std::size_t most_open_levels = 16;

FileType type_of(int dirfd, const char* name, FileType told) {
  struct statx status = {};
  if (told != FileType::unknown || sys::statx(dirfd, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, status) < 0) {
    return told;
  }
  return file_type_of_mode(status.stx_mode);
}

}  // namespace

bool holds_something(int dirfd, const char* name) {
  const UniqueFd fd(sys::openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  const auto batch = std::make_unique_for_overwrite<EntryBatch>();
  while (fd && batch->read(fd.get()) > 0) {
    if (!batch->offsets.empty()) {
      return true;
    }
  }
  return false;
}

void count_entry(SyncReport::Counts& counts, FileType type) noexcept {
  switch (type) {
    case FileType::directory: ++counts.directories; break;
    case FileType::symlink: ++counts.symlinks; break;
    case FileType::character_device:
    case FileType::block_device: ++counts.devices; break;
    case FileType::fifo:
    case FileType::socket: ++counts.specials; break;
    default: ++counts.regular; break;
  }
}

void Remover::note_touched(SyncDirectory& directory, bool is_gone) noexcept {
  if (is_gone) {
    directory.is_touched = true;  // other workers set it, too: it is never set to false
  }
}

void Remover::note(FileType type, std::string_view path) {
  if (!is_deletion(path)) {
    return;
  }
  count_entry(deleted_, type);
  if (job_.wants_events()) {
    SyncEvent event;
    event.action = SyncAction::deleted;
    event.type = type;
    event.path = path;
    job_.event(event);
  }
}

bool Remover::make_way(SyncDirectory& directory, const char* name, FileType type, bool recursive) {
  made_way_ = directory.path_of(name);
  const bool is_gone = remove(directory, name, type, recursive);
  made_way_.clear();
  return is_gone;
}

bool Remover::remove(SyncDirectory& directory, const char* name, FileType told_type, bool recursive) {
  const int dirfd = directory.destination_fd();
  const FileType type = type_of(dirfd, name, told_type);
  if (type != FileType::directory) {
    const bool is_gone = remove_file(dirfd, directory.path, name, type);
    note_touched(directory, is_gone);
    return is_gone;
  }
  std::vector<Level> levels;
  if (!recursive) {
    const bool is_gone = remove_empty_directory(dirfd, name, directory.path_of(name),
                                                job_.options.dry_run && holds_something(dirfd, name));
    note_touched(directory, is_gone);
    return is_gone;
  }
  if (!enter(dirfd, name, directory.path_of(name), directory.receiver_rules, levels)) {
    return false;
  }
  for (;;) {
    Level& level = levels.back();
    if (level.entries.empty() || job_.stopped()) {
      const bool keeps = level.keeps_something || !level.entries.empty();
      if (levels.size() == 1) {
        const bool is_gone = remove_empty_directory(dirfd, name, level.path, keeps);
        note_touched(directory, is_gone);
        return is_gone;
      }
      Level done = std::move(level);
      levels.pop_back();
      if (!levels.back().fd) {
        levels.back().fd.reset(sys::openat(done.fd.get(), "..", O_RDONLY | O_DIRECTORY));
        if (!return_to(levels)) {
          return false;
        }
      }
      done.fd.reset();
      const bool is_gone = remove_empty_directory(levels.back().fd.get(), done.name.c_str(), done.path, keeps);
      levels.back().keeps_something |= !is_gone;
      continue;
    }
    const Found found = std::move(level.entries.back());
    level.entries.pop_back();
    const FileType found_type = type_of(level.fd.get(), found.name.c_str(), found.type);
    const bool is_directory = found_type == FileType::directory;
    // Backups beside their files are protected here, too: rsync's own rule "P *~".
    const bool is_backup = job_.options.backup && !job_.options.delete_excluded && backups_.is_backup_name(found.name);
    if (is_backup || (!level.rules->empty() && level.rules->verdict(joined(level.path, found.name), is_directory,
                                                                    FilterSide::receiver) == FilterVerdict::exclude)) {
      level.keeps_something = true;
      continue;
    }
    if (is_directory) {
      const int level_fd = level.fd.get();
      if (!enter(level_fd, found.name.c_str(), joined(level.path, found.name), level.rules, levels)) {
        levels.back().keeps_something = true;
      }
    } else if (!remove_file(level.fd.get(), level.path, found.name.c_str(), found_type)) {
      level.keeps_something = true;
    }
  }
}

// Whether ".." led to the very directory that the lowest level was: nobody has moved things about meanwhile.
bool Remover::return_to(std::vector<Level>& levels) {
  const Level& level = levels.back();
  struct statx status = {};
  int error = level.fd ? -sys::statx(level.fd.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status) : -level.fd.get();
  if (error == 0 && !(identity_of(status) == level.identity)) {
    error = ESTALE;
  }
  if (error != 0) {
    job_.fail(SyncProblem::cannot_delete, error, "openat", level.path);
  }
  return error == 0;
}

bool Remover::enter(int dirfd, const char* name, std::string path, const std::shared_ptr<const FilterRules>& rules,
                    std::vector<Level>& levels) {
  Level level;
  level.fd.reset(job_.descriptors.open_within_budget(
      [&] { return sys::openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW); }));
  struct statx status = {};
  int error = level.fd ? -sys::statx(level.fd.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status) : -level.fd.get();
  level.identity = identity_of(status);
  if (error == 0 && job_.options.one_file_system && level.identity.device != job_.destination_root.device) {
    error = EBUSY;  // a mount point
  }
  if (error == ENOENT) {
    return true;
  }
  if (error != 0) {
    job_.fail(SyncProblem::cannot_delete, error, "openat", std::move(path));
    return false;
  }
  level.name = name;
  level.path = std::move(path);
  level.rules = rules;
  if (rules->has_directory_files()) {
    auto own = rules->enter_directory(level.fd.get(), level.path);
    if (!own) {
      job_.fail(SyncProblem::filter_file, own.error());
      return false;
    }
    level.rules = *own ? *own : rules;
  }
  if (!read(level)) {
    return false;
  }
  if (levels.size() >= most_open_levels) {
    levels[levels.size() - most_open_levels].fd.reset();
  }
  levels.push_back(std::move(level));
  return true;
}

bool Remover::read(Level& level) {
  const auto batch = std::make_unique_for_overwrite<EntryBatch>();
  for (;;) {
    const ssize_t filled = batch->read(level.fd.get());
    if (filled < 0) {
      job_.fail(SyncProblem::cannot_delete, static_cast<int>(-filled), "getdents64", level.path);
      return false;
    }
    if (filled == 0) {
      return true;
    }
    for (std::size_t i = 0; i < batch->offsets.size(); ++i) {
      const DirectoryEntry entry = batch->entry(i);
      level.entries.push_back({entry.name, entry.type});
    }
  }
}

bool Remover::remove_file(int dirfd, std::string_view directory_path, const char* name, FileType type) {
  const std::string path = joined(directory_path, name);
  if (is_deletion(path) && !job_.take_deletion()) {
    return false;
  }
  if (job_.options.backup && !backups_.is_backup_name(name)) {
    if (!backups_.make(dirfd, directory_path, name, /*keep_name=*/false)) {
      return false;
    }
  } else if (!job_.options.dry_run) {
    const int result = sys::unlinkat(dirfd, name, 0);
    if (result < 0 && result != -ENOENT) {
      job_.fail(SyncProblem::cannot_delete, -result, "unlinkat", path);
      return false;
    }
  }
  note(type, path);
  return true;
}

bool Remover::remove_empty_directory(int dirfd, const char* name, const std::string& path, bool keeps_something) {
  if (keeps_something) {
    job_.fail(SyncProblem::cannot_delete_not_empty, ENOTEMPTY, "unlinkat", path);
    return false;
  }
  if (is_deletion(path) && !job_.take_deletion()) {
    return false;
  }
  if (!job_.options.dry_run) {
    const int result = sys::unlinkat(dirfd, name, AT_REMOVEDIR);
    if (result == -ENOTEMPTY || result == -EEXIST) {
      job_.fail(SyncProblem::cannot_delete_not_empty, ENOTEMPTY, "unlinkat", path);
      return false;
    }
    if (result < 0 && result != -ENOENT) {
      job_.fail(SyncProblem::cannot_delete, -result, "unlinkat", path);
      return false;
    }
  }
  note(FileType::directory, path);
  return true;
}

}  // namespace ferry
