#include "bench/hardware_counters.hpp"

#include <sys/mman.h>

#include <cerrno>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/process.hpp"

namespace ferry::bench {
namespace {

using ::testing::HasSubstr;

/// Page faults instead of what the last-level cache does: a counter that every machine has.
int count_page_faults(perf_event_attr& attributes, pid_t process) {
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_PAGE_FAULTS;
  return open_counter(attributes, process);
}

bool software_counters_work() {
  perf_event_attr attributes = {};
  attributes.size = sizeof attributes;
  const UniqueFd counter(count_page_faults(attributes, 0));
  return static_cast<bool>(counter);
}

// Touches so many pages that nobody could miss it.
constexpr std::size_t touched_pages = 5000;
void touch_pages() {
  constexpr std::size_t page = 4096;
  constexpr std::size_t length = touched_pages * page;
  void* const memory = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  ::madvise(memory, length, MADV_NOHUGEPAGE);
  for (std::size_t i = 0; i < length; i += page) {
    static_cast<volatile char*>(memory)[i] = 1;
  }
  ::munmap(memory, length);
}

TEST(HardwareCounters, a_machine_without_them_says_why) {
  const auto none = HardwareCounters::of_process(0, [](perf_event_attr&, pid_t) { return -ENOENT; });
  EXPECT_EQ(none.why_nothing(), "perf_event_open: No such file or directory");
  none.start();
  none.stop();
  const CacheTraffic traffic = none.read();
  EXPECT_FALSE(traffic.loads);
  EXPECT_FALSE(traffic.stores);
  EXPECT_FALSE(traffic.misses);
}

TEST(HardwareCounters, a_refusal_by_the_kernel_is_told_as_such) {
  const auto none = HardwareCounters::of_programs([](perf_event_attr&, pid_t) { return -EACCES; });
  EXPECT_THAT(none.why_nothing(), HasSubstr("Permission denied"));
}

TEST(HardwareCounters, what_only_some_counters_tell_is_still_told) {
  if (!software_counters_work()) {
    GTEST_SKIP() << "perf_event_open is refused here";
  }
  // Processors of AMD count no stores at the last level.
  const auto some = HardwareCounters::of_process(0, [](perf_event_attr& attributes, pid_t process) {
    const bool store = ((attributes.config >> 8U) & 0xffU) == PERF_COUNT_HW_CACHE_OP_WRITE;
    return store ? -EINVAL : count_page_faults(attributes, process);
  });
  some.start();
  touch_pages();
  some.stop();
  EXPECT_EQ(some.why_nothing(), "");
  EXPECT_GT(some.read().loads.value_or(0), 0U);
  EXPECT_GT(some.read().misses.value_or(0), 0U);
  EXPECT_FALSE(some.read().stores);
}

TEST(HardwareCounters, a_process_is_counted_between_start_and_stop) {
  if (!software_counters_work()) {
    GTEST_SKIP() << "perf_event_open is refused here";
  }
  const auto counters = HardwareCounters::of_process(0, count_page_faults);
  touch_pages();
  EXPECT_EQ(counters.read().loads, 0U);
  counters.start();
  touch_pages();
  counters.stop();
  const auto counted = counters.read();
  EXPECT_GE(counted.loads.value_or(0), touched_pages);
  EXPECT_EQ(counted.misses.value_or(0), 2 * counted.loads.value_or(0)) << "those of loads and of stores";
  touch_pages();
  EXPECT_EQ(counters.read().loads, counted.loads);
}

TEST(HardwareCounters, programs_are_counted_and_this_process_is_not) {
  if (!software_counters_work()) {
    GTEST_SKIP() << "perf_event_open is refused here";
  }
  const auto counters = HardwareCounters::of_programs(count_page_faults);
  touch_pages();
  EXPECT_EQ(counters.read().loads, 0U);
  ASSERT_TRUE(run_command({.program = "/bin/sh", .words = {"sh", "-c", "/bin/true; /bin/true"}}));
  EXPECT_GT(counters.read().loads.value_or(0), 50U);
}

TEST(HardwareCounters, memory_traffic_is_a_cache_line_for_each_miss) {
  Cost cost;
  cost.wall = std::chrono::seconds(2);
  EXPECT_FALSE(cost.memory_bytes_per_second());
  cost.cache.misses = 1'000'000;
  EXPECT_DOUBLE_EQ(cost.memory_bytes_per_second().value_or(0), 32e6);
}

}  // namespace
}  // namespace ferry::bench
