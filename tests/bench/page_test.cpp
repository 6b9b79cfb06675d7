#include "bench/page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "bench/sample_report.hpp"

namespace ferry::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view small_page = R"(<script type="application/json">/*REPORTS*/</script>)";

std::string json_of(const std::string& page) {
  const std::size_t begin = page.find('>') + 1;
  return page.substr(begin, page.find("</script>") - begin);
}

TEST(Page, holds_the_reports_as_json) {
  const std::vector<Report> reports = {sample_report(), sample_counts(4)};
  const auto page = to_page(reports, small_page);
  ASSERT_TRUE(page) << page.error();
  const auto list = nlohmann::json::parse(json_of(*page));
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].at("groups").at(0).at("contenders").at(1).at("name"), "cp");
  EXPECT_EQ(list[1].at("suite"), "counts");
}

TEST(Page, names_cannot_end_the_script_they_are_in) {
  Report report = sample_report();
  report.groups[0].name = "</script><script>alert(1)</script><!--";
  const auto page = to_page({&report, 1}, small_page);
  ASSERT_TRUE(page) << page.error();
  EXPECT_THAT(*page, Not(HasSubstr("alert(1)</")));
  EXPECT_EQ(nlohmann::json::parse(json_of(*page))[0].at("groups").at(0).at("name"), report.groups[0].name);
}

TEST(Page, a_ferry_built_without_it_says_what_to_install) {
  const Report report = sample_report();
  const auto page = to_page({&report, 1}, "");
  ASSERT_FALSE(page);
  EXPECT_THAT(page.error(), HasSubstr("apt-get install nodejs npm"));
}

TEST(Page, loads_nothing_and_names_the_licences_of_what_it_contains) {
  if (page_template.empty()) {
    GTEST_SKIP() << "ferry was built without the page: npm's packages were missing";
  }
  EXPECT_THAT(page_template, HasSubstr("default-src 'none'"));
  EXPECT_THAT(page_template, HasSubstr("@observablehq/plot"));
  EXPECT_THAT(page_template, HasSubstr("Permission to use, copy, modify"));
  for (const char* loading : {"<script src", "<link rel=\"stylesheet\"", "@import", "url(http"}) {
    EXPECT_THAT(page_template, Not(HasSubstr(loading)));
  }
}

}  // namespace
}  // namespace ferry::bench
