#include "bench/mmap/timed_loop.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <vector>

#include "bench/process_memory.hpp"

namespace ferry::bench {
namespace {

// Keeps what a run found instead of printing it.
class Collector final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& /*context*/) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.error_occurred) {
        failure = run.error_message.empty() ? "failed" : run.error_message;
      }
      seconds = run.real_accumulated_time;
      repetitions = static_cast<std::uint64_t>(run.iterations);  // of all threads
    }
  }

  std::string failure = "no run was reported";
  double seconds = 0;
  std::uint64_t repetitions = 0;
};

Outcome<Collector> run(const TimedLoop& loop, const std::function<void(benchmark::internal::Benchmark&)>& set_length) {
  benchmark::ClearRegisteredBenchmarks();
  auto* const registered = benchmark::RegisterBenchmark("loop", loop.body);
  registered->UseRealTime()->Threads(static_cast<int>(loop.threads));
  set_length(*registered);
  Collector found;
  found.failure.clear();
  benchmark::RunSpecifiedBenchmarks(&found, "all");
  benchmark::ClearRegisteredBenchmarks();
  if (found.failure.empty() && found.repetitions == 0) {
    found.failure = "Google Benchmark reported no run";
  }
  return found.failure.empty() ? Outcome<Collector>(found) : std::unexpected(found.failure);
}

struct ProcessorTime {
  std::chrono::nanoseconds user{0};
  std::chrono::nanoseconds system{0};
  std::uint64_t voluntary_switches = 0;
  std::uint64_t involuntary_switches = 0;
};

std::chrono::nanoseconds nanoseconds_of(const timeval& time) noexcept {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

ProcessorTime processor_time() noexcept {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return {.user = nanoseconds_of(usage.ru_utime),
          .system = nanoseconds_of(usage.ru_stime),
          .voluntary_switches = static_cast<std::uint64_t>(usage.ru_nvcsw),
          .involuntary_switches = static_cast<std::uint64_t>(usage.ru_nivcsw)};
}

}  // namespace

Outcome<std::uint64_t> repetitions_for(const TimedLoop& loop, std::chrono::milliseconds at_least) {
  const auto found = run(loop, [&](benchmark::internal::Benchmark& registered) {
    registered.MinTime(std::chrono::duration<double>(at_least).count());
  });
  return found ? Outcome<std::uint64_t>(found->repetitions / loop.threads) : std::unexpected(found.error());
}

Outcome<Cost> time_loop(const TimedLoop& loop, std::uint64_t repetitions) {
  const ProcessorTime before = processor_time();
  const auto found = run(loop, [&](benchmark::internal::Benchmark& registered) {
    registered.Iterations(static_cast<benchmark::IterationCount>(repetitions));
  });
  if (!found) {
    return std::unexpected(found.error());
  }
  const ProcessorTime after = processor_time();
  Cost cost;
  cost.wall = std::chrono::nanoseconds(std::llround(found->seconds * 1e9));
  cost.user = after.user - before.user;
  cost.system = after.system - before.system;
  cost.voluntary_switches = after.voluntary_switches - before.voluntary_switches;
  cost.involuntary_switches = after.involuntary_switches - before.involuntary_switches;
  cost.max_rss_bytes = resident_bytes_of_tree(::getpid()).value_or(0);
  return cost;
}

std::string timed_loop_version() { return "Google Benchmark " FERRY_GOOGLE_BENCHMARK_VERSION; }

}  // namespace ferry::bench
