// How figures are written for people, the same in every table.
#pragma once

#include <string>
#include <string_view>

namespace ferry::bench {

struct TimeUnit {
  std::string_view name;  ///< "ms"
  double per_second = 1;  ///< 1000
};
/// The largest unit, from seconds down to nanoseconds, of which `seconds` is at least one.
[[nodiscard]] TimeUnit time_unit(double seconds);

/// Four digits that count: "1.234", "12.34", "1234".
[[nodiscard]] std::string format_figure(double value);
/// Three digits that count, with the unit: "105 us", "1.89 s".
[[nodiscard]] std::string format_time(double seconds);
/// "2.50x"
[[nodiscard]] std::string format_factor(double ratio);
/// The text in one line that is safe on a terminal: control characters become blanks.
[[nodiscard]] std::string one_line(std::string_view text);

}  // namespace ferry::bench
