#include "bench/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ferry::bench {

double median(std::span<const double> values) {
  if (values.empty()) {
    return 0;
  }
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  const std::size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

Summary summarize(std::span<const double> values) {
  if (values.empty()) {
    return {};
  }
  Summary summary;
  summary.count = values.size();
  summary.median = median(values);
  summary.minimum = *std::ranges::min_element(values);
  summary.maximum = *std::ranges::max_element(values);
  std::vector<double> deviations;
  deviations.reserve(values.size());
  for (const double value : values) {
    deviations.push_back(std::abs(value - summary.median));
  }
  summary.mad = median(deviations);
  // With a MAD of 0 (more than half the values equal) the score says nothing.
  if (summary.count >= 5 && summary.mad > 0) {
    summary.outliers = static_cast<std::size_t>(std::ranges::count_if(deviations, [&summary](double deviation) {
      return 0.6745 * deviation / summary.mad > 3.5 && deviation > 0.05 * summary.median;
    }));
  }
  return summary;
}

}  // namespace ferry::bench
