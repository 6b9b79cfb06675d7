// Coroutines on the loop, on both backends.
#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

#include <ferry/task.hpp>

#include "ring/loop_fixture.hpp"
#include "support/fault_plan.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;
using testing::bytes_of;

class TaskTest : public testing::LoopTest {
 protected:
  void SetUp() override {
    LoopTest::SetUp();
    int fds[2] = {-1, -1};
    ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    pipe_in_.reset(fds[0]);
    pipe_out_.reset(fds[1]);
  }
  UniqueFd pipe_in_;
  UniqueFd pipe_out_;
};
FERRY_ON_BOTH_BACKENDS(TaskTest);

Task<Result<std::uint64_t>> copy_by_coroutine(Loop& loop, int dir, const char* from, const char* to) {
  auto in = co_await loop.open(dir, from, O_RDONLY);
  if (!in) {
    co_return std::unexpected(in.error());
  }
  auto out = co_await loop.open(dir, to, O_WRONLY | O_CREAT, 0600);
  if (!out) {
    co_return std::unexpected(out.error());
  }
  std::uint64_t offset = 0;
  for (;;) {
    auto lease = co_await loop.read_managed(in->get(), 4096, offset);
    if (!lease) {
      co_return std::unexpected(lease.error());
    }
    if (lease->size() == 0) {
      break;
    }
    auto written = co_await loop.write_managed(out->get(), std::move(*lease), offset);
    if (!written) {
      co_return std::unexpected(written.error());
    }
    offset += *written;
  }
  if (const auto synced = co_await loop.fdatasync(out->get()); !synced) {
    co_return std::unexpected(synced.error());
  }
  if (const auto closed = co_await loop.close(std::move(*out)); !closed) {
    co_return std::unexpected(closed.error());
  }
  co_return offset;
}

TEST_P(TaskTest, copies_a_file_by_managed_reads_and_writes) {
  make_loop({.pool_buffers = 2, .pool_buffer_bytes = 4096});
  const std::string content = testing::some_bytes(10000);
  testing::write_file(scratch_.path("in"), content);
  const auto copied = run(loop(), copy_by_coroutine(loop(), scratch_.dirfd(), "in", "out"));
  ASSERT_TRUE(copied && *copied) << (copied ? copied->error() : copied.error()).to_string();
  EXPECT_EQ(**copied, content.size());
  EXPECT_EQ(testing::read_file(scratch_.path("out")), content);
  EXPECT_EQ(loop().pool().available(), 2U);
}

TEST_P(TaskTest, errors_come_back_as_results) {
  make_loop({.pool_buffers = 1, .pool_buffer_bytes = 4096});
  const auto copied = run(loop(), copy_by_coroutine(loop(), scratch_.dirfd(), "none", "out"));
  ASSERT_TRUE(copied);
  EXPECT_EQ(copied->error().errno_value(), ENOENT);
}

TEST_P(TaskTest, every_operation_can_be_awaited) {
  const int dir = scratch_.dirfd();
  const auto all = [](Loop& loop, int dirfd) -> Task<int> {
    int failures = 0;
    const auto check = [&](const auto& result) { failures += result ? 0 : 1; };
    check(co_await loop.nop());
    check(co_await loop.sleep(1ms));
    auto fd = co_await loop.open(dirfd, "file", O_RDWR | O_CREAT, 0600);
    check(fd);
    check(co_await loop.allocate(fd->get(), 0, 0, 100));
    check(co_await loop.write(fd->get(), std::as_bytes(std::span("text", 4)), 0));
    std::string memory(4, '.');
    check(co_await loop.read(fd->get(), bytes_of(memory), 0));
    failures += memory == "text" ? 0 : 1;
    const iovec vector[] = {{memory.data(), memory.size()}};
    check(co_await loop.write_vector(fd->get(), vector, 4));
    check(co_await loop.read_vector(fd->get(), vector, 0));
    check(co_await loop.fsync(fd->get()));
    auto other = co_await loop.open(dirfd, "other", O_RDWR | O_CREAT, 0600);
    check(other);
    check(co_await loop.copy_file_range({fd->get(), 0, other->get(), 0, 4}));
    struct ::statx status = {};
    check(co_await loop.stat(dirfd, "other", 0, STATX_SIZE, status));
    failures += status.stx_size == 4 ? 0 : 1;
    check(co_await loop.make_directory(dirfd, "directory"));
    check(co_await loop.link(dirfd, "file", dirfd, "directory/link"));
    check(co_await loop.symlink("file", dirfd, "symlink"));
    check(co_await loop.rename(dirfd, "symlink", dirfd, "moved"));
    check(co_await loop.unlink(dirfd, "moved"));
    check(co_await loop.close(std::move(*fd)));
    co_return failures;
  };
  EXPECT_EQ(run(loop(), all(loop(), dir)), 0);
}

