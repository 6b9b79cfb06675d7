// What a memory-mapped file costs: each row beside its floor, measured in the same run (a raw pointer loop, memcpy, the
// bare system calls, std::atomic on ordinary memory). The rows are those that mmap-io publishes.
//
//   map_rows [--benchmark_filter=REGEX] [--benchmark_repetitions=5 --benchmark_enable_random_interleaving=true]
//
// Files are made in the directory FERRY_BENCH_DIRECTORY, or /tmp: use a file system on a disk, or the rows that make
// data durable mean nothing. Rows named view, chunks and touch read one byte of each chunk or page.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <ferry/map.hpp>

namespace {

using ferry::Durability;
using ferry::FlushPolicy;
using ferry::MapMode;
using ferry::MappedFile;

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = kib * kib;
constexpr std::uint64_t page = 4096;

// A benchmark that cannot be set up is not one to have a number for.
template <typename T>
T must(ferry::Result<T> result) {
  if (!result) {
    std::fputs((result.error().to_string() + '\n').c_str(), stderr);
    std::exit(1);
  }
  return std::move(*result);
}
void must(const ferry::Result<void>& result) {
  if (!result) {
    std::fputs((result.error().to_string() + '\n').c_str(), stderr);
    std::exit(1);
  }
}
int must_be_good(long result, const char* call) {
  if (result < 0) {
    std::perror(call);
    std::exit(1);
  }
  return static_cast<int>(result);
}

// A file name of this process, whose file is gone at the end.
class Name {
 public:
  Name() {
    static int number = 0;
    const char* const directory = std::getenv("FERRY_BENCH_DIRECTORY");
    path_ = std::string(directory != nullptr ? directory : "/tmp") + "/ferry-map-rows-" + std::to_string(::getpid()) +
            '-' + std::to_string(number++);
  }
  Name(const Name&) = delete;
  Name& operator=(const Name&) = delete;
  ~Name() { remove(); }
  void remove() const { ::unlink(path_.c_str()); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const char* c_str() const { return path_.c_str(); }

 private:
  std::string path_;
};

// A file of `size` bytes that are not zero, on storage already.
void fill(const Name& name, std::uint64_t size) {
  const int file = must_be_good(::open(name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), "open");
  const std::vector<char> ones(mib, '\1');
  for (std::uint64_t done = 0; done < size; done += ones.size()) {
    must_be_good(
        ::pwrite(file, ones.data(), std::min<std::uint64_t>(ones.size(), size - done), static_cast<off_t>(done)),
        "pwrite");
  }
  must_be_good(::fsync(file), "fsync");
  ::close(file);
}

// A file mapped by ferry, and once more by mmap.
struct Both {
  Name name;
  std::uint64_t size;
  MappedFile ferry;
  std::byte* raw = nullptr;

  Both(std::uint64_t bytes, MapMode mode, const FlushPolicy& policy = {})
      : size(bytes), ferry(open(bytes, mode, policy)) {
    const int file = must_be_good(::open(name.c_str(), O_RDWR | O_CLOEXEC), "open");
    const int protection = mode == MapMode::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    raw = static_cast<std::byte*>(::mmap(nullptr, size, protection, MAP_SHARED | MAP_POPULATE, file, 0));
    if (raw == MAP_FAILED) {
      must_be_good(-1, "mmap");
    }
    ::close(file);
    must(ferry.touch_pages());
  }
  Both(const Both&) = delete;
  Both& operator=(const Both&) = delete;
  ~Both() { ::munmap(raw, size); }

