// Finds the zeros that may become holes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ferry::engine {

// Holes are made of whole aligned blocks of this size.
inline constexpr std::size_t zero_block_bytes = 4096;

struct Run {
  std::size_t size = 0;
  bool zeros = false;
};

// The first run of `data` (size > 0), which goes to `offset` of a file: either aligned blocks that are all zero, or
// everything before the next such block.
[[nodiscard]] Run next_run(const std::byte* data, std::size_t size, std::uint64_t offset) noexcept;

}  // namespace ferry::engine
