// A forked child: started, watched while it runs, and killed with all its descendants when nobody wants it any more.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "bench/outcome.hpp"

namespace ferry::bench {

/// How a child ended.
struct Ended {
  int status = 0;     ///< As waitpid(2) gives it.
  rusage usage = {};  ///< Of the child and every descendant it waited for.
  std::chrono::steady_clock::time_point at;
  /// Largest resident memory of the child and its descendants together. A sample every 2 ms at first, every 50 ms after
  /// a while, and no less than the largest process by itself; empty where the kernel does not tell.
  std::optional<std::uint64_t> tree_rss_bytes;
};

/// "exit status 3", "killed by signal 9 (Killed)".
[[nodiscard]] std::string describe_status(int status);

class ChildProcess {
 public:
  /// Forks (fork(2): this program must be single-threaded) and calls `body` in the child, in a process group of its
  /// own and with the default answers to SIGINT, SIGTERM and SIGPIPE. A body that returns ends the child with status 1.
  [[nodiscard]] static Outcome<ChildProcess> start(const std::function<void()>& body);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ChildProcess& operator=(ChildProcess&&) = delete;
  /// Kills the whole group, unless the child was waited for.
  ~ChildProcess();

  [[nodiscard]] pid_t id() const noexcept { return process_; }

  /// Waits for the child's end. As soon as `stop` is true its group is killed. Only once.
  [[nodiscard]] Outcome<Ended> wait(const std::atomic<bool>* stop = nullptr);

  /// Looks at the memory of the child and its descendants now; the largest seen is part of Ended.
  void sample_memory();
  /// The largest that was seen, so far.
  [[nodiscard]] std::optional<std::uint64_t> sampled_rss_bytes() const noexcept { return sampled_; }

  void kill_group() const;

  /// Whether the child has ended; it still has to be waited for.
  [[nodiscard]] bool has_ended() const;

 private:
  explicit ChildProcess(pid_t process) : process_(process) {}

  pid_t process_ = -1;
  std::optional<std::uint64_t> sampled_;
};

/// How long to wait before the next look at something that may last microseconds or minutes: 2 ms, then longer and
/// longer until 50 ms, so that looking costs less than 1% of one core.
class SamplingInterval {
 public:
  int next_ms() noexcept {
    const int now = next_;
    next_ = now < 32 ? now * 2 : 50;
    return now;
  }

 private:
  int next_ = 2;
};

}  // namespace ferry::bench
