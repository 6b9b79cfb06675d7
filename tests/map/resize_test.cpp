// Growing and shrinking, alone and while other threads look.
#include <chrono>
#include <thread>

#include "map/bytes.hpp"
#include "support/fault_plan.hpp"

namespace ferry::testing {
namespace {

using sys::Call;
using namespace std::chrono_literals;

class MapResize : public ::testing::Test {
 protected:
  Scratch scratch;
  MappedFile map = must(MappedFile::create(scratch.path("file"), 2 * page, read_write));
};

TEST_F(MapResize, growing_moves_nothing_and_costs_one_statx_and_one_ftruncate) {
  must(map.update(0, bytes_of("hello")));
  const auto view = must(map.view(0, 5));
  const std::byte* const before = map.data().data();
  const FaultPlan plan;
  must(map.resize(100 * page));
  EXPECT_EQ(plan.total(), 2U);
  EXPECT_EQ(map.data().data(), before);
  EXPECT_EQ(view.text(), "hello");
  EXPECT_EQ(map.size(), 100 * page);
  must(map.update(99 * page, bytes_of("there")));
  EXPECT_EQ(status_of(scratch.path("file")).stx_size, 100 * page);
}

TEST_F(MapResize, growing_stops_at_the_reserve) {
  EXPECT_EQ(map.reserved_bytes(), small_reserve);
  EXPECT_EQ(errno_of(map.resize(small_reserve + 1)), ENOMEM);
  EXPECT_EQ(errno_of(map.resize(UINT64_MAX)), ENOMEM);
  must(map.resize(small_reserve));
  EXPECT_EQ(map.size(), small_reserve);
}

TEST_F(MapResize, shrinking_cuts_the_file_and_what_grows_back_is_zero) {
  must(map.update(0, bytes_of(std::string(2 * page, 'x'))));
  must(map.resize(100));
  EXPECT_EQ(read_file(scratch.path("file")), std::string(100, 'x'));
  EXPECT_EQ(errno_of(map.view(0, 101)), ERANGE);
  must(map.resize(200));
  EXPECT_EQ(read_file(scratch.path("file")), std::string(100, 'x') + std::string(100, '\0'));
}

TEST_F(MapResize, shrinking_is_refused_while_a_view_is_alive) {
  {
    const auto view = must(map.view(0, 10));
    EXPECT_EQ(errno_of(map.resize(page)), EBUSY);
    EXPECT_EQ(map.size(), 2 * page);
    EXPECT_TRUE(map.view(page, page));
    EXPECT_EQ(status_of(scratch.path("file")).stx_size, 2 * page);
  }
  must(map.resize(page));
}

TEST_F(MapResize, every_kind_of_view_pins) {
  const auto busy = [this] { return errno_of(map.resize(page)) == EBUSY; };
  {
    const auto pin = must(map.mutable_view(0, 1));
    EXPECT_TRUE(busy());
  }
  {
    const auto pin = must(map.view_of<std::uint32_t>(0));
    EXPECT_TRUE(busy());
  }
  {
    const auto pin = must(map.atomic<std::uint32_t>(0));
    EXPECT_TRUE(busy());
  }
  {
    const auto pin = must(map.chunks(10));
    EXPECT_TRUE(busy());
  }
  {
    const auto pin = must(map.mutable_chunks(10));
    EXPECT_TRUE(busy());
  }
  {
    const auto pin = must(map.data_chunks(10));
    EXPECT_TRUE(busy());
  }
  EXPECT_FALSE(busy());
}

TEST_F(MapResize, shrinking_can_wait_for_the_last_view) {
  must(map.update(0, bytes_of(std::string(2 * page, 'x'))));
  auto view = must(map.view(page, page));
  std::atomic<bool> released = false;
  std::thread holder([&released, held = std::optional<View>(std::move(view))]() mutable {
    std::this_thread::sleep_for(30ms);
    EXPECT_EQ((*held)[page - 1], std::byte{'x'});  // SIGBUS if the file were cut already
    released = true;
    held.reset();
  });
  must(map.resize(page, {.live_views = LiveViews::wait_for}));
  EXPECT_TRUE(released);
  holder.join();
  EXPECT_EQ(status_of(scratch.path("file")).stx_size, page);
}

TEST_F(MapResize, waiting_refuses_new_views_beyond_the_new_size_and_is_not_held_up_by_others) {
  auto view = std::optional(must(map.view(page, page)));
  std::atomic<bool> done = false;
  std::thread shrinker([&] {
    must(map.resize(page, {.live_views = LiveViews::wait_for}));
    done = true;
  });
  while (map.size() != page) {
    std::this_thread::yield();
  }
  EXPECT_EQ(errno_of(map.view(page, 1)), ERANGE);
  view.reset();
  for (View below = must(map.view(0, page)); !done;) {  // at no time is there none alive
    below = must(map.view(0, page));
  }
  shrinker.join();
  EXPECT_EQ(status_of(scratch.path("file")).stx_size, page);
}

TEST_F(MapResize, waiting_ends_with_its_timeout_and_nothing_changed) {
  const auto view = must(map.view(0, 10));
  for (int i = 0; i < 3; ++i) {  // an attempt leaves the view in the other of the two epochs of pins
    EXPECT_EQ(errno_of(map.resize(page, {.live_views = LiveViews::wait_for, .timeout = 20ms})), ETIMEDOUT);
    EXPECT_EQ(map.size(), 2 * page);
    EXPECT_EQ(errno_of(map.resize(page)), EBUSY);
  }
  EXPECT_TRUE(map.view(page, page));
}

TEST_F(MapResize, each_failing_call_leaves_the_size_as_it_was) {
  for (const Call call : {Call::statx, Call::ftruncate}) {
    for (const std::uint64_t size : {page, 3 * page}) {
      FaultPlan plan;
      plan.fail(call, EIO);
      const auto resized = map.resize(size);
      EXPECT_EQ(errno_of(resized), EIO);
      EXPECT_STREQ(resized.error().operation, sys::name(call));
      EXPECT_GE(plan.injected(), 1U);
      EXPECT_EQ(map.size(), 2 * page);
    }
  }
  for (const LiveViews live_views : {LiveViews::refuse, LiveViews::wait_for}) {
    FaultPlan plan;
    plan.fail(Call::membarrier, ENOMEM);
    const auto resized = map.resize(page, {.live_views = live_views});
    EXPECT_EQ(errno_of(resized), ENOMEM);
    EXPECT_STREQ(resized.error().operation, "membarrier");
    EXPECT_EQ(map.size(), 2 * page);
  }
  EXPECT_TRUE(map.view(page, page));
  EXPECT_EQ(status_of(scratch.path("file")).stx_size, 2 * page);
}

TEST_F(MapResize, growing_into_a_full_disk_leaves_the_size_as_it_was) {
  MapOptions options = read_write;
  options.preallocate = true;
  auto full = must(MappedFile::create(scratch.path("full"), page, options));
  FaultPlan plan;
  plan.fail(Call::fallocate, ENOSPC);
  EXPECT_EQ(errno_of(full.resize(3 * page)), ENOSPC);
  EXPECT_EQ(full.size(), page);
  EXPECT_EQ(status_of(scratch.path("full")).stx_size, page);
}

TEST_F(MapResize, a_file_that_somebody_else_resized_is_not_cut) {
  ASSERT_EQ(::truncate(scratch.path("file").c_str(), static_cast<off_t>(10 * page)), 0);
  EXPECT_EQ(errno_of(map.resize(3 * page)), ESTALE);
  EXPECT_EQ(status_of(scratch.path("file")).stx_size, 10 * page);
  EXPECT_EQ(must(map.refresh()), 10 * page);
  must(map.resize(3 * page));
}

TEST_F(MapResize, refresh_follows_the_file) {
  ASSERT_EQ(::truncate(scratch.path("file").c_str(), static_cast<off_t>(10 * page)), 0);
  EXPECT_EQ(map.size(), 2 * page);
  EXPECT_EQ(must(map.refresh()), 10 * page);
  EXPECT_TRUE(map.view(9 * page, page));
  ASSERT_EQ(::truncate(scratch.path("file").c_str(), static_cast<off_t>(page)), 0);
  {
    const auto view = must(map.view(0, 1));
    EXPECT_EQ(errno_of(map.refresh()), EBUSY);
  }
  EXPECT_EQ(must(map.refresh()), page);
  EXPECT_EQ(errno_of(map.view(page, 1)), ERANGE);
  FaultPlan plan;
  plan.fail(Call::statx, EIO);
  EXPECT_EQ(errno_of(map.refresh()), EIO);
}

TEST_F(MapResize, a_reader_with_a_reserve_follows_a_growing_file) {
  const auto reader_options = MapOptions{.mode = MapMode::read_only, .reserve_bytes = small_reserve};
  auto reader = must(MappedFile::open(scratch.path("file"), reader_options));
  must(map.resize(50 * page));
  must(map.update(49 * page, bytes_of("tail")));
  EXPECT_EQ(errno_of(reader.view(49 * page, 4)), ERANGE);
  EXPECT_EQ(must(reader.refresh()), 50 * page);
  EXPECT_EQ(must(reader.view(49 * page, 4)).text(), "tail");
  // Without a reserve it sees as much as it has room for.
  auto narrow = must(MappedFile::open_read_only(scratch.path("file")));
  must(map.resize(60 * page));
  EXPECT_EQ(must(narrow.refresh()), 50 * page);
}

// Readers at random, while the size goes up and down. A view that was taken is readable to its end, whatever happens:
// otherwise this is a SIGBUS, or a finding of the sanitizers. A race that is lost here is a race that is lost at all.
void race(MappedFile& map, LiveViews live_views, int resizes) {
  std::atomic<bool> done = false;
  std::atomic<std::uint64_t> taken = 0;
  std::atomic<std::uint64_t> refused = 0;
  std::vector<std::thread> readers;
  for (unsigned seed = 0; seed < 3; ++seed) {
    readers.emplace_back([&, seed] {
      std::minstd_rand random(seed + 1);
      std::array<std::byte, 100> buffer{};
      while (!done) {
        const std::uint64_t offset = random() % (8 * page);
        const auto view = map.view(offset, random() % (4 * page));
        if (!view) {
          ++refused;
          continue;
        }
        unsigned sum = 0;
        for (std::size_t i = 0; i < view->size(); i += 64) {
          sum += static_cast<unsigned>((*view)[i]);
        }
        EXPECT_EQ(sum, 0U);
        static_cast<void>(map.read_into(offset, buffer));
        ++taken;
        if (random() % 4 == 0) {
          std::this_thread::yield();
        }
      }
    });
  }
  std::minstd_rand random(99);
  int shrunk = 0;
  for (int i = 0; i < resizes; ++i) {
    const std::uint64_t size = (1 + random() % 12) * page;
    const bool shrinks = size < map.size();
    const auto resized = map.resize(size, {.live_views = live_views});
    shrunk += shrinks && resized ? 1 : 0;
    if (!resized) {
      EXPECT_EQ(resized.error().errno_value(), EBUSY);
      EXPECT_EQ(live_views, LiveViews::refuse);
    }
  }
  while (taken == 0 || refused == 0) {  // on one core the readers may not have had a turn yet
    static_cast<void>(map.resize(page, {.live_views = LiveViews::wait_for}));
    std::this_thread::yield();
  }
  done = true;
  for (std::thread& reader : readers) {
    reader.join();
  }
  if (live_views == LiveViews::wait_for) {
    EXPECT_GT(shrunk, resizes / 5);
  }
}

int resizes() { return std::getenv("FERRY_TEST_LONG") != nullptr ? 50000 : 1500; }

TEST_F(MapResize, views_stay_readable_while_resizes_race_and_wait) { race(map, LiveViews::wait_for, resizes()); }

TEST_F(MapResize, views_stay_readable_while_resizes_race_and_are_refused) { race(map, LiveViews::refuse, resizes()); }

TEST_F(MapResize, views_of_bytes_that_stay_are_never_refused_by_a_resize_that_is_taken_back) {
  std::atomic<bool> done = false;
  std::atomic<int> looked = 0;
  const auto pin = must(map.view(0, 1));  // so no shrinking succeeds
  std::thread reader([&] {
    while (!done) {
      EXPECT_TRUE(map.view(page, page));
      ++looked;
    }
  });
  // Many: the pin is only overlooked if the reader takes and gives back one of its own within a few nanoseconds.
  int refused = 0;
  int tried = 0;
  for (; tried < 20000 || looked < 500; ++tried) {
    refused += errno_of(map.resize(page)) == EBUSY ? 1 : 0;
  }
  EXPECT_EQ(refused, tried);
  done = true;
  reader.join();
}

// Views that last about as long as a resize takes, so that one taken between the last look for views and the cut would
// be read after it.
TEST_F(MapResize, a_view_taken_at_the_moment_of_shrinking_is_seen_or_refused) {
  std::atomic<bool> done = false;
  std::atomic<int> taken = 0;
  std::thread reader([&] {
    std::minstd_rand random(7);
    while (!done) {
      if (const auto view = map.view(page, page)) {
        for (std::uint64_t i = random() % 2000; i > 0; --i) {
          static_cast<void>(*static_cast<const volatile std::byte*>(view->data() + i));
        }
        ++taken;
      }
      for (std::uint64_t i = random() % 2000; i > 0; --i) {
        static_cast<void>(done.load());
      }
    }
  });
  int shrunk = 0;
  for (int i = 0; i < 20000 || taken < 100 || shrunk == 0; ++i) {
    shrunk += map.resize(page) ? 1 : 0;
    must(map.resize(2 * page));
  }
  done = true;
  reader.join();
}

TEST_F(MapResize, atomics_go_on_counting_while_the_map_grows_and_shrinks) {
  std::atomic<bool> done = false;
  std::thread adder([&] {
    const auto counter = must(map.atomic<std::uint64_t>(0));
    while (!done) {
      counter.fetch_add(1);
    }
  });
  for (std::uint64_t i = 0; i < 200; ++i) {
    must(map.resize((3 + i) * page));
    EXPECT_TRUE(errno_of(map.resize(2 * page)) == EBUSY || map.size() == 2 * page);
  }
  done = true;
  adder.join();
  EXPECT_TRUE(map.resize(page));
}

}  // namespace
}  // namespace ferry::testing
