#include <ferry/base.hpp>

#include "base/sys.hpp"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <limits>

namespace ferry {
namespace {

// The length of the valid UTF-8 sequence at the start of `text`, 0 if there is none (overlong forms and
// surrogates are not valid).
std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0U) == 0x80U; };
  const unsigned lead = byte(0);
  if (lead < 0x80U) {
    return 1;
  }
  if (lead >= 0xC2U && lead <= 0xDFU && continues(1)) {
    return 2;
  }
  if ((lead & 0xF0U) == 0xE0U && continues(1) && continues(2)) {
    const bool overlong = lead == 0xE0U && byte(1) < 0xA0U;
    const bool surrogate = lead == 0xEDU && byte(1) >= 0xA0U;
    return overlong || surrogate ? 0 : 3;
  }
  if (lead >= 0xF0U && lead <= 0xF4U && continues(1) && continues(2) && continues(3)) {
    const bool overlong = lead == 0xF0U && byte(1) < 0x90U;
    const bool too_large = lead == 0xF4U && byte(1) >= 0x90U;
    return overlong || too_large ? 0 : 4;
  }
  return 0;
}

// C0 and DEL, the C1 controls U+0080..U+009F, which some terminals obey, and the separators U+2028 and U+2029.
bool is_unprintable(std::string_view character) noexcept {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) {
    return first < 0x20U || first == 0x7FU;
  }
  if (character == "\xE2\x80\xA8" || character == "\xE2\x80\xA9") {
    return true;
  }
  return character.size() == 2 && first == 0xC2U && static_cast<unsigned char>(character[1]) < 0xA0U;
}

void append_escaped(std::string& out, std::string_view bytes) {
  for (const char c : bytes) {
    switch (c) {
      case '\a': out += "\\a"; break;
      case '\b': out += "\\b"; break;
      case '\t': out += "\\t"; break;
      case '\n': out += "\\n"; break;
      case '\v': out += "\\v"; break;
      case '\f': out += "\\f"; break;
      case '\r': out += "\\r"; break;
      default: out += fmt::format("\\{:03o}", static_cast<unsigned char>(c)); break;
    }
  }
}

// Characters that mean the same in "..." and outside it, for the shell and for people: coreutils' choice.
bool plain_in_double_quotes(std::string_view path) noexcept {
  for (std::size_t i = 0; i < path.size();) {
    const std::size_t length = utf8_length(path.substr(i));
    if (length == 0 || is_unprintable(path.substr(i, length))) {
      return false;
    }
    const char c = path[i];
    constexpr std::string_view special = "!\"$&()*;<=>?[\\^`{|}";
    if (special.find(c) != std::string_view::npos || (i > 0 && (c == '#' || c == '~'))) {
      return false;
    }
    i += length;
  }
  return true;
}

}  // namespace

std::string quoted(std::string_view path) {
  // As coreutils' shell-escape style: plain runs in '...', anything else in $'...'; "it's" where that is all.
  if (path.find('\'') != std::string_view::npos && plain_in_double_quotes(path)) {
    return fmt::format("\"{}\"", path);
  }
  std::string out = "'";
  bool in_escape = false;
  const auto switch_to = [&](bool escape) {
    if (escape != in_escape) {
      out += escape ? "'$'" : "''";
      in_escape = escape;
    }
  };
  for (std::size_t i = 0; i < path.size();) {
    const std::size_t length = utf8_length(path.substr(i));
    const std::string_view character = path.substr(i, length == 0 ? 1 : length);
    if (length == 0 || is_unprintable(character)) {
      switch_to(true);
      append_escaped(out, character);
    } else if (character == "'") {
      if (in_escape) {
        out += '\'';  // ends $'...', so that \' stands alone and a plain run begins
        in_escape = false;
      } else {
        out += "'";
      }
      out += "\\''";
    } else {
      switch_to(false);
      out += character;
    }
    i += character.size();
  }
  out += "'";
  return out;
}

std::string Error::to_string() const {
  if (path.empty()) {
    return fmt::format("{}: {}", operation, code.message());
  }
  return fmt::format("{} {}: {}", operation, quoted(path), code.message());
}

std::unexpected<Error> fail(int errno_value, const char* operation, std::string path) {
  return std::unexpected(Error{std::error_code(errno_value, std::generic_category()), operation, std::move(path)});
}

void UniqueFd::reset(int fd) noexcept {
  if (fd_ >= 0) {
    (void)sys::close(fd_);
  }
  fd_ = fd;
}

int UniqueFd::close() noexcept {
  if (fd_ < 0) {
    return 0;
  }
  return -sys::close(std::exchange(fd_, -1));
}

Result<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status == std::errc::result_out_of_range) {
    return fail(ERANGE, "parse_size", std::string(text));
  }
  if (status != std::errc{}) {
    return fail(EINVAL, "parse_size", std::string(text));
  }
  std::string_view suffix(end, static_cast<std::size_t>(text.data() + text.size() - end));
  std::uint64_t unit = 1;
  if (!suffix.empty()) {
    constexpr std::string_view prefixes = "KMGTPE";
    const std::size_t power = prefixes.find(static_cast<char>(std::toupper(static_cast<unsigned char>(suffix[0]))));
    if (power == std::string_view::npos) {
      if (suffix != "B") {
        return fail(EINVAL, "parse_size", std::string(text));
      }
    } else {
      suffix.remove_prefix(1);
      if (!suffix.empty() && suffix != "B" && suffix != "iB") {
        return fail(EINVAL, "parse_size", std::string(text));
      }
      const std::uint64_t base = suffix == "B" ? 1000 : 1024;
      for (std::size_t i = 0; i <= power; ++i) {
        unit *= base;
      }
    }
  }
  constexpr auto limit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (number > limit / unit) {
    return fail(ERANGE, "parse_size", std::string(text));
  }
  return number * unit;
}

std::string format_size(std::uint64_t bytes) {
  constexpr std::array<const char*, 7> units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) {
    return fmt::format("{} B", bytes);
  }
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < units.size()) {  // 1023.95 would print as 1024.0
    value /= 1024.0;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string_view version() noexcept { return FERRY_VERSION; }

}  // namespace ferry
