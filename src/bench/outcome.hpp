// Failures of the benchmarks: one line for a person.
#pragma once

#include <expected>
#include <string>
#include <system_error>

namespace ferry::bench {

template <typename T>
using Outcome = std::expected<T, std::string>;

/// "what: No space left on device".
[[nodiscard]] inline std::unexpected<std::string> failed(const std::string& what, int errno_value) {
  return std::unexpected(what + ": " + std::generic_category().message(errno_value));
}

}  // namespace ferry::bench
