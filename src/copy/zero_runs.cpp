#include "copy/zero_runs.hpp"

#include <algorithm>
#include <cstring>

namespace ferry::engine {
namespace {

bool all_zero(const std::byte* data, std::size_t size) noexcept {
  // A buffer equals itself shifted by one iff all bytes are equal: memcmp runs at memory speed.
  return data[0] == std::byte{0} && std::memcmp(data, data + 1, size - 1) == 0;
}

}  // namespace

Run next_run(const std::byte* data, std::size_t size, std::uint64_t offset) noexcept {
  const std::size_t past_boundary = offset % zero_block_bytes;
  std::size_t position = past_boundary == 0 ? 0 : std::min(size, zero_block_bytes - past_boundary);
  if (position == 0) {
    std::size_t zeros = 0;
    while (size - zeros >= zero_block_bytes && all_zero(data + zeros, zero_block_bytes)) {
      zeros += zero_block_bytes;
    }
    if (zeros > 0) {
      return {zeros, true};
    }
  }
  while (size - position >= zero_block_bytes && !all_zero(data + position, zero_block_bytes)) {
    position += zero_block_bytes;
  }
  return size - position < zero_block_bytes ? Run{size, false} : Run{position, false};
}

}  // namespace ferry::engine
