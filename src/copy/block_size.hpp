// The unit in which a file's blocks can be shared or freed.
#pragma once

#include <cstdint>

namespace ferry::engine {

// st_blksize has been seen as 0, as a prime and as 128 MiB (coreutils 9.2): what is no power of two between 4 KiB and
// 64 KiB becomes 4 KiB or 64 KiB.
[[nodiscard]] constexpr std::uint64_t block_size_from(std::uint64_t st_blksize) noexcept {
  constexpr std::uint64_t least = 4096;
  constexpr std::uint64_t most = 65536;
  const bool power_of_two = st_blksize != 0 && (st_blksize & (st_blksize - 1)) == 0;
  if (!power_of_two || st_blksize < least) {
    return least;
  }
  return st_blksize > most ? most : st_blksize;
}

}  // namespace ferry::engine
