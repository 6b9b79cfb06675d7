/// \file
/// Memory-mapped files: checked views that no resize invalidates, iteration, flush policies that say what they did,
/// atomics between processes, and access that survives a file being truncated under the map.
///
/// Reading takes no lock, makes no system call and allocates nothing. A map's address space is reserved when it is
/// opened, so growing never moves it; a view pins the map, so shrinking cannot take memory from under it.
///
/// Thread-safety: one MappedFile may be used from any number of threads at once, but for moving, unmap() and
/// destruction. As with any shared memory, who writes and reads the same bytes at the same time has to use atomics.
/// After fork(2) the child may use the map, but not resize it.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <stop_token>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ferry/base.hpp>
#include <ferry/copy.hpp>
#include <ferry/loop.hpp>
#include <ferry/task.hpp>

namespace ferry {

enum class MapMode : std::uint8_t {
  read_only,
  read_write,     ///< Writes go to the file and are seen by every other map of it (MAP_SHARED).
  copy_on_write,  ///< Writes stay in this map (MAP_PRIVATE); the file never changes.
};

/// How far a flush brings what was written.
enum class Durability : std::uint8_t {
  visible,            ///< Other maps and readers of the file see it: always so on Linux; no system call.
  data,               ///< It is on storage (msync(2) MS_SYNC, which is fdatasync(2) for a range).
  data_and_metadata,  ///< And so are the file's times and size (fsync(2)).
};

/// When writes are flushed without being asked to. A "write" is one update(), or one mutable view given back.
struct FlushPolicy {
  enum class When : std::uint8_t {
    manual,          ///< Only by flush() and flush_range().
    always,          ///< After each write.
    every_bytes,     ///< By the write with which `threshold` bytes have been written since they were last flushed.
    every_writes,    ///< By the `threshold`th write since the last flush that left nothing dirty.
    every_interval,  ///< By a background thread, `interval` after a write; it starts with the first write.
  };
  When when = When::manual;
  std::uint64_t threshold = 0;
  std::chrono::milliseconds interval{0};
  Durability durability = Durability::data;

  [[nodiscard]] static constexpr FlushPolicy manual() noexcept { return {}; }
  [[nodiscard]] static constexpr FlushPolicy always(Durability durability = Durability::data) noexcept {
    return {.when = When::always, .threshold = 0, .interval = {}, .durability = durability};
  }
  [[nodiscard]] static constexpr FlushPolicy after_bytes(std::uint64_t bytes,
                                                         Durability durability = Durability::data) noexcept {
    return {.when = When::every_bytes, .threshold = bytes, .interval = {}, .durability = durability};
  }
  [[nodiscard]] static constexpr FlushPolicy after_writes(std::uint64_t writes,
                                                          Durability durability = Durability::data) noexcept {
    return {.when = When::every_writes, .threshold = writes, .interval = {}, .durability = durability};
  }
  [[nodiscard]] static constexpr FlushPolicy every(std::chrono::milliseconds interval,
                                                   Durability durability = Durability::data) noexcept {
    return {.when = When::every_interval, .threshold = 0, .interval = interval, .durability = durability};
  }
  friend bool operator==(const FlushPolicy&, const FlushPolicy&) noexcept = default;
};

/// What is done about page faults when a map is opened.
enum class TouchHint : std::uint8_t {
  never,  ///< Nothing: each page is mapped when it is first used.
  eager,  ///< All pages are mapped before open returns.
  lazy,   ///< The kernel reads ahead in the background (MADV_WILLNEED); pages are mapped when first used.
};

enum class HugePages : std::uint8_t {
  never,
  /// The best tier to be had: a file on hugetlbfs is mapped by its huge pages; for others the map is aligned and
  /// transparent huge pages are asked for (MADV_HUGEPAGE); else ordinary pages. huge_page_report() tells what it got.
  automatic,
};

/// How a file is mapped. Used by MappedFile::open() and its relatives.
struct MapOptions {
  MapMode mode = MapMode::read_only;
  FlushPolicy flush = {};
  TouchHint touch = TouchHint::never;
  HugePages huge_pages = HugePages::never;
  /// Map all pages by the mmap call itself (MAP_POPULATE).
  bool populate = false;
  /// Blocks of new bytes (create, growing resize) are allocated at once, so that a full disk is an error there and not
  /// a SIGBUS later.
  bool preallocate = false;
  /// Address space kept for growing, at least the size. 0: 64 GiB for read_write, nothing for the others. If there is
  /// not as much, less is reserved, down to the size. Costs no memory.
  std::uint64_t reserve_bytes = 0;
  /// Permission bits of files that are created, reduced by the umask.
  std::uint32_t permissions = 0666;
};

/// What resize() does about live views when it shrinks.
enum class LiveViews : std::uint8_t {
  refuse,    ///< EBUSY, nothing changed.
  wait_for,  ///< Views beyond the new size are refused from now on; the file shrinks when the last older view is gone.
};

struct ResizeOptions {
  LiveViews live_views = LiveViews::refuse;
  /// wait_for: ETIMEDOUT after this, and the size stays.
  std::chrono::milliseconds timeout = std::chrono::milliseconds::max();
};

/// See madvise(2).
enum class Advice : std::uint8_t {
  normal,
  sequential,
  random,
  will_need,
  dont_need,  ///< Pages leave this map, not the page cache. ENOTSUP for copy_on_write, which would lose its changes.
  populate,   ///< Maps the pages, for writing if the map is writable. Linux 5.14; before it, pages are touched.
  huge_page,
  collapse,  ///< Makes huge pages now. Linux 6.1.
  cold,      ///< Linux 5.4.
  page_out,  ///< Linux 5.4.
};

/// What resident() found.
struct Residency {
  std::uint64_t pages = 0;           ///< Pages of the map.
  std::uint64_t resident_pages = 0;  ///< Of these, in memory (mincore(2)).
};

enum class HugePageTier : std::uint8_t {
  ordinary,
  transparent,  ///< Asked for by MADV_HUGEPAGE; `huge_bytes` tells how much of the map has them now.
  hugetlbfs,
};
struct HugePageReport {
  HugePageTier tier = HugePageTier::ordinary;
  std::uint64_t page_size_bytes = 0;  ///< Of the tier.
  std::uint64_t huge_bytes = 0;       ///< Mapped by huge pages at this moment, from /proc/self/smaps.
  int refused_errno = 0;              ///< Why there are no transparent huge pages; 0: not refused, or not asked for.
};

/// What happened to a watched file.
enum class FileChangeKind : std::uint8_t {
  modified,  ///< Its content or size.
  metadata,  ///< Mode, owner, links, attributes.
  removed,   ///< It has no name any more. Nothing comes after this.
  renamed,
};
struct FileChange {
  FileChangeKind kind = FileChangeKind::modified;
  std::uint64_t events = 1;  ///< Events that were coalesced into this one.
};
struct WatchOptions {
  /// Changes of one kind within this time of the first are reported once.
  std::chrono::milliseconds coalesce{20};
  /// inotify does not see writes through maps (inotify(7)): with a nonzero interval the file's times are looked at,
  /// too.
  std::chrono::milliseconds poll_interval{0};
  std::stop_token stop = {};
};

class MappedFile;

namespace detail {

/// Threads that have counters of their own in each map; further ones share.
inline constexpr unsigned exclusive_pin_slots = 64;
/// This thread's slot: below exclusive_pin_slots once it has one; equal: it shares; above: not known yet. initial-exec:
/// found without a call, which would be half of a view's cost, also where ferry is part of a shared library; the C
/// library keeps room for such variables of libraries that are loaded later.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local unsigned pin_slot_of_thread;

/// How many views of a map are live. Taking and giving back a pin is a plain store to a counter that only this thread
/// writes: no locked instruction. Who shrinks pays for that: membarrier(2) brings every thread to a point where its
/// counter is visible, or where it will see the new size. As in sleepable RCU there are two sets of counters, so that
/// waiting for old views is not held up by new ones.
class Pins {
 public:
  Pins() noexcept;
  /// Returns the epoch, to be given back. Read what the pin protects after it.
  [[nodiscard]] unsigned take() noexcept {
    const unsigned epoch = epoch_.load(std::memory_order_relaxed);
    const unsigned slot = pin_slot_of_thread;
    if (slot < exclusive_) [[likely]] {
      add_one(slots_[slot].taken[epoch]);
    } else {
      take_shared(epoch);
    }
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return epoch;
  }
  /// May be called by another thread than take().
  void give_back(unsigned epoch) noexcept {
    const unsigned slot = pin_slot_of_thread;
    if (slot < exclusive_) [[likely]] {
      add_one(slots_[slot].given_back[epoch]);
    } else {
      give_back_shared(epoch);
    }
  }

