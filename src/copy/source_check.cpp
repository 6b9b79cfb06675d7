#include "copy/source_check.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/sys.hpp"

namespace ferry::engine {
namespace {

bool same_time(const statx_timestamp& a, const statx_timestamp& b) noexcept {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

Result<bool> source_changed(int in, const struct ::statx& before, std::uint64_t copied, std::uint64_t expected) {
  struct ::statx after = {};
  if (const int error = sys::statx(in, "", AT_EMPTY_PATH, STATX_BASIC_STATS, after); error != 0) {
    return fail(-error, "statx");
  }
  const bool changed =
      S_ISREG(before.stx_mode) && (before.stx_size != after.stx_size || !same_time(before.stx_mtime, after.stx_mtime) ||
                                   !same_time(before.stx_ctime, after.stx_ctime));
  const bool size_means_something = S_ISREG(before.stx_mode) && before.stx_blocks > 0;
  if (!changed && size_means_something && copied < expected) {
    return fail(EIO, "read");
  }
  return changed;
}

}  // namespace ferry::engine
