#include "ring/worker_pool.hpp"

#include <signal.h>

#include <system_error>

#include "ring/loop_core.hpp"
#include "ring/requests.hpp"

namespace ferry::detail {

WorkerPool::~WorkerPool() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  wanted_.notify_all();
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

void WorkerPool::submit(Operation& operation) {
  bool more_threads = false;
  {
    const std::scoped_lock lock(mutex_);
    queue_.push(operation);
    more_threads = queue_.size() > idle_ && threads_.size() < most_threads_;
  }
  if (more_threads && !start_thread() && threads_.empty() && take_back(operation)) {
    finished_(context_, operation, LoopCore::perform_step(operation));
    return;
  }
  wanted_.notify_one();
}

bool WorkerPool::take_back(Operation& operation) {
  const std::scoped_lock lock(mutex_);
  return queue_.remove(operation);
}

// Signals are for the program's own threads.
bool WorkerPool::start_thread() noexcept {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  bool started = true;
  try {
    threads_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    started = false;  // RLIMIT_NPROC, a cgroup's limit
  } catch (const std::bad_alloc&) {
    started = false;
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

void WorkerPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    wanted_.wait(lock, [&] { return !queue_.empty() || ending_; });
    --idle_;
    Operation* const operation = queue_.pop();
    if (operation == nullptr) {
      return;
    }
    lock.unlock();
    finished_(context_, *operation, LoopCore::perform_step(*operation));
    lock.lock();
  }
}

}  // namespace ferry::detail
