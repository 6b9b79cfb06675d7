// A bounded pool of threads that carry out operations by plain, blocking system calls.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

#include <ferry/loop.hpp>

#include "ring/operation_queue.hpp"

namespace ferry::detail {

class WorkerPool {
 public:
  // Called on a worker with the result of one step.
  using Finished = void (*)(void* context, Operation& operation, std::int64_t result);
  // `request_of` looks into an operation.
  WorkerPool(unsigned most_threads, Finished finished, void* context) noexcept
      : most_threads_(most_threads), finished_(finished), context_(context) {}
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  // Precondition: nothing is queued or at work.
  ~WorkerPool();

  // Queues one step of an operation; a thread is started if all are busy and there may be more. Where no thread can be
  // started at all the step is done here.
  void submit(Operation& operation);
  // Takes back what no thread has begun with; false: too late.
  [[nodiscard]] bool take_back(Operation& operation);

 private:
  void work();
  [[nodiscard]] bool start_thread() noexcept;

  const unsigned most_threads_;
  const Finished finished_;
  void* const context_;
  std::mutex mutex_;
  std::condition_variable wanted_;
  OperationQueue queue_;
  std::size_t idle_ = 0;
  bool ending_ = false;
  std::vector<std::thread> threads_;  // of the loop's thread alone
};

}  // namespace ferry::detail
