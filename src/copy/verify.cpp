#include "copy/verify.hpp"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>

#include "base/sys.hpp"
#include "copy/transfer_buffer.hpp"

namespace ferry::engine {
namespace {

constexpr std::size_t read_bytes = std::size_t{256} << 10U;

Result<ContentDigest> digest_of(int fd, std::uint64_t offset, std::uint64_t length, const std::stop_token& stop) {
  ContentHash hash;
  std::byte* const buffer = thread_buffer(read_bytes);
  if (buffer == nullptr) {
    return fail(ENOMEM, "malloc");
  }
  while (length > 0) {
    if (stop.stop_requested()) {
      return fail(ECANCELED, "verify");
    }
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(length, read_bytes));
    const ssize_t got = sys::pread(fd, buffer, wanted, static_cast<off_t>(offset));
    if (got <= 0) {
      return fail(got == 0 ? EIO : static_cast<int>(-got), "verify");  // shorter than what was written
    }
    hash.add(buffer, static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
    length -= static_cast<std::uint64_t>(got);
  }
  return hash.digest();
}

// A descriptor of `fd`'s file to read from; `own` keeps it if a new one was needed.
int readable(int fd, UniqueFd& own) {
  const int flags = sys::get_file_flags(fd);
  if (flags >= 0 && (flags & O_ACCMODE) != O_WRONLY) {
    return fd;
  }
  own.reset(sys::openat(AT_FDCWD, fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDONLY));
  return own.get();
}

}  // namespace

Result<void> verify_by_reading(const VerifyRange& range, const std::optional<ContentDigest>& source,
                               const std::stop_token& stop) {
  if (const int error = sys::fdatasync(range.out); error != 0 && error != -EINVAL) {
    return fail(-error, "fdatasync");
  }
  (void)sys::fadvise(range.out, 0, 0, POSIX_FADV_DONTNEED);  // only clean pages go, hence the sync before
  UniqueFd own;
  const int out = readable(range.out, own);
  if (out < 0) {
    return fail(-out, "verify");
  }
  std::optional<ContentDigest> expected = source;
  if (!expected) {
    const auto read_again = digest_of(range.in, range.in_offset, range.length, stop);
    if (!read_again) {
      return std::unexpected(read_again.error());
    }
    expected = *read_again;
  }
  const auto found = digest_of(out, range.out_offset, range.length, stop);
  if (!found) {
    return std::unexpected(found.error());
  }
  if (*found != *expected) {
    return fail(EIO, "verify");
  }
  return {};
}

namespace {

constexpr std::uint32_t extents_per_call = 64;

using FiemapHeader = struct fiemap;

struct ExtentMap {  // NOLINT(*-member-init): load() fills `bytes`
  alignas(struct fiemap) std::array<std::byte, sizeof(struct fiemap) + extents_per_call * sizeof(fiemap_extent)> bytes;
  struct fiemap* header = nullptr;
  const fiemap_extent* extents = nullptr;

  // False when the file system does not tell.
  bool load(int fd, std::uint64_t start, std::uint64_t length) noexcept {
    bytes.fill(std::byte{0});
    header = ::new (bytes.data()) FiemapHeader{};
    header->fm_start = start;
    header->fm_length = length;
    header->fm_flags = FIEMAP_FLAG_SYNC;
    header->fm_extent_count = extents_per_call;
    extents = reinterpret_cast<const fiemap_extent*>(bytes.data() + sizeof(struct fiemap));
    return sys::fiemap(fd, *header) == 0;
  }
};

// Addresses that are none: not yet allocated, inside metadata, or not known.
constexpr std::uint32_t unusable_flags =
    FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_NOT_ALIGNED | FIEMAP_EXTENT_DATA_INLINE;

bool same_place(const fiemap_extent& a, const fiemap_extent& b, const VerifyRange& range) noexcept {
  return ((a.fe_flags | b.fe_flags) & unusable_flags) == 0 && a.fe_physical == b.fe_physical &&
         a.fe_length == b.fe_length && a.fe_logical - range.in_offset == b.fe_logical - range.out_offset;
}

}  // namespace

bool shares_all_extents(const VerifyRange& range) {
  std::uint64_t done = 0;
  while (done < range.length) {
    ExtentMap from;
    ExtentMap to;
    if (!from.load(range.in, range.in_offset + done, range.length - done) ||
        !to.load(range.out, range.out_offset + done, range.length - done) ||
        from.header->fm_mapped_extents != to.header->fm_mapped_extents) {
      return false;
    }
    const std::uint32_t count = from.header->fm_mapped_extents;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (!same_place(from.extents[i], to.extents[i], range)) {
        return false;
      }
    }
    if (count < extents_per_call) {
      return true;  // the rest is a hole in both
    }
    const fiemap_extent& last = from.extents[count - 1];
    const std::uint64_t end = last.fe_logical + last.fe_length - range.in_offset;
    if (end <= done) {
      return false;  // no progress: do not trust it
    }
    done = end;
  }
  return true;
}

}  // namespace ferry::engine
