// The small parts of the copy room, each alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "copy/block_size.hpp"
#include "copy/capabilities.hpp"
#include "copy/content_hash.hpp"
#include "copy/copy_settings.hpp"
#include "copy/free_memory.hpp"
#include "copy/kernel_version.hpp"
#include "copy/segments.hpp"
#include "copy/statistics.hpp"
#include "copy/transfer_buffer.hpp"
#include "copy/zero_runs.hpp"
#include "support/fault_plan.hpp"
#include "support/scratch.hpp"

namespace ferry::engine {
namespace {

using sys::Call;
using testing::FaultPlan;
using testing::open_file;
using testing::Scratch;

TEST(KernelVersionTest, is_parsed_from_the_release) {
  EXPECT_EQ(parse_kernel_version("6.18.44-cloud"), (KernelVersion{6, 18}));
  EXPECT_EQ(parse_kernel_version("5.3"), (KernelVersion{5, 3}));
  EXPECT_EQ(parse_kernel_version("weird"), KernelVersion{});
  EXPECT_EQ(parse_kernel_version("6"), KernelVersion{});
  EXPECT_EQ(parse_kernel_version("6."), KernelVersion{});
  EXPECT_LT((KernelVersion{5, 2}), (KernelVersion{5, 3}));
  EXPECT_LT((KernelVersion{4, 20}), (KernelVersion{5, 0}));
  EXPECT_GE(kernel_version(), (KernelVersion{4, 0}));
}

TEST(BlockSizeTest, odd_ones_are_clamped) {
  EXPECT_EQ(block_size_from(0), 4096U);
  EXPECT_EQ(block_size_from(512), 4096U);
  EXPECT_EQ(block_size_from(4096), 4096U);
  EXPECT_EQ(block_size_from(16384), 16384U);
  EXPECT_EQ(block_size_from(65537), 4096U);
  EXPECT_EQ(block_size_from(128U << 20U), 65536U);
}

TEST(CapabilitiesTest, are_remembered_per_pair_and_direction) {
  forget_refused();
  remember_refused({101, 202}, CopyMethod::copy_file_range, EXDEV);
  EXPECT_EQ(refused_methods({101, 202}), CopyMethodSet(CopyMethod::copy_file_range));
  EXPECT_EQ(refused_errno({101, 202}, CopyMethod::copy_file_range), EXDEV);
  EXPECT_TRUE(refused_methods({202, 101}).empty());
  EXPECT_EQ(refused_errno({202, 101}, CopyMethod::copy_file_range), 0);
  forget_refused();
  EXPECT_TRUE(refused_methods({101, 202}).empty());
}

TEST(CapabilitiesTest, a_full_table_forgets_without_harm) {
  forget_refused();
  for (std::uint64_t device = 0; device < 500; ++device) {
    remember_refused({1000, device}, CopyMethod::reflink, EXDEV);
  }
  EXPECT_FALSE(refused_methods({1000, 0}).empty());
  EXPECT_TRUE(refused_methods({1000, 499}).empty());
  forget_refused();
}

TEST(CapabilitiesTest, may_be_learned_and_asked_by_many_threads) {
  std::vector<std::jthread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 2000; ++i) {
        remember_refused({77, t % 2}, CopyMethod::reflink, EOPNOTSUPP);
        (void)refused_methods({77, (t + 1) % 2});
      }
    });
  }
  threads.clear();
  forget_refused();
}

TEST(ZeroRunsTest, only_aligned_blocks_count) {
  std::vector<std::byte> data(5 * 4096, std::byte{0});
  data[0] = std::byte{1};
  data[3 * 4096] = std::byte{1};
  engine::Run run = next_run(data.data(), data.size(), 0);
  EXPECT_FALSE(run.zeros);
  EXPECT_EQ(run.size, 4096U);
  run = next_run(data.data() + 4096, data.size() - 4096, 4096);
  EXPECT_TRUE(run.zeros);
  EXPECT_EQ(run.size, 2 * 4096U);
  // Not aligned in the file: up to the boundary it is data.
  run = next_run(data.data() + 4096 + 10, 4096 * 2 - 10, 4096 + 10);
  EXPECT_FALSE(run.zeros);
  EXPECT_EQ(run.size, 4096U - 10);
  // Fewer zeros than a block are data.
  run = next_run(data.data() + 4096, 4095, 0);
  EXPECT_FALSE(run.zeros);
  EXPECT_EQ(run.size, 4095U);
  // A zero byte first does not make a zero block.
  std::vector<std::byte> almost(4096, std::byte{0});
  almost[4095] = std::byte{1};
  EXPECT_FALSE(next_run(almost.data(), 4096, 0).zeros);
}

