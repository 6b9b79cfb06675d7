// Measures what the system calls of copying many small files cost by themselves, without a copier around them: what any
// program that makes them is bound by. The numbers in docs/PERFORMANCE.md come from it. Not part of the build:
//   g++ -O2 -std=c++23 tests/copy/measure/small_files.cpp -pthread -o small_files && ./small_files [FILES [BYTES]]
// In /dev/shm; the ways by turns; prints median and least microseconds for each file.
#include <fcntl.h>
#include <sys/stat.h>
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

constexpr int rounds = 15;

int files = 1000;
std::size_t bytes = 4096;

struct Place {
  int from;
  int to;
  std::string from_path;
  std::string to_path;
  std::vector<char> buffer = std::vector<char>(bytes + 4096);
};

void check(bool ok, const char* what) {
  if (!ok) {
    std::perror(what);
    std::exit(1);
  }
}

// As ferry does: files of up to 32 KiB by one read and one write.
void fill(Place& place, int in, int out) {
  if (bytes <= 32 << 10U) {
    check(read(in, place.buffer.data(), place.buffer.size()) == static_cast<ssize_t>(bytes), "read");
    check(write(out, place.buffer.data(), bytes) == static_cast<ssize_t>(bytes), "write");
    return;
  }
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t copied = copy_file_range(in, nullptr, out, nullptr, bytes - done, 0);
    check(copied > 0, "copy_file_range");
    done += static_cast<std::size_t>(copied);
  }
}

int open_source(const Place& place, const char* name) {
  const int in = openat(place.from, name, O_RDONLY | O_CLOEXEC);
  struct stat status = {};
  check(in >= 0 && fstat(in, &status) == 0, "open source");
  return in;
}

void in_place(Place& place, const char* name) {
  const int in = open_source(place, name);
  const int out = openat(place.to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  check(out >= 0, "create");
  fill(place, in, out);
  close(out);
  close(in);
}

void unnamed_then_linked(Place& place, const char* name) {
  const int in = open_source(place, name);
  const int out = openat(place.to, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644);
  check(out >= 0, "O_TMPFILE");
  fill(place, in, out);
  check(linkat(out, "", place.to, name, AT_EMPTY_PATH) == 0, "linkat");
  close(out);
  close(in);
}

// What os.Open, os.Create and io.Copy ask for, without Go.
void as_go_does(Place& place, const char* name) {
  const int in = open((place.from_path + "/" + name).c_str(), O_RDONLY | O_CLOEXEC);
  const int out = open((place.to_path + "/" + name).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  check(in >= 0 && out >= 0, "open");
  while (copy_file_range(in, nullptr, out, nullptr, 1 << 30U, 0) > 0) {
  }
  close(out);
  close(in);
}

struct Way {
  const char* name;
  int threads;
  void (*copy)(Place& place, const char* name);
  std::vector<double> results = {};
};

double microseconds_each(const Way& way, const std::string& base, const std::vector<std::string>& names) {
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    Place place{open((base + "/from").c_str(), O_PATH | O_DIRECTORY),
                open((base + "/to").c_str(), O_PATH | O_DIRECTORY), base + "/from", base + "/to"};
    for (std::size_t i = next++; i < names.size(); i = next++) {
      way.copy(place, names[i].c_str());
    }
    close(place.from);
    close(place.to);
  };
  const auto begin = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> threads;
    for (int i = 1; i < way.threads; ++i) {
      threads.emplace_back(work);
    }
    work();
  }
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count() / files;
}

}  // namespace

int main(int argc, char** argv) {
  files = argc > 1 ? std::atoi(argv[1]) : files;
  bytes = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : bytes;
  const std::string base = "/dev/shm/small-files-" + std::to_string(getpid());
  std::filesystem::create_directories(base + "/from");
  std::vector<std::string> names;
  const std::vector<char> content(bytes, 'x');
  for (int i = 0; i < files; ++i) {
    names.push_back("file" + std::to_string(i));
    const int fd = open((base + "/from/" + names.back()).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    check(write(fd, content.data(), bytes) == static_cast<ssize_t>(bytes), "write");
    close(fd);
  }
  std::vector<Way> ways;
  for (const int threads : {1, 2, 4}) {
    ways.push_back({"in place", threads, in_place});
    ways.push_back({"unnamed, then linked", threads, unnamed_then_linked});
    ways.push_back({"as Go does", threads, as_go_does});
  }
  for (int round = 0; round <= rounds; ++round) {
    for (Way& way : ways) {
      std::filesystem::create_directories(base + "/to");
      const double time = microseconds_each(way, base, names);
      if (round > 0) {
        way.results.push_back(time);
      }
      std::filesystem::remove_all(base + "/to");
    }
  }
  for (Way& way : ways) {
    std::sort(way.results.begin(), way.results.end());
    std::printf("%-22s %d threads %7.2f us (%.2f)\n", way.name, way.threads, way.results[rounds / 2], way.results[0]);
  }
  std::filesystem::remove_all(base);
}
