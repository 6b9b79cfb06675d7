// The decisions about work, in simulated jobs with random delays of messages: the job ends when all is done and not
// before, the work reaches everybody, and who has nothing to do is silent.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "mpi/balancer.hpp"
#include "scaling/simulation.hpp"

namespace ferry {
namespace {

using mpi::Balancer;
using scaling::Outcome;
using scaling::Shape;
using scaling::simulate;
using scaling::World;
using Order = Balancer::Order;

TEST(Simulation, the_end_is_known_when_all_is_done_and_not_before) {
  const Shape shapes[] = {{.name = "flat", .depth = 0, .directories = 0, .files = 3000},
                          {.name = "broad", .depth = 2, .directories = 9, .files = 7},
                          {.name = "deep", .depth = 9, .directories = 2, .files = 1},
                          {.name = "empty", .depth = 0, .directories = 0, .files = 0},
                          {.name = "directories", .depth = 3, .directories = 6, .files = 0}};
  for (const Shape& shape : shapes) {
    for (const int ranks : {1, 2, 3, 7, 16, 33}) {
      for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        World world;
        world.message_s = 1e-6 * static_cast<double>(seed * seed * 100);
        world.longest_sleep_s = seed % 2 == 0 ? 20e-3 : 1e-3;
        const Outcome outcome = simulate(shape, world, ranks, 2, seed);
        ASSERT_EQ(outcome.left_at_the_end, 0) << shape.name << ", " << ranks << " ranks, seed " << seed;
        ASSERT_EQ(outcome.files, shape.total_files()) << "some entry was copied twice";
        ASSERT_EQ(outcome.directories, shape.total_directories());
      }
    }
  }
}

TEST(Simulation, four_ranks_are_nearly_four_times_as_fast) {
  const World world;
  for (const Shape& shape : {Shape{.name = "flat", .depth = 0, .directories = 0, .files = 20000},
                             Shape{.name = "broad", .depth = 2, .directories = 14, .files = 100}}) {
    const double alone = simulate(shape, world, 1, 2).seconds;
    EXPECT_GT(alone / simulate(shape, world, 4, 2).seconds, 3.6) << shape.name;
  }
}

// Reading is one rank's; what it reads has to reach all the others.
TEST(Simulation, a_flat_directory_feeds_many_ranks) {
  const World world;
  const Shape flat{.name = "flat", .depth = 0, .directories = 0, .files = 500'000};
  const double alone = simulate(flat, world, 1, 8).seconds;
  EXPECT_GT(alone / simulate(flat, world, 64, 8).seconds, 0.9 * 64);
}

TEST(Simulation, ranks_without_work_are_silent) {
  const Shape one{.name = "one file", .depth = 0, .directories = 0, .files = 1};
  World slow;
  slow.latency_s = 10;  // time enough for many questions
  constexpr int ranks = 64;
  // Two questions and their refusals, and six names left, of each.
  EXPECT_LE(simulate(one, slow, ranks, 1).messages, ranks * (2 * 2 + 6));
}

TEST(Simulation, queues_stay_short_however_large_the_directory) {
  const World world;
  const Shape flat{.name = "flat", .depth = 0, .directories = 0, .files = 100'000};
  EXPECT_LT(simulate(flat, world, 16, 4).most_queued, 200);
}

TEST(Simulation, is_deterministic) {
  const Shape broad{.name = "broad", .depth = 2, .directories = 9, .files = 7};
  const Outcome a = simulate(broad, {}, 9, 2, 42);
  const Outcome b = simulate(broad, {}, 9, 2, 42);
  EXPECT_EQ(a.seconds, b.seconds);
  EXPECT_EQ(a.messages, b.messages);
}

// ------------------------------------------------------------------------------------------------- one balancer

TEST(Balancer, asks_two_at_random_and_then_leaves_its_name_with_its_lifelines_once) {
  Balancer balancer(5, 8, 1);
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto orders = balancer.step({.is_idle = true, .to_give = 0});
    ASSERT_EQ(orders.size(), 1);
    EXPECT_EQ(orders[0].kind, Order::Kind::ask);
    EXPECT_NE(orders[0].rank, 5);
    EXPECT_TRUE(balancer.step({.is_idle = true, .to_give = 0}).empty()) << "one question at a time";
    balancer.refused(orders[0].rank);
  }
  const auto names_left = balancer.step({.is_idle = true, .to_give = 0});
  ASSERT_EQ(names_left.size(), 3);
  for (const Order& order : names_left) {
    EXPECT_EQ(order.kind, Order::Kind::leave_name);
  }
  EXPECT_EQ(balancer.lifelines(), (std::vector<int>{4, 7, 1}));
  EXPECT_TRUE(balancer.step({.is_idle = true, .to_give = 0}).empty());
}

TEST(Balancer, all_ranks_are_connected_by_lifelines) {
  for (int size = 1; size <= 70; ++size) {
    std::vector<bool> reached(static_cast<std::size_t>(size));
    std::vector<int> found = {0};
    reached[0] = true;
    while (!found.empty()) {
      const int rank = found.back();
      found.pop_back();
      const Balancer balancer(rank, size, 1);
      for (const int other : balancer.lifelines()) {
        if (!reached[static_cast<std::size_t>(other)]) {
          reached[static_cast<std::size_t>(other)] = true;
          found.push_back(other);
        }
      }
    }
    EXPECT_EQ(std::count(reached.begin(), reached.end(), true), size);
  }
}

TEST(Balancer, refuses_who_asks_in_vain_and_serves_who_waits_first) {
  Balancer balancer(0, 4, 1);
  balancer.asked(1, false);
  const auto refusal = balancer.step({.is_idle = false, .to_give = 0});
  ASSERT_EQ(refusal.size(), 1);
  EXPECT_EQ(refusal[0].kind, Order::Kind::refuse);
  EXPECT_EQ(refusal[0].rank, 1);
  balancer.asked(2, true);
  EXPECT_TRUE(balancer.step({.is_idle = false, .to_give = 0}).empty());
  EXPECT_TRUE(balancer.is_wanted());
  balancer.asked(1, false);
  const auto given = balancer.step({.is_idle = false, .to_give = 1});
  ASSERT_EQ(given.size(), 2);
  EXPECT_EQ(given[0].kind, Order::Kind::give);
  EXPECT_EQ(given[0].rank, 2);
  EXPECT_EQ(given[1].kind, Order::Kind::refuse);
  EXPECT_FALSE(balancer.is_wanted());
}

TEST(Balancer, shares_alike_and_keeps_a_part) {
  Balancer balancer(0, 4, 1);
  balancer.asked(1, true);
  balancer.asked(2, true);
  balancer.asked(3, true);
  const auto orders = balancer.step({.is_idle = false, .to_give = 40});
  ASSERT_EQ(orders.size(), 3);
  for (const Order& order : orders) {
    EXPECT_EQ(order.most, 10);
  }
}

TEST(Balancer, does_not_ask_while_it_has_something) {
  Balancer balancer(0, 4, 1);
  EXPECT_TRUE(balancer.step({.is_idle = true, .to_give = 1}).empty());
  EXPECT_TRUE(balancer.step({.is_idle = false, .to_give = 0}).empty());
}

}  // namespace
}  // namespace ferry
