// Work beside the JavaScript thread: a pool of threads for each environment (the main thread's, each worker's), and the
// way back. Native code calls JavaScript on its own thread only; the event loop never waits for native work.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <type_traits>
#include <utility>

#include <napi.h>

namespace ferry_node {

/// The threads of one environment. They are started when there is work and joined when the environment ends: work that
/// runs then is asked to stop, and is waited for.
class Background {
 public:
  /// Something to do on the JavaScript thread. `env` is empty when the environment has ended: then only let go.
  using OnJavaScript = std::function<void(Napi::Env env)>;

  explicit Background(Napi::Env env);
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  ~Background();

  /// The pool of the environment. JavaScript thread only.
  [[nodiscard]] static Background& of(Napi::Env env);

  /// Runs `work` on a thread of the pool and then `to_value(env, result)` on the JavaScript thread; the promise that is
  /// returned is fulfilled with that. JavaScript thread only. `stop` is asked to stop if the environment ends.
  template <typename Work, typename ToValue>
  [[nodiscard]] Napi::Value run(Napi::Env env, std::stop_source stop, Work work, ToValue to_value) {
    using Outcome = std::invoke_result_t<Work>;
    struct State {
      State(Napi::Env env, Work what, ToValue how)
          : deferred(Napi::Promise::Deferred::New(env)), work(std::move(what)), to_value(std::move(how)) {}
      Napi::Promise::Deferred deferred;
      Work work;
      ToValue to_value;
      std::unique_ptr<Outcome> outcome;
    };
    auto state = std::make_shared<State>(env, std::move(work), std::move(to_value));
    submit(
        env, std::move(stop), [state] { state->outcome = std::make_unique<Outcome>(state->work()); },
        [state](Napi::Env there) {
          if (static_cast<napi_env>(there) != nullptr) {
            state->deferred.Resolve(state->to_value(there, std::move(*state->outcome)));
          }
        });
    return state->deferred.Promise();
  }

  /// Calls `call` on the JavaScript thread, soon. Any thread. False: the environment is ending, it will not be called.
  bool post(OnJavaScript call);

  /// While it lives, the thread of the pool that made it waits for JavaScript, and another may take its place.
  class Waiting {
   public:
    explicit Waiting(Background& background);
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting();

   private:
    Background& background_;
  };

  /// Stops and joins everything. JavaScript thread only; called by the environment's end.
  void close();

 private:
  struct Task {
    std::stop_source stop;
    std::function<void()> work;
    OnJavaScript settle;
  };
  void submit(Napi::Env env, std::stop_source stop, std::function<void()> work, OnJavaScript settle);
  void start_thread_if_needed();  // mutex_ is held
  void work();

  napi_threadsafe_function javascript_ = nullptr;
  std::size_t pending_ = 0;  // tasks not settled; JavaScript thread only

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Task>> queue_;
  std::list<std::shared_ptr<Task>> running_;
  std::list<std::thread> threads_;
  std::size_t idle_ = 0;
  std::size_t waiting_ = 0;
  bool closing_ = false;
};

}  // namespace ferry_node