  /// Whether a pin is live that was taken before the last barrier().
  [[nodiscard]] bool any() const noexcept { return live(0) != 0 || live(1) != 0; }
  [[nodiscard]] bool any(unsigned epoch) const noexcept { return live(epoch) != 0; }
  /// barrier() does nothing, because there is no membarrier: who takes pins or marks pages has to make up for it.
  [[nodiscard]] bool without_barrier() const noexcept { return exclusive_ == 0; }
  /// The epoch new pins are taken in.
  [[nodiscard]] unsigned epoch() const noexcept { return epoch_.load(std::memory_order_relaxed); }
  void set_epoch(unsigned epoch) noexcept { epoch_.store(epoch, std::memory_order_seq_cst); }
  /// After this, each thread's pin is counted, or it sees what was stored before. 0 or a positive errno.
  [[nodiscard]] int barrier() const noexcept;

 private:
  struct alignas(64) Slot {
    std::array<std::atomic<std::uint64_t>, 2> taken = {};
    std::array<std::atomic<std::uint64_t>, 2> given_back = {};
  };
  static void add_one(std::atomic<std::uint64_t>& counter) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  void take_shared(unsigned epoch) noexcept;
  void give_back_shared(unsigned epoch) noexcept;
  [[nodiscard]] std::uint64_t live(unsigned epoch) const noexcept;

  std::atomic<unsigned> epoch_ = 0;
  unsigned exclusive_;  // 0 where the kernel has no membarrier: then all share, by locked instructions
  std::array<Slot, exclusive_pin_slots + 1> slots_ = {};
};

inline constexpr unsigned page_shift = 12;  ///< Of the dirty pages' map, whatever the hardware's pages are.

/// Which pages have been written through update() and mutable views since they were flushed.
class DirtyPages {
 public:
  DirtyPages() noexcept = default;
  DirtyPages(const DirtyPages&) = delete;
  DirtyPages& operator=(const DirtyPages&) = delete;
  ~DirtyPages();

  /// Room for a map of `bytes`. `counts_bytes`: what is written to each page is counted, for FlushPolicy::after_bytes.
  /// `fence_writes`: who clears marks has no membarrier.
  void configure(std::uint64_t bytes, bool counts_bytes, bool fence_writes) noexcept;
  /// Call after the bytes were written. `length` is not 0.
  void mark(std::uint64_t offset, std::uint64_t length) noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const std::atomic<std::uint32_t>* const pages = pages_.load(std::memory_order_acquire);
    if (pages == nullptr || careful_) [[unlikely]] {
      mark_slowly(offset, length);
      return;
    }
    for (std::uint64_t page = offset >> page_shift; page <= (offset + length - 1) >> page_shift; ++page) {
      if (pages[page].load(std::memory_order_relaxed) == 0) [[unlikely]] {
        mark_slowly(page << page_shift, 1);  // bytes are not counted here
      }
    }
  }
  struct Cleared {
    std::uint64_t begin = UINT64_MAX;  ///< Offset of the first dirty page; beyond `end` if there was none.
    std::uint64_t end = 0;
    std::uint64_t bytes = 0;  ///< Written to them, if bytes are counted.
  };
  /// Takes the marks of the pages that touch the range away.
  Cleared clear(std::uint64_t offset, std::uint64_t length) noexcept;
  /// Puts marks back on all pages from `begin` to `end`: flushing them failed.
  void restore(std::uint64_t begin, std::uint64_t end) noexcept;
  [[nodiscard]] bool any(std::uint64_t offset, std::uint64_t length) const noexcept;
  [[nodiscard]] std::uint64_t count() const noexcept { return count_.load(std::memory_order_acquire); }
  /// Writes may have happened that are not marked: a raw pointer was given out, or there was no memory for marks.
  [[nodiscard]] bool untracked() const noexcept { return untracked_.load(std::memory_order_acquire); }
  void set_untracked() noexcept { untracked_.store(true, std::memory_order_release); }

