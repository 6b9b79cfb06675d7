// What stands behind a MappedFile.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>

#include <ferry/map.hpp>

namespace ferry {

inline constexpr std::uint64_t map_page_bytes = std::uint64_t{1} << detail::page_shift;

[[nodiscard]] constexpr std::uint64_t page_floor(std::uint64_t bytes) noexcept { return bytes & ~(map_page_bytes - 1); }
[[nodiscard]] constexpr std::uint64_t page_ceil(std::uint64_t bytes) noexcept {
  return page_floor(bytes + (map_page_bytes - 1));
}

// Calls a function some time after it was told of a write, on a thread that starts with the first one. Nothing runs
// while nothing is written.
class IntervalFlusher {
 public:
  IntervalFlusher() = default;
  IntervalFlusher(const IntervalFlusher&) = delete;
  IntervalFlusher& operator=(const IntervalFlusher&) = delete;
  ~IntervalFlusher() { stop(); }

  // Tells of a write. False if there can be no thread.
  [[nodiscard]] bool note_write(MapState& map) noexcept;
  // Waits for a flush at work. note_write() starts it again.
  void stop() noexcept;

 private:
  void run(MapState& map) noexcept;
  // Whether a flush is due; false when it is to end.
  [[nodiscard]] bool wait_for_work(std::chrono::milliseconds interval);

  std::atomic<bool> due_ = false;  // a flush will come that began after this was set
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
  pid_t process_ = 0;  // that started it
};

struct MapState : detail::MapAccess {
  std::filesystem::path path;
  MapOptions options;
  UniqueFd file;
  std::uint64_t mapped_bytes = 0;   // address space at `base`, reserve included
  std::uint64_t covered_bytes = 0;  // of it, mapped to the file: all of it, but for hugetlbfs
  HugePageReport huge_pages;        // but huge_bytes

  std::mutex resize_mutex;
  // A shrinking resize that may yet be taken back holds resize_mutex.
  std::atomic<bool> size_is_tentative = false;

  std::mutex flush_mutex;
  std::atomic<std::uint64_t> accumulated = 0;  // bytes or writes, as the policy counts
  std::mutex error_mutex;
  std::optional<Error> background_error;
  bool unmap_flush_failed = false;
  IntervalFlusher flusher;
  MapState* next_abandoned = nullptr;

  MapState() = default;
  MapState(const MapState&) = delete;
  MapState& operator=(const MapState&) = delete;
  ~MapState();

  // An error of an operation on a range of this map, or on the file as a whole.
  [[nodiscard]] Error error(int errno_value, const char* operation) const;
  [[nodiscard]] Error error(int errno_value, const char* operation, std::uint64_t offset, std::uint64_t length) const;
  [[nodiscard]] bool has_live_views() const noexcept { return pins.any() || mutable_views.load() != 0; }

  // Reports an earlier background flush that failed; else flushes the pages that touch the range.
  [[nodiscard]] Result<void> flush(std::uint64_t offset, std::uint64_t length, Durability durability);
  // Flushes them, to storage, and leaves earlier failures to others.
  [[nodiscard]] Result<void> flush_pages(std::uint64_t offset, std::uint64_t length, Durability durability);
  // After a write of `bytes`: what the policy says.
  [[nodiscard]] Result<void> apply_policy(std::uint64_t bytes);
  // Remembers a failure that no caller was there to hear of.
  void keep_error(Error error) noexcept;
  [[nodiscard]] std::optional<Error> take_error() noexcept;
  // What a policy still owes when the map ends.
  [[nodiscard]] Result<void> settle() noexcept;

  // Maps the file up to `bytes` (at most mapped_bytes), where it is not mapped yet.
  [[nodiscard]] Result<void> cover(std::uint64_t bytes);

  // Runs `function` such that a SIGBUS on this map is an error.
  [[nodiscard]] Result<void> guard(void (*function)(void*), void* context);
};

// Gives `file`, of `from` bytes, `to` bytes; with `preallocate`, its blocks too. On error it has `from` bytes.
[[nodiscard]] Result<void> extend_file(int file, std::uint64_t from, std::uint64_t to, bool preallocate);

}  // namespace ferry
