/// \file
/// Everything of a file that is not its bytes: mode, owner, times, extended attributes, POSIX ACLs, inode flags.
#pragma once

#include <cstdint>

#include <ferry/base.hpp>

struct statx;  // <sys/stat.h>

namespace ferry {

/// Which metadata to carry over.
struct MetadataSelection {
  bool mode = false;         ///< All 12 permission bits.
  bool owner = false;        ///< User and group. Where the owner may not be set, the group alone is tried.
  bool times = false;        ///< Access and modification time, in nanoseconds.
  bool acls = false;         ///< POSIX access and default ACLs (system.posix_acl_*).
  bool xattrs = false;       ///< user.*, trusted.* and security.* extended attributes.
  bool inode_flags = false;  ///< ioctl_iflags(2) flags that a copy can carry (append, immutable, nodump, noatime, ...).

  [[nodiscard]] bool any() const noexcept { return mode || owner || times || acls || xattrs || inode_flags; }
};

/// How failures to carry attributes that the destination's file system does not know are taken.
enum class UnsupportedAttributes : std::uint8_t { ignore, report };

/// Names one file for metadata work. `fd` is open on it; if `by_proc_path` it is an O_PATH descriptor (symlinks,
/// devices), and calls that O_PATH does not allow go through /proc/self/fd.
struct MetadataTarget {
  int fd = -1;
  bool by_proc_path = false;
};

/// Gives `to` the selected metadata of `from`, setting only what differs from `to_status` (the destination as
/// created, STATX_BASIC_STATS; null when it was created this moment by this process with `to_created_mode`).
/// Order: owner, attributes and ACLs, mode, times, inode flags - so that set-user-ID bits and capabilities are not lost
/// to a later call (chown(2), capabilities(7)).
///
/// Continues after a failure; the first one is returned, its `operation` naming what could not be preserved. ENOTSUP
/// for attributes is dropped under UnsupportedAttributes::ignore. Cost: for a plain file with nothing to carry, one
/// flistxattr (only if acls or xattrs) and one utimensat.
[[nodiscard]] Result<void> copy_metadata(MetadataTarget from, const struct ::statx& from_status, MetadataTarget to,
                                         const struct ::statx* to_status, std::uint32_t to_created_mode,
                                         const MetadataSelection& selection,
                                         UnsupportedAttributes unsupported = UnsupportedAttributes::report);

/// Identifies an inode across the machine.
struct InodeIdentity {
  std::uint64_t device = 0;  ///< makedev(stx_dev_major, stx_dev_minor)
  std::uint64_t inode = 0;
  friend bool operator==(const InodeIdentity&, const InodeIdentity&) noexcept = default;
};
[[nodiscard]] InodeIdentity identity_of(const struct ::statx& status) noexcept;

}  // namespace ferry
