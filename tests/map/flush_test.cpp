// Flushing: what is asked of the kernel, by policy, and who hears of failures.
#include <chrono>
#include <thread>

#include "map/allocations.hpp"
#include "map/bytes.hpp"
#include "support/fault_plan.hpp"

namespace ferry::testing {
namespace {

using sys::Call;
using namespace std::chrono_literals;

class MapFlush : public ::testing::Test {
 protected:
  MappedFile map_with(const FlushPolicy& policy) {
    MapOptions options = read_write;
    options.flush = policy;
    return must(MappedFile::create(scratch.path("file"), 64 * page, options));
  }
  static void write_at(MappedFile& map, std::uint64_t offset, std::size_t length = 100) {
    must(map.update(offset, bytes_of(std::string(length, 'x'))));
  }
  Scratch scratch;
};

// Waits for a background thread; a minute is for ever.
template <typename Condition>
bool eventually(const Condition& condition) {
  bool met = condition();
  for (int i = 0; i < 60000 && !met; ++i) {
    std::this_thread::sleep_for(1ms);
    met = condition();
  }
  return met;
}

TEST_F(MapFlush, what_is_clean_costs_no_system_call_and_no_allocation) {
  auto map = map_with(FlushPolicy::manual());
  write_at(map, 0);
  must(map.flush(Durability::data_and_metadata));
  const FaultPlan plan;
  const std::uint64_t before = allocations();
  for (const Durability durability : {Durability::visible, Durability::data, Durability::data_and_metadata}) {
    EXPECT_TRUE(map.flush(durability));
    EXPECT_TRUE(map.flush_range(0, 10 * page, durability));
  }
  EXPECT_EQ(plan.total(), 0U);
  EXPECT_EQ(allocations(), before);
}

TEST_F(MapFlush, visible_needs_no_system_call_and_pays_no_debt) {
  auto map = map_with(FlushPolicy::manual());
  write_at(map, 0);
  const FaultPlan plan;
  must(map.flush(Durability::visible));
  must(map.flush_range(0, page, Durability::visible));
  EXPECT_EQ(plan.total(), 0U);
  EXPECT_EQ(map.pending_bytes(), page);
  must(map.flush());
  EXPECT_EQ(plan.count(Call::msync), 1U);
}

TEST_F(MapFlush, data_is_one_msync_and_metadata_one_fsync) {
  auto map = map_with(FlushPolicy::manual());
  write_at(map, 0);
  write_at(map, 7 * page);
  const FaultPlan plan;
  must(map.flush());
  EXPECT_EQ(plan.count(Call::msync), 1U);
  EXPECT_EQ(map.pending_bytes(), 0U);
  EXPECT_EQ(plan.count(Call::fsync), 0U);
  must(map.flush(Durability::data_and_metadata));  // the times changed
  EXPECT_EQ(plan.count(Call::fsync), 1U);
  must(map.flush(Durability::data_and_metadata));
  EXPECT_EQ(plan.count(Call::fsync), 1U);
  must(map.resize(65 * page));
  must(map.flush());
  EXPECT_EQ(plan.count(Call::msync), 1U);
  must(map.flush(Durability::data_and_metadata));  // the size changed
  EXPECT_EQ(plan.count(Call::fsync), 2U);
}

TEST_F(MapFlush, flush_range_takes_whole_pages_and_leaves_the_others_pending) {
  auto map = map_with(FlushPolicy::manual());
  write_at(map, page - 50);  // pages 0 and 1
  write_at(map, 10 * page);
  EXPECT_EQ(map.pending_bytes(), 3 * page);
  const FaultPlan plan;
  must(map.flush_range(20 * page, page));
  EXPECT_EQ(plan.count(Call::msync), 0U);
  must(map.flush_range(page + 1, 1));
  EXPECT_EQ(plan.count(Call::msync), 1U);
  EXPECT_EQ(map.pending_bytes(), 2 * page);
  must(map.flush_range(page + 1, 1));
  EXPECT_EQ(plan.count(Call::msync), 1U);
  must(map.flush_range(0, 11 * page));
  EXPECT_EQ(map.pending_bytes(), 0U);
  EXPECT_EQ(plan.count(Call::msync), 2U);
}

TEST_F(MapFlush, what_a_live_mutable_view_writes_is_flushed) {
  auto map = map_with(FlushPolicy::manual());
  {
    auto view = must(map.mutable_view(0, 10));
    const FaultPlan plan;
    must(map.flush());
    view[0] = std::byte{1};
    must(map.flush());
    must(map.flush_range(0, 10));
    EXPECT_EQ(plan.count(Call::msync), 3U);
    EXPECT_EQ(map.pending_bytes(), 0U);
  }
  EXPECT_EQ(map.pending_bytes(), page);
  must(map.flush());
  const FaultPlan plan;
  must(map.flush());
  EXPECT_EQ(plan.total(), 0U);
}

TEST_F(MapFlush, who_has_had_a_raw_pointer_may_write_at_any_time) {
  auto map = map_with(FlushPolicy::manual());
  must(map.mutable_data())[5] = std::byte{1};
  const FaultPlan plan;
  must(map.flush());
  must(map.flush());
  must(map.flush_range(0, 10));
  EXPECT_EQ(plan.count(Call::msync), 3U);
}

TEST_F(MapFlush, without_memory_for_marks_every_flush_asks_the_kernel) {
  auto map = map_with(FlushPolicy::manual());
  FaultPlan plan;
  plan.fail(Call::mmap, ENOMEM);
  write_at(map, 0);
  EXPECT_EQ(plan.injected(), 1U);
  must(map.flush());
  must(map.flush());
  EXPECT_EQ(plan.count(Call::msync), 2U);
}

TEST_F(MapFlush, a_failed_flush_is_reported_and_what_it_did_not_write_stays_pending) {
  auto map = map_with(FlushPolicy::manual());
  write_at(map, 3 * page, 2 * page);
  {
    FaultPlan plan;
    plan.fail(Call::msync, EIO);
    const auto flushed = map.flush();
    EXPECT_EQ(errno_of(flushed), EIO);
    EXPECT_EQ(flushed.error().to_string(), "msync '" + scratch.path("file") + "': Input/output error");
    EXPECT_EQ(map.pending_bytes(), 2 * page);
    plan.fail(Call::fsync, ENOSPC);
    EXPECT_EQ(errno_of(map.flush(Durability::data_and_metadata)), ENOSPC);
    EXPECT_EQ(map.pending_bytes(), 2 * page);
    plan.fail(Call::membarrier, ENOMEM);
    EXPECT_EQ(errno_of(map.flush()), ENOMEM);
    EXPECT_EQ(map.pending_bytes(), 2 * page);
    EXPECT_EQ(plan.injected(), 3U);
  }
  const FaultPlan plan;
  must(map.flush());
  EXPECT_EQ(plan.count(Call::msync), 1U);
  EXPECT_EQ(map.pending_bytes(), 0U);
  must(map.flush(Durability::data_and_metadata));
  EXPECT_EQ(plan.count(Call::fsync), 1U);
}

TEST_F(MapFlush, shrinking_forgets_what_was_cut_off) {
  auto map = map_with(FlushPolicy::manual());
  write_at(map, 10 * page);
  write_at(map, page);
  must(map.resize(5 * page));
  EXPECT_EQ(map.pending_bytes(), page);
}

TEST_F(MapFlush, always_flushes_after_each_write) {
  auto map = map_with(FlushPolicy::always());
  const FaultPlan plan;
  for (int i = 0; i < 3; ++i) {
    write_at(map, 5 * page);
  }
  {
    auto view = must(map.mutable_view(0, 10));
    EXPECT_EQ(plan.count(Call::msync), 3U);
  }
  EXPECT_EQ(plan.count(Call::msync), 4U);
  EXPECT_EQ(map.pending_bytes(), 0U);
  EXPECT_EQ(map.flush_policy(), FlushPolicy::always());
}

TEST_F(MapFlush, a_policy_that_only_wants_visibility_has_nothing_to_do) {
  auto map = map_with(FlushPolicy::always(Durability::visible));
  write_at(map, 0);
  const FaultPlan plan;
  write_at(map, 0);
  EXPECT_EQ(plan.total(), 0U);
  EXPECT_EQ(read_file(scratch.path("file"))[0], 'x');
}

TEST_F(MapFlush, a_policy_may_want_metadata_too) {
  auto map = map_with(FlushPolicy::always(Durability::data_and_metadata));
  const FaultPlan plan;
  write_at(map, 0);
  EXPECT_EQ(plan.count(Call::fsync), 1U);
}

TEST_F(MapFlush, every_bytes_counts_what_was_written_since_it_was_flushed) {
  auto map = map_with(FlushPolicy::after_bytes(1000));
  const FaultPlan plan;
  write_at(map, 0, 400);
  write_at(map, 0, 400);  // the same bytes count again
  EXPECT_EQ(plan.count(Call::msync), 0U);
  write_at(map, 20 * page, 200);
  EXPECT_EQ(plan.count(Call::msync), 1U);
  EXPECT_EQ(map.pending_bytes(), 0U);
  write_at(map, 0, 999);
  EXPECT_EQ(plan.count(Call::msync), 1U);
  write_at(map, 0, 1);
  EXPECT_EQ(plan.count(Call::msync), 2U);
}

TEST_F(MapFlush, every_bytes_is_debited_by_exactly_what_flush_range_flushed) {
  auto map = map_with(FlushPolicy::after_bytes(1000));
  write_at(map, 0, 100);
  write_at(map, 10 * page, 700);
  const FaultPlan plan;
  must(map.flush_range(0, page));  // 700 are left
  EXPECT_EQ(plan.count(Call::msync), 1U);
  write_at(map, 0, 299);
  EXPECT_EQ(plan.count(Call::msync), 1U);
  write_at(map, 0, 1);
  EXPECT_EQ(plan.count(Call::msync), 2U);
  write_at(map, 10 * page - 30, 60);  // 30 in each of two pages
  write_at(map, 20 * page, 800);
  must(map.flush_range(10 * page, 1));  // 830 are left
  write_at(map, 30 * page, 169);
  EXPECT_EQ(plan.count(Call::msync), 3U);
  write_at(map, 30 * page, 1);
  EXPECT_EQ(plan.count(Call::msync), 4U);
}

TEST_F(MapFlush, every_writes_counts_writes) {
  auto map = map_with(FlushPolicy::after_writes(3));
  const FaultPlan plan;
  for (int i = 0; i < 7; ++i) {
    write_at(map, 0);
  }
  EXPECT_EQ(plan.count(Call::msync), 2U);
  must(map.flush());  // leaves nothing: the count starts anew
  write_at(map, 0);
  write_at(map, 0);
  EXPECT_EQ(plan.count(Call::msync), 3U);
  write_at(map, 0);
  EXPECT_EQ(plan.count(Call::msync), 4U);
}

TEST_F(MapFlush, a_policy_flush_that_fails_fails_the_update) {
  auto map = map_with(FlushPolicy::always());
  FaultPlan plan;
  plan.fail(Call::msync, EIO, {.first = 1, .times = 1});
  EXPECT_EQ(errno_of(map.update(0, bytes_of("x"))), EIO);
  EXPECT_EQ(map.pending_bytes(), page);
  EXPECT_TRUE(map.update(0, bytes_of("x")));
  EXPECT_EQ(map.pending_bytes(), 0U);
}

TEST_F(MapFlush, a_flush_that_failed_at_the_end_of_a_view_is_told_once_by_the_next) {
  auto map = map_with(FlushPolicy::always());
  FaultPlan plan;
  plan.fail(Call::msync, EIO, {.first = 1, .times = 1});
  {
    auto view = must(map.mutable_view(0, 10));
  }
  EXPECT_EQ(plan.injected(), 1U);
  EXPECT_EQ(errno_of(map.flush()), EIO);
  EXPECT_TRUE(map.flush());
}

TEST_F(MapFlush, every_interval_flushes_in_the_background) {
  auto map = map_with(FlushPolicy::every(1ms));
  const FaultPlan plan;
  std::this_thread::sleep_for(10ms);
  EXPECT_EQ(plan.total(), 0U);  // nothing written, nothing done
  write_at(map, 0);
  EXPECT_TRUE(eventually([&] { return map.pending_bytes() == 0 && plan.count(Call::msync) == 1; }));
  std::this_thread::sleep_for(10ms);
  EXPECT_EQ(plan.count(Call::msync), 1U);  // nothing new
  write_at(map, 0);
  EXPECT_TRUE(eventually([&] { return plan.count(Call::msync) == 2; }));
}

TEST_F(MapFlush, every_interval_flushes_the_last_write_of_many) {
  auto map = map_with(FlushPolicy::every(1ms));
  for (int i = 0; i < 200; ++i) {
    write_at(map, static_cast<std::uint64_t>(i % 64) * page);
    if (i % 20 == 0) {
      std::this_thread::sleep_for(1ms);
    }
  }
  EXPECT_TRUE(eventually([&] { return map.pending_bytes() == 0; }));
}

TEST_F(MapFlush, what_fails_in_the_background_is_told_once_by_the_next_flush) {
  auto map = map_with(FlushPolicy::every(1ms));
  FaultPlan plan;
  plan.fail(Call::msync, EIO, {.first = 1, .times = 1});
  write_at(map, 0);
  ASSERT_TRUE(eventually([&] { return plan.injected() == 1; }));
  Result<void> told;
  ASSERT_TRUE(eventually([&] { return !(told = map.flush(Durability::visible)); }));
  EXPECT_EQ(errno_of(told), EIO);
  EXPECT_TRUE(map.flush(Durability::visible));
  EXPECT_TRUE(map.flush());
}

TEST_F(MapFlush, unmapping_flushes_what_a_policy_promised_and_tells_when_it_cannot) {
  auto map = map_with(FlushPolicy::every(1h));
  write_at(map, 0);
  FaultPlan plan;
  plan.fail(Call::msync, EIO, {.first = 1, .times = 1});
  EXPECT_EQ(errno_of(map.unmap()), EIO);
  EXPECT_EQ(map.pending_bytes(), page);
  EXPECT_TRUE(map.unmap());
}

TEST_F(MapFlush, destroying_a_map_stops_its_thread_and_flushes) {
  const FaultPlan plan;
  {
    auto map = map_with(FlushPolicy::every(1h));
    write_at(map, 0);
  }
  EXPECT_EQ(plan.count(Call::msync), 1U);
  {
    auto map = must(MappedFile::open(scratch.path("file"), read_write));  // manual: promises nothing
    write_at(map, 0);
  }
  EXPECT_EQ(plan.count(Call::msync), 1U);
}

TEST_F(MapFlush, a_background_thread_and_a_map_start_and_stop_many_times) {
  for (int i = 0; i < 50; ++i) {
    MapOptions options = read_write;
    options.flush = FlushPolicy::every(1ms);
    auto map = must(MappedFile::open_or_create(scratch.path("file"), 64 * page, options));
    write_at(map, static_cast<std::uint64_t>(i) * page);
    if (i % 3 == 0) {
      std::this_thread::sleep_for(1ms);
    }
    if (i % 2 == 0) {
      must(map.unmap());
    }
  }
}

// A flush that returns while another one is still writing the same pages would be a lie.
TEST_F(MapFlush, flushes_from_many_threads_leave_nothing_pending) {
  auto map = map_with(FlushPolicy::every(1ms));
  std::vector<std::thread> writers;
  for (unsigned seed = 0; seed < 3; ++seed) {
    writers.emplace_back([&map, seed] {
      std::minstd_rand random(seed + 1);
      for (int i = 0; i < 500; ++i) {
        const std::uint64_t offset = (random() % 20 * 3 + seed) * page;
        must(map.update(offset, bytes_of("x")));
        if (i % 10 == 0) {
          must(map.flush_range(offset, page));
        }
        if (i % 100 == 0) {
          must(map.flush());
        }
      }
    });
  }
  for (std::thread& writer : writers) {
    writer.join();
  }
  must(map.flush());
  EXPECT_EQ(map.pending_bytes(), 0U);
}

TEST_F(MapFlush, growing_and_flushing_race_with_writes) {
  auto map = map_with(FlushPolicy::after_bytes(20 * page));
  std::atomic<bool> done = false;
  std::thread grower([&] {
    for (std::uint64_t i = 0; i < 300; ++i) {
      must(map.resize((65 + i) * page));
      EXPECT_TRUE(map.resize(64 * page, {.live_views = LiveViews::wait_for}));
    }
    done = true;
  });
  std::minstd_rand random(5);
  while (!done) {
    const auto written = map.update(random() % (70 * page), bytes_of(std::string(5000, 'x')));
    EXPECT_TRUE(written || written.error().errno_value() == ERANGE);
  }
  grower.join();
  must(map.flush());
  EXPECT_EQ(map.pending_bytes(), 0U);
}

}  // namespace
}  // namespace ferry::testing
