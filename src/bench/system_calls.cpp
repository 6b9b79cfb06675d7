#include "bench/system_calls.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <csignal>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/peers.hpp"

namespace ferry::bench {
namespace {

constexpr std::chrono::seconds patience{10};  // for a tracer to attach, or to end

std::optional<std::uint64_t> to_number(const std::string& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) {
    words.push_back(word);
  }
  return words;
}

bool is_traced(const std::string& status_file) {
  std::ifstream status(status_file);
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("TracerPid:")) {
      return words_of(line).back() != "0";
    }
  }
  return true;  // a thread that has ended
}

bool all_threads_are_traced(pid_t process) {
  const std::string tasks = fmt::format("/proc/{}/task", process);
  const std::unique_ptr<DIR, int (*)(DIR*)> threads(::opendir(tasks.c_str()), ::closedir);
  while (const dirent* const thread = threads ? ::readdir(threads.get()) : nullptr) {
    if (thread->d_name[0] != '.' && !is_traced(fmt::format("{}/{}/status", tasks, thread->d_name))) {
      return false;
    }
  }
  return true;
}

std::string all_of(int fd) {
  std::string text;
  std::array<char, 4096> piece = {};
  off_t at = 0;
  for (ssize_t got = 0; (got = ::pread(fd, piece.data(), piece.size(), at)) > 0; at += got) {
    text.append(piece.data(), static_cast<std::size_t>(got));
  }
  return text;
}

[[noreturn]] void become_tracer(const Tracer& tracer, pid_t process, int result, int orders, int answers) {
  // Descriptors are named on the command line, and must stay open when it is run.
  for (const int fd : {result, orders, answers}) {
    if (fd >= 0) {
      ::fcntl(fd, F_SETFD, 0);
    }
  }
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) {
    ::_exit(126);
  }
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    ::dup2(null, fd);
  }
  const std::string target = std::to_string(process);
  const std::string output = fmt::format("/proc/self/fd/{}", result);
  const std::string control = fmt::format("fd:{},{}", orders, answers);
  if (tracer.kind == Tracer::Kind::strace) {
    ::execl(tracer.program.c_str(), "strace", "-q", "-f", "-c", "-o", output.c_str(), "-p", target.c_str(), nullptr);
  } else {
    ::execl(tracer.program.c_str(), "perf", "stat", "-x", ",", "-D", "-1", "--control", control.c_str(), "-e",
            tracer.events.c_str(), "-o", output.c_str(), "-p", target.c_str(), nullptr);
  }
  ::_exit(127);
}

bool can_trace(const Tracer& tracer) {
  const auto idle = ChildProcess::start([] { ::pause(); });
  auto trace = idle ? SystemCallTrace::attach(tracer, idle->id()) : std::unexpected(idle.error());
  return trace && trace->finish();
}

}  // namespace

Outcome<Tracer> find_tracer() {
  for (const auto& [kind, peer] : {std::pair(Tracer::Kind::strace, Peer{"strace", "strace (apt)"}),
                                   std::pair(Tracer::Kind::perf, Peer{"perf", "linux-perf (apt)"})}) {
    const auto found = find_peer(peer);
    if (found) {
      Tracer tracer{.kind = kind, .program = found->program, .version = found->version};
      if (can_trace(tracer)) {
        return tracer;
      }
    }
  }
  return std::unexpected(
      "system calls cannot be counted here: strace (apt: strace) and perf (apt: linux-perf) are not "
      "installed, or may not trace");
}

// "% time  seconds  usecs/call  calls  errors  syscall", `errors` empty where there are none. Nothing at all when there
// were no calls.
Outcome<SystemCalls> parse_strace_summary(std::string_view text) {
  SystemCalls calls;
  std::istringstream lines{std::string(text)};
  bool headed = false;
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> words = words_of(line);
    headed = headed || line.starts_with("% time");
    if (words.size() < 5 || words.size() > 6 || words.back() == "syscall" || words.back() == "total") {
      continue;
    }
    const auto number = to_number(words[3]);
    if (number) {
      calls[words.back()] += *number;
    }
  }
  return headed || text.empty() ? Outcome<SystemCalls>(calls) : std::unexpected("strace has not told what it counted");
}

// "39,,syscalls:sys_enter_mmap,2122913,100.00,,"
Outcome<SystemCalls> parse_perf_counts(std::string_view text) {
  constexpr std::string_view prefix = "syscalls:sys_enter_";
  SystemCalls calls;
  bool any = false;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string count;
    std::string unit;
    std::string event;
    if (std::getline(fields, count, ',') && std::getline(fields, unit, ',') && std::getline(fields, event, ',') &&
        event.starts_with(prefix)) {
      const auto number = to_number(count);  // "<not counted>" where the process made none of all calls
      any = true;
      if (number && *number > 0) {
        calls[event.substr(prefix.size())] += *number;
      }
    }
  }
  return any ? Outcome<SystemCalls>(calls) : std::unexpected("perf has not told what it counted");
}

SystemCallTrace::SystemCallTrace(Tracer::Kind kind, ChildProcess tracer, UniqueFd result, UniqueFd control,
                                 UniqueFd answers)
    : kind_(kind),
      tracer_(std::move(tracer)),
      result_(std::move(result)),
      control_(std::move(control)),
      answers_(std::move(answers)) {}

