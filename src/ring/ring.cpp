// Rings. liburing maps the queues and has the barriers; the system calls are made here, through the seam.
#include <liburing.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bitset>
#include <cassert>
#include <cerrno>
#include <utility>

#include <ferry/ring.hpp>

#include "base/log.hpp"
#include "base/sys.hpp"

namespace ferry {
namespace {

constexpr std::size_t probed_operations = 256;  // opcodes are bytes

std::atomic<std::uint64_t> last_id = 0;

}  // namespace

struct Ring::State {
  ~State();
  [[nodiscard]] Result<void> map(int fd, io_uring_params& parameters);
  void probe();
  void register_descriptor();
  [[nodiscard]] Result<unsigned> enter(unsigned wait_for, std::optional<std::chrono::nanoseconds> timeout);
  [[nodiscard]] Result<unsigned> hand_to_kernel_thread(unsigned wait_for,
                                                       std::optional<std::chrono::nanoseconds> timeout);
  [[nodiscard]] int call(unsigned submit, unsigned wait_for, unsigned flags,
                         std::optional<std::chrono::nanoseconds> timeout);
  [[nodiscard]] int wait_by_poll(std::chrono::nanoseconds timeout) const;
  [[nodiscard]] bool overflowed() const noexcept {
    return (__atomic_load_n(queues.sq.kflags, __ATOMIC_RELAXED) & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN)) != 0;
  }

  io_uring queues = {};
  bool mapped = false;
  bool polls_submissions = false;
  bool polls_completions = false;
  unsigned pending = 0;          // filled in, not taken by the kernel
  io_uring_sqe* open = nullptr;  // handed out last: complete when the next call comes
  RingFeatures features;
  std::bitset<probed_operations> operations;
  std::uint64_t id = ++last_id;
  pid_t process = ::getpid();

  // Gives the submission handed out last to the seam, now that the caller has filled it in.
  void seal() noexcept {
    if (open != nullptr) {
      sys::submitting(queues.ring_fd, *open);
      open = nullptr;
      ++pending;
    }
  }
};

namespace {

// From what newer kernels have down to plain; the first set of flags that is not EINVAL is taken.
constexpr unsigned since_6_1 = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
constexpr unsigned since_6_0 =
    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
constexpr unsigned since_5_19 = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
constexpr std::array<unsigned, 4> degradations = {since_6_1, since_6_0, since_5_19, 0};
// A kernel thread that submits does the work that the task would be notified of.
constexpr std::array<unsigned, 2> polled_degradations = {IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER, 0};

io_uring_params parameters_for(const RingOptions& options, unsigned flags) {
  io_uring_params parameters = {};
  parameters.flags = flags | IORING_SETUP_CLAMP;
  if (options.completion_entries != 0) {
    parameters.flags |= IORING_SETUP_CQSIZE;
    parameters.cq_entries = options.completion_entries;
  }
  if (options.poll_submissions) {
    parameters.flags |= IORING_SETUP_SQPOLL;
    parameters.sq_thread_idle = static_cast<unsigned>(options.poll_idle.count());
  }
  if (options.poll_completions) {
    parameters.flags |= IORING_SETUP_IOPOLL;
  }
  return parameters;
}

}  // namespace

Result<Ring> Ring::create(const RingOptions& options) {
  const std::span<const unsigned> tries = options.poll_submissions ? std::span<const unsigned>(polled_degradations)
                                                                   : std::span<const unsigned>(degradations);
  int fd = -EINVAL;
  io_uring_params parameters = {};
  for (const unsigned flags : tries) {
    parameters = parameters_for(options, flags);
    fd = sys::io_uring_setup(options.entries, parameters);
    if (fd != -EINVAL) {
      break;
    }
  }
  if (fd < 0) {
    return fail(-fd, "io_uring_setup", ring_refusal_cause(-fd));
  }
  auto state = std::make_unique<State>();
  state->polls_submissions = options.poll_submissions;
  state->polls_completions = options.poll_completions;
  if (const auto mapped = state->map(fd, parameters); !mapped) {
    return std::unexpected(mapped.error());
  }
  state->probe();
  state->register_descriptor();
  FERRY_LOG_DEBUG("io_uring {}: flags {:#x}, features {:#x}, {} and {} entries", state->id, parameters.flags,
                  parameters.features, parameters.sq_entries, parameters.cq_entries);
  return Ring(std::move(state));
}

