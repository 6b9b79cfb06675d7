#include "copy/capabilities.hpp"

#include <array>
#include <atomic>
#include <mutex>

#include "copy/uring_pipeline.hpp"

namespace ferry::engine {
namespace {

// A machine has few pairs of file systems in use; slots are filled in order and never reused while the process lives.
constexpr std::size_t max_pairs = 64;

struct Slot {
  std::atomic<std::uint64_t> source = 0;
  std::atomic<std::uint64_t> destination = 0;
  std::array<std::atomic<int>, copy_method_count> refused = {};
};

std::array<Slot, max_pairs> slots;
std::atomic<std::size_t> used_slots = 0;
std::mutex writing;

Slot* find(DevicePair pair) noexcept {
  const std::size_t used = used_slots.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < used; ++i) {
    if (slots[i].source.load(std::memory_order_relaxed) == pair.source &&
        slots[i].destination.load(std::memory_order_relaxed) == pair.destination) {
      return &slots[i];
    }
  }
  return nullptr;
}

}  // namespace

CopyMethodSet refused_methods(DevicePair pair) noexcept {
  CopyMethodSet refused;
  if (const Slot* slot = find(pair)) {
    for (std::size_t i = 0; i < copy_method_count; ++i) {
      if (slot->refused[i].load(std::memory_order_relaxed) != 0) {
        refused.insert(static_cast<CopyMethod>(i));
      }
    }
  }
  return refused;
}

int refused_errno(DevicePair pair, CopyMethod method) noexcept {
  const Slot* slot = find(pair);
  return slot == nullptr ? 0 : slot->refused[static_cast<std::size_t>(method)].load(std::memory_order_relaxed);
}

void remember_refused(DevicePair pair, CopyMethod method, int errno_value) noexcept {
  const std::scoped_lock lock(writing);
  Slot* slot = find(pair);
  if (slot == nullptr) {
    const std::size_t used = used_slots.load(std::memory_order_relaxed);
    if (used == max_pairs) {
      return;
    }
    slot = &slots[used];
    slot->source.store(pair.source, std::memory_order_relaxed);
    slot->destination.store(pair.destination, std::memory_order_relaxed);
    used_slots.store(used + 1, std::memory_order_release);
  }
  slot->refused[static_cast<std::size_t>(method)].store(errno_value, std::memory_order_relaxed);
}

void forget_refused() noexcept {
  forget_uring_refusal();
  const std::scoped_lock lock(writing);
  for (Slot& slot : slots) {
    for (auto& errno_value : slot.refused) {
      errno_value.store(0, std::memory_order_relaxed);
    }
  }
}

}  // namespace ferry::engine
