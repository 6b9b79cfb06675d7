#include "support/fault_plan.hpp"

#include <dirent.h>
#include <linux/io_uring.h>
#include <sys/uio.h>

#include <algorithm>
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
  unsigned ring_flags_unset = 0;
  // Submissions that were made NOPs, until they are answered. Kept when a plan ends before they are.
  struct Answer {
    int ring;
    std::uint64_t user_data;
    int result;
  };
  std::vector<Answer> answers;
};

Plan& plan() {
  static Plan instance;
  return instance;
}
std::atomic<bool> any_plan = false;
std::atomic<std::size_t> answers_due = 0;

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
  p.answers.clear();
  answers_due = 0;
  p.hides_entry_types = false;
  p.ring_flags_unset = 0;
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

void FaultPlan::unset_ring_flags(unsigned flags) {
  const std::scoped_lock lock(plan().mutex);
  plan().ring_flags_unset = flags;
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

unsigned altered_ring_flags(unsigned flags) noexcept {
  if (!any_plan) {
    return flags;
  }
  Plan& p = plan();
  const std::scoped_lock lock(p.mutex);
  p.injected += (flags & p.ring_flags_unset) != 0 ? 1 : 0;
  return flags & ~p.ring_flags_unset;
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

namespace {

constexpr std::uint64_t at_position = UINT64_MAX;

sys::Call call_of(const io_uring_sqe& submission) noexcept {
  using sys::Call;
  switch (submission.opcode) {
    case IORING_OP_READ: return submission.off == at_position ? Call::read : Call::pread;
    case IORING_OP_WRITE: return submission.off == at_position ? Call::write : Call::pwrite;
    case IORING_OP_READ_FIXED: return Call::pread;
    case IORING_OP_WRITE_FIXED: return Call::pwrite;
    case IORING_OP_READV: return Call::preadv;
    case IORING_OP_WRITEV: return Call::pwritev;
    case IORING_OP_FSYNC: return (submission.fsync_flags & IORING_FSYNC_DATASYNC) != 0 ? Call::fdatasync : Call::fsync;
    case IORING_OP_OPENAT: return Call::openat;
    case IORING_OP_CLOSE: return Call::close;
    case IORING_OP_STATX: return Call::statx;
    case IORING_OP_FALLOCATE: return Call::fallocate;
    case IORING_OP_UNLINKAT: return Call::unlinkat;
    case IORING_OP_RENAMEAT: return Call::renameat2;
    case IORING_OP_MKDIRAT: return Call::mkdirat;
    case IORING_OP_LINKAT: return Call::linkat;
    case IORING_OP_SYMLINKAT: return Call::symlinkat;
    case IORING_OP_SPLICE: return Call::splice;
    case IORING_OP_POLL_ADD: return Call::io_uring_poll;
    case IORING_OP_ASYNC_CANCEL: return Call::io_uring_cancel;
    default: return Call::io_uring_nop;
  }
}

bool has_length(const io_uring_sqe& submission) noexcept {
  switch (submission.opcode) {
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_READ_FIXED:
    case IORING_OP_WRITE_FIXED:
    case IORING_OP_SPLICE: return true;
    default: return false;
  }
}

void shorten(io_uring_sqe& submission, sys::Call call) noexcept {
  if (has_length(submission)) {
    submission.len = static_cast<unsigned>(limited_length(call, submission.len));
  } else if (submission.opcode == IORING_OP_READV || submission.opcode == IORING_OP_WRITEV) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel's struct has it as a number
    const auto* const first = reinterpret_cast<const iovec*>(submission.addr);
    if (const std::size_t limit = limited_length(call, first->iov_len); limit < first->iov_len) {
      submission.opcode = submission.opcode == IORING_OP_READV ? IORING_OP_READ : IORING_OP_WRITE;
      submission.addr = reinterpret_cast<std::uint64_t>(first->iov_base);
      submission.len = static_cast<unsigned>(limit);
    }
  }
}

}  // namespace

void alter_submission(int ring, io_uring_sqe& submission) noexcept {
  if (!any_plan) {
    return;
  }
  const sys::Call call = call_of(submission);
  shorten(submission, call);
  long result = 0;
  if (!detail::intercept(call, result)) {
    return;
  }
  const std::uint64_t user_data = submission.user_data;
  submission = {};
  submission.opcode = IORING_OP_NOP;
  submission.fd = -1;
  submission.user_data = user_data;
  const std::scoped_lock lock(plan().mutex);
  plan().answers.push_back({ring, user_data, result < 0 ? -errno : static_cast<int>(result)});
  answers_due = plan().answers.size();
}

int altered_result(int ring, const io_uring_cqe& completion) noexcept {
  if (answers_due == 0) {
    return completion.res;
  }
  Plan& p = plan();
  const std::scoped_lock lock(p.mutex);
  const auto found = std::ranges::find_if(p.answers, [&](const Plan::Answer& answer) {
    return answer.ring == ring && answer.user_data == completion.user_data;
  });
  if (found == p.answers.end()) {
    return completion.res;
  }
  const int result = found->result;
  p.answers.erase(found);
  answers_due = p.answers.size();
  return result;
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
