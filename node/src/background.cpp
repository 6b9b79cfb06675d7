#include "background.hpp"

#include <algorithm>

#include "environment.hpp"

namespace ferry_node {
namespace {

// Of these, those that wait for JavaScript do not count. Copies wait for storage more than for a processor.
constexpr std::size_t most_threads = 16;

// Called on the JavaScript thread; without an environment when that has ended.
void call_on_javascript(napi_env env, napi_value /*function*/, void* /*context*/, void* data) {
  const std::unique_ptr<Background::OnJavaScript> call(static_cast<Background::OnJavaScript*>(data));
  try {
    (*call)(Napi::Env(env));
  } catch (const Napi::Error& error) {
    // A callback of the program threw: that is an uncaught exception, as anywhere in the event loop.
    napi_fatal_exception(env, error.Value());
  }
}

}  // namespace

Background::Background(Napi::Env env) {
  if (napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "ferry"), 0, 1, nullptr, nullptr,
                                      nullptr, call_on_javascript, &javascript_) != napi_ok) {
    throw Napi::Error::New(env, "ferry: there is no way back to the JavaScript thread");
  }
  napi_unref_threadsafe_function(env, javascript_);
}

Background::~Background() { close(); }

Background& Background::of(Napi::Env env) { return Environment::of(env).background; }

void Background::submit(Napi::Env env, std::stop_source stop, std::function<void()> work, OnJavaScript settle) {
  if (pending_++ == 0) {
    napi_ref_threadsafe_function(env, javascript_);  // the process goes on until it is done
  }
  auto settle_and_count = [this, settle = std::move(settle)](Napi::Env there) {
    if (static_cast<napi_env>(there) != nullptr && --pending_ == 0) {
      napi_unref_threadsafe_function(there, javascript_);
    }
    settle(there);
  };
  auto task = std::make_shared<Task>(Task{std::move(stop), std::move(work), std::move(settle_and_count)});
  const std::scoped_lock lock(mutex_);
  queue_.push_back(std::move(task));
  start_thread_if_needed();
  wake_.notify_one();
}

void Background::start_thread_if_needed() {
  if (!closing_ && idle_ < queue_.size() && threads_.size() - waiting_ < most_threads) {
    threads_.emplace_back([this] { work(); });
  }
}

void Background::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    wake_.wait(lock, [&] { return closing_ || !queue_.empty(); });
    --idle_;
    if (closing_) {
      return;
    }
    const auto task = running_.insert(running_.end(), std::move(queue_.front()));
    queue_.pop_front();
    lock.unlock();
    (*task)->work();
    (*task)->work = nullptr;  // what it holds belongs to JavaScript's thread: only `settle` has it now
    (void)post(std::move((*task)->settle));
    lock.lock();
    running_.erase(task);
  }
}

bool Background::post(OnJavaScript call) {
  auto data = std::make_unique<OnJavaScript>(std::move(call));
  if (napi_call_threadsafe_function(javascript_, data.get(), napi_tsfn_nonblocking) != napi_ok) {
    return false;
  }
  (void)data.release();  // call_on_javascript() has it
  return true;
}

void Background::close() {
  {
    const std::scoped_lock lock(mutex_);
    if (std::exchange(closing_, true)) {
      return;
    }
    for (const auto& task : running_) {
      task->stop.request_stop();
    }
    queue_.clear();
    wake_.notify_all();
  }
  for (std::thread& thread : threads_) {
    thread.join();
  }
  napi_release_threadsafe_function(javascript_, napi_tsfn_abort);
}

Background::Waiting::Waiting(Background& background) : background_(background) {
  const std::scoped_lock lock(background_.mutex_);
  ++background_.waiting_;
  background_.start_thread_if_needed();
}

Background::Waiting::~Waiting() {
  const std::scoped_lock lock(background_.mutex_);
  --background_.waiting_;
}

}  // namespace ferry_node
