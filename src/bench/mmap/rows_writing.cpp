// Rows that write through a map: updates, flushes of both kinds, policies, atomics.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/mmap/mapped_twice.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;
using Both = std::shared_ptr<MappedTwice>;
using Ways = std::vector<MmapWay>;

constexpr std::byte written{2};

using Bytes = std::shared_ptr<const std::vector<std::byte>>;
Bytes bytes_to_write(std::uint64_t length) { return std::make_shared<const std::vector<std::byte>>(length, written); }

MmapRow writing_row(std::string name, std::uint64_t file_bytes, std::vector<Published> published,
                    const std::function<Ways(const Both& file)>& ways) {
  return {.name = "mmap: " + std::move(name),
          .file_bytes = file_bytes,
          .published = std::move(published),
          .prepare = [=](const fs::path& directory) -> Outcome<Ways> {
            const auto file = MappedTwice::make(directory / "file", file_bytes, MapMode::read_write);
            return file ? Outcome<Ways>(ways(*file)) : std::unexpected(file.error());
          }};
}

// A loop whose steps return how many of their calls worked, of `calls`, and after which the file's first `length` bytes
// must be `written`: they are others before.
template <typename Step, typename Map>
TimedLoop writes(const Both& file, std::uint64_t length, std::uint64_t calls, Step step, const Map& map) {
  return loop_of(
      std::move(step),
      [=](std::uint64_t repetitions, std::uint64_t sum) {
        const std::string wrong = file->verdict(sum, repetitions * calls);
        return wrong.empty() ? file->verdict_on_file(length, written) : wrong;
      },
      [=] {
        std::string wrong = file->clear(length);
        return wrong.empty() ? map() : wrong;
      });
}
// Through ferry's map, the only one of the file.
template <typename Step>
TimedLoop ferry_writes(const Both& file, std::uint64_t length, std::uint64_t calls, Step step,
                       const FlushPolicy& policy = {}) {
  return writes(file, length, calls, std::move(step), [=] { return file->map_by_ferry_only(policy); });
}
// Through mmap's.
template <typename Step>
TimedLoop raw_writes(const Both& file, std::uint64_t length, std::uint64_t calls, Step step) {
  return writes(file, length, calls, std::move(step), [=] { return file->map_by_mmap_only(); });
}

// ---------------------------------------------------------------------------------------------- updates and flushes

MmapRow update_row(std::uint64_t length, double published) {
  return writing_row("update of " + format_size(length), mebibyte, mmap_io(published), [=](const Both& file) {
    const Bytes bytes = bytes_to_write(length);
    return Ways{{.name = "update",
                 .call = fmt::format("map.update(0, {} bytes)", length),
                 .own = true,
                 .loop = ferry_writes(file, length, 1,
                                      [=](std::uint64_t) { return file->worked(file->ferry().update(0, *bytes)); })},
                {.name = "memcpy",
                 .call = fmt::format("memcpy(pointer, bytes, {})", length),
                 .loop = raw_writes(file, length, 1, [=](std::uint64_t) -> std::uint64_t {
                   std::memcpy(file->raw(), bytes->data(), bytes->size());
                   return 1;
                 })}};
  });
}

MmapRow visible_flush_row(std::uint64_t length) {
  return writing_row(
      fmt::format("update and flush_range of {}, visible", format_size(length)), mebibyte, mmap_io(66e-9, 235e-9),
      [=](const Both& file) {
        const Bytes bytes = bytes_to_write(length);
        return Ways{
            {.name = "update, flush_range(visible)",
             .call =
                 fmt::format("map.update(0, {} bytes); map.flush_range(0, {}, Durability::visible)", length, length),
             .own = true,
             .loop = ferry_writes(file, length, 2,
                                  [=](std::uint64_t) {
                                    return file->worked(file->ferry().update(0, *bytes)) +
                                           file->worked(file->ferry().flush_range(0, length, Durability::visible));
                                  })},
            {.name = "memcpy: no call is needed",
             .call = fmt::format("memcpy(pointer, bytes, {})", length),
             .loop = raw_writes(file, length, 1, [=](std::uint64_t) -> std::uint64_t {
               std::memcpy(file->raw(), bytes->data(), bytes->size());
               return 1;
             })}};
      });
}

MmapRow data_flush_row(std::uint64_t length) {
  return writing_row(
      fmt::format("update and flush_range of {}, data", format_size(length)), mebibyte, {}, [=](const Both& file) {
        const Bytes bytes = bytes_to_write(length);
        return Ways{{.name = "update, flush_range(data)",
                     .call = fmt::format("map.update(0, {} bytes); map.flush_range(0, {})", length, length),
                     .own = true,
                     .loop = ferry_writes(file, length, 2,
                                          [=](std::uint64_t) {
                                            return file->worked(file->ferry().update(0, *bytes)) +
                                                   file->worked(file->ferry().flush_range(0, length));
                                          })},
                    {.name = "memcpy, msync",
                     .call = fmt::format("memcpy(pointer, bytes, {}); msync(pointer, {}, MS_SYNC)", length, length),
                     .loop = raw_writes(file, length, 1, [=](std::uint64_t) {
                       std::memcpy(file->raw(), bytes->data(), bytes->size());
                       return file->worked("msync", ::msync(file->raw(), bytes->size(), MS_SYNC));
                     })}};
      });
}

