// What the numbers were measured on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "bench/outcome.hpp"

namespace ferry::bench {

struct Machine {
  std::string kernel;     ///< "Linux 6.18.5 x86_64"
  std::string processor;  ///< As /proc/cpuinfo names it; empty if it does not.
  unsigned cores = 0;     ///< That this process may use.
  std::uint64_t memory_bytes = 0;
  double load = 0;  ///< Of the last minute, when measuring began: a busy machine measures badly.
};
[[nodiscard]] Machine this_machine();

/// The type of the file system that holds `path`, as mount(8) names it: "tmpfs", "ext4"; "unknown" if not found.
[[nodiscard]] std::string file_system_of(const std::filesystem::path& path);

/// Whether both are on one file system: their free space is the same space.
[[nodiscard]] bool same_file_system(const std::filesystem::path& a, const std::filesystem::path& b);

/// Bytes an unprivileged user may still write to the file system of `path`.
[[nodiscard]] Outcome<std::uint64_t> free_bytes(const std::filesystem::path& path);
/// A failure that tells both numbers if fewer are free.
[[nodiscard]] Outcome<void> require_space(const std::filesystem::path& path, std::uint64_t bytes);
/// As require_space() for a source and one copy of it at a time: in one place, both must fit.
[[nodiscard]] Outcome<void> require_space_for(std::uint64_t source_bytes, const std::filesystem::path& from,
                                              std::uint64_t copy_bytes, const std::filesystem::path& to);

/// Writes back everything dirty on the file system of `path`, so that one run does not pay for the one before.
void settle(const std::filesystem::path& path);

/// How caches are made cold.
enum class ColdMethod : std::uint8_t {
  drop_caches,  ///< /proc/sys/vm/drop_caches: data, names and inodes of the whole machine. Needs root.
  fadvise,      ///< posix_fadvise(POSIX_FADV_DONTNEED) on every file: data only; names and inodes stay cached.
};
[[nodiscard]] ColdMethod cold_method();
[[nodiscard]] const char* to_string(ColdMethod method);
/// Makes the tree (or file) at `path` cold.
[[nodiscard]] Outcome<void> make_cold(const std::filesystem::path& path, ColdMethod method);

}  // namespace ferry::bench
