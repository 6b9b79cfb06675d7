// What is said about repeated measurements. Medians, not means: one disturbed round must not move the result.
#pragma once

#include <cstddef>
#include <optional>
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

struct Interval {
  double low = 0;
  double high = 0;
};

/// How one set of measurements compares with another.
struct Ratio {
  double value = 1;  ///< Median divided by median.
  /// Where the true ratio lies, with 95% confidence; empty with fewer than 5 values on either side, whose range says
  /// too little: that of 5 holds the true median with a probability of 94%, that of 4 with 88%.
  std::optional<Interval> confidence = {};

  /// Whether the measurements show that the two differ at all.
  [[nodiscard]] bool shows_difference() const noexcept {
    return confidence && (confidence->low > 1 || confidence->high < 1);
  }
};

/// `values` relative to `base`; all must be over 0. The interval is a percentile bootstrap (Efron and Tibshirani,
/// chapter 13) of 10 000 resamples of each side; the same values always give the same interval. Empty if a side is.
[[nodiscard]] std::optional<Ratio> ratio_of_medians(std::span<const double> values, std::span<const double> base);

}  // namespace ferry::bench
