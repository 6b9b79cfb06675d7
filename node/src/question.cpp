#include "question.hpp"

namespace ferry_node {

void Question::answer(bool value) {
  const std::scoped_lock lock(mutex_);
  if (!answer_) {  // the first answer counts
    answer_ = value;
    answered_.notify_all();
  }
}

std::optional<bool> Question::wait(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  answered_.wait(lock, stop, [&] { return answer_.has_value(); });
  return answer_;
}

Napi::Value answer_question(const Napi::CallbackInfo& info) {
  const auto question = QuestionHandle::of(info, 0);
  if (!info[1].IsBoolean()) {
    throw Napi::TypeError::New(info.Env(), "argument 2 must be a boolean");
  }
  question->answer(info[1].As<Napi::Boolean>().Value());
  return info.Env().Undefined();
}

Callback::Callback(const Napi::Function& function) {
  if (!function.IsEmpty()) {
    reference_ = Napi::Persistent(function);
    reference_.SuppressDestruct();
  }
}

std::optional<bool> ask_javascript(Background& background, const std::stop_token& stop,
                                   const std::function<void(Napi::Env, const Napi::Object&)>& ask) {
  const auto question = std::make_shared<Question>();
  const bool asked = background.post([question, ask](Napi::Env env) {
    if (static_cast<napi_env>(env) != nullptr) {
      ask(env, QuestionHandle::make(env, question));
    }
  });
  if (!asked) {
    return std::nullopt;
  }
  const Background::Waiting waiting(background);
  return question->wait(stop);
}

}  // namespace ferry_node
