// The small functions of CopyMethod and CopyReport.
#include <algorithm>

#include <ferry/copy.hpp>

namespace ferry {
namespace {
constexpr std::array<std::string_view, copy_method_count> method_names = {"reflink",  "copy_file_range", "splice",
                                                                          "sendfile", "uring",           "read_write"};
}

std::string_view to_string(CopyMethod method) noexcept {
  const auto index = static_cast<std::size_t>(method);
  return index < method_names.size() ? method_names[index] : "unknown";
}

std::optional<CopyMethod> parse_copy_method(std::string_view name) noexcept {
  const auto* const found = std::find(method_names.begin(), method_names.end(), name);
  if (found == method_names.end()) {
    return std::nullopt;
  }
  return static_cast<CopyMethod>(found - method_names.begin());
}

std::optional<CopyMethod> CopyReport::method() const noexcept {
  const auto* const most = std::max_element(bytes_by_method.begin(), bytes_by_method.end());
  if (*most == 0) {
    return std::nullopt;
  }
  return static_cast<CopyMethod>(most - bytes_by_method.begin());
}

void CopyReport::merge(const CopyReport& other) noexcept {
  for (std::size_t i = 0; i < copy_method_count; ++i) {
    bytes_by_method[i] += other.bytes_by_method[i];
    if (refused_errno[i] == 0) {
      refused_errno[i] = other.refused_errno[i];
    }
  }
  bytes_copied += other.bytes_copied;
  direct_bytes += other.direct_bytes;
  polled_bytes += other.polled_bytes;
  polling_refused_errno = polling_refused_errno != 0 ? polling_refused_errno : other.polling_refused_errno;
  hole_bytes += other.hole_bytes;
  size_bytes += other.size_bytes;
  elapsed += other.elapsed;
  source_changed = source_changed || other.source_changed;
  verified = verified && other.verified;
}

}  // namespace ferry
