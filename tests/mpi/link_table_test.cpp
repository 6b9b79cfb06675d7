// Hard links across ranks: who copies, who links, and when.
#include <gtest/gtest.h>

#include <set>

#include "mpi/link_table.hpp"

namespace ferry::mpi {
namespace {

constexpr InodeIdentity inode{1, 42};

TEST(LinkTable, the_first_makes_the_copy_and_who_comes_later_links_to_it) {
  LinkTable table;
  const auto first = table.claim(inode, 3, 0, 100);
  ASSERT_EQ(first.size(), 1);
  EXPECT_EQ(first[0].answer, LinkAnswer::make);
  EXPECT_EQ(first[0].to, 0);
  EXPECT_EQ(first[0].claim, 100);
  EXPECT_TRUE(table.made(inode, {.path = "a"}, "x").empty());
  const auto second = table.claim(inode, 3, 1, 200);
  ASSERT_EQ(second.size(), 1);
  EXPECT_EQ(second[0].answer, LinkAnswer::link);
  EXPECT_EQ(second[0].to, 1);
  EXPECT_EQ(second[0].copy.path, "a");
  EXPECT_EQ(second[0].name, "x");
}

TEST(LinkTable, who_comes_meanwhile_is_answered_when_the_copy_is_there) {
  LinkTable table;
  (void)table.claim(inode, 3, 0, 1);
  EXPECT_TRUE(table.claim(inode, 3, 1, 2).empty());
  EXPECT_TRUE(table.claim(inode, 3, 2, 3).empty());
  const auto replies = table.made(inode, {}, "x");
  ASSERT_EQ(replies.size(), 2);
  EXPECT_EQ(replies[0].to, 1);
  EXPECT_EQ(replies[1].claim, 3);
  EXPECT_EQ(replies[1].answer, LinkAnswer::link);
}

TEST(LinkTable, an_inode_is_forgotten_when_all_its_names_have_been_seen) {
  LinkTable table;
  (void)table.claim(inode, 2, 0, 1);
  (void)table.made(inode, {}, "x");
  EXPECT_EQ(table.size(), 1);
  (void)table.claim(inode, 2, 1, 2);
  EXPECT_EQ(table.size(), 0);
}

TEST(LinkTable, after_a_failure_the_next_ones_try_anew) {
  LinkTable table;
  (void)table.claim(inode, 3, 0, 1);
  (void)table.claim(inode, 3, 1, 2);
  const auto replies = table.failed(inode);
  ASSERT_EQ(replies.size(), 1);
  EXPECT_EQ(replies[0].answer, LinkAnswer::again);
  EXPECT_EQ(replies[0].to, 1);
  EXPECT_EQ(table.claim(inode, 3, 1, 3)[0].answer, LinkAnswer::make);
}

TEST(LinkTable, inodes_are_spread_over_the_ranks) {
  std::set<int> homes;
  for (std::uint64_t number = 0; number < 1000; ++number) {
    const int home = LinkTable::home_of({5, number}, 7);
    ASSERT_GE(home, 0);
    ASSERT_LT(home, 7);
    homes.insert(home);
  }
  EXPECT_EQ(homes.size(), 7);
  EXPECT_EQ(LinkTable::home_of(inode, 1), 0);
}

}  // namespace
}  // namespace ferry::mpi
