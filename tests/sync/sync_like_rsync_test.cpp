// What generated comparisons with rsync (tests/peers/sync_oracle) have shown once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <ferry/sync.hpp>

#include <filesystem>
#include <string>

#include "sync/sync_tree.hpp"

namespace ferry::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::UnorderedElementsAre;

TEST(SyncLikeRsync, deletions_after_the_copies_spare_what_was_moved_here) {
  for (const DeleteMode mode : {DeleteMode::before, DeleteMode::during, DeleteMode::delay, DeleteMode::after}) {
    const SyncTree tree;
    SyncTree::put(tree.source("d/f"), "only here");
    SyncTree::put(tree.destination("d/gone"), "gone");
    SyncOptions options = archive();
    options.delete_mode = mode;
    options.remove_source_files = true;
    EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
    EXPECT_FALSE(fs::exists(tree.source("d/f")));
    ASSERT_TRUE(fs::exists(tree.destination("d/f"))) << "lost, with mode " << static_cast<int>(mode);
    EXPECT_EQ(read_file(tree.destination("d/f")), "only here");
    EXPECT_FALSE(fs::exists(tree.destination("d/gone")));
  }
}

TEST(SyncLikeRsync, names_of_a_file_stay_one_file_when_they_are_moved) {
  const SyncTree tree;
  SyncTree::put(tree.source("a"), "content");
  fs::create_hard_link(tree.source("a"), tree.source("b"));
  fs::create_hard_link(tree.source("a"), tree.source("c"));
  SyncOptions options = archive();
  options.hard_links = true;
  options.remove_source_files = true;
  options.jobs = 1;
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_EQ(fs::hard_link_count(tree.destination("a")), 3U);
  EXPECT_FALSE(fs::exists(tree.source("c")));
}

TEST(SyncLikeRsync, names_of_a_file_stay_one_file_when_the_first_is_kept_as_it_is) {
  const SyncTree tree;
  SyncTree::put(tree.source("a"), "content");
  fs::create_hard_link(tree.source("a"), tree.source("b"));
  fs::create_hard_link(tree.source("a"), tree.source("c"));
  for (const char* kept : {"a", "b", "c"}) {
    fs::remove_all(tree.destination(""));
    SyncTree::put(tree.destination(kept), "kept");
    SyncOptions options = archive();
    options.hard_links = true;
    options.ignore_existing = true;
    EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
    EXPECT_EQ(read_file(tree.destination(kept)), "kept");
    EXPECT_EQ(fs::hard_link_count(tree.destination(kept)), 1U);
    EXPECT_EQ(fs::hard_link_count(tree.destination(std::string(kept) == "a" ? "b" : "a")), 2U);
  }
}

TEST(SyncLikeRsync, names_of_a_file_that_another_tree_has_are_left_out) {
  const SyncTree tree;
  SyncTree::put(tree.source("a"), "content", 5);
  fs::create_hard_link(tree.source("a"), tree.source("b"));
  for (const char* name : {"a", "b"}) {
    SyncTree::put(tree.path(std::string("basis/") + name), "content", 5);
  }
  SyncOptions options = archive();
  options.hard_links = true;
  options.basis = {{BasisDirectory::Kind::compare, tree.path("basis")}};
  const Outcome outcome = tree.sync(options);
  EXPECT_EQ(outcome.exit, SyncExit::success);
  EXPECT_FALSE(fs::exists(tree.destination("a")));
  EXPECT_FALSE(fs::exists(tree.destination("b")));
}

TEST(SyncLikeRsync, an_exact_match_in_another_tree_takes_the_place_of_what_is_there) {
  const SyncTree tree;
  SyncTree::put(tree.source("f"), "content", 5);
  SyncTree::put(tree.path("basis/f"), "content", 5);
  SyncOptions options = archive();
  options.basis = {{BasisDirectory::Kind::link, tree.path("basis")}};
  SyncTree::put(tree.destination("f"), "old");
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_EQ(fs::hard_link_count(tree.destination("f")), 2U);
  options.basis.front().kind = BasisDirectory::Kind::compare;
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_FALSE(fs::exists(tree.destination("f")));
  EXPECT_EQ(read_file(tree.path("basis/f")), "content");
}

