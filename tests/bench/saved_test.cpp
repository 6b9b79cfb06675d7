// `ferry bench compare` and `ferry bench report` as people run them, and where the reports of suites go.
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "bench/page.hpp"
#include "bench/process.hpp"
#include "bench/report_json.hpp"
#include "bench/sample_report.hpp"
#include "bench/scratch.hpp"

namespace ferry::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class SavedTest : public ScratchTest {
 protected:
  static Outcome<std::string> bench(std::vector<std::string> words) {
    words.insert(words.begin(), {"ferry", "bench"});
    return output_of({.program = FERRY_BINARY, .words = words});
  }

  [[nodiscard]] std::string save(const std::string& name, const Report& report) const {
    write(path(name), to_json(report));
    return path(name);
  }

  [[nodiscard]] std::string save(const std::string& name, const std::vector<int>& ferry_milliseconds) const {
    Report report = sample_report();
    report.groups[0].result.contenders = {timed("ferry cp", ferry_milliseconds), timed("cp", {50, 50, 50, 50, 51})};
    return save(name, report);
  }

  [[nodiscard]] std::string text_of(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(path(name), std::ios::binary).rdbuf();
    return text.str();
  }
};

TEST_F(SavedTest, compare_exits_0_without_a_regression_and_1_with_one) {
  const std::string base = save("base.json", {100, 101, 102, 103, 104});
  const std::string head = save("head.json", {120, 121, 122, 123, 124});
  const auto same = bench({"compare", base, base});
  ASSERT_TRUE(same) << same.error();
  EXPECT_THAT(*same, HasSubstr("+0.0%"));
  const auto slower = bench({"compare", base, head});
  ASSERT_FALSE(slower);
  EXPECT_THAT(slower.error(), HasSubstr("exit status 1"));
  EXPECT_TRUE(bench({"compare", base, head, "--threshold", "25%"}));
  EXPECT_TRUE(bench({"compare", base, head, "--fail-on", "counts"}));
  EXPECT_TRUE(bench({"compare", head, base}));
}

TEST_F(SavedTest, compare_fails_on_counts_alone_where_asked_to) {
  const auto more = bench(
      {"compare", save("base.json", sample_counts(4)), save("head.json", sample_counts(5)), "--fail-on", "counts"});
  ASSERT_FALSE(more);
  EXPECT_THAT(more.error(), HasSubstr("exit status 1"));
}

TEST_F(SavedTest, compare_puts_the_runs_of_a_directory_together) {
  for (const int run : {1, 2, 3, 4, 5}) {
    (void)save("base/" + std::to_string(run) + ".json", {100 + run});
    (void)save("head/" + std::to_string(run) + ".json", {200 + run});
  }
  const auto slower = bench({"compare", path("base"), path("head")});
  ASSERT_FALSE(slower);
  EXPECT_THAT(slower.error(), HasSubstr("exit status 1"));
}

TEST_F(SavedTest, compare_prints_json_or_writes_it_besides_the_table) {
  const std::string base = save("base.json", {100, 101, 102, 103, 104});
  const auto printed = bench({"compare", base, base, "--json"});
  ASSERT_TRUE(printed) << printed.error();
  EXPECT_EQ(nlohmann::json::parse(*printed).at("regressed"), false);
  const auto besides = bench({"compare", base, base, "--json", path("changes.json")});
  ASSERT_TRUE(besides) << besides.error();
  EXPECT_THAT(*besides, HasSubstr("ferry cp"));
  EXPECT_TRUE(nlohmann::json::accept(text_of("changes.json")));
}

TEST_F(SavedTest, bad_input_is_status_2_with_the_reason) {
  const std::string good = save("good.json", {100, 101, 102, 103, 104});
  write(path("cut.json"), to_json(sample_report()).substr(0, 900));
  write(path("old.json"), R"({"schema": 1, "ferry_version": "0.1.0"})");
  write(path("foreign.json"), R"({"name": "package"})");
  std::filesystem::create_directory(path("empty"));
  const std::vector<std::pair<std::vector<std::string>, const char*>> all = {
      {{"compare", good, path("none.json")}, "No such file or directory"},
      {{"compare", path("cut.json"), good}, "not JSON, or cut off"},
      {{"compare", path("old.json"), good}, "its schema is 1"},
      {{"compare", path("foreign.json"), good}, "not written by ferry bench"},
      {{"compare", path("empty"), good}, "no *.json in"},
      {{"compare", good, save("counts.json", sample_counts(4))}, "nothing to compare"},
      {{"compare", good, good, "--json", path("none") / "x.json"}, "cannot write"},
      {{"compare", good}, "HEAD is required"},
      {{"compare", good, good, "--threshold", "much"}, "a threshold is from 0% to 1000%"},
      {{"compare", good, good, "--threshold", "-5%"}, "a threshold is from 0% to 1000%"},
      {{"compare", good, good, "--threshold", "nan"}, "a threshold is from 0% to 1000%"},
      {{"compare", good, good, "--fail-on", "never"}, "fail-on"},
      {{"report"}, "FILE is required"},
      {{"report", path("cut.json")}, "not JSON, or cut off"},
      {{"report", good, "--markdown", "--summary"}, "excludes"},
      {{"report", good, "--charts", "charts"}, "requires --markdown"},
      {{"report", good, "--html", path("none") / "x.html"}, "cannot write"},
      {{"tree", "--copies", "1", "--json", path("none") / "x.json"}, "cannot write"},
      {{"tree", "--copies", "1", "--html", path("empty")}, "cannot write"}};
  for (const auto& [words, reason] : all) {
    if (page_template.empty() && std::ranges::find(words, "--html") != words.end()) {
      continue;  // then the missing page is the reason; see page_test.cpp
    }
    const auto output = bench(words);
    ASSERT_FALSE(output) << words[0] << ' ' << words.back();
    EXPECT_THAT(output.error(), AllOf(HasSubstr("exit status 2"), HasSubstr(reason))) << words.back();
  }
}

TEST_F(SavedTest, a_suite_writes_json_that_report_and_compare_read) {
  const auto table = bench({"tree", "--copies", "5", "--rounds", "5", "--peers", "std", "--json", path("run.json"),
                            "--title", "five copies"});
  ASSERT_TRUE(table) << table.error();
  const auto again = bench({"report", path("run.json")});
  ASSERT_TRUE(again) << again.error();
  EXPECT_EQ(*again, *table);
  EXPECT_THAT(*again, HasSubstr("repeat with  ferry bench tree --copies 5 --rounds 5 --peers std\n"));
  EXPECT_TRUE(bench({"compare", path("run.json"), path("run.json")}));
  const auto summary = bench({"report", path("run.json"), "--summary"});
  ASSERT_TRUE(summary) << summary.error();
  EXPECT_THAT(*summary, HasSubstr("| five copies | "));
}

TEST_F(SavedTest, html_is_one_page_with_the_reports) {
  if (page_template.empty()) {
    GTEST_SKIP() << "ferry was built without the page: npm's packages were missing";
  }
  const std::string good = save("good.json", {100, 101, 102, 103, 104});
  const auto written = bench({"report", good, good, "--html", path("page.html")});
  ASSERT_TRUE(written) << written.error();
  EXPECT_THAT(text_of("page.html"), StartsWith("<!doctype html>"));
  EXPECT_THAT(text_of("page.html"), HasSubstr("\"suite\": \"tree\""));
}

}  // namespace
}  // namespace ferry::bench
