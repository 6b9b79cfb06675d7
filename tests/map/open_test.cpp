// Opening, creating and unmapping.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "map/bytes.hpp"
#include "support/fault_plan.hpp"

namespace ferry::testing {
namespace {

using sys::Call;

TEST(MapOpen, a_file_is_read_in_every_mode) {
  const Scratch scratch;
  const std::string content = some_bytes(10000);
  write_file(scratch.path("file"), content);
  for (const MapMode mode : {MapMode::read_only, MapMode::read_write, MapMode::copy_on_write}) {
    const auto map = must(MappedFile::open(scratch.path("file"), {.mode = mode, .reserve_bytes = small_reserve}));
    EXPECT_EQ(map.mode(), mode);
    EXPECT_EQ(map.size(), content.size());
    EXPECT_EQ(map.path(), scratch.path("file"));
    EXPECT_EQ(string_of(map.data()), content);
    EXPECT_EQ(string_of(must(map.view(0, content.size())).bytes()), content);
  }
}

TEST(MapOpen, an_empty_file_is_fine_in_every_mode) {
  const Scratch scratch;
  write_file(scratch.path("empty"), "");
  for (const MapMode mode : {MapMode::read_only, MapMode::read_write, MapMode::copy_on_write}) {
    auto map = must(MappedFile::open(scratch.path("empty"), {.mode = mode}));
    EXPECT_TRUE(map.empty());
    EXPECT_TRUE(map.data().empty());
    EXPECT_EQ(must(map.view(0, 0)).size(), 0U);
    EXPECT_EQ(errno_of(map.view(0, 1)), ERANGE);
    EXPECT_EQ(must(map.chunks(10)).size(), 0U);
    EXPECT_TRUE(map.touch_pages());
    EXPECT_TRUE(map.advise(Advice::sequential));
    EXPECT_EQ(must(map.resident()).pages, 0U);
    EXPECT_EQ(must(map.data_chunks(10)).begin(), std::default_sentinel);
  }
}

TEST(MapOpen, a_read_write_map_writes_to_the_file) {
  const Scratch scratch;
  write_file(scratch.path("file"), "hello world");
  auto map = must(MappedFile::open(scratch.path("file"), read_write));
  must(map.update(6, bytes_of("there")));
  EXPECT_EQ(read_file(scratch.path("file")), "hello there");
}

TEST(MapOpen, a_copy_on_write_map_keeps_its_changes_to_itself) {
  const Scratch scratch;
  write_file(scratch.path("file"), "hello world");
  auto map = must(MappedFile::open_copy_on_write(scratch.path("file")));
  must(map.update(6, bytes_of("there")));
  EXPECT_EQ(must(map.view(0, 11)).text(), "hello there");
  EXPECT_EQ(read_file(scratch.path("file")), "hello world");
  EXPECT_EQ(map.pending_bytes(), 0U);
  EXPECT_EQ(errno_of(map.flush()), ENOTSUP);
  EXPECT_EQ(errno_of(map.resize(5)), ENOTSUP);
}

TEST(MapOpen, a_read_only_map_refuses_to_be_written) {
  const Scratch scratch;
  write_file(scratch.path("file"), "hello world!");
  auto map = must(MappedFile::open_read_only(scratch.path("file")));
  EXPECT_EQ(errno_of(map.update(0, bytes_of("x"))), EACCES);
  EXPECT_EQ(errno_of(map.mutable_view(0, 1)), EACCES);
  EXPECT_EQ(errno_of(map.mutable_data()), EACCES);
  EXPECT_EQ(errno_of(map.mutable_chunks(1)), EACCES);
  EXPECT_EQ(errno_of(map.mutable_segment(0, 1)), EACCES);
  EXPECT_EQ(errno_of(map.atomic<std::uint32_t>(0)), EACCES);
  EXPECT_EQ(errno_of(map.try_update(0, bytes_of("x"))), EACCES);
  EXPECT_EQ(errno_of(map.resize(5)), EACCES);
  EXPECT_TRUE(map.flush());
}

TEST(MapOpen, what_is_no_regular_file_is_refused) {
  const Scratch scratch;
  ASSERT_EQ(::mkfifo(scratch.path("fifo").c_str(), 0600), 0);
  for (const MapMode mode : {MapMode::read_only, MapMode::read_write, MapMode::copy_on_write}) {
    EXPECT_EQ(errno_of(MappedFile::open(scratch.path(), {.mode = mode})), EISDIR);
    EXPECT_EQ(errno_of(MappedFile::open(scratch.path("fifo"), {.mode = mode})), ENODEV);  // and does not hang
    EXPECT_EQ(errno_of(MappedFile::open("/dev/zero", {.mode = mode})), ENODEV);
  }
  EXPECT_EQ(errno_of(MappedFile::open_read_only(scratch.path("none"))), ENOENT);
}

TEST(MapOpen, errors_name_the_file_and_the_call) {
  const Scratch scratch;
  const auto missing = MappedFile::open_read_only(scratch.path("none"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().to_string(), "openat '" + scratch.path("none") + "': No such file or directory");
  write_file(scratch.path("file"), "12345");
  const auto map = must(MappedFile::open_read_only(scratch.path("file")));
  const auto beyond = map.view(3, 7);
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().to_string(),
            "view '" + scratch.path("file") + ": 7 bytes at 3 of 5': Numerical result out of range");
}

TEST(MapOpen, a_file_that_is_open_can_be_mapped_and_is_given_back) {
  const Scratch scratch;
  write_file(scratch.path("file"), "hello");
  auto map = must(MappedFile::from_file(open_file(scratch.path("file"), O_RDWR), read_write));
  must(map.update(0, bytes_of("J")));
  EXPECT_TRUE(map.path().empty());
  const UniqueFd file = must(map.unmap());
  std::string content(5, ' ');
  EXPECT_EQ(::pread(file.get(), content.data(), content.size(), 0), 5);
  EXPECT_EQ(content, "Jello");
}

TEST(MapOpen, a_file_open_for_reading_only_cannot_be_mapped_for_writing) {
  const Scratch scratch;
  write_file(scratch.path("file"), "hello");
  EXPECT_EQ(errno_of(MappedFile::from_file(open_file(scratch.path("file"), O_RDONLY), read_write)), EACCES);
  EXPECT_TRUE(MappedFile::from_file(open_file(scratch.path("file"), O_RDONLY), {.mode = MapMode::copy_on_write}));
  EXPECT_EQ(errno_of(MappedFile::from_file(UniqueFd(), {})), EBADF);
}

TEST(MapOpen, create_makes_zeros_and_never_truncates_what_is_there) {
  const Scratch scratch;
  const auto map = must(MappedFile::create(scratch.path("new"), 5000, read_write));
  EXPECT_EQ(read_file(scratch.path("new")), std::string(5000, '\0'));
  EXPECT_EQ(errno_of(MappedFile::create(scratch.path("new"), 10, read_write)), EEXIST);
  EXPECT_EQ(read_file(scratch.path("new")).size(), 5000U);
  EXPECT_EQ(errno_of(MappedFile::create(scratch.path("ro"), 10, {.mode = MapMode::read_only})), EINVAL);
  EXPECT_EQ(scratch.names(), std::vector<std::string>{"new"});
}

TEST(MapOpen, create_of_no_bytes_can_grow_later) {
  const Scratch scratch;
  auto map = must(MappedFile::create(scratch.path("new"), 0, read_write));
  EXPECT_TRUE(map.empty());
  must(map.resize(10));
  must(map.update(0, bytes_of("0123456789")));
  EXPECT_EQ(read_file(scratch.path("new")), "0123456789");
}

TEST(MapOpen, a_file_larger_than_the_file_system_allows_is_refused_and_not_left_behind) {
  const Scratch scratch;
  EXPECT_EQ(errno_of(MappedFile::create(scratch.path("new"), UINT64_MAX, read_write)), EFBIG);
  EXPECT_TRUE(scratch.names().empty());
}

TEST(MapOpen, address_space_that_is_not_to_be_had_is_an_error) {
  const Scratch scratch;
  // tmpfs files may be larger than the 128 TiB of address space that a process has.
  EXPECT_EQ(errno_of(MappedFile::create(scratch.path("new"), std::uint64_t{1} << 50U, read_write)), ENOMEM);
  EXPECT_TRUE(scratch.names().empty());
}

TEST(MapOpen, open_or_create_does_either) {
  const Scratch scratch;
  {
    auto map = must(MappedFile::open_or_create(scratch.path("file"), 100, read_write));
    EXPECT_EQ(map.size(), 100U);
    must(map.update(0, bytes_of("x")));
  }
  const auto map = must(MappedFile::open_or_create(scratch.path("file"), 5000, read_write));
  EXPECT_EQ(map.size(), 100U);
  EXPECT_EQ(map.data()[0], std::byte{'x'});
}

TEST(MapOpen, open_or_create_survives_a_name_that_comes_and_goes) {
  const Scratch scratch;
  write_file(scratch.path("file"), "there");
  FaultPlan plan;
  plan.fail(Call::openat, ENOENT, {.first = 1, .times = 1});  // then the new file finds it there
  const auto map = must(MappedFile::open_or_create(scratch.path("file"), 100, read_write));
  EXPECT_EQ(map.size(), 5U);
  EXPECT_EQ(plan.injected(), 1U);
}

TEST(MapOpen, open_or_create_shows_nobody_a_file_that_is_too_short) {
  const Scratch scratch;
  constexpr std::uint64_t size = 3 * page;
  for (int round = 0; round < 300; ++round) {
    const std::string name = scratch.path(fmt::format("file{}", round));
    std::atomic<bool> made = false;
    std::jthread maker([&] {
      made = MappedFile::open_or_create(name, size, {.mode = MapMode::read_write, .reserve_bytes = small_reserve})
                 .has_value();
    });
    struct stat seen = {};
    while (::stat(name.c_str(), &seen) != 0) {
    }
    EXPECT_EQ(static_cast<std::uint64_t>(seen.st_size), size) << "in round " << round;
    maker.join();
    EXPECT_TRUE(made);
  }
}

TEST(MapOpen, open_or_create_that_fails_leaves_no_file) {
  const Scratch scratch;
  const std::string name = scratch.path("file");
  for (const Call call : {Call::ftruncate, Call::linkat}) {
    FaultPlan plan;
    plan.fail(call, ENOSPC);
    const auto map = MappedFile::open_or_create(name, 100, read_write);
    ASSERT_EQ(errno_of(map), ENOSPC);
    EXPECT_THAT(map.error().to_string(), ::testing::HasSubstr(name));
    EXPECT_GT(plan.injected(), 0U);
  }
  EXPECT_EQ(errno_of(MappedFile::open_or_create(name, 100, {.mode = MapMode::read_only})), EINVAL);
  MapOptions senseless = read_write;
  senseless.flush = {.when = FlushPolicy::When::every_bytes, .threshold = 0};
  EXPECT_EQ(errno_of(MappedFile::open_or_create(name, 100, senseless)), EINVAL);
  EXPECT_EQ(errno_of(MappedFile::open_or_create(scratch.path("new/"), 100, read_write)), EISDIR);
  EXPECT_EQ(errno_of(MappedFile::open_or_create(scratch.path("nowhere/file"), 100, read_write)), ENOENT);
  EXPECT_TRUE(scratch.names().empty());
}

TEST(MapOpen, less_address_space_than_wanted_means_a_smaller_reserve) {
  const Scratch scratch;
  write_file(scratch.path("file"), some_bytes(10000));
  for (const int error : {ENOMEM, EOVERFLOW, EAGAIN}) {
    FaultPlan plan;
    plan.fail(Call::mmap, error, {.first = 1, .times = 3});
    const auto map = must(MappedFile::open(scratch.path("file"), read_write));
    EXPECT_EQ(map.reserved_bytes(), small_reserve / 8);
    EXPECT_EQ(plan.injected(), 3U);
  }
}

TEST(MapOpen, the_reserve_is_never_less_than_the_file) {
  const Scratch scratch;
  write_file(scratch.path("file"), some_bytes(10000));
  FaultPlan plan;
  plan.fail(Call::mmap, ENOMEM, {.first = 1, .times = 15});  // 256 MiB halved down to 12 KiB
  const auto map = must(MappedFile::open(scratch.path("file"), read_write));
  EXPECT_EQ(map.reserved_bytes(), 3 * page);
  EXPECT_EQ(plan.injected(), 15U);
}

TEST(MapOpen, each_failing_call_is_reported_and_create_leaves_nothing) {
  const Scratch scratch;
  write_file(scratch.path("file"), "content");
  const struct {
    Call call;
    int error;
    const char* operation;
  } faults[] = {{Call::openat, EMFILE, "openat"}, {Call::statx, EIO, "statx"}, {Call::mmap, EPERM, "mmap"}};
  for (const auto& fault : faults) {
    FaultPlan plan;
    plan.fail(fault.call, fault.error);
    const auto opened = MappedFile::open(scratch.path("file"), read_write);
    ASSERT_FALSE(opened) << fault.operation;
    EXPECT_EQ(opened.error().errno_value(), fault.error);
    EXPECT_STREQ(opened.error().operation, fault.operation);
    EXPECT_EQ(opened.error().path, scratch.path("file"));
    const auto created = MappedFile::create(scratch.path("new"), 10, read_write);
    ASSERT_FALSE(created) << fault.operation;
    EXPECT_EQ(created.error().errno_value(), fault.error);
    EXPECT_GE(plan.injected(), 2U);
    EXPECT_EQ(scratch.names(), std::vector<std::string>{"file"});
  }
  FaultPlan plan;
  plan.fail(Call::ftruncate, EFBIG);
  EXPECT_EQ(errno_of(MappedFile::create(scratch.path("new"), 10, read_write)), EFBIG);
  EXPECT_EQ(plan.injected(), 1U);
  EXPECT_EQ(scratch.names(), std::vector<std::string>{"file"});
}

TEST(MapOpen, preallocated_blocks_are_there) {
  const Scratch scratch;
  MapOptions options = read_write;
  options.preallocate = true;
  auto map = must(MappedFile::create(scratch.path("new"), 40000, options));
  EXPECT_GE(status_of(scratch.path("new")).stx_blocks * 512, 40000U);
  must(map.resize(80000));
  EXPECT_GE(status_of(scratch.path("new")).stx_blocks * 512, 80000U);
  must(MappedFile::create(scratch.path("sparse"), 40000, read_write));
  EXPECT_EQ(status_of(scratch.path("sparse")).stx_blocks, 0U);
}

TEST(MapOpen, a_full_disk_is_an_error_at_creation_when_preallocating) {
  const Scratch scratch;
  MapOptions options = read_write;
  options.preallocate = true;
  FaultPlan plan;
  plan.fail(Call::fallocate, ENOSPC);
  const auto map = MappedFile::create(scratch.path("new"), 40000, options);
  EXPECT_EQ(errno_of(map), ENOSPC);
  EXPECT_EQ(plan.injected(), 1U);
  EXPECT_TRUE(scratch.names().empty());
}

TEST(MapOpen, zeros_are_written_where_the_file_system_cannot_preallocate) {
  const Scratch scratch;
  MapOptions options = read_write;
  options.preallocate = true;
  {
    FaultPlan plan;
    plan.fail(Call::fallocate, EOPNOTSUPP);
    plan.limit(Call::pwrite, 1000);
    must(MappedFile::create(scratch.path("new"), 40000, options));
    EXPECT_GE(plan.count(Call::pwrite), 40U);
  }
  EXPECT_EQ(status_of(scratch.path("new")).stx_size, 40000U);
  EXPECT_GE(status_of(scratch.path("new")).stx_blocks * 512, 40000U);
  FaultPlan plan;
  plan.fail(Call::fallocate, EOPNOTSUPP);
  plan.fail(Call::pwrite, ENOSPC, {.first = 2});
  EXPECT_EQ(errno_of(MappedFile::create(scratch.path("full"), 4 << 20, options)), ENOSPC);
  EXPECT_EQ(scratch.names(), std::vector<std::string>{"new"});
}

TEST(MapOpen, opening_costs_three_system_calls_and_closing_two) {
  const Scratch scratch;
  write_file(scratch.path("file"), "content");
  FaultPlan plan;
  {
    const auto map = must(MappedFile::open_copy_on_write(scratch.path("file")));
    EXPECT_LE(plan.total() - plan.count(Call::membarrier), 3U);
  }
  EXPECT_LE(plan.total() - plan.count(Call::membarrier), 5U);
}

TEST(MapOpen, unmap_is_refused_while_views_or_segments_live) {
  const Scratch scratch;
  auto map = must(MappedFile::create(scratch.path("new"), 100, read_write));
  {
    const auto view = must(map.view(0, 10));
    EXPECT_EQ(errno_of(map.unmap()), EBUSY);
    EXPECT_EQ(view[0], std::byte{0});
  }
  {
    const auto view = must(map.mutable_view(0, 10));
    EXPECT_EQ(errno_of(map.unmap()), EBUSY);
  }
  {
    const auto segment = must(map.segment(0, 10));
    EXPECT_EQ(errno_of(map.unmap()), EBUSY);
  }
  EXPECT_TRUE(map.unmap());
}

TEST(MapOpen, unmap_that_fails_leaves_the_map_usable) {
  const Scratch scratch;
  auto map = must(MappedFile::create(scratch.path("new"), 100, read_write));
  {
    FaultPlan plan;
    plan.fail(Call::munmap, ENOMEM);
    EXPECT_EQ(errno_of(map.unmap()), ENOMEM);
    EXPECT_EQ(plan.injected(), 1U);
  }
  EXPECT_TRUE(map.view(0, 100));
  EXPECT_TRUE(map.unmap());
}

TEST(MapOpen, a_view_that_outlives_its_map_keeps_its_memory) {
  const Scratch scratch;
  write_file(scratch.path("file"), "hello");
  auto map = std::make_unique<MappedFile>(must(MappedFile::open_read_only(scratch.path("file"))));
  const auto view = must(map->view(0, 5));
  map.reset();  // a mistake
  EXPECT_EQ(view.text(), "hello");
}

TEST(MapOpen, a_map_can_be_moved_under_its_views) {
  const Scratch scratch;
  write_file(scratch.path("file"), "hello");
  std::optional<MappedFile> second;
  auto first = must(MappedFile::open_read_only(scratch.path("file")));
  const auto view = must(first.view(0, 5));
  second = std::move(first);
  EXPECT_EQ(view.text(), "hello");
  EXPECT_EQ(must(second->view(1, 3)).text(), "ell");
}

TEST(MapOpen, a_policy_without_a_number_is_refused) {
  const Scratch scratch;
  write_file(scratch.path("file"), "hello");
  for (const FlushPolicy policy :
       {FlushPolicy::after_bytes(0), FlushPolicy::after_writes(0), FlushPolicy::every(std::chrono::milliseconds(0))}) {
    EXPECT_EQ(errno_of(MappedFile::open(scratch.path("file"), {.mode = MapMode::read_write, .flush = policy})), EINVAL);
  }
}

TEST(MapOpen, populate_and_touch_hints_map_all_pages) {
  if (sanitized) {
    GTEST_SKIP() << "the sanitizers' shadow memory has page faults of its own";
  }
  const Scratch scratch;
  write_file(scratch.path("file"), some_bytes(64 * page));
  const auto faults_of_walk = [](const MappedFile& map) {
    rusage before = {};
    rusage after = {};
    ::getrusage(RUSAGE_THREAD, &before);
    unsigned sum = 0;
    for (std::size_t i = 0; i < 64; ++i) {
      sum += static_cast<unsigned>(map.data()[i * page]);
    }
    ::getrusage(RUSAGE_THREAD, &after);
    EXPECT_GT(sum, 0U);
    return after.ru_minflt - before.ru_minflt;
  };
  EXPECT_EQ(faults_of_walk(must(MappedFile::open(scratch.path("file"), {.touch = TouchHint::eager}))), 0);
  EXPECT_EQ(faults_of_walk(must(MappedFile::open(scratch.path("file"), {.populate = true}))), 0);
  EXPECT_GT(faults_of_walk(must(MappedFile::open(scratch.path("file"), {}))), 0);
  FaultPlan plan;
  must(MappedFile::open(scratch.path("file"), {.touch = TouchHint::lazy}));
  EXPECT_EQ(plan.count(Call::madvise), 1U);
}

}  // namespace
}  // namespace ferry::testing
