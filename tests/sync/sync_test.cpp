// What a sync makes of a destination, by option.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <ferry/sync.hpp>

#include <filesystem>
#include <string>

#include "support/fault_plan.hpp"
#include "sync/sync_tree.hpp"

namespace ferry::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST(Sync, copies_contents_for_a_trailing_slash_and_the_directory_without) {
  SyncTree tree;
  SyncTree::put(tree.source("d/f"), "f");
  EXPECT_EQ(SyncTree::sync({tree.path("source/")}, tree.path("a"), archive()).exit, SyncExit::success);
  EXPECT_EQ(SyncTree::sync({tree.path("source")}, tree.path("b"), archive()).exit, SyncExit::success);
  EXPECT_EQ(read_file(tree.path("a/d/f")), "f");
  EXPECT_EQ(read_file(tree.path("b/source/d/f")), "f");
}

TEST(Sync, gives_a_single_file_the_new_name) {
  SyncTree tree;
  SyncTree::put(tree.source("f"), "content");
  const Outcome outcome = SyncTree::sync({tree.source("f")}, tree.path("g"), archive());
  EXPECT_EQ(read_file(tree.path("g")), "content");
  EXPECT_TRUE(outcome.has_event(SyncAction::transferred, "f"));
  EXPECT_EQ(SyncTree::sync({tree.source("f")}, tree.path("h/"), archive()).exit, SyncExit::success);
  EXPECT_EQ(read_file(tree.path("h/f")), "content");
}

TEST(Sync, refuses_a_file_as_destination_of_a_directory) {
  SyncTree tree;
  SyncTree::put(tree.source("f"), "content");
  SyncTree::put(tree.path("file"), "old");
  EXPECT_EQ(SyncTree::sync({tree.source("")}, tree.path("file"), archive()).exit, SyncExit::file_selection);
  EXPECT_EQ(read_file(tree.path("file")), "old");
}

TEST(Sync, takes_an_entry_of_several_sources_from_the_first) {
  SyncTree tree;
  SyncTree::put(tree.path("a/f"), "first");
  SyncTree::put(tree.path("b/f"), "second");
  SyncTree::put(tree.path("a/d/x"), "x");
  SyncTree::put(tree.path("b/d/y"), "y");
  SyncTree::put(tree.path("destination/d/z"), "z");
  SyncOptions options = archive();
  options.delete_mode = DeleteMode::during;
  const Outcome outcome = SyncTree::sync({tree.path("a/"), tree.path("b/")}, tree.destination(""), options);
  EXPECT_EQ(outcome.exit, SyncExit::success);
  EXPECT_EQ(read_file(tree.destination("f")), "first");
  EXPECT_THAT(SyncTree::names_below(tree.destination("")), UnorderedElementsAre("f", "d", "d/x", "d/y"));
}

TEST(Sync, opens_no_regular_file_when_nothing_changed) {
  SyncTree tree;
  for (int i = 0; i < 50; ++i) {
    SyncTree::put(tree.source("d" + std::to_string(i % 5) + "/f" + std::to_string(i)), "content");
  }
  ASSERT_EQ(tree.sync(archive()).exit, SyncExit::success);
  const FaultPlan plan;
  const Outcome outcome = tree.sync(archive());
  EXPECT_EQ(outcome.exit, SyncExit::success);
  EXPECT_THAT(outcome.events, IsEmpty());
  // The two roots, five directories on each side, and /proc/self/status for the umask.
  EXPECT_EQ(plan.count(sys::Call::openat), 2U + 10U + 1U);
  EXPECT_EQ(plan.count(sys::Call::utimensat) + plan.count(sys::Call::fchmod) + plan.count(sys::Call::fchown), 0U);
  // One for each entry on each side; each directory that is opened once more; the destination before it is opened and
  // before it is told.
  EXPECT_EQ(plan.count(sys::Call::statx), 2U * 55U + 2U * 6U + 2U);
}

