#include "bench/script_peer.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

namespace ferry::bench {
namespace {

// One line in: the target. One line out: "ok WALL_NS USER_US SYSTEM_US" or "error MESSAGE".
constexpr const char* loop_script = R"js(
const fs = require('fs');
const [source, copies] = process.argv.slice(-2);
const buffer = Buffer.alloc(65536);
let pending = '';
function next_line() {
  for (;;) {
    const end = pending.indexOf('\n');
    if (end >= 0) {
      const line = pending.slice(0, end);
      pending = pending.slice(end + 1);
      return line;
    }
    const length = fs.readSync(0, buffer, 0, buffer.length, null);
    if (length === 0) return null;
    pending += buffer.toString('utf8', 0, length);
  }
}
for (let target; (target = next_line()) !== null;) {
  try {
    const n = Number(copies);
    const cpu = process.cpuUsage();
    const begin = process.hrtime.bigint();
    for (let i = 0; i < n; i++) fs.cpSync(source, target, {recursive: true, force: true});
    const wall = process.hrtime.bigint() - begin;
    const used = process.cpuUsage(cpu);
    fs.writeSync(1, `ok ${wall} ${used.user} ${used.system}\n`);
  } catch (error) {
    fs.writeSync(1, 'error ' + String(error && error.message).replaceAll('\n', ' ') + '\n');
  }
}
)js";

std::uint64_t peak_memory_of(pid_t process) {
  std::ifstream status(fmt::format("/proc/{}/status", process));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) {
      return std::stoull(line.substr(6)) * 1024;
    }
  }
  return 0;
}

[[noreturn]] void become_script(const std::string& program, const std::filesystem::path& source,
                                const std::string& copies, int in, int out) {
  restore_signals();
  const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null < 0 || ::dup2(in, STDIN_FILENO) < 0 || ::dup2(out, STDOUT_FILENO) < 0 || ::dup2(null, STDERR_FILENO) < 0) {
    ::_exit(126);
  }
  ::execl(program.c_str(), program.c_str(), "-e", loop_script, "--", source.c_str(), copies.c_str(), nullptr);
  ::_exit(127);
}

}  // namespace

Outcome<ScriptPeer> ScriptPeer::start(const std::string& program, const std::filesystem::path& source,
                                      std::uint64_t copies) {
  std::array<int, 2> in = {};
  std::array<int, 2> out = {};
  if (::pipe2(in.data(), O_CLOEXEC) != 0) {
    return failed("pipe2", errno);
  }
  UniqueFd in_read(in[0]);
  UniqueFd in_write(in[1]);
  if (::pipe2(out.data(), O_CLOEXEC) != 0) {
    return failed("pipe2", errno);
  }
  UniqueFd out_read(out[0]);
  UniqueFd out_write(out[1]);
  const std::string count = std::to_string(copies);
  const pid_t process = ::fork();
  if (process < 0) {
    return failed("fork", errno);
  }
  if (process == 0) {
    become_script(program, source, count, in_read.get(), out_write.get());
  }
  return ScriptPeer(process, std::move(in_write), std::move(out_read));
}

ScriptPeer::ScriptPeer(ScriptPeer&& other) noexcept
    : process_(std::exchange(other.process_, -1)), input_(std::move(other.input_)), output_(std::move(other.output_)) {}

ScriptPeer::~ScriptPeer() {
  input_.reset();  // the script's loop ends with its input
  if (process_ > 0) {
    while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

Outcome<Cost> ScriptPeer::run(const std::filesystem::path& target) {
  const std::string request = target.native() + '\n';
  // A script that died must be an answer, not a signal: SIGPIPE is ignored by run_bench().
  if (::write(input_.get(), request.data(), request.size()) != static_cast<ssize_t>(request.size())) {
    return failed("the script's process has ended", errno);
  }
  const auto line = read_line();
  if (!line) {
    return std::unexpected(line.error());
  }
  std::istringstream words(*line);
  std::string verdict;
  std::int64_t wall = 0;
  std::int64_t user = 0;
  std::int64_t system = 0;
  words >> verdict >> wall >> user >> system;
  if (verdict != "ok" || !words) {
    return std::unexpected(*line);
  }
  Cost cost;
  cost.wall = std::chrono::nanoseconds(wall);
  cost.user = std::chrono::microseconds(user);
  cost.system = std::chrono::microseconds(system);
  cost.max_rss_bytes = peak_memory_of(process_);
  return cost;
}

Outcome<std::string> ScriptPeer::read_line() {
  std::string line;
  while (true) {
    char byte = 0;
    const ssize_t got = ::read(output_.get(), &byte, 1);
    if (got == 0) {
      return std::unexpected("the script's process has ended");
    }
    if (got < 0 && errno != EINTR) {
      return failed("cannot hear from the script", errno);
    }
    if (got == 1 && byte == '\n') {
      return line;
    }
    if (got == 1) {
      line += byte;
    }
  }
}

}  // namespace ferry::bench
