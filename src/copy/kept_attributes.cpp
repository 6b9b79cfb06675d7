#include "copy/kept_attributes.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "base/sys.hpp"

namespace ferry::engine {
namespace {

// Attributes may grow between asking for their size and reading them.
constexpr int attempts = 4;

// Fills `out` by `call(buffer, size)`, which says the size needed for size 0; the size or -errno.
template <typename Call>
ssize_t read_sized(std::vector<char>& out, Call call) {
  ssize_t result = -ERANGE;
  for (int i = 0; i < attempts && result == -ERANGE; ++i) {
    result = call(nullptr, 0);
    if (result <= 0) {
      return result;
    }
    out.resize(static_cast<std::size_t>(result));
    result = call(out.data(), out.size());
  }
  return result;
}

int keep_xattrs(int from, int to) {
  std::vector<char> list;
  const ssize_t listed = read_sized(list, [&](char* p, std::size_t n) { return sys::flistxattr(from, p, n); });
  if (listed == -EOPNOTSUPP || listed == -ENOSYS) {
    return 0;
  }
  std::string_view names(list.data(), listed > 0 ? static_cast<std::size_t>(listed) : 0);
  std::vector<char> value;
  while (!names.empty()) {
    const std::string name(names.substr(0, names.find('\0')));
    names.remove_prefix(std::min(names.size(), name.size() + 1));
    if (name == "security.capability") {
      continue;
    }
    const ssize_t size =
        read_sized(value, [&](char* p, std::size_t n) { return sys::fgetxattr(from, name.c_str(), p, n); });
    if (size == -ENODATA) {
      continue;  // removed meanwhile
    }
    const int result = size < 0 ? static_cast<int>(size)
                                : sys::fsetxattr(to, name.c_str(), value.data(), static_cast<std::size_t>(size));
    if (result != 0) {
      return result;
    }
  }
  return listed < 0 ? static_cast<int>(listed) : 0;
}

}  // namespace

int keep_attributes(int from, const struct ::statx& from_status, int to) {
  struct ::statx created = {};
  if (const int error = sys::statx(to, "", AT_EMPTY_PATH, STATX_BASIC_STATS, created); error != 0) {
    return error;
  }
  if (created.stx_uid != from_status.stx_uid || created.stx_gid != from_status.stx_gid) {
    if (const int error = sys::fchown(to, from_status.stx_uid, from_status.stx_gid); error != 0) {
      return error;
    }
  }
  if (const int error = keep_xattrs(from, to); error != 0) {
    return error;
  }
  // Last: chown takes set-user-ID bits away (chown(2)).
  return sys::fchmod(to, from_status.stx_mode & 07777U);
}

}  // namespace ferry::engine
