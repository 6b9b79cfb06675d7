// io_uring refused for real: by a seccomp filter, and by the limit of lockable memory, in children of their own.
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <functional>
#include <string>

#include <ferry/loop.hpp>

#include "ring/loop_fixture.hpp"

namespace ferry {
namespace {

// Runs `body` in a child that is left by _exit; what it returns is a complaint, or empty.
std::string in_child(const std::function<std::string()>& body) {
  int fds[2] = {-1, -1};
  EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string complaint = body();
    const auto size = static_cast<ssize_t>(complaint.size());
    ::_exit(::write(fds[1], complaint.data(), complaint.size()) == size ? 0 : 1);
  }
  ::close(fds[1]);
  std::string text;
  char chunk[256];
  for (ssize_t got = 0; (got = ::read(fds[0], chunk, sizeof chunk)) > 0;) {
    text.append(chunk, static_cast<std::size_t>(got));
  }
  ::close(fds[0]);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  return text;
}

// What container engines do: io_uring_setup, _enter and _register fail with EPERM.
bool refuse_io_uring_by_seccomp() {
  const auto refuse = [](unsigned call) -> std::array<sock_filter, 2> {
    return {sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
            sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)};
  };
  const auto setup = refuse(SYS_io_uring_setup);
  const auto enter = refuse(SYS_io_uring_enter);
  const auto reg = refuse(SYS_io_uring_register);
  std::array<sock_filter, 8> filter = {sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                                       setup[0],
                                       setup[1],
                                       enter[0],
                                       enter[1],
                                       reg[0],
                                       reg[1],
                                       sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program = {filter.size(), filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

std::string read_by_a_loop(const std::string& path, const std::string& expected, LoopBackend backend) {
  auto loop = Loop::create({.pool_buffers = 2, .pool_buffer_bytes = 4096});
  if (!loop) {
    return loop.error().to_string();
  }
  if (loop->backend() != backend) {
    return "the backend is " + std::string(to_string(loop->backend()));
  }
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  Operation operation;
  loop->start(operation, request::ReadManaged{fd.get(), 4096, 0});
  if (!loop->run() || operation.result() != static_cast<std::int64_t>(expected.size())) {
    return "the read gave " + std::to_string(operation.result());
  }
  const Lease lease = operation.take_lease();
  return std::string(reinterpret_cast<const char*>(lease.data()), lease.size()) == expected ? "" : "other content";
}

TEST(RefusedRing, by_a_seccomp_filter_the_loop_runs_on_threads_and_says_so) {
  const testing::Scratch scratch;
  testing::write_file(scratch.path("file"), "content");
  EXPECT_EQ(in_child([&]() -> std::string {
              if (!refuse_io_uring_by_seccomp()) {
                return "no seccomp filter";
              }
              const auto ring = Ring::create();
              if (ring || ring.error().errno_value() != EPERM) {
                return "the filter does not filter";
              }
              if (ring.error().to_string().find("seccomp") == std::string::npos) {
                return "no cause: " + ring.error().to_string();
              }
              const auto loop = Loop::create();
              if (!loop || !loop->uring_refusal() || loop->uring_refusal()->errno_value() != EPERM) {
                return "the loop does not say why";
              }
              return read_by_a_loop(scratch.path("file"), "content", LoopBackend::threads);
            }),
            "");
}

TEST(RefusedRing, without_lockable_memory_the_pool_is_not_registered_and_works) {
  if (!testing::has_uring()) {
    GTEST_SKIP() << "no io_uring here: " << Ring::create().error().to_string();
  }
  const testing::Scratch scratch;
  testing::write_file(scratch.path("file"), "content");
  ASSERT_EQ(::chmod(scratch.path().c_str(), 0755), 0);
  EXPECT_EQ(in_child([&]() -> std::string {
              const rlimit none = {0, 0};
              if (::setrlimit(RLIMIT_MEMLOCK, &none) != 0) {
                return "setrlimit";
              }
              constexpr uid_t nobody = 65534;  // without CAP_IPC_LOCK
              if (::geteuid() == 0 && ::setresuid(nobody, nobody, nobody) != 0) {
                return "setresuid";
              }
              const auto ring = Ring::create();
              if (!ring) {  // before 5.12 the rings themselves are locked memory
                return ring.error().errno_value() == ENOMEM
                           ? read_by_a_loop(scratch.path("file"), "content", LoopBackend::threads)
                           : ring.error().to_string();
              }
              auto loop = Loop::create({.pool_buffers = 2, .pool_buffer_bytes = 4096});
              if (!loop) {
                return loop.error().to_string();
              }
              if (loop->pool().registered() || loop->pool().registration_error() != ENOMEM) {
                return "registered, or not said: " + std::to_string(loop->pool().registration_error());
              }
              return read_by_a_loop(scratch.path("file"), "content", LoopBackend::uring);
            }),
            "");
}

TEST(RefusedRing, a_child_after_fork_neither_uses_nor_waits_for_its_parents_loop) {
  auto loop = std::make_unique<Loop>(*Loop::create());
  Operation timer;
  loop->start(timer, request::Timer{std::chrono::hours(1)});
  EXPECT_EQ(in_child([&]() -> std::string {
              loop.reset();  // would wait for the timer's end, and for threads that are not here
              return "";
            }),
            "");
  loop->cancel(timer);
  EXPECT_TRUE(loop->run());
  EXPECT_EQ(timer.result(), -ECANCELED);
}

}  // namespace
}  // namespace ferry