TEST(ContentHashTest, zeros_added_as_a_count_equal_zeros_added_as_bytes) {
  const std::string text = testing::some_bytes(1000);
  const std::vector<std::byte> zeros(200'000, std::byte{0});
  ContentHash by_count;
  ContentHash by_bytes;
  for (ContentHash* hash : {&by_count, &by_bytes}) {
    hash->add(reinterpret_cast<const std::byte*>(text.data()), text.size());
  }
  by_count.add_zeros(zeros.size());
  by_bytes.add(zeros.data(), zeros.size());
  EXPECT_EQ(by_count.digest(), by_bytes.digest());
  by_count.add_zeros(1);
  EXPECT_FALSE(by_count.digest() == by_bytes.digest());
}

class SegmentsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fd_ = open_file(scratch_.path("sparse"), O_RDWR | O_CREAT);
    ASSERT_EQ(::ftruncate(fd_.get(), 1 << 20), 0);
    ASSERT_EQ(::pwrite(fd_.get(), "x", 1, 512 << 10), 1);
  }
  Scratch scratch_;
  UniqueFd fd_;
};

TEST_F(SegmentsTest, data_between_holes_is_found) {
  EXPECT_TRUE(may_have_holes(testing::status_of(fd_.get())));
  const Segment first = next_segment(fd_.get(), 0, 1 << 20);
  EXPECT_EQ(first.begin, 512U << 10U);
  EXPECT_EQ(first.end, (512U << 10U) + 4096);
  const Segment end = next_segment(fd_.get(), first.end, 1 << 20);
  EXPECT_EQ(end.begin, 1U << 20U);
  EXPECT_EQ(end.end, 1U << 20U);
}

TEST_F(SegmentsTest, a_file_system_that_cannot_seek_data_has_only_data) {
  FaultPlan plan;
  plan.fail(Call::lseek, EINVAL);
  const Segment segment = next_segment(fd_.get(), 4096, 1 << 20);
  EXPECT_EQ(segment.begin, 4096U);
  EXPECT_EQ(segment.end, 1U << 20U);
  EXPECT_GT(plan.injected(), 0U);
}

TEST_F(SegmentsTest, answers_that_make_no_progress_make_the_rest_data) {
  {
    FaultPlan plan;
    plan.answer(Call::lseek, 8192);  // SEEK_DATA and SEEK_HOLE both: a segment of no length
    const Segment segment = next_segment(fd_.get(), 4096, 1 << 20);
    EXPECT_EQ(segment.begin, 8192U);
    EXPECT_EQ(segment.end, 1U << 20U);
    EXPECT_GT(plan.injected(), 0U);
  }
  {
    FaultPlan plan;
    plan.answer(Call::lseek, 0);  // behind where it was asked
    const Segment segment = next_segment(fd_.get(), 4096, 1 << 20);
    EXPECT_EQ(segment.begin, 4096U);
    EXPECT_EQ(segment.end, 1U << 20U);
  }
  {
    FaultPlan plan;
    plan.fail(Call::lseek, ENXIO, {.first = 2});  // SEEK_HOLE beyond the end of a file that shrank
    const Segment segment = next_segment(fd_.get(), 0, 1 << 20);
    EXPECT_EQ(segment.end, 1U << 20U);
  }
}

