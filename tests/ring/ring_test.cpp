// Rings: set up with less and less, used raw, registered, overflowing, refused.
#include <liburing.h>
#include <sys/uio.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include <ferry/ring.hpp>

#include "ring/loop_fixture.hpp"
#include "support/fault_plan.hpp"

namespace ferry {
namespace {

using sys::Call;
using testing::FaultPlan;
using testing::Scratch;

class RingTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_uring()) {
      GTEST_SKIP() << "no io_uring here: " << Ring::create().error().to_string();
    }
  }
};

void add_nop(Ring& ring, std::uint64_t user_data) {
  io_uring_sqe* const submission = ring.next_submission();
  ASSERT_NE(submission, nullptr);
  io_uring_prep_nop(submission);
  submission->user_data = user_data;
}

TEST_F(RingTest, completes_what_was_submitted) {
  auto ring = Ring::create();
  ASSERT_TRUE(ring) << ring.error().to_string();
  add_nop(*ring, 7);
  EXPECT_EQ(ring->unsubmitted(), 1U);
  EXPECT_EQ(ring->submit_and_wait(1), 1U);
  EXPECT_EQ(ring->unsubmitted(), 0U);
  RingCompletion completion;
  ASSERT_TRUE(ring->next_completion(completion));
  EXPECT_EQ(completion.user_data, 7U);
  EXPECT_EQ(completion.result, 0);
  EXPECT_FALSE(ring->next_completion(completion));
}

TEST_F(RingTest, knows_operations_of_this_kernel_and_none_that_do_not_exist) {
  auto ring = Ring::create();
  ASSERT_TRUE(ring);
  EXPECT_TRUE(ring->supports(IORING_OP_READ_FIXED));
  EXPECT_FALSE(ring->supports(255));
  EXPECT_FALSE(ring->supports(100000));
}

TEST_F(RingTest, degrades_until_the_kernel_accepts_the_flags) {
  for (std::uint64_t refusals = 0; refusals < 4; ++refusals) {
    FaultPlan plan;
    plan.fail(Call::io_uring_setup, EINVAL, {.first = 1, .times = refusals});
    auto ring = Ring::create();
    ASSERT_TRUE(ring) << ring.error().to_string();
    EXPECT_EQ(plan.injected(), refusals);
    EXPECT_LE(ring->features().deferred_work, refusals == 0);
    if (refusals == 3) {
      EXPECT_FALSE(ring->features().single_issuer || ring->features().cooperative_work);
    }
    add_nop(*ring, refusals);
    EXPECT_TRUE(ring->submit_and_wait(1));
    RingCompletion completion;
    EXPECT_TRUE(ring->next_completion(completion));
  }
}

TEST_F(RingTest, refuses_what_no_kernel_accepts_without_an_endless_search) {
  FaultPlan plan;
  plan.fail(Call::io_uring_setup, EINVAL);
  const auto ring = Ring::create();
  ASSERT_FALSE(ring);
  EXPECT_EQ(ring.error().errno_value(), EINVAL);
  EXPECT_EQ(plan.count(Call::io_uring_setup), 4U);
}

TEST(RingRefusal, names_its_cause) {
  for (const auto& [error, cause] :
       {std::pair{EPERM, "seccomp"}, {ENOSYS, "kernel"}, {ENOMEM, "memlock"}, {EMFILE, "ulimit -n"}}) {
    FaultPlan plan;
    plan.fail(Call::io_uring_setup, error);
    const auto ring = Ring::create();
    ASSERT_FALSE(ring);
    EXPECT_EQ(ring.error().errno_value(), error);
    EXPECT_THAT(ring.error().to_string(), ::testing::HasSubstr(cause));
    EXPECT_EQ(plan.injected(), 1U);
  }
}

TEST_F(RingTest, works_without_a_probe_and_without_a_registered_descriptor) {
  FaultPlan plan;
  plan.fail(Call::io_uring_register, EINVAL);
  auto ring = Ring::create();
  ASSERT_TRUE(ring);
  EXPECT_GE(plan.injected(), 1U);
  EXPECT_FALSE(ring->features().registered_descriptor);
  EXPECT_TRUE(ring->supports(IORING_OP_NOP));
  EXPECT_FALSE(ring->supports(IORING_OP_UNLINKAT));
  add_nop(*ring, 1);
  EXPECT_TRUE(ring->submit_and_wait(1));
  RingCompletion completion;
  EXPECT_TRUE(ring->next_completion(completion));
}

TEST_F(RingTest, says_null_when_the_submission_queue_is_full_and_loses_nothing) {
  auto ring = Ring::create({.entries = 4});
  ASSERT_TRUE(ring);
  for (std::uint64_t i = 0; i < 4; ++i) {
    add_nop(*ring, i);
  }
  EXPECT_EQ(ring->next_submission(), nullptr);
  EXPECT_EQ(ring->submit_and_wait(4), 4U);
  RingCompletion completion;
  for (std::uint64_t i = 0; i < 4; ++i) {
    ASSERT_TRUE(ring->next_completion(completion));
    EXPECT_EQ(completion.user_data, i);
  }
}

