// The part of a Loop that both backends share: what is in flight, timers, the mail of other threads, going on after
// short results, and calling back.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include <ferry/loop.hpp>

#include "ring/operation_queue.hpp"
#include "ring/worker_pool.hpp"

namespace ferry::detail {

// Carries out operations, one step at a time, and hands each step's result to LoopCore::settle().
class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;
  // Begins a step of the operation.
  virtual void start(Operation& operation) = 0;
  // Begins it again when its descriptor is ready (readiness_needed()).
  virtual void start_when_ready(Operation& operation) = 0;
  // Of an operation that is queued, working or waiting here.
  virtual void cancel(Operation& operation) = 0;
  // Waits until a step is done, the loop is woken or the time is over; empty: without end.
  virtual Result<void> wait(std::optional<std::chrono::nanoseconds> timeout) = 0;
};

class LoopCore {
 public:
  LoopCore(unsigned workers, UniqueFd wake_fd);
  LoopCore(const LoopCore&) = delete;
  LoopCore& operator=(const LoopCore&) = delete;
  ~LoopCore();
  void set_backend(std::unique_ptr<Backend> backend) noexcept { backend_ = std::move(backend); }
  void set_pool(BufferPool given);

  void start(Operation& operation, Request&& request);
  void cancel(Operation& operation);
  void request_cancel(Operation& operation);
  Result<std::size_t> run();
  Result<std::size_t> turn(bool may_wait);
  void stop();
  void post(std::move_only_function<void()> work);
  // ~Operation: nothing refers to it any more afterwards.
  void abandon(Operation& operation) noexcept;
  [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }

  // For backends and workers.
  void settle(Operation& operation, std::int64_t result);
  void to_worker(Operation& operation);
  [[nodiscard]] WorkerPool& workers() noexcept { return workers_; }
  [[nodiscard]] int wake_fd() const noexcept { return wake_fd_.get(); }
  void clear_wake() const noexcept;
  [[nodiscard]] static std::int64_t perform_step(const Operation& operation) noexcept;

  std::optional<BufferPool> pool;
  std::optional<Error> uring_refusal;
  LoopBackend kind = LoopBackend::threads;
  const pid_t process;

 private:
  using State = Operation::State;

  void begin(Operation& operation);
  void begin_managed(Operation& operation);
  void begin_close(Operation& operation);
  void go_on(Operation& operation, std::int64_t result);
  void finish(Operation& operation, std::int64_t result);
  void unlink(Operation& operation) noexcept;
  Result<void> wait(std::optional<std::chrono::nanoseconds> timeout);
  std::size_t call_back();
  void repeat(Operation& operation, std::int64_t now);

  void take_mail();
  void take_cancels();
  void serve_parked();
  void notify() noexcept;
  static void worker_finished(void* self, Operation& operation, std::int64_t result);

  void add_timer(Operation& operation, std::int64_t deadline_ns);
  void remove_timer(Operation& operation) noexcept;
  void sift_up(std::size_t place) noexcept;
  void sift_down(std::size_t place) noexcept;
  void expire_timers();
  [[nodiscard]] std::optional<std::chrono::nanoseconds> until_next_timer() const noexcept;

  std::size_t in_flight_ = 0;
  Operation* first_ = nullptr;
  OperationQueue ready_;
  OperationQueue parked_reads_;                       // for a buffer
  OperationQueue parked_closes_;                      // for the end of what is in flight on the descriptor
  std::vector<Operation*> timers_;                    // a heap by deadline
  std::vector<std::move_only_function<void()>> due_;  // posted, being called
  std::size_t due_done_ = 0;
  bool closing_ = false;

  UniqueFd wake_fd_;
  std::atomic<bool> stopped_ = false;
  std::atomic<bool> has_mail_ = false;
  std::atomic<bool> sleeping_ = false;
  std::atomic<bool> buffers_wanted_ = false;
  std::mutex mail_mutex_;
  std::vector<std::move_only_function<void()>> posted_;
  OperationQueue worked_;  // steps done by workers; the result is in result_
  Operation* cancels_ = nullptr;

  WorkerPool workers_;
  std::unique_ptr<Backend> backend_;
};

[[nodiscard]] Result<std::unique_ptr<Backend>> make_uring_backend(LoopCore& core, unsigned entries);
[[nodiscard]] Result<std::unique_ptr<Backend>> make_threads_backend(LoopCore& core);

}  // namespace ferry::detail
