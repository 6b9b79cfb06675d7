// Ranges of regular files by io_uring: several chunks in flight, each read into a registered buffer and written from
// it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <ferry/base.hpp>

namespace ferry::engine {

// One side of a copy.
struct PipelineFile {
  int fd = -1;
  int direct_fd = -1;                  // the same file open with O_DIRECT; -1: not used
  std::uint32_t direct_alignment = 0;  // of offsets and lengths
};

struct PipelineRange {
  std::uint64_t in_offset = 0;
  std::uint64_t out_offset = 0;
  std::uint64_t length = 0;
};

struct PipelineShape {
  std::size_t chunk_bytes = 0;  // a multiple of the page
  unsigned depth = 0;           // most chunks in flight
  bool polls = false;           // for completions of devices (IOPOLL): only whole blocks with O_DIRECT on both sides

  friend bool operator==(const PipelineShape&, const PipelineShape&) noexcept = default;
};

struct PipelineResult {
  // How many bytes from the beginning of the range are in the destination; those behind may be, too.
  std::uint64_t moved = 0;
  std::uint64_t direct = 0;    // of these, without the page cache on both sides
  std::uint64_t polled = 0;    // of these, by a ring that polls
  int polling_refused = 0;     // -errno
  int error = 0;               // -errno of what ended it early; 0: done, or the source ended
  const char* operation = "";  // that failed
  bool final = false;          // what is left cannot be put right by copying it in another way
};

// Copies the range, by a ring and buffers that belong to this thread and are kept. `in` and `out` lose their direct_fd
// when O_DIRECT turns out not to work, unless the shape polls: then that is an error. Nothing is in flight when it
// returns. Reads and writes are not linked in the kernel: a link would break on a short result and write what was not
// read (liburing 187).
[[nodiscard]] PipelineResult copy_by_uring(PipelineFile& in, PipelineFile& out, const PipelineRange& range,
                                           const PipelineShape& shape);

// For tests: as if io_uring had never been refused in this process.
void forget_uring_refusal() noexcept;

}  // namespace ferry::engine