TEST_F(RingTest, delivers_completions_that_did_not_fit_the_queue) {
  auto ring = Ring::create({.entries = 4, .completion_entries = 4});
  ASSERT_TRUE(ring);
  constexpr std::uint64_t total = 20;
  for (std::uint64_t i = 0; i < total; ++i) {
    io_uring_sqe* submission = ring->next_submission();
    if (submission == nullptr) {
      (void)ring->submit();
      submission = ring->next_submission();
    }
    ASSERT_NE(submission, nullptr) << i;
    io_uring_prep_nop(submission);
    submission->user_data = i;
  }
  std::vector<std::uint64_t> seen;
  for (int turns = 0; seen.size() < total && turns < 100; ++turns) {
    (void)ring->submit();
    for (RingCompletion completion; ring->next_completion(completion);) {
      seen.push_back(completion.user_data);
    }
  }
  std::sort(seen.begin(), seen.end());
  ASSERT_EQ(seen.size(), total);
  for (std::uint64_t i = 0; i < total; ++i) {
    EXPECT_EQ(seen[i], i);
  }
}

TEST_F(RingTest, waits_no_longer_than_told) {
  auto ring = Ring::create();
  ASSERT_TRUE(ring);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(ring->submit_and_wait(1, std::chrono::milliseconds(20)), 0U);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(19));
}

TEST_F(RingTest, keeps_submissions_that_the_kernel_did_not_take) {
  auto ring = Ring::create();
  ASSERT_TRUE(ring);
  for (const int error : {EAGAIN, EBUSY, ENOMEM}) {
    FaultPlan plan;
    plan.fail(Call::io_uring_enter, error, {.first = 1, .times = 1});
    add_nop(*ring, 3);
    const auto refused = ring->submit();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().errno_value(), error);
    EXPECT_EQ(ring->unsubmitted(), 1U);
    EXPECT_EQ(ring->submit_and_wait(1), 1U);
    RingCompletion completion;
    EXPECT_TRUE(ring->next_completion(completion));
  }
}

TEST_F(RingTest, is_interrupted_without_harm) {
  auto ring = Ring::create();
  ASSERT_TRUE(ring);
  FaultPlan plan;
  plan.fail(Call::io_uring_enter, EINTR, {.first = 1, .times = 3});
  add_nop(*ring, 3);
  EXPECT_EQ(ring->submit_and_wait(1), 1U);
  EXPECT_EQ(plan.injected(), 3U);
}

TEST_F(RingTest, takes_submissions_by_a_kernel_thread) {
  auto ring = Ring::create({.poll_submissions = true, .poll_idle = std::chrono::milliseconds(1)});
  ASSERT_TRUE(ring) << ring.error().to_string();
  for (std::uint64_t round = 0; round < 3; ++round) {
    add_nop(*ring, round);
    ASSERT_TRUE(ring->submit_and_wait(1));
    RingCompletion completion;
    ASSERT_TRUE(ring->next_completion(completion));
    EXPECT_EQ(completion.user_data, round);
    (void)sys::poll(-1, 0, 5);  // lets the thread fall asleep, so that it must be woken
  }
}

TEST_F(RingTest, polls_for_completions_of_nothing_but_direct_transfers) {
  Scratch scratch("/var/tmp");
  testing::write_file(scratch.path("file"), std::string(4096, 'x'));
  auto ring = Ring::create({.poll_completions = true});
  ASSERT_TRUE(ring) << ring.error().to_string();
  auto memory = Buffer::allocate(4096);
  ASSERT_TRUE(memory);
  const auto read_by = [&](int flags) {
    const UniqueFd file = testing::open_file(scratch.path("file"), O_RDONLY | flags);
    io_uring_prep_read(ring->next_submission(), file.get(), memory->data(), 4096, 0);
    RingCompletion completion;
    do {
      EXPECT_TRUE(ring->submit_and_wait(1));
    } while (!ring->next_completion(completion));
    return completion.result;
  };
  EXPECT_EQ(read_by(0), -EOPNOTSUPP);
  const int direct = read_by(O_DIRECT);
  EXPECT_TRUE(direct == 4096 || direct == -EOPNOTSUPP) << direct << ": neither polled nor said to be impossible";
}

