// Advice, locking, residency, huge pages; copying and removing the file.
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "map/bytes.hpp"
#include "support/fault_plan.hpp"

namespace ferry::testing {
namespace {

using sys::Call;

class MapMemory : public ::testing::Test {
 protected:
  MapMemory() { write_file(scratch.path("file"), content); }
  Scratch scratch;
  std::string content = some_bytes(64 * page);
};

constexpr Advice all_advice[] = {Advice::normal,    Advice::sequential, Advice::random, Advice::will_need,
                                 Advice::dont_need, Advice::populate,   Advice::cold,   Advice::page_out};

TEST_F(MapMemory, all_advice_is_taken_and_changes_no_byte) {
  for (const MapMode mode : {MapMode::read_only, MapMode::read_write, MapMode::copy_on_write}) {
    auto map = must(MappedFile::open(scratch.path("file"), {.mode = mode, .reserve_bytes = small_reserve}));
    for (const Advice advice : all_advice) {
      if (advice == Advice::dont_need && mode == MapMode::copy_on_write) {
        EXPECT_EQ(errno_of(map.advise(advice)), ENOTSUP);
        continue;
      }
      const auto advised = map.advise(advice);
      EXPECT_TRUE(advised || advised.error().errno_value() == EINVAL) << advised.error().to_string();
      EXPECT_TRUE(map.advise(advice, 10, 0));
      EXPECT_EQ(string_of(map.data()), content);
    }
    // Not every kernel has these, and not for every file system.
    for (const Advice advice : {Advice::huge_page, Advice::collapse}) {
      if (const auto taken = map.advise(advice); !taken) {
        EXPECT_STREQ(taken.error().operation, "madvise");
      }
      EXPECT_EQ(string_of(map.data()), content);
    }
    must(map.prefetch(100, 5000));
  }
}

TEST_F(MapMemory, advice_covers_the_pages_of_the_range_and_failures_are_reported) {
  auto map = must(MappedFile::open(scratch.path("file"), read_write));
  FaultPlan plan;
  plan.fail(Call::madvise, EBADF);
  const auto advised = map.advise(Advice::random, page + 10, 10);
  EXPECT_EQ(errno_of(advised), EBADF);
  EXPECT_EQ(advised.error().to_string(),
            "madvise '" + scratch.path("file") + ": 10 bytes at 4106 of 262144': Bad file descriptor");
}

TEST_F(MapMemory, populate_touches_pages_where_the_kernel_cannot) {
  auto map = must(MappedFile::open(scratch.path("file"), {}));
  FaultPlan plan;
  plan.fail(Call::madvise, EINVAL);
  rusage before = {};
  rusage after = {};
  ::getrusage(RUSAGE_THREAD, &before);
  must(map.advise(Advice::populate));
  ::getrusage(RUSAGE_THREAD, &after);
  EXPECT_GT(after.ru_minflt, before.ru_minflt);
  EXPECT_EQ(plan.injected(), 1U);
}

TEST_F(MapMemory, locked_pages_are_counted_by_the_kernel) {
  if (sanitized) {
    GTEST_SKIP() << "the sanitizers' mlock does nothing";
  }
  const auto locked_kilobytes = [] {
    std::ifstream status("/proc/self/status");
    std::string line;
    while (std::getline(status, line)) {
      if (line.starts_with("VmLck:")) {
        return std::stol(line.substr(6));
      }
    }
    return -1L;
  };
  auto map = must(MappedFile::open(scratch.path("file"), {}));
  const long before = locked_kilobytes();
  must(map.lock(page + 1, page));  // touches two pages
  EXPECT_EQ(locked_kilobytes(), before + 8);
  must(map.unlock(page + 1, page));
  EXPECT_EQ(locked_kilobytes(), before);
  must(map.lock_all());
  EXPECT_EQ(locked_kilobytes(), before + 256);
  must(map.unlock_all());
  EXPECT_EQ(locked_kilobytes(), before);
}

TEST_F(MapMemory, locking_that_fails_is_reported) {
  auto map = must(MappedFile::open(scratch.path("file"), {}));
  FaultPlan plan;
  plan.fail(Call::mlock, ENOMEM);
  plan.fail(Call::munlock, EPERM);
  const auto locked = map.lock_all();
  EXPECT_EQ(errno_of(locked), ENOMEM);
  EXPECT_STREQ(locked.error().operation, "mlock");
  EXPECT_EQ(errno_of(map.unlock_all()), EPERM);
}

TEST_F(MapMemory, residency_is_what_is_in_the_page_cache) {
  auto sparse = must(MappedFile::create(scratch.path("sparse"), 10000 * page + 1, read_write));
  EXPECT_EQ(must(sparse.resident()).pages, 10001U);
  EXPECT_EQ(must(sparse.resident()).resident_pages, 0U);  // tmpfs: nothing was ever there
  for (std::uint64_t i = 0; i < 100; ++i) {
    must(sparse.update(i * 100 * page, bytes_of("x")));
  }
  EXPECT_EQ(must(sparse.resident()).resident_pages, 100U);
  auto map = must(MappedFile::open(scratch.path("file"), {}));
  EXPECT_EQ(must(map.resident()).resident_pages, 64U);
  FaultPlan plan;
  plan.fail(Call::mincore, ENOMEM);
  EXPECT_EQ(errno_of(map.resident()), ENOMEM);
}

TEST_F(MapMemory, without_huge_pages_the_report_says_ordinary) {
  const auto map = must(MappedFile::open(scratch.path("file"), read_write));
  const auto report = must(map.huge_page_report());
  EXPECT_EQ(report.tier, HugePageTier::ordinary);
  EXPECT_EQ(report.page_size_bytes, page);
  EXPECT_EQ(report.huge_bytes, 0U);
  EXPECT_EQ(report.refused_errno, 0);
}

TEST_F(MapMemory, huge_pages_that_are_refused_leave_an_ordinary_map_that_says_why) {
  MapOptions options = read_write;
  options.huge_pages = HugePages::automatic;
  FaultPlan plan;
  plan.fail(Call::madvise, EINVAL);
  const auto map = must(MappedFile::open(scratch.path("file"), options));
  const auto report = must(map.huge_page_report());
  EXPECT_EQ(report.tier, HugePageTier::ordinary);
  EXPECT_EQ(report.refused_errno, EINVAL);
  EXPECT_EQ(string_of(map.data()), content);
  EXPECT_EQ(plan.injected(), 1U);
  plan.fail(Call::openat, EACCES);
  EXPECT_EQ(errno_of(map.huge_page_report()), EACCES);
}

TEST_F(MapMemory, a_report_that_cannot_be_read_is_an_error) {
  const auto map = must(MappedFile::open(scratch.path("file"), {}));
  FaultPlan plan;
  plan.fail(Call::read, EIO);
  EXPECT_EQ(errno_of(map.huge_page_report()), EIO);
}

TEST_F(MapMemory, no_address_space_to_align_in_means_a_smaller_reserve) {
  MapOptions options = read_write;
  options.huge_pages = HugePages::automatic;
  FaultPlan plan;
  plan.fail(Call::mmap, ENOMEM, {.first = 1, .times = 3});  // reserving twice the first time; then reserving again
  const auto map = must(MappedFile::open(scratch.path("file"), options));
  EXPECT_LT(map.reserved_bytes(), small_reserve);
  EXPECT_EQ(string_of(map.data()), content);
  EXPECT_EQ(plan.injected(), 3U);
}

// A tmpfs that gives huge pages to who asks for them; the report is compared with what the kernel counts.
TEST_F(MapMemory, transparent_huge_pages_are_aligned_and_reported) {
  const std::string mount_point = scratch.path("huge");
  ASSERT_EQ(::mkdir(mount_point.c_str(), 0700), 0);
  if (::mount("ferry", mount_point.c_str(), "tmpfs", 0, "size=64m,huge=advise") != 0) {
    GTEST_SKIP() << "cannot mount a tmpfs with huge pages: " << std::strerror(errno);
  }
  {
    constexpr std::uint64_t huge_page = std::uint64_t{2} << 20U;
    MapOptions options = read_write;
    options.huge_pages = HugePages::automatic;
    auto map = must(MappedFile::create(mount_point + "/file", 8 * huge_page, options));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(map.data().data()) % huge_page, 0U);
    EXPECT_EQ(must(map.huge_page_report()).tier, HugePageTier::transparent);
    EXPECT_EQ(must(map.huge_page_report()).huge_bytes, 0U);
    for (std::uint64_t i = 0; i < 4; ++i) {
      must(map.update(i * huge_page, bytes_of("x")));
    }
    const auto report = must(map.huge_page_report());
    if (report.huge_bytes == 0) {
      EXPECT_EQ(::umount2(mount_point.c_str(), MNT_DETACH), 0);
      GTEST_SKIP() << "the kernel has no huge pages to give";
    }
    EXPECT_EQ(report.huge_bytes % huge_page, 0U);
    EXPECT_LE(report.huge_bytes, 8 * huge_page);
    EXPECT_EQ(report.page_size_bytes, huge_page);
  }
  EXPECT_EQ(::umount(mount_point.c_str()), 0);
}

TEST_F(MapMemory, a_file_on_hugetlbfs_is_mapped_by_its_huge_pages) {
  const std::string mount_point = scratch.path("hugetlbfs");
  ASSERT_EQ(::mkdir(mount_point.c_str(), 0700), 0);
  const std::string pool = "/proc/sys/vm/nr_hugepages";
  const std::string before = read_file(pool);
  std::ofstream(pool) << std::stoul(before) + 4;
  const bool grown = std::stoul(read_file(pool)) >= std::stoul(before) + 4;
  if (!grown || ::mount("ferry", mount_point.c_str(), "hugetlbfs", 0, nullptr) != 0) {
    std::ofstream(pool) << before;
    GTEST_SKIP() << (grown ? "cannot mount hugetlbfs" : "no 4 huge pages to be had");
  }
  {
    constexpr std::uint64_t huge_page = std::uint64_t{2} << 20U;
    MapOptions options = read_write;
    options.huge_pages = HugePages::automatic;
    options.preallocate = true;
    auto map = must(MappedFile::create(mount_point + "/file", 2 * huge_page, options));
    must(map.update(huge_page - 5, bytes_of("0123456789")));
    const auto report = must(map.huge_page_report());
    EXPECT_EQ(report.tier, HugePageTier::hugetlbfs);
    EXPECT_EQ(report.page_size_bytes, huge_page);
    EXPECT_GE(report.huge_bytes, huge_page);
    must(map.resize(3 * huge_page));
    must(map.update(2 * huge_page, bytes_of("x")));
    must(map.flush());
    EXPECT_EQ(must(map.view(huge_page - 5, 10)).text(), "0123456789");
    EXPECT_EQ(errno_of(map.resize(64 * huge_page)), ENOSPC);  // an error now, not a SIGBUS later
    EXPECT_EQ(map.size(), 3 * huge_page);
    {
      FaultPlan plan;
      plan.fail(Call::mmap, ENOMEM);
      EXPECT_EQ(errno_of(map.resize(4 * huge_page)), ENOMEM);
      EXPECT_EQ(status_of(mount_point + "/file").stx_size, 3 * huge_page);
    }
    must(map.resize(huge_page));
    must(map.resize(2 * huge_page));
    EXPECT_EQ(must(map.view(huge_page, 5)).text(), std::string_view("\0\0\0\0\0", 5));
    // Opened without asking for huge pages it is mapped by them all the same, and not made as large as the reserve.
    const auto second = must(MappedFile::open(mount_point + "/file", read_write));
    EXPECT_EQ(second.size(), 2 * huge_page);
    EXPECT_EQ(status_of(mount_point + "/file").stx_size, 2 * huge_page);
    EXPECT_TRUE(map.unmap());
  }
  EXPECT_EQ(::umount(mount_point.c_str()), 0);
  std::ofstream(pool) << before;
}

TEST_F(MapMemory, a_map_is_copied_by_the_copy_engine) {
  auto map = must(MappedFile::open(scratch.path("file"), read_write));
  must(map.update(5, bytes_of("hello")));
  content.replace(5, 5, "hello");
  const auto report = must(map.copy_to(scratch.path("copy")));
  EXPECT_EQ(report.bytes_copied, content.size());
  EXPECT_EQ(read_file(scratch.path("copy")), content);
  // By what is mapped, not by the name.
  std::filesystem::rename(scratch.path("file"), scratch.path("renamed"));
  must(map.copy_to(scratch.path("copy2")));
  EXPECT_EQ(read_file(scratch.path("copy2")), content);
  EXPECT_EQ(errno_of(map.copy_to(scratch.path("none/copy"))), ENOENT);
  FaultPlan plan;
  plan.fail(Call::copy_file_range, ENOSPC);
  plan.fail(Call::pwrite, ENOSPC);
  plan.fail(Call::write, ENOSPC);
  EXPECT_EQ(errno_of(map.copy_to(scratch.path("copy3"))), ENOSPC);
  EXPECT_FALSE(std::filesystem::exists(scratch.path("copy3")));
}

TEST_F(MapMemory, a_copy_on_write_map_is_copied_with_its_changes) {
  auto map = must(MappedFile::open_copy_on_write(scratch.path("file")));
  must(map.update(5, bytes_of("hello")));
  const std::string original = content;
  content.replace(5, 5, "hello");
  EXPECT_EQ(must(map.copy_to(scratch.path("copy"))).bytes_copied, content.size());
  EXPECT_EQ(read_file(scratch.path("copy")), content);
  EXPECT_EQ(read_file(scratch.path("file")), original);
  {
    FaultPlan plan;
    plan.limit(Call::pwrite, 1000);
    must(map.copy_to(scratch.path("copy")));  // replaces
    EXPECT_EQ(read_file(scratch.path("copy")), content);
  }
  EXPECT_EQ(errno_of(map.copy_to(scratch.path("none/copy"))), ENOENT);
  for (const auto& [call, error] : {std::pair(Call::pwrite, ENOSPC), std::pair(Call::linkat, EIO)}) {
    FaultPlan plan;
    plan.fail(call, error);
    EXPECT_EQ(errno_of(map.copy_to(scratch.path("failed"))), error);
    EXPECT_FALSE(std::filesystem::exists(scratch.path("failed")));
    EXPECT_GE(plan.injected(), 1U);
  }
}

TEST_F(MapMemory, a_copy_of_a_map_has_what_was_just_written_where_blocks_are_shared) {
  const std::string image = scratch.path("image");
  const std::string mount_point = scratch.path("xfs");
  ASSERT_EQ(::mkdir(mount_point.c_str(), 0700), 0);
  const std::string make = "truncate -s 320M " + image + " && mkfs.xfs -q " + image + " && mount -o loop " + image +
                           ' ' + mount_point + " 2>/dev/null";
  if (std::system(make.c_str()) != 0) {
    GTEST_SKIP() << "cannot make and mount an XFS image";
  }
  {
    auto map = must(MappedFile::create(mount_point + "/file", 100 * page, read_write));
    must(map.update(0, bytes_of(some_bytes(100 * page))));
    const auto report = must(map.copy_to(mount_point + "/copy", {.reflink = ReflinkMode::always}));
    EXPECT_EQ(report.method(), CopyMethod::reflink);
    EXPECT_EQ(read_file(mount_point + "/copy"), some_bytes(100 * page));
  }
  EXPECT_EQ(::umount(mount_point.c_str()), 0);
}

TEST_F(MapMemory, remove_takes_the_name_and_leaves_the_map) {
  auto map = must(MappedFile::open(scratch.path("file"), read_write));
  must(map.remove());
  EXPECT_TRUE(scratch.names().empty());
  EXPECT_EQ(string_of(map.data()), content);
  EXPECT_EQ(errno_of(map.remove()), ENOENT);
}

TEST_F(MapMemory, remove_spares_a_file_that_took_the_name) {
  auto map = must(MappedFile::open(scratch.path("file"), read_write));
  std::filesystem::rename(scratch.path("file"), scratch.path("old"));
  write_file(scratch.path("file"), "another");
  EXPECT_EQ(errno_of(map.remove()), ESTALE);
  EXPECT_EQ(read_file(scratch.path("file")), "another");
  for (std::uint64_t failing = 1; failing <= 2; ++failing) {
    FaultPlan plan;
    plan.fail(Call::statx, EIO, {.first = failing});
    EXPECT_EQ(errno_of(map.remove()), EIO);
  }
  std::filesystem::rename(scratch.path("old"), scratch.path("file"));
  FaultPlan plan;
  plan.fail(Call::unlinkat, EACCES);
  EXPECT_EQ(errno_of(map.remove()), EACCES);
}

}  // namespace
}  // namespace ferry::testing
