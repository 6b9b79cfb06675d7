#include "bench/mmap/rows.hpp"

#include <atomic>
#include <cstring>
#include <set>

#include <gmock/gmock.h>

#include "bench/mmap/mapped_twice.hpp"
#include "bench/scratch.hpp"

namespace ferry::bench {
namespace {

using ::testing::HasSubstr;

TEST(TimedLoops, run_as_often_as_they_are_told_in_each_thread) {
  std::atomic<unsigned> rounds = 0;
  const TimedLoop loop{.body =
                           [&rounds](benchmark::State& state) {
                             for ([[maybe_unused]] auto each : state) {
                               rounds.fetch_add(1);
                             }
                           },
                       .threads = 3};
  const auto cost = time_loop(loop, 7);
  ASSERT_TRUE(cost) << cost.error();
  EXPECT_EQ(rounds.load(), 21U);
  EXPECT_GT(cost->wall.count(), 0);
}

TEST(TimedLoops, the_time_is_that_of_the_loop_alone) {
  const TimedLoop loop{.body = [](benchmark::State& state) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
    while (std::chrono::steady_clock::now() < deadline) {
    }
    for ([[maybe_unused]] auto each : state) {
    }
  }};
  const auto cost = time_loop(loop, 1);
  ASSERT_TRUE(cost) << cost.error();
  EXPECT_LT(cost->wall, std::chrono::milliseconds(200));
}

TEST(TimedLoops, find_how_often_they_have_to_be_repeated) {
  const TimedLoop sleeping{.body = [](benchmark::State& state) {
    for ([[maybe_unused]] auto each : state) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }};
  const auto repetitions = repetitions_for(sleeping, std::chrono::milliseconds(3));
  ASSERT_TRUE(repetitions) << repetitions.error();
  EXPECT_GE(*repetitions, 1U);
  EXPECT_LE(*repetitions, 40U);  // it aims at more than it needs, tenfold at most
}

TEST(TimedLoops, what_a_body_says_went_wrong_is_the_failure) {
  const TimedLoop loop{.body = [](benchmark::State& state) {
    for ([[maybe_unused]] auto each : state) {
    }
    state.SkipWithError("wrong bytes");
  }};
  EXPECT_EQ(time_loop(loop, 5).error(), "wrong bytes");
  EXPECT_EQ(repetitions_for(loop, std::chrono::milliseconds(1)).error(), "wrong bytes");
}

class MmapRows : public ScratchTest {
 protected:
  Outcome<std::vector<MmapWay>> prepare(const MmapRow& row) {
    const auto place = path("row" + std::to_string(rows_++));
    std::filesystem::create_directories(place);
    return row.prepare(place);
  }

 private:
  unsigned rows_ = 0;
};

// All but the largest files, which are the same ways again.
TEST_F(MmapRows, every_way_does_its_work_and_finds_it_right) {
  std::set<std::string> names;
  for (const MmapRow& row : mmap_rows()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    if (row.file_bytes > 16 * mebibyte) {
      continue;
    }
    const auto ways = prepare(row);
    ASSERT_TRUE(ways) << row.name << ": " << ways.error();
    EXPECT_TRUE(ways->front().own) << row.name;
    std::set<std::string> way_names;
    for (const MmapWay& way : *ways) {
      EXPECT_TRUE(way_names.insert(way.name).second) << row.name << ": " << way.name;
      const auto cost = time_loop(way.loop, 3);
      EXPECT_TRUE(cost) << row.name << ": " << way.name << ": " << cost.error();
    }
  }
  EXPECT_GT(names.size(), 50U);
}

TEST_F(MmapRows, a_loop_that_does_nothing_is_found_out) {
  const auto file = MappedTwice::make(path("file"), mebibyte, MapMode::read_write);
  ASSERT_TRUE(file) << file.error();
  const auto reads_nothing = loop_of(
      [](std::uint64_t) -> std::uint64_t { return 0; },
      [&](std::uint64_t repetitions, std::uint64_t sum) { return (*file)->verdict(sum, repetitions * content_at(0)); });
  EXPECT_EQ(time_loop(reads_nothing, 2).error(), "wrong result: 0, not 2");
  const auto writes_nothing =
      loop_of([](std::uint64_t) -> std::uint64_t { return 1; },
              [&](std::uint64_t, std::uint64_t) { return (*file)->verdict_on_file(64, std::byte{2}); });
  EXPECT_EQ(time_loop(writes_nothing, 1).error(), "wrong bytes in the file");
}

TEST_F(MmapRows, a_failing_operation_is_told_in_its_own_words) {
  const auto file = MappedTwice::make(path("file"), mebibyte, MapMode::read_only);
  ASSERT_TRUE(file) << file.error();
  const auto fails = loop_of([&](std::uint64_t) { return (*file)->worked((*file)->ferry().resize(1)); },
                             [&](std::uint64_t, std::uint64_t sum) { return (*file)->verdict(sum, 1); });
  const auto cost = time_loop(fails, 1);
  ASSERT_FALSE(cost);
  EXPECT_THAT(cost.error(), HasSubstr("resize"));
  EXPECT_THAT(cost.error(), HasSubstr("Permission denied"));
}

TEST_F(MmapRows, a_place_that_cannot_be_written_is_an_error) {
  const auto ways = mmap_rows().front().prepare(path("nowhere"));
  ASSERT_FALSE(ways);
  EXPECT_THAT(ways.error(), HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace ferry::bench