// Another page is dirty, so that it is not enough to look whether any is.
MmapRow clean_flush_row(std::uint64_t length) {
  return writing_row(fmt::format("flush_range of {}, clean", format_size(length)), mebibyte, {}, [=](const Both& file) {
    const auto one_dirty_page = [file] {
      const bool done = file->worked(file->ferry().flush()) == 1 &&
                        file->worked(file->ferry().update(100 * page_bytes, std::array{written})) == 1;
      return done ? std::string() : file->verdict(0, 1);
    };
    return Ways{{.name = "flush_range(data) of clean pages",
                 .call = fmt::format("map.flush_range(0, {})", length),
                 .own = true,
                 .loop = loop_of([=](std::uint64_t) { return file->worked(file->ferry().flush_range(0, length)); },
                                 [=](std::uint64_t repetitions, std::uint64_t sum) {
                                   const bool kept = file->ferry().pending_bytes() == page_bytes;
                                   return kept ? file->verdict(sum, repetitions) : "it flushed what was not asked for";
                                 },
                                 one_dirty_page)}};
  });
}

// ---------------------------------------------------------------------------------------------- policies

constexpr std::uint64_t step_bytes = 64 * kibibyte;
constexpr std::uint64_t whole_bytes = 4 * mebibyte;
constexpr std::uint64_t step_count = whole_bytes / step_bytes;
constexpr std::chrono::milliseconds interval{10};

MmapWay updates(const Both& file, std::string name, const FlushPolicy& policy, std::string policy_call) {
  const Bytes bytes = bytes_to_write(step_bytes);
  return {.name = std::move(name),
          .call = "64 times map.update(), FlushPolicy::" + std::move(policy_call),
          .own = true,
          .loop = ferry_writes(
              file, whole_bytes, step_count,
              [=](std::uint64_t) {
                std::uint64_t good = 0;
                for (std::uint64_t offset = 0; offset < whole_bytes; offset += step_bytes) {
                  good += file->worked(file->ferry().update(offset, *bytes));
                }
                return good;
              },
              policy)};
}

// As updates(), by memcpy and, every `sync_bytes`, msync of these; never for 0.
MmapWay bare_updates(const Both& file, std::uint64_t sync_bytes) {
  const Bytes bytes = bytes_to_write(step_bytes);
  return {
      .name = sync_bytes == 0 ? "memcpy" : "memcpy, msync",
      .call = sync_bytes == 0 ? "64 times memcpy" : fmt::format("64 times memcpy, msync every {} bytes", sync_bytes),
      .loop = raw_writes(file, whole_bytes, step_count, [=](std::uint64_t) {
        std::uint64_t good = 0;
        for (std::uint64_t offset = 0; offset < whole_bytes; offset += step_bytes) {
          std::memcpy(file->raw() + offset, bytes->data(), bytes->size());
          const std::uint64_t done = offset + step_bytes;
          const bool sync = sync_bytes != 0 && done % sync_bytes == 0;
          good += sync ? file->worked("msync", ::msync(file->raw() + done - sync_bytes, sync_bytes, MS_SYNC)) : 1;
        }
        return good;
      })};
}

// Writes the map back every interval, on a thread of its own, until destroyed.
class BackgroundSync {
 public:
  explicit BackgroundSync(Both file) : file_(std::move(file)), thread_([this] { run(); }) {}
  BackgroundSync(const BackgroundSync&) = delete;
  BackgroundSync& operator=(const BackgroundSync&) = delete;
  ~BackgroundSync() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, interval, [this] { return stopping_; })) {
      ::msync(file_->raw(), file_->size(), MS_SYNC);
    }
  }

  Both file_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

MmapWay bare_updates_and_background_sync(const Both& file) {
  MmapWay way = bare_updates(file, 0);
  way.name = "memcpy, a thread that calls msync every 10 ms";
  way.call = way.name;
  way.loop.body = [file, writing = way.loop.body](benchmark::State& state) {
    if (const std::string wrong = file->map_by_mmap_only(); !wrong.empty()) {
      state.SkipWithError(wrong.c_str());
      return;
    }
    const BackgroundSync sync(file);
    writing(state);
  };
  return way;
}

MmapRow policy_row(const std::string& name, const FlushPolicy& policy, const std::string& call,
                   std::vector<Published> published, std::uint64_t sync_bytes) {
  return writing_row("4 MiB in updates of 64 KiB, " + name, whole_bytes, std::move(published), [=](const Both& file) {
    return Ways{updates(file, name, policy, call), bare_updates(file, sync_bytes)};
  });
}

MmapRow background_row() {
  return writing_row("4 MiB in updates of 64 KiB, every 10 ms, data", whole_bytes, {}, [](const Both& file) {
    return Ways{updates(file, "every 10 ms, data", FlushPolicy::every(interval), "every(10ms)"),
                bare_updates_and_background_sync(file), updates(file, "manual", FlushPolicy::manual(), "manual()"),
                bare_updates(file, 0)};
  });
}

