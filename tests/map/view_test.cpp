// Views, typed views, atomics, iteration and segments.
#include <sys/wait.h>

#include <algorithm>
#include <numeric>
#include <ranges>
#include <thread>

#include "map/allocations.hpp"
#include "map/bytes.hpp"
#include "support/fault_plan.hpp"

namespace ferry::testing {
namespace {

using sys::Call;

static_assert(std::ranges::random_access_range<ConstChunks>);
static_assert(std::ranges::sized_range<ConstChunks>);
static_assert(std::ranges::random_access_range<MutableChunks>);
static_assert(std::ranges::random_access_range<OwnedChunks>);
static_assert(std::ranges::input_range<DataChunks>);
static_assert(!std::is_copy_constructible_v<View>);

class MapViews : public ::testing::Test {
 protected:
  MappedFile map_of(const std::string& content) {
    write_file(scratch.path("file"), content);
    return must(MappedFile::open(scratch.path("file"), read_write));
  }
  Scratch scratch;
};

TEST_F(MapViews, ranges_outside_the_file_and_overflow_are_errors) {
  auto map = map_of(std::string(100, 'x'));
  std::array<std::byte, 2> two{};
  const struct {
    std::uint64_t offset;
    std::uint64_t length;
  } outside[] = {{0, 101}, {100, 1}, {101, 0}, {UINT64_MAX, 1}, {1, UINT64_MAX}, {UINT64_MAX, UINT64_MAX}, {99, 2}};
  for (const auto& range : outside) {
    EXPECT_EQ(errno_of(map.view(range.offset, range.length)), ERANGE) << range.offset << '+' << range.length;
    EXPECT_EQ(errno_of(map.mutable_view(range.offset, range.length)), ERANGE);
    EXPECT_EQ(errno_of(map.flush_range(range.offset, range.length)), ERANGE);
    EXPECT_EQ(errno_of(map.lock(range.offset, range.length)), ERANGE);
    EXPECT_EQ(errno_of(map.advise(Advice::normal, range.offset, range.length)), ERANGE);
    EXPECT_EQ(errno_of(map.touch_pages_range(range.offset, range.length)), ERANGE);
  }
  EXPECT_EQ(errno_of(map.read_into(99, two)), ERANGE);
  EXPECT_EQ(errno_of(map.read_into(UINT64_MAX, two)), ERANGE);
  EXPECT_EQ(errno_of(map.update(99, two)), ERANGE);
  EXPECT_EQ(errno_of(map.update(UINT64_MAX, two)), ERANGE);
  EXPECT_EQ(errno_of(map.try_read(99, two)), ERANGE);
  EXPECT_EQ(errno_of(map.try_update(99, two)), ERANGE);
  EXPECT_EQ(errno_of(map.read<std::uint64_t>(93)), ERANGE);
  EXPECT_EQ(errno_of(map.view_of<std::uint64_t>(0, UINT64_MAX / 4)), ERANGE);
  EXPECT_EQ(errno_of(map.view_of<std::uint64_t>(0, UINT64_MAX)), ERANGE);
  EXPECT_EQ(errno_of(map.atomic<std::uint64_t>(96)), ERANGE);
  EXPECT_EQ(errno_of(map.segment(1, UINT64_MAX)), ERANGE);
  EXPECT_TRUE(map.view(100, 0));
  EXPECT_TRUE(map.view(0, 100));
}

TEST_F(MapViews, read_into_and_update_move_the_bytes_asked_for) {
  auto map = map_of("0123456789");
  std::string three(3, ' ');
  must(map.read_into(4, std::as_writable_bytes(std::span(three))));
  EXPECT_EQ(three, "456");
  must(map.update(8, bytes_of("ab")));
  must(map.update(5, {}));
  must(map.read_into(5, {}));
  EXPECT_EQ(read_file(scratch.path("file")), "01234567ab");
}

TEST_F(MapViews, a_mutable_view_writes_through) {
  auto map = map_of("0123456789");
  {
    auto view = must(map.mutable_view(2, 3));
    std::ranges::fill(view, std::byte{'x'});
    view[0] = std::byte{'y'};
  }
  EXPECT_EQ(read_file(scratch.path("file")), "01yxx56789");
}

TEST_F(MapViews, moving_a_view_moves_its_pin) {
  auto map = map_of(std::string(2 * page, 'x'));
  auto first = must(map.view(0, 2 * page));
  View second = std::move(first);
  EXPECT_EQ(errno_of(map.resize(page)), EBUSY);
  {
    View third = must(map.view(0, 1));
    third = std::move(second);  // gives its own pin back and takes the other
    EXPECT_EQ(errno_of(map.resize(page)), EBUSY);
    EXPECT_EQ(third.size(), 2 * page);
  }
  must(map.resize(page));
}

TEST_F(MapViews, a_view_may_be_given_back_by_another_thread) {
  auto map = map_of(std::string(2 * page, 'x'));
  for (int i = 0; i < 3; ++i) {
    auto view = must(map.view(0, 10));
    std::thread([inner = std::move(view)] { EXPECT_EQ(inner[3], std::byte{'x'}); }).join();
  }
  must(map.resize(page));
  EXPECT_TRUE(map.unmap());
}

TEST_F(MapViews, more_threads_than_counters_pin_all_the_same) {
  auto map = map_of(std::string(2 * page, 'x'));
  constexpr int threads = 2 * ferry::detail::exclusive_pin_slots;
  std::vector<View> views;
  std::mutex mutex;
  std::atomic<int> arrived = 0;
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&] {
      auto view = must(map.view(0, 10));
      ++arrived;
      while (arrived < threads) {  // all at once, so that the slots do not suffice
        std::this_thread::yield();
      }
      const std::scoped_lock lock(mutex);
      views.push_back(std::move(view));
    });
  }
  for (std::thread& thread : running) {
    thread.join();
  }
  EXPECT_EQ(errno_of(map.resize(page)), EBUSY);
  while (views.size() > 1) {
    views.pop_back();
  }
  EXPECT_EQ(errno_of(map.resize(page)), EBUSY);
  views.clear();
  must(map.resize(page));
}

