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

TEST(Statistics, the_ratio_is_that_of_the_medians) {
  EXPECT_DOUBLE_EQ(ratio_of_medians(std::array{30.0, 22.0, 21.0}, std::array{10.0, 12.0, 11.0})->value, 2.0);
  EXPECT_FALSE(ratio_of_medians({}, std::array{1.0}));
  EXPECT_FALSE(ratio_of_medians(std::array{1.0}, {}));
}

TEST(Statistics, equal_values_leave_no_room_for_doubt) {
  const auto ratio = ratio_of_medians(std::array{6.0, 6.0, 6.0, 6.0, 6.0}, std::array{2.0, 2.0, 2.0, 2.0, 2.0});
  ASSERT_TRUE(ratio && ratio->confidence);
  EXPECT_DOUBLE_EQ(ratio->confidence->low, 3.0);
  EXPECT_DOUBLE_EQ(ratio->confidence->high, 3.0);
  EXPECT_TRUE(ratio->shows_difference());
}

// Against a constant, how often the median of a resample of {1, ..., n} is at most k follows from the binomial
// distribution: for n = 5, P(1) = 0.058; for n = 7, P(at most 1) = 0.010 and P(at most 2) = 0.108. The quantiles of
// 2.5% and 97.5% are then 1 and 5, or 2 and 6.
TEST(Statistics, the_interval_is_the_one_that_the_binomial_distribution_gives) {
  const std::array base{1.0, 1.0, 1.0, 1.0, 1.0};
  const auto five = ratio_of_medians(std::array{3.0, 1.0, 2.0, 5.0, 4.0}, base);
  ASSERT_TRUE(five && five->confidence);
  EXPECT_DOUBLE_EQ(five->confidence->low, 1.0);
  EXPECT_DOUBLE_EQ(five->confidence->high, 5.0);
  const auto seven = ratio_of_medians(std::array{7.0, 1.0, 2.0, 5.0, 4.0, 3.0, 6.0}, base);
  ASSERT_TRUE(seven && seven->confidence);
  EXPECT_DOUBLE_EQ(seven->confidence->low, 2.0);
  EXPECT_DOUBLE_EQ(seven->confidence->high, 6.0);
}

TEST(Statistics, no_difference_is_shown_between_measurements_that_overlap) {
  const std::array one{10.0, 11.0, 12.0, 13.0, 14.0};
  const std::array other{11.0, 10.5, 12.5, 13.5, 12.2};
  const auto ratio = ratio_of_medians(other, one);
  ASSERT_TRUE(ratio && ratio->confidence);
  EXPECT_LT(ratio->confidence->low, 1);
  EXPECT_GT(ratio->confidence->high, 1);
  EXPECT_FALSE(ratio->shows_difference());
}

TEST(Statistics, a_difference_is_shown_in_either_direction) {
  const std::array slow{20.0, 21.0, 22.0, 23.0, 24.0};
  const std::array quick{10.0, 11.0, 12.0, 13.0, 14.0};
  EXPECT_TRUE(ratio_of_medians(slow, quick)->shows_difference());
  EXPECT_TRUE(ratio_of_medians(quick, slow)->shows_difference());
}

TEST(Statistics, four_values_are_too_few_for_an_interval) {
  const std::array four{1.0, 2.0, 3.0, 4.0};
  const std::array five{10.0, 20.0, 30.0, 40.0, 50.0};
  EXPECT_FALSE(ratio_of_medians(four, five)->confidence);
  EXPECT_FALSE(ratio_of_medians(five, four)->confidence);
  EXPECT_FALSE(ratio_of_medians(five, four)->shows_difference()) << "nothing is shown without an interval";
}

TEST(Statistics, the_same_measurements_give_the_same_interval) {
  const std::array one{10.0, 11.5, 12.0, 13.0, 14.0, 11.0};
  const std::array other{11.0, 10.5, 12.5, 13.5, 12.2, 17.0};
  const auto first = ratio_of_medians(other, one);
  const auto second = ratio_of_medians(other, one);
  ASSERT_TRUE(first && first->confidence && second && second->confidence);
  EXPECT_EQ(first->confidence->low, second->confidence->low);
  EXPECT_EQ(first->confidence->high, second->confidence->high);
}

}  // namespace
}  // namespace ferry::bench
