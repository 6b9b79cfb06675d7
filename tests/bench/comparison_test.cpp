#include "bench/comparison.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "bench/sample_report.hpp"

namespace ferry::bench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr double threshold = 0.15;

Report times(const std::vector<int>& ferry, const std::vector<int>& cp) {
  Report report = sample_report();
  report.groups[0].result.contenders = {timed("ferry cp", ferry), timed("cp", cp)};
  return report;
}

const std::vector<int> steady = {100, 101, 102, 103, 104};
const std::vector<int> slower_by_a_half = {150, 151, 153, 154, 155};

Comparison compared(const Report& base, const Report& head) {
  auto comparison = compare(base, head, threshold);
  EXPECT_TRUE(comparison) << comparison.error();
  return comparison.value_or(Comparison{});
}

Verdict verdict_of_ferry(const Report& base, const Report& head) { return compared(base, head).changes.at(0).verdict; }

TEST(Comparison, slower_beyond_threshold_and_noise_is_a_regression) {
  const Comparison comparison = compared(times(steady, steady), times(slower_by_a_half, steady));
  const Change& change = comparison.changes.at(0);
  EXPECT_EQ(change.verdict, Verdict::regressed);
  EXPECT_NEAR(change.ratio.value().value, 1.5, 1e-9);
  EXPECT_DOUBLE_EQ(change.base.value(), 0.102);
  EXPECT_DOUBLE_EQ(change.head.value(), 0.153);
  EXPECT_TRUE(comparison.failed(FailOn::any));
  EXPECT_FALSE(comparison.failed(FailOn::counts));
}

TEST(Comparison, within_the_threshold_is_no_regression) {
  const std::vector<int> a_little = {110, 111, 112, 113, 114};
  EXPECT_EQ(verdict_of_ferry(times(steady, steady), times(a_little, steady)), Verdict::unchanged);
  EXPECT_EQ(compare(times(steady, steady), times(a_little, steady), 0.05)->changes.at(0).verdict, Verdict::regressed);
}

TEST(Comparison, beyond_the_threshold_but_within_the_noise_is_no_regression) {
  const Comparison comparison =
      compared(times({60, 70, 100, 150, 300}, steady), times({80, 90, 140, 160, 290}, steady));
  const Change& change = comparison.changes.at(0);
  EXPECT_GT(change.ratio.value().value, 1 + threshold);
  EXPECT_LT(change.ratio.value().confidence.value().low, 1);
  EXPECT_EQ(change.verdict, Verdict::unchanged);
  EXPECT_FALSE(comparison.failed(FailOn::any));
  EXPECT_THAT(to_table(comparison), HasSubstr("no difference shown"));
}

TEST(Comparison, quicker_is_an_improvement) {
  EXPECT_EQ(verdict_of_ferry(times(slower_by_a_half, steady), times(steady, steady)), Verdict::improved);
}

TEST(Comparison, few_runs_show_nothing) {
  const Comparison comparison = compared(times({100, 100}, steady), times({900, 900}, steady));
  EXPECT_EQ(comparison.changes.at(0).verdict, Verdict::undecided);
  EXPECT_FALSE(comparison.failed(FailOn::any));
  EXPECT_THAT(to_table(comparison), HasSubstr("fewer than 5 runs"));
}

TEST(Comparison, a_rival_that_changed_is_no_regression_but_is_remarked) {
  const Comparison comparison = compared(times(steady, steady), times(steady, slower_by_a_half));
  EXPECT_EQ(comparison.changes.at(1).verdict, Verdict::regressed);
  EXPECT_FALSE(comparison.failed(FailOn::any));
  EXPECT_THAT(comparison.notes, ElementsAre("'cp' changed too: it may be the machine, not ferry"));
}

TEST(Comparison, ferry_that_fails_now_is_a_regression) {
  Report head = times(steady, steady);
  head.groups[0].result.contenders[0] = timed("ferry cp", {});
  head.groups[0].result.contenders[0].failure = "exit status 1";
  const Comparison comparison = compared(times(steady, steady), head);
  EXPECT_EQ(comparison.changes.at(0).verdict, Verdict::broken);
  EXPECT_TRUE(comparison.failed(FailOn::any));
  EXPECT_TRUE(comparison.failed(FailOn::counts));
  EXPECT_THAT(to_table(comparison), HasSubstr("fails now: exit status 1"));
  EXPECT_FALSE(compared(head, times(steady, steady)).failed(FailOn::any)) << "it failed before";
}

TEST(Comparison, counts_are_compared_exactly) {
  const Comparison more = compared(sample_counts(4), sample_counts(4.02));
  EXPECT_EQ(more.changes.at(0).verdict, Verdict::regressed);
  EXPECT_EQ(more.changes.at(0).counted, "openat");
  EXPECT_EQ(more.changes.at(1).verdict, Verdict::unchanged);
  EXPECT_TRUE(more.failed(FailOn::counts));
  EXPECT_FALSE(compared(sample_counts(4), sample_counts(4)).failed(FailOn::any));
  const Comparison fewer = compared(sample_counts(4), sample_counts(3));
  EXPECT_EQ(fewer.changes.at(0).verdict, Verdict::improved);
  EXPECT_FALSE(fewer.failed(FailOn::any));
}

TEST(Comparison, a_call_now_and_then_is_no_change) {
  const Comparison comparison = compared(sample_counts(4), sample_counts(4.002));
  EXPECT_EQ(comparison.changes.at(0).verdict, Verdict::unchanged);
  EXPECT_TRUE(joined({sample_counts(4), sample_counts(4.002)}));
}