bool pins_and_marks_work_without_membarrier() {
  const Scratch scratch;
  FaultPlan plan;
  plan.fail(Call::membarrier, ENOSYS);
  auto map = must(MappedFile::create(scratch.path("file"), 4 * page, read_write));
  bool good = true;
  {
    const auto view = must(map.view(0, 10));
    good = good && errno_of(map.resize(page)) == EBUSY;
  }
  must(map.update(0, bytes_of("hello")));
  good = good && map.pending_bytes() == page;
  must(map.flush());
  good = good && map.pending_bytes() == 0 && plan.count(Call::msync) == 1;
  good = good && map.resize(page) && map.size() == page;
  return good && plan.count(Call::membarrier) == 1 && plan.injected() == 1;
}

// In a process of its own: whether there is a membarrier is asked once. No fixture, whose files the child would leave.
TEST(MapViewsProcess, without_membarrier_pins_and_marks_work_by_locked_instructions) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(::_exit(pins_and_marks_work_without_membarrier() ? 0 : 1), ::testing::ExitedWithCode(0), "");
}

TEST_F(MapViews, reading_allocates_nothing_and_makes_no_system_call) {
  auto map = map_of(some_bytes(100 * page));
  must(map.update(0, bytes_of("x")));  // the first write makes the map of dirty pages
  std::array<std::byte, 100> buffer{};
  const FaultPlan plan;
  const std::uint64_t before = allocations();
  unsigned sum = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const auto view = map.view(i * 64, 64);
    sum += view ? static_cast<unsigned>((*view)[0]) : 0;
    ASSERT_TRUE(map.read_into(i * 10, buffer));
    ASSERT_TRUE(map.update(i % page, buffer));
    ASSERT_TRUE(map.view_of<std::uint64_t>(i * 8));
    sum += static_cast<unsigned>(map.data()[i]);
  }
  const auto chunks = map.chunks(1000);
  for (const std::span<const std::byte> chunk : *chunks) {
    sum += static_cast<unsigned>(chunk[0]);
  }
  const auto pages = map.pages();
  for (const std::span<const std::byte> chunk : *pages) {
    sum += static_cast<unsigned>(chunk[0]);
  }
  EXPECT_EQ(allocations(), before);
  EXPECT_EQ(plan.total(), 0U);
  EXPECT_GT(sum, 0U);
  // The counter counts.
  const auto owned = map.owned_chunks(1000);
  EXPECT_EQ((*owned->begin()).size(), 1000U);
  EXPECT_GT(allocations(), before);
}

