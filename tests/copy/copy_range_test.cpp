// copy_range and copy_ranges: any file types, positions, overlap, holes in the middle of files.
#include <ferry/copy.hpp>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "copy/capabilities.hpp"
#include "support/fault_plan.hpp"
#include "support/scratch.hpp"

namespace ferry::testing {
namespace {

using sys::Call;

constexpr std::size_t size = 1'000'003;

class CopyRangeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    engine::forget_refused();
    write_file(source_, content_);
    in_ = open_file(source_, O_RDONLY);
    out_ = open_file(destination_, O_RDWR | O_CREAT);
  }
  int in() const { return in_.get(); }
  int out() const { return out_.get(); }

  Scratch scratch_;
  std::string source_ = scratch_.path("source");
  std::string destination_ = scratch_.path("destination");
  std::string content_ = some_bytes(size);
  UniqueFd in_;
  UniqueFd out_;
};

TEST_F(CopyRangeTest, copies_the_middle_and_leaves_both_positions) {
  for (const CopyMethodSet methods :
       {CopyMethodSet::all(), CopyMethodSet(CopyMethod::splice), CopyMethodSet(CopyMethod::sendfile),
        CopyMethodSet(CopyMethod::uring), CopyMethodSet(CopyMethod::read_write)}) {
    ASSERT_EQ(::ftruncate(out(), 0), 0);
    ASSERT_EQ(::lseek(in(), 11, SEEK_SET), 11);
    ASSERT_EQ(::lseek(out(), 22, SEEK_SET), 22);
    CopyOptions options;
    options.methods = methods;
    const auto report = copy_range(in(), 1000, out(), 5, 500'000, options);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(report->bytes_copied, 500'000U);
    EXPECT_EQ(read_file(destination_), std::string(5, '\0') + content_.substr(1000, 500'000));
    EXPECT_EQ(::lseek(in(), 0, SEEK_CUR), 11);
    EXPECT_EQ(::lseek(out(), 0, SEEK_CUR), 22);
  }
}

TEST_F(CopyRangeTest, stops_with_success_at_the_end_of_the_source) {
  const auto report = copy_range(in(), size - 100, out(), 0, 1'000'000);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->bytes_copied, 100U);
  const auto beyond = copy_range(in(), size + 5, out(), 0, 10);
  ASSERT_TRUE(beyond);
  EXPECT_EQ(beyond->bytes_copied, 0U);
}

TEST_F(CopyRangeTest, offsets_that_overflow_are_invalid) {
  constexpr std::uint64_t most = INT64_MAX;
  for (const auto& [from, to, length] : {std::array<std::uint64_t, 3>{most, 0, 1},
                                         {0, most, 1},
                                         {most + 1, 0, 0},
                                         {0, UINT64_MAX, 0},
                                         {1, 0, most},
                                         {0, 0, UINT64_MAX}}) {
    const auto report = copy_range(in(), from, out(), to, length);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().errno_value(), EINVAL);
  }
}

TEST_F(CopyRangeTest, within_one_file_works_unless_the_ranges_overlap) {
  const UniqueFd both = open_file(source_, O_RDWR);
  for (const auto& [from, to] : {std::pair<std::uint64_t, std::uint64_t>{0, 50}, {50, 0}, {0, 0}, {0, 99}}) {
    const auto report = copy_range(in(), from, both.get(), to, 100);
    ASSERT_FALSE(report) << from << " to " << to;
    EXPECT_EQ(report.error().errno_value(), EINVAL);
  }
  EXPECT_TRUE(read_file(source_) == content_);
  const auto apart = copy_range(in(), 0, both.get(), 100, 100);
  ASSERT_TRUE(apart) << apart.error().to_string();
  EXPECT_EQ(read_file(source_).substr(100, 100), content_.substr(0, 100));
}

TEST_F(CopyRangeTest, wrong_access_modes_are_ebadf) {
  const UniqueFd unreadable = open_file(source_, O_WRONLY);
  const UniqueFd unwritable = open_file(destination_, O_RDONLY);
  const UniqueFd appending = open_file(destination_, O_WRONLY | O_APPEND);
  EXPECT_EQ(copy_range(unreadable.get(), 0, out(), 0, 10).error().errno_value(), EBADF);
  EXPECT_EQ(copy_range(in(), 0, unwritable.get(), 0, 10).error().errno_value(), EBADF);
  EXPECT_EQ(copy_range(in(), 0, appending.get(), 0, 10).error().errno_value(), EBADF);
  EXPECT_EQ(copy_range(-1, 0, out(), 0, 10).error().errno_value(), EBADF);
  EXPECT_EQ(read_file(destination_), "");
}

