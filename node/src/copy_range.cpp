// copyFileRange, its chunk size and its statistics.
#include <string>

#include <ferry/copy.hpp>

#include "background.hpp"
#include "bindings.hpp"
#include "values.hpp"

namespace ferry_node {
namespace {

struct Range {
  int in;
  std::uint64_t in_offset;
  int out;
  std::uint64_t out_offset;
  std::uint64_t length;
};

Range range_of(const Napi::CallbackInfo& info) {
  return {.in = descriptor_of(info, 0),
          .in_offset = bytes_of(info, 1),
          .out = descriptor_of(info, 2),
          .out_offset = bytes_of(info, 3),
          .length = bytes_of(info, 4)};
}

Outcome<ferry::CopyReport> copy(const Range& range, const std::stop_token& stop) {
  auto report = ferry::copy_range(range.in, range.in_offset, range.out, range.out_offset, range.length, {.stop = stop});
  return report ? Outcome<ferry::CopyReport>(*report) : failed(report.error().errno_value(), "copy_file_range");
}

// The bytes copied, or a failure.
Napi::Value range_value(Napi::Env env, const Outcome<ferry::CopyReport>& report) {
  return report ? to_bigint(env, report->bytes_copied + report->hole_bytes) : to_value(env, report.error());
}

// copyRangeSync(fdIn, offsetIn, fdOut, offsetOut, length)
Napi::Value copy_range_sync(const Napi::CallbackInfo& info) {
  return range_value(info.Env(), copy(range_of(info), {}));
}

// copyRange(fdIn, offsetIn, fdOut, offsetOut, length, stop?)
Napi::Value copy_range_async(const Napi::CallbackInfo& info) {
  const Range range = range_of(info);
  const std::stop_source stop = stop_of(info, 5);
  return Background::of(info.Env())
      .run(
          info.Env(), stop, [range, token = stop.get_token()] { return copy(range, token); },
          [](Napi::Env env, const Outcome<ferry::CopyReport>& report) { return range_value(env, report); });
}

Napi::Value set_chunk_size(const Napi::CallbackInfo& info) {
  if (!ferry::set_copy_chunk_size(bytes_of(info, 0))) {
    throw Napi::RangeError::New(info.Env(), "the chunk size must be from 65536 to 67108864 bytes");
  }
  return info.Env().Undefined();
}

Napi::Value get_chunk_size(const Napi::CallbackInfo& info) { return to_bigint(info.Env(), ferry::copy_chunk_size()); }

Napi::Value get_stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const ferry::CopyStats stats = ferry::copy_stats();
  const Napi::Object methods = Napi::Object::New(env);
  for (std::size_t i = 0; i < ferry::copy_method_count; ++i) {
    const Napi::Object method = Napi::Object::New(env);
    method.Set("operations", to_bigint(env, stats.by_method[i].operations));
    method.Set("bytes", to_bigint(env, stats.by_method[i].bytes));
    method.Set("fallbacks", to_bigint(env, stats.by_method[i].fallbacks));
    methods.Set(std::string(ferry::to_string(static_cast<ferry::CopyMethod>(i))), method);
  }
  const Napi::Object object = Napi::Object::New(env);
  object.Set("totalOperations", to_bigint(env, stats.total_operations));
  object.Set("totalBytesCopied", to_bigint(env, stats.total_bytes));
  object.Set("kernelCopySupported", Napi::Boolean::New(env, stats.kernel_copy_supported));
  object.Set("methods", methods);
  return object;
}

Napi::Value reset_stats(const Napi::CallbackInfo& info) {
  ferry::reset_copy_stats();
  return info.Env().Undefined();
}

}  // namespace

void export_copy_range(Napi::Env env, Napi::Object exports) {
  exports.Set("copyRangeSync", Napi::Function::New<copy_range_sync>(env, "copyRangeSync"));
  exports.Set("copyRange", Napi::Function::New<copy_range_async>(env, "copyRange"));
  exports.Set("setChunkSize", Napi::Function::New<set_chunk_size>(env, "setChunkSize"));
  exports.Set("getChunkSize", Napi::Function::New<get_chunk_size>(env, "getChunkSize"));
  exports.Set("getStats", Napi::Function::New<get_stats>(env, "getStats"));
  exports.Set("resetStats", Napi::Function::New<reset_stats>(env, "resetStats"));
}

}  // namespace ferry_node
