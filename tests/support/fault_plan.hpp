// The fault plan of the test build's syscall seam: decides, per system call, whether the kernel is asked at all.
//
//   FaultPlan plan;                                    // faults are active while it lives; one at a time
//   plan.fail(Call::pwrite, ENOSPC, {.first = 3});     // the 3rd pwrite fails
//   plan.answer(Call::copy_file_range, 0);             // every copy_file_range returns 0
//   plan.limit(Call::write, 1000);                     // write never moves more than 1000 bytes in one call
//   plan.count(Call::read)                             // calls seen, injected ones included
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/sys.hpp"

namespace ferry::testing {

// Which occurrences of a call are hit: number `first` (1 is the first call) and the `times - 1` after it.
struct Occurrences {
  std::uint64_t first = 1;
  std::uint64_t times = UINT64_MAX;
};

class FaultPlan {
 public:
  FaultPlan();
  ~FaultPlan();
  FaultPlan(const FaultPlan&) = delete;
  FaultPlan& operator=(const FaultPlan&) = delete;

  // The calls hit fail with `errno_value`; the kernel is not asked.
  void fail(sys::Call call, int errno_value, Occurrences hit = {});
  // The calls hit return `result` (>= 0); the kernel is not asked.
  void answer(sys::Call call, long result, Occurrences hit = {});
  // The calls hit are asked to move at most `bytes` each.
  void limit(sys::Call call, std::size_t bytes, Occurrences hit = {});
  // getdents64 tells no types (d_type is DT_UNKNOWN), as on file systems that do not store them.
  void hide_entry_types();
  // Rings are set up without these IORING_SETUP_* flags and the caller is not told: as if the machine could.
  void unset_ring_flags(unsigned flags);
  // Calls so far, injected ones included.
  [[nodiscard]] std::uint64_t count(sys::Call call) const;
  // All calls so far.
  [[nodiscard]] std::uint64_t total() const;
  // How many calls were answered by the plan: a test asserts on it that its fault was really met.
  [[nodiscard]] std::uint64_t injected() const;
};

namespace detail {
// Whether this call is to be answered by the plan; then `result` is the answer and errno is set if it is -1.
bool intercept(sys::Call call, long& result) noexcept;
}  // namespace detail

template <typename Function>
auto with_fault(sys::Call call, Function& function) noexcept -> decltype(function()) {
  long result = 0;
  if (detail::intercept(call, result)) {
    return static_cast<decltype(function())>(result);
  }
  return function();
}
template <typename Function>
auto with_fault(sys::Call call, Function&& function) noexcept -> decltype(function()) {
  return with_fault(call, function);
}

// The flags that a ring is set up with.
unsigned altered_ring_flags(unsigned flags) noexcept;

// Changes what getdents64 has filled in as the plan says.
void alter_entries(void* buffer, long filled) noexcept;

// A submission to io_uring, as the system call it stands for. One that the plan answers becomes a NOP, whose completion
// then tells the plan's answer.
void alter_submission(int ring, io_uring_sqe& submission) noexcept;
int altered_result(int ring, const io_uring_cqe& completion) noexcept;

std::size_t limited_length(sys::Call call, std::size_t length) noexcept;

}  // namespace ferry::testing