TEST_F(CopyRangeTest, an_error_names_the_range) {
  FaultPlan plan;
  plan.fail(Call::copy_file_range, ENOSPC);
  const auto report = copy_range(in(), 7, out(), 9, 100);
  ASSERT_FALSE(report);
  EXPECT_STREQ(report.error().operation, "copy_file_range");
  EXPECT_EQ(report.error().path, "100 bytes at 7 to 9");
}

TEST_F(CopyRangeTest, pipes_give_and_take) {
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  const UniqueFd read_end(fds[0]);
  UniqueFd write_end(fds[1]);
  std::jthread feeder([&] {
    const auto fed = copy_range(in(), 0, write_end.get(), 0, size);
    EXPECT_TRUE(fed);
    EXPECT_EQ(fed->method(), CopyMethod::splice);
    write_end.reset();
  });
  const auto report = copy_range(read_end.get(), 0, out(), 0, INT64_MAX);
  feeder.join();
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->bytes_copied, size);
  EXPECT_TRUE(read_file(destination_) == content_);
  EXPECT_EQ(copy_range(read_end.get(), 1, out(), 0, 10).error().errno_value(), ESPIPE);
}

TEST_F(CopyRangeTest, pipes_work_by_read_and_write_when_splice_is_refused) {
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  ASSERT_EQ(::write(fds[1], "hello", 5), 5);
  ::close(fds[1]);
  const UniqueFd read_end(fds[0]);
  FaultPlan plan;
  plan.fail(Call::splice, EINVAL);
  const auto report = copy_range(read_end.get(), 0, out(), 0, 100);
  ASSERT_TRUE(report);
  EXPECT_EQ(read_file(destination_), "hello");
  EXPECT_GT(plan.injected(), 0U);
}

TEST_F(CopyRangeTest, sockets_give_and_take) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  const UniqueFd receiving(fds[0]);
  UniqueFd sending(fds[1]);
  std::jthread feeder([&] {
    const auto fed = copy_range(in(), 10, sending.get(), 0, size - 10);
    EXPECT_TRUE(fed);
    EXPECT_EQ(fed->method(), CopyMethod::sendfile);
    sending.reset();
  });
  const auto report = copy_range(receiving.get(), 0, out(), 0, INT64_MAX);
  feeder.join();
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(read_file(destination_) == content_.substr(10));
}

