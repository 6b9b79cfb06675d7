#include "bench/script_peer.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <sstream>
#include <utility>

#include <fmt/format.h>

namespace ferry::bench {
namespace {

// One line in: "API REPETITIONS TARGET". One line out: "ok WALL_NS USER_US SYSTEM_US" or "error MESSAGE".
constexpr const char* loop_script = R"js(
const fs = require('fs');
const path = require('path');
const [work, source, addon] = process.argv.slice(-3);
const apis = {fs};
let refusal = 'there is no such API';
if (addon !== '-') {
  try {
    const ferry = require(path.resolve(addon));
    apis.ferry = ferry;
    apis.ferry_atomic = {cpSync: (from, to, options) => ferry.cpSync(from, to, {...options, atomic: true})};
  } catch (error) {
    refusal = error.message;
  }
}
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
function letter(entry) {
  if (entry.isFile()) return 'f';
  if (entry.isDirectory()) return 'd';
  return entry.isSymbolicLink() ? 'l' : '?';
}
for (let line; (line = next_line()) !== null;) {
  try {
    const [name, repetitions] = line.split(' ', 2);
    const n = Number(repetitions);
    const target = line.slice(name.length + repetitions.length + 2);
    const api = apis[name];
    if (api === undefined) throw new Error(refusal);
    let list = [];
    const cpu = process.cpuUsage();
    const begin = process.hrtime.bigint();
    if (work === 'copy') {
      for (let i = 0; i < n; i++) api.cpSync(source, target, {recursive: true, force: true});
    } else {
      for (let i = 0; i < n; i++) list = api.readdirSync(source, {recursive: true, withFileTypes: true});
    }
    const wall = process.hrtime.bigint() - begin;
    const used = process.cpuUsage(cpu);
    if (work === 'list') {
      fs.writeFileSync(target, list.map((entry) =>
        letter(entry) + ' ' + path.relative(source, path.join(entry.parentPath ?? entry.path, entry.name)) + '\0').join(''));
    }
    fs.writeSync(1, `ok ${wall} ${used.user} ${used.system}\n`);
  } catch (error) {
    fs.writeSync(1, 'error ' + String(error && error.message).replaceAll('\n', ' ') + '\n');
  }
}
)js";

// Of a process, as /proc/PID/status tells: "VmHWM:" in bytes, "voluntary_ctxt_switches:" as it is.
std::uint64_t status_field(pid_t process, std::string_view field) {
  std::ifstream status(fmt::format("/proc/{}/status", process));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field)) {
      std::istringstream words(line.substr(field.size()));
      std::uint64_t value = 0;
      std::string unit;
      words >> value >> unit;
      return unit == "kB" ? value * 1024 : value;
    }
  }
  return 0;
}

void become_script(const std::string& program, const char* work, const std::filesystem::path& source,
                   const std::filesystem::path& package, int in, int out) {
  const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null < 0 || ::dup2(in, STDIN_FILENO) < 0 || ::dup2(out, STDOUT_FILENO) < 0 || ::dup2(null, STDERR_FILENO) < 0) {
    ::_exit(126);
  }
  ::execl(program.c_str(), program.c_str(), "-e", loop_script, "--", work, source.c_str(),
          package.empty() ? "-" : package.c_str(), nullptr);
  ::_exit(127);
}

const char* name_of(ScriptApi api) {
  switch (api) {
    case ScriptApi::fs: return "fs";
    case ScriptApi::ferry: return "ferry";
    case ScriptApi::ferry_atomic: return "ferry_atomic";
  }
  return "";
}

}  // namespace

ScriptPeer::ScriptPeer(ChildProcess process, UniqueFd input, UniqueFd output)
    : process_(std::move(process)),
      input_(std::move(input)),
      output_(std::move(output)),
      counters_(HardwareCounters::of_process(process_.id())) {}

Outcome<ScriptPeer> ScriptPeer::start(const std::string& program, ScriptWork work, const std::filesystem::path& source,
                                      const std::filesystem::path& package) {
  std::array<int, 2> in = {};
  std::array<int, 2> out = {};
  if (::pipe2(in.data(), O_CLOEXEC) != 0) {
    return failed("pipe2", errno);
  }
  const UniqueFd in_read(in[0]);
  UniqueFd in_write(in[1]);
  if (::pipe2(out.data(), O_CLOEXEC) != 0) {
    return failed("pipe2", errno);
  }
  UniqueFd out_read(out[0]);
  const UniqueFd out_write(out[1]);
  auto process = ChildProcess::start([&] {
    become_script(program, work == ScriptWork::copy ? "copy" : "list", source, package, in_read.get(), out_write.get());
  });
  if (!process) {
    return std::unexpected(process.error());
  }
  return ScriptPeer(std::move(*process), std::move(in_write), std::move(out_read));
}

Outcome<Cost> ScriptPeer::run(const Turn& turn, ScriptApi api) {
  if (turn.control.before_it_begins) {
    if (auto ready = turn.control.before_it_begins(process_.id()); !ready) {
      return std::unexpected(ready.error());
    }
  }
  const std::uint64_t voluntary = status_field(process_.id(), "voluntary_ctxt_switches:");
  const std::uint64_t involuntary = status_field(process_.id(), "nonvoluntary_ctxt_switches:");
  const std::string request = fmt::format("{} {} {}\n", name_of(api), turn.repetitions, turn.target.native());
  counters_.start();
  // A script that died must be an answer, not a signal: SIGPIPE is ignored by run_bench().
  if (::write(input_.get(), request.data(), request.size()) != static_cast<ssize_t>(request.size())) {
    return failed("the script's process has ended", errno);
  }
  const auto line = read_line(turn.control);
  counters_.stop();
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
  cost.max_rss_bytes = status_field(process_.id(), "VmHWM:");
  cost.tree_rss_bytes = std::max(cost.max_rss_bytes, process_.sampled_rss_bytes().value_or(0));
  cost.voluntary_switches = status_field(process_.id(), "voluntary_ctxt_switches:") - voluntary;
  cost.involuntary_switches = status_field(process_.id(), "nonvoluntary_ctxt_switches:") - involuntary;
  cost.cache = counters_.read();
  return cost;
}

Outcome<std::string> ScriptPeer::read_line(const RunControl& control) {
  std::string line;
  SamplingInterval interval;
  while (true) {
    pollfd ready = {.fd = output_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, interval.next_ms()) < 1) {
      if (control.stop != nullptr && *control.stop) {
        process_.kill_group();
        return std::unexpected("interrupted");
      }
      process_.sample_memory();
      continue;
    }
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
