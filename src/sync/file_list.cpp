// --files-from.
#include <ferry/sync.hpp>

#include "sync/text_file.hpp"

#include <algorithm>
#include <cerrno>

namespace ferry {
namespace {

// The name relative to the source: no leading or doubled slashes, ".." taken back. "/./" stays, because it says where
// the implied directories begin; so do a leading "./" and a trailing slash.
Result<std::string> cleaned(std::string_view name) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin < name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    begin = end + 1;
    if (part == "..") {
      if (!parts.empty() && parts.back() == ".") {
        return fail(EINVAL, "--files-from", std::string(name));  // it would move where the implied directories begin
      }
      if (!parts.empty()) {
        parts.pop_back();
      }
    } else if (!part.empty() && (part != "." || !parts.empty())) {
      parts.push_back(part);
    }
  }
  std::string clean;
  for (const std::string_view part : parts) {
    clean.append(clean.empty() ? "" : "/").append(part);
  }
  if (clean.empty()) {
    return ".";
  }
  if (name.starts_with("./")) {
    clean.insert(0, "./");  // it means the source's own attributes, too
  }
  if (name.ends_with('/')) {
    clean += '/';
  }
  return clean;
}

}  // namespace

Result<std::vector<std::string>> read_file_list(const std::filesystem::path& file, bool nul_separated) {
  const auto text = read_named_file(file.native());
  if (!text) {
    return std::unexpected(text.error());
  }
  std::vector<std::string> names;
  for (const std::string_view entry : entries_of(*text, nul_separated)) {
    auto name = cleaned(entry);
    if (!name) {
      return std::unexpected(std::move(name.error()));
    }
    names.push_back(*std::move(name));
  }
  return names;
}

}  // namespace ferry
