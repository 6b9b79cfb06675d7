// JavaScript values to native ones and back. What is given wrongly is a TypeError or a RangeError.
//
// lib/ checks what programs pass and says what is wrong in Node's words; here everything is checked again, so that no
// call of the addon, whatever its arguments, can do harm.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include <napi.h>
#include <ferry/copy.hpp>

#include "failure.hpp"

namespace ferry_node {

/// A path: a string, or the raw bytes as a Buffer. Not empty of NUL bytes: TypeError.
[[nodiscard]] std::string path_of(const Napi::CallbackInfo& info, std::size_t index);
[[nodiscard]] std::uint32_t uint32_of(const Napi::CallbackInfo& info, std::size_t index);
/// An open descriptor's number, 0 or more.
[[nodiscard]] int descriptor_of(const Napi::CallbackInfo& info, std::size_t index);
/// An offset or a length in bytes: a BigInt of 0 to 2^63-1.
[[nodiscard]] std::uint64_t bytes_of(const Napi::CallbackInfo& info, std::size_t index);
/// A function, or undefined (then empty).
[[nodiscard]] Napi::Function function_or_none(const Napi::CallbackInfo& info, std::size_t index);
/// What new_stop() made, or undefined: then one that nobody stops.
[[nodiscard]] std::stop_source stop_of(const Napi::CallbackInfo& info, std::size_t index);

/// newStop(): an object that requestStop() stops what it was given to.
[[nodiscard]] Napi::Value new_stop(const Napi::CallbackInfo& info);
[[nodiscard]] Napi::Value request_stop(const Napi::CallbackInfo& info);

/// `{failed: true, code, errno, syscall, message, path, dest}`, of which lib/errors.cjs makes an Error.
[[nodiscard]] Napi::Value to_value(Napi::Env env, const Failure& failure);
/// `{bytesCopied, bytesByMethod, refused, holeBytes, size, verified, sourceChanged}`
[[nodiscard]] Napi::Object to_value(Napi::Env env, const ferry::CopyReport& report);
/// Bytes as a BigInt.
[[nodiscard]] inline Napi::Value to_bigint(Napi::Env env, std::uint64_t value) { return Napi::BigInt::New(env, value); }

/// Bits of the `flags` of cp, cpSync, copyFile and copyFileSync, as in lib/flags.cjs.
enum CopyFlag : std::uint32_t {
  flag_dereference = 1U << 0U,
  flag_error_on_exist = 1U << 1U,
  flag_no_force = 1U << 2U,
  flag_preserve_timestamps = 1U << 3U,
  flag_recursive = 1U << 4U,
  flag_verbatim_symlinks = 1U << 5U,
  flag_atomic = 1U << 6U,
  flag_verify = 1U << 7U,
  flag_explain = 1U << 8U,
  flag_reflink_never = 1U << 9U,
  flag_reflink_always = 1U << 10U,
  flag_exclusive = 1U << 11U,
  flag_fsync = 1U << 12U,
};

}  // namespace ferry_node
