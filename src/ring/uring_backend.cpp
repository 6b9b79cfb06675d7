// The backend on io_uring. What the kernel's ring has no operation for goes to the loop's threads.
#include <liburing.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/sys.hpp"
#include "ring/loop_core.hpp"
#include "ring/requests.hpp"

namespace ferry::detail {
namespace {

// user_data of what is no Operation's.
constexpr std::uint64_t nobody = 0;
constexpr std::uint64_t wake = 1;

std::uint64_t tag(const Operation& operation) noexcept { return reinterpret_cast<std::uint64_t>(&operation); }

}  // namespace

class UringBackend final : public Backend {
 public:
  UringBackend(LoopCore& core, Ring ring) noexcept : core_(core), ring_(std::move(ring)) {}

  void start(Operation& operation) override;
  void start_when_ready(Operation& operation) override;
  void cancel(Operation& operation) override;
  Result<void> wait(std::optional<std::chrono::nanoseconds> timeout) override;

 private:
  using State = Operation::State;

  void place(Operation& operation);
  void place_waiting();
  void fill(io_uring_sqe& submission, const Operation& operation) const noexcept;
  [[nodiscard]] io_uring_sqe* next_submission();
  void watch_wake();
  std::size_t reap();
  void reaped(Operation& operation, int result);

  LoopCore& core_;
  Ring ring_;
  OperationQueue waiting_;  // for a place in the ring
  std::size_t in_kernel_ = 0;
  bool wake_watched_ = false;
};

Result<std::unique_ptr<Backend>> make_uring_backend(LoopCore& core, unsigned entries) {
  auto ring = Ring::create({.entries = entries});
  if (!ring) {
    return std::unexpected(ring.error());
  }
  if (!ring->supports(IORING_OP_READ) || !ring->supports(IORING_OP_ASYNC_CANCEL)) {
    return fail(ENOSYS, "io_uring_setup", "operations that came with Linux 5.6 are missing");
  }
  if (core.pool) {
    (void)core.pool->register_with(*ring);  // the pool says so when it could not
  }
  return std::make_unique<UringBackend>(core, std::move(*ring));
}

namespace {

// The ring's operation for a request; -1: it has none.
int opcode_of(const Request& request, bool registered_buffer) noexcept {
  struct Visitor {
    bool fixed;
    int operator()(const request::Nop&) const { return IORING_OP_NOP; }
    int operator()(const request::Open&) const { return IORING_OP_OPENAT; }
    int operator()(const request::Read&) const { return fixed ? IORING_OP_READ_FIXED : IORING_OP_READ; }
    int operator()(const request::Write&) const { return fixed ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE; }
    int operator()(const request::ReadVector&) const { return IORING_OP_READV; }
    int operator()(const request::WriteVector&) const { return IORING_OP_WRITEV; }
    int operator()(const request::Sync&) const { return IORING_OP_FSYNC; }
    int operator()(const request::Stat&) const { return IORING_OP_STATX; }
    int operator()(const request::Allocate&) const { return IORING_OP_FALLOCATE; }
    int operator()(const request::Unlink&) const { return IORING_OP_UNLINKAT; }
    int operator()(const request::Rename&) const { return IORING_OP_RENAMEAT; }
    int operator()(const request::MakeDirectory&) const { return IORING_OP_MKDIRAT; }
    int operator()(const request::Link&) const { return IORING_OP_LINKAT; }
    int operator()(const request::Symlink&) const { return IORING_OP_SYMLINKAT; }
    int operator()(const request::Splice&) const { return IORING_OP_SPLICE; }
    int operator()(const request::Close&) const { return IORING_OP_CLOSE; }
    int operator()(const request::CopyFileRange&) const { return -1; }
    int operator()(const request::ReadManaged&) const { return -1; }  // a Read by now
    int operator()(const request::Timer&) const { return -1; }        // the loop's own
    int operator()(const request::RepeatingTimer&) const { return -1; }
  };
  return std::visit(Visitor{registered_buffer}, request);
}

unsigned step_of(const Buffer& buffer, std::uint64_t moved) noexcept {
  return static_cast<unsigned>(std::min<std::uint64_t>(buffer.size() - moved, most_bytes_at_once));
}

}  // namespace

void UringBackend::start(Operation& operation) {
  const int opcode = opcode_of(operation.request_, false);
  if (operation.on_worker_ || opcode < 0 || !ring_.supports(static_cast<unsigned>(opcode))) {
    core_.to_worker(operation);
    return;
  }
  operation.polling_ = false;
  place(operation);
}

void UringBackend::start_when_ready(Operation& operation) {
  const Readiness needed = readiness_needed(operation.request_);
  operation.awaited_fd_ = needed.fd;
  operation.awaited_events_ = needed.events;
  operation.polling_ = true;
  operation.on_worker_ = false;
  place(operation);
}

// No more operations are given to the kernel than there are places for their completions: nothing overflows.
void UringBackend::place(Operation& operation) {
  io_uring_sqe* const submission =
      waiting_.empty() && in_kernel_ < ring_.completion_entries() - 2 ? next_submission() : nullptr;
  if (submission == nullptr) {
    operation.state_ = State::queued;
    waiting_.push(operation);
    return;
  }
  fill(*submission, operation);
  operation.state_ = State::working;
  ++in_kernel_;
}

void UringBackend::place_waiting() {
  while (!waiting_.empty() && in_kernel_ < ring_.completion_entries() - 2) {
    io_uring_sqe* const submission = next_submission();
    if (submission == nullptr) {
      return;
    }
    Operation& operation = *waiting_.pop();
    fill(*submission, operation);
    operation.state_ = State::working;
    ++in_kernel_;
  }
}

io_uring_sqe* UringBackend::next_submission() {
  io_uring_sqe* submission = ring_.next_submission();
  if (submission == nullptr && ring_.submit()) {  // an error is met again, and reported, by the next wait
    submission = ring_.next_submission();
  }
  return submission;
}

namespace {

// Fills a submission in.
struct Filler {
  io_uring_sqe* s;
  const Operation& o;
  std::uint64_t ring_id;

