// The backend without io_uring: files on the loop's threads, streams when epoll(7) says that they are ready.
#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <utility>

#include "base/sys.hpp"
#include "ring/loop_core.hpp"
#include "ring/requests.hpp"

namespace ferry::detail {

static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT);

class ThreadsBackend final : public Backend {
 public:
  ThreadsBackend(LoopCore& core, UniqueFd epoll) noexcept : core_(core), epoll_(std::move(epoll)) {}

  void start(Operation& operation) override;
  void start_when_ready(Operation& operation) override;
  void cancel(Operation& operation) override;
  Result<void> wait(std::optional<std::chrono::nanoseconds> timeout) override;

 private:
  using State = Operation::State;

  [[nodiscard]] int watch(int fd, std::uint32_t events) const noexcept;
  void watch_what_is_waited_for(int fd) const noexcept;
  void became_ready(int fd, std::uint32_t events);

  LoopCore& core_;
  UniqueFd epoll_;
  OperationQueue waiting_;  // for their stream to be ready
};

Result<std::unique_ptr<Backend>> make_threads_backend(LoopCore& core) {
  UniqueFd epoll(sys::epoll_create());
  if (!epoll) {
    return fail(-epoll.get(), "epoll_create1");
  }
  epoll_event event = {.events = EPOLLIN, .data = {.fd = core.wake_fd()}};
  if (const int error = sys::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, core.wake_fd(), &event); error != 0) {
    return fail(-error, "epoll_ctl");
  }
  return std::make_unique<ThreadsBackend>(core, std::move(epoll));
}

void ThreadsBackend::start(Operation& operation) {
  const bool is_stream =
      !std::holds_alternative<request::Splice>(operation.request_) && readiness_needed(operation.request_).fd >= 0;
  if (std::holds_alternative<request::Nop>(operation.request_)) {
    core_.settle(operation, 0);
  } else if (is_stream) {
    start_when_ready(operation);
  } else {
    core_.to_worker(operation);
  }
}

void ThreadsBackend::start_when_ready(Operation& operation) {
  const Readiness needed = readiness_needed(operation.request_);
  operation.awaited_fd_ = needed.fd;
  operation.awaited_events_ = needed.events;
  operation.state_ = State::waiting;
  waiting_.push(operation);
  const int error = watch(needed.fd, static_cast<std::uint32_t>(needed.events));
  if (error == 0) {
    return;
  }
  (void)waiting_.remove(operation);
  if (error == -EPERM) {
    core_.to_worker(operation);  // a regular file is always ready (epoll_ctl(2))
  } else {
    core_.settle(operation, error);
  }
}

// Once: whatever waits for the descriptor is named again after each event.
int ThreadsBackend::watch(int fd, std::uint32_t events) const noexcept {
  epoll_event event = {.events = events | EPOLLONESHOT, .data = {.fd = fd}};
  const int added = sys::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  if (added != -EEXIST) {
    return added;
  }
  waiting_.for_each([&](const Operation& each) {
    event.events |= each.awaited_fd_ == fd ? static_cast<std::uint32_t>(each.awaited_events_) : 0U;
  });
  return sys::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void ThreadsBackend::watch_what_is_waited_for(int fd) const noexcept {
  std::uint32_t events = 0;
  waiting_.for_each([&](const Operation& each) {
    events |= each.awaited_fd_ == fd ? static_cast<std::uint32_t>(each.awaited_events_) : 0U;
  });
  if (events != 0) {
    (void)watch(fd, events);
  } else {
    (void)sys::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  }
}

void ThreadsBackend::cancel(Operation& operation) {
  if (operation.state_ == State::waiting) {
    (void)waiting_.remove(operation);
    watch_what_is_waited_for(operation.awaited_fd_);
    core_.settle(operation, -ECANCELED);
  } else if (core_.workers().take_back(operation)) {
    core_.settle(operation, -ECANCELED);
  }
}

Result<void> ThreadsBackend::wait(std::optional<std::chrono::nanoseconds> timeout) {
  std::array<epoll_event, 64> events;  // NOLINT(*-member-init): filled by epoll_wait
  constexpr std::int64_t longest = std::numeric_limits<int>::max();
  const std::int64_t milliseconds =
      timeout ? std::min(std::chrono::ceil<std::chrono::milliseconds>(*timeout).count(), longest) : -1;
  const int count =
      sys::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), static_cast<int>(milliseconds));
  if (count < 0) {
    return fail(-count, "epoll_wait");
  }
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.fd == core_.wake_fd()) {
      core_.clear_wake();
    } else {
      became_ready(event.data.fd, event.events);
    }
  }
  return {};
}

// An error or the other end's closing is for the call itself to tell.
void ThreadsBackend::became_ready(int fd, std::uint32_t events) {
  const auto can_go_on = [&](const Operation& each) {
    const auto awaited = static_cast<std::uint32_t>(each.awaited_events_);
    return each.awaited_fd_ == fd && (events & (awaited | EPOLLERR | EPOLLHUP)) != 0;
  };
  // One at a time: the next may find nothing left.
  if (Operation* const operation = waiting_.pop_if(can_go_on)) {
    core_.to_worker(*operation);
  }
  watch_what_is_waited_for(fd);
}

}  // namespace ferry::detail