 private:
  void mark_slowly(std::uint64_t offset, std::uint64_t length) noexcept;
  std::atomic<std::uint32_t>* allocate() noexcept;

  void mark_page(std::atomic<std::uint32_t>& page, std::uint32_t bytes) noexcept;

  std::atomic<std::atomic<std::uint32_t>*> pages_ = nullptr;  // 0: clean; dirty_bit and, if counted, bytes written
  std::atomic<std::uint64_t> count_ = 0;                      // never less than the number of marks
  std::atomic<bool> untracked_ = false;
  bool counts_bytes_ = false;
  bool careful_ = false;        // each write takes the slow way: bytes are counted, or there is no membarrier
  std::uint64_t capacity_ = 0;  // pages
};

/// What the inline functions need of a map; the rest is in src/map/map_state.hpp.
struct MapAccess {
  std::byte* base = nullptr;
  std::atomic<std::uint64_t> size = 0;
  MapMode mode = MapMode::read_only;
  bool has_policy = false;
  std::atomic<bool> has_error = false;           ///< A background flush failed and nobody has been told.
  std::atomic<bool> metadata_dirty = false;      ///< A change since the last fsync.
  std::atomic<std::uint64_t> flush_number = 0;   ///< Odd while a flush is at work.
  std::atomic<std::uint64_t> mutable_views = 0;  ///< Live ones: what they write is not marked yet.
  DirtyPages dirty;
  Pins pins;

  [[nodiscard]] bool contains(std::uint64_t offset, std::uint64_t length) const noexcept {
    // As strong as the store of a shrinking resize, which is what makes take() and this load a pair.
    const std::uint64_t bytes = size.load(std::memory_order_seq_cst);
    return length <= bytes && offset <= bytes - length;
  }
  /// Nothing was written since the last flush, and none is at work.
  [[nodiscard]] bool certainly_clean() const noexcept {
    const std::uint64_t number = flush_number.load(std::memory_order_acquire);
    return (number & 1U) == 0 && dirty.count() == 0 && mutable_views.load(std::memory_order_acquire) == 0 &&
           !dirty.untracked() && !has_error.load(std::memory_order_acquire) &&
           flush_number.load(std::memory_order_acquire) == number;
  }
};

/// Ends a write of `length` bytes by marking them dirty and doing what the policy says.
void end_mutable_view(MapAccess& access, std::uint64_t offset, std::uint64_t length) noexcept;

template <typename Chunk>
Chunk make_chunk(auto* bytes, std::size_t length) {
  if constexpr (requires { Chunk(bytes, length); } && !std::is_same_v<Chunk, std::vector<std::byte>>) {
    return Chunk(bytes, length);
  } else {
    return Chunk(bytes, bytes + length);
  }
}

}  // namespace detail

/// A type whose bytes may come from a file.
template <typename T>
concept Mappable = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !std::is_reference_v<T>;

/// A type for atomics in mapped memory: 32 or 64 bits, and lock-free, so that it works between processes.
template <typename T>
concept MapAtomic = std::integral<T> && (sizeof(T) == 4 || sizeof(T) == 8) && std::atomic_ref<T>::is_always_lock_free;

/// A read view of part of a map, which stays valid for as long as it lives, whatever happens to the map's size.
/// Destroy it before the map. Move-only; may be given to another thread.
class View {
 public:
  View(View&& other) noexcept
      : access_(std::exchange(other.access_, nullptr)), bytes_(std::exchange(other.bytes_, {})), epoch_(other.epoch_) {}
  View& operator=(View&& other) noexcept {
    if (this != &other) {
      release();
      access_ = std::exchange(other.access_, nullptr);
      bytes_ = std::exchange(other.bytes_, {});
      epoch_ = other.epoch_;
    }
    return *this;
  }
  ~View() { release(); }

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
  [[nodiscard]] const std::byte* data() const noexcept { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  [[nodiscard]] const std::byte& operator[](std::size_t index) const noexcept { return bytes_[index]; }
  [[nodiscard]] auto begin() const noexcept { return bytes_.begin(); }
  [[nodiscard]] auto end() const noexcept { return bytes_.end(); }
  /// The bytes as characters.
  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
  }

 private:
  friend class MappedFile;
  View(detail::MapAccess& access, unsigned epoch, std::span<const std::byte> bytes) noexcept
      : access_(&access), bytes_(bytes), epoch_(epoch) {}
  void release() noexcept {
    if (access_ != nullptr) {
      access_->pins.give_back(epoch_);
    }
  }
  detail::MapAccess* access_;
  std::span<const std::byte> bytes_;
  unsigned epoch_;
};

