// The pattern of one filter rule, and what paths it matches (rsync(1), PATTERN MATCHING RULES).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ferry {

// Whether the wildcard pattern matches the whole text: '?' one character but '/', '*' any without '/', '**' any,
// '[...]' one character of a class, never '/', '\' takes the next character as it is. Cost: as a shell's matching,
// exponential only in the number of stars, which is cut off.
[[nodiscard]] bool matches_wildcards(std::string_view pattern, std::string_view text) noexcept;

class FilterPattern {
 public:
  // `text` as in the rule: a leading '/' anchors it, a trailing one makes it match directories only.
  explicit FilterPattern(std::string_view text);

  // `path`: from where the pattern is anchored, without leading or trailing slash.
  [[nodiscard]] bool matches(std::string_view path, bool is_directory) const noexcept;
  // "foo/": what is no directory is not even compared.
  [[nodiscard]] bool directories_only() const noexcept { return directories_only_; }
  [[nodiscard]] bool is_anchored() const noexcept { return is_anchored_; }

 private:
  [[nodiscard]] bool matches_text(std::string_view text, bool is_directory) const;

  std::string text_;          // without the slashes that mean something
  unsigned slashes_ = 0;      // in text_
  bool is_anchored_ = false;  // '/' in front
  bool directories_only_ = false;
  bool has_wildcards_ = false;
  bool has_double_star_ = false;
  bool begins_with_double_star_ = false;
  bool ends_with_triple_star_ = false;  // "dir/***" is the directory, too
};

}  // namespace ferry
