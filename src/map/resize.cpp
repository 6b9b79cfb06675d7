// Changing the size of a map. Growing is nothing but growing the file, since the map already covers the reserved
// address space. Shrinking first lowers the size that new views are checked against, then makes sure that no older view
// is left, and only then lets the file go.
#include <algorithm>
#include <cerrno>
#include <thread>

#include "base/sys.hpp"
#include "map/map_state.hpp"

namespace ferry {
namespace {

using Clock = std::chrono::steady_clock;

// Waits until no pin of `epoch` is live; false when the time is up.
bool drained(const detail::Pins& pins, unsigned epoch, std::optional<Clock::time_point> deadline) {
  std::chrono::microseconds pause{10};
  while (pins.any(epoch)) {
    if (deadline && Clock::now() >= *deadline) {
      return false;
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds{1000});
  }
  return true;
}

// Lowers the size if no view is live. EBUSY, or what membarrier said; then the size is what it was.
int lower_size_unless_viewed(MapState& map, std::uint64_t size) {
  const std::uint64_t old_size = map.size.load();
  map.size_is_tentative.store(true);
  map.size.store(size, std::memory_order_seq_cst);
  int failure = map.pins.barrier();
  if (failure == 0 && map.pins.any()) {
    failure = EBUSY;
  }
  if (failure != 0) {
    map.size.store(old_size, std::memory_order_seq_cst);
  }
  map.size_is_tentative.store(false);
  return failure;
}

// Lowers the size and waits for all views that were there before. Pins of both epochs may be older than the new size:
// of the current one, and of the other one those of threads that were about to take a pin when the epoch last changed.
// The latter end first, while new pins go to the current epoch; then the epochs change places and the former end.
int lower_size_when_unviewed(MapState& map, std::uint64_t size, std::chrono::milliseconds timeout) {
  const std::uint64_t old_size = map.size.load();
  std::optional<Clock::time_point> deadline;
  if (timeout != std::chrono::milliseconds::max()) {
    deadline = Clock::now() + timeout;
  }
  const unsigned current = map.pins.epoch();
  map.size.store(size, std::memory_order_seq_cst);
  int failure = map.pins.barrier();
  if (failure == 0 && !drained(map.pins, 1 - current, deadline)) {
    failure = ETIMEDOUT;
  }
  if (failure == 0) {
    map.pins.set_epoch(1 - current);
    failure = map.pins.barrier();
  }
  if (failure == 0 && !drained(map.pins, current, deadline)) {
    failure = ETIMEDOUT;
  }
  if (failure != 0) {
    map.size.store(old_size, std::memory_order_seq_cst);
  }
  return failure;
}

const char* operation_of(int failure) noexcept {
  return failure == EBUSY || failure == ETIMEDOUT ? "resize" : "membarrier";
}

// Marks of pages that the file no longer has mean nothing.
void forget_beyond(MapState& map, std::uint64_t size) noexcept {
  const auto cleared = map.dirty.clear(page_ceil(size), UINT64_MAX);
  std::uint64_t accumulated = map.accumulated.load();
  while (!map.accumulated.compare_exchange_weak(accumulated, accumulated - std::min(accumulated, cleared.bytes))) {
  }
}

Result<void> shrink(MapState& map, std::uint64_t size, const ResizeOptions& options) {
  const std::uint64_t old_size = map.size.load();
  const int failure = options.live_views == LiveViews::refuse ? lower_size_unless_viewed(map, size)
                                                              : lower_size_when_unviewed(map, size, options.timeout);
  if (failure != 0) {
    return std::unexpected(map.error(failure, operation_of(failure)));
  }
  if (const int done = sys::ftruncate(map.file.get(), static_cast<off_t>(size)); done < 0) {
    map.size.store(old_size, std::memory_order_seq_cst);
    return std::unexpected(map.error(-done, "ftruncate"));
  }
  forget_beyond(map, size);
  return {};
}

Result<void> grow(MapState& map, std::uint64_t size) {
  if (size > map.mapped_bytes) {
    return std::unexpected(map.error(ENOMEM, "resize", 0, size));
  }
  if (auto extended = extend_file(map.file.get(), map.size.load(), size, map.options.preallocate); !extended) {
    extended.error().path = map.path;
    return extended;
  }
  if (auto covered = map.cover(size); !covered) {
    static_cast<void>(sys::ftruncate(map.file.get(), static_cast<off_t>(map.size.load())));
    return covered;
  }
  map.size.store(size, std::memory_order_seq_cst);
  return {};
}

Result<std::uint64_t> size_of(const MapState& map) {
  struct statx status = {};
  if (const int done = sys::statx(map.file.get(), "", AT_EMPTY_PATH, STATX_SIZE, status); done < 0) {
    return std::unexpected(map.error(-done, "statx"));
  }
  return status.stx_size;
}

}  // namespace

Result<void> MappedFile::resize(std::uint64_t size, const ResizeOptions& options) {
  MapState& map = state();
  if (map.mode != MapMode::read_write) {
    return std::unexpected(map.error(map.mode == MapMode::read_only ? EACCES : ENOTSUP, "resize"));
  }
  const std::scoped_lock lock(map.resize_mutex);
  const std::uint64_t old_size = map.size.load();
  if (size == old_size) {
    return {};
  }
  const auto found = size_of(map);
  if (!found) {
    return std::unexpected(found.error());
  }
  if (*found != old_size) {  // somebody else's bytes might be cut off
    return std::unexpected(map.error(ESTALE, "resize"));
  }
  auto done = size < old_size ? shrink(map, size, options) : grow(map, size);
  if (done) {
    map.metadata_dirty = true;
  }
  return done;
}

Result<std::uint64_t> MappedFile::refresh() {
  MapState& map = state();
  const std::scoped_lock lock(map.resize_mutex);
  const auto found = size_of(map);
  if (!found) {
    return found;
  }
  const std::uint64_t size = std::min(*found, map.mapped_bytes);
  if (size >= map.size.load()) {
    if (auto covered = map.cover(size); !covered) {
      return std::unexpected(std::move(covered.error()));
    }
    map.size.store(size, std::memory_order_seq_cst);
    return size;
  }
  if (const int failure = lower_size_unless_viewed(map, size); failure != 0) {
    return std::unexpected(map.error(failure, operation_of(failure)));
  }
  forget_beyond(map, size);
  return size;
}

}  // namespace ferry