struct Record {
  std::uint32_t key;
  std::uint32_t value;
};

TEST_F(MapViews, typed_views_are_objects_in_the_file) {
  auto map = must(MappedFile::create(scratch.path("records"), 10 * sizeof(Record), read_write));
  {
    auto records = must(map.mutable_view_of<Record>(0, 10));
    for (std::uint32_t i = 0; i < 10; ++i) {
      records[i] = {.key = i, .value = i * i};
    }
  }
  const auto third = must(map.view_of<Record>(3 * sizeof(Record)));
  EXPECT_EQ(third->key, 3U);
  EXPECT_EQ((*third).value, 9U);
  const auto all = must(map.view_of<Record>(0, 10));
  EXPECT_EQ(std::ranges::count_if(all, [](const Record& record) { return record.value >= 25; }), 5);
  EXPECT_EQ(must(map.read<Record>(4 * sizeof(Record))).value, 16U);
  must(map.write(4 * sizeof(Record), Record{.key = 1, .value = 2}));
  EXPECT_EQ(must(map.read<Record>(4 * sizeof(Record))).value, 2U);
  EXPECT_EQ(must(map.read<std::uint16_t>(33)), 0U);  // any alignment
  EXPECT_EQ(errno_of(map.view_of<Record>(2)), EINVAL);
  EXPECT_EQ(errno_of(map.mutable_view_of<std::uint64_t>(4)), EINVAL);
}

TEST_F(MapViews, atomics_need_their_alignment) {
  auto map = must(MappedFile::create(scratch.path("counters"), page, read_write));
  EXPECT_EQ(errno_of(map.atomic<std::uint32_t>(2)), EINVAL);
  EXPECT_EQ(errno_of(map.atomic<std::uint64_t>(4)), EINVAL);
  EXPECT_EQ(errno_of(map.atomic_slice<std::int64_t>(12, 2)), EINVAL);
  EXPECT_EQ(errno_of(map.atomic_load<std::int64_t>(12)), EINVAL);
  EXPECT_EQ(errno_of(map.atomic_slice<std::int64_t>(0, page / 8 + 1)), ERANGE);
}

TEST_F(MapViews, atomics_count_between_threads) {
  auto map = must(MappedFile::create(scratch.path("counters"), page, read_write));
  constexpr int threads = 4;
  constexpr int adds = 10000;
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&map, i] {
      const auto shared = must(map.atomic<std::uint64_t>(0));
      const auto each = must(map.atomic_slice<std::uint32_t>(64, threads));
      for (int n = 0; n < adds; ++n) {
        shared.fetch_add(1);
        each[static_cast<std::size_t>(i)].fetch_add(2, std::memory_order_relaxed);
      }
    });
  }
  for (std::thread& thread : running) {
    thread.join();
  }
  EXPECT_EQ(must(map.read<std::uint64_t>(0)), std::uint64_t{threads} * adds);
  EXPECT_EQ(must(map.read<std::uint32_t>(64 + 4 * 3)), 2U * adds);
  auto counter = must(map.atomic<std::uint64_t>(0));
  std::uint64_t expected = 0;
  EXPECT_FALSE(counter.compare_exchange_strong(expected, 5));
  EXPECT_TRUE(counter.compare_exchange_strong(expected, 5));
  EXPECT_EQ(counter.exchange(7), 5U);
  EXPECT_EQ(counter.fetch_sub(2), 7U);
  counter.store(9);
  EXPECT_EQ(counter.load(), 9U);
  const auto reader = must(MappedFile::open_read_only(scratch.path("counters")));
  EXPECT_EQ(must(reader.atomic_load<std::uint64_t>(0)), 9U);
}

