// Extended attributes of ordinary files: xattr(7).
#include <sys/xattr.h>

#include <cerrno>
#include <string>
#include <vector>

#include "background.hpp"
#include "bindings.hpp"
#include "values.hpp"

namespace ferry_node {
namespace {

enum XattrFlag : std::uint32_t {
  xattr_no_follow = 1U << 0U,
  xattr_create = 1U << 1U,
  xattr_replace = 1U << 2U,
};

using Bytes = std::vector<char>;

// Asks for the size, then for the bytes, again if they have become more meanwhile. `read(data, size)` is the call.
template <typename Read>
Outcome<Bytes> read_growing(const char* call, const std::string& path, const Read& read) {
  constexpr int most_attempts = 16;
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    const ssize_t size = read(nullptr, 0);
    if (size < 0) {
      return failed(errno, call, path);
    }
    Bytes bytes(static_cast<std::size_t>(size));
    const ssize_t got = size == 0 ? 0 : read(bytes.data(), bytes.size());
    if (got >= 0) {
      bytes.resize(static_cast<std::size_t>(got));
      return bytes;
    }
    if (errno != ERANGE) {
      return failed(errno, call, path);
    }
  }
  return failed(ERANGE, call, path);
}

Outcome<Bytes> get(const std::string& path, const std::string& name, std::uint32_t flags) {
  const auto call = (flags & xattr_no_follow) != 0 ? ::lgetxattr : ::getxattr;
  return read_growing("getxattr", path,
                      [&](char* data, std::size_t size) { return call(path.c_str(), name.c_str(), data, size); });
}

Outcome<Bytes> list(const std::string& path, std::uint32_t flags) {
  const auto call = (flags & xattr_no_follow) != 0 ? ::llistxattr : ::listxattr;
  return read_growing("listxattr", path, [&](char* data, std::size_t size) { return call(path.c_str(), data, size); });
}

Outcome<void> set(const std::string& path, const std::string& name, const Bytes& value, std::uint32_t flags) {
  const auto call = (flags & xattr_no_follow) != 0 ? ::lsetxattr : ::setxattr;
  const int how = ((flags & xattr_create) != 0 ? XATTR_CREATE : 0) | ((flags & xattr_replace) != 0 ? XATTR_REPLACE : 0);
  return call(path.c_str(), name.c_str(), value.data(), value.size(), how) == 0 ? Outcome<void>{}
                                                                                : failed(errno, "setxattr", path);
}

Outcome<void> remove(const std::string& path, const std::string& name, std::uint32_t flags) {
  const auto call = (flags & xattr_no_follow) != 0 ? ::lremovexattr : ::removexattr;
  return call(path.c_str(), name.c_str()) == 0 ? Outcome<void>{} : failed(errno, "removexattr", path);
}

Bytes bytes_argument(const Napi::CallbackInfo& info, std::size_t index) {
  if (!info[index].IsBuffer()) {
    throw Napi::TypeError::New(info.Env(), "argument " + std::to_string(index + 1) + " must be a Buffer");
  }
  const auto buffer = info[index].As<Napi::Buffer<char>>();
  return {buffer.Data(), buffer.Data() + buffer.Length()};
}

Napi::Value value_of(Napi::Env env, const Outcome<Bytes>& bytes) {
  return bytes ? Napi::Buffer<char>::Copy(env, bytes->data(), bytes->size()).As<Napi::Value>()
               : to_value(env, bytes.error());
}
Napi::Value value_of(Napi::Env env, const Outcome<void>& done) {
  return done ? env.Undefined() : to_value(env, done.error());
}

// Runs `work` here and now, or in the background: what is called NAMESync, and what is called NAME.
template <typename Work>
Napi::Value run(const Napi::CallbackInfo& info, bool sync, Work work) {
  using Result = std::invoke_result_t<Work>;
  if (sync) {
    return value_of(info.Env(), work());
  }
  return Background::of(info.Env()).run(info.Env(), {}, std::move(work), [](Napi::Env env, const Result& result) {
    return value_of(env, result);
  });
}

// getxattr(path, name, flags)
template <bool sync>
Napi::Value get_xattr(const Napi::CallbackInfo& info) {
  return run(info, sync, [path = path_of(info, 0), name = path_of(info, 1), flags = uint32_of(info, 2)] {
    return get(path, name, flags);
  });
}
// setxattr(path, name, value, flags)
template <bool sync>
Napi::Value set_xattr(const Napi::CallbackInfo& info) {
  return run(info, sync,
             [path = path_of(info, 0), name = path_of(info, 1), value = bytes_argument(info, 2),
              flags = uint32_of(info, 3)] { return set(path, name, value, flags); });
}
// listxattr(path, flags): NUL-terminated names
template <bool sync>
Napi::Value list_xattr(const Napi::CallbackInfo& info) {
  return run(info, sync, [path = path_of(info, 0), flags = uint32_of(info, 1)] { return list(path, flags); });
}
// removexattr(path, name, flags)
template <bool sync>
Napi::Value remove_xattr(const Napi::CallbackInfo& info) {
  return run(info, sync, [path = path_of(info, 0), name = path_of(info, 1), flags = uint32_of(info, 2)] {
    return remove(path, name, flags);
  });
}

}  // namespace

void export_xattr(Napi::Env env, Napi::Object exports) {
  exports.Set("getxattrSync", Napi::Function::New<get_xattr<true>>(env, "getxattrSync"));
  exports.Set("getxattr", Napi::Function::New<get_xattr<false>>(env, "getxattr"));
  exports.Set("setxattrSync", Napi::Function::New<set_xattr<true>>(env, "setxattrSync"));
  exports.Set("setxattr", Napi::Function::New<set_xattr<false>>(env, "setxattr"));
  exports.Set("listxattrSync", Napi::Function::New<list_xattr<true>>(env, "listxattrSync"));
  exports.Set("listxattr", Napi::Function::New<list_xattr<false>>(env, "listxattr"));
  exports.Set("removexattrSync", Napi::Function::New<remove_xattr<true>>(env, "removexattrSync"));
  exports.Set("removexattr", Napi::Function::New<remove_xattr<false>>(env, "removexattr"));
}

}  // namespace ferry_node
