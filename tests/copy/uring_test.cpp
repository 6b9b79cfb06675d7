// The uring method: short results, errors, refusals, O_DIRECT, the end of sources.
#include <linux/io_uring.h>
#include <sys/wait.h>

#include <gtest/gtest.h>

#include <string>

#include <ferry/copy.hpp>
#include <ferry/ring.hpp>

#include "copy/capabilities.hpp"
#include "support/fault_plan.hpp"
#include "support/scratch.hpp"

namespace ferry::testing {
namespace {

using sys::Call;

constexpr std::size_t size = 3'000'007;

CopyOptions by_ring() {
  CopyOptions options;
  options.methods = CopyMethod::uring;
  options.chunk_size_bytes = min_copy_chunk_size_bytes;
  return options;
}

CopyOptions by_ring_or_read_write() {
  CopyOptions options = by_ring();
  options.methods.insert(CopyMethod::read_write);
  return options;
}

std::uint64_t moved_by(const CopyReport& report, CopyMethod method) {
  return report.bytes_by_method[static_cast<std::size_t>(method)];
}
int refused(const CopyReport& report, CopyMethod method) {
  return report.refused_errno[static_cast<std::size_t>(method)];
}

class UringCopyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    engine::forget_refused();
    if (const auto ring = Ring::create(); !ring) {
      GTEST_SKIP() << "no io_uring here: " << ring.error().to_string();
    }
    write_file(source_, content_);
  }
  void TearDown() override { engine::forget_refused(); }

  [[nodiscard]] Result<CopyReport> copy(const CopyOptions& options) const {
    return copy_file(source_, destination_, options);
  }
  void expect_copied(const Result<CopyReport>& report) const {
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(report->bytes_copied, content_.size());
    EXPECT_TRUE(read_file(destination_) == content_);
  }
  void expect_failed_and_nothing_left(const Result<CopyReport>& report, int error) const {
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().errno_value(), error);
    EXPECT_EQ(scratch_.names(), std::vector<std::string>{"source"});
  }

  Scratch scratch_{"/var/tmp"};
  std::string content_ = some_bytes(size);
  std::string source_ = scratch_.path("source");
  std::string destination_ = scratch_.path("destination");
};

TEST_F(UringCopyTest, copies_with_any_number_of_chunks_in_flight) {
  for (const unsigned depth : {1U, 2U, 7U, 64U, max_copy_queue_depth}) {
    CopyOptions options = by_ring();
    options.queue_depth = depth;
    const auto report = copy(options);
    expect_copied(report);
    EXPECT_EQ(moved_by(*report, CopyMethod::uring), size);
  }
}

TEST_F(UringCopyTest, refuses_a_queue_depth_out_of_range) {
  CopyOptions options = by_ring();
  options.queue_depth = max_copy_queue_depth + 1;
  expect_failed_and_nothing_left(copy(options), ERANGE);
}

TEST_F(UringCopyTest, reads_and_writes_each_byte_once) {
  const FaultPlan plan;
  expect_copied(copy(by_ring()));
  EXPECT_EQ(plan.count(Call::pread), (size + 65535) / 65536);
  EXPECT_EQ(plan.count(Call::pwrite), (size + 65535) / 65536);
}

TEST_F(UringCopyTest, keeps_its_ring_from_file_to_file) {
  expect_copied(copy(by_ring()));
  const FaultPlan plan;
  expect_copied(copy(by_ring()));
  EXPECT_EQ(plan.count(Call::io_uring_setup), 0U);
  EXPECT_EQ(plan.count(Call::io_uring_register), 0U);
}

