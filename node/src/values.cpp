#include "values.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "handle.hpp"

namespace ferry_node {
namespace {

[[noreturn]] void refuse_type(Napi::Env env, std::size_t index, const char* wanted) {
  throw Napi::TypeError::New(env, "argument " + std::to_string(index + 1) + " must be " + wanted);
}
[[noreturn]] void refuse_range(Napi::Env env, std::size_t index, const char* wanted) {
  throw Napi::RangeError::New(env, "argument " + std::to_string(index + 1) + " must be " + wanted);
}

double integer_of(const Napi::CallbackInfo& info, std::size_t index, double most) {
  if (!info[index].IsNumber()) {
    refuse_type(info.Env(), index, "a number");
  }
  const double number = info[index].As<Napi::Number>().DoubleValue();
  if (number < 0 || number > most || std::trunc(number) != number) {  // NaN is not its own truncation
    refuse_range(info.Env(), index, "a whole number in range");
  }
  return number;
}

}  // namespace

std::string path_of(const Napi::CallbackInfo& info, std::size_t index) {
  const Napi::Value value = info[index];
  std::string path;
  if (value.IsString()) {
    path = value.As<Napi::String>().Utf8Value();
  } else if (value.IsBuffer()) {
    const auto bytes = value.As<Napi::Buffer<char>>();
    path.assign(bytes.Data(), bytes.Length());
  } else {
    refuse_type(info.Env(), index, "a string or a Buffer");
  }
  if (path.find('\0') != std::string::npos) {
    refuse_type(info.Env(), index, "a path without NUL bytes");
  }
  return path;
}

std::uint32_t uint32_of(const Napi::CallbackInfo& info, std::size_t index) {
  return static_cast<std::uint32_t>(integer_of(info, index, std::numeric_limits<std::uint32_t>::max()));
}

int descriptor_of(const Napi::CallbackInfo& info, std::size_t index) {
  return static_cast<int>(integer_of(info, index, std::numeric_limits<int>::max()));
}

std::uint64_t bytes_of(const Napi::CallbackInfo& info, std::size_t index) {
  if (!info[index].IsBigInt()) {
    refuse_type(info.Env(), index, "a BigInt");
  }
  bool lossless = false;
  const std::int64_t value = info[index].As<Napi::BigInt>().Int64Value(&lossless);
  if (!lossless || value < 0) {
    refuse_range(info.Env(), index, "from 0 to 2^63-1");
  }
  return static_cast<std::uint64_t>(value);
}

Napi::Function function_or_none(const Napi::CallbackInfo& info, std::size_t index) {
  if (info[index].IsUndefined()) {
    return {};
  }
  if (!info[index].IsFunction()) {
    refuse_type(info.Env(), index, "a function");
  }
  return info[index].As<Napi::Function>();
}

std::stop_source stop_of(const Napi::CallbackInfo& info, std::size_t index) {
  return info[index].IsUndefined() ? std::stop_source{} : *StopHandle::of(info, index);
}

Napi::Value new_stop(const Napi::CallbackInfo& info) {
  return StopHandle::make(info.Env(), std::make_shared<std::stop_source>());
}

Napi::Value request_stop(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), StopHandle::of(info, 0)->request_stop());
}

// ------------------------------------------------------------------------------------------- results

Napi::Value to_value(Napi::Env env, const Failure& failure) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("failed", Napi::Boolean::New(env, true));
  object.Set("code", Napi::String::New(env, failure.code));
  object.Set("errno", Napi::Number::New(env, failure.errno_value));
  object.Set("syscall", Napi::String::New(env, failure.syscall));
  object.Set("message", Napi::String::New(env, failure.message));
  if (!failure.path.empty()) {
    object.Set("path", Napi::String::New(env, failure.path));
  }
  if (!failure.destination.empty()) {
    object.Set("dest", Napi::String::New(env, failure.destination));
  }
  return object;
}

Napi::Object to_value(Napi::Env env, const ferry::CopyReport& report) {
  Napi::Object methods = Napi::Object::New(env);
  Napi::Object refused = Napi::Object::New(env);
  for (std::size_t i = 0; i < ferry::copy_method_count; ++i) {
    const std::string name(ferry::to_string(static_cast<ferry::CopyMethod>(i)));
    if (report.bytes_by_method[i] != 0) {
      methods.Set(name, to_bigint(env, report.bytes_by_method[i]));
    }
    if (report.refused_errno[i] != 0) {
      refused.Set(name, Napi::Number::New(env, report.refused_errno[i]));
    }
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("bytesCopied", to_bigint(env, report.bytes_copied));
  object.Set("holeBytes", to_bigint(env, report.hole_bytes));
  object.Set("size", to_bigint(env, report.size_bytes));
  object.Set("bytesByMethod", methods);
  object.Set("refused", refused);
  object.Set("verified", Napi::Boolean::New(env, report.verified));
  object.Set("sourceChanged", Napi::Boolean::New(env, report.source_changed));
  return object;
}

}  // namespace ferry_node
