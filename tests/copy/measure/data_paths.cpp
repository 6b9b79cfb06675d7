// Measures ways of moving one large file's bytes on this machine; the numbers in docs/PERFORMANCE.md, "How bytes are
// moved", come from it. Not part of the build:
//   g++ -O2 -std=c++20 -pthread tests/copy/measure/data_paths.cpp -o data_paths
// (with ferry itself among the ways: -std=c++23 -DWITH_FERRY -Iinclude and build/release/libferry.a -lfmt -lspdlog
// -lxxhash)
//   ./data_paths SOURCE DESTINATION ROUNDS [WAY...]
// Each round runs every way once, on a new destination; printed are the median and the least time and the ratio of
// medians cp/way (above 1: quicker than cp).
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#ifdef WITH_FERRY
#include <sys/sysmacros.h>

#include <ferry/copy.hpp>
#endif

namespace {

using Range = std::function<void(int in, int out, off_t begin, off_t end)>;

void check(bool ok, const char* what) {
  if (!ok) {
    std::perror(what);
    std::exit(1);
  }
}

Range read_write(std::size_t chunk) {
  return [chunk](int in, int out, off_t begin, off_t end) {
    char* buffer = static_cast<char*>(std::aligned_alloc(4096, chunk));
    for (off_t at = begin; at < end;) {
      const ssize_t n = ::pread(in, buffer, std::min<std::size_t>(chunk, static_cast<std::size_t>(end - at)), at);
      check(n > 0, "pread");
      check(::pwrite(out, buffer, static_cast<std::size_t>(n), at) == n, "pwrite");
      at += n;
    }
    std::free(buffer);
  };
}

Range kernel_copy(std::size_t piece) {
  return [piece](int in, int out, off_t begin, off_t end) {
    off_t from = begin;
    off_t to = begin;
    while (from < end) {
      check(::copy_file_range(in, &from, out, &to, std::min<std::size_t>(piece, static_cast<std::size_t>(end - from)),
                              0) > 0,
            "copy_file_range");
    }
  };
}

Range spliced(int pipe_bytes) {
  return [pipe_bytes](int in, int out, off_t begin, off_t end) {
    int p[2];
    check(::pipe(p) == 0, "pipe");
    check(::fcntl(p[1], F_SETPIPE_SZ, pipe_bytes) >= 0, "F_SETPIPE_SZ");
    off_t from = begin;
    off_t to = begin;
    while (from < end) {
      ssize_t n = ::splice(
          in, &from, p[1], nullptr,
          std::min<std::size_t>(static_cast<std::size_t>(pipe_bytes), static_cast<std::size_t>(end - from)), 0);
      check(n > 0, "splice in");
      while (n > 0) {
        const ssize_t m = ::splice(p[0], nullptr, out, &to, static_cast<std::size_t>(n), SPLICE_F_MOVE);
        check(m > 0, "splice out");
        n -= m;
      }
    }
    ::close(p[0]);
    ::close(p[1]);
  };
}

Range sent() {
  return [](int in, int out, off_t begin, off_t end) {
    check(::lseek(out, begin, SEEK_SET) == begin, "lseek");
    off_t from = begin;
    while (from < end) {
      check(::sendfile(out, in, &from, static_cast<std::size_t>(end - from)) > 0, "sendfile");
    }
  };
}

// The file in `threads` ranges, each copied by a thread.
Range split(int threads, Range part) {
  return [=](int in, int out, off_t begin, off_t end) {
    std::vector<std::thread> running;
    const off_t share = (end - begin) / threads / 4096 * 4096;
    for (int i = 0; i < threads; ++i) {
      const off_t from = begin + i * share;
      running.emplace_back(part, in, out, from, i + 1 == threads ? end : from + share);
    }
    for (auto& t : running) {
      t.join();
    }
  };
}

// `threads` threads take pieces in turn from the front.
Range shared_front(int threads, off_t piece, Range part) {
  return [=](int in, int out, off_t begin, off_t end) {
    std::mutex mutex;
    off_t next = begin;
    const auto work = [&] {
      for (;;) {
        off_t from = 0;
        {
          const std::scoped_lock lock(mutex);
          from = next;
          next = std::min(end, next + piece);
        }
        if (from >= end) {
          return;
        }
        part(in, out, from, std::min(end, from + piece));
      }
    };
    std::vector<std::thread> running;
    for (int i = 1; i < threads; ++i) {
      running.emplace_back(work);
    }
    work();
    for (auto& t : running) {
      t.join();
    }
  };
}

// One thread reads, one writes, with two buffers between them.
Range pipeline(std::size_t chunk) {
  return [chunk](int in, int out, off_t begin, off_t end) {
    constexpr int buffers = 4;
    char* memory = static_cast<char*>(std::aligned_alloc(4096, chunk * buffers));
    std::mutex mutex;
    std::condition_variable changed;
    int full = 0;
    std::thread writer([&] {
      int slot = 0;
      for (off_t at = begin; at < end;) {
        {
          std::unique_lock lock(mutex);
          changed.wait(lock, [&] { return full > 0; });
        }
        const auto n = std::min<std::size_t>(chunk, static_cast<std::size_t>(end - at));
        check(::pwrite(out, memory + static_cast<std::size_t>(slot) * chunk, n, at) == static_cast<ssize_t>(n),
              "pwrite");
        at += static_cast<off_t>(n);
        slot = (slot + 1) % buffers;
        const std::scoped_lock lock(mutex);
        --full;
        changed.notify_one();
      }
    });
    int slot = 0;
    for (off_t at = begin; at < end;) {
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return full < buffers; });
      }
      const auto n = std::min<std::size_t>(chunk, static_cast<std::size_t>(end - at));
      check(::pread(in, memory + static_cast<std::size_t>(slot) * chunk, n, at) == static_cast<ssize_t>(n), "pread");
      at += static_cast<off_t>(n);
      slot = (slot + 1) % buffers;
      const std::scoped_lock lock(mutex);
      ++full;
      changed.notify_one();
    }
    writer.join();
    std::free(memory);
  };
}

