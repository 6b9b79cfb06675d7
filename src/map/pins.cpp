// The pins of views: who has which counter, and how a shrinking map makes sure that it has seen all of them.
#include <linux/membarrier.h>

#include <algorithm>
#include <bitset>
#include <cerrno>
#include <mutex>

#include <ferry/map.hpp>

#include "base/sys.hpp"

namespace ferry::detail {
namespace {

constexpr unsigned unknown_slot = UINT_MAX;

// Which slots belong to living threads, process-wide: a thread has the same slot in every map.
struct SlotRegistry {
  std::mutex mutex;
  std::bitset<exclusive_pin_slots> used;
  std::atomic<unsigned> high_water = 0;
};
SlotRegistry& registry() {
  static auto* const instance = new SlotRegistry;  // threads may end after static objects are gone
  return *instance;
}

// Gives the slot back when the thread ends. What the thread pins or gives back after that is shared.
struct SlotOwner {
  ~SlotOwner() {
    const unsigned slot = pin_slot_of_thread;
    pin_slot_of_thread = exclusive_pin_slots;
    if (slot < exclusive_pin_slots) {
      const std::scoped_lock lock(registry().mutex);
      registry().used.reset(slot);
    }
  }
};

void find_slot() noexcept {
  static thread_local const SlotOwner owner;
  SlotRegistry& slots = registry();
  const std::scoped_lock lock(slots.mutex);
  unsigned slot = 0;
  while (slot < exclusive_pin_slots && slots.used.test(slot)) {
    ++slot;
  }
  if (slot < exclusive_pin_slots) {
    slots.used.set(slot);
    slots.high_water.store(std::max(slots.high_water.load(), slot + 1));
  }
  pin_slot_of_thread = slot;
}

// Linux 4.14; a seccomp filter may forbid it.
bool kernel_has_membarrier() noexcept {
  static const bool has = [] {
    const int commands = sys::membarrier(MEMBARRIER_CMD_QUERY);
    constexpr int needed = MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
    return commands >= 0 && (commands & needed) == needed;
  }();
  return has;
}

}  // namespace

constinit thread_local unsigned pin_slot_of_thread = unknown_slot;

Pins::Pins() noexcept : exclusive_(kernel_has_membarrier() ? exclusive_pin_slots : 0) {}

void Pins::take_shared(unsigned epoch) noexcept {
  if (pin_slot_of_thread == unknown_slot) {
    find_slot();
  }
  if (pin_slot_of_thread < exclusive_) {
    add_one(slots_[pin_slot_of_thread].taken[epoch]);
    return;
  }
  // Sequentially consistent, as is the load of the size that follows: no barrier of others is needed.
  slots_.back().taken[epoch].fetch_add(1, std::memory_order_seq_cst);
}

void Pins::give_back_shared(unsigned epoch) noexcept {
  if (pin_slot_of_thread == unknown_slot) {
    find_slot();
  }
  if (pin_slot_of_thread < exclusive_) {
    add_one(slots_[pin_slot_of_thread].given_back[epoch]);
    return;
  }
  slots_.back().given_back[epoch].fetch_add(1, std::memory_order_seq_cst);
}

// Those given back are counted first: a pin that is counted as given back is then counted as taken, too, even if it was
// taken by one thread and given back by another meanwhile. So a live pin is never overlooked.
std::uint64_t Pins::live(unsigned epoch) const noexcept {
  const unsigned slots = registry().high_water.load(std::memory_order_seq_cst);
  std::uint64_t given_back = slots_.back().given_back[epoch].load(std::memory_order_seq_cst);
  for (unsigned i = 0; i < slots; ++i) {
    given_back += slots_[i].given_back[epoch].load(std::memory_order_seq_cst);
  }
  std::uint64_t taken = slots_.back().taken[epoch].load(std::memory_order_seq_cst);
  for (unsigned i = 0; i < slots; ++i) {
    taken += slots_[i].taken[epoch].load(std::memory_order_seq_cst);
  }
  return taken - given_back;
}

int Pins::barrier() const noexcept {
  if (exclusive_ == 0) {
    return 0;
  }
  int result = sys::membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
  if (result == -EPERM) {  // the process has to say once that it wants this (membarrier(2))
    result = sys::membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
    if (result == 0) {
      result = sys::membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    }
  }
  return -result;
}

}  // namespace ferry::detail
