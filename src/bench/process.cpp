#include "bench/process.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

#include <fmt/format.h>
#include <ferry/base.hpp>

namespace ferry::bench {
namespace {

using Clock = std::chrono::steady_clock;

std::chrono::nanoseconds to_duration(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

Cost cost_from(const rusage& usage, std::chrono::nanoseconds wall) {
  return {.wall = wall,
          .user = to_duration(usage.ru_utime),
          .system = to_duration(usage.ru_stime),
          .max_rss_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024,
          .device_bytes_written = static_cast<std::uint64_t>(usage.ru_oublock) * 512,
          .voluntary_switches = static_cast<std::uint64_t>(usage.ru_nvcsw),
          .involuntary_switches = static_cast<std::uint64_t>(usage.ru_nivcsw)};
}

// A file in memory that takes a child's output: unlike a pipe it never makes the child wait.
Outcome<UniqueFd> make_sink(const char* name) {
  UniqueFd sink(::memfd_create(name, MFD_CLOEXEC));
  if (!sink) {
    return failed("memfd_create", errno);
  }
  return sink;
}

std::string contents_of(int fd, std::size_t limit, bool last_bytes) {
  const off_t size = ::lseek(fd, 0, SEEK_END);
  const std::size_t length = std::min(static_cast<std::size_t>(std::max<off_t>(size, 0)), limit);
  std::string text(length, '\0');
  const off_t start = last_bytes ? size - static_cast<off_t>(length) : 0;
  const ssize_t got = ::pread(fd, text.data(), length, start);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return text;
}

std::string on_one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) {
    text.pop_back();
  }
  std::ranges::replace(text, '\n', ' ');
  return text;
}

[[noreturn]] void become(const Command& command, int out, int err) {
  restore_signals();
  std::vector<char*> argv;
  argv.reserve(command.words.size() + 1);
  for (const std::string& word : command.words) {
    argv.push_back(
        const_cast<char*>(word.c_str()));  // NOLINT(cppcoreguidelines-pro-type-const-cast): execv(3) does not write
  }
  argv.push_back(nullptr);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0 || ::dup2(out >= 0 ? out : null, STDOUT_FILENO) < 0 ||
      ::dup2(err, STDERR_FILENO) < 0) {
    ::_exit(126);
  }
  ::execv(command.program.c_str(), argv.data());
  ::dprintf(STDERR_FILENO, "cannot run %s: %s\n", command.program.c_str(), std::strerror(errno));
  ::_exit(127);
}

struct Ended {
  int status = 0;
  rusage usage = {};
};

Outcome<Ended> wait_for(pid_t child) {
  Ended ended;
  while (::wait4(child, &ended.status, 0, &ended.usage) < 0) {
    if (errno != EINTR) {
      return failed("wait4", errno);
    }
  }
  return ended;
}

