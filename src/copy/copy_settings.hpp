// CopyOptions checked, with the process-wide defaults filled in.
#pragma once

#include <cstddef>

#include <ferry/copy.hpp>

namespace ferry::engine {

// Bytes per read of the read_write method under `options`: the smallest of the configured chunk, the memory budget (or
// what is free) and a fixed limit that is as fast as any larger (docs/PERFORMANCE.md). ERANGE for a chunk size outside
// its limits. May look at /proc/meminfo and the cgroup, once a second at most.
[[nodiscard]] Result<std::size_t> chunk_for(const CopyOptions& options);

}  // namespace ferry::engine
