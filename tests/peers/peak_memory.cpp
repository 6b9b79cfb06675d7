/// \file
/// peak_memory FILE COMMAND...: runs the command and writes its largest resident set in KiB to FILE, as getrusage(2)
/// counts it. Exits as the command does. Small itself, because exec keeps the mark of the process before it.
#include <spawn.h>
#include <sys/wait.h>

#include "support/posix.hpp"

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: peak_memory FILE COMMAND...\n");
    return 2;
  }
  pid_t child = 0;
  if (const int error = ::posix_spawnp(&child, argv[2], nullptr, nullptr, argv + 2, environ); error != 0) {
    posix::die("spawn", argv[2], error);
  }
  int status = 0;
  rusage usage{};
  posix::check(::wait4(child, &status, 0, &usage), "wait4", argv[2]);
  FILE* out = std::fopen(argv[1], "w");
  if (out == nullptr) {
    posix::die("open", argv[1]);
  }
  fmt::print(out, "{}\n", usage.ru_maxrss);
  std::fclose(out);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