/// A view for writing. Its bytes count as written, for flushes and policies, while it lives and when it is destroyed;
/// if the policy then flushes, a failure is told by the next flush.
class MutableView {
 public:
  MutableView(MutableView&& other) noexcept
      : access_(std::exchange(other.access_, nullptr)), bytes_(std::exchange(other.bytes_, {})), epoch_(other.epoch_) {}
  MutableView& operator=(MutableView&& other) noexcept {
    if (this != &other) {
      release();
      access_ = std::exchange(other.access_, nullptr);
      bytes_ = std::exchange(other.bytes_, {});
      epoch_ = other.epoch_;
    }
    return *this;
  }
  ~MutableView() { release(); }

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::byte* data() const noexcept { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  [[nodiscard]] std::byte& operator[](std::size_t index) const noexcept { return bytes_[index]; }
  [[nodiscard]] auto begin() const noexcept { return bytes_.begin(); }
  [[nodiscard]] auto end() const noexcept { return bytes_.end(); }

 private:
  friend class MappedFile;
  MutableView(detail::MapAccess& access, unsigned epoch, std::span<std::byte> bytes) noexcept
      : access_(&access), bytes_(bytes), epoch_(epoch) {
    access.mutable_views.fetch_add(1, std::memory_order_acq_rel);
  }
  void release() noexcept {
    if (access_ != nullptr) {
      detail::end_mutable_view(*access_, static_cast<std::uint64_t>(bytes_.data() - access_->base), bytes_.size());
      access_->pins.give_back(epoch_);
    }
  }
  detail::MapAccess* access_;
  std::span<std::byte> bytes_;
  unsigned epoch_;
};

/// A view of objects: `TypedView<const T>` for reading, `TypedView<T>` for writing. Lives and pins as View does.
template <typename T>
class TypedView {
 public:
  using Pin = std::conditional_t<std::is_const_v<T>, View, MutableView>;
  /// `pin` covers `count` aligned objects.
  TypedView(Pin pin, std::size_t count) noexcept
      : pin_(std::move(pin)), objects_(reinterpret_cast<T*>(pin_.data()), count) {}

  [[nodiscard]] std::span<T> objects() const noexcept { return objects_; }
  [[nodiscard]] T& operator*() const noexcept { return objects_.front(); }
  [[nodiscard]] T* operator->() const noexcept { return objects_.data(); }
  [[nodiscard]] T& operator[](std::size_t index) const noexcept { return objects_[index]; }
  [[nodiscard]] std::size_t size() const noexcept { return objects_.size(); }
  [[nodiscard]] auto begin() const noexcept { return objects_.begin(); }
  [[nodiscard]] auto end() const noexcept { return objects_.end(); }

 private:
  Pin pin_;
  std::span<T> objects_;
};

/// Atomic integers in mapped memory. Operations cost what those of std::atomic do, and work between processes. Take it
/// once and keep it: taking costs more than an operation.
template <MapAtomic T>
class AtomicView {
 public:
  AtomicView(MutableView pin, std::size_t count) noexcept
      : pin_(std::move(pin)), values_(reinterpret_cast<T*>(pin_.data()), count) {}

  [[nodiscard]] std::atomic_ref<T> operator*() const noexcept { return std::atomic_ref<T>(values_.front()); }
  [[nodiscard]] std::atomic_ref<T> operator[](std::size_t index) const noexcept {
    return std::atomic_ref<T>(values_[index]);
  }
  [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }

  // The first value.
  [[nodiscard]] T load(std::memory_order order = std::memory_order_seq_cst) const noexcept {
    return (**this).load(order);
  }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) const noexcept {
    (**this).store(value, order);
  }
  // NOLINTBEGIN(modernize-use-nodiscard): the value before is often not needed
  T fetch_add(T value, std::memory_order order = std::memory_order_seq_cst) const noexcept {
    return (**this).fetch_add(value, order);
  }
  T fetch_sub(T value, std::memory_order order = std::memory_order_seq_cst) const noexcept {
    return (**this).fetch_sub(value, order);
  }
  T exchange(T value, std::memory_order order = std::memory_order_seq_cst) const noexcept {
    return (**this).exchange(value, order);
  }
  // NOLINTEND(modernize-use-nodiscard)
  bool compare_exchange_strong(T& expected, T desired,
                               std::memory_order order = std::memory_order_seq_cst) const noexcept {
    return (**this).compare_exchange_strong(expected, desired, order);
  }

 private:
  MutableView pin_;
  std::span<T> values_;
};

/// A map, or part of it, in pieces of one size (the last may be shorter): a random-access range. It holds one pin; its
/// elements are valid as long as it lives. `Chunk` is std::span<const std::byte>, std::span<std::byte> or, for copies,
/// std::vector<std::byte>. Nothing is allocated but these.
template <typename Chunk, typename Pin>
class Chunks {
 public:
  class Iterator {
   public:
    using iterator_concept = std::random_access_iterator_tag;
    using iterator_category = std::input_iterator_tag;  // elements are values
    using value_type = Chunk;
    using difference_type = std::ptrdiff_t;
    using Byte = std::remove_pointer_t<decltype(std::declval<const Pin&>().data())>;

    Iterator() noexcept = default;
    Iterator(Byte* base, std::size_t size, std::size_t step, std::size_t index) noexcept
        : base_(base), size_(size), step_(step), position_(index * step) {}

    [[nodiscard]] Chunk operator*() const {
      return detail::make_chunk<Chunk>(base_ + position_, std::min(step_, size_ - position_));
    }
    [[nodiscard]] Chunk operator[](difference_type n) const { return *(*this + n); }
    Iterator& operator++() noexcept { return *this += 1; }
    Iterator operator++(int) noexcept { return std::exchange(*this, *this + 1); }
    Iterator& operator--() noexcept { return *this -= 1; }
    Iterator operator--(int) noexcept { return std::exchange(*this, *this - 1); }
    Iterator& operator+=(difference_type n) noexcept {
      position_ += static_cast<std::size_t>(n) * step_;
      return *this;
    }
    Iterator& operator-=(difference_type n) noexcept { return *this += -n; }
    friend Iterator operator+(Iterator it, difference_type n) noexcept { return it += n; }
    friend Iterator operator+(difference_type n, Iterator it) noexcept { return it += n; }
    friend Iterator operator-(Iterator it, difference_type n) noexcept { return it -= n; }
    friend difference_type operator-(const Iterator& a, const Iterator& b) noexcept {
      return (static_cast<difference_type>(a.position_) - static_cast<difference_type>(b.position_)) /
             static_cast<difference_type>(a.step_);
    }
    friend bool operator==(const Iterator& a, const Iterator& b) noexcept { return a.position_ == b.position_; }
    friend auto operator<=>(const Iterator& a, const Iterator& b) noexcept { return a.position_ <=> b.position_; }

