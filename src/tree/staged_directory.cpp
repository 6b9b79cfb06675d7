#include "tree/staged_directory.hpp"

#include "base/sys.hpp"
#include "tree/traversal.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <cerrno>
#include <memory>

#include <fmt/format.h>

namespace ferry {
namespace {

// Calls `act(name)`, 0 or -errno, for each entry of the open directory until one fails.
template <typename Act>
int for_each_entry(int directory, Act act) {
  if (const off_t result = sys::lseek(directory, 0, SEEK_SET); result < 0) {
    return static_cast<int>(result);
  }
  const auto batch = std::make_unique_for_overwrite<EntryBatch>();
  for (;;) {
    const ssize_t filled = batch->read(directory);
    if (filled <= 0) {
      return static_cast<int>(filled);
    }
    for (std::size_t i = 0; i < batch->offsets.size(); ++i) {
      if (const int result = act(batch->entry(i).name); result < 0) {
        return result;
      }
    }
  }
}

bool name_refers_to(int parent, const char* name, int directory) noexcept {
  struct statx by_name = {};
  struct statx by_fd = {};
  return sys::statx(parent, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, by_name) == 0 &&
         sys::statx(directory, "", AT_EMPTY_PATH, STATX_BASIC_STATS, by_fd) == 0 &&
         identity_of(by_name) == identity_of(by_fd);
}

bool remove_with_entries(int parent, const char* name, int directory) {
  const int emptied = for_each_entry(directory, [&](const char* entry) { return sys::unlinkat(directory, entry, 0); });
  return emptied == 0 && sys::unlinkat(parent, name, AT_REMOVEDIR) == 0;
}

// Removes what a killed process left. False when it has a living owner, or holds what no ferry puts there.
bool remove_leftover(int parent, const char* name) {
  const UniqueFd leftover(sys::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  // Having the lock, the name is looked at again: an owner that was quicker has published the directory by now.
  if (!leftover || sys::flock(leftover.get(), LOCK_EX | LOCK_NB) < 0 || !name_refers_to(parent, name, leftover.get())) {
    return false;
  }
  return remove_with_entries(parent, name, leftover.get());
}

}  // namespace

std::string staged_directory_name(const char* final_name) {
  return fmt::format(".ferry-{:016x}.dir.tmp",
                     static_cast<unsigned long long>(XXH64(final_name, std::char_traits<char>::length(final_name), 1)));
}

int make_staged_directory(int parent, const std::string& staged_name, mode_t mode,
                          const std::function<int(const char* name)>& open) {
  int made = sys::mkdirat(parent, staged_name.c_str(), mode);
  if (made == -EEXIST && remove_leftover(parent, staged_name.c_str())) {
    made = sys::mkdirat(parent, staged_name.c_str(), mode);
  }
  if (made < 0) {
    return made;
  }
  UniqueFd directory(open(staged_name.c_str()));
  if (!directory) {
    (void)sys::unlinkat(parent, staged_name.c_str(), AT_REMOVEDIR);
    return directory.get();
  }
  // Where there are no locks, nobody can take one to remove it either.
  const int locked = sys::flock(directory.get(), LOCK_EX | LOCK_NB);
  struct statx status = {};
  const int looked = sys::statx(directory.get(), "", AT_EMPTY_PATH, STATX_NLINK, status);
  if (locked == -EWOULDBLOCK || looked < 0 || status.stx_nlink == 0) {
    return -EEXIST;  // before it was locked somebody took it for a leftover
  }
  return directory.release();
}

int publish_staged_directory(int parent, const std::string& staged_name, int staged, const char* name) noexcept {
  int renamed = sys::renameat2(parent, staged_name.c_str(), parent, name, RENAME_NOREPLACE);
  if (renamed == -EINVAL || renamed == -ENOSYS) {  // the file system does not know the flag
    renamed = sys::renameat2(parent, staged_name.c_str(), parent, name, 0);
  }
  if (renamed == 0) {
    (void)sys::flock(staged, LOCK_UN);
  }
  return renamed;
}

void discard_staged_directory(int parent, const std::string& staged_name, int staged) {
  (void)remove_with_entries(parent, staged_name.c_str(), staged);
}

int move_staged_entries(int parent, const std::string& staged_name, int from, int to, bool replaces,
                        const std::function<void(const char* name, int error)>& failed) {
  const int result = for_each_entry(from, [&](const char* name) {
    const int moved = sys::renameat2(from, name, to, name, replaces ? 0 : RENAME_NOREPLACE);
    if (moved >= 0) {
      return 0;
    }
    if (replaces || moved != -EEXIST) {
      failed(name, -moved);
    }
    return sys::unlinkat(from, name, 0);
  });
  return result < 0 ? result : sys::unlinkat(parent, staged_name.c_str(), AT_REMOVEDIR);
}

}  // namespace ferry
