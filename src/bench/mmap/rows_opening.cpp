// Rows that are system calls: creating, opening, resizing, advising.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/mmap/mapped_twice.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;
using Ways = Outcome<std::vector<MmapWay>>;

std::string last_error(const char* call) { return std::string(call) + ": " + std::generic_category().message(errno); }

// ---------------------------------------------------------------------------------------------- creating

// Empty, or what failed.
using Create = std::function<std::string(const fs::path& file)>;

std::string create_by_ferry(const fs::path& file, std::uint64_t size) {
  const auto map = MappedFile::create(file, size);
  return map ? "" : map.error().to_string();
}

std::string create_by_calls(const fs::path& file, std::uint64_t size) {
  const int made = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (made < 0) {
    return last_error("open");
  }
  std::string failure;
  void* memory = MAP_FAILED;  // NOLINT(performance-no-int-to-ptr): the macro's own cast
  if (::ftruncate(made, static_cast<off_t>(size)) != 0) {
    failure = last_error("ftruncate");
  } else if (memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, made, 0); memory == MAP_FAILED) {
    failure = last_error("mmap");
  } else {
    ::munmap(memory, size);
  }
  ::close(made);
  return failure;
}

// The name is removed each time, which is not timed: thousands of names would measure ext4's search for free inodes.
TimedLoop creating(const fs::path& file, std::uint64_t size, const Create& create) {
  return {.body = [=](benchmark::State& state) {
    std::string failure;
    for ([[maybe_unused]] auto each : state) {
      std::string wrong = create(file);
      state.PauseTiming();
      struct stat status = {};
      if (wrong.empty() && (::stat(file.c_str(), &status) != 0 || status.st_size != static_cast<off_t>(size))) {
        wrong = "the file is missing, or has the wrong size";
      }
      if (!wrong.empty()) {
        failure = std::move(wrong);
      }
      ::unlink(file.c_str());
      state.ResumeTiming();
    }
    if (!failure.empty()) {
      state.SkipWithError(failure.c_str());
    }
  }};
}

MmapRow create_row(std::uint64_t size, double published) {
  return {.name = "mmap: create of " + format_size(size),
          .file_bytes = mebibyte,  // they are holes
          .published = mmap_io(published),
          .prepare = [=](const fs::path& directory) -> Ways {
            return std::vector<MmapWay>{
                {.name = "create, and close",
                 .call = fmt::format("MappedFile::create(name, {})", size),
                 .own = true,
                 .loop = creating(directory / "new", size,
                                  [size](const fs::path& file) { return create_by_ferry(file, size); })},
                {.name = "open, ftruncate, mmap, munmap, close",
                 .call = "open(name, O_CREAT | O_EXCL), ftruncate, mmap, munmap, close",
                 .loop = creating(directory / "new", size,
                                  [size](const fs::path& file) { return create_by_calls(file, size); })}};
          }};
}

// ---------------------------------------------------------------------------------------------- opening, advising

// The size, or 0 if something failed.
std::uint64_t open_by_calls(const fs::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status = {};
  std::uint64_t size = 0;
  if (file >= 0 && ::fstat(file, &status) == 0) {
    const auto bytes = static_cast<std::size_t>(status.st_size);
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    if (memory != MAP_FAILED) {  // NOLINT(performance-no-int-to-ptr): the macro's own cast
      size = bytes;
      ::munmap(memory, bytes);
    }
  }
  ::close(file);
  return size;
}

MmapRow open_row() {
  constexpr std::uint64_t size = 4 * mebibyte;
  return {.name = "mmap: open copy-on-write, 4 MiB",
          .file_bytes = size,
          .published = mmap_io(4.7e-6),
          .prepare = [](const fs::path& directory) -> Ways {
            const fs::path path = directory / "file";
            const auto file = MappedTwice::make(path, size, MapMode::read_only);
            if (!file) {
              return std::unexpected(file.error());
            }
            const auto right = [file = *file](std::uint64_t repetitions, std::uint64_t sum) {
              return file->verdict(sum, repetitions * size);
            };
            return std::vector<MmapWay>{
                {.name = "open_copy_on_write, and close",
                 .call = "MappedFile::open_copy_on_write(name)",
                 .own = true,
                 .loop = loop_of(
                     [path, file = *file](std::uint64_t) -> std::uint64_t {
                       const auto map = MappedFile::open_copy_on_write(path);
                       return map ? map->size() : file->worked(map);
                     },
                     right)},
                {.name = "open, fstat, mmap, munmap, close",
                 .call = "open, fstat, mmap(MAP_PRIVATE), munmap, close",
                 .loop = loop_of([path](std::uint64_t) { return open_by_calls(path); }, right)}};
          }};
}

MmapRow advise_row() {
  return {
      .name = "mmap: advise",
      .file_bytes = mebibyte,
      .published = mmap_io(250e-9),
      .prepare = [](const fs::path& directory) -> Ways {
        const auto made = MappedTwice::make(directory / "file", mebibyte, MapMode::read_only);
        if (!made) {
          return std::unexpected(made.error());
        }
        const auto& file = *made;
        const auto all_worked = [file](std::uint64_t repetitions, std::uint64_t sum) {
          return file->verdict(sum, repetitions);
        };
        return std::vector<MmapWay>{
            {.name = "advise(sequential)",
             .call = "map.advise(Advice::sequential)",
             .own = true,
             .loop = loop_of([file](std::uint64_t) { return file->worked(file->ferry().advise(Advice::sequential)); },
                             all_worked)},
            {.name = "madvise",
             .call = "madvise(pointer, size, MADV_SEQUENTIAL)",
             .loop = loop_of(
                 [file](std::uint64_t) {
                   return file->worked("madvise", ::madvise(file->raw(), file->size(), MADV_SEQUENTIAL));
                 },
                 all_worked)}};
      }};
}