// The test for sharing between processes: a fork, two maps of one file, one counter.
TEST_F(MapViews, atomics_count_between_processes) {
  must(MappedFile::create(scratch.path("shared"), page, read_write));
  constexpr std::uint64_t adds = 50000;
  const auto count = [&] {
    auto map = must(MappedFile::open(scratch.path("shared"), read_write));
    const auto ready = must(map.atomic<std::uint32_t>(64));
    const auto counter = must(map.atomic<std::uint64_t>(0));
    ready.fetch_add(1);
    while (ready.load() < 2) {  // both at once
      std::this_thread::yield();
    }
    for (std::uint64_t i = 0; i < adds; ++i) {
      counter.fetch_add(1);
    }
  };
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    count();
    ::_exit(0);
  }
  count();
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  const auto map = must(MappedFile::open_read_only(scratch.path("shared")));
  EXPECT_EQ(must(map.atomic_load<std::uint64_t>(0)), 2 * adds);
}

TEST_F(MapViews, a_child_sees_what_the_parent_writes_to_the_map_it_inherited) {
  auto map = must(MappedFile::create(scratch.path("shared"), page, read_write));
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto flag = must(map.atomic<std::uint32_t>(0));
    while (flag.load() == 0) {
      std::this_thread::yield();
    }
    const auto view = must(map.view(8, 5));
    ::_exit(view.text() == "hello" && map.update(16, bytes_of("world")) ? 0 : 1);
  }
  must(map.update(8, bytes_of("hello")));
  must(map.atomic<std::uint32_t>(0)).store(1);
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(must(map.view(16, 5)).text(), "world");
}

TEST_F(MapViews, chunks_cover_the_file_and_the_last_may_be_short) {
  const std::string content = some_bytes(10050);
  auto map = map_of(content);
  const auto chunks = must(map.chunks(1000));
  ASSERT_EQ(chunks.size(), 11U);
  std::string joined;
  for (const auto chunk : chunks) {
    joined += string_of(chunk);
  }
  EXPECT_EQ(joined, content);
  EXPECT_EQ(chunks[10].size(), 50U);
  EXPECT_EQ(string_of(chunks[3]), content.substr(3000, 1000));
  EXPECT_EQ(string_of(chunks[10]), content.substr(10000));
  auto it = chunks.end();
  it -= 2;
  EXPECT_EQ(string_of(*it), content.substr(9000, 1000));
  EXPECT_EQ(it - chunks.begin(), 9);
  EXPECT_EQ(string_of(it[-1]), content.substr(8000, 1000));
  EXPECT_LT(chunks.begin(), it);
  EXPECT_EQ(std::ranges::distance(chunks | std::views::drop(4)), 7);
  EXPECT_EQ(must(map.pages()).size(), 3U);
  EXPECT_EQ(must(map.chunks(1 << 20)).size(), 1U);
  EXPECT_EQ(errno_of(map.chunks(0)), EINVAL);
  EXPECT_EQ(errno_of(map.mutable_chunks(0)), EINVAL);
  EXPECT_EQ(errno_of(map.owned_chunks(0)), EINVAL);
  EXPECT_EQ(errno_of(map.data_chunks(0)), EINVAL);
}

TEST_F(MapViews, owned_chunks_are_copies) {
  auto map = map_of("0123456789");
  std::vector<std::vector<std::byte>> kept;
  for (std::vector<std::byte> chunk : must(map.owned_chunks(4))) {
    kept.push_back(std::move(chunk));
  }
  must(map.update(0, bytes_of("xxxxxxxxxx")));
  ASSERT_EQ(kept.size(), 3U);
  EXPECT_EQ(string_of(kept[1]), "4567");
  EXPECT_EQ(string_of(kept[2]), "89");
}

TEST_F(MapViews, mutable_chunks_write) {
  auto map = map_of("0123456789");
  char next = 'a';
  for (const std::span<std::byte> chunk : must(map.mutable_chunks(4))) {
    std::ranges::fill(chunk, static_cast<std::byte>(next++));
  }
  EXPECT_EQ(read_file(scratch.path("file")), "aaaabbbbcc");
  EXPECT_EQ(map.pending_bytes(), page);
}

