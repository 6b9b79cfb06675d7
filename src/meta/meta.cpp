#include <ferry/meta.hpp>

#include "base/sys.hpp"

#include <linux/fs.h>
#include <sys/sysmacros.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <vector>

namespace ferry {
namespace {

using std::string_view;

constexpr std::uint32_t permission_bits = 07777;
constexpr std::uint32_t special_bits = 07000;
constexpr std::uint32_t mode_unknown = ~0U;

// "/proc/self/fd/N": resolves to the very inode an O_PATH descriptor holds, a symlink's own included (proc(5)).
class ProcPath {
 public:
  explicit ProcPath(int fd) noexcept {
    constexpr string_view prefix = "/proc/self/fd/";
    std::memcpy(text_.data(), prefix.data(), prefix.size());
    char* const end = std::to_chars(text_.data() + prefix.size(), text_.data() + text_.size() - 1, fd).ptr;
    *end = '\0';
  }
  [[nodiscard]] const char* c_str() const noexcept { return text_.data(); }

 private:
  std::array<char, 32> text_ = {};
};

ssize_t list_attributes(MetadataTarget file, char* list, std::size_t size) noexcept {
  return file.path_only ? sys::listxattr(ProcPath(file.fd).c_str(), list, size) : sys::flistxattr(file.fd, list, size);
}
ssize_t get_attribute(MetadataTarget file, const char* name, void* value, std::size_t size) noexcept {
  return file.path_only ? sys::getxattr(ProcPath(file.fd).c_str(), name, value, size)
                        : sys::fgetxattr(file.fd, name, value, size);
}
int set_attribute(MetadataTarget file, const char* name, const void* value, std::size_t size) noexcept {
  return file.path_only ? sys::setxattr(ProcPath(file.fd).c_str(), name, value, size)
                        : sys::fsetxattr(file.fd, name, value, size);
}
int remove_attribute(MetadataTarget file, const char* name) noexcept {
  return file.path_only ? sys::removexattr(ProcPath(file.fd).c_str(), name) : sys::fremovexattr(file.fd, name);
}

bool is_unsupported(int error) noexcept { return error == ENOTSUP || error == ENOSYS; }
bool is_refused(int error) noexcept { return is_unsupported(error) || error == EPERM; }

// Holds what a call returns whose size is not known before: on the stack while it is small.
template <std::size_t N>
class GrowingBuffer {  // NOLINT(*-member-init): the kernel fills stack_
 public:
  // Calls `read(data, size)` with room enough; returns its result (-errno on failure). The value may grow between the
  // question for its size and the read, hence the loop; the kernel's limit is 64 KiB (xattr(7)), so it ends.
  template <typename Read>
  ssize_t fill(Read read) {
    ssize_t got = read(stack_.data(), stack_.size());
    data_ = stack_.data();
    for (int tries = 0; got == -ERANGE && tries < 8; ++tries) {
      const ssize_t needed = read(nullptr, 0);
      if (needed < 0) {
        return needed;
      }
      heap_.resize(static_cast<std::size_t>(needed) + 256);
      data_ = heap_.data();
      got = read(heap_.data(), heap_.size());
    }
    return got;
  }
  [[nodiscard]] const char* data() const noexcept { return data_; }

 private:
  std::array<char, N> stack_;
  std::vector<char> heap_;
  const char* data_ = stack_.data();
};

constexpr const char* access_acl = "system.posix_acl_access";
constexpr const char* default_acl = "system.posix_acl_default";

// What is copied as an attribute. "system.*" is file systems' own (ACLs are carried as such); XFS lists each ACL a
// second time as trusted.SGI_ACL_* (attr(5), /etc/xattr.conf).
bool is_plain_attribute(string_view name) noexcept {
  return !name.starts_with("system.") && !name.starts_with("trusted.SGI_ACL_");
}

// One copy_metadata() call: the destination as it is now, and the first failure.
class MetadataCopy {
 public:
  MetadataCopy(MetadataTarget from, const struct statx& from_status, MetadataTarget to, const MetadataState& state,
               UnsupportedAttributes unsupported) noexcept
      : from_(from),
        from_status_(from_status),
        to_(to),
        now_(state),
        unsupported_(unsupported),
        wanted_mode_(from_status.stx_mode & permission_bits) {}