std::string describe(int status) {
  return WIFSIGNALED(status) ? fmt::format("killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)))
                             : fmt::format("exit status {}", WEXITSTATUS(status));
}

// fork(2), not vfork or posix_spawn: exec keeps the largest resident set seen before it in the child's rusage, and
// after vfork that is this program's own.
Outcome<Cost> run_with_output(const Command& command, int out) {
  auto err = make_sink("ferry-bench-stderr");
  if (!err) {
    return std::unexpected(err.error());
  }
  const auto begin = Clock::now();
  const pid_t child = ::fork();
  if (child < 0) {
    return failed("fork", errno);
  }
  if (child == 0) {
    become(command, out, err->get());
  }
  const auto ended = wait_for(child);
  const auto wall = Clock::now() - begin;
  if (!ended) {
    return std::unexpected(ended.error());
  }
  if (ended->status != 0) {
    const std::string said = on_one_line(contents_of(err->get(), 600, true));
    return std::unexpected(describe(ended->status) + (said.empty() ? "" : ": " + said));
  }
  return cost_from(ended->usage, wall);
}

// What the child of run_in_child tells its parent.
struct ChildReport {
  bool ok = false;
  std::int64_t wall = 0;
  std::int64_t user = 0;
  std::int64_t system = 0;
  std::array<char, 512> message = {};
};
static_assert(sizeof(ChildReport) <= 4096, "one write to a pipe of at most PIPE_BUF bytes is whole");

[[noreturn]] void report_work(const std::function<Outcome<void>()>& work, int to_parent) {
  restore_signals();
  rusage before = {};
  rusage after = {};
  ::getrusage(RUSAGE_SELF, &before);
  const auto begin = Clock::now();
  const auto outcome = work();
  const auto wall = Clock::now() - begin;
  ::getrusage(RUSAGE_SELF, &after);
  ChildReport report;
  report.ok = outcome.has_value();
  report.wall = std::chrono::nanoseconds(wall).count();
  report.user = (to_duration(after.ru_utime) - to_duration(before.ru_utime)).count();
  report.system = (to_duration(after.ru_stime) - to_duration(before.ru_stime)).count();
  if (!outcome) {
    const std::size_t length = std::min(outcome.error().size(), report.message.size() - 1);
    std::copy_n(outcome.error().data(), length, report.message.data());
  }
  ::_exit(::write(to_parent, &report, sizeof report) == static_cast<ssize_t>(sizeof report) ? 0 : 1);
}

}  // namespace

void restore_signals() {
  for (const int number : {SIGINT, SIGTERM, SIGPIPE}) {
    ::signal(number, SIG_DFL);  // NOLINT(cert-err33-c): cannot fail for these
  }
}

Cost& Cost::operator+=(const Cost& step) {
  wall += step.wall;
  user += step.user;
  system += step.system;
  max_rss_bytes = std::max(max_rss_bytes, step.max_rss_bytes);
  device_bytes_written += step.device_bytes_written;
  voluntary_switches += step.voluntary_switches;
  involuntary_switches += step.involuntary_switches;
  return *this;
}

std::string Command::to_string() const {
  constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=./,:@%";
  std::string line;
  for (const std::string& word : words) {
    const bool needs_quotes = word.empty() || word.find_first_not_of(plain) != std::string::npos;
    line += (line.empty() ? "" : " ") + (needs_quotes ? ferry::quoted(word) : word);
  }
  return line;
}

Outcome<Cost> run_command(const Command& command) { return run_with_output(command, -1); }

Outcome<std::string> output_of(const Command& command) {
  auto out = make_sink("ferry-bench-stdout");
  if (!out) {
    return std::unexpected(out.error());
  }
  if (const auto cost = run_with_output(command, out->get()); !cost) {
    return std::unexpected(cost.error());
  }
  return contents_of(out->get(), std::size_t{64} << 10U, false);
}

Outcome<Cost> run_in_child(const std::function<Outcome<void>()>& work) {
  std::array<int, 2> ends = {};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return failed("pipe2", errno);
  }
  const UniqueFd from_child(ends[0]);
  UniqueFd to_parent(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) {
    return failed("fork", errno);
  }
  if (child == 0) {
    report_work(work, to_parent.get());
  }
  to_parent.reset();
  ChildReport report;
  ssize_t got = ::read(from_child.get(), &report, sizeof report);
  while (got < 0 && errno == EINTR) {
    got = ::read(from_child.get(), &report, sizeof report);
  }
  const auto ended = wait_for(child);
  if (!ended) {
    return std::unexpected(ended.error());
  }
  if (ended->status != 0 || got != static_cast<ssize_t>(sizeof report)) {
    return std::unexpected(describe(ended->status));
  }
  if (!report.ok) {
    return std::unexpected(std::string(report.message.data()));
  }
  Cost cost = cost_from(ended->usage, std::chrono::nanoseconds(report.wall));
  cost.user = std::chrono::nanoseconds(report.user);
  cost.system = std::chrono::nanoseconds(report.system);
  return cost;
}

}  // namespace ferry::bench