TEST_F(UringCopyTest, short_reads_and_writes_are_gone_on_from) {
  FaultPlan plan;
  plan.limit(Call::pread, 30'001);
  plan.limit(Call::pwrite, 20'003);
  expect_copied(copy(by_ring()));
  EXPECT_GT(plan.injected(), 100U);
}

TEST_F(UringCopyTest, interruptions_and_eagain_are_tried_again) {
  FaultPlan plan;
  plan.fail(Call::pread, EINTR, {.first = 2, .times = 5});
  plan.fail(Call::pwrite, EAGAIN, {.first = 3, .times = 5});
  expect_copied(copy(by_ring()));
  EXPECT_EQ(plan.injected(), 10U);
}

TEST_F(UringCopyTest, an_error_of_the_first_chunk_is_the_copys_error_and_leaves_nothing) {
  for (const Call call : {Call::pread, Call::pwrite}) {
    FaultPlan plan;
    plan.fail(call, EIO);
    expect_failed_and_nothing_left(copy(by_ring()), EIO);
    EXPECT_GE(plan.injected(), 1U);
  }
}

TEST_F(UringCopyTest, a_full_disk_is_reported_and_leaves_nothing) {
  FaultPlan plan;
  plan.fail(Call::pwrite, ENOSPC, {.first = 20});
  expect_failed_and_nothing_left(copy(by_ring()), ENOSPC);
  expect_failed_and_nothing_left(copy(by_ring_or_read_write()), ENOSPC);
}

TEST_F(UringCopyTest, a_write_of_nothing_is_a_full_disk) {
  FaultPlan plan;
  plan.answer(Call::pwrite, 0);
  expect_failed_and_nothing_left(copy(by_ring()), ENOSPC);
}

TEST_F(UringCopyTest, an_error_after_bytes_moved_is_met_again_or_overcome_from_there) {
  FaultPlan plan;
  plan.fail(Call::pread, EIO, {.first = 20, .times = 1});
  const auto report = copy(by_ring_or_read_write());
  expect_copied(report);
  EXPECT_EQ(plan.injected(), 1U);
  EXPECT_GE(moved_by(*report, CopyMethod::uring), 11U * 65536U);
}

TEST_F(UringCopyTest, an_end_that_comes_too_early_is_no_success) {
  FaultPlan plan;
  plan.answer(Call::pread, 0, {.first = 20, .times = 1});
  const auto report = copy(by_ring_or_read_write());
  expect_copied(report);  // nobody believes it: the rest is read
  EXPECT_EQ(plan.injected(), 1U);
}

TEST_F(UringCopyTest, refusals_fall_back_and_are_recorded) {
  for (const int error : {EPERM, ENOSYS, ENOMEM, EMFILE}) {
    engine::forget_refused();
    FaultPlan plan;
    plan.fail(Call::io_uring_setup, error);
    CopyOptions options = by_ring_or_read_write();
    options.queue_depth = static_cast<unsigned>(error % 200 + 1);  // no ring of this shape is kept
    const auto report = copy(options);
    expect_copied(report);
    EXPECT_EQ(refused(*report, CopyMethod::uring), error);
    EXPECT_EQ(moved_by(*report, CopyMethod::read_write), size);
    const std::uint64_t asked = plan.count(Call::io_uring_setup);
    EXPECT_GE(asked, 1U);
    expect_copied(copy(options));
    EXPECT_EQ(plan.count(Call::io_uring_setup) == asked, error == EPERM || error == ENOSYS)
        << "what is refused for good is not asked for again";
  }
}

TEST_F(UringCopyTest, alone_and_refused_it_fails_with_the_refusal) {
  FaultPlan plan;
  plan.fail(Call::io_uring_setup, EPERM);
  CopyOptions options = by_ring();
  options.queue_depth = 33;
  const auto report = copy(options);
  expect_failed_and_nothing_left(report, EPERM);
  EXPECT_STREQ(report.error().operation, "io_uring_setup");
}

TEST_F(UringCopyTest, works_without_lockable_memory) {
  FaultPlan plan;
  plan.fail(Call::io_uring_register, ENOMEM, {.first = 3});  // the probe and the ring's descriptor come before
  CopyOptions options = by_ring();
  options.queue_depth = 34;
  const auto report = copy(options);
  expect_copied(report);
  EXPECT_EQ(moved_by(*report, CopyMethod::uring), size);
  EXPECT_GE(plan.injected(), 1U);
}

TEST_F(UringCopyTest, a_ring_that_takes_nothing_is_given_up_and_replaced) {
  CopyOptions options = by_ring_or_read_write();
  options.queue_depth = 35;
  expect_copied(copy(options));  // the ring is made
  {
    FaultPlan plan;
    plan.fail(Call::io_uring_enter, EBADF);
    const auto report = copy(options);
    EXPECT_GE(plan.injected(), 1U);
    expect_copied(report);
    EXPECT_EQ(refused(*report, CopyMethod::uring), EBADF);
  }
  engine::forget_refused();
  const auto again = copy(options);
  expect_copied(again);
  EXPECT_EQ(moved_by(*again, CopyMethod::uring), size);
}

TEST_F(UringCopyTest, a_busy_ring_is_tried_again) {
  FaultPlan plan;
  plan.fail(Call::io_uring_enter, EBUSY, {.first = 1, .times = 3});
  plan.fail(Call::io_uring_enter, EAGAIN, {.first = 10, .times = 3});
  expect_copied(copy(by_ring()));
  EXPECT_EQ(plan.injected(), 6U);
}

TEST_F(UringCopyTest, goes_past_the_page_cache_but_for_the_last_block) {
  CopyOptions options = by_ring();
  options.direct = true;
  const auto report = copy(options);
  expect_copied(report);
  EXPECT_EQ(moved_by(*report, CopyMethod::uring), size);
  EXPECT_LE(report->direct_bytes, size / 512 * 512);
  if (report->direct_bytes == 0) {
    GTEST_SKIP() << "the file system of /var/tmp has no O_DIRECT: only the way through the cache was tested";
  }
  EXPECT_GE(report->direct_bytes, size / 4096 * 4096);
}

TEST_F(UringCopyTest, direct_copies_of_all_sizes_are_whole) {
  CopyOptions options = by_ring();
  options.direct = true;
  for (const std::size_t each : {1U, 511U, 512U, 4095U, 4096U, 4097U, 65536U, 65537U, 300'000U, 524'288U}) {
    content_ = some_bytes(each);
    write_file(source_, content_);
    ::unlink(destination_.c_str());
    expect_copied(copy(options));
  }
}

TEST_F(UringCopyTest, where_direct_does_not_work_the_page_cache_is_used) {
  CopyOptions options = by_ring();
  options.direct = true;
  {
    FaultPlan plan;  // refused by an operation, although the descriptor could be opened
    plan.fail(Call::pread, EINVAL, {.first = 1, .times = 1});
    expect_copied(copy(options));
    EXPECT_EQ(plan.injected(), 1U);
  }
  const Scratch on_tmpfs;
  const auto report = copy_file(source_, on_tmpfs.path("copy"), options);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(read_file(on_tmpfs.path("copy")) == content_);
}

// By a device that can be polled, emulated: the ring is asked to poll, and waits for interrupts after all.
class PolledCopyTest : public UringCopyTest {
 protected:
  void SetUp() override {
    UringCopyTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    CopyOptions direct = by_ring();
    direct.direct = true;
    const auto report = copy(direct);
    expect_copied(report);
    ::unlink(destination_.c_str());
    direct_bytes_ = report->direct_bytes;
    if (direct_bytes_ == 0) {
      GTEST_SKIP() << "the file system of /var/tmp has no O_DIRECT, without which nothing can be polled for";
    }
  }
  // No ring of another test has this many chunks in flight.
  static CopyOptions polling(unsigned queue_depth) {
    CopyOptions options = by_ring();
    options.direct = options.poll_devices = true;
    options.queue_depth = queue_depth;
    return options;
  }
  std::uint64_t direct_bytes_ = 0;
};

TEST_F(PolledCopyTest, whole_blocks_are_polled_for_and_the_rest_is_not) {
  FaultPlan plan;
  plan.unset_ring_flags(IORING_SETUP_IOPOLL);
  const auto report = copy(polling(40));
  expect_copied(report);
  EXPECT_EQ(plan.injected(), 1U);
  EXPECT_EQ(report->polled_bytes, direct_bytes_);
  EXPECT_EQ(report->direct_bytes, direct_bytes_);
  EXPECT_EQ(report->polling_refused_errno, 0);
}

TEST_F(PolledCopyTest, a_device_without_queues_for_it_is_not_polled_and_the_report_says_so) {
  constexpr unsigned depth = 41;
  FaultPlan plan;
  plan.unset_ring_flags(IORING_SETUP_IOPOLL);
  plan.fail(Call::pread, EOPNOTSUPP, {.first = 1, .times = depth});
  const auto report = copy(polling(depth));
  expect_copied(report);
  EXPECT_EQ(plan.injected(), 1U + depth);
  EXPECT_EQ(report->polled_bytes, 0U);
  EXPECT_EQ(report->direct_bytes, direct_bytes_);
  EXPECT_EQ(report->polling_refused_errno, EOPNOTSUPP);
  EXPECT_EQ(refused(*report, CopyMethod::uring), 0);
}

TEST_F(PolledCopyTest, the_real_device_is_polled_or_said_to_refuse) {
  const auto report = copy(polling(42));
  expect_copied(report);
  EXPECT_EQ(report->direct_bytes, direct_bytes_);
  EXPECT_EQ(report->polled_bytes > 0, report->polling_refused_errno == 0) << report->polling_refused_errno;
}

TEST_F(PolledCopyTest, a_ring_that_may_not_poll_is_replaced_by_one_that_waits) {
  FaultPlan plan;
  plan.fail(Call::io_uring_setup, ENOMEM, {.first = 1, .times = 1});
  const auto report = copy(polling(43));
  expect_copied(report);
  EXPECT_EQ(plan.injected(), 1U);
  EXPECT_EQ(report->polling_refused_errno, ENOMEM);
  EXPECT_EQ(report->direct_bytes, direct_bytes_);
}

TEST_F(PolledCopyTest, short_results_are_gone_on_from_without_polling) {
  FaultPlan plan;
  plan.unset_ring_flags(IORING_SETUP_IOPOLL);
  plan.limit(Call::pread, 30'001);
  plan.limit(Call::pwrite, 20'003);
  expect_copied(copy(polling(44)));
  EXPECT_GT(plan.injected(), 100U);
}

TEST_F(PolledCopyTest, a_source_that_ends_early_is_copied_as_far_as_it_goes) {
  const UniqueFd in = open_file(source_, O_RDONLY);
  const UniqueFd out = open_file(destination_, O_RDWR | O_CREAT);
  FaultPlan plan;
  plan.unset_ring_flags(IORING_SETUP_IOPOLL);
  const auto report = copy_range(in.get(), 0, out.get(), 0, 2 * size, polling(45));
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->bytes_copied, size);
  EXPECT_TRUE(read_file(destination_) == content_);
  EXPECT_GT(report->polled_bytes, 0U);
}

TEST_F(PolledCopyTest, errors_of_the_device_stand) {
  for (const Call call : {Call::pread, Call::pwrite}) {
    FaultPlan plan;
    plan.unset_ring_flags(IORING_SETUP_IOPOLL);
    plan.fail(call, EIO, {.first = 3});
    expect_failed_and_nothing_left(copy(polling(46)), EIO);
    EXPECT_GE(plan.injected(), 1U);
  }
}

TEST_F(PolledCopyTest, without_direct_nothing_is_polled_for) {
  CopyOptions options = polling(47);
  options.direct = false;
  const auto report = copy(options);
  expect_copied(report);
  EXPECT_EQ(report->polled_bytes, 0U);
  EXPECT_EQ(report->polling_refused_errno, 0);
}

TEST_F(UringCopyTest, where_there_is_no_direct_there_is_no_polling) {
  CopyOptions options = by_ring();
  options.direct = options.poll_devices = true;
  FaultPlan plan;
  plan.fail(Call::openat, EINVAL, {.first = 4});  // source, directory and destination come before
  const auto report = copy_file(source_, destination_, options);
  EXPECT_GE(plan.injected(), 1U);
  expect_copied(report);
  EXPECT_EQ(report->direct_bytes, 0U);
  EXPECT_EQ(report->polling_refused_errno, EOPNOTSUPP);
}

TEST_F(UringCopyTest, a_direct_copy_that_ends_early_leaves_no_reserved_space) {
  const UniqueFd in = open_file(source_, O_RDONLY);
  const UniqueFd out = open_file(destination_, O_RDWR | O_CREAT);
  CopyOptions options = by_ring();
  options.direct = true;
  FaultPlan plan;
  plan.fail(Call::pwrite, ENOSPC, {.first = 10});
  const auto report = copy_range(in.get(), 0, out.get(), 0, size, options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().errno_value(), ENOSPC);
  EXPECT_LE(status_of(out.get()).stx_size, 10U * 65536U);
}

TEST_F(UringCopyTest, what_was_reserved_and_cannot_be_given_back_is_an_error) {
  CopyOptions options = by_ring_or_read_write();
  options.direct = true;
  for (const int error : {EIO, EPERM}) {
    FaultPlan plan;
    plan.answer(Call::pread, 0, {.first = 20, .times = 1});  // an early end, which read_write could go on from
    plan.fail(Call::ftruncate, error);
    const auto report = copy(options);
    if (plan.count(Call::fallocate) == 0) {
      GTEST_SKIP() << "the file system of /var/tmp has no O_DIRECT, for which alone space is reserved";
    }
    EXPECT_EQ(plan.injected(), 2U);
    expect_failed_and_nothing_left(report, error);
    EXPECT_STREQ(report.error().operation, "ftruncate");
  }
}

TEST_F(UringCopyTest, no_more_is_reserved_than_the_source_has) {
  CopyOptions options = by_ring();
  options.direct = true;
  content_.clear();
  write_file(source_, content_);
  const FaultPlan plan;
  expect_copied(copy(options));
  EXPECT_EQ(plan.count(Call::fallocate), 0U);
  EXPECT_EQ(plan.count(Call::ftruncate), 0U);
}

TEST_F(UringCopyTest, direct_ranges_that_are_not_aligned_go_through_the_cache) {
  const UniqueFd in = open_file(source_, O_RDONLY);
  const UniqueFd out = open_file(destination_, O_RDWR | O_CREAT);
  CopyOptions options = by_ring();
  options.direct = true;
  const auto report = copy_range(in.get(), 1, out.get(), 3, 1'000'000, options);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->direct_bytes, 0U);
  EXPECT_TRUE(read_file(destination_).substr(3) == content_.substr(1, 1'000'000));
}

TEST_F(UringCopyTest, a_source_that_shrank_is_copied_as_far_as_it_goes_and_reported) {
  const UniqueFd in = open_file(source_, O_RDONLY);
  const UniqueFd out = open_file(destination_, O_RDWR | O_CREAT);
  const struct statx before = status_of(in.get());
  ASSERT_EQ(::truncate(source_.c_str(), 1'000'001), 0);
  FileCopier copier(by_ring());
  const auto report = copier.copy(in.get(), before, out.get(), 0, device_of(status_of(out.get())));
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(report->source_changed);
  EXPECT_EQ(report->size_bytes, 1'000'001U);
  EXPECT_TRUE(read_file(destination_) == content_.substr(0, 1'000'001));
}

TEST_F(UringCopyTest, holes_stay_holes) {
  ASSERT_EQ(::truncate(source_.c_str(), 0), 0);
  const UniqueFd in = open_file(source_, O_RDWR);
  ASSERT_EQ(::pwrite(in.get(), content_.data(), 100'000, 0), 100'000);
  ASSERT_EQ(::pwrite(in.get(), content_.data(), 100'000, 5'000'000), 100'000);
  for (const bool direct : {false, true}) {
    CopyOptions options = by_ring();
    options.direct = direct;
    ::unlink(destination_.c_str());
    const auto report = copy(options);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_TRUE(read_file(destination_) == read_file(source_));
    EXPECT_GT(report->hole_bytes, 4'000'000U);
    EXPECT_LE(status_of(destination_).stx_blocks, status_of(source_).stx_blocks + 16);
  }
}

TEST_F(UringCopyTest, is_verified_by_reading) {
  CopyOptions options = by_ring();
  options.verify = true;
  const auto report = copy(options);
  expect_copied(report);
  EXPECT_TRUE(report->verified);
}

TEST_F(UringCopyTest, a_child_after_fork_makes_its_own_ring) {
  expect_copied(copy(by_ring()));
  const pid_t child = ::fork();
  if (child == 0) {
    const auto report = copy_file(source_, scratch_.path("by-child"), by_ring());
    ::_exit(report && report->bytes_copied == size ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(read_file(scratch_.path("by-child")) == content_);
  expect_copied(copy(by_ring()));
}

TEST_F(UringCopyTest, a_stop_request_ends_it_within_a_piece) {
  std::stop_source stop;
  CopyOptions options = by_ring();
  options.stop = stop.get_token();
  options.on_progress = [&](const CopyProgress&) { stop.request_stop(); };
  content_ = some_bytes(std::size_t{20} << 20U);
  write_file(source_, content_);
  expect_failed_and_nothing_left(copy(options), ECANCELED);
}

}  // namespace
}  // namespace ferry::testing
