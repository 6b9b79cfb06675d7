// XXH3-128 of a stream of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace ferry::engine {

struct ContentDigest {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const ContentDigest&, const ContentDigest&) noexcept = default;
};

class ContentHash {
 public:
  ContentHash();
  ContentHash(const ContentHash&) = delete;
  ContentHash& operator=(const ContentHash&) = delete;
  ~ContentHash();

  void add(const std::byte* data, std::size_t size) noexcept;
  void add_zeros(std::uint64_t count) noexcept;
  [[nodiscard]] ContentDigest digest() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ferry::engine
