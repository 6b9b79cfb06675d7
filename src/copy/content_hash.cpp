#include "copy/content_hash.hpp"

#include <algorithm>
#include <array>

#define XXH_STATIC_LINKING_ONLY  // the state as a value: no second allocation
#include <xxhash.h>

namespace ferry::engine {

struct ContentHash::State {
  XXH3_state_t xxh;
};

ContentHash::ContentHash() : state_(std::make_unique<State>()) { XXH3_128bits_reset(&state_->xxh); }
ContentHash::~ContentHash() = default;

void ContentHash::add(const std::byte* data, std::size_t size) noexcept {
  XXH3_128bits_update(&state_->xxh, data, size);
}

void ContentHash::add_zeros(std::uint64_t count) noexcept {
  static constexpr std::array<std::byte, 65536> zeros = {};
  while (count > 0) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(count, zeros.size()));
    add(zeros.data(), piece);
    count -= piece;
  }
}

ContentDigest ContentHash::digest() const noexcept {
  const XXH128_hash_t value = XXH3_128bits_digest(&state_->xxh);
  return {value.low64, value.high64};
}

}  // namespace ferry::engine