TEST(Comparison, one_call_for_another_is_no_regression_where_all_are_counted) {
  Report base = sample_counts(4);
  base.groups[0].result.contenders[0].counts.push_back({"all", 5});
  Report head = sample_counts(3);
  head.groups[0].result.contenders[0].counts.push_back({"all", 5});
  head.groups[0].result.contenders[0].counts.push_back({"openat2", 1});
  const Comparison comparison = compared(base, head);
  EXPECT_FALSE(comparison.failed(FailOn::any));
  EXPECT_EQ(comparison.changes.at(0).verdict, Verdict::part) << "openat";
  EXPECT_EQ(comparison.changes.at(3).verdict, Verdict::part) << "openat2";
  EXPECT_THAT(to_table(comparison), AllOf(HasSubstr(": openat2"), Not(HasSubstr(": read")))) << "what changed only";
  head.groups[0].result.contenders[0].counts[2].per_unit = 6;
  EXPECT_TRUE(compared(base, head).failed(FailOn::counts));
}

TEST(Comparison, a_call_that_was_not_made_before_counts_from_0) {
  Report head = sample_counts(4);
  head.groups[0].result.contenders[0].counts.push_back({"statx", 2});
  const Comparison comparison = compared(sample_counts(4), head);
  EXPECT_EQ(comparison.changes.at(2).base, 0);
  EXPECT_EQ(comparison.changes.at(2).verdict, Verdict::regressed);
}

TEST(Comparison, unequal_work_is_not_compared) {
  Report head = times(slower_by_a_half, steady);
  head.groups[0].units_per_run = 2;
  const auto comparison = compare(times(steady, steady), head, threshold);
  ASSERT_FALSE(comparison);
  EXPECT_THAT(comparison.error(), HasSubstr("not the same work: 1 runs a run, now 2 runs"));
}

TEST(Comparison, measurements_with_nothing_in_common_are_refused) {
  Report head = times(steady, steady);
  head.groups[0].name = "another";
  EXPECT_THAT(compare(times(steady, steady), head, threshold).error(), HasSubstr("only in base"));
  head.groups.clear();
  EXPECT_FALSE(compare(head, head, threshold));
}

TEST(Comparison, what_is_only_on_one_side_is_named) {
  Report head = times(steady, steady);
  head.groups[0].result.contenders[1].name = "rsync";
  head.groups.push_back(head.groups[0]);
  head.groups[1].name = "new";
  const std::string table = to_table(compared(times(steady, steady), head));
  EXPECT_THAT(table, HasSubstr("only in base"));
  EXPECT_THAT(table, HasSubstr("only in head"));
  EXPECT_THAT(table, HasSubstr("new: only in head"));
}

TEST(Comparison, another_machine_and_other_facts_are_noted) {
  Report head = times(steady, steady);
  head.machine.cores = 64;
  head.facts[0].value = "/tmp (ext4)";
  head.interrupted = true;
  const auto notes = compared(times(steady, steady), head).notes;
  ASSERT_EQ(notes.size(), 3U);
  EXPECT_THAT(notes[0], StartsWith("not the same machine"));
  EXPECT_EQ(notes[1], "source differs: /dev/shm (tmpfs); now /tmp (ext4)");
  EXPECT_THAT(notes[2], StartsWith("head was interrupted"));
  EXPECT_THAT(compared(times(steady, steady), times(steady, steady)).notes, IsEmpty());
}

TEST(Comparison, json_says_the_same) {
  const auto document =
      nlohmann::json::parse(to_json(compared(times(steady, steady), times(slower_by_a_half, steady))));
  EXPECT_EQ(document.at("regressed"), true);
  EXPECT_EQ(document.at("regressed_counts"), false);
  EXPECT_EQ(document.at("changes").at(0).at("verdict"), "regressed");
  EXPECT_EQ(document.at("changes").at(1).at("verdict"), "unchanged");
  EXPECT_EQ(document.at("changes").at(0).at("confidence_95").size(), 2U);
}

TEST(JoinedReports, have_the_runs_of_all) {
  const auto all = joined({times({1, 2}, {5}), times({3}, {6})});
  ASSERT_TRUE(all) << all.error();
  EXPECT_EQ(all->groups[0].result.contenders[0].runs.size(), 3U);
  EXPECT_EQ(all->groups[0].result.contenders[1].runs.size(), 2U);
}

TEST(JoinedReports, counts_that_change_from_run_to_run_are_refused) {
  EXPECT_TRUE(joined({sample_counts(4), sample_counts(4)}));
  EXPECT_THAT(joined({sample_counts(4), sample_counts(5)}).error(),
              HasSubstr("'openat': counts that should not change"));
}

TEST(JoinedReports, one_failure_fails_the_contender) {
  Report second = times({3}, {6});
  second.groups[0].result.contenders[0] = timed("ferry cp", {});
  second.groups[0].result.contenders[0].failure = "killed";
  const auto all = joined({times({1, 2}, {5}), second, times({1, 2}, {5})});
  ASSERT_TRUE(all) << all.error();
  EXPECT_EQ(all->groups[0].result.contenders[0].failure, "killed");
  EXPECT_TRUE(all->groups[0].result.contenders[0].runs.empty());
}

TEST(JoinedReports, different_measurements_are_refused) {
  EXPECT_THAT(joined({times({1}, {2}), sample_counts(4)}).error(), StartsWith("runs of different measurements"));
  Report other = times({1}, {2});
  other.groups[0].name = "another";
  EXPECT_FALSE(joined({times({1}, {2}), other}));
  other = times({1}, {2});
  other.groups[0].units_per_run = 9;
  EXPECT_FALSE(joined({times({1}, {2}), other}));
  EXPECT_FALSE(joined({}));
}

}  // namespace
}  // namespace ferry::bench
