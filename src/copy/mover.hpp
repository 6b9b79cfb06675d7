// Moves ranges of bytes from one open file to another by an ordered list of methods, with fallback.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <stop_token>

#include <ferry/copy.hpp>

#include "copy/capabilities.hpp"
#include "copy/content_hash.hpp"
#include "copy/method_choice.hpp"
#include "copy/uring_mover.hpp"

namespace ferry::engine {

// The pipe of the splice method; opened at first need and kept.
struct SplicePipe {
  UniqueFd read_end;
  UniqueFd write_end;
  std::size_t capacity = 0;
};

// What a Mover needs to know of a copy; everything referred to outlives it.
struct MoveSettings {
  int in = -1;
  int out = -1;
  bool in_seekable = true;   // else offsets of the source are ignored, and read() and splice() from the position
  bool out_seekable = true;  // likewise
  DevicePair devices;
  MethodOrder methods;
  std::size_t chunk_bytes = default_copy_chunk_size_bytes;
  PipelineShape pipeline;  // of the uring method
  bool direct = false;
  bool skip_zeros = false;         // aligned runs of zeros become holes (SparseMode::always)
  std::uint64_t out_data_end = 0;  // a hole must be punched where the destination has old content: below this
  std::uint64_t bytes_total = 0;   // for progress
  const std::function<void(const CopyProgress&)>* on_progress = nullptr;
  const std::stop_token* stop = nullptr;
  SplicePipe* pipe = nullptr;
  ContentHash* hash = nullptr;  // fed with every byte that read_write moves, and with holes
};

inline constexpr std::uint64_t until_end = std::numeric_limits<std::uint64_t>::max();

class Mover {
 public:
  // Adds what is done to `report`.
  Mover(const MoveSettings& settings, CopyReport& report) noexcept;

  // Moves `length` bytes (or until_end) and returns how many there were: fewer only at the end of the source.
  [[nodiscard]] Result<std::uint64_t> move(std::uint64_t in_offset, std::uint64_t out_offset, std::uint64_t length);
  // Makes a hole of `length` bytes at `out_offset`: nothing to do in a new file, punched (or zeroed, where the file
  // system cannot punch) in one that holds data.
  [[nodiscard]] Result<void> make_hole(std::uint64_t out_offset, std::uint64_t length);

 private:
  struct Step {
    std::int64_t moved = 0;  // or -errno
    const char* operation = "";
    bool final = false;  // no other method may go on
  };
  [[nodiscard]] Step step(CopyMethod method, std::uint64_t in_offset, std::uint64_t out_offset, std::uint64_t length);
  [[nodiscard]] Step by_copy_file_range(std::uint64_t in_offset, std::uint64_t out_offset, std::uint64_t length);
  [[nodiscard]] Step by_splice(std::uint64_t in_offset, std::uint64_t out_offset, std::uint64_t length);
  [[nodiscard]] Step by_sendfile(std::uint64_t in_offset, std::uint64_t out_offset, std::uint64_t length);
  [[nodiscard]] Step by_uring(std::uint64_t in_offset, std::uint64_t out_offset, std::uint64_t length);
  [[nodiscard]] Step by_read_write(std::uint64_t in_offset, std::uint64_t out_offset, std::uint64_t length);
  [[nodiscard]] Step splice_direct(std::uint64_t in_offset, std::uint64_t out_offset, std::size_t length);
  [[nodiscard]] Step drain_pipe(std::uint64_t out_offset, std::size_t bytes);
  [[nodiscard]] int open_pipe();
  [[nodiscard]] int write_all(const std::byte* data, std::size_t size, std::uint64_t out_offset);
  [[nodiscard]] int write_skipping_zeros(const std::byte* data, std::size_t size, std::uint64_t out_offset);
  // Makes sure that a range of the destination reads as zeros, without blocks if possible; 0 or -errno.
  [[nodiscard]] int clear(std::uint64_t out_offset, std::uint64_t length);
  [[nodiscard]] int write_zeros(std::uint64_t out_offset, std::uint64_t length);

  [[nodiscard]] bool has_input() const noexcept;
  [[nodiscard]] bool switch_to_read_write() noexcept;
  [[nodiscard]] bool source_has_more(std::uint64_t in_offset) const noexcept;
  void refuse(CopyMethod method, int errno_value) noexcept;
  void account(CopyMethod method, std::uint64_t bytes);
  void notify(std::uint64_t bytes);
  void adapt_piece(std::uint64_t moved, std::int64_t nanoseconds) noexcept;
  [[nodiscard]] static std::unexpected<Error> failure(const Step& step);

  const MoveSettings& settings_;
  CopyReport& report_;
  std::optional<UringMover> uring_;
  std::size_t current_ = 0;  // index into settings_.methods
  bool only_read_write_ = false;
  std::uint64_t kernel_piece_bytes_;
  std::uint64_t bytes_done_ = 0;
  std::uint64_t zeros_skipped_ = 0;  // by the step just made
};

}  // namespace ferry::engine
