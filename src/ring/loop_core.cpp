#include "ring/loop_core.hpp"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "base/sys.hpp"
#include "ring/requests.hpp"

namespace ferry::detail {
namespace {

using std::chrono::nanoseconds;

std::int64_t now_ns() noexcept {
  return std::chrono::duration_cast<nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr std::int64_t least_interval_ns = 1000;

// io_uring passes on what is meant for the kernel alone when a blocking operation is interrupted: ERESTARTSYS (512) and
// its kind, seen of a cancelled splice with Linux 6.18.
bool is_interruption(std::int64_t result) noexcept { return result == -EINTR || (result <= -512 && result >= -516); }

}  // namespace

LoopCore::LoopCore(unsigned workers, UniqueFd wake_fd)
    : process(::getpid()), wake_fd_(std::move(wake_fd)), workers_(workers, worker_finished, this) {}

LoopCore::~LoopCore() {
  closing_ = true;
  for (Operation* each = first_; each != nullptr;) {
    Operation* const next = each->next_;  // cancelling may finish `each`, which stays linked until it is called back
    cancel(*each);
    each = next;
  }
  while (in_flight_ > 0) {
    if (!turn(true)) {
      (void)sys::poll(-1, 0, 1);  // an error of the wait itself; what is in flight may still use its memory
    }
  }
  if (pool) {
    pool->on_release(nullptr, nullptr);
  }
  take_cancels();
}

void LoopCore::set_pool(BufferPool given) {
  pool = std::move(given);
  pool->on_release(
      [](void* self) {
        auto& core = *static_cast<LoopCore*>(self);
        if (core.buffers_wanted_) {
          core.notify();
        }
      },
      this);
}

// ------------------------------------------------------------------------------------------- starting and ending

void LoopCore::start(Operation& operation, Request&& request) {
  assert(!operation.in_flight());
  if (operation.cancel_queued_) {
    take_cancels();  // meant for the operation that it was before
  }
  operation.request_ = std::move(request);
  operation.loop_ = this;
  operation.result_ = 0;
  operation.moved_ = 0;
  operation.cancelled_ = operation.silent_ = operation.on_worker_ = operation.managed_ = operation.polling_ = false;
  operation.previous_ = nullptr;
  operation.next_ = first_;
  if (first_ != nullptr) {
    first_->previous_ = &operation;
  }
  first_ = &operation;
  ++in_flight_;
  operation.state_ = State::queued;
  if (closing_) {
    finish(operation, -ECANCELED);
  } else {
    begin(operation);
  }
}

void LoopCore::begin(Operation& operation) {
  if (const auto* const timer = std::get_if<request::Timer>(&operation.request_)) {
    add_timer(operation, now_ns() + std::max<std::int64_t>(timer->after.count(), 0));
  } else if (auto* const repeating = std::get_if<request::RepeatingTimer>(&operation.request_)) {
    repeating->interval = std::max(repeating->interval, nanoseconds(least_interval_ns));
    add_timer(operation, now_ns() + repeating->interval.count());
  } else if (std::holds_alternative<request::ReadManaged>(operation.request_)) {
    begin_managed(operation);
  } else if (std::holds_alternative<request::Close>(operation.request_)) {
    begin_close(operation);
  } else {
    backend_->start(operation);
  }
}

void LoopCore::begin_managed(Operation& operation) {
  const auto wanted = std::get<request::ReadManaged>(operation.request_);
  if (!pool || wanted.length > pool->buffer_bytes()) {
    finish(operation, -EINVAL);
    return;
  }
  Lease lease = parked_reads_.empty() || operation.state_ == State::parked ? pool->try_lease() : Lease();
  if (!lease) {
    operation.state_ = State::parked;
    parked_reads_.push(operation);
    buffers_wanted_ = true;
    has_mail_ = true;  // a buffer may have come back just before that
    return;
  }
  lease.resize(wanted.length);
  operation.request_ = request::Read{wanted.fd, Buffer(std::move(lease)), wanted.offset};
  operation.managed_ = true;
  operation.state_ = State::queued;
  backend_->start(operation);
}

void LoopCore::begin_close(Operation& operation) {
  const int fd = std::get<request::Close>(operation.request_).fd;
  for (const Operation* each = first_; each != nullptr; each = each->next_) {
    if (each != &operation && each->state_ != State::ready && uses(each->request_, fd)) {
      operation.state_ = State::parked;
      parked_closes_.push(operation);
      return;
    }
  }
  operation.state_ = State::queued;
  backend_->start(operation);
}

std::int64_t LoopCore::perform_step(const Operation& operation) noexcept {
  return perform(operation.request_, operation.moved_);
}

void LoopCore::to_worker(Operation& operation) {
  operation.state_ = State::queued;
  operation.on_worker_ = true;
  workers_.submit(operation);
}

// One step is done: the operation is complete, or goes on.
void LoopCore::settle(Operation& operation, std::int64_t result) {
  if (is_interruption(result) || result == -EAGAIN) {
    if (operation.cancelled_) {
      finish(operation, -ECANCELED);
    } else {
      go_on(operation, result);
    }
    return;
  }
  const std::uint64_t wanted = bytes_wanted(operation.request_);
  if (result < 0 || wanted == 0) {
    finish(operation, result);
    return;
  }
  const bool writes = is_write(operation.request_);
  if (result == 0) {
    // The end of the file; or a write that finds no room and does not say so, as GNU's full_write has it.
    finish(operation, writes ? -ENOSPC : static_cast<std::int64_t>(operation.moved_));
    return;
  }
  operation.moved_ += static_cast<std::uint64_t>(result);
  const auto* const read = std::get_if<request::Read>(&operation.request_);
  const bool from_stream = read != nullptr && read->offset == at_position;
  if (operation.moved_ >= wanted || from_stream) {
    finish(operation, static_cast<std::int64_t>(operation.moved_));
  } else if (operation.cancelled_) {
    finish(operation, -ECANCELED);
  } else {
    go_on(operation, result);
  }
}

void LoopCore::go_on(Operation& operation, std::int64_t result) {
  operation.state_ = State::queued;
  if (result != -EAGAIN) {
    backend_->start(operation);
  } else if (readiness_needed(operation.request_).fd >= 0) {
    const auto* const splice = std::get_if<request::Splice>(&operation.request_);
    if (splice != nullptr && (splice->flags & SPLICE_F_NONBLOCK) != 0) {
      finish(operation, result);  // as asked for
      return;
    }
    backend_->start_when_ready(operation);
  } else if (!operation.on_worker_) {
    to_worker(operation);  // io_uring could not do it without blocking
  } else {
    finish(operation, result);
  }
}

void LoopCore::finish(Operation& operation, std::int64_t result) {
  operation.result_ = result;
  if (operation.managed_) {
    Lease lease = std::get<request::Read>(operation.request_).buffer.take_lease();
    lease.resize(operation.moved_);
    std::get<request::Read>(operation.request_).buffer = Buffer(result < 0 ? Lease() : std::move(lease));
  }
  if (operation.silent_) {
    unlink(operation);
    return;
  }
  operation.state_ = State::ready;
  ready_.push(operation);
  if (!parked_closes_.empty()) {
    has_mail_ = true;
  }
}

void LoopCore::unlink(Operation& operation) noexcept {
  (operation.previous_ == nullptr ? first_ : operation.previous_->next_) = operation.next_;
  if (operation.next_ != nullptr) {
    operation.next_->previous_ = operation.previous_;
  }
  operation.previous_ = operation.next_ = nullptr;
  operation.state_ = State::idle;
  --in_flight_;
  if (!parked_closes_.empty()) {
    has_mail_ = true;
  }
}

void LoopCore::cancel(Operation& operation) {
  switch (operation.state_) {
    case State::idle: return;
    case State::ready:
      if (std::holds_alternative<request::RepeatingTimer>(operation.request_)) {
        operation.result_ = -ECANCELED;  // this time is the last
      }
      return;
    case State::parked:
      operation.cancelled_ = true;
      (void)(parked_reads_.remove(operation) || parked_closes_.remove(operation));
      finish(operation, -ECANCELED);
      return;
    case State::timed:
      operation.cancelled_ = true;
      remove_timer(operation);
      finish(operation, -ECANCELED);
      return;
    case State::queued:
    case State::working:
    case State::waiting:
      if (!std::exchange(operation.cancelled_, true)) {
        backend_->cancel(operation);
      }
      return;
  }
}

void LoopCore::abandon(Operation& operation) noexcept {
  if (operation.cancel_queued_) {
    take_cancels();
  }
  if (operation.state_ == State::ready) {
    ready_.remove(operation);
    unlink(operation);
    return;
  }
  operation.silent_ = true;
  cancel(operation);
  while (operation.in_flight()) {
    take_mail();
    if (operation.in_flight() && !wait(until_next_timer())) {
      (void)sys::poll(-1, 0, 1);
    }
    expire_timers();
  }
}

// ------------------------------------------------------------------------------------------- running

Result<std::size_t> LoopCore::run() {
  std::size_t calls = 0;
  stopped_ = false;
  do {
    const auto called = turn(true);
    if (!called) {
      return called;
    }
    calls += *called;
  } while (!stopped_ && (in_flight_ > 0 || has_mail_ || !due_.empty()));
  return calls;
}

Result<std::size_t> LoopCore::turn(bool may_wait) {
  take_mail();
  expire_timers();
  const bool nothing_to_wait_for = !may_wait || !ready_.empty() || !due_.empty() || in_flight_ == 0;
  if (const auto waited = wait(nothing_to_wait_for ? std::optional(nanoseconds(0)) : until_next_timer()); !waited) {
    return std::unexpected(waited.error());
  }
  take_mail();
  expire_timers();
  return call_back();
}

Result<void> LoopCore::wait(std::optional<nanoseconds> timeout) {
  if (timeout && timeout->count() == 0) {
    return backend_->wait(timeout);
  }
  // Either the poster sees that the loop sleeps, or the loop sees its mail.
  sleeping_ = true;
  if (has_mail_) {
    timeout = nanoseconds(0);
  }
  auto waited = backend_->wait(timeout);
  sleeping_.store(false, std::memory_order_relaxed);
  return waited;
}

std::size_t LoopCore::call_back() {
  std::size_t calls = 0;
  auto due = std::exchange(due_, {});
  for (auto& work : due) {
    work();
    ++calls;
  }
  if (due_.empty()) {
    due.clear();
    due_ = std::move(due);  // keeps its memory
  }
  // Only those that are ready now: a callback that starts an operation which is ready at once does not keep the others
  // waiting.
  for (std::size_t left = ready_.size(); left > 0; --left) {
    Operation* const operation = ready_.pop();
    if (operation == nullptr) {
      break;  // destroyed by a callback
    }
    const bool again =
        std::holds_alternative<request::RepeatingTimer>(operation->request_) && operation->result_ >= 0 && !closing_;
    if (again) {
      repeat(*operation, now_ns());
    } else {
      unlink(*operation);
    }
    ++calls;
    if (operation->callback_ != nullptr) {
      operation->callback_(*operation, operation->context_);
    }
  }
  return calls;
}

// ------------------------------------------------------------------------------------------- mail

void LoopCore::notify() noexcept {
  has_mail_ = true;
  if (sleeping_.exchange(false)) {
    const std::uint64_t one = 1;
    (void)sys::write(wake_fd_.get(), &one, sizeof one);
  }
}

void LoopCore::clear_wake() const noexcept {
  std::uint64_t count = 0;
  (void)sys::read(wake_fd_.get(), &count, sizeof count);
}

void LoopCore::post(std::move_only_function<void()> work) {
  {
    const std::scoped_lock lock(mail_mutex_);
    posted_.push_back(std::move(work));
  }
  notify();
}

void LoopCore::stop() {
  stopped_ = true;
  notify();
}

void LoopCore::request_cancel(Operation& operation) {
  {
    const std::scoped_lock lock(mail_mutex_);
    if (operation.cancel_queued_) {
      return;
    }
    operation.cancel_queued_ = true;
    operation.cancel_next_ = std::exchange(cancels_, &operation);
  }
  notify();
}

void LoopCore::worker_finished(void* self, Operation& operation, std::int64_t result) {
  auto& core = *static_cast<LoopCore*>(self);
  {
    const std::scoped_lock lock(core.mail_mutex_);
    operation.result_ = result;
    core.worked_.push(operation);
    // Within the lock: once it is open the loop may end, and this object with it.
    core.notify();
  }
}

void LoopCore::take_mail() {
  if (!has_mail_.load(std::memory_order_relaxed) || !has_mail_.exchange(false)) {
    return;
  }
  OperationQueue worked;
  {
    const std::scoped_lock lock(mail_mutex_);
    worked = std::exchange(worked_, {});
    for (auto& work : posted_) {
      due_.push_back(std::move(work));
    }
    posted_.clear();
  }
  while (Operation* const operation = worked.pop()) {
    settle(*operation, operation->result_);
  }
  take_cancels();
  serve_parked();
}

void LoopCore::take_cancels() {
  Operation* requested = nullptr;
  {
    const std::scoped_lock lock(mail_mutex_);
    requested = std::exchange(cancels_, nullptr);
    for (Operation* each = requested; each != nullptr; each = each->cancel_next_) {
      each->cancel_queued_ = false;
    }
  }
  while (requested != nullptr) {
    Operation* const next = requested->cancel_next_;
    cancel(*requested);
    requested = next;
  }
}

void LoopCore::serve_parked() {
  for (std::size_t left = parked_closes_.size(); left > 0; --left) {
    begin_close(*parked_closes_.pop());
  }
  while (!parked_reads_.empty() && pool->available() > 0) {
    begin_managed(*parked_reads_.pop());
  }
  buffers_wanted_ = !parked_reads_.empty();
  if (buffers_wanted_ && pool->available() > 0) {
    has_mail_ = true;
  }
}

// ------------------------------------------------------------------------------------------- timers

void LoopCore::add_timer(Operation& operation, std::int64_t deadline_ns) {
  operation.deadline_ns_ = deadline_ns;
  operation.state_ = State::timed;
  operation.heap_place_ = timers_.size();
  timers_.push_back(&operation);
  sift_up(operation.heap_place_);
}

void LoopCore::remove_timer(Operation& operation) noexcept {
  const std::size_t place = operation.heap_place_;
  timers_[place] = timers_.back();
  timers_[place]->heap_place_ = place;
  timers_.pop_back();
  if (place < timers_.size()) {
    sift_up(place);
    sift_down(place);
  }
}

void LoopCore::sift_up(std::size_t place) noexcept {
  while (place > 0) {
    const std::size_t parent = (place - 1) / 2;
    if (timers_[parent]->deadline_ns_ <= timers_[place]->deadline_ns_) {
      return;
    }
    std::swap(timers_[parent], timers_[place]);
    timers_[parent]->heap_place_ = parent;
    timers_[place]->heap_place_ = place;
    place = parent;
  }
}

void LoopCore::sift_down(std::size_t place) noexcept {
  for (;;) {
    std::size_t least = place;
    for (const std::size_t child : {2 * place + 1, 2 * place + 2}) {
      if (child < timers_.size() && timers_[child]->deadline_ns_ < timers_[least]->deadline_ns_) {
        least = child;
      }
    }
    if (least == place) {
      return;
    }
    std::swap(timers_[least], timers_[place]);
    timers_[least]->heap_place_ = least;
    timers_[place]->heap_place_ = place;
    place = least;
  }
}

void LoopCore::expire_timers() {
  if (timers_.empty()) {
    return;
  }
  const std::int64_t now = now_ns();
  while (!timers_.empty() && timers_.front()->deadline_ns_ <= now) {
    Operation& operation = *timers_.front();
    remove_timer(operation);
    std::int64_t result = 0;
    if (const auto* const repeating = std::get_if<request::RepeatingTimer>(&operation.request_)) {
      // Intervals that nobody had time for count, too.
      result = operation.result_ + 1 + (now - operation.deadline_ns_) / repeating->interval.count();
    }
    finish(operation, result);
  }
}

// Keeps its rhythm: the next deadline is a multiple of the interval after the first.
void LoopCore::repeat(Operation& operation, std::int64_t now) {
  const std::int64_t interval = std::get<request::RepeatingTimer>(operation.request_).interval.count();
  const std::int64_t missed = std::max<std::int64_t>(now - operation.deadline_ns_, 0) / interval;
  add_timer(operation, operation.deadline_ns_ + (missed + 1) * interval);
}

std::optional<nanoseconds> LoopCore::until_next_timer() const noexcept {
  if (timers_.empty()) {
    return std::nullopt;
  }
  return nanoseconds(std::max<std::int64_t>(timers_.front()->deadline_ns_ - now_ns(), 0));
}

}  // namespace ferry::detail