// ---------------------------------------------------------------------------------------------- resizing

constexpr std::uint64_t small_bytes = mebibyte;
constexpr std::uint64_t large_bytes = 8 * mebibyte;

// A file that is mapped; over more than it has, as ferry maps it, and then growing and shrinking are ftruncate alone.
class PlainMap {
 public:
  PlainMap(const fs::path& path, std::uint64_t mapped_bytes)
      : file_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)), mapped_bytes_(mapped_bytes) {
    if (file_ && set_size(small_bytes) == 0) {
      memory_ = ::mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    }
  }
  PlainMap(const PlainMap&) = delete;
  PlainMap& operator=(const PlainMap&) = delete;
  ~PlainMap() {
    if (is_good()) {
      ::munmap(memory_, mapped_bytes_);
    }
  }
  [[nodiscard]] bool is_good() const noexcept {
    return memory_ != MAP_FAILED;  // NOLINT(performance-no-int-to-ptr): the macro's own cast
  }
  [[nodiscard]] int set_size(std::uint64_t size) const noexcept {
    return ::ftruncate(file_.get(), static_cast<off_t>(size));
  }
  // The map takes the size, too, and may move.
  [[nodiscard]] bool remap(std::uint64_t size) noexcept {
    void* const moved = ::mremap(memory_, mapped_bytes_, size, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED) {  // NOLINT(performance-no-int-to-ptr): the macro's own cast
      return false;
    }
    memory_ = moved;
    mapped_bytes_ = size;
    return true;
  }
  // Empty if it has the small size again after calls that all worked.
  [[nodiscard]] std::string verdict(std::uint64_t worked, std::uint64_t calls) const {
    struct stat status = {};
    const bool small = ::fstat(file_.get(), &status) == 0 && status.st_size == static_cast<off_t>(small_bytes);
    return worked == calls && small ? "" : "a size was not set";
  }

 private:
  UniqueFd file_;
  std::uint64_t mapped_bytes_;
  void* memory_ = MAP_FAILED;  // NOLINT(performance-no-int-to-ptr): the macro's own cast
};

MmapWay resize_by_ferry(const std::shared_ptr<MappedFile>& map) {
  return {.name = "resize, twice",
          .call = "map.resize(8388608), map.resize(1048576)",
          .own = true,
          .loop = loop_of(
              [map](std::uint64_t) -> std::uint64_t {
                return (map->resize(large_bytes) ? 1U : 0U) + (map->resize(small_bytes) ? 1U : 0U);
              },
              [map](std::uint64_t repetitions, std::uint64_t sum) {
                const bool right = sum == 2 * repetitions && fs::file_size(map->path()) == small_bytes;
                return std::string(right ? "" : "a size was not set");
              })};
}

MmapWay resize_by_ftruncate(const std::shared_ptr<PlainMap>& file) {
  return {.name = "ftruncate, twice; mapped beyond the end",
          .call = "ftruncate(file, 8388608), ftruncate(file, 1048576)",
          .loop = loop_of(
              [file](std::uint64_t) -> std::uint64_t {
                return (file->set_size(large_bytes) == 0 ? 1U : 0U) + (file->set_size(small_bytes) == 0 ? 1U : 0U);
              },
              [file](std::uint64_t repetitions, std::uint64_t sum) { return file->verdict(sum, 2 * repetitions); })};
}

MmapWay resize_by_mremap(const std::shared_ptr<PlainMap>& file) {
  return {.name = "ftruncate and mremap, twice",
          .call = "ftruncate, mremap(MREMAP_MAYMOVE), to 8388608 and to 1048576",
          .loop = loop_of(
              [file](std::uint64_t) -> std::uint64_t {
                const bool grown = file->set_size(large_bytes) == 0 && file->remap(large_bytes);
                const bool shrunk = file->set_size(small_bytes) == 0 && file->remap(small_bytes);
                return (grown ? 1U : 0U) + (shrunk ? 1U : 0U);
              },
              [file](std::uint64_t repetitions, std::uint64_t sum) { return file->verdict(sum, 2 * repetitions); })};
}

MmapRow resize_row() {
  return {.name = "mmap: resize, 1 to 8 MiB and back",
          .file_bytes = small_bytes + 2 * large_bytes,
          .published = mmap_io(9.9e-6),
          .prepare = [](const fs::path& directory) -> Ways {
            auto map = MappedFile::create(directory / "file", small_bytes);
            if (!map) {
              return std::unexpected(map.error().to_string());
            }
            const auto beyond = std::make_shared<PlainMap>(directory / "beyond", large_bytes);
            const auto exact = std::make_shared<PlainMap>(directory / "exact", small_bytes);
            if (!beyond->is_good() || !exact->is_good()) {
              return std::unexpected(last_error("cannot map a file"));
            }
            return std::vector<MmapWay>{resize_by_ferry(std::make_shared<MappedFile>(std::move(*map))),
                                        resize_by_ftruncate(beyond), resize_by_mremap(exact)};
          }};
}

}  // namespace

std::vector<MmapRow> mmap_opening_rows() {
  return {create_row(4 * kibibyte, 17.7e-6),
          create_row(64 * kibibyte, 17.9e-6),
          create_row(mebibyte, 19.3e-6),
          open_row(),
          resize_row(),
          advise_row()};
}

}  // namespace ferry::bench
