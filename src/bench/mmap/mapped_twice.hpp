// What the rows of the mmap suite stand on: a file mapped by ferry and by plain mmap, and the loop around a step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <ferry/map.hpp>

#include "bench/mmap/rows.hpp"

namespace ferry::bench {

inline constexpr std::uint64_t kibibyte = 1024;
inline constexpr std::uint64_t mebibyte = kibibyte * kibibyte;
inline constexpr std::uint64_t page_bytes = 4096;

/// What files are filled with: a byte that tells its page.
[[nodiscard]] constexpr std::uint64_t content_at(std::uint64_t offset) noexcept {
  return (offset / page_bytes * 31 + 1) & 0xffU;
}
/// The sum of the bytes at 0, step, 2 * step, ... below `size`.
[[nodiscard]] std::uint64_t sum_of_content(std::uint64_t size, std::uint64_t step) noexcept;

/// A file for all ways of a row, mapped by ferry and by mmap, all pages present in both maps.
class MappedTwice {
 public:
  /// `filled`: with content_at(), and on storage; else it is one hole.
  [[nodiscard]] static Outcome<std::shared_ptr<MappedTwice>> make(const std::filesystem::path& file, std::uint64_t size,
                                                                  MapMode mode, bool filled = true);
  MappedTwice(const MappedTwice&) = delete;
  MappedTwice& operator=(const MappedTwice&) = delete;
  ~MappedTwice();

  /// Leaves one of the maps, and makes it anew if need be: a page that is written back is protected in all maps of it,
  /// which would triple the cost of the one that is measured. Empty, or what failed.
  [[nodiscard]] std::string map_by_ferry_only(const FlushPolicy& policy = {});
  [[nodiscard]] std::string map_by_mmap_only();

  [[nodiscard]] MappedFile& ferry() noexcept { return *ferry_; }
  [[nodiscard]] std::byte* raw() const noexcept { return raw_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

  /// 1 if it worked; else 0, and the first failure is kept.
  template <typename T>
  std::uint64_t worked(const Result<T>& result) {
    if (result) [[likely]] {
      return 1;
    }
    keep_failure(result.error().to_string());
    return 0;
  }
  /// Of a system call: not -1.
  std::uint64_t worked(const char* call, int result);
  /// Makes the file's first `length` bytes zero. Empty, or what failed.
  [[nodiscard]] std::string clear(std::uint64_t length) const;
  /// The failure that was kept, or what is wrong if `found` is not `expected`; empty if all is well.
  [[nodiscard]] std::string verdict(std::uint64_t found, std::uint64_t expected) const;
  /// Empty if the file's bytes up to `length` are all `value`, read from the file and not through a map.
  [[nodiscard]] std::string verdict_on_file(std::uint64_t length, std::byte value) const;

 private:
  MappedTwice(std::filesystem::path file, std::uint64_t size, MapMode mode) noexcept
      : path_(std::move(file)), size_(size), mode_(mode) {}
  [[nodiscard]] std::string map_by_ferry(const FlushPolicy& policy);
  [[nodiscard]] std::string map_by_mmap();
  void unmap_raw() noexcept;
  void keep_failure(std::string text);

  std::filesystem::path path_;
  std::optional<MappedFile> ferry_;
  std::byte* raw_ = nullptr;
  std::uint64_t size_;
  MapMode mode_;
  std::string failure_;
};

/// A loop around `step(i)`, which returns a number. What is wrong is told by `before()`, and then there is no loop, and
/// by `after(repetitions, sum)`; empty if nothing is. Memory counts as changed by each step, so that none is done once
/// for all.
template <typename Step, typename After, typename Before>
[[nodiscard]] TimedLoop loop_of(Step step, After after, Before before) {
  return {.body = [step = std::move(step), after = std::move(after),
                   before = std::move(before)](benchmark::State& state) mutable {
    if (const std::string wrong = before(); !wrong.empty()) {
      state.SkipWithError(wrong.c_str());
    }
    std::uint64_t sum = 0;
    std::uint64_t i = 0;
    for ([[maybe_unused]] auto each : state) {
      sum += step(i);
      ++i;
      benchmark::ClobberMemory();
    }
    if (const std::string wrong = state.error_occurred() ? "" : after(i, sum); !wrong.empty()) {
      state.SkipWithError(wrong.c_str());
    }
  }};
}
template <typename Step, typename After>
[[nodiscard]] TimedLoop loop_of(Step step, After after) {
  return loop_of(std::move(step), std::move(after), [] { return std::string(); });
}

/// mmap-io 0.9.11, in seconds.
[[nodiscard]] inline std::vector<Published> mmap_io(double seconds) { return {{"mmap-io 0.9.11", seconds, seconds}}; }
[[nodiscard]] inline std::vector<Published> mmap_io(double least, double most) {
  return {{"mmap-io 0.9.11", least, most}};
}

// The rows by kind.
[[nodiscard]] std::vector<MmapRow> mmap_reading_rows();
[[nodiscard]] std::vector<MmapRow> mmap_writing_rows();
[[nodiscard]] std::vector<MmapRow> mmap_opening_rows();

}  // namespace ferry::bench
