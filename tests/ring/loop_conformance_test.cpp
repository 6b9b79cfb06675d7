// What every backend of the loop must do, on both.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "ring/loop_fixture.hpp"
#include "support/fault_plan.hpp"

namespace ferry {
namespace {

using namespace std::chrono_literals;
using testing::bytes_of;
using testing::open_file;
using testing::read_file;
using testing::some_bytes;
using testing::write_file;

class LoopConformance : public testing::LoopTest {};
FERRY_ON_BOTH_BACKENDS(LoopConformance);

struct Pipe {
  Pipe() {
    int fds[2] = {-1, -1};
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    in.reset(fds[0]);
    out.reset(fds[1]);
  }
  UniqueFd in;
  UniqueFd out;
};

TEST_P(LoopConformance, a_nop_completes) { EXPECT_EQ(result_of(request::Nop{}), 0); }

TEST_P(LoopConformance, opens_writes_reads_and_closes) {
  const std::string path = scratch_.path("file");
  const auto fd = static_cast<int>(result_of(request::Open{AT_FDCWD, path.c_str(), O_RDWR | O_CREAT, 0600}));
  ASSERT_GE(fd, 0);
  EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(testing::status_of(fd).stx_mode & 07777U, 0600U);
  EXPECT_EQ(write(fd, "hello world", 0), 11);
  EXPECT_EQ(write(fd, "W", 6), 1);
  std::string text(20, '.');
  EXPECT_EQ(read(fd, text, 0), 11);
  EXPECT_EQ(text, "hello World.........");
  EXPECT_EQ(read(fd, text, 11), 0) << "the end of the file";
  EXPECT_EQ(result_of(request::Close{fd}), 0);
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

TEST_P(LoopConformance, tells_the_errno_and_the_operation) {
  Operation operation;
  loop().start(operation, request::Open{AT_FDCWD, "/nonexistent/file", O_RDONLY});
  ASSERT_TRUE(loop().run());
  ASSERT_FALSE(operation.outcome());
  EXPECT_EQ(operation.outcome().error().to_string(), "openat: No such file or directory");
  std::string text(4, '.');
  EXPECT_EQ(read(-1, text, 0), -EBADF);
  EXPECT_EQ(result_of(request::Close{-1}), -EBADF);
}

TEST_P(LoopConformance, reads_and_writes_vectors) {
  const UniqueFd fd = open_file(scratch_.path("file"), O_RDWR | O_CREAT);
  std::string one = "one";
  std::string two = "three";
  const iovec vectors[] = {{one.data(), 3}, {two.data(), 5}};
  EXPECT_EQ(result_of(request::WriteVector{fd.get(), vectors, 0}), 8);
  EXPECT_EQ(read_file(scratch_.path("file")), "onethree");
  one = two = ".....";
  const iovec into[] = {{one.data(), 5}, {two.data(), 5}};
  EXPECT_EQ(result_of(request::ReadVector{fd.get(), into, 0}), 8);
  EXPECT_EQ(one + two, "onethree..");
}

TEST_P(LoopConformance, reads_into_and_writes_from_buffers_of_the_pool) {
  make_loop({.pool_buffers = 2, .pool_buffer_bytes = 4096});
  const std::string content = some_bytes(5000);
  write_file(scratch_.path("in"), content);
  const UniqueFd in = open_file(scratch_.path("in"), O_RDONLY);
  const UniqueFd out = open_file(scratch_.path("out"), O_WRONLY | O_CREAT);
  for (std::uint64_t offset = 0; offset < content.size();) {
    Operation operation;
    loop().start(operation, request::ReadManaged{in.get(), 4096, offset});
    ASSERT_TRUE(loop().run());
    Lease lease = operation.take_lease();
    ASSERT_GT(operation.result(), 0);
    ASSERT_EQ(lease.size(), static_cast<std::size_t>(operation.result()));
    EXPECT_EQ(lease.bytes()[0], bytes_of(content)[offset]);
    EXPECT_EQ(loop().pool().available(), 1U);
    const auto size = static_cast<std::int64_t>(lease.size());
    EXPECT_EQ(result_of(request::Write{out.get(), Buffer(std::move(lease)), offset}), size);
    offset += static_cast<std::uint64_t>(size);
    EXPECT_EQ(loop().pool().available(), 2U) << "the operation has given its buffer back";
  }
  EXPECT_EQ(read_file(scratch_.path("out")), content);
}

TEST_P(LoopConformance, a_managed_read_waits_for_a_buffer) {
  make_loop({.pool_buffers = 1, .pool_buffer_bytes = 4096});
  write_file(scratch_.path("in"), "content");
  const UniqueFd in = open_file(scratch_.path("in"), O_RDONLY);
  Lease held = loop().pool().try_lease();
  Operation first;
  Operation second;
  loop().start(first, request::ReadManaged{in.get(), 100, 0});
  loop().start(second, request::ReadManaged{in.get(), 100, 0});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(loop().poll());
  }
  EXPECT_TRUE(first.in_flight());
  std::jthread other([&] {
    std::this_thread::sleep_for(5ms);
    held = Lease();  // from another thread
  });
  while (first.in_flight()) {
    ASSERT_TRUE(loop().run_once());
  }
  EXPECT_EQ(first.result(), 7);
  EXPECT_TRUE(second.in_flight()) << "the only buffer is in the first operation";
  (void)first.take_lease();
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(second.result(), 7);
}

TEST_P(LoopConformance, a_managed_read_without_a_pool_or_too_long_is_invalid) {
  write_file(scratch_.path("in"), "content");
  const UniqueFd in = open_file(scratch_.path("in"), O_RDONLY);
  EXPECT_EQ(result_of(request::ReadManaged{in.get(), 10, 0}), -EINVAL);
  make_loop({.pool_buffers = 1, .pool_buffer_bytes = 4096});
  EXPECT_EQ(result_of(request::ReadManaged{in.get(), 4097, 0}), -EINVAL);
}

TEST_P(LoopConformance, syncs_allocates_and_stats) {
  const UniqueFd fd = open_file(scratch_.path("file"), O_RDWR | O_CREAT);
  EXPECT_EQ(result_of(request::Allocate{fd.get(), 0, 0, 10000}), 0);
  EXPECT_EQ(result_of(request::Sync{fd.get(), false}), 0);
  EXPECT_EQ(result_of(request::Sync{fd.get(), true}), 0);
  struct ::statx status = {};
  EXPECT_EQ(result_of(request::Stat{scratch_.dirfd(), "file", 0, STATX_SIZE, &status}), 0);
  EXPECT_EQ(status.stx_size, 10000U);
  EXPECT_EQ(result_of(request::Stat{scratch_.dirfd(), "none", 0, STATX_SIZE, &status}), -ENOENT);
}

TEST_P(LoopConformance, makes_and_changes_names) {
  const int dir = scratch_.dirfd();
  write_file(scratch_.path("file"), "x");
  EXPECT_EQ(result_of(request::MakeDirectory{dir, "directory", 0750}), 0);
  EXPECT_EQ(testing::status_of(scratch_.path("directory")).stx_mode & 07777U, 0750U);
  EXPECT_EQ(result_of(request::Link{dir, "file", dir, "directory/link", 0}), 0);
  EXPECT_EQ(testing::status_of(scratch_.path("file")).stx_nlink, 2U);
  EXPECT_EQ(result_of(request::Symlink{"target", dir, "symlink"}), 0);
  EXPECT_EQ(std::filesystem::read_symlink(scratch_.path("symlink")), "target");
  EXPECT_EQ(result_of(request::Rename{dir, "symlink", dir, "file", RENAME_NOREPLACE}), -EEXIST);
  EXPECT_EQ(result_of(request::Rename{dir, "symlink", dir, "renamed", 0}), 0);
  EXPECT_EQ(result_of(request::Unlink{dir, "file", 0}), 0);
  EXPECT_EQ(result_of(request::Unlink{dir, "directory", AT_REMOVEDIR}), -ENOTEMPTY);
  EXPECT_EQ(result_of(request::Unlink{dir, "directory/link", 0}), 0);
  EXPECT_EQ(result_of(request::Unlink{dir, "directory", AT_REMOVEDIR}), 0);
  EXPECT_EQ(scratch_.names(), std::vector<std::string>{"renamed"});
}

TEST_P(LoopConformance, splices_through_a_pipe) {
  write_file(scratch_.path("in"), "spliced");
  const UniqueFd in = open_file(scratch_.path("in"), O_RDONLY);
  const UniqueFd out = open_file(scratch_.path("out"), O_WRONLY | O_CREAT);
  const Pipe pipe;
  EXPECT_EQ(result_of(request::Splice{in.get(), 0, pipe.out.get(), at_position, 100}), 7);
  EXPECT_EQ(result_of(request::Splice{pipe.in.get(), at_position, out.get(), 0, 100}), 7);
  EXPECT_EQ(read_file(scratch_.path("out")), "spliced");
}

TEST_P(LoopConformance, a_splice_waits_for_its_pipe_and_can_be_cancelled) {
  const UniqueFd out = open_file(scratch_.path("out"), O_WRONLY | O_CREAT);
  const Pipe pipe;
  Operation waiting;
  loop().start(waiting, request::Splice{pipe.in.get(), at_position, out.get(), 0, 100});
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(loop().poll());
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_TRUE(waiting.in_flight());
  loop().cancel(waiting);
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(waiting.result(), -ECANCELED);
  loop().start(waiting, request::Splice{pipe.in.get(), at_position, out.get(), 0, 100});
  ASSERT_TRUE(loop().poll());
  ASSERT_EQ(::write(pipe.out.get(), "late", 4), 4);
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(waiting.result(), 4);
}

TEST_P(LoopConformance, copies_ranges_on_a_thread) {
  write_file(scratch_.path("in"), "0123456789");
  const UniqueFd in = open_file(scratch_.path("in"), O_RDONLY);
  const UniqueFd out = open_file(scratch_.path("out"), O_WRONLY | O_CREAT);
  EXPECT_EQ(result_of(request::CopyFileRange{in.get(), 2, out.get(), 1, 5}), 5);
  EXPECT_EQ(read_file(scratch_.path("out")), std::string("\0", 1) + "23456");
}

TEST_P(LoopConformance, a_read_from_a_stream_is_done_when_there_is_something) {
  const Pipe pipe;
  std::string text(100, '.');
  Operation waiting;
  loop().start(waiting, request::Read{pipe.in.get(), Buffer::borrow(bytes_of(text)), at_position});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(loop().poll());
  }
  EXPECT_TRUE(waiting.in_flight());
  ASSERT_EQ(::write(pipe.out.get(), "some", 4), 4);
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(waiting.result(), 4);
  EXPECT_EQ(text.substr(0, 5), "some.");
}

TEST_P(LoopConformance, a_write_to_a_stream_is_done_when_all_is_written) {
  const Pipe pipe;
  const std::string content = some_bytes(300000);  // more than a pipe holds
  std::string received;
  std::jthread reader([&] {
    std::string chunk(10000, '.');
    while (received.size() < content.size()) {
      const ssize_t got = ::read(pipe.in.get(), chunk.data(), chunk.size());
      ASSERT_GT(got, 0);
      received.append(chunk, 0, static_cast<std::size_t>(got));
    }
  });
  EXPECT_EQ(write(pipe.out.get(), content, at_position), static_cast<std::int64_t>(content.size()));
  reader.join();
  EXPECT_EQ(received, content);
}

TEST_P(LoopConformance, waits_for_streams_that_do_not_block) {
  const Pipe pipe;
  ASSERT_EQ(::fcntl(pipe.in.get(), F_SETFL, O_NONBLOCK), 0);
  std::string text(10, '.');
  Operation waiting;
  loop().start(waiting, request::Read{pipe.in.get(), Buffer::borrow(bytes_of(text)), at_position});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(loop().poll());
  }
  EXPECT_TRUE(waiting.in_flight()) << "EAGAIN is no result";
  ASSERT_EQ(::write(pipe.out.get(), "x", 1), 1);
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(waiting.result(), 1);
}