Task<int> numbered(Loop& loop, int number, std::chrono::milliseconds time) {
  (void)co_await loop.sleep(time);
  co_return number;
}

TEST_P(TaskTest, when_all_runs_at_the_same_time_and_keeps_the_order) {
  const auto begin = std::chrono::steady_clock::now();
  const auto results = run(loop(), when_all(numbered(loop(), 1, 60ms), numbered(loop(), 2, 40ms)));
  ASSERT_TRUE(results);
  EXPECT_EQ(*results, std::tuple(1, 2));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 60ms);
  std::vector<Task<int>> many;
  for (int i = 0; i < 50; ++i) {
    many.push_back(numbered(loop(), i, std::chrono::milliseconds(i % 7)));
  }
  const auto all = run(loop(), when_all(std::move(many)));
  ASSERT_TRUE(all);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ((*all)[static_cast<std::size_t>(i)], i);
  }
  EXPECT_EQ(run(loop(), when_all(std::vector<Task<int>>()))->size(), 0U);
}

Task<Result<std::uint64_t>> read_pipe(Loop& loop, int fd) {
  std::string memory(10, '.');
  co_return co_await loop.read(fd, bytes_of(memory), at_position);
}

TEST_P(TaskTest, a_stop_request_of_another_thread_cancels_all_below) {
  std::stop_source source;
  std::jthread stopper([&] {
    std::this_thread::sleep_for(5ms);
    source.request_stop();
  });
  const auto both =
      run(loop(), when_all(read_pipe(loop(), pipe_in_.get()), read_pipe(loop(), pipe_in_.get())), source.get_token());
  ASSERT_TRUE(both);
  EXPECT_EQ(std::get<0>(*both).error().errno_value(), ECANCELED);
  EXPECT_EQ(std::get<1>(*both).error().errno_value(), ECANCELED);
}

TEST_P(TaskTest, a_stop_request_beforehand_cancels_at_once) {
  std::stop_source source;
  source.request_stop();
  const auto read = run(loop(), read_pipe(loop(), pipe_in_.get()), source.get_token());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->error().errno_value(), ECANCELED);
}

TEST_P(TaskTest, destroyed_in_the_middle_nothing_outlives_it) {
  {
    auto task = when_all(read_pipe(loop(), pipe_in_.get()), numbered(loop(), 1, 1h));
    task.begin(std::noop_coroutine()).resume();
    ASSERT_TRUE(loop().poll());
    EXPECT_EQ(loop().in_flight(), 2U);
  }
  EXPECT_EQ(loop().in_flight(), 0U);
  ASSERT_EQ(::write(pipe_out_.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(pipe_in_.get(), &byte, 1), 1) << "the read that was in flight has taken nothing";
}

TEST_P(TaskTest, a_task_that_never_began_costs_nothing) {
  (void)numbered(loop(), 1, 1h);
  EXPECT_EQ(loop().in_flight(), 0U);
}

TEST_P(TaskTest, exceptions_come_out_of_await) {
  const auto thrower = [](Loop& loop) -> Task<void> {
    (void)co_await loop.nop();
    throw std::runtime_error("thrown");
  };
  const auto catcher = [&](Loop& loop) -> Task<std::string> {
    try {
      co_await thrower(loop);
    } catch (const std::runtime_error& error) {
      co_return error.what();
    }
    co_return "nothing";
  };
  EXPECT_EQ(run(loop(), catcher(loop())), "thrown");
  EXPECT_THROW((void)run(loop(), when_all(thrower(loop()), numbered(loop(), 1, 5ms))), std::runtime_error);
  EXPECT_EQ(loop().in_flight(), 0U);
}

Task<int> sum(Loop& loop, int depth) {
  if (depth == 0) {
    (void)co_await loop.nop();
    co_return 0;
  }
  co_return 1 + co_await sum(loop, depth - 1);
}

TEST_P(TaskTest, nests_deeply_without_a_deep_stack_to_return_on) { EXPECT_EQ(run(loop(), sum(loop(), 10000)), 10000); }

TEST_P(TaskTest, a_cancelled_close_leaks_no_descriptor) {
  const int fd = pipe_in_.get();
  const auto close_it = [](Loop& loop, UniqueFd descriptor) -> Task<Result<void>> {
    co_return co_await loop.close(std::move(descriptor));
  };
  std::string memory(1, '.');
  Operation read;
  loop().start(read, request::Read{fd, Buffer::borrow(bytes_of(memory)), at_position});
  {
    auto task = close_it(loop(), std::move(pipe_in_));
    task.begin(std::noop_coroutine()).resume();
    ASSERT_TRUE(loop().poll());
    EXPECT_FALSE(task.done()) << "waits for the read";
    loop().cancel(read);
  }
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

}  // namespace
}  // namespace ferry
