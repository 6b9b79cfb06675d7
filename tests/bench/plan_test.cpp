#include "bench/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/suites.hpp"

namespace ferry::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A plan of groups that write down what is asked of them.
class PlanTest : public ::testing::Test {
 protected:
  PlannedGroup group(const std::string& name) {
    return {.name = name,
            .can_run = [this, name]() -> Outcome<void> {
              diary_ += "ask " + name + '\n';
              return {};
            },
            .measure = [this, name](const Session&) -> Outcome<Group> {
              diary_ += "measure " + name + '\n';
              return Group{.name = name};
            }};
  }
  Plan plan() { return {.report = {}, .groups = {group("file: 1 MB"), group("file: 10 MB")}}; }

  Outcome<Report> run(const Plan& plan) {
    return carry_out(plan, {.tell = [](std::string_view) {}, .interrupted = interrupted_});
  }

  std::string diary_;
  std::atomic<bool> interrupted_{false};
};

TEST_F(PlanTest, all_groups_are_asked_before_any_is_measured) {
  const auto report = run(plan());
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ(diary_, "ask file: 1 MB\nask file: 10 MB\nmeasure file: 1 MB\nmeasure file: 10 MB\n");
  EXPECT_EQ(report->groups.size(), 2U);
  EXPECT_FALSE(report->interrupted);
}

TEST_F(PlanTest, nothing_is_measured_if_one_group_cannot_run) {
  Plan impossible = plan();
  impossible.groups[1].can_run = []() -> Outcome<void> { return std::unexpected("not enough space"); };
  EXPECT_EQ(run(impossible).error(), "not enough space");
  EXPECT_EQ(diary_, "ask file: 1 MB\n");
}

TEST_F(PlanTest, a_group_that_fails_later_leaves_what_was_measured_before_and_a_mark) {
  Plan failing = plan();
  failing.groups[1].measure = [](const Session&) -> Outcome<Group> { return std::unexpected("the disk is on fire"); };
  failing.groups.push_back(group("never"));
  const auto report = run(failing);
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ(report->groups.size(), 1U);
  EXPECT_TRUE(report->interrupted);
  EXPECT_EQ(report->facts.back().value, "file: 10 MB: the disk is on fire");
  EXPECT_THAT(diary_, ::testing::Not(HasSubstr("measure never")));
}

TEST_F(PlanTest, an_error_of_the_first_group_is_the_error) {
  Plan failing = plan();
  failing.groups[0].measure = [](const Session&) -> Outcome<Group> { return std::unexpected("the disk is on fire"); };
  EXPECT_EQ(run(failing).error(), "the disk is on fire");
}

TEST_F(PlanTest, interruption_ends_the_plan_and_keeps_what_is_there) {
  Plan interrupted = plan();
  interrupted.groups[0].measure = [this](const Session&) -> Outcome<Group> {
    interrupted_ = true;
    Group partial{.name = "file: 1 MB"};
    partial.result.interrupted = true;
    return partial;
  };
  const auto report = run(interrupted);
  ASSERT_TRUE(report) << report.error();
  EXPECT_TRUE(report->interrupted);
  EXPECT_EQ(report->groups.size(), 1U);
  EXPECT_THAT(diary_, ::testing::Not(HasSubstr("measure")));
}

TEST_F(PlanTest, interruption_before_anything_was_measured_is_an_empty_report) {
  Plan interrupted = plan();
  interrupted.groups[0].measure = [this](const Session&) -> Outcome<Group> {
    interrupted_ = true;
    return std::unexpected("interrupted");
  };
  const auto report = run(interrupted);
  ASSERT_TRUE(report) << report.error();
  EXPECT_TRUE(report->interrupted);
  EXPECT_TRUE(report->groups.empty());
}

TEST_F(PlanTest, an_expression_chooses_groups_by_name) {
  EXPECT_EQ(choose_groups(plan(), "")->groups.size(), 2U);
  const auto chosen = choose_groups(plan(), " 1 ");
  ASSERT_TRUE(chosen) << chosen.error();
  ASSERT_EQ(chosen->groups.size(), 1U);
  EXPECT_EQ(chosen->groups[0].name, "file: 1 MB");
}

TEST_F(PlanTest, an_expression_that_chooses_nothing_is_answered_by_what_there_is) {
  EXPECT_EQ(choose_groups(plan(), "100").error(),
            "nothing to measure matches '100'; there is: file: 1 MB; file: 10 MB");
}

std::vector<std::string> names_of(const Plan& plan) {
  std::vector<std::string> names;
  for (const PlannedGroup& group : plan.groups) {
    names.push_back(group.name);
  }
  return names;
}

TEST(Plans, warm_and_cold_are_groups_of_their_own) {
  SuiteOptions options;
  options.caches = {Caches::warm, Caches::cold};
  EXPECT_THAT(names_of(plan_file({.sizes_bytes = {1'000'000}, .durable = true, .methods = {}}, options)),
              ElementsAre("file: 1 MB, made durable", "file: 1 MB, made durable, cold"));
  EXPECT_THAT(names_of(plan_trees({preset_tree("flat").value()}, options)),
              ElementsAre("trees: 100 000 files of 1 KiB in one directory, -a",
                          "trees: 100 000 files of 1 KiB in one directory, -a, cold"));
}

TEST(Plans, copy_range_compares_at_four_sizes_and_by_chunk_size) {
  EXPECT_THAT(names_of(plan_copy_range({}, {})),
              ElementsAre("copy-range: 1 MB, kernel against fallback", "copy-range: 10 MB, kernel against fallback",
                          "copy-range: 100 MB, kernel against fallback", "copy-range: 1 GB, kernel against fallback",
                          "copy-range: 100 MB, fallback by chunk size"));
}

TEST(Plans, a_source_that_is_gone_or_too_large_is_said_before_anything_is_made) {
  const Plan gone = plan_trees({{.title = "gone", .source = "/nowhere", .generate = {}}}, {});
  EXPECT_EQ(gone.groups.at(0).can_run().error(), "cannot read '/nowhere': No such file or directory");
  const FileSet many{.files = 1'000'000'000, .file_bytes = 1'000'000, .directories = 1};
  const Plan large = plan_trees({{.title = "large", .source = {}, .generate = many}}, {});
  EXPECT_THAT(large.groups.at(0).can_run().error(), HasSubstr("not enough space in '/dev/shm'"));
}

TEST(Plans, an_unknown_preset_is_none) {
  EXPECT_FALSE(preset_tree("unknown"));
  for (const std::string& name : preset_names()) {
    EXPECT_TRUE(preset_tree(name)) << name;
  }
}

}  // namespace
}  // namespace ferry::bench
