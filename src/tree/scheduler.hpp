// Runs tasks that make more tasks, on the calling thread and on others that it starts only once there is enough work.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace ferry {

// A work-stealing scheduler. Each worker takes its own newest task (depth first: memory stays bounded by depth, not by
// the tree) and steals others' oldest (the largest pieces). Worker 0 is the thread that calls run().
template <typename Task>
class Scheduler {
 public:
  using Work = std::function<void(unsigned worker, Task&&)>;

  // `work` is called for each task; it may push() more.
  Scheduler(unsigned workers, Work work) : work_(std::move(work)), queues_(std::max(workers, 1U)) {}
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  ~Scheduler() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
  }

  // Runs `first` and all that comes of it; returns when nothing is left. Not reentrant.
  void run(Task first) {
    push(0, std::move(first));
    work_until(0, [this] { return unfinished_.load() == 0; });
  }

  // Adds a task. Called by run() and from within tasks only.
  void push(unsigned worker, Task task) {
    unfinished_.fetch_add(1);
    {
      const std::scoped_lock lock(queues_[worker].mutex);
      queues_[worker].tasks.push_back(std::move(task));
    }
    queued_.fetch_add(1);
    if (idle_.load() > 0) {
      wake_one();
    }
  }

  // As push(), from any thread: not only from within tasks.
  void push_from_outside(Task task) {
    push(next_queue_.fetch_add(1) % std::max<unsigned>(1, started_.load() + 1), std::move(task));
    note_heavy();
  }

  // Takes at most `most` of the oldest tasks that `may_go`, to be done outside. They count as unfinished until
  // finished_outside() is called for them.
  template <typename MayGo>
  std::vector<Task> take_oldest(std::size_t most, const MayGo& may_go) {
    constexpr std::ptrdiff_t looked_at = 64;  // of each queue: the largest pieces are the oldest
    std::vector<Task> taken;
    for (Queue& queue : queues_) {
      const std::scoped_lock lock(queue.mutex);
      for (std::ptrdiff_t i = 0; i < std::min(looked_at, std::ssize(queue.tasks)) && taken.size() < most;) {
        const auto at = queue.tasks.begin() + i;
        if (may_go(*at)) {
          taken.push_back(std::move(*at));
          queue.tasks.erase(at);
          queued_.fetch_sub(1);
        } else {
          ++i;
        }
      }
    }
    return taken;
  }

  // Work of this job that is waited for from outside: run() does not return before it is finished.
  void expect_outside(std::int64_t count) { unfinished_.fetch_add(count); }
  void finished_outside(std::int64_t count) {
    if (unfinished_.fetch_sub(count) == count) {
      const std::scoped_lock lock(mutex_);
      wake_.notify_all();
    }
  }

  // Works on what is pushed from outside, until end_serving().
  void serve() {
    work_until(0, [this] { return served_.load(); });
  }
  void end_serving() {
    {
      const std::scoped_lock lock(mutex_);
      served_ = true;
    }
    wake_.notify_all();
  }

  // `hook` is called by a worker that finds nothing to do, before it waits. To be set before any work.
  void when_idle(std::function<void()> hook) { idle_hook_ = std::move(hook); }

  // Whether workers wait and nothing is queued for them.
  [[nodiscard]] bool is_idle() const noexcept { return queued_.load() <= 0 && idle_.load() > 0; }

  // Whether a worker waits for work, or another could be started: then it pays to split what is being done.
  [[nodiscard]] bool has_idle_worker() const noexcept {
    return queued_.load(std::memory_order_relaxed) <= 0 &&
           (idle_.load(std::memory_order_relaxed) > 0 ||
            (heavy_ && started_.load(std::memory_order_relaxed) + 1 < queues_.size()));
  }

  // Tells that the job is large enough for more threads; starts one if there is none for a queued task.
  void note_heavy() {
    heavy_ = true;
    if (queued_.load() > 0 && idle_.load() == 0 && started_.load() + 1 < queues_.size()) {
      start_thread();
    }
  }

  [[nodiscard]] unsigned workers() const noexcept { return static_cast<unsigned>(queues_.size()); }

 private:
  struct alignas(64) Queue {
    std::mutex mutex;
    std::deque<Task> tasks;
  };

  template <typename Done>
  void work_until(unsigned worker, Done done) {
    for (;;) {
      if (std::optional<Task> task = take(worker)) {
        work_(worker, std::move(*task));
        task.reset();
        if (unfinished_.fetch_sub(1) == 1) {
          const std::scoped_lock lock(mutex_);
          wake_.notify_all();
        }
        continue;
      }
      if (done()) {
        return;
      }
      std::unique_lock lock(mutex_);
      if (idle_.fetch_add(1) == 0 && idle_hook_) {
        lock.unlock();
        idle_hook_();
        lock.lock();
      }
      wake_.wait(lock, [&] { return queued_.load() > 0 || done(); });
      idle_.fetch_sub(1);
    }
  }

  std::optional<Task> take(unsigned worker) {
    if (queued_.load() <= 0) {
      return std::nullopt;
    }
    for (std::size_t i = 0; i < queues_.size(); ++i) {
      Queue& queue = queues_[(worker + i) % queues_.size()];
      const std::scoped_lock lock(queue.mutex);
      if (!queue.tasks.empty()) {
        queued_.fetch_sub(1);
        std::optional<Task> task;
        if (i == 0) {
          task.emplace(std::move(queue.tasks.back()));
          queue.tasks.pop_back();
        } else {
          task.emplace(std::move(queue.tasks.front()));
          queue.tasks.pop_front();
        }
        return task;
      }
    }
    return std::nullopt;
  }

  void wake_one() {
    {
      const std::scoped_lock lock(mutex_);
    }  // a waiter is either before its check or asleep, never in between
    wake_.notify_one();
  }

  void start_thread() {
    const std::scoped_lock lock(mutex_);
    const std::size_t number = started_.load() + 1;
    if (number >= queues_.size()) {
      return;
    }
    try {
      threads_.emplace_back(
          [this, worker = static_cast<unsigned>(number)] { work_until(worker, [this] { return stopping_.load(); }); });
      started_ = number;
    } catch (const std::system_error&) {
      started_ = queues_.size();  // no more threads to be had (EAGAIN): those there are do the work
    }
  }

  Work work_;
  std::vector<Queue> queues_;
  std::atomic<std::int64_t> queued_ = 0;      // tasks in the queues
  std::atomic<std::int64_t> unfinished_ = 0;  // these and the ones being worked on
  std::atomic<unsigned> idle_ = 0;
  std::atomic<std::size_t> started_ = 0;  // threads besides worker 0
  std::atomic<bool> heavy_ = false;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> served_ = false;
  std::atomic<unsigned> next_queue_ = 0;
  std::function<void()> idle_hook_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::jthread> threads_;  // last: joined before the rest goes
};

}  // namespace ferry
