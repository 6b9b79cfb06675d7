#include "bench/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace ferry::bench {
namespace {

/// Draws as many values as there are, each time any of them.
class Resampler {
 public:
  explicit Resampler(std::span<const double> values) : values_(values), drawn_(values.size()) {}

  double next_median(std::mt19937_64& random) {
    // Not a standard distribution: those give other numbers with each C++ library.
    std::ranges::generate(drawn_, [&] { return values_[random() % values_.size()]; });
    return median(drawn_);
  }

 private:
  std::span<const double> values_;
  std::vector<double> drawn_;
};

}  // namespace

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

std::optional<Ratio> ratio_of_medians(std::span<const double> values, std::span<const double> base) {
  constexpr std::size_t fewest_values = 5;
  constexpr std::size_t resamples = 10'000;
  const double base_median = median(base);
  if (values.empty() || base_median <= 0) {
    return std::nullopt;
  }
  Ratio ratio{.value = median(values) / base_median};
  if (values.size() < fewest_values || base.size() < fewest_values) {
    return ratio;
  }
  std::mt19937_64 random(1);  // NOLINT(cert-msc51-cpp,bugprone-random-generator-seed): one seed, one answer
  Resampler own(values);
  Resampler other(base);
  std::vector<double> ratios(resamples);
  for (double& drawn : ratios) {
    const double own_median = own.next_median(random);
    drawn = own_median / other.next_median(random);
  }
  std::ranges::sort(ratios);
  ratio.confidence = {.low = ratios[resamples * 25 / 1000], .high = ratios[resamples * 975 / 1000 - 1]};
  return ratio;
}

}  // namespace ferry::bench
