// How much memory copying may take without hurting anyone.
#pragma once

#include <cstdint>
#include <string_view>

namespace ferry::engine {

// One copy's share (1/64) of what the machine has available (MemAvailable) and of what the process's cgroup still
// allows (memory.max less memory.current; v1: limit_in_bytes less usage_in_bytes), whichever is less. Read again at
// most once a second. Thread-safe.
[[nodiscard]] std::uint64_t copy_memory_share() noexcept;

// The pieces, for tests. Sizes in bytes; UINT64_MAX: no limit, or not readable.
[[nodiscard]] std::uint64_t parse_mem_available(std::string_view meminfo) noexcept;
[[nodiscard]] std::uint64_t parse_cgroup_number(std::string_view text) noexcept;
// What a cgroup leaves: `limit` less `usage`, 0 if over, UINT64_MAX if unlimited.
[[nodiscard]] std::uint64_t cgroup_room(std::uint64_t limit, std::uint64_t usage) noexcept;
// The path of this process's memory cgroup out of /proc/self/cgroup, below the mount of its hierarchy; empty if none.
struct CgroupPath {
  std::string_view path;
  bool version_1 = false;
};
[[nodiscard]] CgroupPath parse_memory_cgroup(std::string_view text) noexcept;

}  // namespace ferry::engine
