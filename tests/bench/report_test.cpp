#include "bench/report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::bench {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

ContenderResult timed(const std::string& name, std::initializer_list<int> wall_milliseconds) {
  ContenderResult result{
      .name = name, .version = name + " 1.0", .command = name + " a b", .runs = {}, .failure = {}, .counts = {}};
  for (const int wall : wall_milliseconds) {
    Cost cost;
    cost.wall = milliseconds(wall);
    cost.user = milliseconds(wall / 2);
    cost.max_rss_bytes = std::uint64_t{2} << 20U;
    result.runs.push_back(cost);
  }
  return result;
}

Report sample() {
  Report report;
  report.suite = "tree";
  report.command = "ferry bench tree --rounds 3";
  report.machine = {.kernel = "Linux 6.1", .processor = "", .cores = 2, .memory_bytes = 1U << 30U, .load = 0.5};
  report.facts = {{"source", "/dev/shm (tmpfs)"}};
  report.groups.push_back({.name = "job"});
  JobResult& result = report.groups.front().result;
  result.contenders = {timed("ferry cp", {10, 12, 11}), timed("cp", {30, 22, 21})};
  ContenderResult wrong = timed("wrong", {});
  wrong.failure = "wrong copy: 'x' differs";
  result.contenders.push_back(wrong);
  result.missing = {{"bun cpSync", "bun (npm)"}};
  return report;
}

TEST(Report, ratio_is_that_of_the_medians_to_the_first_contender) {
  const Report report = sample();
  EXPECT_DOUBLE_EQ(time_ratio(report.groups[0].result, 1).value().value, 2.0);
  EXPECT_DOUBLE_EQ(time_ratio(report.groups[0].result, 0).value().value, 1.0);
  EXPECT_FALSE(time_ratio(report.groups[0].result, 2).has_value());
}

TEST(Report, nothing_is_compared_with_a_ferry_that_failed) {
  Report report = sample();
  report.groups[0].result.contenders[0].runs.clear();
  report.groups[0].result.contenders[0].failure = "exit status 1";
  EXPECT_FALSE(time_ratio(report.groups[0].result, 1).has_value());
}

TEST(Report, table_is_aligned_and_names_everything) {
  const std::string table = to_table(sample());
  EXPECT_THAT(
      table,
      HasSubstr("contender  median ms    min    max    MAD  runs/s  /s/core  user  system  total      RSS  time/ferry\n"
                "ferry cp       11.00  10.00  12.00  1.000      91      200   45%      0%    45%  2.0 MiB       1.00x\n"
                "cp             22.00  21.00  30.00  1.000      45       91   50%      0%    50%  2.0 MiB       2.00x\n"
                "wrong      FAILED: wrong copy: 'x' differs\n"
                "missing: bun cpSync - brought by bun (npm)"));
  EXPECT_THAT(table, HasSubstr("repeat with  ferry bench tree --rounds 3\n"));
  EXPECT_THAT(table, HasSubstr("versions     ferry cp 1.0\n             cp 1.0\n             wrong 1.0\n"));
  EXPECT_THAT(table, HasSubstr("source       /dev/shm (tmpfs)\n"));
  EXPECT_THAT(table, Not(HasSubstr("INTERRUPTED")));
}

TEST(Report, times_per_unit_are_divided_by_the_units) {
  Report report = sample();
  report.groups[0].units_per_run = 1000;
  report.groups[0].unit = "copies";
  report.groups[0].time_per_unit = true;
  EXPECT_THAT(to_table(report), HasSubstr("median us"));
  EXPECT_THAT(to_table(report), HasSubstr("ferry cp       11.00  10.00  12.00"));
}

TEST(Report, interrupted_measurements_are_marked) {
  Report report = sample();
  report.interrupted = true;
  EXPECT_THAT(to_table(report), HasSubstr("INTERRUPTED"));
  EXPECT_TRUE(nlohmann::json::parse(to_json(report)).at("interrupted").get<bool>());
}

TEST(Report, json_holds_runs_summaries_failures_and_the_missing) {
  const auto json = nlohmann::json::parse(to_json(sample()));
  EXPECT_EQ(json.at("schema"), json_schema_version);
  EXPECT_EQ(json.at("machine").at("cores"), 2);
  const auto& group = json.at("groups").at(0);
  const auto& contenders = group.at("contenders");
  EXPECT_EQ(contenders.at(0).at("status"), "ok");
  EXPECT_EQ(contenders.at(0).at("runs").size(), 3U);
  EXPECT_DOUBLE_EQ(contenders.at(0).at("wall_seconds").at("median").get<double>(), 0.011);
  EXPECT_DOUBLE_EQ(contenders.at(1).at("time_ratio_to_ferry").at("value").get<double>(), 2.0);
  EXPECT_EQ(contenders.at(2).at("status"), "failed");
  EXPECT_FALSE(contenders.at(2).contains("wall_seconds"));
  EXPECT_EQ(group.at("missing").at(0).at("name"), "bun cpSync");
}

TEST(Report, json_stays_valid_with_paths_that_are_not_utf8) {
  Report report = sample();
  report.facts.push_back({"source", "/tmp/\xff\xfe"});
  EXPECT_TRUE(nlohmann::json::accept(to_json(report)));
}

}  // namespace
}  // namespace ferry::bench