TEST(FreeMemoryTest, meminfo_and_cgroup_files_are_parsed) {
  EXPECT_EQ(parse_mem_available("MemTotal:  10 kB\nMemFree: 5 kB\nMemAvailable:    1234 kB\n"), 1234U * 1024);
  EXPECT_EQ(parse_mem_available("nothing"), UINT64_MAX);
  EXPECT_EQ(parse_mem_available("MemAvailable:"), UINT64_MAX);
  EXPECT_EQ(parse_cgroup_number("1048576\n"), 1048576U);
  EXPECT_EQ(parse_cgroup_number("max\n"), UINT64_MAX);
  EXPECT_EQ(parse_cgroup_number(""), UINT64_MAX);
  EXPECT_EQ(cgroup_room(100, 30), 70U);
  EXPECT_EQ(cgroup_room(100, 130), 0U);
  EXPECT_EQ(cgroup_room(UINT64_MAX, 130), UINT64_MAX);
  EXPECT_EQ(parse_memory_cgroup("0::/user.slice/a\n").path, "/user.slice/a");
  EXPECT_FALSE(parse_memory_cgroup("0::/user.slice/a\n").version_1);
  const CgroupPath hybrid = parse_memory_cgroup("5:memory:/docker/x\n1:name=systemd:/\n0::/\n");
  EXPECT_EQ(hybrid.path, "/docker/x");
  EXPECT_TRUE(hybrid.version_1);
  EXPECT_TRUE(parse_memory_cgroup("garbage").path.empty());
}

TEST(ChunkTest, is_bounded_by_its_limits_and_the_budget) {
  CopyOptions options;
  for (const std::size_t wrong : {std::size_t{1}, min_copy_chunk_size_bytes - 1, max_copy_chunk_size_bytes + 1}) {
    options.chunk_size_bytes = wrong;
    ASSERT_FALSE(chunk_for(options));
    EXPECT_EQ(chunk_for(options).error().errno_value(), ERANGE);
    EXPECT_FALSE(set_copy_chunk_size(wrong));
  }
  EXPECT_EQ(copy_chunk_size(), default_copy_chunk_size_bytes);
  options.chunk_size_bytes = 1 << 20;
  EXPECT_EQ(chunk_for(options).value(), 1U << 20U);
  options.memory_budget_bytes = 300'000;
  EXPECT_EQ(chunk_for(options).value(), 300'000U / 4096 * 4096);
  options.memory_budget_bytes = 1;
  EXPECT_EQ(chunk_for(options).value(), min_copy_chunk_size_bytes);
}

TEST(ReportTest, names_of_methods_go_both_ways) {
  for (std::size_t i = 0; i < copy_method_count; ++i) {
    const auto method = static_cast<CopyMethod>(i);
    EXPECT_EQ(parse_copy_method(to_string(method)), method);
  }
  EXPECT_EQ(to_string(CopyMethod::read_write), "read_write");
  EXPECT_FALSE(parse_copy_method("teleport"));
  EXPECT_FALSE(parse_copy_method(""));
}

TEST(ReportTest, the_method_is_the_one_that_moved_most) {
  CopyReport report;
  EXPECT_FALSE(report.method());
  report.bytes_by_method[static_cast<std::size_t>(CopyMethod::splice)] = 5;
  report.bytes_by_method[static_cast<std::size_t>(CopyMethod::read_write)] = 7;
  EXPECT_EQ(report.method(), CopyMethod::read_write);
}

TEST(StatisticsTest, every_thread_counts_and_reset_begins_anew) {
  reset_copy_stats();
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([] {
        for (int i = 0; i < 1000; ++i) {
          count_moved(CopyMethod::splice, 3);
        }
        count_fallback(CopyMethod::reflink);
      });
    }
  }
  const CopyStats stats = copy_stats();
  EXPECT_EQ(stats.by_method[static_cast<std::size_t>(CopyMethod::splice)].operations, 4000U);
  EXPECT_EQ(stats.total_bytes, 12000U);
  EXPECT_EQ(stats.by_method[static_cast<std::size_t>(CopyMethod::reflink)].fallbacks, 4U);
  reset_copy_stats();
  EXPECT_EQ(copy_stats().total_operations, 0U);
}

TEST(TransferBufferTest, is_page_aligned_and_kept_by_its_thread) {
  std::byte* const first = thread_buffer(100'000);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 4096, 0U);
  EXPECT_EQ(thread_buffer(50'000), first);
  std::byte* elsewhere = nullptr;
  std::jthread([&] { elsewhere = thread_buffer(100); }).join();
  EXPECT_NE(elsewhere, first);
}

}  // namespace
}  // namespace ferry::engine
