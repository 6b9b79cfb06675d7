#include "support/fault_plan.hpp"

#include <dirent.h>

#include <array>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <mutex>
#include <vector>

namespace ferry::testing {
namespace {

enum class Kind : std::uint8_t { fail, answer, limit };

struct Fault {
  sys::Call call;
  Kind kind;
  long value;  // errno, result or byte limit
  Occurrences hit;
};

struct Plan {
  std::mutex mutex;
  bool active = false;
  std::vector<Fault> faults;
  std::array<std::uint64_t, static_cast<std::size_t>(sys::Call::count_)> counts = {};
  std::uint64_t injected = 0;
  bool hides_entry_types = false;
};

Plan& plan() {
  static Plan instance;
  return instance;
}
std::atomic<bool> any_plan = false;

bool hits(const Occurrences& hit, std::uint64_t number) {
  return number >= hit.first && number - hit.first < hit.times;
}

void add(Fault fault) {
  Plan& p = plan();
  const std::scoped_lock lock(p.mutex);
  p.faults.push_back(fault);
}

}  // namespace

FaultPlan::FaultPlan() {
  Plan& p = plan();
  const std::scoped_lock lock(p.mutex);
  assert(!p.active && "one fault plan at a time");
  p.active = true;
  p.faults.clear();
  p.counts.fill(0);
  p.injected = 0;
  p.hides_entry_types = false;
  any_plan = true;
}

FaultPlan::~FaultPlan() {
  Plan& p = plan();
  const std::scoped_lock lock(p.mutex);
  any_plan = false;
  p.active = false;
  p.faults.clear();
}

void FaultPlan::fail(sys::Call call, int errno_value, Occurrences hit) { add({call, Kind::fail, errno_value, hit}); }
void FaultPlan::answer(sys::Call call, long result, Occurrences hit) { add({call, Kind::answer, result, hit}); }
void FaultPlan::limit(sys::Call call, std::size_t bytes, Occurrences hit) {
  add({call, Kind::limit, static_cast<long>(bytes), hit});
}

void FaultPlan::hide_entry_types() {
  const std::scoped_lock lock(plan().mutex);
  plan().hides_entry_types = true;
}

std::uint64_t FaultPlan::count(sys::Call call) const {
  const std::scoped_lock lock(plan().mutex);
  return plan().counts.at(static_cast<std::size_t>(call));
}

std::uint64_t FaultPlan::total() const {
  const std::scoped_lock lock(plan().mutex);
  std::uint64_t sum = 0;
  for (const std::uint64_t n : plan().counts) {
    sum += n;
  }
  return sum;
}

std::uint64_t FaultPlan::injected() const {
  const std::scoped_lock lock(plan().mutex);
  return plan().injected;
}

bool detail::intercept(sys::Call call, long& result) noexcept {
  if (!any_plan) {
    return false;
  }
  Plan& p = plan();
  const std::scoped_lock lock(p.mutex);
  const std::uint64_t number = ++p.counts.at(static_cast<std::size_t>(call));
  for (const Fault& fault : p.faults) {
    if (fault.call == call && fault.kind != Kind::limit && hits(fault.hit, number)) {
      ++p.injected;
      if (fault.kind == Kind::fail) {
        errno = static_cast<int>(fault.value);
        result = -1;
      } else {
        result = fault.value;
      }
      return true;
    }
  }
  return false;
}

void alter_entries(void* buffer, long filled) noexcept {
  if (!any_plan) {
    return;
  }
  Plan& p = plan();
  const std::scoped_lock lock(p.mutex);
  for (long offset = 0; p.hides_entry_types && offset < filled;) {
    auto* const entry = reinterpret_cast<dirent64*>(static_cast<char*>(buffer) + offset);
    entry->d_type = DT_UNKNOWN;
    ++p.injected;
    offset += entry->d_reclen;
  }
}

std::size_t limited_length(sys::Call call, std::size_t length) noexcept {
  if (!any_plan) {
    return length;
  }
  Plan& p = plan();
  const std::scoped_lock lock(p.mutex);
  const std::uint64_t number = p.counts.at(static_cast<std::size_t>(call)) + 1;  // the call about to be made
  for (const Fault& fault : p.faults) {
    if (fault.call == call && fault.kind == Kind::limit && hits(fault.hit, number) &&
        length > static_cast<std::size_t>(fault.value)) {
      ++p.injected;
      length = static_cast<std::size_t>(fault.value);
    }
  }
  return length;
}

}  // namespace ferry::testing