TEST_P(LoopConformance, several_reads_of_one_stream_get_their_share_in_order) {
  const Pipe pipe;
  std::string first(1, '.');
  std::string second(1, '.');
  Operation a;
  Operation b;
  loop().start(a, request::Read{pipe.in.get(), Buffer::borrow(bytes_of(first)), at_position});
  loop().start(b, request::Read{pipe.in.get(), Buffer::borrow(bytes_of(second)), at_position});
  ASSERT_TRUE(loop().poll());
  ASSERT_EQ(::write(pipe.out.get(), "12", 2), 2);
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(a.result(), 1);
  EXPECT_EQ(b.result(), 1);
  EXPECT_NE(first, second);
}

TEST_P(LoopConformance, a_timer_is_not_early_and_timers_come_in_order) {
  std::vector<int> order;
  struct Entry {
    std::vector<int>* order;
    int number;
  };
  Entry entries[] = {{&order, 0}, {&order, 1}, {&order, 2}};
  const auto note = [](Operation&, void* entry) {
    static_cast<Entry*>(entry)->order->push_back(static_cast<Entry*>(entry)->number);
  };
  Operation late(note, &entries[2]);
  Operation early(note, &entries[0]);
  Operation middle(note, &entries[1]);
  const auto begin = std::chrono::steady_clock::now();
  loop().start(late, request::Timer{30ms});
  loop().start(early, request::Timer{0ms});
  loop().start(middle, request::Timer{10ms});
  ASSERT_TRUE(loop().run());
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 30ms);
  EXPECT_EQ(order, (std::vector{0, 1, 2}));
  EXPECT_EQ(late.result(), 0);
}