TEST_F(CopyRangeTest, devices_give_and_take) {
  const UniqueFd zero = open_file("/dev/zero", O_RDONLY);
  const UniqueFd null = open_file("/dev/null", O_WRONLY);
  ASSERT_TRUE(copy_range(zero.get(), 0, out(), 0, 100'000));
  EXPECT_EQ(read_file(destination_), std::string(100'000, '\0'));
  const auto report = copy_range(in(), 0, null.get(), 0, size);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->bytes_copied, size);
}

TEST_F(CopyRangeTest, synthetic_files_are_read_to_their_end) {
  const UniqueFd cpuinfo = open_file("/proc/version", O_RDONLY);
  const auto report = copy_range(cpuinfo.get(), 0, out(), 0, 1 << 20);
  ASSERT_TRUE(report);
  EXPECT_EQ(read_file(destination_), read_file("/proc/version"));
}

TEST_F(CopyRangeTest, holes_are_punched_into_old_content_and_kept_at_the_end) {
  constexpr off_t sparse_size = 1 << 20;
  const UniqueFd sparse = open_file(scratch_.path("sparse"), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(sparse.get(), sparse_size), 0);
  ASSERT_EQ(::pwrite(sparse.get(), "data", 4, 300'000), 4);
  const std::string expected = read_file(scratch_.path("sparse"));
  for (const bool can_punch : {true, false}) {
    write_file(destination_, some_bytes(600'000, 5));
    FaultPlan plan;
    if (!can_punch) {
      plan.fail(Call::fallocate, EOPNOTSUPP);
    }
    const auto report = copy_range(sparse.get(), 0, out(), 4096, sparse_size);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_TRUE(read_file(destination_) == some_bytes(600'000, 5).substr(0, 4096) + expected);
    EXPECT_LT(report->bytes_copied, 10'000U);
    EXPECT_EQ(report->size_bytes, static_cast<std::uint64_t>(sparse_size));
    if (can_punch) {
      EXPECT_LT(status_of(destination_).stx_blocks * 512, 20'000U);
    } else {
      EXPECT_GT(plan.injected(), 0U);
    }
  }
}

TEST_F(CopyRangeTest, zero_runs_become_holes_if_asked) {
  write_file(source_, std::string(500'000, '\0') + "end" + std::string(500'000, '\0'));
  write_file(destination_, some_bytes(600'000, 5));
  CopyOptions options;
  options.sparse = SparseMode::always;
  const auto report = copy_range(in(), 0, out(), 0, INT64_MAX / 2, options);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(read_file(destination_) == read_file(source_));
  EXPECT_LT(status_of(destination_).stx_blocks * 512, 20'000U);
}

TEST_F(CopyRangeTest, is_verified_and_synced_if_asked) {
  CopyOptions options;
  options.verify = true;
  options.fsync = true;
  const FaultPlan plan;
  const auto report = copy_range(in(), 100, out(), 200, 100'000, options);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(report->verified);
  EXPECT_EQ(plan.count(Call::fsync), 1U);
}

TEST_F(CopyRangeTest, a_failing_fsync_is_an_error) {
  CopyOptions options;
  options.fsync = true;
  FaultPlan plan;
  plan.fail(Call::fsync, EIO);
  const auto report = copy_range(in(), 0, out(), 0, 100, options);
  ASSERT_FALSE(report);
  EXPECT_STREQ(report.error().operation, "fsync");
}

TEST_F(CopyRangeTest, ranges_that_continue_one_another_are_merged) {
  const std::vector<CopyRange> ranges = {{in(), 0, out(), 0, 1000},
                                         {in(), 1000, out(), 1000, 1000},
                                         {in(), 2000, out(), 2000, 500},
                                         {in(), 5000, out(), 2500, 500},     // not in the source
                                         {in(), 5500, out(), 10'000, 500}};  // not in the destination
  const FaultPlan plan;
  const auto report = copy_ranges(ranges);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->bytes_copied, 3500U);
  EXPECT_EQ(plan.count(Call::copy_file_range), 3U);
  const std::string copied = read_file(destination_);
  EXPECT_EQ(copied.substr(0, 2500), content_.substr(0, 2500));
  EXPECT_EQ(copied.substr(2500, 500), content_.substr(5000, 500));
  EXPECT_EQ(copied.substr(10'000), content_.substr(5500, 500));
}

TEST_F(CopyRangeTest, the_first_failing_range_ends_the_list_and_the_rest_is_told) {
  const std::vector<CopyRange> ranges = {
      {in(), 0, out(), 0, 1000}, {in(), 5000, out(), 1000, 500}, {in(), 0, out(), 9000, 500}};
  FaultPlan plan;
  plan.fail(Call::copy_file_range, ENOSPC, {.first = 2});
  CopyReport before;
  const auto report = copy_ranges(ranges, {}, &before);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().path, "500 bytes at 5000 to 1000");
  EXPECT_EQ(before.bytes_copied, 1000U);
  EXPECT_TRUE(copy_ranges({}));
}

TEST_F(CopyRangeTest, can_be_stopped) {
  std::stop_source stop;
  stop.request_stop();
  CopyOptions options;
  options.stop = stop.get_token();
  EXPECT_EQ(copy_range(in(), 0, out(), 0, 100, options).error().errno_value(), ECANCELED);
}

TEST_F(CopyRangeTest, can_be_stopped_while_a_pipe_is_silent) {
  int fds[2] = {-1, -1};
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  const UniqueFd read_end(fds[0]);
  const UniqueFd write_end(fds[1]);  // open, so that the pipe does not end either
  std::stop_source stop;
  CopyOptions options;
  options.stop = stop.get_token();
  const std::jthread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    stop.request_stop();
  });
  EXPECT_EQ(copy_range(read_end.get(), 0, out(), 0, 100, options).error().errno_value(), ECANCELED);
}

TEST_F(CopyRangeTest, a_pipe_that_is_open_without_blocking_is_waited_for) {
  int fds[2] = {-1, -1};
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd read_end(fds[0]);
  const std::jthread writer([write_end = UniqueFd(fds[1])] {
    for (const char* part : {"one ", "two ", "three"}) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      EXPECT_GT(::write(write_end.get(), part, std::strlen(part)), 0);
    }
  });
  const auto report = copy_range(read_end.get(), 0, out(), 0, 1000);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->bytes_copied, 13U);
  EXPECT_EQ(read_file(destination_), "one two three");
}

TEST_F(CopyRangeTest, a_pipe_is_read_though_it_cannot_be_waited_for) {
  int fds[2] = {-1, -1};
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  const UniqueFd read_end(fds[0]);
  ASSERT_EQ(::write(fds[1], "content", 7), 7);
  ::close(fds[1]);
  FaultPlan plan;
  plan.fail(Call::poll, ENOMEM);
  const auto report = copy_range(read_end.get(), 0, out(), 0, 1000);
  EXPECT_GT(plan.injected(), 0U);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->bytes_copied, 7U);
}

}  // namespace
}  // namespace ferry::testing
