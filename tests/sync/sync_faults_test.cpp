// Every system call a sync makes, failing: it is told and shows in the exit code, what was there is whole, the rest is
// done, and nothing is deleted that should not be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <ferry/sync.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include "support/fault_plan.hpp"
#include "sync/sync_tree.hpp"

namespace ferry::testing {
namespace {

namespace fs = std::filesystem;
using sys::Call;

// Old versions of some, and files that are to go.
class FaultySync : public SyncTree {
 public:
  FaultySync() {
    for (const std::string& name : names()) {
      put(source(name), "new content of " + name, 1);
    }
    put(source("large"), std::string(600'000, 'n'), 1);
    fs::create_hard_link(source("a"), source("linked"));
    fs::create_symlink("a", source("symlink"));
    EXPECT_EQ(::mkfifo(source("fifo").c_str(), 0600), 0);
    for (const char* name : {"a", "d/f"}) {
      put(destination(name), std::string("old content of ") + name);
    }
    put(destination("large"), std::string(600'000, 'o'));
    put(destination("gone"), "gone");
    put(destination("gone-too/x"), "x");
    fs::create_symlink("elsewhere", destination("symlink"));
  }
  static std::vector<std::string> names() { return {"a", "b", "d/f", "d/e/g", "new/h"}; }

  static SyncOptions options() {
    SyncOptions options = archive();
    options.jobs = 1;
    options.hard_links = true;
    options.delete_mode = DeleteMode::during;
    return options;
  }

  // Each file is absent, the old one, or the new one: never anything in between. Returns how many are new.
  [[nodiscard]] unsigned check_whole() const {
    unsigned fresh = 0;
    for (const std::string& name : names()) {
      if (!fs::exists(destination(name))) {
        continue;
      }
      const std::string content = read_file(destination(name));
      EXPECT_TRUE(content == "new content of " + name || content == "old content of " + name)
          << name << ": " << content;
      fresh += content.starts_with("new") ? 1 : 0;
    }
    if (fs::exists(destination("large"))) {
      const std::string large = read_file(destination("large"));
      EXPECT_TRUE(large == std::string(600'000, 'n') || large == std::string(600'000, 'o'));
    }
    return fresh;
  }
};

struct Fault {
  Call call;
  int error;
};

class SyncFaults : public ::testing::TestWithParam<Fault> {};

// Each occurrence of the call in turn.
TEST_P(SyncFaults, each_failing_call_is_told_and_leaves_whole_files) {
  bool was_met = false;
  for (std::uint64_t occurrence = 1; occurrence <= 60; ++occurrence) {
    const FaultySync tree;
    Outcome outcome;
    bool is_met = false;
    {
      FaultPlan plan;
      plan.fail(GetParam().call, GetParam().error, {.first = occurrence, .times = 1});
      outcome = tree.sync(FaultySync::options());
      is_met = plan.injected() > 0;
    }
    if (!is_met) {
      break;
    }
    was_met = true;
    const unsigned fresh = tree.check_whole();
    const bool is_all_done = fresh == FaultySync::names().size();
    if (outcome.exit == SyncExit::success) {
      EXPECT_TRUE(is_all_done) << sys::name(GetParam().call) << " number " << occurrence << " was lost";
    } else {
      EXPECT_FALSE(outcome.errors.empty());
    }
    // A run without faults repairs what is left.
    EXPECT_EQ(tree.sync(FaultySync::options()).exit, SyncExit::success);
    EXPECT_EQ(tree.check_whole(), FaultySync::names().size());
    EXPECT_EQ(SyncTree::names_below(tree.source("")), SyncTree::names_below(tree.destination("")))
        << sys::name(GetParam().call) << " number " << occurrence;
  }
  EXPECT_TRUE(was_met) << sys::name(GetParam().call) << " is never called: the test tests nothing";
}

INSTANTIATE_TEST_SUITE_P(calls, SyncFaults,
                         ::testing::Values(Fault{Call::openat, EACCES}, Fault{Call::statx, EIO},
                                           Fault{Call::getdents64, EIO}, Fault{Call::read, EIO},
                                           Fault{Call::write, ENOSPC}, Fault{Call::linkat, EIO},
                                           Fault{Call::renameat2, EIO}, Fault{Call::mkdirat, ENOSPC},
                                           Fault{Call::unlinkat, EROFS}, Fault{Call::symlinkat, ENOSPC},
                                           Fault{Call::mknodat, EPERM}, Fault{Call::readlinkat, EIO},
                                           Fault{Call::utimensat, EPERM}),
                         [](const auto& info) { return std::string(sys::name(info.param.call)); });

TEST(SyncFaultsOnce, a_source_directory_that_cannot_be_read_deletes_nothing_in_it) {
  const SyncTree tree;
  SyncTree::put(tree.source("d/f"), "f");
  SyncTree::put(tree.destination("d/precious"), "precious");
  SyncOptions options = archive();
  options.jobs = 1;
  options.delete_mode = DeleteMode::during;
  Outcome outcome;
  {
    FaultPlan plan;
    plan.fail(Call::getdents64, EIO, {.first = 5, .times = 1});  // two for each side's root, then the source's d
    outcome = tree.sync(options);
    ASSERT_GT(plan.injected(), 0U);
  }
  EXPECT_EQ(outcome.exit, SyncExit::partial);
  EXPECT_TRUE(outcome.has_error(SyncProblem::cannot_read_directory));
  EXPECT_EQ(read_file(tree.destination("d/precious")), "precious");
}

TEST(SyncFaultsOnce, no_space_leaves_the_old_file) {
  const SyncTree tree;
  SyncTree::put(tree.source("f"), "new", 1);
  SyncTree::put(tree.destination("f"), "old");
  Outcome outcome;
  {
    FaultPlan plan;
    plan.fail(Call::write, ENOSPC);
    plan.fail(Call::pwrite, ENOSPC);
    outcome = tree.sync(archive());
    ASSERT_GT(plan.injected(), 0U);
  }
  EXPECT_EQ(outcome.exit, SyncExit::partial);
  ASSERT_EQ(outcome.errors.size(), 1U);
  EXPECT_EQ(outcome.errors[0].second.to_string(), "write 'f': No space left on device");
  EXPECT_EQ(read_file(tree.destination("f")), "old");
}

TEST(SyncFaultsOnce, being_out_of_descriptors_is_waited_out) {
  const FaultySync tree;
  Outcome outcome;
  {
    FaultPlan plan;
    plan.fail(Call::openat, EMFILE, {.first = 8, .times = 3});
    outcome = tree.sync(FaultySync::options());
    ASSERT_GT(plan.injected(), 0U);
  }
  EXPECT_EQ(outcome.exit, SyncExit::success);
  EXPECT_EQ(tree.check_whole(), FaultySync::names().size());
}

}  // namespace
}  // namespace ferry::testing
