#include "paths.hpp"

#include <filesystem>
#include <system_error>

namespace ferry_node {
namespace {

// Appends the components of `path` to `out`, which has no trailing slash (the root is ""). `..` takes one away, at the
// top none.
void append_components(std::string& out, std::string_view path) {
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    if (name == "..") {
      out.resize(out.empty() ? 0 : out.rfind('/'));
    } else if (!name.empty() && name != ".") {
      out += '/';
      out += name;
    }
  }
}

}  // namespace

std::string resolved(std::string_view base, std::string_view path) {
  std::string out;
  if (!path.starts_with('/')) {
    if (!base.starts_with('/')) {
      std::error_code ignored;
      append_components(out, std::filesystem::current_path(ignored).native());
    }
    append_components(out, base);
  }
  append_components(out, path);
  return out.empty() ? "/" : out;
}

std::string joinable(std::string_view path) {
  std::string out = std::filesystem::path(path).lexically_normal().native();
  while (out.size() > 1 && out.ends_with('/')) {
    out.pop_back();
  }
  return out == "." ? std::string{} : out;
}

std::string_view parent_of(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) {
    path.remove_suffix(1);
  }
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) {
    return ".";
  }
  path = path.substr(0, slash);
  while (path.size() > 1 && path.ends_with('/')) {
    path.remove_suffix(1);
  }
  return path.empty() ? "/" : path;
}

bool is_within(std::string_view outer, std::string_view inner) {
  return outer == "/" || (inner.starts_with(outer) && (inner.size() == outer.size() || inner[outer.size()] == '/'));
}

}  // namespace ferry_node