 private:
  MappedFile open(std::uint64_t bytes, MapMode mode, const FlushPolicy& policy) {
    fill(name, bytes);
    return must(MappedFile::open(name.path(), {.mode = mode, .flush = policy}));
  }
};

void set_bytes(benchmark::State& state, std::uint64_t bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * static_cast<std::int64_t>(state.iterations()));
}

std::uint64_t argument(const benchmark::State& state, std::size_t index = 0) {
  return static_cast<std::uint64_t>(state.range(index));
}

// ------------------------------------------------------------------------------------------ views

void view_ferry(benchmark::State& state) {
  const Both file(mib, MapMode::read_only);
  const std::uint64_t length = argument(state);
  for (auto _ : state) {
    auto view = file.ferry.view(0, length);
    benchmark::DoNotOptimize(view);
  }
}
BENCHMARK(view_ferry)->Arg(64)->Arg(mib);

void view_floor_data(benchmark::State& state) {
  const Both file(mib, MapMode::read_only);
  for (auto _ : state) {
    auto data = file.ferry.data().subspan(0, 64);
    benchmark::DoNotOptimize(data);
  }
}
BENCHMARK(view_floor_data);

// Offsets at random over 16 MiB, the same for all.
const std::vector<std::uint32_t>& offsets() {
  static const std::vector<std::uint32_t> all = [] {
    std::vector<std::uint32_t> made(1 << 14U);
    std::uint32_t x = 12345;
    for (std::uint32_t& offset : made) {
      x = x * 1664525 + 1013904223;
      offset = (x >> 8U) % static_cast<std::uint32_t>(15 * mib);
    }
    return made;
  }();
  return all;
}

void random_view_ferry(benchmark::State& state) {
  const Both file(16 * mib, MapMode::read_only);
  const std::uint64_t length = argument(state);
  std::size_t i = 0;
  for (auto _ : state) {
    const auto view = file.ferry.view(offsets()[i++ % offsets().size()], length);
    benchmark::DoNotOptimize((*view)[0]);
  }
}
BENCHMARK(random_view_ferry)->Arg(64)->Arg(256)->Arg(4 * kib)->Arg(64 * kib);

void random_view_floor(benchmark::State& state) {
  const Both file(16 * mib, MapMode::read_only);
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(file.raw[offsets()[i++ % offsets().size()]]);
  }
}
BENCHMARK(random_view_floor);