  void copy_owner() noexcept {
    if (now_.uid == from_status_.stx_uid && now_.gid == from_status_.stx_gid) {
      return;
    }
    if (const int error = -change_owner(from_status_.stx_uid, from_status_.stx_gid); error != 0) {
      // Not being allowed to give files away is no failure (cp -p), but then nobody is to run it as the wrong user.
      wanted_mode_ &= ~special_bits;
      if (error != EPERM && error != EINVAL) {
        note(MetadataPart::owner, error, "fchown");
      } else if (now_.gid != from_status_.stx_gid) {
        (void)change_owner(static_cast<uid_t>(-1), from_status_.stx_gid);
      }
    }
    if (!S_ISDIR(from_status_.stx_mode) && now_.mode != mode_unknown) {
      now_.mode &= ~static_cast<std::uint32_t>(S_ISUID | S_ISGID);  // chown(2): cleared for root too
    }
  }

  void copy_attributes(const MetadataSelection& selection) {
    GrowingBuffer<1024> names;
    const ssize_t length = names.fill([&](char* list, std::size_t size) { return list_attributes(from_, list, size); });
    if (length < 0) {
      if (!is_refused(static_cast<int>(-length))) {
        note(MetadataPart::xattrs, static_cast<int>(-length), "listxattr");
      }
      return;
    }
    bool has_access_acl = false;
    bool has_default_acl = false;
    for (string_view left(names.data(), static_cast<std::size_t>(length)); !left.empty();) {
      const char* const name = left.data();
      left.remove_prefix(std::strlen(name) + 1);
      const bool is_access = string_view(name) == access_acl;
      const bool is_default = string_view(name) == default_acl;
      has_access_acl |= is_access;
      has_default_acl |= is_default;
      const bool is_acl = is_access || is_default;
      if (is_acl ? selection.acls : selection.xattrs && is_plain_attribute(name)) {
        copy_attribute(name, is_acl);
      }
    }
    if (selection.acls && now_.may_have_acls) {
      if (!has_access_acl) {
        remove_acl(access_acl);
      }
      if (!has_default_acl && S_ISDIR(from_status_.stx_mode)) {
        remove_acl(default_acl);
      }
    }
  }

  void copy_mode() noexcept {
    if (S_ISLNK(from_status_.stx_mode) || now_.mode == wanted_mode_) {
      return;
    }
    const int result = to_.path_only ? sys::fchmodat(AT_FDCWD, ProcPath(to_.fd).c_str(), wanted_mode_)
                                     : sys::fchmod(to_.fd, wanted_mode_);
    if (result < 0) {
      note(MetadataPart::mode, -result, "fchmod");
    }
  }

  void copy_times() noexcept {
    const std::array<timespec, 2> times = {timespec{from_status_.stx_atime.tv_sec, from_status_.stx_atime.tv_nsec},
                                           timespec{from_status_.stx_mtime.tv_sec, from_status_.stx_mtime.tv_nsec}};
    // The null-path form refuses O_PATH; AT_EMPTY_PATH takes it, since Linux 5.8. Before that the magic link does.
    int result = sys::utimensat(to_.fd, to_.path_only ? "" : nullptr, times.data(), to_.path_only ? AT_EMPTY_PATH : 0);
    if (result == -EINVAL && to_.path_only) {
      result = sys::utimensat(AT_FDCWD, ProcPath(to_.fd).c_str(), times.data(), 0);
    }
    if (result < 0) {
      note(MetadataPart::times, -result, "utimensat");
    }
  }

