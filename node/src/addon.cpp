// The addon: one for each environment, the main thread's and each worker's.
#include <memory>

#include <napi.h>
#include <ferry/base.hpp>

#include "bindings.hpp"
#include "environment.hpp"
#include "question.hpp"
#include "values.hpp"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto environment = std::make_unique<ferry_node::Environment>(env);
  ferry_node::Environment* const owned = environment.get();
  env.SetInstanceData(environment.release());
  // Before anything of the environment is taken down, no thread uses it any more.
  env.AddCleanupHook([owned] { owned->background.close(); });

  exports.Set("version", Napi::String::New(env, std::string(ferry::version())));
  exports.Set("newStop", Napi::Function::New<ferry_node::new_stop>(env, "newStop"));
  exports.Set("requestStop", Napi::Function::New<ferry_node::request_stop>(env, "requestStop"));
  exports.Set("answerQuestion", Napi::Function::New<ferry_node::answer_question>(env, "answerQuestion"));
  ferry_node::export_cp(env, exports);
  ferry_node::export_read_directory(env, exports);
  ferry_node::export_copy_range(env, exports);
  ferry_node::export_memory(env, exports);
  ferry_node::export_map_file(env, exports);
  ferry_node::export_read_file(env, exports);
  ferry_node::export_xattr(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(ferry, init)
