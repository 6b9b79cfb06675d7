// Measures what a no-op costs through the loop and through liburing alone; the numbers in docs/PERFORMANCE.md come from
// it. Not part of the build:
//   g++ -O2 -std=c++23 -Iinclude tests/ring/measure/round_trips.cpp build/release/libferry.a -lfmt -lspdlog -lxxhash
//   -luring -pthread -o round_trips
// By turns; prints the median of the rounds in nanoseconds for each round trip.
#include <liburing.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <ferry/task.hpp>

namespace {

constexpr int times = 200'000;
constexpr int rounds = 11;

template <typename Work>
double nanoseconds_each(Work work) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) {
    work();
  }
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count() / times;
}

void check(bool ok, const char* what) {
  if (!ok) {
    std::perror(what);
    std::exit(1);
  }
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main() {
  io_uring plain = {};
  check(io_uring_queue_init(256, &plain, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) == 0, "liburing");
  io_uring_register_ring_fd(&plain);
  auto loop = ferry::Loop::create({.backend = ferry::LoopBackend::uring});
  check(loop.has_value(), "loop");
  ferry::Operation operation;
  std::array<std::vector<double>, 4> results;
  for (int round = 0; round < rounds; ++round) {
    results[0].push_back(nanoseconds_each([&] {
      io_uring_prep_nop(io_uring_get_sqe(&plain));
      io_uring_submit_and_wait(&plain, 1);
      io_uring_cqe* completion = nullptr;
      io_uring_peek_cqe(&plain, &completion);
      io_uring_cqe_seen(&plain, completion);
    }));
    results[1].push_back(nanoseconds_each([&] {
      loop->start(operation, ferry::request::Nop{});
      check(loop->run_once().has_value() && !operation.in_flight(), "run_once");
    }));
    results[2].push_back(nanoseconds_each([&] {
      loop->start(operation, ferry::request::Timer{});
      check(loop->run_once().has_value() && !operation.in_flight(), "run_once");
    }));
    const auto by_coroutine = [&]() -> ferry::Task<void> {
      for (int i = 0; i < times; ++i) {
        (void)co_await loop->nop();
      }
    };
    const auto begin = std::chrono::steady_clock::now();
    check(ferry::run(*loop, by_coroutine()).has_value(), "run");
    results[3].push_back(std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count() /
                         times);
  }
  const std::array<const char*, 4> names = {"liburing, NOP", "loop, NOP", "loop, timer 0", "coroutine, NOP"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::printf("%-16s %7.1f ns  %.2fx\n", names[i], median(results[i]), median(results[i]) / median(results[0]));
  }
}
