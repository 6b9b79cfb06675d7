#include "bench/machine.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <ferry/base.hpp>

namespace ferry::bench {
namespace {

constexpr const char* drop_caches_path = "/proc/sys/vm/drop_caches";

std::string processor_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.starts_with("model name")) {
      const std::size_t colon = line.find(": ");
      return colon == std::string::npos ? "" : line.substr(colon + 2);
    }
  }
  return {};
}

void forget_pages(const std::filesystem::path& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (file) {
    ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
  }
}

}  // namespace

Machine this_machine() {
  Machine machine;
  utsname names = {};
  if (::uname(&names) == 0) {
    machine.kernel = fmt::format("{} {} {}", names.sysname, names.release, names.machine);
  }
  machine.processor = processor_name();
  cpu_set_t cores;
  machine.cores = ::sched_getaffinity(0, sizeof cores, &cores) == 0 ? static_cast<unsigned>(CPU_COUNT(&cores)) : 1;
  struct ::sysinfo info = {};
  if (::sysinfo(&info) == 0) {
    machine.memory_bytes = std::uint64_t{info.totalram} * info.mem_unit;
  }
  if (::getloadavg(&machine.load, 1) != 1) {
    machine.load = 0;
  }
  return machine;
}

// By the device number in /proc/self/mountinfo (proc_pid_mountinfo(5)); the last match is the topmost mount. Btrfs
// gives subvolumes devices of their own, which are not listed there: then by the longest mount point that holds `path`.
std::string file_system_of(const std::filesystem::path& path) {
  struct ::stat status = {};
  std::error_code error;
  const std::string real = std::filesystem::canonical(path, error).native() + '/';
  if (error || ::stat(path.c_str(), &status) != 0) {
    return "unknown";
  }
  const std::string device = fmt::format("{}:{}", major(status.st_dev), minor(status.st_dev));
  std::string by_device;
  std::string by_prefix = "unknown";
  std::size_t longest = 0;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string id;
    std::string parent;
    std::string number;
    std::string root;
    std::string point;
    fields >> id >> parent >> number >> root >> point;
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) {
      continue;
    }
    const std::string type = line.substr(dash + 3, line.find(' ', dash + 3) - dash - 3);
    if (number == device) {
      by_device = type;
    }
    if (real.starts_with(point == "/" ? point : point + '/') && point.size() >= longest) {
      longest = point.size();
      by_prefix = type;
    }
  }
  return by_device.empty() ? by_prefix : by_device;
}

Outcome<std::uint64_t> free_bytes(const std::filesystem::path& path) {
  struct ::statvfs status = {};
  if (::statvfs(path.c_str(), &status) != 0) {
    return failed("cannot ask for the free space of " + ferry::quoted(path.native()), errno);
  }
  return std::uint64_t{status.f_bavail} * status.f_frsize;
}

bool same_file_system(const std::filesystem::path& a, const std::filesystem::path& b) {
  struct ::stat one = {};
  struct ::stat other = {};
  return ::stat(a.c_str(), &one) == 0 && ::stat(b.c_str(), &other) == 0 && one.st_dev == other.st_dev;
}

Outcome<void> require_space(const std::filesystem::path& path, std::uint64_t bytes) {
  const auto free = free_bytes(path);
  if (!free) {
    return std::unexpected(free.error());
  }
  return *free >= bytes
             ? Outcome<void>{}
             : std::unexpected(fmt::format("not enough space in {}: {} needed, {} free", ferry::quoted(path.native()),
                                           format_size(bytes), format_size(*free)));
}

Outcome<void> require_space_for(std::uint64_t source_bytes, const std::filesystem::path& from, std::uint64_t copy_bytes,
                                const std::filesystem::path& to) {
  if (same_file_system(from, to)) {
    return require_space(to, source_bytes + copy_bytes);
  }
  auto enough = require_space(from, source_bytes);
  return enough ? require_space(to, copy_bytes) : enough;
}

void settle(const std::filesystem::path& path) {
  const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (directory) {
    ::syncfs(directory.get());
  }
}

ColdMethod cold_method() {
  return ::access(drop_caches_path, W_OK) == 0 ? ColdMethod::drop_caches : ColdMethod::fadvise;
}

const char* to_string(ColdMethod method) {
  return method == ColdMethod::drop_caches ? "caches of the whole machine dropped before each run"
                                           : "cached data of the source dropped before each run by fadvise, names and "
                                             "inodes still cached (run as root to drop them too)";
}

Outcome<void> make_cold(const std::filesystem::path& path, ColdMethod method) {
  settle(path);  // only clean pages can be dropped
  if (method == ColdMethod::drop_caches) {
    const UniqueFd control(::open(drop_caches_path, O_WRONLY | O_CLOEXEC));
    if (!control || ::write(control.get(), "3", 1) != 1) {
      return failed("cannot drop caches", errno);
    }
    return {};
  }
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    forget_pages(path);
    return {};
  }
  std::filesystem::recursive_directory_iterator entries(path, error);
  for (; !error && entries != std::filesystem::recursive_directory_iterator(); entries.increment(error)) {
    if (entries->is_regular_file(error) && !entries->is_symlink(error)) {
      forget_pages(entries->path());
    }
  }
  return error ? Outcome<void>(std::unexpected("cannot read " + ferry::quoted(path.native()) + ": " + error.message()))
               : Outcome<void>{};
}

}  // namespace ferry::bench
