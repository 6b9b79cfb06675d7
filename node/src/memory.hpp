// Memory of our own that JavaScript sees as ArrayBuffers, without a copy. It is freed exactly once: when the
// ArrayBuffer is collected, when the environment ends, or before, when a program gives it back.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <napi.h>

#include "handle.hpp"

namespace ferry_node {

/// A piece of memory, or of an address space. Thread-safe: ArrayBuffers are collected on other threads, too.
class Memory {
 public:
  /// It counts as live from now on, until it is released. A subclass's destructor calls release().
  Memory(std::byte* data, std::size_t size) noexcept;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  virtual ~Memory() = default;

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Frees it now, if it is not free already. Nobody may use it any more.
  void release() noexcept;

 private:
  virtual void free() noexcept = 0;
  std::byte* data_;
  std::size_t size_;
  std::atomic<bool> released_ = false;
};
using MemoryHandle = Handle<Memory, 3>;

/// `size` bytes from the C library; zero if asked for. Empty: there are not as many. Any thread.
[[nodiscard]] std::shared_ptr<Memory> allocate(std::size_t size, bool zero);

/// An ArrayBuffer over the memory, which lives as long as it does. Where the runtime does not allow that (Electron), a
/// copy.
[[nodiscard]] Napi::ArrayBuffer array_buffer_over(Napi::Env env, const std::shared_ptr<Memory>& memory);

/// Takes the ArrayBuffer's memory away: from now on it has no bytes. False, and nothing is done, if it is not over this
/// memory (any more): somebody else has transferred it, and owns it until it is collected.
[[nodiscard]] bool detach(Napi::Env env, const Napi::Value& array_buffer, const Memory& memory);

}  // namespace ferry_node
