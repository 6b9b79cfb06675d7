#include "bench/hardware_counters.hpp"

#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace ferry::bench {
namespace {

constexpr std::uint64_t last_level(std::uint64_t operation, std::uint64_t result) {
  return PERF_COUNT_HW_CACHE_LL | (operation << 8U) | (result << 16U);  // perf_event_open(2), PERF_TYPE_HW_CACHE
}

// More events than the processor has counters for take turns on them: then what was counted is a share of the time.
std::optional<std::uint64_t> read_event(const UniqueFd& event) {
  struct {
    std::uint64_t value;
    std::uint64_t enabled;
    std::uint64_t running;
  } counted = {};
  if (!event || ::read(event.get(), &counted, sizeof counted) != static_cast<ssize_t>(sizeof counted) ||
      (counted.running == 0 && counted.enabled != 0)) {
    return std::nullopt;
  }
  if (counted.running == counted.enabled) {
    return counted.value;
  }
  return static_cast<std::uint64_t>(static_cast<double>(counted.value) * static_cast<double>(counted.enabled) /
                                    static_cast<double>(counted.running));
}

}  // namespace

int open_counter(perf_event_attr& attributes, pid_t process) {
  const long fd = ::syscall(SYS_perf_event_open, &attributes, process, -1, -1, PERF_FLAG_FD_CLOEXEC);
  return fd < 0 ? -errno : static_cast<int>(fd);
}

// A child inherits the counters of the process that forks it, disabled as they are, and enable_on_exec starts the
// child's alone; at its end they are added to the parent's.
HardwareCounters HardwareCounters::of_programs(const OpenCounter& open) { return {0, true, open}; }

HardwareCounters HardwareCounters::of_process(pid_t process, const OpenCounter& open) { return {process, false, open}; }

HardwareCounters::HardwareCounters(pid_t process, bool programs, const OpenCounter& open) {
  constexpr std::array<std::uint64_t, event_count> configurations = {
      last_level(PERF_COUNT_HW_CACHE_OP_READ, PERF_COUNT_HW_CACHE_RESULT_ACCESS),
      last_level(PERF_COUNT_HW_CACHE_OP_READ, PERF_COUNT_HW_CACHE_RESULT_MISS),
      last_level(PERF_COUNT_HW_CACHE_OP_WRITE, PERF_COUNT_HW_CACHE_RESULT_ACCESS),
      last_level(PERF_COUNT_HW_CACHE_OP_WRITE, PERF_COUNT_HW_CACHE_RESULT_MISS)};
  int refusal = 0;
  bool any = false;
  for (std::size_t i = 0; i < event_count; ++i) {
    perf_event_attr attributes = {};
    attributes.type = PERF_TYPE_HW_CACHE;
    attributes.size = sizeof attributes;
    attributes.config = configurations[i];
    attributes.disabled = 1;
    attributes.inherit = 1;
    attributes.enable_on_exec = programs ? 1 : 0;
    attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    const int fd = open(attributes, process);
    if (fd >= 0) {
      events_[i].reset(fd);
      any = true;
    } else if (refusal == 0) {
      refusal = -fd;
    }
  }
  if (!any) {
    why_nothing_ = "perf_event_open: " + std::generic_category().message(refusal);
  }
}

void HardwareCounters::start() const {
  for (const UniqueFd& event : events_) {
    if (event) {
      ::ioctl(event.get(), PERF_EVENT_IOC_RESET, 0);
      ::ioctl(event.get(), PERF_EVENT_IOC_ENABLE, 0);
    }
  }
}

void HardwareCounters::stop() const {
  for (const UniqueFd& event : events_) {
    if (event) {
      ::ioctl(event.get(), PERF_EVENT_IOC_DISABLE, 0);
    }
  }
}

CacheTraffic HardwareCounters::read() const {
  CacheTraffic traffic{.loads = read_event(events_[loads]), .stores = read_event(events_[stores]), .misses = {}};
  const auto missed_loads = read_event(events_[load_misses]);
  const auto missed_stores = read_event(events_[store_misses]);
  if (missed_loads || missed_stores) {
    traffic.misses = missed_loads.value_or(0) + missed_stores.value_or(0);
  }
  return traffic;
}

}  // namespace ferry::bench
