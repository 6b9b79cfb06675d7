// Probing the machine: kernel, limits, io_uring, FUSE.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <thread>

#include "base/sys.hpp"
#include "cli/probe_facts.hpp"

namespace ferry::cli::probe {
namespace {

using Answer = Finding::Answer;

std::optional<std::string> first_word(const char* path) {
  std::ifstream file(path);
  std::string word;
  return file >> word ? std::optional(word) : std::nullopt;
}

// The value of a line "NAME:\tVALUE" of /proc/self/status (proc(5)).
std::string own_status(std::string_view name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':') {
      const std::size_t value = line.find_first_not_of(" \t", name.size() + 1);
      return value == std::string::npos ? "" : line.substr(value);
    }
  }
  return {};
}

bool has_cap_sys_admin() {
  constexpr unsigned cap_sys_admin = 21;  // linux/capability.h
  const std::string effective = own_status("CapEff");
  return ((std::strtoull(effective.c_str(), nullptr, 16) >> cap_sys_admin) & 1U) != 0;
}

bool filtered_by_seccomp() { return own_status("Seccomp") == "2"; }

std::string kernel_release() {
  utsname name = {};
  return ::uname(&name) == 0 ? std::string(name.release) : "unknown";
}

bool kernel_is_at_least(int major, int minor) {
  const std::string release = kernel_release();
  char* end = nullptr;
  const long running_major = std::strtol(release.c_str(), &end, 10);
  const long running_minor = *end == '.' ? std::strtol(end + 1, nullptr, 10) : 0;
  return running_major > major || (running_major == major && running_minor >= minor);
}

// ------------------------------------------------------------------------------------------- io_uring

std::string why_no_ring(int errno_value) {
  const std::optional<std::string> disabled = first_word("/proc/sys/kernel/io_uring_disabled");  // Linux 6.6
  switch (errno_value) {
    case EPERM:
      if (disabled == "2") {
        return "the sysctl kernel.io_uring_disabled is 2: disabled for all";
      }
      if (disabled == "1" && !has_cap_sys_admin()) {
        return "the sysctl kernel.io_uring_disabled is 1: only for CAP_SYS_ADMIN and kernel.io_uring_group";
      }
      return filtered_by_seccomp() ? "a seccomp filter refuses it, as container engines do by default"
                                   : "refused, and neither the sysctl nor a seccomp filter explains it";
    case ENOSYS:
      return filtered_by_seccomp() ? "a seccomp filter hides it, or this kernel lacks it"
                                   : "this kernel was built without it, or is older than 5.1";
    case ENOMEM: return "not enough lockable memory: raise the memlock limit (ulimit -l)";
    case EMFILE: return "no file descriptor is free (ulimit -n)";
    default: return {};
  }
}

// Sets up a small ring and pins one buffer in it, as the copy engine would.
void add_ring(Entries& out) {
  io_uring_params parameters = {};
  const int result = sys::io_uring_setup(4, parameters);
  if (result < 0) {
    const Finding finding{Answer::no, -result, why_no_ring(-result)};
    out.push_back(entry("io_uring", "io_uring", finding));
    return;
  }
  const UniqueFd ring(result);
  out.push_back(
      entry("io_uring", "io_uring", Finding{Answer::yes, 0, fmt::format("features {:#x}", parameters.features)}));
  std::string buffer(std::size_t{64} << 10U, '\0');
  const iovec vector = {buffer.data(), buffer.size()};
  const bool registered = ::syscall(SYS_io_uring_register, ring.get(), IORING_REGISTER_BUFFERS, &vector, 1) == 0;
  const int errno_value = registered ? 0 : errno;
  const char* const note =
      errno_value == ENOMEM ? "not enough lockable memory: raise the memlock limit (ulimit -l)" : "";
  out.push_back(entry("io_uring_registered_buffers", "registered buffers",
                      Finding{registered ? Answer::yes : Answer::no, errno_value, note}));
}

// ------------------------------------------------------------------------------------------- FUSE

std::string why_no_fuse(int errno_value) {
  switch (errno_value) {
    case ENOENT: return "no /dev/fuse: load the module fuse, or give the container the device";
    case ENODEV:
    case ENXIO: return "this kernel has no FUSE";
    case EPERM: return "the container's device rules refuse /dev/fuse";
    case EACCES: return "not permitted to open /dev/fuse";
    default: return {};
  }
}

Finding find_fuse_passthrough() {
  if (!kernel_is_at_least(6, 9)) {
    return {Answer::no, 0, "came with Linux 6.9"};
  }
  if (!has_cap_sys_admin()) {
    return {Answer::no, EPERM, "needs CAP_SYS_ADMIN"};
  }
  return {Answer::unknown, 0, "this kernel is new enough; settled when a file system is mounted"};
}

Finding find_fuse_over_ring() {
  const std::optional<std::string> enabled = first_word("/sys/module/fuse/parameters/enable_uring");
  if (!enabled) {
    return {Answer::no, 0, "came with Linux 6.14, if the kernel was built with it and the module is loaded"};
  }
  if (*enabled == "Y" || *enabled == "1") {
    return {Answer::yes, 0, {}};
  }
  return {Answer::no, 0, "switched off: echo Y > /sys/module/fuse/parameters/enable_uring"};
}

void add_fuse(Entries& out) {
  const int result = sys::openat(AT_FDCWD, "/dev/fuse", O_RDWR);
  if (result < 0) {
    out.push_back(entry("fuse", "FUSE", Finding{Answer::no, -result, why_no_fuse(-result)}));
    return;
  }
  const UniqueFd device(result);
  out.push_back(entry("fuse", "FUSE", Finding{Answer::yes, 0, {}}));
  out.push_back(entry("fuse_passthrough", "FUSE passthrough", find_fuse_passthrough()));
  out.push_back(entry("fuse_io_uring", "FUSE over io_uring", find_fuse_over_ring()));
}

// ------------------------------------------------------------------------------------------- limits

Entry limit_entry(const char* key, const char* label, int resource, std::string (*format)(std::uint64_t)) {
  rlimit limit = {};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) {
    return entry(key, label, nullptr, "unknown");
  }
  const auto number = [](rlim_t value) {
    return value == RLIM_INFINITY ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(value);
  };
  const auto text = [&](rlim_t value) { return value == RLIM_INFINITY ? "unlimited" : format(value); };
  return entry(key, label, {{"soft", number(limit.rlim_cur)}, {"hard", number(limit.rlim_max)}},
               fmt::format("{} (at most {})", text(limit.rlim_cur), text(limit.rlim_max)));
}

unsigned usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set))
                                                       : std::thread::hardware_concurrency();
}

}  // namespace

Entries examine_machine() {
  Entries out;
  out.push_back(entry("kernel", "kernel", kernel_release(), kernel_release()));
  const unsigned cores = usable_cores();
  out.push_back(entry("cores", "cores", cores, std::to_string(cores)));
  const auto count = [](std::uint64_t number) { return std::to_string(number); };
  out.push_back(limit_entry("descriptors", "file descriptors", RLIMIT_NOFILE, count));
  out.push_back(limit_entry("lockable_memory_bytes", "lockable memory", RLIMIT_MEMLOCK, format_size));
  add_ring(out);
  add_fuse(out);
  return out;
}

}  // namespace ferry::cli::probe
