// When a worker leaves entries to others. Functions of their own, so that the simulator of bench/ decides as a copy
// does.
#pragma once

#include <cstddef>

namespace ferry {

// Fewer entries are not worth a message to another process, which has to open the directory first.
inline constexpr std::size_t fewest_for_others = 8;

// `left` entries are yet to be visited. `idle_here`: a worker of this process waits. `wanted_elsewhere`: another
// process does, and nothing is queued that it could have.
[[nodiscard]] constexpr bool splits(std::size_t left, bool idle_here, bool wanted_elsewhere) noexcept {
  return (idle_here && left > 1) || (wanted_elsewhere && left >= fewest_for_others);
}

// Batches of a directory that are read ahead for other processes: 2 MiB of names at most.
inline constexpr std::size_t most_read_ahead = 64;

// Whether who reads a directory leaves the batch to others and reads on at once. A reader that visits what it has read
// feeds few: in a simulated directory of 10 million files 16 processes were as fast as seven (docs/SCALING.md).
[[nodiscard]] constexpr bool reads_ahead(bool is_wanted_elsewhere, std::size_t for_others) noexcept {
  return is_wanted_elsewhere && for_others < most_read_ahead;
}

}  // namespace ferry