  void operator()(const request::Nop&) const { io_uring_prep_nop(s); }
  void operator()(const request::Open& r) const {
    io_uring_prep_openat(s, r.dirfd, r.path, r.flags | O_CLOEXEC, r.mode);
  }
  void operator()(const request::Read& r) const {
    const std::uint64_t offset = r.offset == at_position ? at_position : r.offset + o.bytes_moved();
    const int index = r.buffer.registered_index(ring_id);
    if (index >= 0 && r.offset != at_position) {
      io_uring_prep_read_fixed(s, r.fd, r.buffer.data() + o.bytes_moved(), step_of(r.buffer, o.bytes_moved()), offset,
                               index);
    } else {
      io_uring_prep_read(s, r.fd, r.buffer.data() + o.bytes_moved(), step_of(r.buffer, o.bytes_moved()), offset);
    }
  }
  void operator()(const request::Write& r) const {
    const std::uint64_t offset = r.offset == at_position ? at_position : r.offset + o.bytes_moved();
    const int index = r.buffer.registered_index(ring_id);
    if (index >= 0 && r.offset != at_position) {
      io_uring_prep_write_fixed(s, r.fd, r.buffer.data() + o.bytes_moved(), step_of(r.buffer, o.bytes_moved()), offset,
                                index);
    } else {
      io_uring_prep_write(s, r.fd, r.buffer.data() + o.bytes_moved(), step_of(r.buffer, o.bytes_moved()), offset);
    }
  }
  void operator()(const request::ReadVector& r) const {
    io_uring_prep_readv(s, r.fd, r.vectors.data(), static_cast<unsigned>(r.vectors.size()), r.offset);
  }
  void operator()(const request::WriteVector& r) const {
    io_uring_prep_writev(s, r.fd, r.vectors.data(), static_cast<unsigned>(r.vectors.size()), r.offset);
  }
  void operator()(const request::Sync& r) const {
    io_uring_prep_fsync(s, r.fd, r.data_only ? IORING_FSYNC_DATASYNC : 0);
  }
  void operator()(const request::Stat& r) const { io_uring_prep_statx(s, r.dirfd, r.path, r.flags, r.mask, r.out); }
  void operator()(const request::Allocate& r) const {
    // Whole, where liburing 2.3 has `off_t` for the length and 2.4 `__u64`.
    io_uring_prep_fallocate(s, r.fd, r.mode, static_cast<off_t>(r.offset), static_cast<off_t>(r.length));
  }
  void operator()(const request::Unlink& r) const { io_uring_prep_unlinkat(s, r.dirfd, r.path, r.flags); }
  void operator()(const request::Rename& r) const {
    io_uring_prep_renameat(s, r.old_dirfd, r.old_path, r.new_dirfd, r.new_path, r.flags);
  }
  void operator()(const request::MakeDirectory& r) const { io_uring_prep_mkdirat(s, r.dirfd, r.path, r.mode); }
  void operator()(const request::Link& r) const {
    io_uring_prep_linkat(s, r.old_dirfd, r.old_path, r.new_dirfd, r.new_path, r.flags);
  }
  void operator()(const request::Symlink& r) const { io_uring_prep_symlinkat(s, r.target, r.dirfd, r.path); }
  void operator()(const request::Splice& r) const {
    const auto length = static_cast<unsigned>(std::min(r.length, most_bytes_at_once));
    io_uring_prep_splice(s, r.in, static_cast<std::int64_t>(r.in_offset), r.out,
                         static_cast<std::int64_t>(r.out_offset), length, r.flags);
  }
  void operator()(const request::Close& r) const { io_uring_prep_close(s, r.fd); }
  void operator()(const auto&) const { io_uring_prep_nop(s); }  // never: start() gives these to others
};

}  // namespace

void UringBackend::fill(io_uring_sqe& s, const Operation& operation) const noexcept {
  if (operation.polling_) {
    io_uring_prep_poll_add(&s, operation.awaited_fd_, static_cast<unsigned>(operation.awaited_events_));
  } else {
    std::visit(Filler{&s, operation, ring_.id()}, operation.request_);
  }
  s.user_data = tag(operation);
}

void UringBackend::cancel(Operation& operation) {
  if (waiting_.remove(operation) || (operation.on_worker_ && core_.workers().take_back(operation))) {
    core_.settle(operation, -ECANCELED);
    return;
  }
  if (operation.on_worker_) {
    return;  // at work, or done; not to be interrupted
  }
  io_uring_sqe* submission = next_submission();
  for (int attempt = 0; submission == nullptr && attempt < 3; ++attempt) {
    reap();  // makes room for what the kernel could not complete
    submission = next_submission();
  }
  if (submission != nullptr && operation.state_ == State::working) {
    io_uring_prep_cancel64(submission, tag(operation), 0);
    submission->user_data = nobody;
  } else if (submission != nullptr) {  // done meanwhile: a place is taken, and must be filled
    io_uring_prep_nop(submission);
    submission->user_data = nobody;
  }
}

// The wake descriptor is polled, not read: a poll refers to no memory.
void UringBackend::watch_wake() {
  if (wake_watched_) {
    return;
  }
  if (io_uring_sqe* const submission = next_submission()) {
    io_uring_prep_poll_add(submission, core_.wake_fd(), POLLIN);
    submission->user_data = wake;
    wake_watched_ = true;
  }
}

Result<void> UringBackend::wait(std::optional<std::chrono::nanoseconds> timeout) {
  place_waiting();
  const bool waits = !timeout || timeout->count() > 0;
  if (waits) {
    watch_wake();
  }
  const auto submitted = waits ? ring_.submit_and_wait(1, timeout) : ring_.submit();
  const std::size_t completions = reap();
  if (submitted || completions > 0) {
    return {};
  }
  const int error = submitted.error().errno_value();
  if (error == EAGAIN || error == EBUSY) {
    // The kernel has no memory for more requests just now, or nowhere to put completions: none is lost.
    if (waits) {
      (void)sys::poll(nullptr, 0, 1);
    }
    return {};
  }
  return std::unexpected(submitted.error());
}

std::size_t UringBackend::reap() {
  std::size_t count = 0;
  for (RingCompletion completion; ring_.next_completion(completion);) {
    ++count;
    if (completion.user_data == wake) {
      wake_watched_ = false;
      core_.clear_wake();
    } else if (completion.user_data != nobody) {
      --in_kernel_;
      reaped(*reinterpret_cast<Operation*>(completion.user_data), completion.result);
    }
  }
  return count;
}

void UringBackend::reaped(Operation& operation, int result) {
  operation.state_ = State::queued;
  if (!operation.polling_) {
    core_.settle(operation, result);
  } else if (result < 0) {
    operation.polling_ = false;
    core_.settle(operation, result);
  } else if (operation.cancelled_) {
    core_.settle(operation, -ECANCELED);
  } else {
    start(operation);
  }
}

}  // namespace ferry::detail
