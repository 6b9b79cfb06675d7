// What is known about pairs of file systems: methods that the kernel refused for good, so that nobody asks twice.
#pragma once

#include <cstdint>

#include <ferry/copy.hpp>

namespace ferry::engine {

struct DevicePair {
  std::uint64_t source = 0;  // st_dev as makedev value
  std::uint64_t destination = 0;
};

// Process-wide and thread-safe; looking up takes no lock.
[[nodiscard]] CopyMethodSet refused_methods(DevicePair pair) noexcept;
// The errno a method in refused_methods() was refused with; 0 when it was not.
[[nodiscard]] int refused_errno(DevicePair pair, CopyMethod method) noexcept;
// Forgotten when the table is full: then the method is merely asked again.
void remember_refused(DevicePair pair, CopyMethod method, int errno_value) noexcept;
// For tests: as if nothing had been learned.
void forget_refused() noexcept;

}  // namespace ferry::engine