  void copy_inode_flags() noexcept {
    // What chattr(1) sets and a copy can carry; the rest (extents, encrypted, verity, ...) describes how it is stored.
    constexpr unsigned carried = FS_SECRM_FL | FS_UNRM_FL | FS_SYNC_FL | FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL |
                                 FS_NOATIME_FL | FS_DIRSYNC_FL | FS_TOPDIR_FL | FS_PROJINHERIT_FL;
    unsigned from_flags = 0;
    unsigned to_flags = 0;
    if (to_.path_only || from_.path_only || sys::get_inode_flags(from_.fd, from_flags) < 0) {
      return;  // this kind of file, or the source's file system, has none
    }
    int result = sys::get_inode_flags(to_.fd, to_flags);
    const unsigned wanted = (to_flags & ~carried) | (from_flags & carried);
    if (result < 0 ? (from_flags & carried) == 0 : wanted == to_flags) {
      return;
    }
    if (result >= 0) {
      result = sys::set_inode_flags(to_.fd, wanted);
    }
    if (result < 0) {
      note(MetadataPart::inode_flags, -result, "FS_IOC_SETFLAGS");
    }
  }

  [[nodiscard]] std::expected<void, MetadataError> result() const {
    if (first_error_ == 0) {
      return {};
    }
    return std::unexpected(MetadataError{
        first_part_, Error{std::error_code(first_error_, std::generic_category()), first_operation_, {}}});
  }

 private:
  [[nodiscard]] int change_owner(uid_t uid, gid_t gid) const noexcept {
    return to_.path_only ? sys::fchownat(to_.fd, "", uid, gid, AT_EMPTY_PATH) : sys::fchown(to_.fd, uid, gid);
  }

  void copy_attribute(const char* name, bool is_acl) {
    const MetadataPart part = is_acl ? MetadataPart::acls : MetadataPart::xattrs;
    GrowingBuffer<1024> value;
    const ssize_t size =
        value.fill([&](char* buffer, std::size_t room) { return get_attribute(from_, name, buffer, room); });
    if (size < 0) {
      if (size != -ENODATA && !is_refused(static_cast<int>(-size))) {  // ENODATA: removed since it was listed
        note(part, static_cast<int>(-size), "getxattr");
      }
      return;
    }
    if (const int result = set_attribute(to_, name, value.data(), static_cast<std::size_t>(size)); result < 0) {
      if (is_acl || unsupported_ == UnsupportedAttributes::report || !is_refused(-result)) {
        note(part, -result, "setxattr");
      }
    } else if (is_acl && now_.mode != mode_unknown && string_view(name) == access_acl) {
      // Setting an access ACL sets the permission bits too (acl(5)); copy_mode() has only the others to look at.
      now_.mode = (now_.mode & special_bits) | (from_status_.stx_mode & 0777U);
    }
  }

  void remove_acl(const char* name) noexcept {
    const int result = remove_attribute(to_, name);
    if (result < 0 && result != -ENODATA && !is_unsupported(-result)) {
      note(MetadataPart::acls, -result, "removexattr");
    }
    now_.mode = mode_unknown;  // without the mask entry the group bits may read differently
  }

  void note(MetadataPart part, int error, const char* operation) noexcept {
    if (first_error_ == 0) {
      first_error_ = error;
      first_part_ = part;
      first_operation_ = operation;
    }
  }

  MetadataTarget from_;
  const struct statx& from_status_;
  MetadataTarget to_;
  MetadataState now_;
  UnsupportedAttributes unsupported_;
  std::uint32_t wanted_mode_;
  int first_error_ = 0;
  MetadataPart first_part_ = MetadataPart::mode;
  const char* first_operation_ = "";
};

}  // namespace

std::expected<void, MetadataError> copy_metadata(MetadataTarget from, const struct statx& from_status,
                                                 MetadataTarget to, const MetadataState& state,
                                                 const MetadataSelection& selection,
                                                 UnsupportedAttributes unsupported) {
  MetadataCopy copy(from, from_status, to, state, unsupported);
  if (selection.owner) {
    copy.copy_owner();
  }
  if (selection.acls || selection.xattrs) {
    copy.copy_attributes(selection);
  }
  if (selection.mode) {
    copy.copy_mode();
  }
  if (selection.times) {
    copy.copy_times();
  }
  if (selection.inode_flags) {
    copy.copy_inode_flags();
  }
  return copy.result();
}

InodeIdentity identity_of(const struct statx& status) noexcept {
  return {makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino};
}

}  // namespace ferry
