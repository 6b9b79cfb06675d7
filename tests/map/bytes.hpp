// Bytes and strings, for the tests of maps.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include <ferry/map.hpp>

#include "support/scratch.hpp"

namespace ferry::testing {

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

inline std::string string_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Unwraps a result that a test cannot go on without.
template <typename T>
T must(Result<T> result) {
  if (!result) {
    throw std::runtime_error(result.error().to_string());
  }
  return std::move(*result);
}
inline void must(const Result<void>& result) {
  if (!result) {
    throw std::runtime_error(result.error().to_string());
  }
}

template <typename T>
int errno_of(const Result<T>& result) {
  return result ? 0 : result.error().errno_value();
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool sanitized = true;  // mlock does nothing, and shadow memory has page faults of its own
#else
inline constexpr bool sanitized = false;
#endif

inline constexpr std::uint64_t page = 4096;
// Address space enough for the tests; the sanitizers' shadows of more take time.
inline constexpr std::uint64_t small_reserve = std::uint64_t{256} << 20U;
inline const MapOptions read_write = {.mode = MapMode::read_write, .reserve_bytes = small_reserve};

}  // namespace ferry::testing