   private:
    Byte* base_ = nullptr;
    std::size_t size_ = 0;
    std::size_t step_ = 1;
    std::size_t position_ = 0;
  };

  /// `step` is not 0.
  Chunks(Pin pin, std::size_t step) noexcept : pin_(std::move(pin)), step_(step) {}

  [[nodiscard]] Iterator begin() const noexcept { return {pin_.data(), pin_.size(), step_, 0}; }
  [[nodiscard]] Iterator end() const noexcept { return {pin_.data(), pin_.size(), step_, size()}; }
  [[nodiscard]] std::size_t size() const noexcept { return pin_.size() / step_ + (pin_.size() % step_ != 0 ? 1 : 0); }
  [[nodiscard]] bool empty() const noexcept { return pin_.size() == 0; }
  [[nodiscard]] Chunk operator[](std::size_t index) const { return begin()[static_cast<std::ptrdiff_t>(index)]; }

 private:
  Pin pin_;
  std::size_t step_;
};

using ConstChunks = Chunks<std::span<const std::byte>, View>;
using MutableChunks = Chunks<std::span<std::byte>, MutableView>;
using OwnedChunks = Chunks<std::vector<std::byte>, View>;

/// A piece of a file that is not a hole.
struct DataChunk {
  std::uint64_t offset = 0;  ///< In the file, bytes.
  std::span<const std::byte> bytes;
};

/// The data of a map, without its holes, in pieces of at most one size: an input range, one pass. A piece never spans
/// two data segments. One lseek(2) pair for each segment; where the file system cannot tell, everything is data.
class DataChunks {
 public:
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = DataChunk;
    using difference_type = std::ptrdiff_t;
    Iterator() noexcept = default;
    explicit Iterator(DataChunks& chunks) noexcept : chunks_(&chunks) { chunks_->advance(); }
    [[nodiscard]] const DataChunk& operator*() const noexcept { return chunks_->current_; }
    Iterator& operator++() noexcept {
      chunks_->advance();
      return *this;
    }
    void operator++(int) noexcept { ++*this; }
    [[nodiscard]] bool at_end() const noexcept { return chunks_->current_.bytes.empty(); }
    friend bool operator==(const Iterator& it, std::default_sentinel_t) noexcept { return it.at_end(); }

   private:
    DataChunks* chunks_ = nullptr;
  };

  [[nodiscard]] Iterator begin() noexcept { return Iterator(*this); }
  [[nodiscard]] static std::default_sentinel_t end() noexcept { return {}; }

 private:
  friend class MappedFile;
  DataChunks(View pin, std::size_t step, int fd, bool has_holes) noexcept;
  void advance() noexcept;
  void find_segment() noexcept;

  View pin_;
  std::size_t step_;
  int fd_;
  std::uint64_t position_ = 0;
  std::uint64_t segment_end_ = 0;  // data from position_ up to here
  DataChunk current_;
};

/// Watches a file until destroyed or asked to stop; the callback runs on a thread of its own.
class Watch {
 public:
  Watch(Watch&&) noexcept;
  Watch& operator=(Watch&&) noexcept;
  /// Waits for a callback that is running. Not to be called from the callback.
  ~Watch();