TEST_P(LoopConformance, a_repeating_timer_repeats_until_cancelled) {
  struct State {
    Loop* loop = nullptr;
    int calls = 0;
    std::int64_t last = 0;
  } state{&loop()};
  Operation timer(
      [](Operation& operation, void* context) {
        auto& s = *static_cast<State*>(context);
        if (operation.result() >= 0) {
          EXPECT_TRUE(operation.in_flight());
          EXPECT_GT(operation.result(), s.last);
          s.last = operation.result();
        }
        if (++s.calls == 5) {
          s.loop->cancel(operation);
        }
      },
      &state);
  loop().start(timer, request::RepeatingTimer{1ms});
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(state.calls, 6) << "five times, and the cancellation";
  EXPECT_EQ(timer.result(), -ECANCELED);
}

TEST_P(LoopConformance, many_timers_are_cancelled_in_any_order) {
  std::vector<Operation> timers(500);
  for (std::size_t i = 0; i < timers.size(); ++i) {
    loop().start(timers[i], request::Timer{std::chrono::hours(1 + i * 7919 % 500)});
  }
  for (std::size_t i = 0; i < timers.size(); ++i) {
    loop().cancel(timers[i * 271 % 500]);
  }
  ASSERT_TRUE(loop().run());
  for (const Operation& timer : timers) {
    EXPECT_EQ(timer.result(), -ECANCELED);
  }
}

