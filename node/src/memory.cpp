#include "memory.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "values.hpp"

namespace ferry_node {
namespace {

// Process-wide, for nativeMemory() and the tests.
struct Counters {
  std::atomic<std::uint64_t> live_bytes = 0;
  std::atomic<std::uint64_t> live_buffers = 0;
};
constinit Counters counters;

class HeapMemory final : public Memory {
 public:
  using Memory::Memory;
  ~HeapMemory() override { release(); }

 private:
  void free() noexcept override { std::free(data()); }
};

// ------------------------------------------------------------------------------------------- the pool

constexpr std::size_t smallest_class_bytes = 4096;
constexpr std::size_t class_count = 15;  // 4 KiB to 64 MiB, each twice the one before
constexpr std::size_t most_pooled_bytes = std::size_t{64} << 20U;
constexpr std::size_t largest_alignment = std::size_t{2} << 20U;

// Page-aligned memory that was given back, by size. All threads'.
class Pool {
 public:
  // Empty: nothing suitable is there.
  [[nodiscard]] std::byte* take(std::size_t size_class) noexcept {
    const std::scoped_lock lock(mutex_);
    auto& free = free_.at(size_class);
    if (free.empty()) {
      return nullptr;
    }
    std::byte* const data = free.back();
    free.pop_back();
    pooled_bytes_ -= smallest_class_bytes << size_class;
    return data;
  }
  // False: the pool is full.
  [[nodiscard]] bool give(std::size_t size_class, std::byte* data) noexcept {
    const std::size_t bytes = smallest_class_bytes << size_class;
    const std::scoped_lock lock(mutex_);
    if (pooled_bytes_ + bytes > most_pooled_bytes) {
      return false;
    }
    free_.at(size_class).push_back(data);
    pooled_bytes_ += bytes;
    return true;
  }
  [[nodiscard]] std::uint64_t pooled_bytes() noexcept {
    const std::scoped_lock lock(mutex_);
    return pooled_bytes_;
  }

 private:
  std::mutex mutex_;
  std::array<std::vector<std::byte*>, class_count> free_;
  std::size_t pooled_bytes_ = 0;
};

// Never destroyed: finalizers may come after static destructors.
Pool& pool() {
  static auto* const shared = new Pool;
  return *shared;
}

// class_count: too large for the pool.
std::size_t class_of(std::size_t size) noexcept {
  const std::size_t bytes = std::bit_ceil(std::max(size, smallest_class_bytes));
  return static_cast<std::size_t>(std::countr_zero(bytes) - std::countr_zero(smallest_class_bytes));
}

class PooledMemory final : public Memory {
 public:
  PooledMemory(std::byte* data, std::size_t size, std::size_t size_class) noexcept
      : Memory(data, size), class_(size_class) {}
  ~PooledMemory() override { release(); }

