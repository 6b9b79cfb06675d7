// Small files over old ones: a write within one page is done whole or not at all.
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include <ferry/copy.hpp>

#include "base/sys.hpp"
#include "copy/statistics.hpp"

namespace ferry {
namespace {

using Page = std::array<std::byte, overwrite_page_bytes + 1>;  // one more shows that a file is longer

bool options_allow(const CopyOptions& options) noexcept {
  return options.methods.contains(CopyMethod::read_write) && !options.fsync && !options.verify &&
         options.reflink != ReflinkMode::always && options.sparse != SparseMode::always;
}

bool sizes_allow(const struct ::statx& in, const struct ::statx& out) noexcept {
  return S_ISREG(in.stx_mode) && S_ISREG(out.stx_mode) && in.stx_size > 0 && in.stx_size <= overwrite_page_bytes &&
         out.stx_size <= in.stx_size;
}

// File systems that copy into one folio of the page cache under its lock, having made sure of the space before
// (generic_perform_write, iomap_write_iter, btrfs_buffered_write). Not so network file systems and FUSE, which may
// learn at close(2) that there was none.
bool writes_whole_pages(int fd) noexcept {
  struct ::statfs status = {};
  if (sys::fstatfs(fd, status) < 0) {
    return false;
  }
  constexpr auto known = std::to_array<std::uint64_t>(
      {TMPFS_MAGIC, EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC});
  return std::ranges::find(known, static_cast<std::uint64_t>(status.f_type)) != known.end();
}

// The answer for the file system met last is kept, per thread.
bool file_system_allows(int fd, const struct ::statx& status) noexcept {
  struct Answer {
    std::uint64_t device = 0;
    bool allows = false;
  };
  thread_local Answer last;
  const std::uint64_t device = makedev(status.stx_dev_major, status.stx_dev_minor);
  if (device != last.device) {
    last = {device, writes_whole_pages(fd)};
  }
  return last.allows;
}

// Puts the old content back where some of the new one is.
void restore(int fd, const Page& old, std::size_t size) noexcept {
  for (std::size_t done = 0; done < size;) {
    const ssize_t n = sys::pwrite(fd, old.data() + done, size - done, static_cast<off_t>(done));
    if (n <= 0) {
      break;
    }
    done += static_cast<std::size_t>(n);
  }
  (void)sys::ftruncate(fd, static_cast<off_t>(size));
}

}  // namespace

Result<std::optional<CopyReport>> overwrite_page(int in, const struct ::statx& in_status, int out,
                                                 const struct ::statx& out_status, const CopyOptions& options) {
  if (!options_allow(options) || !sizes_allow(in_status, out_status) || !file_system_allows(out, out_status)) {
    return std::nullopt;
  }
  Page content;  // NOLINT(*-member-init): filled by the kernel
  Page old;      // NOLINT(*-member-init)
  const auto size = static_cast<std::size_t>(in_status.stx_size);
  const auto old_size = static_cast<std::size_t>(out_status.stx_size);
  const ssize_t got = sys::pread(in, content.data(), content.size(), 0);
  if (got < 0) {
    return fail(static_cast<int>(-got), "pread");
  }
  const ssize_t kept = sys::pread(out, old.data(), old_size + 1, 0);
  if (got != static_cast<ssize_t>(size) || kept != static_cast<ssize_t>(old_size)) {
    return std::nullopt;  // one of them is changing
  }
  const ssize_t written = sys::pwrite(out, content.data(), size, 0);
  if (written != got) {
    if (written > 0) {
      restore(out, old, old_size);
    }
    return fail(written < 0 ? static_cast<int>(-written) : ENOSPC, "pwrite");
  }
  engine::count_moved(CopyMethod::read_write, size);
  CopyReport report;
  report.bytes_by_method[static_cast<std::size_t>(CopyMethod::read_write)] = size;
  report.bytes_copied = size;
  report.size_bytes = size;
  return report;
}

}  // namespace ferry
