// readdir and readdirSync. A list is handed over as a few large values, from which lib/readdir.cjs makes the entries:
// making each string and object through Node-API would cost several times the reading.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <ferry/tree.hpp>

#include "background.hpp"
#include "bindings.hpp"
#include "values.hpp"

namespace ferry_node {
namespace {

enum ListFlag : std::uint32_t {
  list_recursive = 1U << 0U,
  list_types = 1U << 1U,  // names and types, by directory; else paths
  list_bytes = 1U << 2U,  // Buffers instead of strings
};

// NUL-terminated names, one after the other, in runs that have the same parent directory.
struct Listing {
  std::string names;
  std::string types;                // a byte each, as UV_DIRENT_*
  std::string parents;              // NUL-terminated, relative to the root; one for each run
  std::vector<std::uint32_t> runs;  // their lengths
};

static_assert(static_cast<int>(ferry::FileType::regular) == 1 && static_cast<int>(ferry::FileType::directory) == 2 &&
                  static_cast<int>(ferry::FileType::symlink) == 3 && static_cast<int>(ferry::FileType::fifo) == 4 &&
                  static_cast<int>(ferry::FileType::socket) == 5 &&
                  static_cast<int>(ferry::FileType::character_device) == 6 &&
                  static_cast<int>(ferry::FileType::block_device) == 7,
              "these are libuv's UV_DIRENT_ numbers");

Outcome<Listing> list(const std::string& root, std::uint32_t flags) {
  Listing listing;
  std::string parent;
  const bool types = (flags & list_types) != 0;
  const ferry::WalkAction action = (flags & list_recursive) != 0 ? ferry::WalkAction::descend : ferry::WalkAction::skip;
  const auto note = [&](const ferry::WalkEntry& entry) {
    if (!types) {
      listing.names.append(entry.path).push_back('\0');
      return action;
    }
    const std::string_view in = entry.path.substr(0, entry.path.size() - entry.name.size());
    if (listing.runs.empty() || in != parent) {
      parent = in;
      listing.parents.append(in.substr(0, in.empty() ? 0 : in.size() - 1)).push_back('\0');
      listing.runs.push_back(0);
    }
    ++listing.runs.back();
    listing.names.append(entry.name).push_back('\0');
    listing.types.push_back(static_cast<char>(entry.type));
    return action;
  };
  // One thread: the order is that of discovery, and a lock for each entry costs more than a second core gives.
  const auto walked = ferry::walk(root, note, {.jobs = 1});
  if (!walked) {
    return failed(walked.error().errno_value(), "scandir", walked.error().path.empty() ? root : walked.error().path);
  }
  return listing;
}

Napi::Value text_value(Napi::Env env, const std::string& text, std::uint32_t flags) {
  if ((flags & list_bytes) != 0) {
    return Napi::Buffer<char>::Copy(env, text.data(), text.size()).As<Napi::Value>();
  }
  const bool ascii =
      std::ranges::none_of(text, [](char byte) { return (static_cast<unsigned char>(byte) & 0x80U) != 0; });
  napi_value value = nullptr;
  const napi_status status = ascii ? napi_create_string_latin1(env, text.data(), text.size(), &value)
                                   : napi_create_string_utf8(env, text.data(), text.size(), &value);
  if (status != napi_ok) {
    throw Napi::Error::New(env, "ferry: the list is longer than a string can be");
  }
  return {env, value};
}

// {names, types, parents, runs}
Napi::Value list_value(Napi::Env env, const Outcome<Listing>& listing, std::uint32_t flags) {
  if (!listing) {
    return to_value(env, listing.error());
  }
  const Napi::Object object = Napi::Object::New(env);
  object.Set("names", text_value(env, listing->names, flags));
  if ((flags & list_types) != 0) {
    object.Set("types", Napi::Buffer<char>::Copy(env, listing->types.data(), listing->types.size()));
    object.Set("parents", text_value(env, listing->parents, flags));
    auto runs = Napi::Uint32Array::New(env, listing->runs.size());
    std::ranges::copy(listing->runs, runs.Data());
    object.Set("runs", runs);
  }
  return object;
}

// listSync(path, flags)
Napi::Value list_sync(const Napi::CallbackInfo& info) {
  const std::string root = path_of(info, 0);
  const std::uint32_t flags = uint32_of(info, 1);
  return list_value(info.Env(), list(root, flags), flags);
}

// list(path, flags)
Napi::Value list_async(const Napi::CallbackInfo& info) {
  const std::string root = path_of(info, 0);
  const std::uint32_t flags = uint32_of(info, 1);
  return Background::of(info.Env())
      .run(
          info.Env(), {}, [root, flags] { return list(root, flags); },
          [flags](Napi::Env env, const Outcome<Listing>& listing) { return list_value(env, listing, flags); });
}

}  // namespace

void export_read_directory(Napi::Env env, Napi::Object exports) {
  exports.Set("listSync", Napi::Function::New<list_sync>(env, "listSync"));
  exports.Set("list", Napi::Function::New<list_async>(env, "list"));
}

}  // namespace ferry_node
