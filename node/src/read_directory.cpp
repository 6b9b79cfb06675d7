// readdir and readdirSync. A list is handed over as a few large values, from which lib/readdir.cjs makes the entries:
// making each string and object through Node-API would cost several times the reading.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
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

// What one thread has seen of a directory tree.
class Part {
 public:
  void note(const ferry::WalkEntry& entry, bool types) {
    if (!types) {
      listing_.names.append(entry.path).push_back('\0');
      return;
    }
    const std::string_view in = entry.path.substr(0, entry.path.size() - entry.name.size());
    if (listing_.runs.empty() || in != parent_) {
      parent_ = in;
      listing_.parents.append(in.substr(0, in.empty() ? 0 : in.size() - 1)).push_back('\0');
      listing_.runs.push_back(0);
    }
    ++listing_.runs.back();
    listing_.names.append(entry.name).push_back('\0');
    listing_.types.push_back(static_cast<char>(entry.type));
  }
  [[nodiscard]] Listing& listing() noexcept { return listing_; }

 private:
  Listing listing_;
  std::string parent_;
};

// The parts of one list, each filled by one thread without a lock: that would cost more than a second thread gives.
class Parts {
 public:
  // The calling thread's.
  [[nodiscard]] Part& mine() {
    struct Mine {
      std::uint64_t list = 0;
      Part* part = nullptr;
    };
    static thread_local Mine mine;
    if (mine.list != number_ || mine.part == nullptr) {
      const std::scoped_lock lock(mutex_);
      mine = {.list = number_, .part = &parts_.emplace_back()};
    }
    return *mine.part;
  }
  // When no thread fills them any more.
  [[nodiscard]] Listing joined() {
    Listing all;
    for (Part& part : parts_) {
      Listing& listing = part.listing();
      if (all.names.empty()) {
        all = std::move(listing);
        continue;
      }
      all.names += listing.names;
      all.types += listing.types;
      all.parents += listing.parents;
      all.runs.insert(all.runs.end(), listing.runs.begin(), listing.runs.end());
    }
    return all;
  }

 private:
  [[nodiscard]] static std::uint64_t next_number() {
    static constinit std::atomic<std::uint64_t> last = 0;
    return ++last;
  }
  std::uint64_t number_ = next_number();  // a later list may have this one's address
  std::mutex mutex_;
  std::deque<Part> parts_;
};

Outcome<Listing> list(const std::string& root, std::uint32_t flags) {
  Parts parts;
  const bool types = (flags & list_types) != 0;
  const ferry::WalkAction action = (flags & list_recursive) != 0 ? ferry::WalkAction::descend : ferry::WalkAction::skip;
  const auto note = [&](const ferry::WalkEntry& entry) {
    parts.mine().note(entry, types);
    return action;
  };
  constexpr unsigned most_threads = 8;
  const auto walked =
      ferry::walk(root, note, {.jobs = std::clamp(std::thread::hardware_concurrency(), 1U, most_threads)});
  if (!walked) {
    return failed(walked.error().errno_value(), "scandir", walked.error().path.empty() ? root : walked.error().path);
  }
  return parts.joined();
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