 private:
  void free() noexcept override {
    if (class_ >= class_count || !pool().give(class_, data())) {
      std::free(data());
    }
  }
  std::size_t class_;
};

// Zeroed, as all memory of JavaScript is.
std::shared_ptr<Memory> allocate_aligned(std::size_t size, std::size_t alignment) {
  std::size_t size_class = class_of(size);
  const bool poolable = size_class < class_count && alignment <= smallest_class_bytes;
  const std::size_t bytes =
      poolable ? smallest_class_bytes << size_class : (size + alignment - 1) / alignment * alignment;
  std::byte* data = poolable ? pool().take(size_class) : nullptr;
  if (data == nullptr) {
    data = static_cast<std::byte*>(std::aligned_alloc(std::max(alignment, poolable ? smallest_class_bytes : alignment),
                                                      std::max(bytes, alignment)));
  }
  if (data == nullptr) {
    return nullptr;
  }
  std::memset(data, 0, size);
  return std::make_shared<PooledMemory>(data, size, poolable ? size_class : class_count);
}

// ------------------------------------------------------------------------------------------- bindings

std::size_t size_of_memory(const Napi::CallbackInfo& info, std::size_t index) {
  // What ArrayBuffers of every runtime can be.
  constexpr std::uint64_t most_bytes = std::uint64_t{1} << 32U;
  const std::uint64_t size = bytes_of(info, index);
  if (size > most_bytes) {
    throw Napi::RangeError::New(info.Env(), "a buffer can have at most 4294967296 bytes");
  }
  return size;
}

// [arrayBuffer, handle]
Napi::Value buffer_value(Napi::Env env, const std::shared_ptr<Memory>& memory) {
  if (memory == nullptr) {
    throw Napi::RangeError::New(env, "there is not enough memory for the buffer");
  }
  const Napi::Array pair = Napi::Array::New(env, 2);
  pair.Set(0U, array_buffer_over(env, memory));
  pair.Set(1U, MemoryHandle::make(env, memory));
  return pair;
}

// createExternal(size)
Napi::Value create_external(const Napi::CallbackInfo& info) {
  return buffer_value(info.Env(), allocate(size_of_memory(info, 0), true));
}

// createManaged(size, alignment)
Napi::Value create_managed(const Napi::CallbackInfo& info) {
  const std::size_t size = size_of_memory(info, 0);
  const std::uint32_t alignment = uint32_of(info, 1);
  if (!std::has_single_bit(alignment) || alignment < sizeof(void*) || alignment > largest_alignment) {
    throw Napi::RangeError::New(info.Env(), "the alignment must be a power of two from 8 to 2097152");
  }
  return buffer_value(info.Env(), allocate_aligned(size, alignment));
}

// release(arrayBuffer, handle): whether the memory is free now
Napi::Value release(const Napi::CallbackInfo& info) {
  const auto memory = MemoryHandle::of(info, 1);
  const bool ours = detach(info.Env(), info[0], *memory);
  if (ours) {
    memory->release();
  }
  return Napi::Boolean::New(info.Env(), ours);
}

Napi::Value native_memory(const Napi::CallbackInfo& info) {
  const Napi::Object object = Napi::Object::New(info.Env());
  object.Set("liveBytes", to_bigint(info.Env(), counters.live_bytes));
  object.Set("liveBuffers", Napi::Number::New(info.Env(), static_cast<double>(counters.live_buffers)));
  object.Set("pooledBytes", to_bigint(info.Env(), pool().pooled_bytes()));
  return object;
}

}  // namespace

Memory::Memory(std::byte* data, std::size_t size) noexcept : data_(data), size_(size) {
  counters.live_bytes += size;
  ++counters.live_buffers;
}

void Memory::release() noexcept {
  if (!released_.exchange(true)) {
    counters.live_bytes -= size_;
    --counters.live_buffers;
    free();
  }
}

std::shared_ptr<Memory> allocate(std::size_t size, bool zero) {
  const std::size_t bytes = std::max<std::size_t>(size, 1);
  void* const data = zero ? std::calloc(bytes, 1) : std::malloc(bytes);
  return data == nullptr ? nullptr : std::make_shared<HeapMemory>(static_cast<std::byte*>(data), size);
}

Napi::ArrayBuffer array_buffer_over(Napi::Env env, const std::shared_ptr<Memory>& memory) {
  auto share = std::make_unique<std::shared_ptr<Memory>>(memory);
  const napi_finalize let_go = [](napi_env /*env*/, void* /*data*/, void* hint) {
    delete static_cast<std::shared_ptr<Memory>*>(hint);
  };
  napi_value value = nullptr;
  if (memory->size() > 0 &&
      napi_create_external_arraybuffer(env, memory->data(), memory->size(), let_go, share.get(), &value) == napi_ok) {
    (void)share.release();
    return {env, value};
  }
  Napi::ArrayBuffer copy = Napi::ArrayBuffer::New(env, memory->size());
  if (memory->size() > 0) {
    std::memcpy(copy.Data(), memory->data(), memory->size());
  }
  return copy;
}

bool detach(Napi::Env env, const Napi::Value& array_buffer, const Memory& memory) {
  if (!array_buffer.IsArrayBuffer()) {
    throw Napi::TypeError::New(env, "argument 1 must be an ArrayBuffer");
  }
  auto buffer = array_buffer.As<Napi::ArrayBuffer>();
  return buffer.Data() == memory.data() && buffer.ByteLength() == memory.size() && memory.size() > 0 &&
         napi_detach_arraybuffer(env, buffer) == napi_ok;
}

void export_memory(Napi::Env env, Napi::Object exports) {
  exports.Set("createExternal", Napi::Function::New<create_external>(env, "createExternal"));
  exports.Set("createManaged", Napi::Function::New<create_managed>(env, "createManaged"));
  exports.Set("release", Napi::Function::New<release>(env, "release"));
  exports.Set("nativeMemory", Napi::Function::New<native_memory>(env, "nativeMemory"));
}

}  // namespace ferry_node