TEST_P(LoopConformance, callbacks_come_from_run_functions_only) {
  bool called = false;
  Operation operation([](Operation&, void* flag) { *static_cast<bool*>(flag) = true; }, &called);
  loop().start(operation, request::Timer{0ms});
  EXPECT_FALSE(called);
  loop().cancel(operation);
  EXPECT_FALSE(called);
  loop().start(*std::make_unique<Operation>(), request::Nop{});  // destroyed at once
  EXPECT_FALSE(called) << "waiting for another operation's end calls nobody back";
  ASSERT_TRUE(loop().run());
  EXPECT_TRUE(called);
}

TEST_P(LoopConformance, a_callback_may_start_and_destroy_operations) {
  struct Chain {
    Loop* loop;
    int left = 100;
    std::unique_ptr<Operation> current;
    static void next(Operation&, void* context) {
      auto& chain = *static_cast<Chain*>(context);
      if (--chain.left > 0) {
        auto following = std::make_unique<Operation>(next, &chain);
        chain.loop->start(*following, request::Nop{});
        chain.current = std::move(following);  // the one that is calling is gone
      }
    }
  } chain{&loop(), 100, nullptr};
  chain.current = std::make_unique<Operation>(Chain::next, &chain);
  loop().start(*chain.current, request::Nop{});
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(chain.left, 0);
}

