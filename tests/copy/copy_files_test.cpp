// copy_files: many files, by each engine.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <vector>

#include <ferry/copy.hpp>
#include <ferry/ring.hpp>

#include "copy/capabilities.hpp"
#include "support/fault_plan.hpp"
#include "support/scratch.hpp"

namespace ferry::testing {
namespace {

using sys::Call;

class CopyFilesTest : public ::testing::TestWithParam<CopyEngine> {
 protected:
  void SetUp() override {
    engine::forget_refused();
    if (GetParam() == CopyEngine::uring && !Ring::create()) {
      GTEST_SKIP() << "no io_uring here: " << Ring::create().error().to_string();
    }
    std::filesystem::create_directory(scratch_.path("from"));
    std::filesystem::create_directory(scratch_.path("to"));
  }
  CopyFilesOptions options() const {
    CopyFilesOptions options;
    options.engine = GetParam();
    return options;
  }
  void add(const std::string& name, const std::string& content) {
    write_file(scratch_.path("from/" + name), content);
    pairs_.push_back({scratch_.path("from/" + name), scratch_.path("to/" + name)});
  }
  void expect_all_equal() const {
    for (const CopyPair& pair : pairs_) {
      EXPECT_TRUE(read_file(pair.destination) == read_file(pair.source)) << pair.destination;
    }
  }

  Scratch scratch_;
  std::vector<CopyPair> pairs_;
};
INSTANTIATE_TEST_SUITE_P(By, CopyFilesTest, ::testing::Values(CopyEngine::threads, CopyEngine::uring),
                         [](const auto& param) { return std::string(to_string(param.param)); });

TEST_P(CopyFilesTest, copies_files_of_all_sizes) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < 200; ++i) {
    const std::size_t size = i * i * 37 % 600'000;
    add("file" + std::to_string(i), some_bytes(size, static_cast<unsigned>(i)));
    bytes += size;
  }
  std::multiset<std::size_t> told;
  auto with_results = options();
  with_results.on_result = [&](std::size_t index, const Result<CopyReport>& report) {
    EXPECT_TRUE(report) << report.error().to_string();
    told.insert(index);
  };
  const auto report = copy_files(pairs_, with_results);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->copied, 200U);
  EXPECT_EQ(report->failed, 0U);
  EXPECT_EQ(report->total.bytes_copied, bytes);
  EXPECT_EQ(report->engine, GetParam());
  EXPECT_EQ(told.size(), 200U);
  EXPECT_EQ(std::set(told.begin(), told.end()).size(), 200U);
  expect_all_equal();
  EXPECT_EQ(status_of(pairs_[3].destination).stx_mode & 07777U, status_of(pairs_[3].source).stx_mode & 07777U);
}

TEST_P(CopyFilesTest, an_empty_list_is_done) {
  const auto report = copy_files({}, options());
  ASSERT_TRUE(report);
  EXPECT_EQ(report->copied + report->failed, 0U);
}

TEST_P(CopyFilesTest, a_failure_is_told_and_keeps_no_other_from_being_copied) {
  add("first", "1");
  pairs_.push_back({scratch_.path("from/missing"), scratch_.path("to/missing")});
  pairs_.push_back({scratch_.path("from/first"), scratch_.path("no/such/directory")});
  pairs_.push_back({scratch_.path("from"), scratch_.path("to/directory")});
  add("last", "2");
  std::atomic<int> failures = 0;
  auto with_results = options();
  with_results.on_result = [&](std::size_t index, const Result<CopyReport>& report) {
    failures += report ? 0 : 1;
    EXPECT_EQ(!report, index >= 1 && index <= 3) << index;
    if (index == 1) {
      EXPECT_EQ(report.error().errno_value(), ENOENT);
      EXPECT_EQ(report.error().path, scratch_.path("from/missing"));
    }
  };
  const auto report = copy_files(pairs_, with_results);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->copied, 2U);
  EXPECT_EQ(report->failed, 3U);
  EXPECT_EQ(failures, 3);
  ASSERT_TRUE(report->first_error);
  EXPECT_EQ(read_file(scratch_.path("to/last")), "2");
}

TEST_P(CopyFilesTest, existing_destinations_are_replaced_whole_and_links_kept) {
  for (int i = 0; i < 20; ++i) {
    add("file" + std::to_string(i), "new " + std::to_string(i));
    write_file(pairs_.back().destination, "old content that is longer");
  }
  std::filesystem::create_hard_link(scratch_.path("to/file3"), scratch_.path("to/link"));
  const auto report = copy_files(pairs_, options());
  ASSERT_TRUE(report);
  EXPECT_EQ(report->copied, 20U);
  expect_all_equal();
  EXPECT_EQ(read_file(scratch_.path("to/link")), "new 3");
}

