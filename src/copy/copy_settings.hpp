// CopyOptions checked and made into settings, with the process-wide defaults filled in.
#pragma once

#include <cstddef>

#include <ferry/copy.hpp>

#include "copy/capabilities.hpp"
#include "copy/method_choice.hpp"
#include "copy/uring_pipeline.hpp"

namespace ferry::engine {

// Bytes per read of the read_write method under `options`: the chunk size asked for (a size that suits the processor's
// caches if none was), or less where the memory budget, or what is free, is smaller. ERANGE for a chunk size outside
// its limits. For more than 2 MiB, looks at /proc/meminfo and the cgroup, once a second at most.
[[nodiscard]] Result<std::size_t> chunk_for(const CopyOptions& options);

// The same for the uring method, and how many chunks it has in flight: fewer where the memory budget is smaller.
[[nodiscard]] Result<PipelineShape> pipeline_shape_for(const CopyOptions& options);

// The methods to try, in order; never none. `facts` says what is known of the two files; the rest of it comes from
// `options` and from what this pair of file systems is known to refuse, which `report` then tells. Where nothing that
// `options` allow can work: the error that an allowed method was refused with, or else EINVAL.
[[nodiscard]] Result<MethodOrder> methods_for(CopyFacts facts, const CopyOptions& options, DevicePair devices,
                                              CopyReport& report);

}  // namespace ferry::engine
