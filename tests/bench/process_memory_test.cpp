#include "bench/process_memory.hpp"

#include <unistd.h>

#include "bench/scratch.hpp"

namespace ferry::bench {
namespace {

/// A /proc of our own making.
class ProcessMemoryTest : public ScratchTest {
 protected:
  void process(const std::string& id, std::uint64_t resident_pages, const std::string& children) const {
    write(path("proc") / id / "statm", "1000 " + std::to_string(resident_pages) + " 7 1 0 5 0\n");
    write(path("proc") / id / "task" / id / "children", children);
  }
  [[nodiscard]] std::optional<std::uint64_t> pages_of(pid_t root) const {
    const auto bytes = resident_bytes_of_tree(root, path("proc"));
    return bytes ? std::optional(*bytes / static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))) : std::nullopt;
  }
};

TEST_F(ProcessMemoryTest, a_process_and_all_its_descendants_are_added_up) {
  process("10", 100, "11 12 ");
  process("11", 20, "");
  process("12", 3, "13 ");
  process("13", 1000, "");
  process("14", 50'000, "");
  EXPECT_EQ(pages_of(10), 1123U);
}

TEST_F(ProcessMemoryTest, children_of_every_thread_count) {
  process("10", 100, "");
  write(path("proc") / "10" / "task" / "77" / "children", "11 ");
  process("11", 20, "");
  EXPECT_EQ(pages_of(10), 120U);
}

TEST_F(ProcessMemoryTest, a_descendant_that_is_gone_holds_nothing) {
  process("10", 100, "11 12 ");
  process("12", 5, "");
  EXPECT_EQ(pages_of(10), 105U);
}

TEST_F(ProcessMemoryTest, nothing_is_known_of_a_process_that_is_gone) { EXPECT_FALSE(pages_of(10)); }

TEST_F(ProcessMemoryTest, nothing_is_known_on_a_kernel_without_lists_of_children) {
  write(path("proc") / "10" / "statm", "1000 100 7 1 0 5 0\n");
  std::filesystem::create_directories(path("proc") / "10" / "task" / "10");
  EXPECT_FALSE(pages_of(10));
}

TEST(ProcessMemory, this_process_is_known_where_the_kernel_lists_children) {
  if (::access("/proc/self/task", R_OK) != 0 || !resident_bytes_of_tree(::getpid())) {
    GTEST_SKIP() << "this kernel does not list children (CONFIG_PROC_CHILDREN)";
  }
  EXPECT_GT(resident_bytes_of_tree(::getpid()).value_or(0), std::uint64_t{1} << 20U);
}

}  // namespace
}  // namespace ferry::bench
