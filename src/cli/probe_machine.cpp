// Probing the machine: kernel, limits, io_uring, FUSE.
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include <ferry/ring.hpp>

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

// What a ring was set up with, for people.
std::string describe(const RingFeatures& features) {
  std::string text;
  const auto add = [&](bool has, const char* name) {
    text += has ? (text.empty() ? "" : ", ") + std::string(name) : "";
  };
  add(features.single_issuer, "single issuer");
  add(features.deferred_work, "deferred work");
  add(features.cooperative_work, "cooperative work");
  add(features.timed_wait, "timed wait");
  add(features.registered_descriptor, "registered descriptor");
  return text.empty() ? "plain" : text;
}

// Sets up a small ring and pins one buffer in it, as the copy engine would.
void add_ring(Entries& out) {
  auto ring = Ring::create({.entries = 4});
  if (!ring) {
    const int errno_value = ring.error().errno_value();
    out.push_back(entry("io_uring", "io_uring", Finding{Answer::no, errno_value, ring_refusal_cause(errno_value)}));
    return;
  }
  out.push_back(entry("io_uring", "io_uring", Finding{Answer::yes, 0, describe(ring->features())}));
  auto pool = BufferPool::create({.buffer_bytes = std::size_t{64} << 10U, .count = 1});
  const int errno_value = !pool                        ? pool.error().errno_value()
                          : pool->register_with(*ring) ? 0
                                                       : pool->registration_error();
  out.push_back(entry("io_uring_registered_buffers", "registered buffers",
                      Finding{errno_value == 0 ? Answer::yes : Answer::no, errno_value,
                              errno_value == 0 ? "" : ring_refusal_cause(errno_value)}));
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