void random_read_into_ferry(benchmark::State& state) {
  const Both file(16 * mib, MapMode::read_only);
  std::vector<std::byte> buffer(argument(state));
  std::size_t i = 0;
  for (auto _ : state) {
    must(file.ferry.read_into(offsets()[i++ % offsets().size()], buffer));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(random_read_into_ferry)->Arg(64)->Arg(256)->Arg(4 * kib)->Arg(64 * kib);

void random_read_into_floor(benchmark::State& state) {
  const Both file(16 * mib, MapMode::read_only);
  std::vector<std::byte> buffer(argument(state));
  std::size_t i = 0;
  for (auto _ : state) {
    std::memcpy(buffer.data(), file.raw + offsets()[i++ % offsets().size()], buffer.size());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(random_read_into_floor)->Arg(64)->Arg(256)->Arg(4 * kib)->Arg(64 * kib);

// ------------------------------------------------------------------------------------------ iteration

void chunks_ferry(benchmark::State& state) {
  const Both file(16 * mib, MapMode::read_only);
  unsigned sum = 0;
  for (auto _ : state) {
    const auto chunks = must(file.ferry.chunks(argument(state)));
    for (const std::span<const std::byte> chunk : chunks) {
      sum += static_cast<unsigned>(chunk[0]);
    }
    benchmark::DoNotOptimize(sum);
  }
}
BENCHMARK(chunks_ferry)->Arg(4 * kib)->Arg(64 * kib)->Unit(benchmark::kMicrosecond);

void pages_ferry(benchmark::State& state) {
  const Both file(16 * mib, MapMode::read_only);
  unsigned sum = 0;
  for (auto _ : state) {
    const auto pages = must(file.ferry.pages());
    for (const std::span<const std::byte> chunk : pages) {
      sum += static_cast<unsigned>(chunk[0]);
    }
    benchmark::DoNotOptimize(sum);
  }
}
BENCHMARK(pages_ferry)->Unit(benchmark::kMicrosecond);

void chunks_floor(benchmark::State& state) {
  const Both file(16 * mib, MapMode::read_only);
  const std::uint64_t step = argument(state);
  unsigned sum = 0;
  for (auto _ : state) {
    for (const std::byte* chunk = file.raw; chunk < file.raw + file.size; chunk += step) {
      sum += static_cast<unsigned>(*chunk);
    }
    benchmark::DoNotOptimize(sum);
  }
}
BENCHMARK(chunks_floor)->Arg(4 * kib)->Arg(64 * kib)->Unit(benchmark::kMicrosecond);

void owned_chunks_ferry(benchmark::State& state) {
  const Both file(16 * mib, MapMode::read_only);
  for (auto _ : state) {
    for (const std::vector<std::byte>& chunk : must(file.ferry.owned_chunks(argument(state)))) {
      benchmark::DoNotOptimize(chunk.data());
    }
  }
  set_bytes(state, file.size);
}
BENCHMARK(owned_chunks_ferry)->Arg(4 * kib)->Arg(64 * kib)->Unit(benchmark::kMicrosecond);

void owned_chunks_floor(benchmark::State& state) {
  const Both file(16 * mib, MapMode::read_only);
  const std::uint64_t step = argument(state);
  for (auto _ : state) {
    for (std::uint64_t offset = 0; offset < file.size; offset += step) {
      const std::vector<std::byte> chunk(file.raw + offset, file.raw + offset + step);
      benchmark::DoNotOptimize(chunk.data());
    }
  }
  set_bytes(state, file.size);
}
BENCHMARK(owned_chunks_floor)->Arg(4 * kib)->Arg(64 * kib)->Unit(benchmark::kMicrosecond);

// A view of the whole file, one byte of each page.
void sequential_view_ferry(benchmark::State& state) {
  const Both file(argument(state) * mib, MapMode::read_only);
  unsigned sum = 0;
  for (auto _ : state) {
    const auto view = must(file.ferry.view(0, file.size));
    for (std::size_t i = 0; i < view.size(); i += page) {
      sum += static_cast<unsigned>(view[i]);
    }
    benchmark::DoNotOptimize(sum);
  }
}
BENCHMARK(sequential_view_ferry)->Arg(1)->Arg(16)->Arg(256)->Unit(benchmark::kMicrosecond);

void sequential_view_floor(benchmark::State& state) {
  const Both file(argument(state) * mib, MapMode::read_only);
  unsigned sum = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < file.size; i += page) {
      sum += static_cast<unsigned>(file.raw[i]);
    }
    benchmark::DoNotOptimize(sum);
  }
}
BENCHMARK(sequential_view_floor)->Arg(1)->Arg(16)->Arg(256)->Unit(benchmark::kMicrosecond);

void touch_pages_ferry(benchmark::State& state) {
  const Both file(argument(state) * mib, MapMode::read_only);
  for (auto _ : state) {
    must(file.ferry.touch_pages());
  }
}
BENCHMARK(touch_pages_ferry)->Arg(1)->Arg(8)->Arg(32)->Arg(1024)->Unit(benchmark::kMicrosecond);

void touch_pages_floor(benchmark::State& state) {
  const Both file(argument(state) * mib, MapMode::read_only);
  for (auto _ : state) {
    for (std::size_t i = 0; i < file.size; i += page) {
      static_cast<void>(*static_cast<const volatile std::byte*>(file.raw + i));
    }
  }
}
BENCHMARK(touch_pages_floor)->Arg(1)->Arg(8)->Arg(32)->Arg(1024)->Unit(benchmark::kMicrosecond);

// ------------------------------------------------------------------------------------------ copying

void read_into_ferry(benchmark::State& state) {
  const Both file(mib, MapMode::read_only);
  std::vector<std::byte> buffer(argument(state));
  for (auto _ : state) {
    must(file.ferry.read_into(0, buffer));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(read_into_ferry)->Arg(4 * kib)->Arg(64 * kib)->Arg(mib);

void read_into_floor(benchmark::State& state) {
  const Both file(mib, MapMode::read_only);
  std::vector<std::byte> buffer(argument(state));
  for (auto _ : state) {
    std::memcpy(buffer.data(), file.raw, buffer.size());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(read_into_floor)->Arg(4 * kib)->Arg(64 * kib)->Arg(mib);

void update_ferry(benchmark::State& state) {
  Both file(mib, MapMode::read_write);
  const std::vector<std::byte> bytes(argument(state), std::byte{2});
  for (auto _ : state) {
    must(file.ferry.update(0, bytes));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(update_ferry)->Arg(4 * kib)->Arg(64 * kib)->Arg(mib);

void update_floor(benchmark::State& state) {
  const Both file(mib, MapMode::read_write);
  const std::vector<std::byte> bytes(argument(state), std::byte{2});
  for (auto _ : state) {
    std::memcpy(file.raw, bytes.data(), bytes.size());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(update_floor)->Arg(4 * kib)->Arg(64 * kib)->Arg(mib);

// ------------------------------------------------------------------------------------------ flushing

void update_flush_visible_ferry(benchmark::State& state) {
  Both file(mib, MapMode::read_write);
  const std::vector<std::byte> bytes(argument(state), std::byte{2});
  for (auto _ : state) {
    must(file.ferry.update(0, bytes));
    must(file.ferry.flush_range(0, bytes.size(), Durability::visible));
  }
}
BENCHMARK(update_flush_visible_ferry)->RangeMultiplier(2)->Range(64, 8 * kib);

void update_flush_data_ferry(benchmark::State& state) {
  Both file(mib, MapMode::read_write);
  const std::vector<std::byte> bytes(argument(state), std::byte{2});
  for (auto _ : state) {
    must(file.ferry.update(0, bytes));
    must(file.ferry.flush_range(0, bytes.size()));
  }
}
BENCHMARK(update_flush_data_ferry)->Arg(64)->Arg(kib)->Arg(8 * kib)->Unit(benchmark::kMicrosecond);

void update_flush_data_floor(benchmark::State& state) {
  const Both file(mib, MapMode::read_write);
  const std::vector<std::byte> bytes(argument(state), std::byte{2});
  for (auto _ : state) {
    std::memcpy(file.raw, bytes.data(), bytes.size());
    must_be_good(::msync(file.raw, bytes.size(), MS_SYNC), "msync");
  }
}
BENCHMARK(update_flush_data_floor)->Arg(64)->Arg(kib)->Arg(8 * kib)->Unit(benchmark::kMicrosecond);

void flush_clean_ferry(benchmark::State& state) {
  Both file(mib, MapMode::read_write);
  must(file.ferry.update(0, std::array{std::byte{1}}));
  must(file.ferry.flush());
  must(file.ferry.update(100 * page, std::array{std::byte{1}}));  // another page is dirty
  for (auto _ : state) {
    must(file.ferry.flush_range(0, argument(state)));
  }
}
BENCHMARK(flush_clean_ferry)->Arg(64)->Arg(8 * kib);

// 4 MiB in updates of 64 KiB.
constexpr std::uint64_t step = 64 * kib;

void write_in_steps(MappedFile& map, const std::vector<std::byte>& bytes) {
  for (std::uint64_t offset = 0; offset < 4 * mib; offset += step) {
    must(map.update(offset, bytes));
  }
}

void policy_ferry(benchmark::State& state, const FlushPolicy& policy) {
  Both file(4 * mib, MapMode::read_write, policy);
  const std::vector<std::byte> bytes(step, std::byte{2});
  for (auto _ : state) {
    write_in_steps(file.ferry, bytes);
  }
}
BENCHMARK_CAPTURE(policy_ferry, manual, FlushPolicy::manual())->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(policy_ferry, every_64_KiB_visible, FlushPolicy::after_bytes(64 * kib, Durability::visible))
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(policy_ferry, every_1_MiB_visible, FlushPolicy::after_bytes(mib, Durability::visible))
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(policy_ferry, every_10_ms_visible,
                  FlushPolicy::every(std::chrono::milliseconds(10), Durability::visible))
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(policy_ferry, every_10_ms_data, FlushPolicy::every(std::chrono::milliseconds(10)))
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(policy_ferry, every_64_KiB_data, FlushPolicy::after_bytes(64 * kib))
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(policy_ferry, every_1_MiB_data, FlushPolicy::after_bytes(mib))
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

void policy_floor(benchmark::State& state, std::uint64_t sync_bytes) {
  const Both file(4 * mib, MapMode::read_write);
  const std::vector<std::byte> bytes(step, std::byte{2});
  for (auto _ : state) {
    for (std::uint64_t offset = 0; offset < 4 * mib; offset += step) {
      std::memcpy(file.raw + offset, bytes.data(), bytes.size());
      if (sync_bytes != 0 && (offset + step) % sync_bytes == 0) {
        must_be_good(::msync(file.raw + offset + step - sync_bytes, sync_bytes, MS_SYNC), "msync");
      }
    }
  }
}
BENCHMARK_CAPTURE(policy_floor, manual, 0)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(policy_floor, every_64_KiB_data, 64 * kib)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(policy_floor, every_1_MiB_data, mib)->UseRealTime()->Unit(benchmark::kMicrosecond);

// ------------------------------------------------------------------------------------------ opening and size

void create_ferry(benchmark::State& state) {
  const Name name;
  for (auto _ : state) {
    {
      auto map = must(MappedFile::create(name.path(), argument(state)));
    }
    state.PauseTiming();
    name.remove();
    state.ResumeTiming();
  }
}
BENCHMARK(create_ferry)->Arg(4 * kib)->Arg(64 * kib)->Arg(mib)->Unit(benchmark::kMicrosecond);

void create_floor(benchmark::State& state) {
  const Name name;
  const std::uint64_t size = argument(state);
  for (auto _ : state) {
    const int file = must_be_good(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666), "open");
    must_be_good(::ftruncate(file, static_cast<off_t>(size)), "ftruncate");
    void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    benchmark::DoNotOptimize(memory);
    ::munmap(memory, size);
    ::close(file);
    state.PauseTiming();
    name.remove();
    state.ResumeTiming();
  }
}
BENCHMARK(create_floor)->Arg(4 * kib)->Arg(64 * kib)->Arg(mib)->Unit(benchmark::kMicrosecond);

void open_copy_on_write_ferry(benchmark::State& state) {
  const Name name;
  fill(name, 4 * mib);
  for (auto _ : state) {
    auto map = must(MappedFile::open_copy_on_write(name.path()));
    benchmark::DoNotOptimize(map);
  }
}
BENCHMARK(open_copy_on_write_ferry);

void open_copy_on_write_floor(benchmark::State& state) {
  const Name name;
  fill(name, 4 * mib);
  for (auto _ : state) {
    const int file = must_be_good(::open(name.c_str(), O_RDONLY | O_CLOEXEC), "open");
    struct stat status = {};
    must_be_good(::fstat(file, &status), "fstat");
    const auto size = static_cast<std::size_t>(status.st_size);
    void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    benchmark::DoNotOptimize(memory);
    ::munmap(memory, size);
    ::close(file);
  }
}
BENCHMARK(open_copy_on_write_floor);

void advise_ferry(benchmark::State& state) {
  Both file(mib, MapMode::read_only);
  for (auto _ : state) {
    must(file.ferry.advise(ferry::Advice::sequential));
  }
}
BENCHMARK(advise_ferry);

void advise_floor(benchmark::State& state) {
  const Both file(mib, MapMode::read_only);
  for (auto _ : state) {
    must_be_good(::madvise(file.raw, file.size, MADV_SEQUENTIAL), "madvise");
  }
}
BENCHMARK(advise_floor);

// 1 MiB to 8 MiB and back; the time of both.
void resize_ferry(benchmark::State& state) {
  Both file(mib, MapMode::read_write);
  for (auto _ : state) {
    must(file.ferry.resize(8 * mib));
    must(file.ferry.resize(mib));
  }
}
BENCHMARK(resize_ferry);

// As one does without a reservation: ftruncate, and the map anew.
void resize_floor_remap(benchmark::State& state) {
  const Name name;
  fill(name, mib);
  const int file = must_be_good(::open(name.c_str(), O_RDWR | O_CLOEXEC), "open");
  void* memory = ::mmap(nullptr, mib, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  for (auto _ : state) {
    must_be_good(::ftruncate(file, 8 * mib), "ftruncate");
    memory = ::mremap(memory, mib, 8 * mib, MREMAP_MAYMOVE);
    must_be_good(::ftruncate(file, mib), "ftruncate");
    memory = ::mremap(memory, 8 * mib, mib, MREMAP_MAYMOVE);
    benchmark::DoNotOptimize(memory);
  }
  ::munmap(memory, mib);
  ::close(file);
}
BENCHMARK(resize_floor_remap);

// ------------------------------------------------------------------------------------------ atomics

constexpr int adds = 10000;

// Counters of 64 bytes, one for each thread, or one for all.
template <bool padded>
void atomic_add_ferry(benchmark::State& state) {
  static Both file(mib, MapMode::read_write);
  const std::uint64_t offset = padded ? static_cast<std::uint64_t>(state.thread_index()) * 64 : 0;
  const auto counter = must(file.ferry.atomic<std::uint64_t>(offset));
  for (auto _ : state) {
    for (int i = 0; i < adds; ++i) {
      counter.fetch_add(1, std::memory_order_relaxed);
    }
  }
}
BENCHMARK(atomic_add_ferry<false>)
    ->Threads(1)
    ->Threads(2)
    ->Threads(4)
    ->Threads(8)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(atomic_add_ferry<true>)
    ->Threads(1)
    ->Threads(2)
    ->Threads(4)
    ->Threads(8)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

struct alignas(64) Counter {
  std::atomic<std::uint64_t> value = 0;
};

template <bool padded>
void atomic_add_floor(benchmark::State& state) {
  static std::array<Counter, 64> counters;
  Counter& counter = counters.at(padded ? static_cast<std::size_t>(state.thread_index()) : 0);
  for (auto _ : state) {
    for (int i = 0; i < adds; ++i) {
      counter.value.fetch_add(1, std::memory_order_relaxed);
    }
  }
}
BENCHMARK(atomic_add_floor<false>)
    ->Threads(1)
    ->Threads(2)
    ->Threads(4)
    ->Threads(8)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(atomic_add_floor<true>)
    ->Threads(1)
    ->Threads(2)
    ->Threads(4)
    ->Threads(8)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

// ------------------------------------------------------------------------------------------ guards

void guarded_ferry(benchmark::State& state) {
  const Both file(mib, MapMode::read_only);
  const std::byte* const data = file.ferry.data().data();
  for (auto _ : state) {
    auto byte = file.ferry.guarded([=] { return data[0]; });
    benchmark::DoNotOptimize(byte);
  }
}
BENCHMARK(guarded_ferry);

}  // namespace

BENCHMARK_MAIN();