TEST_F(RingTest, reads_and_writes_registered_files_and_buffers) {
  Scratch scratch;
  testing::write_file(scratch.path("in"), "registered");
  const UniqueFd in = testing::open_file(scratch.path("in"), O_RDONLY);
  const UniqueFd out = testing::open_file(scratch.path("out"), O_RDWR | O_CREAT);
  auto ring = Ring::create();
  auto pool = BufferPool::create({4096, 2});
  ASSERT_TRUE(ring && pool);
  ASSERT_TRUE(pool->register_with(*ring));
  EXPECT_TRUE(pool->registered());
  const int none[] = {-1, -1};
  ASSERT_TRUE(ring->register_files(none));
  const int fds[] = {in.get(), out.get()};
  ASSERT_TRUE(ring->update_files(0, fds));

  const Lease lease = pool->lease();
  const int index = lease.registered_index(ring->id());
  ASSERT_GE(index, 0);
  RingCompletion completion;
  io_uring_sqe* read = ring->next_submission();
  io_uring_prep_read_fixed(read, 0, lease.data(), 4096, 0, index);
  read->flags |= IOSQE_FIXED_FILE;
  ASSERT_TRUE(ring->submit_and_wait(1));
  ASSERT_TRUE(ring->next_completion(completion));
  ASSERT_EQ(completion.result, 10);
  io_uring_sqe* write = ring->next_submission();
  io_uring_prep_write_fixed(write, 1, lease.data(), 10, 0, index);
  write->flags |= IOSQE_FIXED_FILE;
  ASSERT_TRUE(ring->submit_and_wait(1));
  ASSERT_TRUE(ring->next_completion(completion));
  EXPECT_EQ(completion.result, 10);
  EXPECT_EQ(testing::read_file(scratch.path("out")), "registered");
}

TEST_F(RingTest, does_not_mistake_another_rings_registration_for_its_own) {
  auto one = Ring::create();
  auto other = Ring::create();
  auto pool = BufferPool::create({4096, 1});
  ASSERT_TRUE(one && other && pool);
  ASSERT_TRUE(pool->register_with(*one));
  const Lease lease = pool->lease();
  EXPECT_EQ(lease.registered_index(one->id()), 0);
  EXPECT_EQ(lease.registered_index(other->id()), -1);
}

TEST(BufferPoolTest, is_page_aligned_and_bounded) {
  auto pool = BufferPool::create({5000, 2});
  ASSERT_TRUE(pool);
  EXPECT_EQ(pool->buffer_bytes(), 8192U);
  Lease first = pool->try_lease();
  const Lease second = pool->try_lease();
  ASSERT_TRUE(first && second);
  EXPECT_NE(first.data(), second.data());
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first.data()) % 4096, 0U);
  EXPECT_FALSE(pool->try_lease()) << "two are all there are";
  std::byte* const was = first.data();
  first = Lease();
  EXPECT_EQ(pool->available(), 1U);
  EXPECT_EQ(pool->try_lease().data(), was);
}

TEST(BufferPoolTest, waits_for_a_buffer_of_another_thread) {
  auto pool = BufferPool::create({4096, 1});
  ASSERT_TRUE(pool);
  Lease held = pool->lease();
  std::atomic<bool> got = false;
  std::jthread waiter([&] {
    const Lease lease = pool->lease();
    got = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(got);
  held = Lease();
  waiter.join();
  EXPECT_TRUE(got);
}

TEST(BufferPoolTest, outlives_its_handle_as_long_as_a_lease_does) {
  Lease lease;
  {
    auto pool = BufferPool::create({4096, 1});
    ASSERT_TRUE(pool);
    lease = pool->lease();
  }
  std::memset(lease.data(), 1, lease.size());
  EXPECT_EQ(lease.capacity(), 4096U);
}

TEST(BufferPoolTest, refuses_sizes_out_of_range) {
  EXPECT_EQ(BufferPool::create({4096, 0}).error().errno_value(), EINVAL);
  EXPECT_EQ(BufferPool::create({4096, 1025}).error().errno_value(), EINVAL);
  EXPECT_EQ(BufferPool::create({0, 1}).error().errno_value(), EINVAL);
  EXPECT_EQ(BufferPool::create({std::size_t{2} << 30U, 1}).error().errno_value(), EINVAL);
}

TEST(BufferPoolTest, tells_when_there_is_no_memory) {
  FaultPlan plan;
  plan.fail(Call::map_memory, ENOMEM);
  const auto pool = BufferPool::create({4096, 4});
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().errno_value(), ENOMEM);
}

TEST(BufferPoolTest, does_without_huge_pages) {
  FaultPlan plan;
  plan.fail(Call::map_memory, ENOMEM, {.first = 1, .times = 1});
  plan.fail(Call::advise_memory, EINVAL);
  auto pool = BufferPool::create({std::size_t{1} << 20U, 4});
  ASSERT_TRUE(pool);
  EXPECT_FALSE(pool->on_huge_pages());
  EXPECT_EQ(plan.injected(), 2U);
  const Lease lease = pool->lease();
  std::memset(lease.data(), 1, lease.size());
}

TEST_F(RingTest, leaves_a_pool_unregistered_over_the_memlock_limit_and_says_so) {
  auto ring = Ring::create();
  auto pool = BufferPool::create({4096, 4});
  ASSERT_TRUE(ring && pool);
  FaultPlan plan;
  plan.fail(Call::io_uring_register, ENOMEM);
  const auto registered = pool->register_with(*ring);
  ASSERT_FALSE(registered);
  EXPECT_THAT(registered.error().to_string(), ::testing::HasSubstr("memlock"));
  EXPECT_FALSE(pool->registered());
  EXPECT_EQ(pool->registration_error(), ENOMEM);
  EXPECT_EQ(pool->lease().registered_index(ring->id()), -1);
}

}  // namespace
}  // namespace ferry
