#include "copy/unnamed_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>

#include "base/sys.hpp"

namespace ferry::engine {
namespace {

// By st_dev. Few file systems are without; a full table only means asking again.
std::array<std::atomic<std::uint64_t>, 16> missing_on = {};
std::atomic<std::size_t> missing_count = 0;

// linkat with an empty path was refused in this process: the detour by /proc is taken at once.
std::atomic<bool> link_by_proc = false;

std::uint64_t device_of(int dirfd) noexcept {
  struct ::statx status = {};
  // "." and not an empty path: dirfd may be AT_FDCWD.
  return sys::statx(dirfd, ".", 0, STATX_TYPE, status) == 0 ? makedev(status.stx_dev_major, status.stx_dev_minor) : 0;
}

}  // namespace

bool unnamed_files_expected(int dirfd) noexcept {
  const std::size_t count = std::min(missing_count.load(std::memory_order_acquire), missing_on.size());
  if (count == 0) [[likely]] {
    return true;
  }
  const std::uint64_t device = device_of(dirfd);
  return std::none_of(missing_on.begin(), missing_on.begin() + static_cast<std::ptrdiff_t>(count),
                      [&](const auto& known) { return known.load(std::memory_order_relaxed) == device; });
}

void note_unnamed_files_missing(int dirfd) noexcept {
  const std::uint64_t device = device_of(dirfd);
  const std::size_t count = missing_count.load(std::memory_order_relaxed);
  if (device != 0 && count < missing_on.size()) {
    missing_on[count].store(device, std::memory_order_relaxed);  // of racing writers one may be lost, and asks again
    missing_count.store(count + 1, std::memory_order_release);
  }
}

bool says_no_unnamed_files(int error) noexcept {
  return error == -EOPNOTSUPP || error == -EISDIR || error == -EINVAL || error == -ENOENT || error == -ENOSYS;
}

int link_unnamed(int fd, int dirfd, const char* name) noexcept {
  // The direct form needs CAP_DAC_READ_SEARCH, else the kernel says ENOENT (linkat(2)); since 6.10 who opened the file
  // may, too.
  int direct = 0;
  if (!link_by_proc.load(std::memory_order_relaxed)) {
    direct = sys::linkat(fd, "", dirfd, name, AT_EMPTY_PATH);
    if (direct != -ENOENT && direct != -EPERM) {
      return direct;
    }
  }
  std::array<char, 32> path = {};
  fmt::format_to_n(path.data(), path.size() - 1, "/proc/self/fd/{}", fd);
  const int result = sys::linkat(AT_FDCWD, path.data(), dirfd, name, AT_SYMLINK_FOLLOW);
  if (result == 0) {
    link_by_proc.store(true, std::memory_order_relaxed);
  }
  return result == -ENOENT && direct != 0 ? direct : result;  // no /proc: the first answer tells more
}

void forget_unnamed_files() noexcept {
  missing_count.store(0, std::memory_order_relaxed);
  link_by_proc.store(false, std::memory_order_relaxed);
}

}  // namespace ferry::engine
