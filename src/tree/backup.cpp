#include "tree/backup.hpp"

#include "base/sys.hpp"
#include "tree/temporary_name.hpp"
#include "tree/traversal.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <memory>
#include <string_view>

#include <fmt/format.h>

namespace ferry {
namespace {

// The N of "name.~N~"; 0 if `entry` is not of that form.
std::uint64_t backup_number(std::string_view entry, std::string_view name) noexcept {
  if (!entry.starts_with(name) || !entry.ends_with('~')) {
    return 0;
  }
  entry.remove_prefix(name.size());
  if (!entry.starts_with(".~") || entry.size() < 4) {
    return 0;
  }
  const std::string_view digits = entry.substr(2, entry.size() - 3);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() && end == digits.data() + digits.size() ? number : 0;
}

Result<std::uint64_t> highest_backup_number(int dirfd, std::string_view name) {
  const UniqueFd directory(sys::openat(dirfd, ".", O_RDONLY | O_DIRECTORY));
  if (!directory) {
    return fail(-directory.get(), "openat");
  }
  std::uint64_t highest = 0;
  const auto batch = std::make_unique_for_overwrite<EntryBatch>();
  for (;;) {
    const ssize_t filled = batch->read(directory.get());
    if (filled < 0) {
      return fail(static_cast<int>(-filled), "getdents64");
    }
    if (filled == 0) {
      return highest;
    }
    for (std::size_t i = 0; i < batch->offsets.size(); ++i) {
      highest = std::max(highest, backup_number(batch->entry(i).name, name));
    }
  }
}

}  // namespace

Result<std::string> backup_name(int dirfd, const char* name, Backup kind, const std::string& suffix) {
  if (kind == Backup::simple) {
    return name + suffix;
  }
  const auto highest = highest_backup_number(dirfd, name);
  if (!highest) {
    return std::unexpected(highest.error());
  }
  if (kind == Backup::existing && *highest == 0) {
    return name + suffix;
  }
  return fmt::format("{}.~{}~", name, *highest + 1);
}

int keep_as_backup(int dirfd, const char* name, const char* backup) {
  const std::string temporary = temporary_name_for(backup);
  int result = sys::linkat(dirfd, name, dirfd, temporary.c_str(), 0);
  if (result == -EEXIST) {  // left by a killed process
    (void)sys::unlinkat(dirfd, temporary.c_str(), 0);
    result = sys::linkat(dirfd, name, dirfd, temporary.c_str(), 0);
  }
  if (result == -EPERM || result == -EMLINK || result == -EOPNOTSUPP || result == -ENOSYS) {
    return sys::renameat2(dirfd, name, dirfd, backup, 0);
  }
  if (result < 0) {
    return result;
  }
  result = sys::renameat2(dirfd, temporary.c_str(), dirfd, backup, 0);
  // Renaming one name of a file to another one of it does nothing and leaves both (rename(2)).
  (void)sys::unlinkat(dirfd, temporary.c_str(), 0);
  return result;
}

}  // namespace ferry
