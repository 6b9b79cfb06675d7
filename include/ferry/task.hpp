/// \file
/// Coroutines on a Loop. Structured: a Task starts when it is awaited, belongs to who awaits it, and ends before that
/// goes on; destroyed in the middle it cancels the operation it waits for and waits for its end. Nothing is detached.
///
///     ferry::Task<ferry::Result<void>> greet(ferry::Loop& loop, int fd) {
///       auto written = co_await loop.write(fd, std::as_bytes(std::span("hello")), 0);
///       ...
///     }
///     ferry::run(loop, greet(loop, fd));
///
/// A stop token given to run() is handed down to every task and operation below.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <ferry/loop.hpp>

namespace ferry {

template <typename T>
class Task;

namespace detail {

class PromiseBase {
 public:
  [[nodiscard]] const std::stop_token& stop_token() const noexcept { return token_; }
  void set_stop_token(std::stop_token token) noexcept { token_ = std::move(token); }
  void set_continuation(std::coroutine_handle<> continuation) noexcept { continuation_ = continuation; }

  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  struct Final {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> done) const noexcept {
      const std::coroutine_handle<> next = done.promise().continuation_;
      return next ? next : std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };
  [[nodiscard]] Final final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { exception_ = std::current_exception(); }

 protected:
  void rethrow() const {
    if (exception_) {
      std::rethrow_exception(exception_);
    }
  }

 private:
  std::coroutine_handle<> continuation_;
  std::stop_token token_;
  std::exception_ptr exception_;
};

template <typename T>
class Promise : public PromiseBase {
 public:
  Task<T> get_return_object() noexcept;
  template <typename U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() {
    rethrow();
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class Promise<void> : public PromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const { rethrow(); }
};

}  // namespace detail

/// A coroutine that gives a T. Lazy, move-only, awaited once, by one thread. What it throws comes out of `co_await`.
template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;  // NOLINT(readability-identifier-naming): the language's name

  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      destroy();
      coroutine_ = std::exchange(other.coroutine_, nullptr);
    }
    return *this;
  }
  ~Task() { destroy(); }

  [[nodiscard]] bool done() const noexcept { return coroutine_.done(); }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Awaiting>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Awaiting> awaiting) noexcept {
    if constexpr (requires { awaiting.promise().stop_token(); }) {
      coroutine_.promise().set_stop_token(awaiting.promise().stop_token());
    }
    return begin(awaiting);
  }
  T await_resume() { return coroutine_.promise().take(); }

  /// For schedulers: the coroutine to resume so that this task runs, and `continuation` after it.
  [[nodiscard]] std::coroutine_handle<> begin(std::coroutine_handle<> continuation) noexcept {
    coroutine_.promise().set_continuation(continuation);
    return coroutine_;
  }
  void set_stop_token(std::stop_token token) noexcept { coroutine_.promise().set_stop_token(std::move(token)); }
  /// Precondition: done().
  T take() { return coroutine_.promise().take(); }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}
  void destroy() noexcept {
    if (coroutine_) {
      coroutine_.destroy();
    }
  }
  std::coroutine_handle<promise_type> coroutine_;
};

namespace detail {

template <typename T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

template <typename T>
using NonVoid = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <typename T>
NonVoid<T> take_nonvoid(Task<T>& task) {
  if constexpr (std::is_void_v<T>) {
    task.take();
    return {};
  } else {
    return task.take();
  }
}

// A coroutine that only counts: the continuation of each task of a when_all.
struct Countdown {
  struct promise_type {  // NOLINT(readability-identifier-naming): the language's name
    std::size_t* left = nullptr;
    std::coroutine_handle<> waiting;
    Countdown get_return_object() noexcept { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    struct Final {
      [[nodiscard]] bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> done) const noexcept {
        return --*done.promise().left == 0 ? done.promise().waiting : std::noop_coroutine();
      }
      void await_resume() const noexcept {}
    };
    [[nodiscard]] Final final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept {}
  };
  std::coroutine_handle<promise_type> coroutine;
};
inline Countdown count_down() { co_return; }

// Begins many tasks, and resumes the awaiting coroutine when the last is done.
class StartAll {
 public:
  StartAll() noexcept = default;
  StartAll(const StartAll&) = delete;
  StartAll& operator=(const StartAll&) = delete;
  ~StartAll() {
    for (const Countdown& each : countdowns_) {
      each.coroutine.destroy();
    }
  }
  template <typename T>
  void add(Task<T>& task, const std::stop_token& token) {
    task.set_stop_token(token);
    countdowns_.push_back(count_down());
    to_begin_.push_back(task.begin(countdowns_.back().coroutine));
  }

  [[nodiscard]] bool await_ready() const noexcept { return to_begin_.empty(); }
  [[nodiscard]] bool await_suspend(std::coroutine_handle<> waiting) {
    left_ = to_begin_.size() + 1;  // one for this function, so that the last task does not resume under its feet
    for (const Countdown& each : countdowns_) {
      each.coroutine.promise().left = &left_;
      each.coroutine.promise().waiting = waiting;
    }
    for (const std::coroutine_handle<> each : to_begin_) {
      each.resume();
    }
    return --left_ != 0;
  }
  void await_resume() const noexcept {}

 private:
  std::vector<Countdown> countdowns_;
  std::vector<std::coroutine_handle<>> to_begin_;
  std::size_t left_ = 0;
};

// The stop token of the coroutine that awaits it.
struct CurrentStopToken {
  std::stop_token token;
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiting) noexcept {
    token = waiting.promise().stop_token();
    return false;
  }
  [[nodiscard]] std::stop_token await_resume() noexcept { return std::move(token); }
};

}  // namespace detail

/// `co_await current_stop_token()`: to look at in loops that do not wait.
[[nodiscard]] inline detail::CurrentStopToken current_stop_token() noexcept { return {}; }

/// Runs all tasks at the same time and gives their results (std::monostate for void) in order when the last is done.
/// If some threw, the first of them is thrown, then.
template <typename... T>
Task<std::tuple<detail::NonVoid<T>...>> when_all(Task<T>... tasks) {
  const std::stop_token token = co_await current_stop_token();
  detail::StartAll all;
  (all.add(tasks, token), ...);
  co_await all;
  co_return std::tuple<detail::NonVoid<T>...>{detail::take_nonvoid(tasks)...};
}

template <typename T>
Task<std::vector<detail::NonVoid<T>>> when_all(std::vector<Task<T>> tasks) {
  const std::stop_token token = co_await current_stop_token();
  {
    detail::StartAll all;
    for (Task<T>& task : tasks) {
      all.add(task, token);
    }
    co_await all;
  }
  std::vector<detail::NonVoid<T>> results;
  results.reserve(tasks.size());
  for (Task<T>& task : tasks) {
    results.push_back(detail::take_nonvoid(task));
  }
  co_return results;
}

/// Runs the loop until the task is done, and gives its result. Not from within a callback of the loop. An error of the
/// loop itself ends the task first (its destruction cancels and waits), and is returned.
template <typename T>
[[nodiscard]] Result<T> run(Loop& loop, Task<T> task, std::stop_token token = {}) {
  task.set_stop_token(std::move(token));
  task.begin(std::noop_coroutine()).resume();
  while (!task.done()) {
    if (const auto ran = loop.run_once(); !ran) {
      return std::unexpected(ran.error());
    }
  }
  if constexpr (std::is_void_v<T>) {
    task.take();
    return {};
  } else {
    return task.take();
  }
}

}  // namespace ferry