// ---------------------------------------------------------------------------------------------- atomics

constexpr std::uint64_t adds = 10'000;
constexpr std::uint64_t line_bytes = 64;
constexpr unsigned most_threads = 8;

struct alignas(line_bytes) Line {
  std::atomic<std::uint64_t> value = 0;
};

struct MappedCounters {
  explicit MappedCounters(Both owner) : file(std::move(owner)) {
    for (unsigned i = 0; i < most_threads; ++i) {
      if (auto view = file->ferry().atomic<std::uint64_t>(i * line_bytes); file->worked(view) == 1) {
        views.push_back(*std::move(view));
      }
    }
  }
  Both file;
  std::vector<AtomicView<std::uint64_t>> views;
};

// Every thread adds to `counter(thread)`, by fetch_add; afterwards the first one finds that none was lost. `counter`
// returns something that has fetch_add, load and store.
template <typename Counter>
TimedLoop adding(unsigned threads, bool padded, const Counter& counter) {
  return {.body =
              [=](benchmark::State& state) {
                const auto own = static_cast<unsigned>(state.thread_index());
                const unsigned used = padded ? threads : 1;
                for (unsigned i = 0; own == 0 && i < used; ++i) {
                  counter(i).store(0);
                }
                auto&& mine = counter(padded ? own : 0);
                for ([[maybe_unused]] auto each : state) {
                  for (std::uint64_t i = 0; i < adds; ++i) {
                    mine.fetch_add(1, std::memory_order_relaxed);
                  }
                }
                std::uint64_t sum = 0;
                for (unsigned i = 0; own == 0 && i < used; ++i) {
                  sum += counter(i).load();
                }
                if (own == 0 && sum != adds * threads * static_cast<std::uint64_t>(state.iterations())) {
                  state.SkipWithError("additions were lost");
                }
              },
          .threads = threads};
}

MmapRow atomic_row(unsigned threads, bool padded, double published) {
  const std::string whose = padded ? "each its own cache line" : "one counter";
  return writing_row(
      fmt::format("atomic add, 10 000 by each of {} thread{}, {}", threads, threads == 1 ? "" : "s", whose), mebibyte,
      padded ? std::vector<Published>{} : mmap_io(published), [=](const Both& file) {
        const auto mapped = std::make_shared<MappedCounters>(file);
        const auto lines = std::make_shared<std::array<Line, most_threads>>();
        return Ways{{.name = "atomic() in the map",
                     .call = "map.atomic<uint64_t>(offset)->fetch_add(1)",
                     .own = true,
                     .loop = adding(threads, padded, [mapped](unsigned i) -> auto& { return mapped->views.at(i); })},
                    {.name = "std::atomic",
                     .call = "std::atomic<uint64_t>::fetch_add(1)",
                     .loop = adding(threads, padded, [lines](unsigned i) -> auto& { return lines->at(i).value; })}};
      });
}

}  // namespace

std::vector<MmapRow> mmap_writing_rows() {
  std::vector<MmapRow> rows = {update_row(4 * kibibyte, 77e-9), update_row(64 * kibibyte, 1.93e-6),
                               update_row(mebibyte, 66e-6)};
  for (std::uint64_t length = 64; length <= 8 * kibibyte; length *= 2) {
    rows.push_back(visible_flush_row(length));
  }
  for (const std::uint64_t length : {std::uint64_t{64}, kibibyte, 8 * kibibyte}) {
    rows.push_back(data_flush_row(length));
  }
  rows.push_back(clean_flush_row(64));
  rows.push_back(clean_flush_row(8 * kibibyte));
  const auto visible = Durability::visible;
  rows.push_back(policy_row("manual", FlushPolicy::manual(), "manual()", mmap_io(204e-6), 0));
  rows.push_back(policy_row("every 64 KiB, visible", FlushPolicy::after_bytes(64 * kibibyte, visible),
                            "after_bytes(65536, visible)", mmap_io(241e-6), 0));
  rows.push_back(policy_row("every 1 MiB, visible", FlushPolicy::after_bytes(mebibyte, visible),
                            "after_bytes(1048576, visible)", {}, 0));
  rows.push_back(policy_row("every 10 ms, visible", FlushPolicy::every(interval, visible), "every(10ms, visible)",
                            mmap_io(222e-6), 0));
  rows.push_back(policy_row("every 64 KiB, data", FlushPolicy::after_bytes(64 * kibibyte), "after_bytes(65536)", {},
                            64 * kibibyte));
  rows.push_back(
      policy_row("every 1 MiB, data", FlushPolicy::after_bytes(mebibyte), "after_bytes(1048576)", {}, mebibyte));
  rows.push_back(background_row());
  for (const bool padded : {false, true}) {
    rows.push_back(atomic_row(1, padded, 108e-6));
    rows.push_back(atomic_row(2, padded, 210e-6));
    rows.push_back(atomic_row(4, padded, 520e-6));
    rows.push_back(atomic_row(8, padded, 961e-6));
  }
  return rows;
}

}  // namespace ferry::bench
