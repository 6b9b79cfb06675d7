// A library to be preloaded (LD_PRELOAD): each metadata operation below a directory takes FERRY_LATENCY_US longer, as
// on a network file system. What a process does about its own start (by whole paths, as the loader and MPI do) is left
// alone. With FERRY_LATENCY_COUNT, the number of operations is printed at the end.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ctime>

struct statx;

namespace {

std::atomic<unsigned long> operations = 0;  // NOLINT(*-avoid-non-const-global-variables)

struct Counter {
  ~Counter() {
    if (std::getenv("FERRY_LATENCY_COUNT") != nullptr && operations > 0) {
      std::fprintf(stderr, "latency: %lu operations\n", operations.load());
    }
  }
};
const Counter counter;  // NOLINT(cert-err58-cpp)

void wait_for_the_network() {
  static const long microseconds = [] {
    const char* const text = std::getenv("FERRY_LATENCY_US");
    return text == nullptr ? 0L : std::strtol(text, nullptr, 10);
  }();
  ++operations;
  timespec left = {.tv_sec = microseconds / 1'000'000, .tv_nsec = microseconds % 1'000'000 * 1000};
  while (nanosleep(&left, &left) != 0) {
  }
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

// Parameters are called by what they are, not as in the reserved names of libc's headers.
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name, bugprone-macro-parentheses)

// NAME(PARAMETERS), called with ARGUMENTS: waits if CONDITION.
#define FERRY_DELAYED(result, name, condition, parameters, arguments) \
  extern "C" result name parameters {                                 \
    static const auto original = next<result(*) parameters>(#name);   \
    if (condition) {                                                  \
      wait_for_the_network();                                         \
    }                                                                 \
    return original arguments;                                        \
  }

extern "C" int openat(int directory, const char* path, int flags, ...) {
  static const auto original = next<int (*)(int, const char*, int, ...)>("openat");
  std::va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (directory != AT_FDCWD) {
    wait_for_the_network();
  }
  return original(directory, path, flags, mode);
}

FERRY_DELAYED(int, statx, true, (int directory, const char* path, int flags, unsigned mask, struct statx* status),
              (directory, path, flags, mask, status))
FERRY_DELAYED(int, mkdirat, true, (int directory, const char* path, mode_t mode), (directory, path, mode))
FERRY_DELAYED(int, unlinkat, directory != AT_FDCWD, (int directory, const char* path, int flags),
              (directory, path, flags))
FERRY_DELAYED(int, linkat, true, (int from, const char* path, int to, const char* name, int flags),
              (from, path, to, name, flags))
FERRY_DELAYED(int, symlinkat, true, (const char* target, int directory, const char* path), (target, directory, path))
FERRY_DELAYED(int, renameat2, true, (int from, const char* path, int to, const char* name, unsigned flags),
              (from, path, to, name, flags))
FERRY_DELAYED(ssize_t, readlinkat, directory != AT_FDCWD, (int directory, const char* path, char* buffer, size_t size),
              (directory, path, buffer, size))
FERRY_DELAYED(int, fchmod, true, (int fd, mode_t mode), (fd, mode))
FERRY_DELAYED(int, fchown, true, (int fd, uid_t user, gid_t group), (fd, user, group))
FERRY_DELAYED(int, utimensat, true, (int directory, const char* path, const timespec times[2], int flags),
              (directory, path, times, flags))
FERRY_DELAYED(int, futimens, true, (int fd, const timespec times[2]), (fd, times))
FERRY_DELAYED(ssize_t, getdents64, true, (int fd, void* buffer, size_t size), (fd, buffer, size))
FERRY_DELAYED(ssize_t, flistxattr, true, (int fd, char* list, size_t size), (fd, list, size))
FERRY_DELAYED(ssize_t, fgetxattr, true, (int fd, const char* name, void* value, size_t size), (fd, name, value, size))
// NOLINTEND(readability-inconsistent-declaration-parameter-name, bugprone-macro-parentheses)
