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

/// How it is taken that the destination's file system, or the caller's rights, do not allow an extended attribute
/// (ENOTSUP, EPERM): `cp -a` ignores that, `cp --preserve=xattr` reports it. Other errors are always reported.
enum class UnsupportedAttributes : std::uint8_t { ignore, report };

/// Names one file for metadata work: `fd` is open on it. If `path_only`, it was opened with O_PATH (symlinks, devices,
/// fifos), and calls that O_PATH does not allow go through /proc/self/fd.
struct MetadataTarget {
  int fd = -1;
  bool path_only = false;
};

/// What a destination has before it is given metadata, as far as that saves calls.
struct MetadataState {
  std::uint32_t mode = 0;  ///< Permission bits it has now.
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  /// It may carry ACLs of its own (it existed before, or its directory has a default ACL), to be removed if the source
  /// has none.
  bool may_have_acls = false;
};

/// Which part of the metadata copy_metadata() could not carry over.
enum class MetadataPart : std::uint8_t { owner, mode, times, xattrs, acls, inode_flags };

/// A failure of copy_metadata().
struct MetadataError {
  MetadataPart part = MetadataPart::mode;
  Error error;
};

/// Gives `to` the selected metadata of `from`, setting only what differs from `state`. Order: owner, attributes and
/// ACLs, mode, times, inode flags, so that set-user-ID bits and capabilities are not lost to a later call (chown(2),
/// capabilities(7)).
///
/// A caller who may not give files away (EPERM, EINVAL without CAP_CHOWN) keeps the owner, as `cp -p` does; then the
/// set-user-ID, set-group-ID and sticky bits are not set either. Goes on after a failure; the first one is returned,
/// with an empty path. Cost for a plain file with nothing to carry: one flistxattr (only if acls or xattrs) and one
/// utimensat (only if times).
[[nodiscard]] std::expected<void, MetadataError> copy_metadata(
    MetadataTarget from, const struct ::statx& from_status, MetadataTarget to, const MetadataState& state,
    const MetadataSelection& selection, UnsupportedAttributes unsupported = UnsupportedAttributes::ignore);

/// Identifies an inode across the machine.
struct InodeIdentity {
  std::uint64_t device = 0;  ///< makedev(stx_dev_major, stx_dev_minor)
  std::uint64_t inode = 0;
  friend bool operator==(const InodeIdentity&, const InodeIdentity&) noexcept = default;
};
[[nodiscard]] InodeIdentity identity_of(const struct ::statx& status) noexcept;

}  // namespace ferry
