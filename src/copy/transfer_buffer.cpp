#include "copy/transfer_buffer.hpp"

#include <cstdlib>
#include <memory>

namespace ferry::engine {
namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t most_kept_bytes = std::size_t{4} << 20U;

struct Free {
  void operator()(std::byte* memory) const noexcept { std::free(memory); }
};
struct ThreadBuffer {
  std::unique_ptr<std::byte, Free> memory;
  std::size_t capacity = 0;
};
thread_local ThreadBuffer buffer;

}  // namespace

std::byte* thread_buffer(std::size_t bytes) noexcept {
  if (bytes > buffer.capacity) [[unlikely]] {
    const std::size_t capacity = (bytes + page_bytes - 1) / page_bytes * page_bytes;
    buffer.memory.reset();  // first, so that the two never exist at once
    buffer.memory.reset(static_cast<std::byte*>(std::aligned_alloc(page_bytes, capacity)));
    buffer.capacity = buffer.memory ? capacity : 0;
  }
  return buffer.memory.get();
}

void trim_thread_buffer() noexcept {
  if (buffer.capacity > most_kept_bytes) {
    buffer.memory.reset();
    buffer.capacity = 0;
  }
}

}  // namespace ferry::engine