Result<void> Ring::State::map(int fd, io_uring_params& parameters) {
  if (const int error = io_uring_queue_mmap(fd, &parameters, &queues); error != 0) {
    (void)sys::close(fd);
    return fail(-error, "mmap", "io_uring");
  }
  mapped = true;
  queues.features = parameters.features;
  // Place i of the queue is always submission i.
  for (unsigned i = 0; i < parameters.sq_entries; ++i) {
    queues.sq.array[i] = i;
  }
  features.single_issuer = (parameters.flags & IORING_SETUP_SINGLE_ISSUER) != 0;
  features.deferred_work = (parameters.flags & IORING_SETUP_DEFER_TASKRUN) != 0;
  features.cooperative_work = (parameters.flags & IORING_SETUP_COOP_TASKRUN) != 0;
  features.timed_wait = (parameters.features & IORING_FEAT_EXT_ARG) != 0;
  return {};
}

// IORING_REGISTER_PROBE came with 5.6, and so did all operations that are taken for granted without it.
void Ring::State::probe() {
  constexpr std::size_t bytes = sizeof(io_uring_probe) + sizeof(io_uring_probe_op) * probed_operations;
  alignas(io_uring_probe) std::array<std::byte, bytes> answer = {};
  const auto* const head = reinterpret_cast<const io_uring_probe*>(answer.data());
  if (sys::io_uring_register(queues.ring_fd, IORING_REGISTER_PROBE, answer.data(), probed_operations) < 0) {
    for (const unsigned known : {IORING_OP_NOP, IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC,
                                 IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED, IORING_OP_POLL_ADD}) {
      operations.set(known);
    }
    return;
  }
  const std::size_t told = std::min<std::size_t>(head->ops_len, probed_operations);
  for (std::size_t i = 0; i < told; ++i) {
    const io_uring_probe_op& operation = head->ops[i];
    operations.set(operation.op, (operation.flags & IO_URING_OP_SUPPORTED) != 0);
  }
}

// Spares every call the look-up of the descriptor. Only for the thread that made the ring.
void Ring::State::register_descriptor() {
  queues.enter_ring_fd = queues.ring_fd;
  io_uring_rsrc_update update = {};
  update.offset = ~0U;  // any place
  update.data = static_cast<unsigned>(queues.ring_fd);
  if (features.single_issuer && sys::io_uring_register(queues.ring_fd, IORING_REGISTER_RING_FDS, &update, 1) == 1) {
    queues.enter_ring_fd = static_cast<int>(update.offset);
    features.registered_descriptor = true;
  }
}

Ring::State::~State() {
  if (!mapped) {
    return;
  }
  if (features.registered_descriptor && process == ::getpid()) {
    io_uring_rsrc_update update = {};
    update.offset = static_cast<unsigned>(queues.enter_ring_fd);
    (void)sys::io_uring_register(queues.ring_fd, IORING_UNREGISTER_RING_FDS, &update, 1);
  }
  io_uring_queue_exit(&queues);  // unmaps and closes
}

