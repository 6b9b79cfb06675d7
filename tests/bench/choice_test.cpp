// Asking a person what to measure.
#include <gmock/gmock.h>

#include <deque>

#include "bench/choice.hpp"

namespace ferry::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ChoiceTest : public ::testing::Test {
 protected:
  // The names that are left when these lines are typed, and then the input ends; or why none is.
  std::vector<std::string> choose(std::deque<std::string> lines) {
    shown_.clear();
    Plan plan;
    for (const char* name : {"small", "middle", "large", "huge"}) {
      plan.groups.push_back({.name = name, .can_run = {}, .measure = {}});
    }
    const auto chosen = choose_by_asking(std::move(plan), [&](std::string_view text) -> std::optional<std::string> {
      shown_.emplace_back(text);
      if (lines.empty()) {
        return std::nullopt;
      }
      std::string line = lines.front();
      lines.pop_front();
      return line;
    });
    if (!chosen) {
      return {chosen.error()};
    }
    std::vector<std::string> names;
    for (const PlannedGroup& group : chosen->groups) {
      names.push_back(group.name);
    }
    return names;
  }

  std::vector<std::string> shown_;
};

TEST_F(ChoiceTest, groups_are_listed_by_number) {
  (void)choose({""});
  EXPECT_THAT(shown_, ElementsAre(HasSubstr("  1  small\n  2  middle\n  3  large\n  4  huge\n")));
}

TEST_F(ChoiceTest, numbers_and_ranges_keep_the_order_and_an_empty_line_keeps_all) {
  EXPECT_THAT(choose({"3"}), ElementsAre("large"));
  EXPECT_THAT(choose({"4, 1"}), ElementsAre("small", "huge"));
  EXPECT_THAT(choose({"2-3,1 2"}), ElementsAre("small", "middle", "large"));
  EXPECT_THAT(choose({""}), ElementsAre("small", "middle", "large", "huge"));
  EXPECT_THAT(choose({" \t,"}), ElementsAre("small", "middle", "large", "huge"));
}

TEST_F(ChoiceTest, what_cannot_be_understood_is_asked_again_and_then_nothing_is_measured) {
  for (const char* wrong :
       {"0", "5", "3-2", "1-", "-2", "1-5", "two", "1;2", "99999999999999999999", "1--2", "\033[31m"}) {
    EXPECT_THAT(choose({wrong, "2"}), ElementsAre("middle")) << wrong;
    EXPECT_EQ(shown_.size(), 2U) << wrong;
    EXPECT_THAT(choose({wrong, wrong, wrong, "2"}), ElementsAre("nothing was chosen"));
    EXPECT_EQ(shown_.back().find('\033'), std::string::npos) << "an escape sequence would reach the terminal";
  }
  EXPECT_THAT(choose({}), ElementsAre("nothing was chosen"));
  EXPECT_THAT(choose({"x"}), ElementsAre("nothing was chosen"));
}

}  // namespace
}  // namespace ferry::bench
