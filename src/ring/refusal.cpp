// Why the kernel refuses a ring.
#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>

#include <ferry/ring.hpp>

#include "base/sys.hpp"

namespace ferry {
namespace {

// The beginning of a file of /proc; empty when it cannot be read.
std::string text_of(const char* path) {
  const UniqueFd file(sys::openat(AT_FDCWD, path, O_RDONLY));
  std::array<char, 4096> text = {};
  const ssize_t got = file ? sys::read(file.get(), text.data(), text.size()) : 0;
  return {text.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
}

// The value of a line "NAME:\tVALUE" of /proc/self/status (proc(5)).
std::string own_status(std::string_view name) {
  const std::string text = text_of("/proc/self/status");
  const std::size_t line = text.find("\n" + std::string(name) + ":\t");
  if (line == std::string::npos) {
    return {};
  }
  const std::size_t value = line + name.size() + 3;
  return text.substr(value, text.find('\n', value) - value);
}

bool has_cap_sys_admin() {
  constexpr unsigned cap_sys_admin = 21;  // linux/capability.h
  return ((std::strtoull(own_status("CapEff").c_str(), nullptr, 16) >> cap_sys_admin) & 1U) != 0;
}

bool filtered_by_seccomp() { return own_status("Seccomp") == "2"; }

}  // namespace

std::string ring_refusal_cause(int errno_value) {
  switch (errno_value) {
    case EPERM: {
      const std::string disabled = text_of("/proc/sys/kernel/io_uring_disabled");  // Linux 6.6
      if (disabled.starts_with('2')) {
        return "the sysctl kernel.io_uring_disabled is 2: disabled for all";
      }
      if (disabled.starts_with('1') && !has_cap_sys_admin()) {
        return "the sysctl kernel.io_uring_disabled is 1: only for CAP_SYS_ADMIN and kernel.io_uring_group";
      }
      return filtered_by_seccomp() ? "a seccomp filter refuses it, as container engines do by default"
                                   : "refused, and neither the sysctl nor a seccomp filter explains it";
    }
    case ENOSYS:
      return filtered_by_seccomp() ? "a seccomp filter hides it, or this kernel lacks it"
                                   : "this kernel was built without it, or is older than 5.1";
    case ENOMEM: return "not enough lockable memory: raise the memlock limit (ulimit -l)";
    case EMFILE: return "no file descriptor is free (ulimit -n)";
    default: return {};
  }
}

}  // namespace ferry
