// Many operations with cancellations at random; and what an operation costs in memory.
#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "ring/allocation_count.hpp"
#include "ring/loop_fixture.hpp"

namespace ferry {
namespace {

using testing::bytes_of;

class LoopStress : public testing::LoopTest {};
FERRY_ON_BOTH_BACKENDS(LoopStress);

// A slot that is started with one random operation after the other until all have been.
struct Stress {
  Loop& loop;
  int file;
  int pipe_in;
  std::mt19937 random{42};
  std::size_t to_start = 10'000;
  std::size_t ended = 0;
  std::size_t cancelled = 0;
  std::size_t wrong = 0;

  struct Slot {
    Operation operation;
    std::string memory = std::string(4096, '.');
    Stress* stress = nullptr;
    bool checks_content = false;
    std::size_t offset = 0;
  };
  std::vector<Slot> slots{64};
  std::string content;

  void start(Slot& slot) {
    if (to_start == 0) {
      return;
    }
    --to_start;
    slot.checks_content = false;
    const auto memory = bytes_of(slot.memory);
    switch (random() % 5) {
      case 0: loop.start(slot.operation, request::Nop{}); break;
      case 1: loop.start(slot.operation, request::Timer{std::chrono::microseconds(random() % 2000)}); break;
      case 2:  // waits until cancelled: nothing is ever written
        loop.start(slot.operation, request::Read{pipe_in, Buffer::borrow(memory), at_position});
        loop.cancel(slot.operation);
        break;
      default:
        slot.checks_content = true;
        slot.offset = random() % (content.size() - 4096);
        loop.start(slot.operation, request::Read{file, Buffer::borrow(memory), slot.offset});
        break;
    }
    if (random() % 3 == 0) {
      loop.cancel(slots[random() % slots.size()].operation);
    }
  }
  static void done(Operation& operation, void* context) {
    auto& slot = *static_cast<Slot*>(context);
    Stress& stress = *slot.stress;
    ++stress.ended;
    if (operation.result() == -ECANCELED) {
      ++stress.cancelled;
    } else if (operation.result() < 0 ||
               (slot.checks_content && slot.memory != stress.content.substr(slot.offset, 4096))) {
      ++stress.wrong;
    }
    stress.start(slot);
  }
};

TEST_P(LoopStress, ten_thousand_operations_with_random_cancels_each_end_once) {
  int fds[2] = {-1, -1};
  ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  const UniqueFd pipe_in(fds[0]);
  const UniqueFd pipe_out(fds[1]);
  const std::string content = testing::some_bytes(1 << 20U);
  testing::write_file(scratch_.path("file"), content);
  const UniqueFd file = testing::open_file(scratch_.path("file"), O_RDONLY);
  Stress stress{.loop = loop(), .file = file.get(), .pipe_in = pipe_in.get(), .content = content};
  for (Stress::Slot& slot : stress.slots) {
    slot.stress = &stress;
    slot.operation.on_complete(Stress::done, &slot);
  }
  for (Stress::Slot& slot : stress.slots) {
    stress.start(slot);
  }
  std::atomic<bool> over = false;
  std::atomic<std::uint64_t> posts = 0;
  std::jthread noise([&] {  // another thread that keeps knocking
    while (!over) {
      loop().post([&] { ++posts; });
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  });
  while (stress.ended < 10'000) {
    ASSERT_TRUE(loop().run_once());
  }
  over = true;
  noise.join();
  ASSERT_TRUE(loop().run());
  EXPECT_EQ(stress.ended, 10'000U);
  EXPECT_EQ(stress.wrong, 0U);
  EXPECT_GT(stress.cancelled, 1'000U);
  EXPECT_LT(stress.cancelled, 9'000U);
  EXPECT_GT(posts, 0U);
}

TEST_P(LoopStress, destroyed_with_hundreds_in_flight_it_drains) {
  const std::string content = testing::some_bytes(1 << 20U);
  testing::write_file(scratch_.path("file"), content);
  const UniqueFd file = testing::open_file(scratch_.path("file"), O_RDONLY);
  for (int round = 0; round < 20; ++round) {
    make_loop({});
    std::vector<Operation> operations(300);
    for (Operation& operation : operations) {
      auto buffer = Buffer::allocate(4096);
      ASSERT_TRUE(buffer);
      loop().start(operation, request::Read{file.get(), std::move(*buffer), 0});
    }
    ASSERT_TRUE(loop().poll());
    if (round % 2 == 0) {
      loop_.reset();  // before the operations
    } else {
      operations.clear();  // before the loop
    }
  }
}

TEST_P(LoopStress, operations_allocate_nothing) {
  if (!testing::counts_allocations) {
    GTEST_SKIP() << "the sanitizers count allocations themselves: operator new is not replaced";
  }
  make_loop({.workers = 1, .pool_buffers = 4, .pool_buffer_bytes = 4096});  // starting a thread allocates
  testing::write_file(scratch_.path("file"), testing::some_bytes(4096));
  const UniqueFd file = testing::open_file(scratch_.path("file"), O_RDWR);
  std::string memory(4096, '.');
  std::vector<Operation> operations(32);
  const auto round = [&] {
    for (std::size_t i = 0; i < operations.size(); ++i) {
      Request request = request::Nop{};
      switch (i % 5) {
        case 0: request = request::Read{file.get(), Buffer::borrow(bytes_of(memory)), 0}; break;
        case 1: request = request::Timer{std::chrono::microseconds(i)}; break;
        case 2: request = request::ReadManaged{file.get(), 4096, 0}; break;
        case 3: request = request::Sync{file.get(), true}; break;
        default: break;
      }
      loop().start(operations[i], std::move(request));
      operations[i].on_complete([](Operation& operation, void*) { (void)operation.take_buffer(); }, nullptr);
    }
    ASSERT_TRUE(loop().run());
  };
  round();  // the heap of timers, and threads
  const std::uint64_t before = testing::allocation_count();
  for (int i = 0; i < 100; ++i) {
    round();
  }
  EXPECT_EQ(testing::allocation_count(), before) << "for 3200 operations";
}

}  // namespace
}  // namespace ferry
