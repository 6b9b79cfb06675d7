#include "bench/child_process.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/process_memory.hpp"

namespace ferry::bench {
namespace {

// What was caught stays caught after a fork, and what was ignored stays ignored even after exec.
void restore_signals() {
  for (const int number : {SIGINT, SIGTERM, SIGPIPE}) {
    ::signal(number, SIG_DFL);  // NOLINT(cert-err33-c): cannot fail for these
  }
}

bool is_true(const std::atomic<bool>* flag) { return flag != nullptr && *flag; }

}  // namespace

std::string describe_status(int status) {
  return WIFSIGNALED(status) ? fmt::format("killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)))
                             : fmt::format("exit status {}", WEXITSTATUS(status));
}

// fork(2), not vfork or posix_spawn: exec keeps the largest resident set seen before it in the child's rusage, and
// after vfork that is this program's own.
Outcome<ChildProcess> ChildProcess::start(const std::function<void()>& body) {
  const pid_t process = ::fork();
  if (process < 0) {
    return failed("fork", errno);
  }
  if (process == 0) {
    ::setpgid(0, 0);
    restore_signals();
    body();
    ::_exit(1);
  }
  ::setpgid(process, process);  // by both: whoever is first
  return ChildProcess(process);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : process_(std::exchange(other.process_, -1)), sampled_(other.sampled_) {}

ChildProcess::~ChildProcess() {
  if (process_ > 0) {
    kill_group();
    while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

void ChildProcess::kill_group() const { ::kill(-process_, SIGKILL); }

bool ChildProcess::has_ended() const {
  siginfo_t info = {};
  return ::waitid(P_PID, static_cast<id_t>(process_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

void ChildProcess::sample_memory() {
  if (const auto now = resident_bytes_of_tree(process_)) {
    sampled_ = std::max(sampled_.value_or(0), *now);
  }
}

// The pidfd (Linux 5.3) wakes this process at the very end of the child; without one, it is waited for unwatched.
Outcome<Ended> ChildProcess::wait(const std::atomic<bool>* stop) {
  const UniqueFd end(static_cast<int>(::syscall(SYS_pidfd_open, process_, 0)));
  SamplingInterval interval;
  while (end) {
    pollfd ready = {.fd = end.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, interval.next_ms()) == 1) {
      break;
    }
    if (is_true(stop)) {
      kill_group();
    } else {
      sample_memory();
    }
  }
  Ended ended;
  while (::wait4(process_, &ended.status, 0, &ended.usage) < 0) {
    if (errno != EINTR) {
      return failed("wait4", errno);
    }
    if (is_true(stop)) {
      kill_group();
    }
  }
  ended.at = std::chrono::steady_clock::now();
  process_ = -1;
  static const bool memory_is_told = resident_bytes_of_tree(::getpid()).has_value();
  if (end && memory_is_told) {
    // Most runs are over before the first sample, or one process only.
    ended.tree_rss_bytes = std::max(sampled_.value_or(0), static_cast<std::uint64_t>(ended.usage.ru_maxrss) * 1024);
  }
  return ended;
}

}  // namespace ferry::bench
