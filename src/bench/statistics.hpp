// What is said about repeated measurements. Medians, not means: one disturbed round must not move the result.
#pragma once

#include <cstddef>
#include <span>

namespace ferry::bench {

struct Summary {
  std::size_t count = 0;
  double median = 0;
  double minimum = 0;
  double maximum = 0;
  /// Median absolute deviation from the median, unscaled, in the unit of the values.
  double mad = 0;
  /// Values whose modified z-score 0.6745 * |x - median| / MAD is over 3.5 (Iglewicz and Hoaglin) and that are more
  /// than 5% from the median. Not looked for in fewer than 5 values: their MAD says too little.
  std::size_t outliers = 0;
};

/// The middle value, or the mean of the two middle ones; 0 for none.
[[nodiscard]] double median(std::span<const double> values);
[[nodiscard]] Summary summarize(std::span<const double> values);

}  // namespace ferry::bench
