#include "bench/process.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/child_process.hpp"
#include "bench/hardware_counters.hpp"

namespace ferry::bench {
namespace {

using Clock = std::chrono::steady_clock;

std::chrono::nanoseconds to_duration(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

Cost cost_from(const Ended& ended, std::chrono::nanoseconds wall) {
  const rusage& usage = ended.usage;
  return {.wall = wall,
          .user = to_duration(usage.ru_utime),
          .system = to_duration(usage.ru_stime),
          .max_rss_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024,
          .tree_rss_bytes = ended.tree_rss_bytes,
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

/// Where a child waits until its parent has done what must be done before it begins. Made only if somebody wants that.
class Gate {
 public:
  static Outcome<Gate> make(const RunControl& control) {
    std::array<int, 2> ends = {-1, -1};
    if (control.before_it_begins && ::pipe2(ends.data(), O_CLOEXEC) != 0) {
      return failed("pipe2", errno);
    }
    return Gate(UniqueFd(ends[0]), UniqueFd(ends[1]));
  }

  /// In the child.
  void pass() {
    if (inside_) {
      ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);  // Yama lets only ancestors trace otherwise
      outside_.reset();
      char token = 0;
      while (::read(inside_.get(), &token, 1) < 0 && errno == EINTR) {
      }
    }
  }

  /// In the parent.
  Outcome<void> open(const RunControl& control, pid_t child) {
    auto ready = inside_ ? control.before_it_begins(child) : Outcome<void>{};
    outside_.reset();
    return ready;
  }

 private:
  Gate(UniqueFd inside, UniqueFd outside) : inside_(std::move(inside)), outside_(std::move(outside)) {}
  UniqueFd inside_;
  UniqueFd outside_;
};

void become(const Command& command, int out, int err) {
  std::vector<char*> argv;
  argv.reserve(command.words.size() + 1);
  for (const std::string& word : command.words) {
    argv.push_back(
        const_cast<char*>(word.c_str()));  // NOLINT(cppcoreguidelines-pro-type-const-cast): execv(3) does not write
  }
  argv.push_back(nullptr);
  for (const std::string& variable : command.environment) {
    const std::size_t equals = variable.find('=');
    ::setenv(variable.substr(0, equals).c_str(), variable.substr(equals + 1).c_str(), 1);
  }
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0 || ::dup2(out >= 0 ? out : null, STDOUT_FILENO) < 0 ||
      ::dup2(err, STDERR_FILENO) < 0) {
    ::_exit(126);
  }
  ::execv(command.program.c_str(), argv.data());
  ::dprintf(STDERR_FILENO, "cannot run %s: %s\n", command.program.c_str(), std::strerror(errno));
  ::_exit(127);
}

// What the child of run_in_child tells its parent.
struct ChildReport {
  bool ok = false;
  std::int64_t wall = 0;
  std::int64_t user = 0;
  std::int64_t system = 0;
  CacheTraffic cache = {};
  std::array<char, 512> message = {};
};
static_assert(sizeof(ChildReport) <= 4096, "one write to a pipe of at most PIPE_BUF bytes is whole");

void report_work(const Work& work, const Work& afterwards, int to_parent) {
  ChildReport report;
  {
    const HardwareCounters counters = HardwareCounters::of_process(0);
    rusage before = {};
    rusage after = {};
    ::getrusage(RUSAGE_SELF, &before);
    counters.start();
    const auto begin = Clock::now();
    auto outcome = work();
    const auto wall = Clock::now() - begin;
    counters.stop();
    ::getrusage(RUSAGE_SELF, &after);
    report.wall = std::chrono::nanoseconds(wall).count();
    report.user = (to_duration(after.ru_utime) - to_duration(before.ru_utime)).count();
    report.system = (to_duration(after.ru_stime) - to_duration(before.ru_stime)).count();
    report.cache = counters.read();
    if (outcome && afterwards) {
      outcome = afterwards();
    }
    report.ok = outcome.has_value();
    if (!outcome) {
      const std::size_t length = std::min(outcome.error().size(), report.message.size() - 1);
      std::copy_n(outcome.error().data(), length, report.message.data());
    }
  }
  ::_exit(::write(to_parent, &report, sizeof report) == static_cast<ssize_t>(sizeof report) ? 0 : 1);
}

}  // namespace

Cost& Cost::operator+=(const Cost& step) {
  const auto add = [](std::optional<std::uint64_t>& sum, const std::optional<std::uint64_t>& more) {
    if (more) {
      sum = sum.value_or(0) + *more;
    }
  };
  wall += step.wall;
  user += step.user;
  system += step.system;
  max_rss_bytes = std::max(max_rss_bytes, step.max_rss_bytes);
  tree_rss_bytes = std::max(tree_rss_bytes, step.tree_rss_bytes);
  device_bytes_written += step.device_bytes_written;
  voluntary_switches += step.voluntary_switches;
  involuntary_switches += step.involuntary_switches;
  add(cache.loads, step.cache.loads);
  add(cache.stores, step.cache.stores);
  add(cache.misses, step.cache.misses);
  return *this;
}

Cost Cost::repeated(double factor) const {
  const auto more_time = [factor](std::chrono::nanoseconds& time) {
    time = std::chrono::nanoseconds(std::llround(static_cast<double>(time.count()) * factor));
  };
  const auto more = [factor](std::uint64_t& count) {
    count = static_cast<std::uint64_t>(std::llround(static_cast<double>(count) * factor));
  };
  Cost cost = *this;
  for (std::chrono::nanoseconds* const time : {&cost.wall, &cost.user, &cost.system}) {
    more_time(*time);
  }
  for (std::uint64_t* const count :
       {&cost.device_bytes_written, &cost.voluntary_switches, &cost.involuntary_switches}) {
    more(*count);
  }
  for (std::optional<std::uint64_t>* const count : {&cost.cache.loads, &cost.cache.stores, &cost.cache.misses}) {
    if (*count) {
      more(**count);
    }
  }
  return cost;
}

std::optional<double> Cost::memory_bytes_per_second() const {
  constexpr double line_bytes = 64;
  const double seconds = std::chrono::duration<double>(wall).count();
  return cache.misses && seconds > 0 ? std::optional(static_cast<double>(*cache.misses) * line_bytes / seconds)
                                     : std::nullopt;
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

Outcome<Cost> run_command(const Command& command, const RunControl& control, int out) {
  auto err = make_sink("ferry-bench-stderr");
  if (!err) {
    return std::unexpected(err.error());
  }
  auto gate = Gate::make(control);
  if (!gate) {
    return std::unexpected(gate.error());
  }
  const HardwareCounters counters = HardwareCounters::of_programs();
  const auto begin = Clock::now();
  auto child = ChildProcess::start([&] {
    gate->pass();
    become(command, out, err->get());
  });
  if (!child) {
    return std::unexpected(child.error());
  }
  if (auto ready = gate->open(control, child->id()); !ready) {
    return std::unexpected(ready.error());
  }
  const auto ended = child->wait(control.stop);
  if (!ended) {
    return std::unexpected(ended.error());
  }
  if (ended->status != 0) {
    const std::string said = on_one_line(contents_of(err->get(), 600, true));
    return std::unexpected(describe_status(ended->status) + (said.empty() ? "" : ": " + said));
  }
  Cost cost = cost_from(*ended, ended->at - begin);
  cost.cache = counters.read();
  return cost;
}

Outcome<std::string> output_of(const Command& command) {
  auto out = make_sink("ferry-bench-stdout");
  if (!out) {
    return std::unexpected(out.error());
  }
  if (const auto cost = run_command(command, {}, out->get()); !cost) {
    return std::unexpected(cost.error());
  }
  return contents_of(out->get(), std::size_t{64} << 10U, false);
}

Outcome<Cost> run_in_child(const Work& work, const RunControl& control, const Work& afterwards) {
  std::array<int, 2> ends = {};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return failed("pipe2", errno);
  }
  const UniqueFd from_child(ends[0]);
  UniqueFd to_parent(ends[1]);
  auto gate = Gate::make(control);
  if (!gate) {
    return std::unexpected(gate.error());
  }
  auto child = ChildProcess::start([&] {
    gate->pass();
    report_work(work, afterwards, to_parent.get());
  });
  if (!child) {
    return std::unexpected(child.error());
  }
  to_parent.reset();
  if (auto ready = gate->open(control, child->id()); !ready) {
    return std::unexpected(ready.error());
  }
  const auto ended = child->wait(control.stop);
  if (!ended) {
    return std::unexpected(ended.error());
  }
  ChildReport report;  // fits into the pipe, which keeps it until now
  const ssize_t got = ::read(from_child.get(), &report, sizeof report);
  if (ended->status != 0 || got != static_cast<ssize_t>(sizeof report)) {
    return std::unexpected(describe_status(ended->status));
  }
  if (!report.ok) {
    return std::unexpected(std::string(report.message.data()));
  }
  Cost cost = cost_from(*ended, std::chrono::nanoseconds(report.wall));
  cost.user = std::chrono::nanoseconds(report.user);
  cost.system = std::chrono::nanoseconds(report.system);
  cost.cache = report.cache;
  return cost;
}

}  // namespace ferry::bench