TEST(SyncLikeRsync, a_copy_from_another_tree_has_the_sources_attributes) {
  const SyncTree tree;
  SyncTree::put(tree.source("f"), "content", 5);
  SyncTree::put(tree.path("basis/f"), "content", 5);
  if (::setxattr(tree.path("basis/f").c_str(), "user.other", "x", 1, 0) != 0) {
    GTEST_SKIP() << "no attributes of users here";
  }
  SyncOptions options = archive();
  options.xattrs = true;
  options.basis = {{BasisDirectory::Kind::copy, tree.path("basis")}};
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_EQ(read_file(tree.destination("f")), "content");
  EXPECT_LT(::getxattr(tree.destination("f").c_str(), "user.other", nullptr, 0), 0);
}

TEST(SyncLikeRsync, the_patterns_of_cvs_hide_from_the_sender) {
  const SyncTree tree;
  for (const char* name : {"a.c", "a.o", "d/x~", "core"}) {
    SyncTree::put(tree.source(name), name);
  }
  SyncOptions options = archive();
  options.filters = {{FilterArgument::Kind::cvs_exclude, "", false}};
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_THAT(SyncTree::names_below(tree.destination("")), UnorderedElementsAre("a.c", "d"));
}

TEST(SyncLikeRsync, a_file_is_kept_where_a_directory_is_to_be_and_nothing_old_may_change) {
  const SyncTree tree;
  SyncTree::put(tree.source("d/f"), "f");
  SyncTree::put(tree.destination("d"), "old");
  SyncOptions options = archive();
  options.ignore_existing = true;
  EXPECT_EQ(tree.sync(options).exit, SyncExit::partial);
  EXPECT_EQ(read_file(tree.destination("d")), "old");
}

TEST(SyncLikeRsync, a_list_names_paths_inside_the_source_only) {
  const SyncTree tree;
  SyncTree::put(tree.source("d/f"), "f");
  SyncTree::put(tree.path("outside/f"), "secret");
  fs::create_directory_symlink("../outside", tree.source("link"));
  SyncOptions options = archive();
  options.recursive = false;
  options.relative = true;
  options.dirs = true;
  options.files = {{"d/./f", "link/./f"}};
  const Outcome outcome = SyncTree::sync({tree.source("")}, tree.destination(""), options);
  EXPECT_EQ(outcome.exit, SyncExit::partial);
  EXPECT_THAT(SyncTree::names_below(tree.destination("")), UnorderedElementsAre("f"));
  EXPECT_EQ(read_file(tree.destination("f")), "f");
}

TEST(SyncLikeRsync, a_listed_name_that_is_not_there_does_not_keep_deletions_from_being_made) {
  const SyncTree tree;
  SyncTree::put(tree.source("d/f"), "f");
  SyncTree::put(tree.destination("d/gone"), "gone");
  SyncOptions options = archive();
  options.relative = true;
  options.files = {{"d", "missing"}};
  options.delete_mode = DeleteMode::during;
  EXPECT_EQ(SyncTree::sync({tree.source("")}, tree.destination(""), options).exit, SyncExit::partial);
  EXPECT_FALSE(fs::exists(tree.destination("d/gone")));
  // A source whose contents are asked for does.
  SyncTree::put(tree.destination("gone"), "gone");
  options.files.reset();
  options.relative = false;
  EXPECT_EQ(SyncTree::sync({tree.source(""), tree.path("missing/")}, tree.destination(""), options).exit,
            SyncExit::partial);
  EXPECT_TRUE(fs::exists(tree.destination("gone")));
}

}  // namespace
}  // namespace ferry::testing
