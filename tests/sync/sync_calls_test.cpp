// What a sync asks of the kernel for one more entry: the same on every machine.
#include <gtest/gtest.h>
#include <sys/xattr.h>

#include <cerrno>
#include <functional>
#include <string>

#include "support/fault_plan.hpp"
#include "sync/sync_tree.hpp"

namespace ferry::testing {
namespace {

using sys::Call;

void put_files(const std::string& directory, int files, const std::string& content) {
  for (int i = 0; i < files; ++i) {
    SyncTree::put(directory + "/" + std::to_string(i), content);
  }
}

// Calls for one more file, when `make` has made so many of them.
std::uint64_t calls_per_file(SyncOptions options, const std::function<void(const SyncTree& tree, int files)>& make) {
  options.jobs = 1;
  const auto calls_for = [&](int files) {
    const SyncTree tree;
    make(tree, files);
    const FaultPlan plan;
    EXPECT_EQ(tree.sync(options).exit, SyncExit::success);
    return plan.total();
  };
  constexpr int more = 100;
  const std::uint64_t calls = calls_for(2 * more) - calls_for(more);
  EXPECT_EQ(calls % more, 0U);
  return calls / more;
}

SyncOptions archive_with_attributes() {
  SyncOptions options = archive();
  options.hard_links = true;
  options.acls = true;
  options.xattrs = true;
  return options;
}

TEST(SyncCalls, an_unchanged_file_takes_one_statx_on_each_side_and_with_attributes_one_listing_more) {
  const auto both = [](const SyncTree& tree, int files) {
    put_files(tree.source("below"), files, "content");
    put_files(tree.destination("below"), files, "content");
  };
  EXPECT_EQ(calls_per_file(archive(), both), 2U);
  EXPECT_EQ(calls_per_file(archive_with_attributes(), both), 4U);
}

TEST(SyncCalls, a_file_compared_by_content_takes_seven_calls_more) {
  SyncOptions options = archive();
  options.checksum = true;
  const auto both = [](const SyncTree& tree, int files) {
    put_files(tree.source("below"), files, "content");
    put_files(tree.destination("below"), files, "content");
  };
  EXPECT_EQ(calls_per_file(options, both), 9U);  // openat, pread, close of both; statx of the source that is open
}

TEST(SyncCalls, a_new_small_file_takes_ten_calls_and_eleven_with_attributes) {
  const auto source = [](const SyncTree& tree, int files) { put_files(tree.source("below"), files, "content"); };
  // statx, openat, statx, read, close of the source; openat, write, utimensat, linkat, close of the destination.
  EXPECT_EQ(calls_per_file(archive(), source), 10U);
  EXPECT_EQ(calls_per_file(archive_with_attributes(), source), 11U);  // flistxattr of the source
}

TEST(SyncCalls, a_deleted_file_takes_one_call) {
  SyncOptions options = archive();
  options.delete_mode = DeleteMode::during;
  const auto extraneous = [](const SyncTree& tree, int files) { put_files(tree.destination("x"), files, "content"); };
  EXPECT_EQ(calls_per_file(options, extraneous), 1U);
}

TEST(SyncCalls, a_directory_in_which_a_file_changed_gets_its_times_and_nothing_else) {
  const SyncTree tree;
  SyncTree::put(tree.source("d/file"), "new");
  SyncTree::put(tree.destination("d/file"), "old", -10);
  for (const auto& directory : {tree.source("d"), tree.destination("d"), tree.source(""), tree.destination("")}) {
    SyncTree::set_time(directory, 5);
  }
  const FaultPlan plan;
  EXPECT_EQ(tree.sync(archive_with_attributes()).exit, SyncExit::success);
  EXPECT_EQ(read_file(tree.destination("d/file")), "new");
  EXPECT_EQ(plan.count(Call::utimensat), 2U);  // the file's and the directory's
  EXPECT_EQ(plan.count(Call::removexattr) + plan.count(Call::fchmod) + plan.count(Call::fchown), 0U);
  EXPECT_EQ(std::filesystem::last_write_time(tree.destination("d")),
            std::filesystem::last_write_time(tree.source("d")));
}

// The kernel's refusal of a call by name, and the call.
struct Refusal {
  Call call;
  int error;
};

class SyncAttributesByPath : public ::testing::TestWithParam<Refusal> {};

TEST_P(SyncAttributesByPath, are_compared_all_the_same_where_the_kernel_knows_no_names_in_directories) {
  const SyncTree tree;
  for (const char* name : {"same", "other value", "only there", "only here"}) {
    SyncTree::put(tree.source(name), "content");
    SyncTree::put(tree.destination(name), "content");
  }
  const auto set = [](const std::string& path, const char* value) {
    return ::setxattr(path.c_str(), "user.ferry", value, 1, 0);
  };
  if (set(tree.source("same"), "a") != 0 && errno == ENOTSUP) {
    GTEST_SKIP() << "the scratch directory's file system has no user attributes";
  }
  ASSERT_EQ(set(tree.destination("same"), "a"), 0);
  ASSERT_EQ(set(tree.source("other value"), "a"), 0);
  ASSERT_EQ(set(tree.destination("other value"), "b"), 0);
  ASSERT_EQ(set(tree.source("only there"), "a"), 0);
  ASSERT_EQ(set(tree.destination("only here"), "b"), 0);

  if (GetParam().call == Call::getxattrat) {
    const FaultPlan observed;
    (void)tree.sync([] {
      SyncOptions options = archive_with_attributes();
      options.dry_run = true;
      return options;
    }());
    if (observed.count(Call::getxattrat) == 0) {
      GTEST_SKIP() << "this kernel lists no attributes by names in directories (Linux 6.13)";
    }
  }
  FaultPlan plan;
  plan.fail(GetParam().call, GetParam().error);
  SyncOptions options = archive_with_attributes();
  options.jobs = 1;
  const Outcome outcome = tree.sync(options);
  EXPECT_EQ(outcome.exit, SyncExit::success);
  EXPECT_EQ(plan.injected(), 1U);  // and not asked again
  EXPECT_EQ(plan.count(GetParam().call), 1U);

  EXPECT_FALSE(outcome.has_event(SyncAction::none, "same"));
  for (const char* name : {"other value", "only there", "only here"}) {
    EXPECT_TRUE(outcome.has_event(SyncAction::none, name)) << name;
  }
  for (const char* name : {"same", "other value", "only there"}) {
    char value = 0;
    EXPECT_EQ(::getxattr(tree.destination(name).c_str(), "user.ferry", &value, 1), 1) << name;
    EXPECT_EQ(value, 'a') << name;
  }
  EXPECT_EQ(::getxattr(tree.destination("only here").c_str(), "user.ferry", nullptr, 0), -1);
  EXPECT_EQ(errno, ENODATA);
}

INSTANTIATE_TEST_SUITE_P(Calls, SyncAttributesByPath,
                         ::testing::Values(Refusal{Call::listxattrat, ENOSYS}, Refusal{Call::listxattrat, EPERM},
                                           Refusal{Call::getxattrat, ENOSYS}));

}  // namespace
}  // namespace ferry::testing