#ifdef WITH_FERRY
Range by_ferry() {
  return [](int in, int out, off_t, off_t) {
    struct statx in_status = {};
    struct statx out_status = {};
    check(::statx(in, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &in_status) == 0, "statx");
    check(::statx(out, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &out_status) == 0, "statx");
    ferry::FileCopier copier({});
    check(copier.copy(in, in_status, out, 0, makedev(out_status.stx_dev_major, out_status.stx_dev_minor)).has_value(),
          "ferry");
  };
}
#endif

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void run_cp(const char* source, const char* destination) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execlp("cp", "cp", source, destination, nullptr);
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  check(status == 0, "cp");
}

void run_range(const char* source, const char* destination, const Range& range) {
  const int in = ::open(source, O_RDONLY | O_CLOEXEC);
  const int out = ::open(destination, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  check(in >= 0 && out >= 0, "open");
  struct stat status = {};
  ::fstat(in, &status);
  range(in, out, 0, status.st_size);
  ::close(in);
  ::close(out);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    return 2;
  }
  const char* source = argv[1];
  const std::string destination = argv[2];
  const int rounds = std::atoi(argv[3]);
  std::vector<std::pair<std::string, Range>> ways = {
      {"cp", {}},
#ifdef WITH_FERRY
      {"ferry", by_ferry()},
#endif
      {"copy_file_range 8M", kernel_copy(8 << 20)},
      {"copy_file_range 1G", kernel_copy(1 << 30)},
      {"splice 64K", spliced(64 << 10)},
      {"splice 128K", spliced(128 << 10)},
      {"splice 256K", spliced(256 << 10)},
      {"splice 1M", spliced(1 << 20)},
      {"sendfile", sent()},
      {"read_write 64K", read_write(64 << 10)},
      {"read_write 128K", read_write(128 << 10)},
      {"read_write 256K", read_write(256 << 10)},
      {"read_write 512K", read_write(512 << 10)},
      {"read_write 1M", read_write(1 << 20)},
      {"read_write 4M", read_write(4 << 20)},
      {"pipeline 256K", pipeline(256 << 10)},
      {"pipeline 1M", pipeline(1 << 20)},
      {"2 ranges read_write 128K", split(2, read_write(128 << 10))},
      {"2 ranges read_write 256K", split(2, read_write(256 << 10))},
      {"2 threads 8M read_write 256K", shared_front(2, 8 << 20, read_write(256 << 10))},
      {"2 threads 8M copy_file_range", shared_front(2, 8 << 20, kernel_copy(8 << 20))},
      {"2 threads 8M splice 1M", shared_front(2, 8 << 20, spliced(1 << 20))},
  };
  if (argc > 4) {
    std::erase_if(ways, [&](const auto& way) {
      return way.first != "cp" &&
             std::none_of(argv + 4, argv + argc, [&](const char* want) { return way.first == want; });
    });
  }
  std::map<std::string, std::vector<double>> times;
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < ways.size(); ++i) {
      const auto& [name, range] =
          ways[(i + static_cast<std::size_t>(round)) % ways.size()];  // nobody always goes first
      const std::string target = destination + "." + std::to_string(round);
      times[name].push_back(seconds_of([&] {
        if (range) {
          run_range(source, target.c_str(), range);
        } else {
          run_cp(source, target.c_str());
        }
      }));
      ::unlink(target.c_str());
      ::usleep(50'000);  // let the freeing of the blocks end
    }
  }
  double cp = 0;
  for (const auto& [name, range] : ways) {
    auto& t = times[name];
    std::sort(t.begin(), t.end());
    const double median = t[t.size() / 2];
    cp = name == "cp" ? median : cp;
    std::printf("%-30s median %7.1f ms  least %7.1f ms  %.2fx cp\n", name.c_str(), median * 1e3, t[0] * 1e3,
                cp / median);
  }
}
