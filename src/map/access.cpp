// Access to the bytes of a map where the short way of the header ends: views for writing, ranges that do not fit, and
// iteration.
#include <cerrno>
#include <mutex>

#include "base/sys.hpp"
#include "map/map_state.hpp"

namespace ferry {
namespace {

// Calls `attempt` (which returns whether the range fitted) until it fits or the size it did not fit is final.
template <typename Attempt>
bool fits(MapState& map, const Attempt& attempt) {
  do {
    if (map.size_is_tentative.load()) {
      const std::scoped_lock wait_for_decision(map.resize_mutex);
    }
    if (attempt()) {
      return true;
    }
  } while (map.size_is_tentative.load());
  return false;
}

// A pin that is given back unless a view takes it over.
class Pinned {
 public:
  explicit Pinned(detail::Pins& pins) noexcept : pins_(pins), epoch_(pins.take()) {}
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  ~Pinned() {
    if (owned_) {
      pins_.give_back(epoch_);
    }
  }
  [[nodiscard]] unsigned hand_over() noexcept {
    owned_ = false;
    return epoch_;
  }

 private:
  detail::Pins& pins_;
  unsigned epoch_;
  bool owned_ = true;
};

}  // namespace

Result<View> MappedFile::view_slowly(std::uint64_t offset, std::uint64_t length) const {
  MapState& map = state();
  std::optional<View> view;
  const bool fitted = fits(map, [&] {
    Pinned pin(map.pins);
    if (!map.contains(offset, length)) {
      return false;
    }
    view = View(map, pin.hand_over(), {map.base + offset, length});
    return true;
  });
  if (!fitted) {
    return std::unexpected(map.error(ERANGE, "view", offset, length));
  }
  return std::move(*view);
}

Result<void> MappedFile::read_slowly(std::uint64_t offset, std::span<std::byte> bytes) const {
  const auto from = view_slowly(offset, bytes.size());
  if (!from) {
    return std::unexpected(from.error());
  }
  if (!bytes.empty()) {
    std::memmove(bytes.data(), from->data(), bytes.size());
  }
  return {};
}

Result<void> MappedFile::update_slowly(std::uint64_t offset, std::span<const std::byte> bytes) {
  const auto to = mutable_view(offset, bytes.size());
  if (!to) {
    return std::unexpected(to.error());
  }
  if (!bytes.empty()) {
    std::memmove(to->data(), bytes.data(), bytes.size());
  }
  return {};
}

Result<MutableView> MappedFile::mutable_view(std::uint64_t offset, std::uint64_t length) {
  MapState& map = state();
  if (map.mode == MapMode::read_only) {
    return std::unexpected(map.error(EACCES, "mutable_view", offset, length));
  }
  std::optional<MutableView> view;
  const bool fitted = fits(map, [&] {
    Pinned pin(map.pins);
    if (!map.contains(offset, length)) {
      return false;
    }
    view = MutableView(map, pin.hand_over(), {map.base + offset, length});
    return true;
  });
  if (!fitted) {
    return std::unexpected(map.error(ERANGE, "mutable_view", offset, length));
  }
  return std::move(*view);
}

Result<std::span<std::byte>> MappedFile::mutable_data() {
  MapState& map = state();
  if (map.mode == MapMode::read_only) {
    return std::unexpected(map.error(EACCES, "mutable_data"));
  }
  map.dirty.set_untracked();
  return std::span(map.base, map.size.load());
}

Error MappedFile::object_error(int errno_value, const char* operation, std::uint64_t offset,
                               std::uint64_t length) const {
  return state().error(errno_value, operation, offset, length);
}

// ---------------------------------------------------------------------------------------- iteration

Result<ConstChunks> MappedFile::chunks(std::size_t bytes) const {
  if (bytes == 0) {
    return std::unexpected(state().error(EINVAL, "chunks"));
  }
  auto all = view_all();
  return all ? Result<ConstChunks>(std::in_place, *std::move(all), bytes) : std::unexpected(all.error());
}

Result<OwnedChunks> MappedFile::owned_chunks(std::size_t bytes) const {
  if (bytes == 0) {
    return std::unexpected(state().error(EINVAL, "owned_chunks"));
  }
  auto all = view_all();
  return all ? Result<OwnedChunks>(std::in_place, *std::move(all), bytes) : std::unexpected(all.error());
}

Result<MutableChunks> MappedFile::mutable_chunks(std::size_t bytes) {
  if (bytes == 0) {
    return std::unexpected(state().error(EINVAL, "mutable_chunks"));
  }
  // The size may change between asking for it and pinning it.
  auto all = mutable_view(0, size());
  while (!all && all.error().errno_value() == ERANGE) {
    all = mutable_view(0, size());
  }
  return all ? Result<MutableChunks>(std::in_place, *std::move(all), bytes) : std::unexpected(all.error());
}

Result<View> MappedFile::view_all() const {
  auto all = view(0, size());
  while (!all && all.error().errno_value() == ERANGE) {
    all = view(0, size());
  }
  return all;
}

Result<DataChunks> MappedFile::data_chunks(std::size_t bytes) const {
  const MapState& map = state();
  if (bytes == 0) {
    return std::unexpected(map.error(EINVAL, "data_chunks"));
  }
  struct statx status = {};
  if (const int done = sys::statx(map.file.get(), "", AT_EMPTY_PATH, STATX_SIZE | STATX_BLOCKS, status); done < 0) {
    return std::unexpected(map.error(-done, "statx"));
  }
  constexpr std::uint64_t block_bytes = 512;
  // Holes are asked for only where blocks are missing, as everywhere in ferry; a copy on write hides the file's holes.
  const bool has_holes = status.stx_blocks * block_bytes < status.stx_size && map.mode != MapMode::copy_on_write;
  auto all = view_all();
  if (!all) {
    return std::unexpected(all.error());
  }
  return DataChunks(*std::move(all), bytes, map.file.get(), has_holes);
}

DataChunks::DataChunks(View pin, std::size_t step, int fd, bool has_holes) noexcept
    : pin_(std::move(pin)), step_(step), fd_(fd), segment_end_(has_holes ? 0 : pin_.size()) {}

void DataChunks::advance() noexcept {
  if (position_ == segment_end_ && position_ < pin_.size()) {
    find_segment();
  }
  const std::uint64_t length = std::min<std::uint64_t>(step_, segment_end_ - position_);
  current_ = {.offset = position_, .bytes = pin_.bytes().subspan(position_, length)};
  position_ += length;
}

// The next data from position_ on, or none. What the file system cannot tell, or tells without getting on, is data.
void DataChunks::find_segment() noexcept {
  const std::uint64_t size = pin_.size();
  const off_t data = sys::lseek(fd_, static_cast<off_t>(position_), SEEK_DATA);
  if (data == -ENXIO) {  // only a hole is left
    position_ = segment_end_ = size;
    return;
  }
  const off_t hole = data < 0 ? data : sys::lseek(fd_, data, SEEK_HOLE);
  if (data < static_cast<off_t>(position_) || hole <= data) {
    segment_end_ = size;
    return;
  }
  position_ = std::min(size, static_cast<std::uint64_t>(data));
  segment_end_ = std::min(size, static_cast<std::uint64_t>(hole));
}

// ---------------------------------------------------------------------------------------- segments

Result<Segment> MappedFile::segment(std::uint64_t offset, std::uint64_t length) const {
  if (length > UINT64_MAX - offset) {
    return std::unexpected(state().error(ERANGE, "segment", offset, length));
  }
  return Segment(share(), offset, length);
}

Result<MutableSegment> MappedFile::mutable_segment(std::uint64_t offset, std::uint64_t length) {
  if (mode() == MapMode::read_only) {
    return std::unexpected(state().error(EACCES, "mutable_segment", offset, length));
  }
  auto part = segment(offset, length);
  if (!part) {
    return std::unexpected(part.error());
  }
  return MutableSegment(*std::move(part));
}

Result<void> Segment::check(const char* operation, std::uint64_t offset, std::uint64_t length) const {
  if (length > length_ || offset > length_ - length) {
    return std::unexpected(map_.state().error(ERANGE, operation, offset, length));
  }
  return {};
}

Result<View> Segment::view(std::uint64_t offset, std::uint64_t length) const {
  const auto inside = check("view", offset, length);
  return inside ? map_.view(offset_ + offset, length) : std::unexpected(inside.error());
}

Result<void> Segment::read_into(std::uint64_t offset, std::span<std::byte> bytes) const {
  const auto inside = check("read_into", offset, bytes.size());
  return inside ? map_.read_into(offset_ + offset, bytes) : inside;
}

Result<void> MutableSegment::update(std::uint64_t offset, std::span<const std::byte> bytes) {
  const auto inside = part_.check("update", offset, bytes.size());
  return inside ? part_.map_.update(part_.offset_ + offset, bytes) : inside;
}

}  // namespace ferry