TEST_P(LoopConformance, a_callback_may_destroy_another_ready_operation) {
  struct Pair {
    std::unique_ptr<Operation> one, other;
    int calls = 0;
  } pair;
  const auto drop_both = [](Operation& self, void* context) {
    auto& p = *static_cast<Pair*>(context);
    ++p.calls;
    (&self == p.one.get() ? p.other : p.one).reset();
  };
  pair.one = std::make_unique<Operation>(drop_both, &pair);
  pair.other = std::make_unique<Operation>(drop_both, &pair);
  loop().start(*pair.one, request::Timer{0ms});
  loop().start(*pair.other, request::Timer{0ms});
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(pair.calls, 1);
}

TEST_P(LoopConformance, destroying_an_operation_in_flight_cancels_and_waits) {
  const Pipe pipe;
  {
    auto memory = Buffer::allocate(4096);
    ASSERT_TRUE(memory);
    Operation operation([](Operation&, void*) { FAIL() << "called back"; }, nullptr);
    loop().start(operation, request::Read{pipe.in.get(), std::move(*memory), at_position});
    ASSERT_TRUE(loop().poll());
    EXPECT_TRUE(operation.in_flight());
  }
  EXPECT_EQ(loop().in_flight(), 0U);
  ASSERT_EQ(::write(pipe.out.get(), "x", 1), 1);
  std::string text(1, '.');
  EXPECT_EQ(read(pipe.in.get(), text, at_position), 1) << "the cancelled read has taken nothing";
}

TEST_P(LoopConformance, destroying_the_loop_cancels_what_is_in_flight) {
  const Pipe pipe;
  std::string text(1, '.');
  int ended = 0;
  const auto count = [](Operation&, void* counter) { ++*static_cast<int*>(counter); };
  Operation read(count, &ended);
  Operation timer(count, &ended);
  Operation repeating(count, &ended);
  loop().start(read, request::Read{pipe.in.get(), Buffer::borrow(bytes_of(text)), at_position});
  loop().start(timer, request::Timer{std::chrono::hours(1)});
  loop().start(repeating, request::RepeatingTimer{1ms});
  ASSERT_TRUE(loop().poll());
  loop_.reset();
  EXPECT_EQ(read.result(), -ECANCELED);
  EXPECT_EQ(timer.result(), -ECANCELED);
  EXPECT_EQ(repeating.result(), -ECANCELED);
  EXPECT_GE(ended, 3);
}

TEST_P(LoopConformance, what_is_started_while_the_loop_ends_is_cancelled) {
  struct State {
    Loop* loop;
    Operation again;
  } state{&loop(), {}};
  Operation first(
      [](Operation&, void* context) {
        auto& s = *static_cast<State*>(context);
        s.loop->start(s.again, request::Timer{std::chrono::hours(1)});
      },
      &state);
  loop().start(first, request::Timer{std::chrono::hours(1)});
  loop_.reset();
  EXPECT_EQ(state.again.result(), -ECANCELED);
}

TEST_P(LoopConformance, cancelling_a_waiting_read_completes_it_with_ecanceled) {
  const Pipe pipe;
  std::string text(1, '.');
  Operation operation;
  loop().start(operation, request::Read{pipe.in.get(), Buffer::borrow(bytes_of(text)), at_position});
  ASSERT_TRUE(loop().poll());
  loop().cancel(operation);
  loop().cancel(operation);
  EXPECT_TRUE(operation.in_flight()) << "completes in a run function";
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(operation.result(), -ECANCELED);
  loop().cancel(operation);  // nothing to do
}

