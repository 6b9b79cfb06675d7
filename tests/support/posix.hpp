/// \file
/// The few POSIX pieces that the test programs share: a call that must succeed, directory listings, printable names.
/// Independent of ferry on purpose: what judges the engine does not use the engine.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace posix {

/// Ends the program with a message: these are tools, and a test tree that is half made is worth nothing.
[[noreturn]] inline void die(std::string_view what, std::string_view name, int error = errno) {
  fmt::print(stderr, "{} '{}': {}\n", what, name, std::strerror(error));
  std::exit(2);
}

/// Passes a result on if it is not negative.
template <typename Integer>
Integer check(Integer result, std::string_view what, std::string_view name) {
  if (result < 0) {
    die(what, name);
  }
  return result;
}

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  operator int() const { return fd_; }  // NOLINT(google-explicit-constructor)

 private:
  int fd_;
};

inline Fd open_directory(int dirfd, const std::string& name) {
  return Fd(check(::openat(dirfd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "open", name));
}

/// The entries of an open directory but "." and "..", sorted by bytes.
inline std::vector<std::string> names_in(int dirfd) {
  std::vector<std::string> names;
  DIR* stream = ::fdopendir(check(::openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open", "."));
  if (stream == nullptr) {
    die("fdopendir", ".");
  }
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") {
      names.emplace_back(name);
    }
  }
  if (errno != 0) {
    die("readdir", ".");
  }
  ::closedir(stream);
  std::ranges::sort(names);
  return names;
}

/// A path of at most a few hundred bytes that reaches `name` however deep its directory is.
inline std::string through_proc(int dirfd, const std::string& name) {
  return fmt::format("/proc/self/fd/{}/{}", dirfd, name);
}

inline std::string printable(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    if (const auto byte = static_cast<unsigned char>(c); byte < 0x20 || byte >= 0x7f || c == '\\') {
      text += fmt::format("\\x{:02x}", byte);
    } else {
      text += c;
    }
  }
  return text;
}

/// One descriptor per level of a deep tree is held.
inline void allow_many_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace posix
