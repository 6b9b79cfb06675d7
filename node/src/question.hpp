// Native threads that need something from JavaScript: questions they wait for, and callbacks they only tell.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>

#include <napi.h>

#include "background.hpp"
#include "handle.hpp"

namespace ferry_node {

/// Something asked of JavaScript, answered once by answerQuestion(), perhaps much later.
class Question {
 public:
  void answer(bool value);
  /// Empty if asked to stop before there was an answer.
  [[nodiscard]] std::optional<bool> wait(const std::stop_token& stop);

 private:
  std::mutex mutex_;
  std::condition_variable_any answered_;
  std::optional<bool> answer_;
};
using QuestionHandle = Handle<Question, 2>;

/// answerQuestion(question, boolean)
[[nodiscard]] Napi::Value answer_question(const Napi::CallbackInfo& info);

/// A function of the program that native work calls later. Made, called and let go on the JavaScript thread; may be
/// destroyed on any, also after the environment's end (which frees what it refers to).
class Callback {
 public:
  explicit Callback(const Napi::Function& function);
  /// False: there is none.
  [[nodiscard]] explicit operator bool() const noexcept { return !reference_.IsEmpty(); }
  [[nodiscard]] Napi::Function value() const { return reference_.Value(); }
  void let_go() { reference_.Reset(); }

 private:
  Napi::FunctionReference reference_;
};

/// Has `ask` called on the JavaScript thread, with a handle to answer through, and waits. Threads of the pool only.
[[nodiscard]] std::optional<bool> ask_javascript(Background& background, const std::stop_token& stop,
                                                 const std::function<void(Napi::Env, const Napi::Object&)>& ask);

}  // namespace ferry_node