TEST_P(LoopConformance, cancels_from_another_thread) {
  const Pipe pipe;
  std::string text(1, '.');
  Operation operation;
  loop().start(operation, request::Read{pipe.in.get(), Buffer::borrow(bytes_of(text)), at_position});
  std::jthread other([&] {
    std::this_thread::sleep_for(5ms);
    loop().request_cancel(operation);
  });
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(operation.result(), -ECANCELED);
}

TEST_P(LoopConformance, posts_from_other_threads_arrive_on_the_loops_thread) {
  constexpr int threads = 4;
  constexpr int each = 500;
  const auto own = std::this_thread::get_id();
  int arrived = 0;
  Operation keep_running;
  loop().start(keep_running, request::Timer{std::chrono::hours(1)});
  {
    std::vector<std::jthread> posters;
    for (int t = 0; t < threads; ++t) {
      posters.emplace_back([&] {
        for (int i = 0; i < each; ++i) {
          loop().post([&] {
            EXPECT_EQ(std::this_thread::get_id(), own);
            if (++arrived == threads * each) {
              loop().cancel(keep_running);
            }
          });
        }
      });
    }
    ASSERT_TRUE(loop().run());
  }
  EXPECT_EQ(arrived, threads * each);
}

TEST_P(LoopConformance, stop_ends_run_and_leaves_the_rest_in_flight) {
  Operation timer;
  loop().start(timer, request::Timer{std::chrono::hours(1)});
  std::jthread other([&] {
    std::this_thread::sleep_for(5ms);
    loop().stop();
  });
  ASSERT_TRUE(loop().run());
  EXPECT_TRUE(timer.in_flight());
}

TEST_P(LoopConformance, an_empty_loop_does_not_wait) {
  EXPECT_EQ(loop().run(), 0U);
  EXPECT_EQ(loop().run_once(), 0U);
  EXPECT_EQ(loop().poll(), 0U);
}

TEST_P(LoopConformance, a_close_waits_for_what_is_in_flight_on_its_descriptor) {
  Pipe pipe;
  std::string text(1, '.');
  Operation read;
  Operation close;
  const int fd = pipe.in.release();
  loop().start(read, request::Read{fd, Buffer::borrow(bytes_of(text)), at_position});
  loop().start(close, request::Close{fd});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(loop().poll());
  }
  EXPECT_TRUE(close.in_flight());
  EXPECT_NE(::fcntl(fd, F_GETFD), -1) << "closed under a read";
  ASSERT_EQ(::write(pipe.out.get(), "x", 1), 1);
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(read.result(), 1);
  EXPECT_EQ(close.result(), 0);
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

TEST_P(LoopConformance, a_cancelled_close_has_not_closed) {
  const Pipe pipe;
  std::string text(1, '.');
  Operation read;
  Operation close;
  loop().start(read, request::Read{pipe.in.get(), Buffer::borrow(bytes_of(text)), at_position});
  loop().start(close, request::Close{pipe.in.get()});
  loop().cancel(close);
  loop().cancel(read);
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(close.result(), -ECANCELED);
  EXPECT_NE(::fcntl(pipe.in.get(), F_GETFD), -1);
}

TEST_P(LoopConformance, more_operations_than_places_in_the_ring_wait_their_turn) {
  make_loop({.ring_entries = 2});
  const std::string content = some_bytes(100000);
  write_file(scratch_.path("in"), content);
  const UniqueFd in = open_file(scratch_.path("in"), O_RDONLY);
  std::vector<Operation> operations(100);
  std::string into(content.size(), '.');
  for (std::size_t i = 0; i < operations.size(); ++i) {
    loop().start(operations[i],
                 request::Read{in.get(), Buffer::borrow(bytes_of(into).subspan(i * 1000, 1000)), i * 1000});
  }
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(into, content);
}

TEST_P(LoopConformance, operations_are_used_again) {
  Operation operation;
  for (int i = 0; i < 100; ++i) {
    loop().start(operation, request::Nop{});
    ASSERT_TRUE(loop().run());
    ASSERT_EQ(operation.result(), 0);
  }
}

}  // namespace
}  // namespace ferry
