// Comparing what was written with what was read.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>

#include <ferry/base.hpp>

#include "copy/content_hash.hpp"

namespace ferry::engine {

struct VerifyRange {
  int in = -1;
  std::uint64_t in_offset = 0;
  int out = -1;  // may be open for writing only: then it is opened once more, through /proc/self/fd
  std::uint64_t out_offset = 0;
  std::uint64_t length = 0;
};

// Writes the destination to storage, drops it from the page cache where that is possible, reads it again and compares
// its digest with `source` (made while copying), or with that of the source read once more. EIO if they differ.
[[nodiscard]] Result<void> verify_by_reading(const VerifyRange& range, const std::optional<ContentDigest>& source,
                                             const std::stop_token& stop);

// True when both ranges are known to lie in the same blocks of storage (FIEMAP); false when not, or not known.
[[nodiscard]] bool shares_all_extents(const VerifyRange& range);

}  // namespace ferry::engine
