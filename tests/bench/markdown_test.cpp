#include "bench/markdown.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/sample_report.hpp"

namespace ferry::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Markdown, has_what_the_numbers_rest_on_and_a_table) {
  const std::string text = to_markdown(sample_report(), "charts/job.svg");
  EXPECT_THAT(text, HasSubstr("## job\n\n- source: /dev/shm (tmpfs)\n"));
  EXPECT_THAT(text, HasSubstr("- versions: ferry cp 1.0; cp 1.0; wrong 1.0\n"));
  EXPECT_THAT(text, HasSubstr("- machine: 2 cores, 1.0 GiB memory, Linux 6.1, load 0.50\n"));
  EXPECT_THAT(text, HasSubstr("    ferry bench tree --rounds 3\n\n![job](charts/job.svg)\n\n"));
  EXPECT_THAT(text, HasSubstr("| **ferry cp** | 11.00 | 1 |  | 10.00 - 12.00 | 91 | 45% | 2.0 MiB |\n"
                              "| cp | 22.00 | 2.00x | - | 21.00 - 30.00 | 45 | 50% | 2.0 MiB |\n\n"
                              "- wrong failed: wrong copy: 'x' differs\n"
                              "- not installed: bun cpSync\n"));
}

TEST(Markdown, names_cannot_change_the_table) {
  Report report = sample_report();
  report.groups[0].result.contenders[1].name = "a|b<img>*c*\n";
  EXPECT_THAT(to_markdown(report, ""), HasSubstr(R"(| a\|b&lt;img>\*c\*  | 22.00)"));
}

TEST(Markdown, counts_are_a_table_of_their_own) {
  EXPECT_THAT(to_markdown(sample_counts(4), ""), HasSubstr("| system calls per file | ferry cp |\n|---|--:|\n"
                                                           "| openat | 4 |\n| read | 1 |\n"));
}

TEST(Markdown, jobs_with_published_figures_are_lines_of_one_table) {
  Report report = sample_report();
  report.groups[0].published = {{.name = "somebody", .least_seconds = 0.022, .most_seconds = 0.022}};
  report.groups.push_back({.name = "alone"});
  report.groups[1].result.contenders = {timed("ferry flush", {5})};
  const std::string text = to_markdown(report, "");
  EXPECT_THAT(text, HasSubstr("|  | ferry | floor | ferry / floor | 95% interval | somebody | / ferry |\n"));
  EXPECT_THAT(text, HasSubstr("| job | 11.0 ms | 22.0 ms | 0.50x |  | 22.0 ms | 2.0x |\n"
                              "| alone | 5.00 ms |  |  |  |  |  |\n"));
  EXPECT_THAT(text, HasSubstr("- job: wrong failed: wrong copy: 'x' differs\n"));
  EXPECT_THAT(text, Not(HasSubstr("###")));
}

TEST(Markdown, the_summary_has_a_line_for_each_timed_group) {
  Report titled = sample_report();
  titled.title = "small | tree";
  auto& contenders = titled.groups[0].result.contenders;
  contenders.push_back(timed("ferry cp --inplace", {33}));
  contenders.back().version = "ferry 0.1.0";
  contenders.push_back(timed("rsync", {1100, 1100}));
  const std::string text = summary_markdown(std::vector{titled, sample_counts(4), sample_report()});
  EXPECT_EQ(
      text,
      "| job | ferry | rivals: time, and how many times ferry's |\n|---|---|---|\n"
      "| small \\| tree | ferry cp 11.0 ms; ferry cp --inplace 33.0 ms | cp 22.0 ms, 2.00x; rsync 1.10 s, 100.00x |\n"
      "| job | ferry cp 11.0 ms | cp 22.0 ms, 2.00x |\n");
}

TEST(Markdown, the_summary_does_not_call_a_difference_what_is_none) {
  Report report = sample_report();
  report.groups[0].result.contenders = {timed("ferry cp", {100, 110, 104, 98, 106}),
                                        timed("cp", {101, 99, 109, 105, 103})};
  EXPECT_THAT(summary_markdown({&report, 1}), HasSubstr("cp 103 ms, no difference shown"));
  EXPECT_THAT(to_markdown(report, ""), Not(HasSubstr("0.99x")));
}

}  // namespace
}  // namespace ferry::bench
