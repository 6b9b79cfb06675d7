#include "copy/free_memory.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <limits>
#include <string>

#include <ferry/base.hpp>

#include "base/sys.hpp"

namespace ferry::engine {
namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t share_divisor = 64;
constexpr std::int64_t fresh_nanoseconds = 1'000'000'000;

using SmallText = std::array<char, 4096>;

// The first 4 KiB of a file of /proc or /sys: all that is needed. Empty when it cannot be read.
std::string_view read_text(const char* path, SmallText& text) noexcept {
  const UniqueFd fd(sys::openat(AT_FDCWD, path, O_RDONLY));
  if (!fd) {
    return {};
  }
  const ssize_t got = sys::read(fd.get(), text.data(), text.size());
  return got > 0 ? std::string_view(text.data(), static_cast<std::size_t>(got)) : std::string_view{};
}

std::uint64_t read_number(const std::string& path) noexcept {
  SmallText text;
  return parse_cgroup_number(read_text(path.c_str(), text));
}

// A limit may sit on any ancestor, so every level up to the root is asked.
std::uint64_t room_in_cgroup() {
  SmallText text;
  const CgroupPath cgroup = parse_memory_cgroup(read_text("/proc/self/cgroup", text));
  if (cgroup.path.empty()) {
    return unlimited;
  }
  const std::string mount = cgroup.version_1 ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup";
  const char* const limit_file = cgroup.version_1 ? "/memory.limit_in_bytes" : "/memory.max";
  const char* const usage_file = cgroup.version_1 ? "/memory.usage_in_bytes" : "/memory.current";
  std::uint64_t room = unlimited;
  for (std::string path(cgroup.path);; path.resize(path.rfind('/'))) {
    const std::string level = mount + (path == "/" ? "" : path);
    room = std::min(room, cgroup_room(read_number(level + limit_file), read_number(level + usage_file)));
    if (path.empty() || path == "/") {
      return room;
    }
  }
}

}  // namespace

std::uint64_t copy_memory_share() noexcept {
  static std::atomic<std::int64_t> read_at = 0;
  static std::atomic<std::uint64_t> share = 0;
  const std::int64_t now = std::chrono::steady_clock::now().time_since_epoch().count();
  const std::int64_t last = read_at.load(std::memory_order_acquire);
  if (last == 0 || now - last > fresh_nanoseconds) {
    SmallText text;
    const std::uint64_t available = parse_mem_available(read_text("/proc/meminfo", text));
    share.store(std::min(available, room_in_cgroup()) / share_divisor, std::memory_order_relaxed);
    read_at.store(now, std::memory_order_release);
  }
  return share.load(std::memory_order_relaxed);
}

std::uint64_t parse_mem_available(std::string_view meminfo) noexcept {
  constexpr std::string_view label = "MemAvailable:";
  const std::size_t at = meminfo.find(label);
  if (at == std::string_view::npos) {
    return unlimited;
  }
  const std::size_t digits = meminfo.find_first_not_of(' ', at + label.size());
  if (digits == std::string_view::npos) {
    return unlimited;
  }
  std::uint64_t kibibytes = 0;
  const auto parsed = std::from_chars(meminfo.data() + digits, meminfo.data() + meminfo.size(), kibibytes);
  return parsed.ec == std::errc{} ? kibibytes * 1024 : unlimited;
}

std::uint64_t parse_cgroup_number(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc{} ? value : unlimited;  // "max", or not readable
}

std::uint64_t cgroup_room(std::uint64_t limit, std::uint64_t usage) noexcept {
  if (limit == unlimited || usage == unlimited) {
    return unlimited;
  }
  return limit > usage ? limit - usage : 0;
}

// Lines are "ID:CONTROLLERS:PATH"; version 2 is "0::PATH" (cgroups(7)).
CgroupPath parse_memory_cgroup(std::string_view text) noexcept {
  CgroupPath version_2;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) {
      continue;
    }
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string_view path = line.substr(second + 1);
    if (controllers == "memory") {
      return {path, true};
    }
    if (controllers.empty()) {
      version_2 = {path, false};
    }
  }
  return version_2;
}

}  // namespace ferry::engine
