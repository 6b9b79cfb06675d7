// Counts operator new in this program; not under a sanitizer, which has its own.
#pragma once

#include <cstdint>

namespace ferry::testing {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool counts_allocations = false;
#else
inline constexpr bool counts_allocations = true;
#endif
[[nodiscard]] std::uint64_t allocation_count() noexcept;
}  // namespace ferry::testing
