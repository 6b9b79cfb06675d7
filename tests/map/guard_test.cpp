// Access that survives a file that is cut off under the map, and a file system that is full.
#include <sys/mman.h>
#include <sys/mount.h>

#include <csignal>
#include <thread>

#include "map/bytes.hpp"
#include "support/fault_plan.hpp"

namespace ferry::testing {
namespace {

using sys::Call;

class MapGuard : public ::testing::Test {
 protected:
  void cut(std::uint64_t size) { ASSERT_EQ(::truncate(scratch.path("file").c_str(), static_cast<off_t>(size)), 0); }
  Scratch scratch;
  MappedFile map = must(MappedFile::create(scratch.path("file"), 8 * page, read_write));
};

TEST_F(MapGuard, reading_past_the_end_of_a_truncated_file_is_an_error) {
  must(map.update(0, bytes_of("hello")));
  cut(2 * page);
  std::array<std::byte, 5> buffer{};
  const auto beyond = map.try_read(3 * page + 7, buffer);
  EXPECT_EQ(errno_of(beyond), ENXIO);
  EXPECT_EQ(beyond.error().to_string(),
            "SIGBUS '" + scratch.path("file") + ": 4096 bytes at 12288 of 32768': No such device or address");
  must(map.try_read(0, buffer));
  EXPECT_EQ(string_of(buffer), "hello");
}

TEST_F(MapGuard, writing_past_the_end_of_a_truncated_file_is_an_error) {
  cut(2 * page);
  EXPECT_EQ(errno_of(map.try_update(3 * page, bytes_of("x"))), ENXIO);
  must(map.try_update(page, bytes_of("x")));
  EXPECT_EQ(read_file(scratch.path("file"))[page], 'x');
}

TEST_F(MapGuard, any_function_can_be_guarded) {
  must(map.update(page, bytes_of("y")));
  cut(2 * page);
  const std::byte* const data = map.data().data();
  EXPECT_EQ(must(map.guarded([&] { return static_cast<char>(data[page]); })), 'y');
  EXPECT_EQ(errno_of(map.guarded([&] { return static_cast<char>(data[5 * page]); })), ENXIO);
  bool ran = false;
  must(map.guarded([&] { ran = true; }));
  EXPECT_TRUE(ran);
  // Again and again: the first one leaves nothing behind that would stop the second.
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(errno_of(map.guarded([&] { return static_cast<char>(data[5 * page]); })), ENXIO);
  }
}

TEST_F(MapGuard, touching_pages_is_guarded) {
  cut(2 * page);
  EXPECT_EQ(errno_of(map.touch_pages()), ENXIO);
  EXPECT_TRUE(map.touch_pages_range(0, 2 * page));
}

TEST_F(MapGuard, guards_nest_and_each_map_has_its_own) {
  auto other = must(MappedFile::create(scratch.path("other"), 8 * page, read_write));
  cut(page);
  const std::byte* const cut_off = map.data().data() + 5 * page;
  const std::byte* const whole = other.data().data() + 5 * page;
  bool inner_went_on = false;
  const auto outer = map.guarded([&] {
    const auto inner = other.guarded([&] { return static_cast<int>(*whole) + static_cast<int>(*cut_off); });
    inner_went_on = inner.has_value();
  });
  EXPECT_EQ(errno_of(outer), ENXIO);  // not the inner one's map
  EXPECT_FALSE(inner_went_on);
  const auto again = other.guarded([&] {
    const auto inner = map.guarded([&] { return *cut_off; });
    return errno_of(inner);
  });
  EXPECT_EQ(must(again), ENXIO);
}

TEST_F(MapGuard, an_exception_ends_a_guard) {
  const auto throwing = [] { throw std::runtime_error("out"); };
  EXPECT_THROW(static_cast<void>(map.guarded(throwing)), std::runtime_error);
  cut(0);
  std::array<std::byte, 5> buffer{};
  EXPECT_EQ(errno_of(map.try_read(0, buffer)), ENXIO);
}

TEST_F(MapGuard, threads_have_guards_of_their_own) {
  must(map.update(0, bytes_of("good")));
  cut(page);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] {
      std::array<std::byte, 4> buffer{};
      for (int n = 0; n < 200; ++n) {
        if (i % 2 == 0) {
          EXPECT_EQ(errno_of(map.try_read((1 + i) * page, buffer)), ENXIO);
        } else {
          EXPECT_TRUE(map.try_read(0, buffer));
          EXPECT_EQ(string_of(buffer), "good");
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST_F(MapGuard, a_failure_leaves_no_pin_behind) {
  cut(2 * page);
  std::array<std::byte, 5> buffer{};
  EXPECT_EQ(errno_of(map.try_read(3 * page, buffer)), ENXIO);
  EXPECT_EQ(errno_of(map.try_update(3 * page, buffer)), ENXIO);
  EXPECT_EQ(must(map.refresh()), 2 * page);  // EBUSY if a view were counted as alive
  EXPECT_TRUE(map.unmap());
}

TEST_F(MapGuard, a_file_system_that_is_full_is_an_error) {
  const std::string mount_point = scratch.path("full");
  ASSERT_EQ(::mkdir(mount_point.c_str(), 0700), 0);
  if (::mount("ferry", mount_point.c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "cannot mount a tmpfs: " << std::strerror(errno);
  }
  {
    auto full = must(MappedFile::create(mount_point + "/file", 64 * page, read_write));
    const std::string much(32 * page, 'x');
    const auto written = full.try_update(0, bytes_of(much));
    EXPECT_EQ(errno_of(written), ENOSPC);
    MapOptions options = read_write;
    options.preallocate = true;
    EXPECT_EQ(errno_of(MappedFile::create(mount_point + "/second", 64 * page, options)), ENOSPC);
    EXPECT_FALSE(std::filesystem::exists(mount_point + "/second"));
  }
  EXPECT_EQ(::umount(mount_point.c_str()), 0);
}

// What happens to the process is seen from outside, in children that start from the beginning.
class MapGuardProcess : public ::testing::Test {
 protected:
  MapGuardProcess() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

// A map whose file has no name any more: these children leave without removing anything.
MappedFile map_without_a_name() {
  const Scratch scratch;
  auto map = must(MappedFile::create(scratch.path("file"), 8 * page, read_write));
  if (::truncate(scratch.path("file").c_str(), 0) != 0) {
    std::abort();
  }
  return map;
}

struct CutMap {
  MappedFile map = map_without_a_name();
  void touch_unguarded() const { static_cast<void>(*static_cast<const volatile std::byte*>(map.data().data())); }
  // Then a guard that nothing happens to, which must leave nothing behind to jump to.
  [[nodiscard]] bool guarded_fails() const {
    return errno_of(map.touch_pages()) == ENXIO && map.guarded([] {}).has_value();
  }
};

void leave_with_code_3(int /*signal*/) { ::_exit(3); }
void leave_with_code_4(int signal, siginfo_t* info, void* context) {
  sigset_t blocked;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  const bool as_from_kernel = signal == SIGBUS && info->si_code == BUS_ADRERR && context != nullptr &&
                              sigismember(&blocked, SIGUSR1) == 1 && sigismember(&blocked, SIGBUS) == 1;
  ::_exit(as_from_kernel ? 4 : 5);
}

TEST_F(MapGuardProcess, a_bus_error_outside_a_guard_goes_to_the_handler_the_program_had) {
  EXPECT_EXIT(
      {
        ::signal(SIGBUS, leave_with_code_3);
        const CutMap cut;
        if (cut.guarded_fails()) {
          cut.touch_unguarded();
        }
        ::_exit(1);
      },
      ::testing::ExitedWithCode(3), "");
  EXPECT_EXIT(
      {
        struct sigaction action = {};
        action.sa_sigaction = leave_with_code_4;
        action.sa_flags = SA_SIGINFO;
        sigaddset(&action.sa_mask, SIGUSR1);
        ::sigaction(SIGBUS, &action, nullptr);
        const CutMap cut;
        if (cut.guarded_fails()) {
          cut.touch_unguarded();
        }
        ::_exit(1);
      },
      ::testing::ExitedWithCode(4), "");
}

TEST_F(MapGuardProcess, a_bus_error_outside_a_guard_kills_a_program_without_a_handler) {
  for (auto* const before : {SIG_DFL, SIG_IGN}) {
    EXPECT_EXIT(
        {
          ::signal(SIGBUS, before);
          const CutMap cut;
          if (cut.guarded_fails()) {
            cut.touch_unguarded();
          }
          ::_exit(1);
        },
        ::testing::KilledBySignal(SIGBUS), "");
  }
}

TEST_F(MapGuardProcess, a_bus_error_that_was_sent_is_not_taken_for_one_of_a_map) {
  EXPECT_EXIT(
      {
        ::signal(SIGBUS, SIG_DFL);
        const CutMap cut;
        if (cut.guarded_fails()) {
          static_cast<void>(cut.map.guarded([] { ::raise(SIGBUS); }));
        }
        ::_exit(1);
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

TEST_F(MapGuardProcess, a_handler_that_cannot_be_installed_is_an_error_and_tried_again) {
  EXPECT_EXIT(
      {
        const CutMap cut;
        bool good = true;
        for (std::uint64_t failing = 1; failing <= 2; ++failing) {  // asking for the old one, and setting the new one
          FaultPlan plan;
          plan.fail(Call::set_signal_action, EPERM, {.first = failing});
          const auto guarded = cut.map.guarded([] {});
          good = good && errno_of(guarded) == EPERM && std::string_view(guarded.error().operation) == "sigaction";
          good = good && plan.injected() == 1;
        }
        ::_exit(good && cut.guarded_fails() ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

TEST_F(MapGuard, what_cannot_be_found_out_is_an_input_output_error) {
  must(map.update(3 * page, bytes_of("x")));
  cut(2 * page);
  std::array<std::byte, 1> buffer{};
  FaultPlan plan;
  plan.fail(Call::statx, EIO);
  plan.fail(Call::lseek, EINVAL);
  EXPECT_EQ(errno_of(map.try_read(3 * page, buffer)), EIO);
  EXPECT_EQ(plan.injected(), 2U);
}

}  // namespace
}  // namespace ferry::testing
