// mapFile: an ArrayBuffer over a ferry map.
#include <array>
#include <memory>
#include <string>
#include <string_view>

#include <ferry/map.hpp>

#include "background.hpp"
#include "bindings.hpp"
#include "memory.hpp"
#include "values.hpp"

namespace ferry_node {
namespace {

class MapMemory final : public Memory {
 public:
  MapMemory(std::byte* data, std::size_t size, std::shared_ptr<ferry::MappedFile> map) noexcept
      : Memory(data, size), map_(std::move(map)) {}
  ~MapMemory() override { release(); }
  /// Empty when released. JavaScript thread, as release() is but for the destructor.
  [[nodiscard]] const std::shared_ptr<ferry::MappedFile>& map() const noexcept { return map_; }

 private:
  void free() noexcept override { map_.reset(); }  // a flush that runs keeps its share
  std::shared_ptr<ferry::MappedFile> map_;
};
using MapHandle = Handle<MapMemory, 4>;

constexpr std::array<std::pair<std::string_view, ferry::Advice>, 7> advices = {{
    {"normal", ferry::Advice::normal},
    {"sequential", ferry::Advice::sequential},
    {"random", ferry::Advice::random},
    {"willNeed", ferry::Advice::will_need},
    {"dontNeed", ferry::Advice::dont_need},
    {"cold", ferry::Advice::cold},
    {"hugePage", ferry::Advice::huge_page},
}};

Failure failure_of(const ferry::Error& error) { return failed(error).error(); }

// mapFile(path, writable): [arrayBuffer, handle] or a failure. JavaScript can write into every ArrayBuffer, so a map
// that is not writable is mapped copy-on-write: what is written to it stays in memory, and is no SIGSEGV.
Napi::Value map_file(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = path_of(info, 0);
  const bool writable = info[1].ToBoolean();
  // 1: no room for growing, which ArrayBuffers cannot do.
  auto opened = ferry::MappedFile::open(
      path, {.mode = writable ? ferry::MapMode::read_write : ferry::MapMode::copy_on_write, .reserve_bytes = 1});
  if (!opened) {
    return to_value(env, failed(opened.error().errno_value(), "mmap", path).error());
  }
  auto map = std::make_shared<ferry::MappedFile>(std::move(*opened));
  const auto bytes = map->mutable_data();
  if (!bytes) {
    return to_value(env, failed(bytes.error().errno_value(), "mmap", path).error());
  }
  const auto memory = std::make_shared<MapMemory>(bytes->data(), bytes->size(), std::move(map));
  Napi::ArrayBuffer buffer = array_buffer_over(env, memory);
  if (memory->size() > 0 && buffer.Data() != memory->data()) {
    throw Napi::Error::New(env, "this runtime does not allow ArrayBuffers over native memory");
  }
  const Napi::Array pair = Napi::Array::New(env, 2);
  pair.Set(0U, buffer);
  pair.Set(1U, MapHandle::make(env, memory));
  return pair;
}

std::shared_ptr<ferry::MappedFile> open_map_of(const Napi::CallbackInfo& info, std::size_t index) {
  auto map = MapHandle::of(info, index)->map();
  if (map == nullptr) {
    throw Napi::Error::New(info.Env(), "the map is closed");
  }
  return map;
}

Napi::Value done_value(Napi::Env env, const ferry::Result<void>& done) {
  return done ? env.Undefined() : to_value(env, failure_of(done.error()));
}

// flushSync(handle), flush(handle)
Napi::Value flush_sync(const Napi::CallbackInfo& info) { return done_value(info.Env(), open_map_of(info, 0)->flush()); }

Napi::Value flush_async(const Napi::CallbackInfo& info) {
  return Background::of(info.Env())
      .run(info.Env(), {}, [map = open_map_of(info, 0)] { return map->flush(); }, done_value);
}

// advise(handle, advice, offset, length)
Napi::Value advise(const Napi::CallbackInfo& info) {
  const auto map = open_map_of(info, 0);
  const std::string wanted = info[1].IsString() ? info[1].As<Napi::String>().Utf8Value() : std::string{};
  for (const auto& [name, advice] : advices) {
    if (name == wanted) {
      return done_value(info.Env(), map->advise(advice, bytes_of(info, 2), bytes_of(info, 3)));
    }
  }
  throw Napi::TypeError::New(info.Env(), "there is no such advice: '" + wanted + "'");
}

// closeMap(arrayBuffer, handle): whether it is unmapped now. If the ArrayBuffer was transferred, its new owner keeps
// the map until that is collected.
Napi::Value close_map(const Napi::CallbackInfo& info) {
  const auto memory = MapHandle::of(info, 1);
  const bool ours = memory->size() == 0 || detach(info.Env(), info[0], *memory);
  if (ours) {
    memory->release();
  }
  return Napi::Boolean::New(info.Env(), ours);
}

}  // namespace

void export_map_file(Napi::Env env, Napi::Object exports) {
  exports.Set("mapFile", Napi::Function::New<map_file>(env, "mapFile"));
  exports.Set("flushMapSync", Napi::Function::New<flush_sync>(env, "flushMapSync"));
  exports.Set("flushMap", Napi::Function::New<flush_async>(env, "flushMap"));
  exports.Set("adviseMap", Napi::Function::New<advise>(env, "adviseMap"));
  exports.Set("closeMap", Napi::Function::New<close_map>(env, "closeMap"));
}

}  // namespace ferry_node
