// Every operation with errors and short results, on both backends: the seam makes submissions fail as it does calls.
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "ring/loop_fixture.hpp"
#include "support/fault_plan.hpp"

namespace ferry {
namespace {

using sys::Call;
using testing::bytes_of;
using testing::FaultPlan;
using testing::open_file;
using testing::read_file;
using testing::some_bytes;
using testing::write_file;

class LoopFaults : public testing::LoopTest {};
FERRY_ON_BOTH_BACKENDS(LoopFaults);

TEST_P(LoopFaults, every_operation_reports_its_error_and_does_nothing_else) {
  write_file(scratch_.path("file"), "content");
  const UniqueFd fd = open_file(scratch_.path("file"), O_RDWR);
  const int dir = scratch_.dirfd();
  std::string memory(10, '.');
  const iovec vector[] = {{memory.data(), memory.size()}};
  struct ::statx status = {};
  const auto expect = [&](Call call, Request request) {
    FaultPlan plan;
    plan.fail(call, EIO);
    EXPECT_EQ(result_of(std::move(request)), -EIO) << sys::name(call);
    EXPECT_EQ(plan.injected(), 1U) << sys::name(call);
  };
  expect(Call::openat, request::Open{dir, "made", O_WRONLY | O_CREAT, 0600});
  expect(Call::pread, request::Read{fd.get(), Buffer::borrow(bytes_of(memory)), 0});
  expect(Call::pwrite, request::Write{fd.get(), Buffer::borrow(bytes_of(memory)), 0});
  expect(Call::preadv, request::ReadVector{fd.get(), vector, 0});
  expect(Call::pwritev, request::WriteVector{fd.get(), vector, 0});
  expect(Call::fsync, request::Sync{fd.get(), false});
  expect(Call::fdatasync, request::Sync{fd.get(), true});
  expect(Call::statx, request::Stat{dir, "file", 0, STATX_SIZE, &status});
  expect(Call::fallocate, request::Allocate{fd.get(), 0, 0, 10000});
  expect(Call::unlinkat, request::Unlink{dir, "file", 0});
  expect(Call::renameat2, request::Rename{dir, "file", dir, "renamed", 0});
  expect(Call::mkdirat, request::MakeDirectory{dir, "made", 0700});
  expect(Call::linkat, request::Link{dir, "file", dir, "made", 0});
  expect(Call::symlinkat, request::Symlink{"file", dir, "made"});
  expect(Call::splice, request::Splice{fd.get(), 0, fd.get(), at_position, 10});
  expect(Call::copy_file_range, request::CopyFileRange{fd.get(), 0, fd.get(), 100, 10});
  expect(Call::close, request::Close{fd.get()});
  EXPECT_EQ(scratch_.names(), std::vector<std::string>{"file"});
  EXPECT_EQ(read_file(scratch_.path("file")), "content");
}

TEST_P(LoopFaults, short_reads_and_writes_are_gone_on_from) {
  const std::string content = some_bytes(10000);
  write_file(scratch_.path("in"), content);
  const UniqueFd in = open_file(scratch_.path("in"), O_RDONLY);
  const UniqueFd out = open_file(scratch_.path("out"), O_WRONLY | O_CREAT);
  FaultPlan plan;
  plan.limit(Call::pread, 1000);
  plan.limit(Call::pwrite, 700);
  std::string got(content.size() + 100, '.');
  EXPECT_EQ(read(in.get(), got, 0), 10000);
  got.resize(content.size());
  EXPECT_EQ(got, content);
  EXPECT_EQ(plan.count(Call::pread), 11U);
  EXPECT_EQ(write(out.get(), content, 0), 10000);
  EXPECT_EQ(plan.count(Call::pwrite), 15U);
  EXPECT_EQ(read_file(scratch_.path("out")), content);
}

TEST_P(LoopFaults, short_managed_reads_and_writes_are_gone_on_from) {
  make_loop({.pool_buffers = 1, .pool_buffer_bytes = 8192});
  const std::string content = some_bytes(8000);
  write_file(scratch_.path("in"), content);
  const UniqueFd in = open_file(scratch_.path("in"), O_RDONLY);
  const UniqueFd out = open_file(scratch_.path("out"), O_WRONLY | O_CREAT);
  FaultPlan plan;
  plan.limit(Call::pread, 3000);
  plan.limit(Call::pwrite, 3000);
  Operation operation;
  loop().start(operation, request::ReadManaged{in.get(), 8192, 0});
  ASSERT_TRUE(loop().run());
  ASSERT_EQ(operation.result(), 8000);
  EXPECT_EQ(result_of(request::Write{out.get(), operation.take_buffer(), 0}), 8000);
  EXPECT_GE(plan.injected(), 4U);
  EXPECT_EQ(read_file(scratch_.path("out")), content);
}

TEST_P(LoopFaults, vectors_tell_how_short_they_were) {
  write_file(scratch_.path("file"), "0123456789");
  const UniqueFd fd = open_file(scratch_.path("file"), O_RDWR);
  std::string memory(10, '.');
  const iovec vector[] = {{memory.data(), memory.size()}};
  FaultPlan plan;
  plan.limit(Call::preadv, 4);
  plan.limit(Call::pwritev, 3);
  EXPECT_EQ(result_of(request::ReadVector{fd.get(), vector, 0}), 4);
  EXPECT_EQ(memory, "0123......");
  EXPECT_EQ(result_of(request::WriteVector{fd.get(), vector, 5}), 3);
  EXPECT_EQ(plan.injected(), 2U);
}

TEST_P(LoopFaults, splices_and_copies_of_ranges_tell_how_short_they_were) {
  write_file(scratch_.path("file"), "0123456789");
  const UniqueFd in = open_file(scratch_.path("file"), O_RDONLY);
  const UniqueFd out = open_file(scratch_.path("out"), O_RDWR | O_CREAT);
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd pipe_in(ends[0]);
  const UniqueFd pipe_out(ends[1]);
  FaultPlan plan;
  plan.limit(Call::splice, 4);
  plan.limit(Call::copy_file_range, 3);
  EXPECT_EQ(result_of(request::Splice{in.get(), 0, pipe_out.get(), at_position, 10}), 4);
  EXPECT_EQ(result_of(request::CopyFileRange{in.get(), 0, out.get(), 0, 10}), 3);
  EXPECT_EQ(plan.injected(), 2U);
  EXPECT_EQ(read_file(scratch_.path("out")), "012");
}

TEST_P(LoopFaults, an_error_after_some_bytes_stands_and_the_bytes_are_told) {
  const UniqueFd out = open_file(scratch_.path("out"), O_WRONLY | O_CREAT);
  const std::string content = some_bytes(5000);
  FaultPlan plan;
  plan.limit(Call::pwrite, 1000);
  plan.fail(Call::pwrite, ENOSPC, {.first = 4});
  Operation operation;
  loop().start(operation, request::Write{out.get(), Buffer::borrow_const(bytes_of(content)), 0});
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(operation.result(), -ENOSPC);
  EXPECT_EQ(operation.bytes_moved(), 3000U);
}

TEST_P(LoopFaults, a_write_of_nothing_is_no_room) {
  const UniqueFd out = open_file(scratch_.path("out"), O_WRONLY | O_CREAT);
  FaultPlan plan;
  plan.answer(Call::pwrite, 0);
  EXPECT_EQ(write(out.get(), "x", 0), -ENOSPC);
}

TEST_P(LoopFaults, interruptions_are_not_results) {
  write_file(scratch_.path("in"), "content");
  const UniqueFd in = open_file(scratch_.path("in"), O_RDONLY);
  FaultPlan plan;
  plan.fail(Call::pread, EINTR, {.first = 1, .times = 3});
  std::string got(7, '.');
  EXPECT_EQ(read(in.get(), got, 0), 7);
  EXPECT_EQ(plan.injected(), 3U);
}

TEST_P(LoopFaults, eagain_of_a_file_is_overcome_by_a_thread_or_stands) {
  write_file(scratch_.path("in"), "content");
  const UniqueFd in = open_file(scratch_.path("in"), O_RDONLY);
  FaultPlan plan;
  plan.fail(Call::pread, EAGAIN, {.first = 1, .times = 1});
  std::string got(7, '.');
  EXPECT_EQ(read(in.get(), got, 0), GetParam() == LoopBackend::uring ? 7 : -EAGAIN);
  EXPECT_EQ(plan.injected(), 1U);
}

TEST_P(LoopFaults, errors_of_waiting_are_returned_and_nothing_is_lost) {
  const Call waits = GetParam() == LoopBackend::uring ? Call::io_uring_enter : Call::epoll_wait;
  Operation operation;
  loop().start(operation, request::Nop{});
  {
    FaultPlan plan;
    plan.fail(waits, ENOMEM, {.first = 1, .times = 1});
    const auto ran = loop().run();
    ASSERT_FALSE(ran);
    EXPECT_EQ(ran.error().errno_value(), ENOMEM);
  }
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(operation.result(), 0);
}

TEST_P(LoopFaults, destruction_survives_errors_of_waiting) {
  const Call waits = GetParam() == LoopBackend::uring ? Call::io_uring_enter : Call::epoll_wait;
  Operation operation;
  loop().start(operation, request::Timer{std::chrono::hours(1)});
  FaultPlan plan;
  plan.fail(waits, EBADF, {.first = 1, .times = 3});
  loop_.reset();
  EXPECT_EQ(operation.result(), -ECANCELED);
  EXPECT_GE(plan.injected(), 1U);
}

class UringFaults : public testing::LoopTest {};
INSTANTIATE_TEST_SUITE_P(On, UringFaults, ::testing::Values(LoopBackend::uring), testing::backend_name);

TEST_P(UringFaults, a_busy_ring_is_tried_again) {
  FaultPlan plan;
  plan.fail(Call::io_uring_enter, EBUSY, {.first = 1, .times = 2});
  plan.fail(Call::io_uring_enter, EAGAIN, {.first = 3, .times = 2});
  EXPECT_EQ(result_of(request::Nop{}), 0);
  EXPECT_EQ(plan.injected(), 4U);
}

TEST_P(UringFaults, what_the_ring_has_no_operation_for_is_done_by_a_thread) {
  loop_.reset();
  FaultPlan plan;
  plan.fail(Call::io_uring_register, EINVAL);  // without a probe only the oldest operations are taken for granted
  const auto loop = Loop::create({.backend = LoopBackend::uring});
  ASSERT_FALSE(loop) << "a ring without READ is no backend";
  EXPECT_EQ(loop.error().errno_value(), ENOSYS);
  const auto automatic = Loop::create();
  ASSERT_TRUE(automatic);
  EXPECT_EQ(automatic->backend(), LoopBackend::threads);
  ASSERT_TRUE(automatic->uring_refusal());
}

TEST(LoopBackendChoice, is_threads_where_io_uring_is_refused_and_says_why) {
  FaultPlan plan;
  plan.fail(Call::io_uring_setup, EPERM);
  auto loop = Loop::create();
  ASSERT_TRUE(loop) << loop.error().to_string();
  EXPECT_EQ(loop->backend(), LoopBackend::threads);
  ASSERT_TRUE(loop->uring_refusal());
  EXPECT_EQ(loop->uring_refusal()->errno_value(), EPERM);
  const auto uring = Loop::create({.backend = LoopBackend::uring});
  ASSERT_FALSE(uring);
  EXPECT_EQ(uring.error().errno_value(), EPERM);
}

TEST(LoopCreation, fails_when_its_descriptors_cannot_be_made) {
  for (const Call call : {Call::eventfd, Call::epoll_create, Call::epoll_ctl}) {
    FaultPlan plan;
    plan.fail(call, EMFILE);
    const auto loop = Loop::create({.backend = LoopBackend::threads});
    ASSERT_FALSE(loop) << sys::name(call);
    EXPECT_EQ(loop.error().errno_value(), EMFILE);
  }
}

}  // namespace
}  // namespace ferry