Outcome<SystemCallTrace> SystemCallTrace::attach(const Tracer& tracer, pid_t process) {
  UniqueFd result(::memfd_create("ferry-bench-trace", MFD_CLOEXEC));
  std::array<int, 2> orders = {-1, -1};
  std::array<int, 2> answers = {-1, -1};
  if (!result || ::pipe2(orders.data(), O_CLOEXEC) != 0) {
    return failed("cannot start the tracer", errno);
  }
  const UniqueFd orders_read(orders[0]);
  UniqueFd orders_write(orders[1]);
  if (::pipe2(answers.data(), O_CLOEXEC) != 0) {
    return failed("cannot start the tracer", errno);
  }
  UniqueFd answers_read(answers[0]);
  const UniqueFd answers_write(answers[1]);
  auto child = ChildProcess::start(
      [&] { become_tracer(tracer, process, result.get(), orders_read.get(), answers_write.get()); });
  if (!child) {
    return std::unexpected(child.error());
  }
  SystemCallTrace trace(tracer.kind, std::move(*child), std::move(result), std::move(orders_write),
                        std::move(answers_read));
  if (auto attached = trace.wait_until_attached(process); !attached) {
    return std::unexpected(attached.error());
  }
  return trace;
}

Outcome<void> SystemCallTrace::wait_until_attached(pid_t process) {
  if (kind_ == Tracer::Kind::perf) {
    return order("enable\n");
  }
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!all_threads_are_traced(process)) {
    if (tracer_.has_ended() || std::chrono::steady_clock::now() > end) {
      return std::unexpected("strace cannot trace here");
    }
    ::poll(nullptr, 0, 1);
  }
  return {};
}

Outcome<void> SystemCallTrace::order(std::string_view command) {
  pollfd answer = {.fd = answers_.get(), .events = POLLIN, .revents = 0};
  std::array<char, 16> words = {};
  if (::write(control_.get(), command.data(), command.size()) != static_cast<ssize_t>(command.size()) ||
      ::poll(&answer, 1, static_cast<int>(std::chrono::milliseconds(patience).count())) != 1 ||
      ::read(answers_.get(), words.data(), words.size()) < 4) {  // "ack\n"
    return std::unexpected("perf cannot trace here");
  }
  return {};
}

Outcome<SystemCalls> SystemCallTrace::finish() {
  if (kind_ == Tracer::Kind::perf && !tracer_.has_ended()) {
    if (auto done = order("disable\n"); !done && !tracer_.has_ended()) {
      return std::unexpected(done.error());
    }
  }
  // By the end of what it traces, or by this signal, both write what they have counted.
  ::kill(tracer_.id(), SIGINT);
  const auto ended = tracer_.wait();
  if (!ended) {
    return std::unexpected(ended.error());
  }
  const bool by_signal = WIFSIGNALED(ended->status) && WTERMSIG(ended->status) == SIGINT;
  if (ended->status != 0 && !by_signal) {
    return std::unexpected("the tracer failed: " + describe_status(ended->status));
  }
  const std::string text = all_of(result_.get());
  return kind_ == Tracer::Kind::strace ? parse_strace_summary(text) : parse_perf_counts(text);
}

std::vector<Count> calls_per_unit(const SystemCalls& fewer, const SystemCalls& more, double units) {
  std::vector<Count> counts;
  double all = 0;
  for (const auto& [name, calls] : more) {
    const auto before = fewer.find(name);
    const double extra = static_cast<double>(calls) - (before == fewer.end() ? 0 : static_cast<double>(before->second));
    // Less is not the work's: a read taken up again when the tracer came, memory asked for now and then.
    const double per_unit = std::round(extra / units * 100) / 100;
    if (per_unit > 0) {
      all += per_unit;
      counts.push_back({.name = name, .per_unit = per_unit});
    }
  }
  std::ranges::stable_sort(counts, std::ranges::greater{}, &Count::per_unit);
  counts.insert(counts.begin(), {.name = "all", .per_unit = all});
  return counts;
}

Outcome<std::vector<Count>> count_system_calls(const Tracer& tracer, const Contender& contender, const Turn& turn) {
  const auto count = [&](std::uint64_t repetitions) -> Outcome<SystemCalls> {
    std::vector<SystemCallTrace> traces;
    Turn traced = turn;
    traced.repetitions = repetitions;
    traced.target += fmt::format("-{}", repetitions);
    traced.control.before_it_begins = [&](pid_t process) -> Outcome<void> {
      auto trace = SystemCallTrace::attach(tracer, process);
      if (!trace) {
        return std::unexpected(trace.error());
      }
      traces.push_back(std::move(*trace));
      return {};
    };
    const auto cost = take_turn(contender, traced);
    if (!cost) {
      return std::unexpected(cost.error());
    }
    SystemCalls sum;
    for (SystemCallTrace& trace : traces) {
      const auto calls = trace.finish();
      if (!calls) {
        return calls;
      }
      for (const auto& [name, number] : *calls) {
        sum[name] += number;
      }
    }
    return sum;
  };
  const auto fewer = count(turn.repetitions);
  const auto more = fewer ? count(2 * turn.repetitions) : fewer;
  if (!more) {
    return std::unexpected(more.error());
  }
  return calls_per_unit(*fewer, *more, static_cast<double>(turn.repetitions));
}

}  // namespace ferry::bench
