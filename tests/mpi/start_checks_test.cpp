// Whether ranks see the same files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "mpi/start_checks.hpp"
#include "support/scratch.hpp"

namespace ferry::mpi {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class StartChecks : public ::testing::Test {
 protected:
  void SetUp() override { fs::create_directory(scratch_.path("s")); }
  [[nodiscard]] TreeOperand operand() const { return {scratch_.path("s"), scratch_.path("d")}; }
  testing::Scratch scratch_;
};

TEST_F(StartChecks, the_same_files_are_the_same) {
  const std::vector<TreeOperand> operands = {operand()};
  EXPECT_THAT(difference(look_at(operands), look_at(operands), true), IsEmpty());
}

TEST_F(StartChecks, another_source_is_found_out) {
  const std::vector<TreeOperand> operands = {operand()};
  const auto first = look_at(operands);
  fs::rename(scratch_.path("s"), scratch_.path("old"));
  EXPECT_THAT(difference(first, look_at(operands), true), HasSubstr("the source"));
  fs::create_directory(scratch_.path("s"));
  EXPECT_THAT(difference(first, look_at(operands), true), HasSubstr("the source"));
}

TEST_F(StartChecks, another_destination_is_found_out_by_its_parent) {
  const std::vector<TreeOperand> operands = {operand()};
  const auto first = look_at(operands);
  auto own = first;
  own[0].destination.inode += 1;
  EXPECT_THAT(difference(first, own, true), HasSubstr("the destination"));
  own = first;
  own[0].destination.device += 1;
  EXPECT_THAT(difference(first, own, true), HasSubstr("the destination"));
  EXPECT_THAT(difference(first, own, false), IsEmpty()) << "device numbers differ between machines";
  own = first;
  own[0].destination.born_ns = first[0].destination.born_ns + 1;
  if (first[0].destination.born_ns != 0) {
    EXPECT_THAT(difference(first, own, false), HasSubstr("the destination"));
  }
}

TEST_F(StartChecks, a_source_that_only_one_rank_has_is_found_out) {
  const std::vector<TreeOperand> operands = {{scratch_.path("nothing"), scratch_.path("d")}};
  const auto without = look_at(operands);
  EXPECT_THAT(difference(without, look_at(operands), true), IsEmpty()) << "the copy says that it is missing";
  std::ofstream(scratch_.path("nothing")) << "now";
  EXPECT_THAT(difference(without, look_at(operands), true), HasSubstr("the source"));
}

TEST_F(StartChecks, the_probe_is_found_where_it_was_made_and_is_gone_after) {
  const std::string probe = make_probe(operand());
  ASSERT_FALSE(probe.empty());
  EXPECT_TRUE(finds_probe(probe));
  remove_probe(probe);
  EXPECT_THAT(scratch_.names(), ::testing::ElementsAre("s"));
}

}  // namespace
}  // namespace ferry::mpi
