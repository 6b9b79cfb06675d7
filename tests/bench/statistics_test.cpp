#include "bench/statistics.hpp"

#include <array>

#include <gtest/gtest.h>

namespace ferry::bench {
namespace {

TEST(Statistics, median_is_the_middle_whatever_the_order) {
  EXPECT_DOUBLE_EQ(median(std::array{9.0, 1.0, 5.0}), 5.0);
  EXPECT_DOUBLE_EQ(median(std::array{4.0, 1.0, 3.0, 2.0}), 2.5);
  EXPECT_DOUBLE_EQ(median(std::array{7.0}), 7.0);
  EXPECT_DOUBLE_EQ(median({}), 0.0);
}

TEST(Statistics, summary_holds_median_extremes_and_deviation) {
  const Summary summary = summarize(std::array{10.0, 12.0, 11.0, 15.0, 9.0});
  EXPECT_EQ(summary.count, 5U);
  EXPECT_DOUBLE_EQ(summary.median, 11.0);
  EXPECT_DOUBLE_EQ(summary.minimum, 9.0);
  EXPECT_DOUBLE_EQ(summary.maximum, 15.0);
  EXPECT_DOUBLE_EQ(summary.mad, 1.0);  // deviations 1 1 0 4 2
}

TEST(Statistics, one_disturbed_round_is_an_outlier_and_does_not_move_the_median) {
  const Summary summary = summarize(std::array{100.0, 101.0, 99.0, 100.5, 250.0});
  EXPECT_EQ(summary.outliers, 1U);
  EXPECT_DOUBLE_EQ(summary.median, 100.5);
}

TEST(Statistics, tiny_deviations_of_a_very_quiet_machine_are_no_outliers) {
  EXPECT_EQ(summarize(std::array{100.0, 100.01, 100.02, 100.01, 101.0}).outliers, 0U);
}

TEST(Statistics, equal_values_have_no_outliers) {
  EXPECT_EQ(summarize(std::array{1.0, 1.0, 1.0, 1.0, 9.0}).outliers, 0U);
}

TEST(Statistics, too_few_values_have_no_outliers) { EXPECT_EQ(summarize(std::array{1.0, 1.01, 50.0}).outliers, 0U); }

TEST(Statistics, nothing_measured_is_all_zero) {
  const Summary summary = summarize({});
  EXPECT_EQ(summary.count, 0U);
  EXPECT_DOUBLE_EQ(summary.median, 0.0);
}

}  // namespace
}  // namespace ferry::bench
