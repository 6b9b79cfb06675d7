// Opening, creating and ending maps.
#include <linux/magic.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <vector>

#include <fmt/format.h>
#include <ferry/copy.hpp>

#include "base/log.hpp"
#include "base/sys.hpp"
#include "map/map_state.hpp"

namespace ferry {
namespace {

// Addresses come from the seam's mmap as numbers, since they may be -errno.
void* pointer_to(std::intptr_t address) noexcept {
  return reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr)
}

constexpr std::uint64_t default_reserve_bytes = std::uint64_t{64} << 30U;
constexpr std::uint64_t transparent_huge_page_bytes = std::uint64_t{2} << 20U;  // the usual size, for alignment only

std::uint64_t round_up(std::uint64_t bytes, std::uint64_t unit) noexcept { return (bytes + unit - 1) / unit * unit; }

// Address space where there is room for `bytes` at a multiple of `alignment`, kept by PROT_NONE pages: its address.
std::intptr_t reserve_aligned(std::uint64_t bytes, std::uint64_t alignment) noexcept {
  const std::intptr_t start =
      sys::mmap(nullptr, bytes + alignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start < 0) {
    return start;
  }
  const auto aligned = static_cast<std::intptr_t>(round_up(static_cast<std::uint64_t>(start), alignment));
  const auto head = static_cast<std::size_t>(aligned - start);
  const std::size_t tail = alignment - head;
  // What cannot be given back stays reserved: address space, not memory.
  if (head != 0) {
    static_cast<void>(sys::munmap(pointer_to(start), head));
  }
  if (tail != 0) {
    static_cast<void>(sys::munmap(pointer_to(aligned + static_cast<std::intptr_t>(bytes)), tail));
  }
  return aligned;
}

// Where to ask for a map with a large reserve: the file at the end of one page of the kernel's page middle directory (1
// GiB of addresses), the reserve from the beginning of the next, which does not exist while the reserve is unused.
// Unmapping and truncating look at all 512 entries of those that exist: 2 and 6 us. So each of these maps has
// directories of its own, in a part of the address space where the kernel does not place others by itself: far below
// the stack, each map below the one before.
class Placement {
 public:
  // A hint for mmap(2), or null for the kernel's own choice. Nothing is lost if it cannot be had.
  static void* hint(std::uint64_t bytes, std::uint64_t size) noexcept {
    const std::uint64_t head = round_up(size, transparent_huge_page_bytes);
    if (bytes < directory_bytes || bytes > area_bytes / 2 || head > bytes) {
      return nullptr;
    }
    static std::atomic<std::uint64_t> lowest = 0;  // where the last map begins
    std::uint64_t top = lowest.load(std::memory_order_relaxed);
    std::uint64_t address = 0;
    do {
      address = below(top, bytes, head);
      if (address == 0) {  // from the beginning again
        address = below(top_of_area(), bytes, head);
      }
      if (address == 0) {
        return nullptr;
      }
    } while (!lowest.compare_exchange_weak(top, address, std::memory_order_relaxed));
    return pointer_to(static_cast<std::intptr_t>(address));
  }

 private:
  static constexpr std::uint64_t directory_bytes = std::uint64_t{1} << 30U;
  static constexpr std::uint64_t area_bytes = std::uint64_t{1} << 45U;  // of 2^47 bytes that a process has

  // 0 if the address space is too small for an area.
  static std::uint64_t top_of_area() noexcept {
    const char on_stack = 0;
    const auto stack = reinterpret_cast<std::uint64_t>(&on_stack);
    static const std::uint64_t top = stack < 3 * area_bytes ? 0 : stack - area_bytes;
    return top;
  }
  static std::uint64_t below(std::uint64_t top, std::uint64_t bytes, std::uint64_t head) noexcept {
    const std::uint64_t bottom = top_of_area() - std::min(top_of_area(), area_bytes);
    if (top < bottom + bytes + 2 * directory_bytes) {
      return 0;
    }
    const std::uint64_t free_directory = top / directory_bytes * directory_bytes;
    return (free_directory - bytes) / directory_bytes * directory_bytes - head;
  }
};

int protection_of(MapMode mode) noexcept { return mode == MapMode::read_only ? PROT_READ : PROT_READ | PROT_WRITE; }

// Maps an open file as the options say: one of these for each map.
class Mapper {
 public:
  Mapper(MapState& map, const struct statx& status) noexcept : map_(map), size_(status.stx_size) {
    // Only hugetlbfs has blocks as large as this where it matters; others are asked in vain, and harmlessly.
    constexpr std::uint32_t smallest_huge_page = std::uint32_t{64} << 10U;
    if (status.stx_blksize >= smallest_huge_page) {
      look_for_hugetlbfs();
    }
  }