TEST(Sync, deletes_what_the_source_has_not_in_each_mode) {
  for (const DeleteMode mode : {DeleteMode::before, DeleteMode::during, DeleteMode::delay, DeleteMode::after}) {
    SyncTree tree;
    SyncTree::put(tree.source("d/keep"), "keep");
    SyncTree::put(tree.destination("d/extra"), "extra");
    SyncTree::put(tree.destination("gone/a/b"), "b");
    SyncTree::set_time(tree.source("d"), 5);
    SyncOptions options = archive();
    options.delete_mode = mode;
    const Outcome outcome = tree.sync(options);
    EXPECT_EQ(outcome.exit, SyncExit::success);
    EXPECT_THAT(SyncTree::names_below(tree.destination("")), UnorderedElementsAre("d", "d/keep"));
    EXPECT_TRUE(outcome.has_event(SyncAction::deleted, "gone/a/b"));
    EXPECT_EQ(outcome.report.deleted.total(), 4U);
    EXPECT_EQ(status_of(tree.destination("d")).stx_mtime.tv_sec, 1'000'000'005);
  }
}

TEST(Sync, deletes_a_symlink_and_not_what_it_leads_to) {
  SyncTree tree;
  SyncTree::put(tree.path("elsewhere/precious"), "precious");
  fs::create_directory(tree.destination(""));
  fs::create_directory_symlink(tree.path("elsewhere"), tree.destination("link"));
  SyncOptions options = archive();
  options.delete_mode = DeleteMode::during;
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_FALSE(fs::is_symlink(tree.destination("link")));
  EXPECT_EQ(read_file(tree.path("elsewhere/precious")), "precious");
}

TEST(Sync, writes_through_no_symlink_in_the_destination) {
  SyncTree tree;
  SyncTree::put(tree.path("elsewhere/f"), "precious");
  SyncTree::put(tree.source("d/f"), "new");
  fs::create_directory(tree.destination(""));
  fs::create_directory_symlink(tree.path("elsewhere"), tree.destination("d"));
  EXPECT_EQ(tree.sync(archive()).exit, SyncExit::success);
  EXPECT_EQ(read_file(tree.path("elsewhere/f")), "precious");
  EXPECT_EQ(read_file(tree.destination("d/f")), "new");
}

TEST(Sync, keeps_symlinks_to_directories_only_inside_the_destination) {
  SyncTree tree;
  SyncTree::put(tree.path("elsewhere/f"), "precious");
  SyncTree::put(tree.source("d/f"), "new");
  SyncTree::put(tree.source("e/f"), "new");
  fs::create_directories(tree.destination("real"));
  fs::create_directory_symlink("real", tree.destination("d"));
  fs::create_directory_symlink(tree.path("elsewhere"), tree.destination("e"));
  SyncOptions options = archive();
  options.keep_dirlinks = true;
  EXPECT_EQ(tree.sync(options).exit, SyncExit::partial);
  EXPECT_EQ(read_file(tree.destination("real/f")), "new");
  EXPECT_EQ(read_file(tree.path("elsewhere/f")), "precious");
}

TEST(Sync, stops_at_the_limit_of_deletions) {
  SyncTree tree;
  SyncTree::put(tree.source("f"), "f");
  for (const char* name : {"a", "b", "c", "d"}) {
    SyncTree::put(tree.destination(name), name);
  }
  SyncOptions options = archive();
  options.delete_mode = DeleteMode::during;
  options.max_delete = 3;
  const Outcome outcome = tree.sync(options);
  EXPECT_EQ(outcome.exit, SyncExit::deletion_limit);
  EXPECT_EQ(outcome.report.deletions_skipped, 1U);
  EXPECT_EQ(SyncTree::names_below(tree.destination("")).size(), 2U);
}

TEST(Sync, a_directory_that_is_not_empty_makes_way_only_by_force) {
  SyncTree tree;
  SyncTree::put(tree.source("f"), "file");
  SyncTree::put(tree.destination("f/in"), "in");
  EXPECT_EQ(tree.sync(archive()).exit, SyncExit::partial);
  EXPECT_EQ(read_file(tree.destination("f/in")), "in");
  SyncOptions options = archive();
  options.force = true;
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_EQ(read_file(tree.destination("f")), "file");
}

TEST(Sync, keeps_hard_links) {
  SyncTree tree;
  SyncTree::put(tree.source("a"), "same");
  fs::create_directory(tree.source("d"));
  fs::create_hard_link(tree.source("a"), tree.source("d/b"));
  SyncOptions options = archive();
  options.hard_links = true;
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_EQ(status_of(tree.destination("a")).stx_ino, status_of(tree.destination("d/b")).stx_ino);
  EXPECT_THAT(tree.sync(options).events, IsEmpty());
}

TEST(Sync, checksum_finds_what_size_and_time_hide) {
  SyncTree tree;
  SyncTree::put(tree.source("f"), "new");
  SyncTree::put(tree.destination("f"), "old");
  SyncTree::set_time(tree.source(""), 0);
  EXPECT_EQ(tree.sync(archive()).report.transferred_files, 0U);
  SyncOptions options = archive();
  options.checksum = true;
  EXPECT_EQ(tree.sync(options).report.transferred_files, 1U);
  EXPECT_EQ(read_file(tree.destination("f")), "new");
}

TEST(Sync, backups_keep_what_is_replaced_and_deleted) {
  SyncTree tree;
  SyncTree::put(tree.source("d/f"), "new", 1);
  SyncTree::put(tree.destination("d/f"), "old");
  SyncTree::put(tree.destination("d/gone"), "gone");
  SyncOptions options = archive();
  options.delete_mode = DeleteMode::during;
  options.backup = true;
  options.backup_dir = "../backup";
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_EQ(read_file(tree.path("backup/d/f")), "old");
  EXPECT_EQ(read_file(tree.path("backup/d/gone")), "gone");
  EXPECT_EQ(read_file(tree.destination("d/f")), "new");
  EXPECT_FALSE(fs::exists(tree.destination("d/gone")));
}

TEST(Sync, backups_beside_their_files_are_not_deleted) {
  SyncTree tree;
  SyncTree::put(tree.source("f"), "newer", 1);
  SyncTree::put(tree.destination("f"), "old");
  SyncTree::put(tree.destination("gone/d/g~"), "older");
  SyncOptions options = archive();
  options.delete_mode = DeleteMode::during;
  options.backup = true;
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_EQ(read_file(tree.destination("gone/d/g~")), "older");
  EXPECT_EQ(read_file(tree.destination("f~")), "old");
}

TEST(Sync, links_what_is_unchanged_to_an_earlier_backup) {
  SyncTree tree;
  SyncTree::put(tree.source("same"), "same");
  SyncTree::put(tree.source("changed"), "changed", 1);
  SyncTree::put(tree.path("before/same"), "same");
  SyncTree::put(tree.path("before/changed"), "CHANGED");
  SyncOptions options = archive();
  options.basis = {{BasisDirectory::Kind::link, "../before"}};
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_EQ(status_of(tree.destination("same")).stx_ino, status_of(tree.path("before/same")).stx_ino);
  EXPECT_EQ(read_file(tree.destination("changed")), "changed");
  EXPECT_EQ(read_file(tree.path("before/changed")), "CHANGED");
}

TEST(Sync, block_update_in_place_writes_only_what_differs) {
  SyncTree tree;
  std::string content = some_bytes(std::size_t{3} << 20U);
  SyncTree::put(tree.destination("f"), content);
  const auto inode = status_of(tree.destination("f")).stx_ino;
  content[1'000'000] = static_cast<char>(content[1'000'000] + 1);
  content.resize(content.size() - 100);
  SyncTree::put(tree.source("f"), content, 1);
  SyncOptions options = archive();
  options.inplace = true;
  options.whole_file = false;
  const Outcome outcome = tree.sync(options);
  EXPECT_EQ(outcome.exit, SyncExit::success);
  EXPECT_EQ(read_file(tree.destination("f")), content);
  EXPECT_EQ(status_of(tree.destination("f")).stx_ino, inode);
  EXPECT_EQ(outcome.report.literal_bytes, 4096U);
}

TEST(Sync, append_writes_only_the_end) {
  SyncTree tree;
  SyncTree::put(tree.source("f"), "0123456789", 1);
  SyncTree::put(tree.destination("f"), "01234");
  SyncOptions options = archive();
  options.append = true;
  const Outcome outcome = tree.sync(options);
  EXPECT_EQ(outcome.report.literal_bytes, 5U);
  EXPECT_EQ(read_file(tree.destination("f")), "0123456789");
}

TEST(Sync, append_verify_replaces_what_begins_differently) {
  SyncTree tree;
  SyncTree::put(tree.source("f"), "0123456789", 1);
  SyncTree::put(tree.destination("f"), "x1234");
  SyncOptions options = archive();
  options.append_verify = true;
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_EQ(read_file(tree.destination("f")), "0123456789");
}

TEST(Sync, dry_run_changes_nothing_and_tells_all) {
  SyncTree tree;
  SyncTree::put(tree.source("d/f"), "f");
  SyncTree::put(tree.destination("extra"), "extra");
  SyncOptions options = archive();
  options.dry_run = true;
  options.delete_mode = DeleteMode::during;
  const Outcome outcome = tree.sync(options);
  EXPECT_TRUE(outcome.has_event(SyncAction::transferred, "d/f"));
  EXPECT_TRUE(outcome.has_event(SyncAction::deleted, "extra"));
  EXPECT_THAT(SyncTree::names_below(tree.destination("")), ElementsAre("extra"));
}

TEST(Sync, removes_source_files_that_have_arrived) {
  SyncTree tree;
  SyncTree::put(tree.source("d/f"), "f");
  SyncOptions options = archive();
  options.remove_source_files = true;
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_THAT(SyncTree::names_below(tree.source("")), ElementsAre("d"));
  EXPECT_EQ(read_file(tree.destination("d/f")), "f");
}

TEST(Sync, a_source_that_is_not_there_is_told_and_deletes_nothing) {
  SyncTree tree;
  SyncTree::put(tree.source("f"), "f");
  SyncTree::put(tree.destination("extra"), "extra");
  SyncOptions options = archive();
  options.delete_mode = DeleteMode::during;
  const Outcome outcome = SyncTree::sync({tree.source(""), tree.path("nowhere/")}, tree.destination(""), options);
  EXPECT_EQ(outcome.exit, SyncExit::partial);
  EXPECT_TRUE(outcome.has_error(SyncProblem::deletion_skipped));
  EXPECT_EQ(read_file(tree.destination("extra")), "extra");
}

TEST(Sync, works_with_few_descriptors) {
  SyncTree tree;
  std::string deep = "x";
  for (int i = 0; i < 60; ++i) {
    deep += "/x";
    SyncTree::put(tree.source(deep + "f"), "f");
  }
  SyncTree::put(tree.path("destination/" + deep + "/gone/a"), "a");
  SyncOptions options = archive();
  options.delete_mode = DeleteMode::during;
  options.descriptor_budget = 32;
  options.jobs = 2;
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_EQ(SyncTree::names_below(tree.source("")), SyncTree::names_below(tree.destination("")));
}

TEST(Sync, removes_trees_deeper_than_the_levels_it_keeps_open) {
  SyncTree tree;
  std::string deep = "destination/x";
  for (int i = 0; i < 80; ++i) {
    deep += "/x";
  }
  SyncTree::put(tree.path(deep + "/f"), "f");
  SyncOptions options = archive();
  options.delete_mode = DeleteMode::during;
  EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
  EXPECT_THAT(SyncTree::names_below(tree.destination("")), IsEmpty());
}

TEST(Sync, options_that_are_not_there_are_refused) {
  SyncTree tree;
  for (const auto& change :
       std::vector<std::function<void(SyncOptions&)>>{[](SyncOptions& options) { options.crtimes = true; },
                                                      [](SyncOptions& options) { options.temp_dir = "/tmp"; },
                                                      [](SyncOptions& options) { options.partial = true; },
                                                      [](SyncOptions& options) { options.delay_updates = true; },
                                                      [](SyncOptions& options) { options.journal = "/tmp/journal"; }}) {
    SyncOptions options = archive();
    change(options);
    EXPECT_EQ(tree.sync(options).exit, SyncExit::unsupported);
    EXPECT_FALSE(fs::exists(tree.destination("")));
  }
}

}  // namespace
}  // namespace ferry::testing
