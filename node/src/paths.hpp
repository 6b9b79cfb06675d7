// Names as Node's `path` module understands them: lexically, without looking at the file system.
#pragma once

#include <string>
#include <string_view>

namespace ferry_node {

/// path.resolve(base, path), where an empty or relative `base` is relative to the working directory.
[[nodiscard]] std::string resolved(std::string_view base, std::string_view path);
/// path.normalize(path) without trailing slashes: what path.join() puts in front of a name; "." is empty.
[[nodiscard]] std::string joinable(std::string_view path);
/// path.dirname(path).
[[nodiscard]] std::string_view parent_of(std::string_view path);
/// Whether the resolved path `inner` is `outer` or lies below it.
[[nodiscard]] bool is_within(std::string_view outer, std::string_view inner);

}  // namespace ferry_node