TEST_P(CopyFilesTest, an_error_in_the_middle_leaves_no_half_file) {
  for (int i = 0; i < 20; ++i) {
    add("file" + std::to_string(i), some_bytes(300'000));
  }
  FaultPlan plan;
  for (const Call call : {Call::write, Call::pwrite, Call::copy_file_range, Call::sendfile, Call::splice}) {
    plan.fail(call, ENOSPC, {.first = 5});
  }
  const auto report = copy_files(pairs_, options());
  ASSERT_TRUE(report);
  EXPECT_GT(report->failed, 0U);
  EXPECT_EQ(report->first_error->errno_value(), ENOSPC);
  EXPECT_GE(plan.injected(), 1U);
  std::size_t found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(scratch_.path("to"))) {
    EXPECT_EQ(std::filesystem::file_size(entry.path()), 300'000U) << entry.path();
    ++found;
  }
  EXPECT_EQ(found, report->copied);
}

TEST_P(CopyFilesTest, short_results_are_gone_on_from) {
  for (int i = 0; i < 5; ++i) {
    add("file" + std::to_string(i), some_bytes(20'000, static_cast<unsigned>(i)));
  }
  FaultPlan plan;
  for (const Call call : {Call::read, Call::write, Call::pread, Call::pwrite}) {
    plan.limit(call, 3'001);
  }
  const auto report = copy_files(pairs_, options());
  ASSERT_TRUE(report);
  EXPECT_EQ(report->copied, 5U);
  EXPECT_GT(plan.injected(), 10U);
  expect_all_equal();
}

TEST_P(CopyFilesTest, in_place_and_durable_copies_are_whole_too) {
  for (int i = 0; i < 10; ++i) {
    add("file" + std::to_string(i), some_bytes(5'000));
  }
  write_file(pairs_[4].destination, some_bytes(9'000, 2));
  auto in_place = options();
  in_place.copy.inplace = true;
  EXPECT_EQ(copy_files(pairs_, in_place)->copied, 10U);
  expect_all_equal();
  auto durable = options();
  durable.copy.fsync = true;
  const FaultPlan plan;
  EXPECT_EQ(copy_files(pairs_, durable)->copied, 10U);
  EXPECT_GE(plan.count(Call::fsync), 20U) << "each file and its directory";
  expect_all_equal();
}

TEST_P(CopyFilesTest, sources_whose_size_means_nothing_are_copied_in_full) {
  pairs_.push_back({"/proc/version", scratch_.path("to/version")});
  pairs_.push_back({"/proc/self/limits", scratch_.path("to/limits")});
  const auto report = copy_files(pairs_, options());
  ASSERT_TRUE(report);
  EXPECT_EQ(report->copied, 2U);
  expect_all_equal();
}

TEST_P(CopyFilesTest, holes_stay_holes) {
  add("sparse", "");
  ASSERT_EQ(::truncate(pairs_[0].source.c_str(), 10'000'000), 0);
  ASSERT_EQ(copy_files(pairs_, options())->copied, 1U);
  EXPECT_EQ(status_of(pairs_[0].destination).stx_size, 10'000'000U);
  EXPECT_LE(status_of(pairs_[0].destination).stx_blocks, 16U);
}

TEST_P(CopyFilesTest, a_stop_request_ends_it) {
  for (int i = 0; i < 200; ++i) {
    add("file" + std::to_string(i), "content");
  }
  std::stop_source stop;
  auto stopped = options();
  stopped.copy.stop = stop.get_token();
  stopped.workers = 2;
  stopped.on_result = [&](std::size_t, const Result<CopyReport>&) { stop.request_stop(); };
  const auto report = copy_files(pairs_, stopped);
  ASSERT_TRUE(report);
  EXPECT_GE(report->failed, 190U);
  EXPECT_EQ(report->copied + report->failed, 200U);
  EXPECT_EQ(report->first_error->errno_value(), ECANCELED);
}

TEST_P(CopyFilesTest, options_out_of_range_are_refused) {
  auto too_many = options();
  too_many.workers = 257;
  EXPECT_EQ(copy_files(pairs_, too_many).error().errno_value(), EINVAL);
  auto chunk = options();
  chunk.copy.chunk_size_bytes = 1;
  EXPECT_EQ(copy_files(pairs_, chunk).error().errno_value(), ERANGE);
}

TEST(CopyFilesEngines, uring_that_is_refused_is_an_error_and_automatic_is_not) {
  FaultPlan plan;
  plan.fail(Call::io_uring_setup, EPERM);
  CopyFilesOptions options;
  options.engine = CopyEngine::uring;
  const auto report = copy_files({}, options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().errno_value(), EPERM);
  EXPECT_TRUE(copy_files({}, {}));
}

TEST(CopyFilesEngines, have_names) {
  for (const CopyEngine engine : {CopyEngine::automatic, CopyEngine::uring, CopyEngine::threads}) {
    EXPECT_EQ(parse_copy_engine(to_string(engine)), engine);
  }
  EXPECT_FALSE(parse_copy_engine("steam"));
}

TEST(CopyFilesEngines, a_small_file_to_a_new_name_takes_eight_system_calls) {
  // The difference of two jobs, so that what a job itself takes drops out.
  const auto calls_for = [](std::uint64_t files) {
    const Scratch scratch;
    write_file(scratch.path("source"), "content");
    std::vector<CopyPair> pairs;
    for (std::uint64_t i = 0; i < files; ++i) {
      pairs.push_back({scratch.path("source"), scratch.path("copy" + std::to_string(i))});
    }
    CopyFilesOptions options;
    options.engine = CopyEngine::threads;
    options.workers = 1;
    const FaultPlan plan;
    EXPECT_EQ(copy_files(pairs, options)->copied, files);
    return plan.total();
  };
  (void)calls_for(1);  // what is asked once
  const std::uint64_t few = calls_for(50);
  // open, statx, O_TMPFILE, read, write, linkat and two closes.
  EXPECT_EQ(calls_for(100) - few, 50U * 8U);
}

}  // namespace
}  // namespace ferry::testing
