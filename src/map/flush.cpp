// Flushing: which pages, how far, who hears of failures, and when it happens by itself.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/sys.hpp"
#include "map/map_state.hpp"

namespace ferry {
namespace {

// Marks a flush as being at work, so that who finds the marks gone knows that the pages may not be on storage yet.
class FlushInProgress {
 public:
  explicit FlushInProgress(MapState& map) noexcept : map_(map), lock_(map.flush_mutex) {
    map_.flush_number.fetch_add(1, std::memory_order_seq_cst);
  }
  FlushInProgress(const FlushInProgress&) = delete;
  FlushInProgress& operator=(const FlushInProgress&) = delete;
  ~FlushInProgress() { map_.flush_number.fetch_add(1, std::memory_order_seq_cst); }

 private:
  MapState& map_;
  std::scoped_lock<std::mutex> lock_;
};

struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// The pages to be flushed within the range, now that their marks were taken away.
ByteRange pages_to_flush(const MapState& map, const detail::DirtyPages::Cleared& cleared, std::uint64_t offset,
                         std::uint64_t length) noexcept {
  const std::uint64_t size = map.size.load();
  ByteRange pages{cleared.begin, cleared.end};
  if (map.dirty.untracked() || map.mutable_views.load() != 0) {  // whoever writes there does not mark it
    pages = {offset, length > UINT64_MAX - offset ? UINT64_MAX : offset + length};
  }
  return {page_floor(pages.begin), page_ceil(std::min(pages.end, size))};
}

// The accumulator of a policy loses what was flushed.
void debit(MapState& map, std::uint64_t flushed_bytes) noexcept {
  if (map.dirty.count() == 0) {
    map.accumulated.store(0);
    return;
  }
  std::uint64_t accumulated = map.accumulated.load();
  while (!map.accumulated.compare_exchange_weak(accumulated, accumulated - std::min(accumulated, flushed_bytes))) {
  }
}

}  // namespace

Result<void> MapState::flush(std::uint64_t offset, std::uint64_t length, Durability durability) {
  if (auto earlier = take_error()) {
    return std::unexpected(std::move(*earlier));
  }
  if (durability == Durability::visible) {
    return {};  // a MAP_SHARED mapping is the page cache: everybody sees the bytes as they are written
  }
  return flush_pages(offset, length, durability);
}

Result<void> MapState::flush_pages(std::uint64_t offset, std::uint64_t length, Durability durability) {
  const bool with_metadata = durability == Durability::data_and_metadata;
  if (with_metadata) {
    offset = 0;
    length = UINT64_MAX;
  }
  const FlushInProgress in_progress(*this);
  const auto cleared = dirty.clear(offset, length);
  const ByteRange pages = pages_to_flush(*this, cleared, offset, length);
  const bool metadata = with_metadata && metadata_dirty.exchange(false);
  if (pages.begin >= pages.end && !metadata) {
    debit(*this, cleared.bytes);
    return {};
  }
  // A writer that found its page marked, before the marks were taken away, has written before this returns.
  int failure = pins.barrier();
  const char* operation = "membarrier";
  if (failure == 0 && with_metadata) {
    operation = "fsync";
    failure = -sys::fsync(file.get());
  } else if (failure == 0) {
    operation = "msync";
    failure = -sys::msync(base + pages.begin, pages.end - pages.begin, MS_SYNC);
  }
  if (failure != 0) {
    dirty.restore(cleared.begin, std::min(cleared.end, page_ceil(size.load())));
    metadata_dirty = true;
    return std::unexpected(error(failure, operation));
  }
  if (!with_metadata) {
    metadata_dirty = true;  // the file's times have changed
  }
  debit(*this, cleared.bytes);
  return {};
}

Result<void> MapState::apply_policy(std::uint64_t bytes) {
  const FlushPolicy& policy = options.flush;
  switch (policy.when) {
    case FlushPolicy::When::manual: return {};
    case FlushPolicy::When::always: return flush_pages(0, UINT64_MAX, policy.durability);
    case FlushPolicy::When::every_bytes:
    case FlushPolicy::When::every_writes: {
      const std::uint64_t more = policy.when == FlushPolicy::When::every_bytes ? bytes : 1;
      if (accumulated.fetch_add(more) + more < policy.threshold) {
        return {};
      }
      return flush_pages(0, UINT64_MAX, policy.durability);
    }
    case FlushPolicy::When::every_interval:
      // Without a thread, flushing at once keeps the promise.
      return flusher.note_write(*this) ? Result<void>{} : flush_pages(0, UINT64_MAX, policy.durability);
  }
  return {};
}

void MapState::keep_error(Error error) noexcept {
  const std::scoped_lock lock(error_mutex);
  if (!background_error) {  // the first one tells most
    background_error = std::move(error);
  }
  has_error.store(true, std::memory_order_release);
}

std::optional<Error> MapState::take_error() noexcept {
  if (!has_error.load(std::memory_order_acquire)) {
    return {};
  }
  const std::scoped_lock lock(error_mutex);
  has_error.store(false, std::memory_order_release);
  return std::exchange(background_error, std::nullopt);
}

Result<void> MapState::settle() noexcept {
  if (!has_policy) {
    return {};
  }
  flusher.stop();
  if (unmap_flush_failed) {
    return {};
  }
  auto flushed = flush(0, UINT64_MAX, options.flush.durability);
  unmap_flush_failed = !flushed;
  return flushed;
}

void detail::end_mutable_view(MapAccess& access, std::uint64_t offset, std::uint64_t length) noexcept {
  auto& map = static_cast<MapState&>(access);
  const bool wrote = length != 0 && map.mode == MapMode::read_write;
  if (wrote) {
    map.dirty.mark(offset, length);
  }
  map.mutable_views.fetch_sub(1, std::memory_order_acq_rel);
  if (wrote && map.has_policy) {
    if (auto flushed = map.apply_policy(length); !flushed) {
      map.keep_error(std::move(flushed.error()));
    }
  }
}

// ---------------------------------------------------------------------------------------- by itself

bool IntervalFlusher::note_write(MapState& map) noexcept {
  if (due_.load(std::memory_order_seq_cst)) {
    return true;
  }
  const std::scoped_lock lock(mutex_);
  if (!thread_.joinable()) {
    try {
      stopping_ = false;
      thread_ = std::thread([this, &map] { run(map); });
      process_ = ::getpid();
    } catch (const std::system_error&) {
      return false;
    }
  }
  due_.store(true, std::memory_order_seq_cst);
  wake_.notify_one();
  return true;
}

void IntervalFlusher::stop() noexcept {
  std::thread ending;
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    due_ = false;
    wake_.notify_all();
    ending = std::move(thread_);
  }
  if (!ending.joinable()) {
    return;
  }
  if (process_ == ::getpid()) {
    ending.join();
  } else {
    ending.detach();  // the thread stayed in the process that was forked
  }
}

