// Flushing on an event loop.
#include <algorithm>

#include "map/map_state.hpp"

namespace ferry {
namespace {

// A flush that others can see: while it is under way the map counts as one that somebody may write to unmarked (as
// under a live mutable view), so that no other flush takes the missing marks for clean pages. If it ends without
// success the marks come back.
class FlushUnderWay {
 public:
  explicit FlushUnderWay(MapState& map) : map_(map) {
    map_.mutable_views.fetch_add(1, std::memory_order_seq_cst);
    cleared_ = map_.dirty.clear(0, UINT64_MAX);
    // NOLINTNEXTLINE(cppcoreguidelines-prefer-member-initializer): after the marks were taken away
    metadata_ = map_.metadata_dirty.exchange(false);
  }
  FlushUnderWay(const FlushUnderWay&) = delete;
  FlushUnderWay& operator=(const FlushUnderWay&) = delete;
  ~FlushUnderWay() {
    if (!done_) {
      map_.dirty.restore(cleared_.begin, std::min(cleared_.end, page_ceil(map_.size.load())));
      map_.metadata_dirty = true;
    }
    map_.mutable_views.fetch_sub(1, std::memory_order_seq_cst);
  }
  // `metadata`: it was made durable, too.
  void done(bool metadata) noexcept {
    done_ = true;
    if (!metadata && (metadata_ || cleared_.begin < cleared_.end)) {
      map_.metadata_dirty = true;
    }
    std::uint64_t accumulated = map_.accumulated.load();
    while (!map_.accumulated.compare_exchange_weak(accumulated, accumulated - std::min(accumulated, cleared_.bytes))) {
    }
  }

 private:
  MapState& map_;
  detail::DirtyPages::Cleared cleared_;
  bool metadata_ = false;
  bool done_ = false;
};

}  // namespace

Task<Result<void>> MappedFile::flush_async(Loop& loop, Durability durability) {
  MapState& map = state();
  const bool with_metadata = durability == Durability::data_and_metadata;
  const bool clean = map.certainly_clean() && (!with_metadata || !map.metadata_dirty);
  if (map.mode != MapMode::read_write || durability == Durability::visible || clean || map.has_error) {
    co_return flush(durability);  // nothing to wait for
  }
  FlushUnderWay flush(map);
  if (const int failure = map.pins.barrier(); failure != 0) {
    co_return std::unexpected(map.error(failure, "membarrier"));
  }
  Result<void> synced;
  if (with_metadata) {
    synced = co_await loop.fsync(map.file.get());
  } else {
    synced = co_await loop.fdatasync(map.file.get());
  }
  if (!synced) {
    synced.error().path = map.path;
    co_return synced;
  }
  flush.done(with_metadata);
  co_return synced;
}

Task<Result<void>> MappedFile::update_async(Loop& loop, std::uint64_t offset, std::span<const std::byte> bytes,
                                            Durability durability) {
  auto updated = update(offset, bytes);
  if (!updated) {
    co_return updated;
  }
  co_return co_await flush_async(loop, durability);
}

}  // namespace ferry
