// What is known about a request whatever carries it out.
#pragma once

#include <cstddef>
#include <cstdint>

#include <ferry/loop.hpp>

namespace ferry::detail {

// As much as one system call is asked to move.
inline constexpr std::size_t most_bytes_at_once = std::size_t{1} << 30U;

// Carries out one step of the request by the plain system call: what is left after `moved` bytes. Blocks. Returns the
// call's result.
[[nodiscard]] std::int64_t perform(const Request& request, std::uint64_t moved) noexcept;

// A read or write that goes on until its buffer is done: the buffer's size; 0 for all others.
[[nodiscard]] std::uint64_t bytes_wanted(const Request& request) noexcept;
[[nodiscard]] bool is_write(const Request& request) noexcept;

// What a request on a stream must wait for, where its call would block: a descriptor and poll(2) events. fd -1: it is
// about no stream.
struct Readiness {
  int fd = -1;
  short events = 0;
};
[[nodiscard]] Readiness readiness_needed(const Request& request) noexcept;

// Whether the request works on this descriptor.
[[nodiscard]] bool uses(const Request& request, int fd) noexcept;

}  // namespace ferry::detail