void IntervalFlusher::run(MapState& map) noexcept {
  while (wait_for_work(map.options.flush.interval)) {
    // Before the flush looks for marks: a writer that still saw due_ set has marked its page by then.
    static_cast<void>(map.pins.barrier());
    if (auto flushed = map.flush_pages(0, UINT64_MAX, map.options.flush.durability); !flushed) {
      map.keep_error(std::move(flushed.error()));
    }
  }
}

bool IntervalFlusher::wait_for_work(std::chrono::milliseconds interval) {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return stopping_ || due_; });
  wake_.wait_for(lock, interval, [&] { return stopping_; });
  due_.store(false, std::memory_order_seq_cst);
  return !stopping_;
}

// ---------------------------------------------------------------------------------------- MappedFile

Result<void> MappedFile::flush_slowly(std::uint64_t offset, std::uint64_t length, Durability durability) {
  MapState& map = state();
  switch (map.mode) {
    case MapMode::copy_on_write: return std::unexpected(map.error(ENOTSUP, "flush"));
    case MapMode::read_only: return {};  // nothing was written through it
    case MapMode::read_write: break;
  }
  return map.flush(offset, length, durability);
}

Result<void> MappedFile::flush_range(std::uint64_t offset, std::uint64_t length, Durability durability) {
  const detail::MapAccess& map = access();
  if (!map.contains(offset, length)) {
    return std::unexpected(state().error(ERANGE, "flush_range", offset, length));
  }
  if (durability != Durability::data || map.mode != MapMode::read_write) {
    return flush_slowly(offset, length, durability);
  }
  const std::uint64_t number = map.flush_number.load(std::memory_order_acquire);
  const bool clean = (number & 1U) == 0 && !map.dirty.untracked() && !map.dirty.any(offset, length) &&
                     map.mutable_views.load(std::memory_order_acquire) == 0 &&
                     !map.has_error.load(std::memory_order_acquire) &&
                     map.flush_number.load(std::memory_order_acquire) == number;
  if (clean || length == 0) {
    return {};
  }
  return flush_slowly(offset, length, durability);
}

Result<void> MappedFile::apply_policy(std::uint64_t bytes) { return state().apply_policy(bytes); }

}  // namespace ferry