  Result<void> run() {
    const MapOptions& options = map_.options;
    std::uint64_t wanted = std::max(size_, options.reserve_bytes);
    if (options.mode == MapMode::read_write && options.reserve_bytes == 0) {
      wanted = std::max(size_, default_reserve_bytes);
    }
    if (options.mode == MapMode::copy_on_write) {
      wanted = size_;
    }
    if (wanted == 0) {
      return {};  // mmap(2) takes no length of 0
    }
    return map_at_most(wanted);
  }

 private:
  void look_for_hugetlbfs() noexcept {
    struct statfs place = {};
    if (sys::fstatfs(map_.file.get(), place) == 0 && place.f_type == HUGETLBFS_MAGIC) {
      map_.huge_pages = {.tier = HugePageTier::hugetlbfs,
                         .page_size_bytes = static_cast<std::uint64_t>(place.f_bsize),
                         .huge_bytes = 0,
                         .refused_errno = 0};
    }
  }
  [[nodiscard]] bool on_hugetlbfs() const noexcept { return map_.huge_pages.tier == HugePageTier::hugetlbfs; }
  [[nodiscard]] bool wants_transparent() const noexcept {
    return map_.options.huge_pages == HugePages::automatic && !on_hugetlbfs();
  }

  Result<void> map_at_most(std::uint64_t wanted) {
    const std::uint64_t unit = map_.huge_pages.page_size_bytes;
    if (wanted > UINT64_MAX - unit) {
      return std::unexpected(map_.error(ENOMEM, "mmap"));
    }
    const std::uint64_t least = round_up(std::max<std::uint64_t>(size_, 1), unit);
    std::uint64_t bytes = round_up(wanted, unit);
    std::intptr_t address = map(bytes);
    // ENOMEM: limits, or no gap as large; EOVERFLOW: the largest offset of the file system; EAGAIN: all is to be locked
    // (mlockall).
    while ((address == -ENOMEM || address == -EOVERFLOW || address == -EAGAIN) && bytes > least) {
      bytes = std::max(round_up(bytes / 2, unit), least);
      address = map(bytes);
    }
    if (address < 0) {
      return std::unexpected(map_.error(static_cast<int>(-address), "mmap"));
    }
    map_.base = static_cast<std::byte*>(pointer_to(address));
    map_.mapped_bytes = bytes;
    map_.covered_bytes = on_hugetlbfs() ? 0 : bytes;
    if (wants_transparent()) {
      advise_huge_pages();
    }
    return map_.cover(size_);
  }

  // The file is mapped over all of the reservation at once: pages beyond its end cannot be touched (SIGBUS), and
  // growing the file is all it takes to grow the map. But on hugetlbfs a writable map makes the file as large as
  // itself, so there the reservation is kept by PROT_NONE pages, and the file mapped over it piece by piece.
  std::intptr_t map(std::uint64_t bytes) noexcept {
    if (on_hugetlbfs()) {
      return reserve_aligned(bytes, map_.huge_pages.page_size_bytes);
    }
    int flags = map_.mode == MapMode::copy_on_write ? MAP_PRIVATE : MAP_SHARED;
    flags |= map_.options.populate ? MAP_POPULATE : 0;
    void* where = Placement::hint(bytes, size_);
    if (wants_transparent()) {
      const std::intptr_t reserved = reserve_aligned(bytes, transparent_huge_page_bytes);
      if (reserved < 0) {
        return reserved;
      }
      where = pointer_to(reserved);
      flags |= MAP_FIXED;
    }
    const std::intptr_t address = sys::mmap(where, bytes, protection_of(map_.mode), flags, map_.file.get(), 0);
    if (address < 0 && (flags & MAP_FIXED) != 0) {
      static_cast<void>(sys::munmap(where, bytes));
    }
    return address;
  }

