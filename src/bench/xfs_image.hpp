// A file system of its own for a measurement: XFS, which shares blocks between files, in a loop-mounted file.
#pragma once

#include <cstdint>
#include <filesystem>

#include "bench/outcome.hpp"

namespace ferry::bench {

/// Made by mkfs.xfs(8) in a file of `bytes` (at least 512 MiB; of which only what is used takes space) and mounted,
/// both in an existing directory; unmounted when destroyed. Needs root, loop devices and xfsprogs.
class XfsImage {
 public:
  [[nodiscard]] static Outcome<XfsImage> create(const std::filesystem::path& directory, std::uint64_t bytes);
  /// Why there cannot be one here, for people; success if there can.
  [[nodiscard]] static Outcome<void> is_possible();
  XfsImage(XfsImage&& other) noexcept : mount_(std::move(other.mount_)) { other.mount_.clear(); }
  XfsImage(const XfsImage&) = delete;
  XfsImage& operator=(const XfsImage&) = delete;
  XfsImage& operator=(XfsImage&&) = delete;
  ~XfsImage();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return mount_; }

 private:
  explicit XfsImage(std::filesystem::path mount) : mount_(std::move(mount)) {}
  std::filesystem::path mount_;
};

}  // namespace ferry::bench
