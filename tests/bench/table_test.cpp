#include "bench/table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/sample_report.hpp"

namespace ferry::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Report, ratio_is_that_of_the_medians_to_the_first_contender) {
  const Report report = sample_report();
  EXPECT_DOUBLE_EQ(time_ratio(report.groups[0].result, 1).value().value, 2.0);
  EXPECT_DOUBLE_EQ(time_ratio(report.groups[0].result, 0).value().value, 1.0);
  EXPECT_FALSE(time_ratio(report.groups[0].result, 2).has_value());
}

TEST(Report, nothing_is_compared_with_a_ferry_that_failed) {
  Report report = sample_report();
  report.groups[0].result.contenders[0].runs.clear();
  report.groups[0].result.contenders[0].failure = "exit status 1";
  EXPECT_FALSE(time_ratio(report.groups[0].result, 1).has_value());
}

TEST(Table, is_aligned_and_names_everything) {
  const std::string table = to_table(sample_report());
  EXPECT_THAT(table,
              HasSubstr("contender  median ms  time/ferry  95% interval    min    max    MAD  runs/s  /s/core  user  "
                        "system  total      RSS\n"
                        "ferry cp       11.00       1.00x                10.00  12.00  1.000      91      200   45%  "
                        "    0%    45%  2.0 MiB\n"
                        "cp             22.00       2.00x                21.00  30.00  1.000      45       91   50%  "
                        "    0%    50%  2.0 MiB\n"
                        "wrong      FAILED: wrong copy: 'x' differs\n"
                        "missing: bun cpSync - brought by bun (npm)"));
  EXPECT_THAT(table, HasSubstr("repeat with  ferry bench tree --rounds 3\n"));
  EXPECT_THAT(table, HasSubstr("versions     ferry cp 1.0\n             cp 1.0\n             wrong 1.0\n"));
  EXPECT_THAT(table, HasSubstr("source       /dev/shm (tmpfs)\n"));
  EXPECT_THAT(table, HasSubstr("fewer than 5 rounds"));
  EXPECT_THAT(table, Not(HasSubstr("INTERRUPTED")));
  EXPECT_THAT(table, Not(HasSubstr("\x1b")));
}

TEST(Table, gives_the_interval_of_the_ratio_and_says_when_no_difference_is_shown) {
  Report report = sample_report();
  auto& contenders = report.groups[0].result.contenders;
  contenders[0] = timed("ferry cp", {100, 110, 104, 98, 106});
  contenders[1] = timed("cp", {101, 99, 109, 105, 103});
  EXPECT_THAT(to_table(report), HasSubstr("0.99x ~"));
  EXPECT_THAT(to_table(report), HasSubstr("~ no difference shown"));
  contenders[1] = timed("cp", {201, 199, 209, 205, 203});
  EXPECT_THAT(to_table(report), HasSubstr("     1.95x     1.85-2.09"));
  EXPECT_THAT(to_table(report), Not(HasSubstr("no difference shown")));
}

TEST(Table, marks_a_round_that_differs_much_from_the_others) {
  Report report = sample_report();
  report.groups[0].result.contenders[1] = timed("cp", {20, 21, 22, 20, 90});
  EXPECT_THAT(to_table(report), HasSubstr("1.000!"));
  EXPECT_THAT(to_table(report), HasSubstr("! a round differs much from the others"));
}

TEST(Table, leaves_columns_out_that_a_narrow_terminal_has_no_room_for) {
  for (const unsigned columns : {40U, 60U, 80U, 100U}) {
    const std::string table = to_table(sample_report(), {.colour = false, .columns = columns});
    const std::size_t begin = table.find("contender ");
    EXPECT_LE(table.find('\n', begin) - begin, columns);
    EXPECT_THAT(table, HasSubstr("median ms  time/ferry"));
  }
}

TEST(Table, has_colours_only_where_they_are_wanted) {
  const std::string table = to_table(sample_report(), {.colour = true, .columns = 0});
  EXPECT_THAT(table, HasSubstr("\x1b[31mwrong      FAILED: wrong copy: 'x' differs\x1b[m\n"));
}

TEST(Table, names_with_control_characters_cannot_write_on_the_terminal) {
  Report report = sample_report();
  report.groups[0].name = "job\x1b[2J";
  report.groups[0].result.contenders[1].name = "c\np\x1b[31m";
  EXPECT_THAT(to_table(report), Not(HasSubstr("\x1b")));
  EXPECT_THAT(to_table(report), HasSubstr("c p [31m"));
}

TEST(Table, times_per_unit_are_divided_by_the_units) {
  Report report = sample_report();
  report.groups[0].units_per_run = 1000;
  report.groups[0].unit = "copies";
  report.groups[0].time_per_unit = true;
  EXPECT_THAT(to_table(report), HasSubstr("median us"));
  EXPECT_THAT(to_table(report), HasSubstr("ferry cp       11.00"));
}

TEST(Table, interrupted_measurements_are_marked) {
  Report report = sample_report();
  report.interrupted = true;
  EXPECT_THAT(to_table(report), HasSubstr("INTERRUPTED"));
}

TEST(Table, jobs_with_published_figures_end_in_an_overview_of_ferry_its_floor_and_them) {
  Report report = sample_report();
  Group& group = report.groups[0];
  group.result.contenders = {timed("view", {11, 11, 11, 11, 11}), timed("pointer", {10, 10, 10, 10, 10})};
  group.units_per_run = 1'000'000;
  group.time_per_unit = true;
  group.published = {{.name = "somebody 1.0", .least_seconds = 22e-9, .most_seconds = 44e-9}};
  const std::string table = to_table(report);
  EXPECT_THAT(table, HasSubstr("somebody 1.0  22.0 ns - 44.0 ns, published\n"));
  EXPECT_THAT(table,
              HasSubstr("overview    ferry    floor  ferry/floor  95% interval       somebody 1.0       /ferry\n"
                        "job       11.0 ns  10.0 ns        1.10x   1.10 - 1.10  22.0 ns - 44.0 ns  2.0x - 4.0x\n"));
  EXPECT_THAT(to_table(sample_report()), Not(HasSubstr("overview")));
}

TEST(Table, counts_are_listed_without_times) {
  const std::string table = to_table(sample_counts(4));
  EXPECT_THAT(table, HasSubstr("system calls per file\nferry cp               openat 4.000, read 1.000\n"));
  EXPECT_THAT(table, Not(HasSubstr("median")));
}

}  // namespace
}  // namespace ferry::bench