  void advise_huge_pages() noexcept {
    const int advised = sys::madvise(map_.base, map_.mapped_bytes, MADV_HUGEPAGE);
    map_.huge_pages.refused_errno = -advised;
    if (advised == 0) {
      map_.huge_pages.tier = HugePageTier::transparent;
      map_.huge_pages.page_size_bytes = transparent_huge_page_bytes;
    }
  }

  MapState& map_;
  std::uint64_t size_;
};

// Maps that ended while views of them were alive, newest first. Nothing frees them, but they can be found.
std::atomic<MapState*> abandoned_maps = nullptr;

// Deletes a map's state, unless that would take memory from a live view.
void retire(MapState* map) noexcept {
  if (const auto settled = map->settle(); !settled) {
    FERRY_LOG_WARN("a map ended with a flush that failed: {}", settled.error().to_string());
  }
  if (map->has_live_views()) {
    FERRY_LOG_WARN("{} was unmapped while views of it were alive: its memory stays mapped",
                   ferry::quoted(map->path.native()));
    map->next_abandoned = abandoned_maps.load();
    while (!abandoned_maps.compare_exchange_weak(map->next_abandoned, map)) {
    }
    return;
  }
  delete map;
}

Result<void> check_policy(const FlushPolicy& policy, const std::filesystem::path& path) {
  const bool counts = policy.when == FlushPolicy::When::every_bytes || policy.when == FlushPolicy::When::every_writes;
  if ((counts && policy.threshold == 0) ||
      (policy.when == FlushPolicy::When::every_interval && policy.interval.count() <= 0)) {
    return fail(EINVAL, "flush policy", path);
  }
  return {};
}

int open_flags(MapMode mode) noexcept {
  // O_NONBLOCK: a fifo without a writer must not make us wait. It means nothing for regular files.
  return (mode == MapMode::read_write ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_NOCTTY;
}

// Maps `file`, of whatever type and size it has.
Result<std::shared_ptr<MapState>> map_open_file(UniqueFd file, std::filesystem::path path, const MapOptions& options) {
  std::shared_ptr<MapState> map(new MapState, retire);
  map->file = std::move(file);
  map->path = std::move(path);
  map->options = options;
  map->mode = options.mode;
  map->huge_pages.page_size_bytes = map_page_bytes;
  if (auto good = check_policy(options.flush, map->path); !good) {
    return std::unexpected(std::move(good.error()));
  }
  struct statx status = {};
  if (const int done = sys::statx(map->file.get(), "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, status); done < 0) {
    return std::unexpected(map->error(-done, "statx"));
  }
  if (!S_ISREG(status.stx_mode)) {
    return std::unexpected(map->error(S_ISDIR(status.stx_mode) ? EISDIR : ENODEV, "mmap"));
  }
  if (auto mapped = Mapper(*map, status).run(); !mapped) {
    return std::unexpected(std::move(mapped.error()));
  }
  map->size.store(status.stx_size);
  using When = FlushPolicy::When;
  // What is visible at once needs no policy.
  map->has_policy = options.mode == MapMode::read_write && options.flush.when != When::manual &&
                    options.flush.durability != Durability::visible;
  map->dirty.configure(map->mapped_bytes, map->has_policy && options.flush.when == When::every_bytes,
                       map->pins.without_barrier());
  return map;
}

Result<void> write_zeros(int file, std::uint64_t from, std::uint64_t to) {
  const std::vector<std::byte> zeros(std::size_t{1} << 20U);
  while (from < to) {
    const std::size_t length = std::min<std::uint64_t>(zeros.size(), to - from);
    const ssize_t written = sys::pwrite(file, zeros.data(), length, static_cast<off_t>(from));
    if (written <= 0) {
      return fail(written < 0 ? static_cast<int>(-written) : ENOSPC, "pwrite");
    }
    from += static_cast<std::uint64_t>(written);
  }
  return {};
}

// The file gets its name when it has its size: whoever else opens it never finds a shorter one. EEXIST if the name is
// taken meanwhile.
Result<void> create_at_full_size(const std::filesystem::path& path, std::uint64_t size, const MapOptions& options) {
  if (options.mode == MapMode::read_only) {
    return fail(EINVAL, "create", path);
  }
  if (!path.has_filename()) {
    return fail(EISDIR, "openat", path);
  }
  if (auto good = check_policy(options.flush, path); !good) {
    return good;
  }
  const std::filesystem::path directory = path.has_parent_path() ? path.parent_path() : ".";
  const std::string name = path.filename();
  const UniqueFd dirfd(sys::openat(AT_FDCWD, directory.c_str(), O_PATH | O_DIRECTORY));
  if (!dirfd) {
    return fail(-dirfd.get(), "openat", path);
  }
  auto file = StagedFile::create(dirfd.get(), name.c_str(), options.permissions);
  Result<void> done = file ? extend_file(file->fd(), 0, size, options.preallocate)
                           : Result<void>(std::unexpected(std::move(file.error())));
  if (done) {
    done = file->commit(StagedFile::Existing::keep);
  }
  if (!done) {
    done.error().path = path;
  }
  return done;
}

}  // namespace

Result<void> extend_file(int file, std::uint64_t from, std::uint64_t to, bool preallocate) {
  if (to > INT64_MAX) {
    return fail(EFBIG, "ftruncate");
  }
  if (from == to) {
    return {};
  }
  if (!preallocate) {
    const int done = sys::ftruncate(file, static_cast<off_t>(to));
    return done < 0 ? fail(-done, "ftruncate") : Result<void>{};
  }
  const int allocated = sys::fallocate(file, 0, static_cast<off_t>(from), static_cast<off_t>(to - from));
  Result<void> done;
  if (allocated == -EOPNOTSUPP || allocated == -ENOSYS) {
    done = write_zeros(file, from, to);
  } else if (allocated < 0) {
    done = fail(-allocated, "fallocate");
  }
  if (!done) {  // part of it may be there
    static_cast<void>(sys::ftruncate(file, static_cast<off_t>(from)));
  }
  return done;
}

Result<void> MapState::cover(std::uint64_t bytes) {
  if (bytes <= covered_bytes) {
    return {};
  }
  const std::uint64_t end = round_up(bytes, huge_pages.page_size_bytes);
  // MAP_NORESERVE: huge pages are set aside by fallocate (MapOptions::preallocate), where a lack of them is an error.
  const int flags = (mode == MapMode::copy_on_write ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED | MAP_NORESERVE |
                    (options.populate ? MAP_POPULATE : 0);
  const std::intptr_t address = sys::mmap(base + covered_bytes, end - covered_bytes, protection_of(mode), flags,
                                          file.get(), static_cast<off_t>(covered_bytes));
  if (address < 0) {
    return std::unexpected(error(static_cast<int>(-address), "mmap"));
  }
  covered_bytes = end;
  return {};
}

MapState::~MapState() {
  if (base != nullptr) {
    static_cast<void>(sys::munmap(base, mapped_bytes));
  }
}

Error MapState::error(int errno_value, const char* operation) const {
  return fail(errno_value, operation, path).error();
}

Error MapState::error(int errno_value, const char* operation, std::uint64_t offset, std::uint64_t length) const {
  return fail(errno_value, operation,
              fmt::format("{}: {} bytes at {} of {}", path.native(), length, offset, size.load()))
      .error();
}

MappedFile::MappedFile(std::shared_ptr<MapState> state) noexcept : access_(state.get()), state_(std::move(state)) {}

Result<MappedFile> MappedFile::from_file(UniqueFd file, const MapOptions& options) {
  auto map = map_open_file(std::move(file), {}, options);
  if (!map) {
    return std::unexpected(std::move(map.error()));
  }
  MappedFile mapped(std::move(*map));
  if (auto touched = mapped.follow_touch_hint(); !touched) {
    return std::unexpected(std::move(touched.error()));
  }
  return mapped;
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path, const MapOptions& options) {
  UniqueFd file(sys::openat(AT_FDCWD, path.c_str(), open_flags(options.mode)));
  if (!file) {
    return fail(-file.get(), "openat", path);
  }
  auto map = map_open_file(std::move(file), path, options);
  if (!map) {
    return std::unexpected(std::move(map.error()));
  }
  MappedFile mapped(std::move(*map));
  if (auto touched = mapped.follow_touch_hint(); !touched) {
    return std::unexpected(std::move(touched.error()));
  }
  return mapped;
}

Result<MappedFile> MappedFile::open_read_only(const std::filesystem::path& path) { return open(path); }

Result<MappedFile> MappedFile::open_read_write(const std::filesystem::path& path) {
  return open(path, {.mode = MapMode::read_write});
}

Result<MappedFile> MappedFile::open_copy_on_write(const std::filesystem::path& path) {
  return open(path, {.mode = MapMode::copy_on_write});
}

Result<MappedFile> MappedFile::create(const std::filesystem::path& path, std::uint64_t size,
                                      const MapOptions& options) {
  if (options.mode == MapMode::read_only) {
    return fail(EINVAL, "create", path);
  }
  UniqueFd file(sys::openat(AT_FDCWD, path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOCTTY, options.permissions));
  if (!file) {
    return fail(-file.get(), "openat", path);
  }
  const auto give_up = [&](Error error) {
    static_cast<void>(sys::unlinkat(AT_FDCWD, path.c_str(), 0));
    return std::unexpected(std::move(error));
  };
  if (auto extended = extend_file(file.get(), 0, size, options.preallocate); !extended) {
    extended.error().path = path;
    return give_up(std::move(extended.error()));
  }
  auto map = map_open_file(std::move(file), path, options);
  if (!map) {
    return give_up(std::move(map.error()));
  }
  (*map)->metadata_dirty = true;
  MappedFile mapped(std::move(*map));
  if (auto touched = mapped.follow_touch_hint(); !touched) {
    return give_up(std::move(touched.error()));
  }
  return mapped;
}

Result<MappedFile> MappedFile::open_or_create(const std::filesystem::path& path, std::uint64_t size,
                                              const MapOptions& options) {
  constexpr int most_tries = 8;  // a name that comes and goes between the two calls
  auto mapped = open(path, options);
  for (int i = 0; i < most_tries && !mapped && mapped.error().errno_value() == ENOENT; ++i) {
    if (auto created = create_at_full_size(path, size, options); !created && created.error().errno_value() != EEXIST) {
      return std::unexpected(std::move(created.error()));
    }
    mapped = open(path, options);
    if (mapped) {
      mapped->state().metadata_dirty = true;
    }
  }
  return mapped;
}

Result<UniqueFd> MappedFile::unmap() {
  MapState& map = state();
  if (state_.use_count() != 1 || map.has_live_views()) {
    return std::unexpected(map.error(EBUSY, "munmap"));
  }
  if (auto settled = map.settle(); !settled) {
    return std::unexpected(std::move(settled.error()));
  }
  if (map.base != nullptr) {
    if (const int done = sys::munmap(map.base, map.mapped_bytes); done < 0) {
      return std::unexpected(map.error(-done, "munmap"));
    }
    map.base = nullptr;
    map.size.store(0);
  }
  UniqueFd file = std::move(map.file);
  access_ = nullptr;
  state_.reset();
  return file;
}

const std::filesystem::path& MappedFile::path() const noexcept { return state().path; }
FlushPolicy MappedFile::flush_policy() const noexcept { return state().options.flush; }
std::uint64_t MappedFile::reserved_bytes() const noexcept { return state().mapped_bytes; }

}  // namespace ferry
