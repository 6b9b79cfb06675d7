#include "copy/kernel_version.hpp"

#include <sys/utsname.h>

#include <charconv>

#include "base/sys.hpp"

namespace ferry::engine {

KernelVersion parse_kernel_version(std::string_view release) noexcept {
  KernelVersion version;
  const char* const end = release.data() + release.size();
  // NOLINTNEXTLINE(bugprone-suspicious-stringview-data-usage): bounded by end
  const auto major = std::from_chars(release.data(), end, version.major);
  if (major.ec != std::errc{} || major.ptr == end || *major.ptr != '.') {
    return {};
  }
  const auto minor = std::from_chars(major.ptr + 1, end, version.minor);
  return minor.ec == std::errc{} ? version : KernelVersion{};
}

KernelVersion kernel_version() noexcept {
  static const KernelVersion cached = [] {
    struct utsname names = {};
    return sys::uname(names) == 0 ? parse_kernel_version(names.release) : KernelVersion{};
  }();
  return cached;
}

}  // namespace ferry::engine
