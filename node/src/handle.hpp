// Native objects that JavaScript holds without seeing inside, checked when they come back: another object, or a handle
// of another kind, is a TypeError.
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include <napi.h>

namespace ferry_node {

/// `kind` is different for each type.
template <typename T, std::uint64_t kind>
class Handle {
 public:
  /// An object that owns a share; it is given up when the object is collected or the environment ends.
  [[nodiscard]] static Napi::Object make(Napi::Env env, std::shared_ptr<T> native) {
    const Napi::Object object = Napi::Object::New(env);
    auto share = std::make_unique<std::shared_ptr<T>>(std::move(native));
    const napi_finalize let_go = [](napi_env /*env*/, void* data, void* /*hint*/) {
      delete static_cast<std::shared_ptr<T>*>(data);
    };
    if (napi_wrap(env, object, share.get(), let_go, nullptr, nullptr) != napi_ok) {
      throw Napi::Error::New(env, "ferry: out of memory");
    }
    (void)share.release();
    if (napi_type_tag_object(env, object, &tag) != napi_ok) {
      throw Napi::Error::New(env, "ferry: out of memory");
    }
    return object;
  }
  [[nodiscard]] static std::shared_ptr<T> of(const Napi::CallbackInfo& info, std::size_t index) {
    const Napi::Value value = info[index];
    bool ours = false;
    void* data = nullptr;
    if (!value.IsObject() || napi_check_object_type_tag(info.Env(), value, &tag, &ours) != napi_ok || !ours ||
        napi_unwrap(info.Env(), value, &data) != napi_ok || data == nullptr) {
      throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(index + 1) + " is not the handle it must be");
    }
    return *static_cast<std::shared_ptr<T>*>(data);
  }

 private:
  static constexpr napi_type_tag tag = {0x66657272792d6e61, kind};
};

using StopHandle = Handle<std::stop_source, 1>;

}  // namespace ferry_node