Ring::Ring(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Ring::Ring(Ring&&) noexcept = default;
Ring& Ring::operator=(Ring&&) noexcept = default;
Ring::~Ring() = default;

io_uring_sqe* Ring::next_submission() noexcept {
  state_->seal();
  io_uring_sqe* const submission = io_uring_get_sqe(&state_->queues);
  if (submission != nullptr) {
    *submission = {};
    state_->open = submission;
  }
  return submission;
}

Result<unsigned> Ring::submit() { return state_->enter(0, std::nullopt); }

Result<unsigned> Ring::submit_and_wait(unsigned completions, std::optional<std::chrono::nanoseconds> timeout) {
  return state_->enter(completions, timeout);
}

Result<unsigned> Ring::State::enter(unsigned wait_for, std::optional<std::chrono::nanoseconds> timeout) {
  seal();
  queues.sq.sqe_head = queues.sq.sqe_tail;
  if (polls_submissions) {
    return hand_to_kernel_thread(wait_for, timeout);
  }
  io_uring_smp_store_release(queues.sq.ktail, queues.sq.sqe_tail);  // makes visible what was filled in
  unsigned taken = 0;
  for (;;) {
    const bool must_ask = wait_for > 0 || features.deferred_work || polls_completions || overflowed();
    if (pending == 0 && !must_ask) {
      return taken;
    }
    const int result = call(pending, wait_for, must_ask ? IORING_ENTER_GETEVENTS : 0, timeout);
    if (result == -ETIME) {
      return taken;
    }
    if (result < 0) {
      return taken > 0 ? Result<unsigned>(taken) : fail(-result, "io_uring_enter");
    }
    taken += static_cast<unsigned>(result);
    pending -= std::min(pending, static_cast<unsigned>(result));
    if (pending == 0 || result == 0) {
      return taken;
    }
    // Stopped at one that was wrong, before SUBMIT_ALL: its completion tells; go on behind it.
  }
}

Result<unsigned> Ring::State::hand_to_kernel_thread(unsigned wait_for,
                                                    std::optional<std::chrono::nanoseconds> timeout) {
  const unsigned taken = std::exchange(pending, 0);
  unsigned flags = 0;
  // The tail before the look at whether the thread sleeps, for all to see in this order: else both could miss it.
  __atomic_exchange_n(queues.sq.ktail, queues.sq.sqe_tail, __ATOMIC_SEQ_CST);
  if ((__atomic_load_n(queues.sq.kflags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP) != 0) {
    flags |= IORING_ENTER_SQ_WAKEUP;
  }
  if (wait_for > 0 || overflowed() || polls_completions) {
    flags |= IORING_ENTER_GETEVENTS;
  }
  if (flags == 0) {
    return taken;
  }
  const int result = call(0, wait_for, flags, timeout);
  return result < 0 && result != -ETIME ? fail(-result, "io_uring_enter") : Result<unsigned>(taken);
}

int Ring::State::call(unsigned submit, unsigned wait_for, unsigned flags,
                      std::optional<std::chrono::nanoseconds> timeout) {
  if (features.registered_descriptor) {
    flags |= IORING_ENTER_REGISTERED_RING;
  }
  if (!timeout || wait_for == 0) {
    return sys::io_uring_enter(queues.enter_ring_fd, submit, wait_for, flags, nullptr, 0);
  }
  if (!features.timed_wait) {
    const int result = sys::io_uring_enter(queues.enter_ring_fd, submit, 0, flags, nullptr, 0);
    return result >= 0 && io_uring_cq_ready(&queues) < wait_for ? std::max(wait_by_poll(*timeout), result) : result;
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*timeout);
  __kernel_timespec time = {};
  time.tv_sec = seconds.count();
  time.tv_nsec = (*timeout - seconds).count();
  io_uring_getevents_arg argument = {};
  argument.ts = reinterpret_cast<std::uint64_t>(&time);
  return sys::io_uring_enter(queues.enter_ring_fd, submit, wait_for, flags | IORING_ENTER_EXT_ARG, &argument,
                             sizeof argument);
}

// Before 5.11 a wait has no end of its own. The ring's descriptor is readable when there is a completion.
int Ring::State::wait_by_poll(std::chrono::nanoseconds timeout) const {
  pollfd ring = {queues.ring_fd, POLLIN, 0};
  const auto up = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
  return std::min(sys::poll(&ring, 1, static_cast<int>(std::min<std::int64_t>(up, 1 << 30U))), 0);
}

bool Ring::next_completion(RingCompletion& out) noexcept {
  io_uring& queues = state_->queues;
  const unsigned head = *queues.cq.khead;  // only this thread writes it
  if (head == io_uring_smp_load_acquire(queues.cq.ktail)) {
    return false;
  }
  const io_uring_cqe& completion = queues.cq.cqes[head & (*queues.cq.kring_mask)];
  out = {completion.user_data, sys::result_of(queues.ring_fd, completion), completion.flags};
  io_uring_smp_store_release(queues.cq.khead, head + 1);
  return true;
}

unsigned Ring::unsubmitted() const noexcept { return state_->pending + (state_->open != nullptr ? 1 : 0); }
unsigned Ring::completion_entries() const noexcept { return *state_->queues.cq.kring_entries; }
bool Ring::supports(unsigned opcode) const noexcept {
  return opcode < probed_operations && state_->operations.test(opcode);
}
const RingFeatures& Ring::features() const noexcept { return state_->features; }
std::uint64_t Ring::id() const noexcept { return state_->id; }

Result<void> Ring::register_buffers(std::span<const iovec> buffers) {
  const int result = sys::io_uring_register(state_->queues.ring_fd, IORING_REGISTER_BUFFERS, buffers.data(),
                                            static_cast<unsigned>(buffers.size()));
  return result < 0 ? fail(-result, "io_uring_register", ring_refusal_cause(-result)) : Result<void>{};
}

Result<void> Ring::register_files(std::span<const int> fds) {
  const int result = sys::io_uring_register(state_->queues.ring_fd, IORING_REGISTER_FILES, fds.data(),
                                            static_cast<unsigned>(fds.size()));
  return result < 0 ? fail(-result, "io_uring_register") : Result<void>{};
}

Result<void> Ring::update_files(unsigned first, std::span<const int> fds) {
  io_uring_files_update update = {};
  update.offset = first;
  update.fds = reinterpret_cast<std::uint64_t>(fds.data());
  const int result = sys::io_uring_register(state_->queues.ring_fd, IORING_REGISTER_FILES_UPDATE, &update,
                                            static_cast<unsigned>(fds.size()));
  return result < 0 ? fail(-result, "io_uring_register") : Result<void>{};
}

}  // namespace ferry
