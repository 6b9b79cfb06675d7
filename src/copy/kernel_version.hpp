// The running kernel's version.
#pragma once

#include <compare>
#include <string_view>

namespace ferry::engine {

struct KernelVersion {
  int major = 0;
  int minor = 0;
  friend auto operator<=>(const KernelVersion&, const KernelVersion&) noexcept = default;
};

// "6.18.44-cloud" -> 6.18; 0.0 when malformed.
[[nodiscard]] KernelVersion parse_kernel_version(std::string_view release) noexcept;
// uname(2), asked once per process.
[[nodiscard]] KernelVersion kernel_version() noexcept;

}  // namespace ferry::engine
