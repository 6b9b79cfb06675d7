#include "sync/attributes.hpp"

#include <fcntl.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/sys.hpp"

namespace ferry {
namespace {

constexpr std::uint32_t execute_bits = 0111;
constexpr std::size_t largest_attribute_bytes = std::size_t{64} << 10U;  // of a value, and of all names: xattr(7)

using Attribute = std::pair<std::string, std::string>;

bool is_acl(std::string_view name) noexcept { return name.starts_with("system.posix_acl_"); }

// As copy_metadata() chooses them (meta.cpp).
bool is_selected(const SyncOptions& options, std::string_view name) noexcept {
  if (is_acl(name)) {
    return options.acls;
  }
  return options.xattrs && !name.starts_with("system.") && !name.starts_with("trusted.SGI_ACL_");
}

std::vector<std::string> names_in(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const std::size_t length = ::strnlen(list.data(), list.size());
    names.emplace_back(list.substr(0, length));
    list.remove_prefix(std::min(list.size(), length + 1));
  }
  return names;
}

// The selected names of what `list(buffer, size)` gives; none where it fails, as on a file system that knows none.
template <typename List>
std::vector<std::string> selected_names(const SyncOptions& options, List list) {
  std::array<char, 1024> small;  // NOLINT(*-member-init): the kernel fills it
  ssize_t length = list(small.data(), small.size());
  std::string large;
  if (length == -ERANGE) {
    large.resize(largest_attribute_bytes);
    length = list(large.data(), large.size());
  }
  if (length <= 0) {
    return {};
  }
  auto names = names_in({large.empty() ? small.data() : large.data(), static_cast<std::size_t>(length)});
  std::erase_if(names, [&](const std::string& name) { return !is_selected(options, name); });
  return names;
}

std::string path_of_fd(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

std::vector<std::string> list_names(const SyncOptions& options, MetadataTarget file) {
  return selected_names(options, [&](char* buffer, std::size_t size) {
    return file.path_only ? sys::listxattr(path_of_fd(file.fd).c_str(), buffer, size)
                          : sys::flistxattr(file.fd, buffer, size);
  });
}

// An entry by its name in an open directory; a symlink is not followed.
struct NamedEntry {
  int dirfd;
  const char* name;
};

// Calls `by_name`, or `by_path` with a path through /proc where the kernel does not have that yet.
template <typename ByName, typename ByPath>
ssize_t ask(const SyncJob& job, NamedEntry entry, ByName by_name, ByPath by_path) {
  if (job.has_attributes_by_name.load(std::memory_order_relaxed)) {
    const ssize_t result = by_name();
    if (result != -ENOSYS && result != -EPERM) {
      return result;
    }
    job.has_attributes_by_name.store(false, std::memory_order_relaxed);
  }
  return by_path(fmt::format("/proc/self/fd/{}/{}", entry.dirfd, entry.name).c_str());
}

std::vector<std::string> list_names(const SyncJob& job, NamedEntry entry) {
  return selected_names(job.options, [&](char* buffer, std::size_t size) {
    return ask(
        job, entry, [&] { return sys::listxattrat(entry.dirfd, entry.name, AT_SYMLINK_NOFOLLOW, buffer, size); },
        [&](const char* path) { return sys::llistxattr(path, buffer, size); });
  });
}

std::vector<Attribute> read_attributes(const SyncJob& job, NamedEntry entry, std::vector<std::string> names) {
  std::vector<Attribute> attributes;
  const auto value = std::make_unique_for_overwrite<char[]>(largest_attribute_bytes);
  for (std::string& name : names) {
    const ssize_t size = ask(
        job, entry,
        [&] {
          return sys::getxattrat(entry.dirfd, entry.name, AT_SYMLINK_NOFOLLOW, name.c_str(), value.get(),
                                 largest_attribute_bytes);
        },
        [&](const char* path) { return sys::lgetxattr(path, name.c_str(), value.get(), largest_attribute_bytes); });
    if (size >= 0) {
      attributes.emplace_back(std::move(name), std::string(value.get(), static_cast<std::size_t>(size)));
    }
  }
  std::ranges::sort(attributes);
  return attributes;
}

bool differ(const std::vector<Attribute>& a, const std::vector<Attribute>& b, bool acls) {
  const auto of_kind = [&](const Attribute& attribute) { return is_acl(attribute.first) == acls; };
  std::vector<Attribute> left;
  std::vector<Attribute> right;
  std::ranges::copy_if(a, std::back_inserter(left), of_kind);
  std::ranges::copy_if(b, std::back_inserter(right), of_kind);
  return left != right;
}

// rsync -X makes the sets equal: what the source has not is removed.
int remove_extra_attributes(const SyncOptions& options, MetadataTarget from, MetadataTarget to) {
  const auto names = list_names(options, to);
  if (names.empty()) {
    return 0;
  }
  const auto kept = list_names(options, from);
  const std::string to_path = path_of_fd(to.fd);
  int first_error = 0;
  for (const std::string& name : names) {
    if (is_acl(name) || std::ranges::find(kept, name) != kept.end()) {
      continue;
    }
    const int result = sys::removexattr(to_path.c_str(), name.c_str());
    if (result < 0 && result != -ENODATA && first_error == 0) {
      first_error = -result;
    }
  }
  return first_error;
}

int set_times_of(const SyncJob& job, const struct statx& source, MetadataTarget to) {
  const bool keeps = keeps_times(job.options, source.stx_mode);
  const bool keeps_atime = job.options.atimes && !S_ISDIR(source.stx_mode) && !S_ISLNK(source.stx_mode);
  if (!keeps && !keeps_atime) {
    return 0;
  }
  std::array<timespec, 2> times = {timespec{0, UTIME_OMIT}, timespec{0, UTIME_OMIT}};
  if (keeps_atime) {
    times[0] = {source.stx_atime.tv_sec, source.stx_atime.tv_nsec};
  }
  if (keeps) {
    times[1] = {source.stx_mtime.tv_sec, source.stx_mtime.tv_nsec};
  }
  int result = sys::utimensat(to.fd, to.path_only ? "" : nullptr, times.data(), to.path_only ? AT_EMPTY_PATH : 0);
  if (result == -EINVAL && to.path_only) {  // before Linux 5.8
    result = sys::utimensat(AT_FDCWD, path_of_fd(to.fd).c_str(), times.data(), 0);
  }
  return -result;
}

// Attributes of users can be set on what may be written only (xattr(7)): an owner who is not root lends himself the
// bit. The mode that the file has now.
std::uint32_t lend_write_bit(const SyncJob& job, MetadataTarget from, MetadataTarget to, const struct statx& source,
                             std::uint32_t mode) {
  const bool is_closed = (mode & 0200U) == 0 && !job.is_root && !S_ISLNK(source.stx_mode);
  if (!is_closed || (list_names(job.options, from).empty() && list_names(job.options, to).empty())) {
    return mode;
  }
  const std::uint32_t lent = mode | 0200U;
  return sys::fchmodat(AT_FDCWD, path_of_fd(to.fd).c_str(), lent) == 0 ? lent : mode;
}

}  // namespace

bool keeps_times(const SyncOptions& options, std::uint32_t mode) noexcept {
  if (S_ISDIR(mode)) {
    // Backups beside their files imply -O: rsync(1), --backup.
    const bool backups_beside = options.backup && options.backup_dir.empty();
    return options.times && !options.omit_dir_times && !backups_beside;
  }
  return options.times && (!S_ISLNK(mode) || !options.omit_link_times);
}

std::uint32_t wanted_mode(const SyncJob& job, const struct statx& source, std::uint32_t existing_mode) {
  const std::uint32_t existing = existing_mode & permission_bits;
  if (job.options.permissions) {
    return source.stx_mode & permission_bits;
  }
  if (job.options.executability && S_ISREG(source.stx_mode)) {
    if ((source.stx_mode & execute_bits) == 0) {
      return existing & ~execute_bits;
    }
    if ((existing & execute_bits) == 0) {
      return existing | ((existing & 0444U) >> 2U);
    }
  }
  return existing;
}

std::uint16_t attribute_changes(const SyncJob& job, const struct statx& source, const struct statx& destination) {
  const SyncOptions& options = job.options;
  std::uint16_t changes = 0;
  if (S_ISREG(source.stx_mode) && source.stx_size != destination.stx_size) {
    changes |= bit(SyncChange::size);
  }
  if (keeps_times(options, source.stx_mode) && !job.is_same_time(source.stx_mtime, destination.stx_mtime)) {
    changes |= bit(SyncChange::time);
  }
  if (options.atimes && !S_ISDIR(source.stx_mode) && !S_ISLNK(source.stx_mode) &&
      source.stx_atime.tv_sec != destination.stx_atime.tv_sec) {
    changes |= bit(SyncChange::atime);
  }
  if (!S_ISLNK(source.stx_mode) &&
      wanted_mode(job, source, destination.stx_mode) != (destination.stx_mode & permission_bits)) {
    changes |= bit(SyncChange::mode);
  }
  if (options.owner && job.is_root && source.stx_uid != destination.stx_uid) {
    changes |= bit(SyncChange::owner);
  }
  if (options.group && source.stx_gid != destination.stx_gid) {
    changes |= bit(SyncChange::group);
  }
  return changes;
}

std::uint16_t extended_changes(const SyncJob& job, int source_dirfd, const char* source, int destination_dirfd,
                               const char* destination, bool is_symlink) {
  const SyncOptions& options = job.options;
  if (!options.xattrs && (!options.acls || is_symlink)) {
    return 0;
  }
  const NamedEntry from{source_dirfd, source};
  const NamedEntry to{destination_dirfd, destination};
  auto source_names = list_names(job, from);
  auto destination_names = list_names(job, to);
  if (source_names.empty() && destination_names.empty()) {
    return 0;
  }
  const auto wanted = read_attributes(job, from, std::move(source_names));
  const auto existing = read_attributes(job, to, std::move(destination_names));
  std::uint16_t changes = 0;
  if (differ(wanted, existing, /*acls=*/true)) {
    changes |= bit(SyncChange::acl);
  }
  if (differ(wanted, existing, /*acls=*/false)) {
    changes |= bit(SyncChange::xattr);
  }
  return changes;
}

bool set_attributes(SyncJob& job, MetadataTarget from, const struct statx& source, MetadataTarget to,
                    const AttributeState& now, const std::string& path) {
  const SyncOptions& options = job.options;
  struct statx wanted = source;
  if (!options.owner || !job.is_root) {
    wanted.stx_uid = now.uid;
  }
  if (!options.group) {
    wanted.stx_gid = now.gid;
  }
  wanted.stx_mode = static_cast<std::uint16_t>((source.stx_mode & ~permission_bits) | now.wanted_mode);
  const bool has_from = from.fd >= 0;
  const MetadataSelection selection{.mode = true,
                                    .owner = true,
                                    .acls = options.acls && has_from && !S_ISLNK(source.stx_mode),
                                    .xattrs = options.xattrs && has_from};
  bool is_done = true;
  const auto note = [&](int error, const char* operation) {
    if (error != 0) {
      job.fail(SyncProblem::cannot_set_attributes, error, operation, path);
      is_done = false;
    }
  };
  const std::uint32_t mode =
      selection.xattrs ? lend_write_bit(job, from, to, source, now.mode & permission_bits) : now.mode & permission_bits;
  const MetadataState state{mode, now.uid, now.gid, now.may_have_attributes};
  if (const auto copied = copy_metadata(from, wanted, to, state, selection); !copied) {
    note(copied.error().error.errno_value(), copied.error().error.operation);
  }
  if (selection.acls && options.change_mode) {
    // An access list has brought the bits of the source's mode.
    note(-sys::fchmodat(AT_FDCWD, path_of_fd(to.fd).c_str(), now.wanted_mode & permission_bits), "fchmodat");
  }
  if (selection.xattrs && now.may_have_attributes) {
    note(remove_extra_attributes(options, from, to), "removexattr");
  }
  return set_times(job, source, to, path) && is_done;
}

bool set_times(SyncJob& job, const struct statx& source, MetadataTarget to, const std::string& path) {
  const int error = set_times_of(job, source, to);
  if (error != 0) {
    job.fail(SyncProblem::cannot_set_attributes, error, "utimensat", path);
  }
  return error == 0;
}

}  // namespace ferry