 private:
  friend class MappedFile;
  struct State;
  explicit Watch(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

class Segment;
class MutableSegment;
struct MapState;

/// A file in memory. Move-only.
///
/// Errors of all functions: ERANGE for a range that is not inside the file (overflow included), EACCES for writing a
/// read_only map, ENOTSUP for what the mode cannot do, and what the failing system call said; Error::path names file
/// and range. A moved-from or unmapped object may only be destroyed or assigned to.
class MappedFile {
 public:
  // ------------------------------------------------------------------------------------------ opening
  /// Maps an existing regular file as `options` say; a file of no bytes is fine. EISDIR for a directory, ENODEV for
  /// anything else that is not a regular file, ENOMEM when there is no address space for it. Cost: openat, statx, mmap;
  /// closing adds munmap and close.
  [[nodiscard]] static Result<MappedFile> open(const std::filesystem::path& path, const MapOptions& options = {});
  [[nodiscard]] static Result<MappedFile> open_read_only(const std::filesystem::path& path);
  [[nodiscard]] static Result<MappedFile> open_read_write(const std::filesystem::path& path);
  [[nodiscard]] static Result<MappedFile> open_copy_on_write(const std::filesystem::path& path);
  /// Makes a new file of `size` bytes, all zero, and maps it. EEXIST if the name is taken: a file that others may have
  /// mapped is never truncated. On error no file is left. options.mode must not be read_only (EINVAL).
  [[nodiscard]] static Result<MappedFile> create(const std::filesystem::path& path, std::uint64_t size,
                                                 const MapOptions& options = {.mode = MapMode::read_write});
  /// Opens the file, or makes it with `size` bytes if it is not there. Processes may do this at the same time: the name
  /// appears with a file that has its size, so all map that one file whole. Should mapping it fail then, the file
  /// stays.
  [[nodiscard]] static Result<MappedFile> open_or_create(const std::filesystem::path& path, std::uint64_t size,
                                                         const MapOptions& options = {.mode = MapMode::read_write});
  /// Maps an open file, which the map owns from now on. It must be open for what the mode needs (EACCES).
  [[nodiscard]] static Result<MappedFile> from_file(UniqueFd file, const MapOptions& options = {});

  MappedFile(MappedFile&& other) noexcept = default;
  MappedFile& operator=(MappedFile&& other) noexcept = default;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  /// Unmaps. A policy's pending writes are flushed first; use unmap() to hear of errors. If views are still alive,
  /// which is a mistake of the program, their memory stays mapped for ever.
  ~MappedFile() = default;

  /// Flushes what the policy promised, stops its thread, unmaps, and returns the open file. EBUSY, and nothing changes,
  /// while views or segments are alive. A failed flush is reported and the map stays: calling again unmaps.
  [[nodiscard]] Result<UniqueFd> unmap();

  // ------------------------------------------------------------------------------------------ looking
  [[nodiscard]] std::uint64_t size() const noexcept { return access().size.load(std::memory_order_acquire); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] MapMode mode() const noexcept { return access().mode; }
  /// As given to open; empty for from_file.
  [[nodiscard]] const std::filesystem::path& path() const noexcept;
  [[nodiscard]] FlushPolicy flush_policy() const noexcept;
  /// Up to where resize() can grow the map.
  [[nodiscard]] std::uint64_t reserved_bytes() const noexcept;
  /// Bytes in pages that were written through update() and mutable views (those still alive not counted) and not
  /// flushed since: a multiple of 4096.
  [[nodiscard]] std::uint64_t pending_bytes() const noexcept { return access().dirty.count() << detail::page_shift; }

  // ------------------------------------------------------------------------------------------ access
  /// All bytes, without a pin: valid until the map is shrunk or unmapped. No cost.
  [[nodiscard]] std::span<const std::byte> data() const noexcept { return {access().base, size()}; }
  /// All bytes for writing, without a pin. What is written through it cannot be known: from now on every flush asks the
  /// kernel.
  [[nodiscard]] Result<std::span<std::byte>> mutable_data();

  /// A pinned view. Cost: a few nanoseconds; no lock, no locked instruction, no system call, no allocation.
  [[nodiscard]] Result<View> view(std::uint64_t offset, std::uint64_t length) const {
    detail::MapAccess& map = access();
    const unsigned epoch = map.pins.take();
    if (map.contains(offset, length)) [[likely]] {
      return View(map, epoch, {map.base + offset, length});
    }
    map.pins.give_back(epoch);
    return view_slowly(offset, length);
  }
  /// A pinned view for writing.
  [[nodiscard]] Result<MutableView> mutable_view(std::uint64_t offset, std::uint64_t length);
  /// Copies bytes out. Cost: that of memcpy and a few nanoseconds.
  [[nodiscard]] Result<void> read_into(std::uint64_t offset, std::span<std::byte> bytes) const {
    detail::MapAccess& map = access();
    const unsigned epoch = map.pins.take();
    if (!map.contains(offset, bytes.size())) [[unlikely]] {
      map.pins.give_back(epoch);
      return read_slowly(offset, bytes);
    }
    if (!bytes.empty()) {
      std::memmove(bytes.data(), map.base + offset, bytes.size());
    }
    map.pins.give_back(epoch);
    return {};
  }
  /// Copies bytes in: one write for the flush policy, whose flush may fail. Cost under the manual policy: that of
  /// memcpy and a few nanoseconds; the first write to a page after a flush costs a page fault.
  [[nodiscard]] Result<void> update(std::uint64_t offset, std::span<const std::byte> bytes) {
    detail::MapAccess& map = access();
    if (map.mode == MapMode::read_only) [[unlikely]] {
      return update_slowly(offset, bytes);
    }
    const unsigned epoch = map.pins.take();
    if (!map.contains(offset, bytes.size())) [[unlikely]] {
      map.pins.give_back(epoch);
      return update_slowly(offset, bytes);
    }
    if (bytes.empty()) [[unlikely]] {
      map.pins.give_back(epoch);
      return {};
    }
    std::memmove(map.base + offset, bytes.data(), bytes.size());
    if (map.mode == MapMode::read_write) {
      map.dirty.mark(offset, bytes.size());
    }
    map.pins.give_back(epoch);
    if (map.has_policy) [[unlikely]] {
      return apply_policy(bytes.size());
    }
    return {};
  }

  /// `count` objects at `offset`, in place. EINVAL if they would not be aligned.
  template <Mappable T>
  [[nodiscard]] Result<TypedView<const T>> view_of(std::uint64_t offset, std::uint64_t count = 1) const {
    auto pin = pinned_objects<T>(offset, count, "view_of", [&](std::uint64_t length) { return view(offset, length); });
    return pin ? Result<TypedView<const T>>(std::in_place, *std::move(pin), count) : std::unexpected(pin.error());
  }
  template <Mappable T>
  [[nodiscard]] Result<TypedView<T>> mutable_view_of(std::uint64_t offset, std::uint64_t count = 1) {
    auto pin = pinned_objects<T>(offset, count, "mutable_view_of",
                                 [&](std::uint64_t length) { return mutable_view(offset, length); });
    return pin ? Result<TypedView<T>>(std::in_place, *std::move(pin), count) : std::unexpected(pin.error());
  }
  /// One object, copied; any alignment.
  template <Mappable T>
    requires std::default_initializable<T>
  [[nodiscard]] Result<T> read(std::uint64_t offset) const {
    T object{};
    auto done = read_into(offset, std::as_writable_bytes(std::span(&object, 1)));
    return done ? Result<T>(object) : std::unexpected(std::move(done.error()));
  }
  template <Mappable T>
  [[nodiscard]] Result<void> write(std::uint64_t offset, const T& object) {
    return update(offset, std::as_bytes(std::span(&object, 1)));
  }

  /// An atomic integer, or `count` of them, at `offset`. EINVAL if not aligned to its size.
  template <MapAtomic T>
  [[nodiscard]] Result<AtomicView<T>> atomic(std::uint64_t offset) {
    return atomic_slice<T>(offset, 1);
  }
  template <MapAtomic T>
  [[nodiscard]] Result<AtomicView<T>> atomic_slice(std::uint64_t offset, std::uint64_t count) {
    static_assert(std::atomic_ref<T>::required_alignment <= sizeof(T));
    auto pin = pinned_objects<T>(offset, count, "atomic", sizeof(T),
                                 [&](std::uint64_t length) { return mutable_view(offset, length); });
    return pin ? Result<AtomicView<T>>(std::in_place, *std::move(pin), count) : std::unexpected(pin.error());
  }
  /// The value of an atomic, in maps that are read only, too. Acquire.
  template <MapAtomic T>
  [[nodiscard]] Result<T> atomic_load(std::uint64_t offset) const {
    const auto pin =
        pinned_objects<T>(offset, 1, "atomic", sizeof(T), [&](std::uint64_t length) { return view(offset, length); });
    if (!pin) {
      return std::unexpected(pin.error());
    }
    return __atomic_load_n(reinterpret_cast<const T*>(pin->data()), __ATOMIC_ACQUIRE);
  }

  // ------------------------------------------------------------------------------------------ iteration
  /// The whole map in pieces of `bytes`, zero-copy. EINVAL for 0.
  [[nodiscard]] Result<ConstChunks> chunks(std::size_t bytes) const;
  /// In pages of 4096 bytes.
  [[nodiscard]] Result<ConstChunks> pages() const { return chunks(std::size_t{1} << detail::page_shift); }
  [[nodiscard]] Result<MutableChunks> mutable_chunks(std::size_t bytes);
  /// Copies: each element owns its bytes.
  [[nodiscard]] Result<OwnedChunks> owned_chunks(std::size_t bytes) const;
  /// Data only, skipping the holes of the file.
  [[nodiscard]] Result<DataChunks> data_chunks(std::size_t bytes) const;

  // ------------------------------------------------------------------------------------------ size
  /// Changes the size of file and map. Growing never moves the map and does not wait for anybody; ENOMEM beyond
  /// reserved_bytes(). Shrinking never takes memory from a live view: see LiveViews (a thread that waits for its own
  /// views waits for ever). ENOTSUP for copy_on_write, EACCES for read_only.
  [[nodiscard]] Result<void> resize(std::uint64_t size, const ResizeOptions& options = {});
  /// Takes over a size that another process gave the file: all of it, or as much as was reserved. Never takes memory
  /// from a live view: EBUSY if the file is now shorter and views are alive. Cost: one statx.
  [[nodiscard]] Result<std::uint64_t> refresh();

  // ------------------------------------------------------------------------------------------ flushing
  /// Brings all that was written as far as asked. With nothing written since the last one: no system call. Reports,
  /// once, the failure of an earlier background flush, if there was one. ENOTSUP for copy_on_write. Concurrent flushes
  /// wait for one another.
  [[nodiscard]] Result<void> flush(Durability durability = Durability::data) {
    const detail::MapAccess& map = access();
    if (map.mode == MapMode::read_write && map.certainly_clean() &&
        (durability != Durability::data_and_metadata || !map.metadata_dirty.load(std::memory_order_acquire)))
        [[likely]] {
      return {};
    }
    return flush_slowly(0, UINT64_MAX, durability);
  }
  /// The same for the pages that touch the range; data_and_metadata flushes the whole file.
  [[nodiscard]] Result<void> flush_range(std::uint64_t offset, std::uint64_t length,
                                         Durability durability = Durability::data);

  /// flush() as a coroutine: the loop waits for fdatasync(2) or fsync(2), of the whole file. While it waits, other
  /// flushes ask the kernel, pending_bytes() no longer counts what is on its way, and unmap() says EBUSY. Cancelled or
  /// failed, it leaves everything pending. The map must live until it ends.
  [[nodiscard]] Task<Result<void>> flush_async(Loop& loop, Durability durability = Durability::data);
  /// update(), then flush_async(). `bytes` must stay until the task starts.
  [[nodiscard]] Task<Result<void>> update_async(Loop& loop, std::uint64_t offset, std::span<const std::byte> bytes,
                                                Durability durability = Durability::data);

  // ------------------------------------------------------------------------------------------ failure model
  /// Calls `function` and turns a SIGBUS that it meets on this map (the file was truncated by somebody else, the disk
  /// failed, the file system is full) into an Error: ENXIO past the file's end, ENOSPC for a hole that could not be
  /// filled, else EIO. Works per thread; other SIGBUS go to the handler the program had. Nests.
  ///
  /// What the function has on its stack at that moment is abandoned, not destroyed: take views, locks and memory
  /// before. Cost: about 15 ns. The first call installs the handler; a program that replaces it later has to call it.
  template <typename Function>
  [[nodiscard]] auto guarded(Function&& function) const -> Result<std::invoke_result_t<Function&>> {
    using Value = std::invoke_result_t<Function&>;
    if constexpr (std::is_void_v<Value>) {
      struct Context {
        std::remove_reference_t<Function>* function;
      } context{std::addressof(function)};
      return call_guarded([](void* opaque) { (*static_cast<Context*>(opaque)->function)(); }, &context);
    } else {
      struct Context {
        std::remove_reference_t<Function>* function;
        std::optional<Value> value;
      } context{std::addressof(function), {}};
      const auto call = [](void* opaque) {
        auto& inner = *static_cast<Context*>(opaque);
        inner.value.emplace((*inner.function)());
      };
      auto done = call_guarded(call, &context);
      return done ? Result<Value>(std::move(*context.value)) : std::unexpected(std::move(done.error()));
    }
  }
  /// read_into and update, guarded. What was copied before the failure stays copied.
  [[nodiscard]] Result<void> try_read(std::uint64_t offset, std::span<std::byte> bytes) const;
  [[nodiscard]] Result<void> try_update(std::uint64_t offset, std::span<const std::byte> bytes);

  // ------------------------------------------------------------------------------------------ memory
  // Ranges are rounded out to pages. Not for hurry: each is a system call.
  [[nodiscard]] Result<void> advise(Advice advice);
  [[nodiscard]] Result<void> advise(Advice advice, std::uint64_t offset, std::uint64_t length);
  /// Starts reading the range into memory, in the background.
  [[nodiscard]] Result<void> prefetch(std::uint64_t offset, std::uint64_t length);
  /// Reads one byte of each page, so that later use takes no page fault. Guarded.
  [[nodiscard]] Result<void> touch_pages() const;
  [[nodiscard]] Result<void> touch_pages_range(std::uint64_t offset, std::uint64_t length) const;
  /// Keeps pages in memory (mlock(2)). EPERM, ENOMEM: beyond RLIMIT_MEMLOCK.
  [[nodiscard]] Result<void> lock(std::uint64_t offset, std::uint64_t length);
  [[nodiscard]] Result<void> unlock(std::uint64_t offset, std::uint64_t length);
  [[nodiscard]] Result<void> lock_all();
  [[nodiscard]] Result<void> unlock_all();
  [[nodiscard]] Result<Residency> resident() const;
  [[nodiscard]] Result<HugePageReport> huge_page_report() const;

  // ------------------------------------------------------------------------------------------ the file
  /// A range that is checked at each use, so that it stays right over resizes; it may lie beyond the end for now. Keeps
  /// the map alive. ERANGE if offset + length overflows.
  [[nodiscard]] Result<Segment> segment(std::uint64_t offset, std::uint64_t length) const;
  [[nodiscard]] Result<MutableSegment> mutable_segment(std::uint64_t offset, std::uint64_t length);
  /// Reports changes of the file to `on_change`, on a thread of the watch. The inode is watched, whatever its name.
  [[nodiscard]] Result<Watch> watch(std::function<void(const FileChange&)> on_change,
                                    const WatchOptions& options = {}) const;
  /// Copies the file through the copy engine (copy_file(): a reflink where there can be one, atomic replacement). A
  /// copy_on_write map's own content is written.
  [[nodiscard]] Result<CopyReport> copy_to(const std::filesystem::path& destination,
                                           const CopyOptions& options = {}) const;
  /// Removes the file's name; the map stays usable. ESTALE if the name now belongs to another file.
  [[nodiscard]] Result<void> remove();

 private:
  friend class Segment;
  friend class MutableSegment;
  explicit MappedFile(std::shared_ptr<MapState> state) noexcept;

  [[nodiscard]] detail::MapAccess& access() const noexcept { return *access_; }
  [[nodiscard]] MapState& state() const noexcept { return *state_; }
  [[nodiscard]] MappedFile share() const noexcept { return MappedFile(state_); }
  [[nodiscard]] Result<void> follow_touch_hint();
  [[nodiscard]] Result<View> view_all() const;
  [[nodiscard]] Result<View> view_slowly(std::uint64_t offset, std::uint64_t length) const;
  [[nodiscard]] Result<void> read_slowly(std::uint64_t offset, std::span<std::byte> bytes) const;
  [[nodiscard]] Result<void> update_slowly(std::uint64_t offset, std::span<const std::byte> bytes);
  [[nodiscard]] Result<void> apply_policy(std::uint64_t bytes);
  [[nodiscard]] Result<void> flush_slowly(std::uint64_t offset, std::uint64_t length, Durability durability);
  [[nodiscard]] Result<void> call_guarded(void (*function)(void*), void* context) const;
  [[nodiscard]] Error object_error(int errno_value, const char* operation, std::uint64_t offset,
                                   std::uint64_t length) const;

  /// Pins the bytes of `count` objects, if they are aligned.
  template <typename T, typename Take>
  [[nodiscard]] auto pinned_objects(std::uint64_t offset, std::uint64_t count, const char* operation,
                                    std::size_t alignment, const Take& take) const -> decltype(take(count)) {
    if (count > UINT64_MAX / sizeof(T)) {
      return std::unexpected(object_error(ERANGE, operation, offset, UINT64_MAX));
    }
    if (offset % alignment != 0) {
      return std::unexpected(object_error(EINVAL, operation, offset, count * sizeof(T)));
    }
    return take(count * sizeof(T));
  }
  template <typename T, typename Take>
  [[nodiscard]] auto pinned_objects(std::uint64_t offset, std::uint64_t count, const char* operation,
                                    const Take& take) const -> decltype(take(count)) {
    return pinned_objects<T>(offset, count, operation, alignof(T), take);
  }

  detail::MapAccess* access_ = nullptr;
  std::shared_ptr<MapState> state_;
};

/// Part of a map for reading; offsets are relative to it. Each use is checked against the map's size at that moment.
class Segment {
 public:
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return length_; }
  /// All of it is inside the file at this moment.
  [[nodiscard]] bool is_valid() const noexcept { return map_.access().contains(offset_, length_); }
  [[nodiscard]] Result<View> view() const { return map_.view(offset_, length_); }
  [[nodiscard]] Result<View> view(std::uint64_t offset, std::uint64_t length) const;
  [[nodiscard]] Result<void> read_into(std::uint64_t offset, std::span<std::byte> bytes) const;

 private:
  friend class MappedFile;
  friend class MutableSegment;
  Segment(MappedFile map, std::uint64_t offset, std::uint64_t length) noexcept
      : map_(std::move(map)), offset_(offset), length_(length) {}
  [[nodiscard]] Result<void> check(const char* operation, std::uint64_t offset, std::uint64_t length) const;
  MappedFile map_;
  std::uint64_t offset_;
  std::uint64_t length_;
};

/// Part of a map for writing.
class MutableSegment {
 public:
  [[nodiscard]] std::uint64_t offset() const noexcept { return part_.offset(); }
  [[nodiscard]] std::uint64_t size() const noexcept { return part_.size(); }
  [[nodiscard]] bool is_valid() const noexcept { return part_.is_valid(); }
  [[nodiscard]] Result<View> view() const { return part_.view(); }
  [[nodiscard]] Result<View> view(std::uint64_t offset, std::uint64_t length) const {
    return part_.view(offset, length);
  }
  [[nodiscard]] Result<void> read_into(std::uint64_t offset, std::span<std::byte> bytes) const {
    return part_.read_into(offset, bytes);
  }
  [[nodiscard]] Result<MutableView> mutable_view() { return part_.map_.mutable_view(part_.offset_, part_.length_); }
  [[nodiscard]] Result<void> update(std::uint64_t offset, std::span<const std::byte> bytes);
  [[nodiscard]] Result<void> flush(Durability durability = Durability::data) {
    return part_.map_.flush_range(part_.offset_, part_.length_, durability);
  }

 private:
  friend class MappedFile;
  explicit MutableSegment(Segment part) noexcept : part_(std::move(part)) {}
  Segment part_;
};

}  // namespace ferry
