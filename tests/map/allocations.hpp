// Counts what this thread allocates: the test program's operator new is replaced.
#pragma once

#include <cstdint>

namespace ferry::testing {

// Calls of operator new by this thread so far.
[[nodiscard]] std::uint64_t allocations() noexcept;

}  // namespace ferry::testing
