// Measures what the system calls of finding nothing changed cost by themselves, without a sync around them: what any
// program that makes them is bound by. The numbers in docs/PERFORMANCE.md come from it. Not part of the build:
//   g++ -O2 -std=c++23 tests/sync/measure/unchanged_tree.cpp -pthread -o unchanged && ./unchanged SOURCE COPY [THREADS]
// Both trees have the same names. Names are read first, untimed; then for each entry, in its directory held open on
// both sides: statx of both; the same and listxattrat of both. Prints median and least milliseconds.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int rounds = 9;
constexpr long call_listxattrat = 465;

struct Directory {
  int from;
  int to;
  std::vector<std::string> names;
};

void check(bool ok, const char* what) {
  if (!ok) {
    std::perror(what);
    std::exit(1);
  }
}

Directory read_directory(const std::filesystem::path& from, const std::filesystem::path& to) {
  Directory directory{::open(from.c_str(), O_RDONLY | O_DIRECTORY), ::open(to.c_str(), O_RDONLY | O_DIRECTORY), {}};
  check(directory.from >= 0 && directory.to >= 0, "open");
  for (const auto& entry : std::filesystem::directory_iterator(from)) {
    directory.names.push_back(entry.path().filename());
  }
  return directory;
}

void look_at(const Directory& directory, bool lists) {
  char list[1024];
  for (const std::string& name : directory.names) {
    for (const int side : {directory.from, directory.to}) {
      struct statx status;
      check(::statx(side, name.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status) == 0, "statx");
      if (lists) {
        check(::syscall(call_listxattrat, side, name.c_str(), AT_SYMLINK_NOFOLLOW, list, sizeof list) >= 0,
              "listxattrat");
      }
    }
  }
}

double milliseconds(const std::vector<Directory>& directories, unsigned threads, bool lists) {
  const auto began = std::chrono::steady_clock::now();
  std::atomic<std::size_t> next = 0;
  {
    std::vector<std::jthread> workers;
    for (unsigned i = 0; i < threads; ++i) {
      workers.emplace_back([&] {
        for (std::size_t at = next++; at < directories.size(); at = next++) {
          look_at(directories[at], lists);
        }
      });
    }
  }
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: unchanged SOURCE COPY [THREADS]\n");
    return 2;
  }
  const std::filesystem::path source = argv[1];
  const std::filesystem::path copy = argv[2];
  const unsigned threads = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : std::thread::hardware_concurrency();
  std::vector<Directory> directories = {read_directory(source, copy)};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source)) {
    if (entry.is_directory() && !entry.is_symlink()) {
      directories.push_back(read_directory(entry.path(), copy / std::filesystem::relative(entry.path(), source)));
    }
  }
  for (const bool lists : {false, true}) {
    std::vector<double> times;
    for (int round = 0; round < rounds; ++round) {
      times.push_back(milliseconds(directories, threads, lists));
    }
    std::ranges::sort(times);
    std::printf("%-30s %.1f ms (%.1f)\n", lists ? "statx and listxattrat of both" : "statx of both", times[rounds / 2],
                times.front());
  }
}