class MapDataChunks : public MapViews {
 protected:
  // Data in pages 2 and 3, and in page 8; holes elsewhere.
  MappedFile sparse_map() {
    auto map = must(MappedFile::create(scratch.path("sparse"), 16 * page + 10, read_write));
    must(map.update(2 * page, bytes_of(std::string(2 * page, 'a'))));
    must(map.update(8 * page, bytes_of(std::string(page, 'b'))));
    return map;
  }
  static std::string described(const MappedFile& map, std::size_t step) {
    std::string text;
    auto chunks = must(map.data_chunks(step));
    for (const DataChunk& chunk : chunks) {
      EXPECT_EQ(chunk.bytes.data(), map.data().data() + chunk.offset);
      text += std::to_string(chunk.offset / page) + '+' + std::to_string(chunk.bytes.size()) + ' ';
    }
    return text;
  }
};

TEST_F(MapDataChunks, holes_are_skipped) {
  const auto map = sparse_map();
  EXPECT_EQ(described(map, 4 * page), "2+8192 8+4096 ");
  EXPECT_EQ(described(map, page), "2+4096 3+4096 8+4096 ");
}

TEST_F(MapDataChunks, a_file_without_holes_is_not_asked) {
  const auto map = map_of(std::string(3 * page, 'x'));
  const FaultPlan plan;
  EXPECT_EQ(described(map, 2 * page), "0+8192 2+4096 ");
  EXPECT_EQ(plan.count(Call::lseek), 0U);
}

TEST_F(MapDataChunks, a_file_system_that_cannot_tell_has_only_data) {
  const auto map = sparse_map();
  for (const int error : {EINVAL, EOPNOTSUPP}) {
    FaultPlan plan;
    plan.fail(Call::lseek, error);
    EXPECT_EQ(described(map, 16 * page), "0+65536 16+10 ");
    EXPECT_GE(plan.injected(), 1U);
  }
}

TEST_F(MapDataChunks, answers_that_make_no_progress_make_the_rest_data) {
  const auto map = sparse_map();
  FaultPlan plan;
  plan.answer(Call::lseek, 0, {.first = 3});  // after the first segment
  EXPECT_EQ(described(map, 16 * page), "2+8192 4+49162 ");
  EXPECT_GE(plan.injected(), 1U);
}

TEST_F(MapDataChunks, a_failing_statx_is_reported) {
  const auto map = sparse_map();
  FaultPlan plan;
  plan.fail(Call::statx, EIO);
  EXPECT_EQ(errno_of(map.data_chunks(page)), EIO);
}

TEST_F(MapViews, segments_stay_right_over_resizes) {
  auto map = map_of("0123456789");
  auto segment = must(map.mutable_segment(4, 4));
  const auto beyond = must(map.segment(8, 4));
  EXPECT_EQ(must(segment.view()).text(), "4567");
  EXPECT_EQ(must(segment.view(1, 2)).text(), "56");
  EXPECT_FALSE(beyond.is_valid());
  EXPECT_EQ(errno_of(beyond.view()), ERANGE);
  must(map.resize(20));
  EXPECT_TRUE(beyond.is_valid());
  EXPECT_EQ(must(beyond.view()).text(), std::string_view("89\0\0", 4));
  must(segment.update(2, bytes_of("xy")));
  EXPECT_EQ(must(map.view(0, 10)).text(), "012345xy89");
  EXPECT_EQ(errno_of(segment.update(3, bytes_of("ab"))), ERANGE);
  EXPECT_EQ(errno_of(segment.update(UINT64_MAX, bytes_of("ab"))), ERANGE);
  EXPECT_EQ(errno_of(segment.view(1, 4)), ERANGE);
  {
    auto view = must(segment.mutable_view());
    view[0] = std::byte{'!'};
  }
  std::string two(2, ' ');
  must(segment.read_into(0, std::as_writable_bytes(std::span(two))));
  EXPECT_EQ(two, "!5");
  must(segment.flush());
  must(map.resize(6));
  EXPECT_FALSE(segment.is_valid());
  EXPECT_EQ(errno_of(segment.view()), ERANGE);
  EXPECT_EQ(segment.offset(), 4U);
  EXPECT_EQ(segment.size(), 4U);
}

TEST_F(MapViews, a_segment_keeps_the_map_alive) {
  std::optional<Segment> segment;
  {
    auto map = map_of("0123456789");
    segment = must(map.segment(2, 3));
  }
  EXPECT_EQ(must(segment->view()).text(), "234");
}

}  // namespace
}  // namespace ferry::testing
