// The `ferry` command: chooses the subcommand.
#include <ferry/base.hpp>
#include <ferry/copy.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

#include "cli/commands.hpp"
#include "cli/terminal.hpp"

namespace ferry::cli {
namespace {

struct Subcommand {
  std::string_view name;
  std::string_view summary;
  int (*run)(int argc, char** argv);
};

constexpr auto subcommands = std::to_array<Subcommand>({
    {"cp", "copy files and directories: a drop-in for GNU cp", cp_main},
    {"sync", "make one tree like another: rsync's local job", sync_main},
    {"probe", "tell what works here: file systems, copy methods, io_uring, FUSE, limits", probe_main},
    {"bench", "measure ferry against the tools you would have used", bench_main},
});

void print_help() {
  const bool colour = may_colour(stdout);
  const auto heading = [&](std::string_view text) {
    fmt::print("{}{}:{}\n", colour ? "\x1b[1m" : "", text, colour ? "\x1b[m" : "");
  };
  fmt::print("Usage: ferry COMMAND [ARGUMENT]...\nMoves file data without touching it more often than it must.\n\n");
  heading("Commands");
  for (const Subcommand& each : subcommands) {
    fmt::print("  {:<8} {}\n", each.name, each.summary);
  }
  fmt::print("\n");
  heading("Examples");
  fmt::print(
      "  ferry cp -a /srv/data /mnt/backup   copy a tree with everything that belongs to it\n"
      "  ferry probe /srv /mnt/backup        what works between two places\n"
      "  ferry cp --help                     all options of a command\n"
      "  FERRY_LOG=debug ferry cp a b        say on standard error what is tried (trace, debug, info, warn)\n\n");
  heading("Options");
  fmt::print("  --help     show this help\n  --version  show the version and what this build can use\n");
}

void print_version() {
  utsname system = {};
  fmt::print("ferry {}\n", version());
  fmt::print("copy methods:");
  for (std::size_t i = 0; i < copy_method_count; ++i) {
    fmt::print(" {}", to_string(static_cast<CopyMethod>(i)));
  }
  fmt::print("\nchunk size: {}\n", format_size(copy_chunk_size()));
  if (uname(&system) == 0) {
    fmt::print("kernel: {} {}\n", system.sysname, system.release);
  }
}

// Standard streams that were closed are opened the wrong way round, so that using them still fails: their numbers must
// not go to files that are copied, into which messages would be written.
void occupy_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) < 0) {
      (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
  }
}

int finish_output() {
  if (std::fflush(stdout) != 0) {
    std::perror("ferry: write error");
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace ferry::cli

int main(int argc, char** argv) {
  using namespace ferry::cli;
  occupy_standard_descriptors();
  if (argc < 2) {
    fmt::print(stderr, "ferry: missing command\nTry 'ferry --help' for more information.\n");
    return 1;
  }
  const std::string_view word(argv[1]);
  if (word == "--help" || word == "-h" || word == "help") {
    print_help();
    return finish_output();
  }
  if (word == "--version" || word == "-V" || word == "version") {
    print_version();
    return finish_output();
  }
  for (const Subcommand& each : subcommands) {
    if (each.name == word) {
      std::string name = fmt::format("ferry {}", each.name);  // for messages
      argv[1] = name.data();
      return each.run(argc - 1, argv + 1);
    }
  }
  fmt::print(stderr, "ferry: unknown command {}\nTry 'ferry --help' for more information.\n", ferry::quoted(word));
  return 1;
}
