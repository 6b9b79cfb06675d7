#include "bench/quantities.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace ferry::bench {
namespace {

std::string with_digits(double value, int digits) {
  int decimals = digits - 1;
  for (double limit = 10; decimals > 0 && value >= limit; limit *= 10) {
    --decimals;
  }
  return fmt::format("{:.{}f}", value, decimals);
}

}  // namespace

TimeUnit time_unit(double seconds) {
  constexpr std::array<TimeUnit, 4> units = {{{"s", 1}, {"ms", 1e3}, {"us", 1e6}, {"ns", 1e9}}};
  const auto* const found =
      std::ranges::find_if(units, [seconds](const TimeUnit& unit) { return seconds * unit.per_second >= 1; });
  return found == units.end() ? units.back() : *found;
}

std::string format_figure(double value) { return with_digits(value, 4); }

std::string format_time(double seconds) {
  const TimeUnit unit = time_unit(seconds);
  return fmt::format("{} {}", with_digits(seconds * unit.per_second, 3), unit.name);
}

std::string format_factor(double ratio) { return fmt::format("{:.2f}x", ratio); }

std::string one_line(std::string_view text) {
  std::string line(text);
  std::ranges::replace_if(line, [](char byte) { return (byte >= 0 && byte < ' ') || byte == '\x7f'; }, ' ');
  return line;
}

}  // namespace ferry::bench
