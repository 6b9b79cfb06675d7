// How much memory a process and its descendants hold together: what wait4(2) cannot tell of a pipeline.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>

namespace ferry::bench {

/// Resident bytes of `root` and all its living descendants at this moment, from PROC/PID/statm and
/// PROC/PID/task/TID/children (proc(5), CONFIG_PROC_CHILDREN). Memory that several of them share counts in each.
/// Empty if `root` is gone or this kernel has no list of children. Cost: about 20 us for each process.
[[nodiscard]] std::optional<std::uint64_t> resident_bytes_of_tree(pid_t root,
                                                                  const std::filesystem::path& proc = "/proc");

}  // namespace ferry::bench
