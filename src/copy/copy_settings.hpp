// CopyOptions checked, with the process-wide defaults filled in.
#pragma once

#include <cstddef>

#include <ferry/copy.hpp>

namespace ferry::engine {

// Bytes per read of the read_write method under `options`: the chunk size asked for (a size that suits the processor's
// caches if none was), or less where the memory budget, or what is free, is smaller. ERANGE for a chunk size outside
// its limits. May look at /proc/meminfo and the cgroup, once a second at most.
[[nodiscard]] Result<std::size_t> chunk_for(const CopyOptions& options);

}  // namespace ferry::engine
