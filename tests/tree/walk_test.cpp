// walk(): every entry once, with its type, whatever the number of workers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <ferry/tree.hpp>

#include <filesystem>
#include <map>
#include <mutex>
#include <string>

#include "support/fault_plan.hpp"
#include "support/scratch.hpp"

namespace ferry::testing {
namespace {

namespace fs = std::filesystem;

class Walk : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int d = 0; d < 20; ++d) {
      const std::string directory = scratch_.path("d" + std::to_string(d) + "/deeper");
      fs::create_directories(directory);
      for (int f = 0; f < 30; ++f) {
        write_file(directory + "/f" + std::to_string(f), "");
      }
    }
    fs::create_symlink("d0", scratch_.path("symlink"));
    ASSERT_EQ(::mkfifo(scratch_.path("fifo").c_str(), 0600), 0);
    for (int i = 0; i < 4000; ++i) {
      write_file(scratch_.path("d1/" + std::string(50, 'n') + std::to_string(i)), "");
    }
  }
  Scratch scratch_;
};

TEST_F(Walk, yields_each_entry_once_with_its_type) {
  std::map<std::string, FileType> expected;
  for (const auto& entry : fs::recursive_directory_iterator(scratch_.path())) {
    FileType type = FileType::regular;
    switch (entry.symlink_status().type()) {
      case fs::file_type::directory: type = FileType::directory; break;
      case fs::file_type::symlink: type = FileType::symlink; break;
      case fs::file_type::fifo: type = FileType::fifo; break;
      default: break;
    }
    expected[fs::relative(entry.path().parent_path(), scratch_.path()).lexically_normal() / entry.path().filename()] =
        type;
  }
  for (const unsigned jobs : {1U, 2U, 8U}) {
    std::mutex mutex;
    std::map<std::string, FileType> seen;
    std::size_t calls = 0;
    WalkOptions options;
    options.jobs = jobs;
    const auto report = walk(
        scratch_.path(),
        [&](const WalkEntry& entry) {
          const std::scoped_lock lock(mutex);
          seen[entry.path.find('/') == std::string_view::npos ? "./" + std::string(entry.path)
                                                              : std::string(entry.path)] = entry.type;
          ++calls;
          EXPECT_TRUE(entry.path.ends_with(entry.name));
          return WalkAction::descend;
        },
        options);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(calls, expected.size());
    EXPECT_EQ(report->entries, expected.size());
    EXPECT_EQ(seen, expected);
  }
}

TEST_F(Walk, does_not_enter_what_is_skipped_and_ends_when_told) {
  std::atomic<int> deeper = 0;
  ASSERT_TRUE(walk(scratch_.path(), [&](const WalkEntry& entry) {
    deeper += entry.depth > 0 ? 1 : 0;
    return WalkAction::skip;
  }));
  EXPECT_EQ(deeper, 0);
  int calls = 0;
  WalkOptions one;
  one.jobs = 1;
  ASSERT_TRUE(walk(
      scratch_.path(), [&](const WalkEntry&) { return ++calls == 5 ? WalkAction::stop : WalkAction::descend; }, one));
  EXPECT_EQ(calls, 5);
}

TEST_F(Walk, asks_nothing_about_entries_whose_type_readdir_tells) {
  FaultPlan plan;
  WalkOptions one;
  one.jobs = 1;
  const auto report = walk(scratch_.path(), [](const WalkEntry&) { return WalkAction::descend; }, one);
  ASSERT_TRUE(report);
  EXPECT_EQ(plan.count(sys::Call::statx), report->directories + 1);
  EXPECT_EQ(plan.count(sys::Call::openat), report->directories + 1);
}

TEST_F(Walk, asks_for_types_that_readdir_does_not_tell) {
  FaultPlan plan;
  plan.hide_entry_types();
  std::atomic<int> fifos = 0;
  const auto report = walk(scratch_.path(), [&](const WalkEntry& entry) {
    EXPECT_NE(entry.type, FileType::unknown);
    fifos += entry.type == FileType::fifo ? 1 : 0;
    return WalkAction::descend;
  });
  ASSERT_TRUE(report);
  EXPECT_EQ(report->directories, 40U);
  EXPECT_EQ(fifos, 1);
}

TEST_F(Walk, reports_directories_it_cannot_read) {
  for (const sys::Call call : {sys::Call::openat, sys::Call::getdents64, sys::Call::statx}) {
    FaultPlan plan;
    plan.fail(call, EIO, {.first = 5, .times = 1});
    EXPECT_FALSE(walk(scratch_.path(), [](const WalkEntry&) { return WalkAction::descend; })) << sys::name(call);
  }
  FaultPlan plan;
  plan.fail(sys::Call::openat, EACCES, {.first = 5, .times = 1});
  WalkOptions options;
  std::atomic<int> errors = 0;
  options.on_error = [&](const Error& error) {
    ++errors;
    EXPECT_FALSE(error.path.empty());
  };
  const auto report = walk(scratch_.path(), [](const WalkEntry&) { return WalkAction::descend; }, options);
  ASSERT_TRUE(report);
  EXPECT_EQ(errors, 1);
  EXPECT_EQ(report->errors, 1U);
}

TEST_F(Walk, of_what_is_no_directory_is_an_error) {
  EXPECT_EQ(walk(scratch_.path("missing"), [](const WalkEntry&) { return WalkAction::descend; }).error().errno_value(),
            ENOENT);
  EXPECT_EQ(walk(scratch_.path("fifo"), [](const WalkEntry&) { return WalkAction::descend; }).error().errno_value(),
            ENOTDIR);
}

}  // namespace
}  // namespace ferry::testing
