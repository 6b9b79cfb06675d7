#include "sync/filter_pattern.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <optional>

namespace ferry {
namespace {

struct NamedClass {
  std::string_view name;
  int (*contains)(int);
};
constexpr std::array<NamedClass, 12> named_classes = {{{"alnum", std::isalnum},
                                                       {"alpha", std::isalpha},
                                                       {"blank", std::isblank},
                                                       {"cntrl", std::iscntrl},
                                                       {"digit", std::isdigit},
                                                       {"graph", std::isgraph},
                                                       {"lower", std::islower},
                                                       {"print", std::isprint},
                                                       {"punct", std::ispunct},
                                                       {"space", std::isspace},
                                                       {"upper", std::isupper},
                                                       {"xdigit", std::isxdigit}}};

unsigned char byte(char character) noexcept { return static_cast<unsigned char>(character); }

// The class that begins at pattern[at], which is behind its '['. Sets `at` behind its ']'. Empty: it has no end.
std::optional<bool> class_contains(std::string_view pattern, std::size_t& at, char character) noexcept {
  const bool negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
  at += negated ? 1 : 0;
  bool found = false;
  for (bool first = true;; first = false) {
    if (at >= pattern.size()) {
      return std::nullopt;
    }
    if (pattern[at] == ']' && !first) {
      ++at;
      return found != negated;
    }
    if (pattern.substr(at, 2) == "[:") {
      const std::size_t end = pattern.find(":]", at + 2);
      const auto name = end == std::string_view::npos ? std::string_view() : pattern.substr(at + 2, end - at - 2);
      const auto* const known = std::ranges::find(named_classes, name, &NamedClass::name);
      if (known != named_classes.end()) {
        found |= known->contains(byte(character)) != 0;
        at = end + 2;
        continue;
      }
    }
    const auto take = [&]() -> std::optional<unsigned char> {
      at += at < pattern.size() && pattern[at] == '\\' ? 1 : 0;
      return at < pattern.size() ? std::optional(byte(pattern[at++])) : std::nullopt;
    };
    const auto low = take();
    auto high = low;
    if (low && at + 1 < pattern.size() && pattern[at] == '-' && pattern[at + 1] != ']') {
      ++at;
      high = take();
    }
    if (!low || !high) {
      return std::nullopt;
    }
    found |= *low <= byte(character) && byte(character) <= *high;
  }
}

// Tries for one pattern and text: enough for any that is meant, few enough for one that is made to take long.
constexpr unsigned max_tries = 1U << 20U;

bool match(std::string_view pattern, std::string_view text, unsigned& tries) noexcept {
  std::size_t t = 0;
  std::size_t p = 0;
  while (p < pattern.size()) {
    if (pattern[p] == '*') {
      std::size_t stars = 0;
      while (p < pattern.size() && pattern[p] == '*') {
        ++p;
        ++stars;
      }
      const bool over_slashes = stars > 1;
      const std::string_view rest = pattern.substr(p);
      if (rest.empty()) {
        return over_slashes || text.find('/', t) == std::string_view::npos;
      }
      for (; t <= text.size(); ++t) {
        if (tries == 0) {
          return false;
        }
        --tries;
        if (match(rest, text.substr(t), tries)) {
          return true;
        }
        if (t < text.size() && text[t] == '/' && !over_slashes) {
          return false;
        }
      }
      return false;
    }
    if (t >= text.size()) {
      return false;
    }
    switch (pattern[p]) {
      case '?':
        if (text[t] == '/') {
          return false;
        }
        ++p;
        break;
      case '[': {
        ++p;
        const auto contained = class_contains(pattern, p, text[t]);
        if (!contained || !*contained || text[t] == '/') {
          return false;
        }
        break;
      }
      case '\\':
        if (++p == pattern.size()) {
          return false;  // as rsync has it: nothing is quoted, and nothing matches
        }
        [[fallthrough]];
      default:
        if (pattern[p] != text[t]) {
          return false;
        }
        ++p;
    }
    ++t;
  }
  return t == text.size();
}

// The last `count` components of the path; empty if it has not so many.
std::optional<std::string_view> last_components(std::string_view path, unsigned count) noexcept {
  std::size_t begin = path.size();
  for (unsigned seen = 0; seen < count; ++seen) {
    if (begin == 0) {
      return std::nullopt;
    }
    const std::size_t slash = path.rfind('/', begin - 1);
    begin = slash == std::string_view::npos ? 0 : slash;
    if (begin == 0) {
      return seen + 1 == count ? std::optional(path) : std::nullopt;
    }
  }
  return path.substr(begin + 1);
}

}  // namespace

bool matches_wildcards(std::string_view pattern, std::string_view text) noexcept {
  unsigned tries = max_tries;
  return match(pattern, text, tries);
}

FilterPattern::FilterPattern(std::string_view text) {
  if (text.size() > 1 && text.ends_with('/')) {
    directories_only_ = true;
    text.remove_suffix(1);
  }
  if (text.starts_with('/')) {
    is_anchored_ = true;
    text.remove_prefix(1);
  }
  text_ = text;
  slashes_ = static_cast<unsigned>(std::ranges::count(text_, '/'));
  has_wildcards_ = text_.find_first_of("*[?") != std::string::npos;
  has_double_star_ = text_.find("**") != std::string::npos;
  begins_with_double_star_ = text_.starts_with("**");
  ends_with_triple_star_ = text_.ends_with("***");
}

bool FilterPattern::matches_text(std::string_view text, bool is_directory) const {
  if (!has_wildcards_) {
    return text == text_;
  }
  if (matches_wildcards(text_, text)) {
    return true;
  }
  return ends_with_triple_star_ && is_directory && matches_wildcards(text_, std::string(text) + '/');
}

bool FilterPattern::matches(std::string_view path, bool is_directory) const noexcept {
  if (directories_only_ && !is_directory) {
    return false;
  }
  if (is_anchored_) {
    return matches_text(path, is_directory);
  }
  if (!has_double_star_) {  // as many of the last components as the pattern has
    const auto tail = last_components(path, slashes_ + 1);
    return tail && matches_text(*tail, is_directory);
  }
  if (begins_with_double_star_) {
    return matches_text(std::string("/").append(path), is_directory);
  }
  for (std::size_t begin = 0;; ++begin) {  // from any component on
    if (matches_text(path.substr(begin), is_directory)) {
      return true;
    }
    begin = path.find('/', begin);
    if (begin == std::string_view::npos) {
      return false;
    }
  }
}

}  // namespace ferry
