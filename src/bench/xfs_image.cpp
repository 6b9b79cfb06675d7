#include "bench/xfs_image.hpp"

#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <system_error>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/process.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;

// Administrators' programs may not be on a user's PATH.
Outcome<void> run_shell(const std::string& line) {
  const auto done = run_command(
      {.program = "/bin/sh", .words = {"sh", "-c", line}, .environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}});
  return done ? Outcome<void>{} : std::unexpected(done.error());
}

}  // namespace

Outcome<void> XfsImage::is_possible() {
  if (::geteuid() != 0) {
    return std::unexpected("--xfs: mounting a file system needs root");
  }
  return run_shell("command -v mkfs.xfs && command -v losetup")
             ? Outcome<void>{}
             : std::unexpected("--xfs needs mkfs.xfs: xfsprogs (apt)");
}

Outcome<XfsImage> XfsImage::create(const fs::path& directory, std::uint64_t bytes) {
  constexpr std::uint64_t smallest = std::uint64_t{512} << 20U;  // mkfs.xfs refuses less than 300 MB
  const fs::path mount = directory / "xfs";
  std::error_code error;
  fs::create_directory(mount, error);
  if (error) {
    return std::unexpected("cannot create " + ferry::quoted(mount.native()) + ": " + error.message());
  }
  const std::string image = ferry::quoted((directory / "xfs.image").native());
  // Past the cache of the file system below, where that is possible: or everything would be cached twice. The device is
  // let go of as soon as it is mounted, and so goes with the mount.
  const auto mounted = run_shell(
      fmt::format("truncate -s {0} {1} && mkfs.xfs -q -m reflink=1 {1} && "
                  "device=$(losetup --find --show --direct-io=on {1} 2>/dev/null || losetup --find --show {1}) && "
                  "{{ mount -t xfs \"$device\" {2}; status=$?; losetup -d \"$device\"; exit $status; }}",
                  std::max(bytes, smallest), image, ferry::quoted(mount.native())));
  if (!mounted) {
    return std::unexpected("cannot make an XFS file system in " + ferry::quoted(directory.native()) + ": " +
                           mounted.error());
  }
  return XfsImage(mount);
}

XfsImage::~XfsImage() {
  if (!mount_.empty() && ::umount2(mount_.c_str(), 0) != 0) {
    (void)::umount2(mount_.c_str(), MNT_DETACH);
  }
}

}  // namespace ferry::bench
