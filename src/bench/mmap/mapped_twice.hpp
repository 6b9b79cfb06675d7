// What the rows of the mmap suite stand on: a file mapped by ferry and by plain mmap, and the loop around a step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
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

/// An open file, mapped once by ferry and once by mmap, all pages present in both. Use one for all ways of a row.
class MappedTwice {
 public:
  /// `filled`: with content_at(), and on storage; else it is one hole.
  [[nodiscard]] static Outcome<std::shared_ptr<MappedTwice>> make(const std::filesystem::path& file, std::uint64_t size,
                                                                  MapMode mode, const FlushPolicy& policy = {},
                                                                  bool filled = true);
  MappedTwice(const MappedTwice&) = delete;
  MappedTwice& operator=(const MappedTwice&) = delete;
  ~MappedTwice();

  [[nodiscard]] MappedFile& ferry() noexcept { return ferry_; }
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
  /// The failure that was kept, or what is wrong if `found` is not `expected`; empty if all is well.
  [[nodiscard]] std::string verdict(std::uint64_t found, std::uint64_t expected) const;
  /// Empty if the file's bytes up to `length` are all `value`, read from the file and not through a map.
  [[nodiscard]] std::string verdict_on_file(std::uint64_t length, std::byte value) const;

 private:
  MappedTwice(std::filesystem::path file, MappedFile map, std::uint64_t size) noexcept
      : path_(std::move(file)), ferry_(std::move(map)), size_(size) {}
  void keep_failure(std::string text);

  std::filesystem::path path_;
  MappedFile ferry_;
  std::byte* raw_ = nullptr;
  std::uint64_t size_;
  std::string failure_;
};

/// A loop around `step(i)`, which returns a number. Before it `before()`; after it `after(repetitions, sum)` is what is
/// wrong with it all, or empty. Memory counts as changed by each step, so that none is done once for all.
template <typename Step, typename After, typename Before>
[[nodiscard]] TimedLoop loop_of(Step step, After after, Before before) {
  return {.body = [step = std::move(step), after = std::move(after),
                   before = std::move(before)](benchmark::State& state) mutable {
    before();
    std::uint64_t sum = 0;
    std::uint64_t i = 0;
    for ([[maybe_unused]] auto each : state) {
      sum += step(i);
      ++i;
      benchmark::ClobberMemory();
    }
    if (const std::string wrong = after(i, sum); !wrong.empty()) {
      state.SkipWithError(wrong.c_str());
    }
  }};
}
template <typename Step, typename After>
[[nodiscard]] TimedLoop loop_of(Step step, After after) {
  return loop_of(std::move(step), std::move(after), [] {});
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
