// The memory of a map: advice, touching, locking, what is resident, and what huge pages it got.
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <string>

#include "base/sys.hpp"
#include "map/map_state.hpp"

namespace ferry {
namespace {

// Newer than the C library's headers (madvise(2)).
constexpr int populate_read_advice = 22;   // MADV_POPULATE_READ, Linux 5.14
constexpr int populate_write_advice = 23;  // MADV_POPULATE_WRITE, Linux 5.14
constexpr int collapse_advice = 25;        // MADV_COLLAPSE, Linux 6.1

int madvise_value(Advice advice, MapMode mode) noexcept {
  switch (advice) {
    case Advice::normal: return MADV_NORMAL;
    case Advice::sequential: return MADV_SEQUENTIAL;
    case Advice::random: return MADV_RANDOM;
    case Advice::will_need: return MADV_WILLNEED;
    case Advice::dont_need: return MADV_DONTNEED;
    case Advice::populate: return mode == MapMode::read_only ? populate_read_advice : populate_write_advice;
    case Advice::huge_page: return MADV_HUGEPAGE;
    case Advice::collapse: return collapse_advice;
    case Advice::cold: return MADV_COLD;
    case Advice::page_out: return MADV_PAGEOUT;
  }
  return MADV_NORMAL;
}

// Calls `call(address, length)` for the pages of the range, while a pin keeps them in the file.
template <typename Call>
Result<void> on_pages(const MappedFile& file, const MapState& map, const char* operation, std::uint64_t offset,
                      std::uint64_t length, const Call& call) {
  const auto pin = file.view(offset, length);
  if (!pin) {
    return std::unexpected(map.error(ERANGE, operation, offset, length));
  }
  if (length == 0) {
    return {};
  }
  const std::uint64_t begin = page_floor(offset);
  const int done = call(map.base + begin, static_cast<std::size_t>(page_ceil(offset + length) - begin));
  return done < 0 ? std::unexpected(map.error(-done, operation, offset, length)) : Result<void>{};
}

void touch(const std::byte* begin, const std::byte* end) noexcept {
  for (const std::byte* page = begin; page < end; page += map_page_bytes) {
    static_cast<void>(*static_cast<const volatile std::byte*>(page));
  }
}

}  // namespace

Result<void> MappedFile::advise(Advice advice) { return advise(advice, 0, size()); }

Result<void> MappedFile::advise(Advice advice, std::uint64_t offset, std::uint64_t length) {
  const MapState& map = state();
  if (advice == Advice::dont_need && map.mode == MapMode::copy_on_write) {
    return std::unexpected(map.error(ENOTSUP, "madvise", offset, length));
  }
  const int value = madvise_value(advice, map.mode);
  auto advised = on_pages(*this, map, "madvise", offset, length,
                          [&](std::byte* address, std::size_t bytes) { return sys::madvise(address, bytes, value); });
  if (!advised && advice == Advice::populate && advised.error().errno_value() == EINVAL) {
    return touch_pages_range(offset, length);  // before Linux 5.14
  }
  return advised;
}

Result<void> MappedFile::prefetch(std::uint64_t offset, std::uint64_t length) {
  return advise(Advice::will_need, offset, length);
}

Result<void> MappedFile::touch_pages() const { return touch_pages_range(0, size()); }

Result<void> MappedFile::touch_pages_range(std::uint64_t offset, std::uint64_t length) const {
  const auto pin = view(offset, length);
  if (!pin) {
    return std::unexpected(state().error(ERANGE, "touch_pages", offset, length));
  }
  const std::byte* const base = access().base;
  const std::byte* const begin = base + page_floor(offset);
  const std::byte* const end = base + offset + length;
  return guarded([=] { touch(begin, end); });
}

Result<void> MappedFile::follow_touch_hint() {
  switch (state().options.touch) {
    case TouchHint::never: return {};
    case TouchHint::eager: return touch_pages();
    case TouchHint::lazy: {
      [[maybe_unused]] const auto hinted = prefetch(0, size());  // a hint: its failure changes nothing
      return {};
    }
  }
  return {};
}

Result<void> MappedFile::lock(std::uint64_t offset, std::uint64_t length) {
  return on_pages(*this, state(), "mlock", offset, length,
                  [](std::byte* address, std::size_t bytes) { return sys::mlock(address, bytes); });
}

Result<void> MappedFile::unlock(std::uint64_t offset, std::uint64_t length) {
  return on_pages(*this, state(), "munlock", offset, length,
                  [](std::byte* address, std::size_t bytes) { return sys::munlock(address, bytes); });
}

Result<void> MappedFile::lock_all() { return lock(0, size()); }
Result<void> MappedFile::unlock_all() { return unlock(0, size()); }

Result<Residency> MappedFile::resident() const {
  const auto all = view_all();
  if (!all) {
    return std::unexpected(all.error());
  }
  constexpr std::size_t pages_at_once = 4096;
  std::array<unsigned char, pages_at_once> in_memory{};
  Residency found{.pages = page_ceil(all->size()) / map_page_bytes, .resident_pages = 0};
  for (std::uint64_t page = 0; page < found.pages; page += pages_at_once) {
    const std::uint64_t count = std::min<std::uint64_t>(pages_at_once, found.pages - page);
    const int done = sys::mincore(access().base + page * map_page_bytes, count * map_page_bytes, in_memory.data());
    if (done < 0) {
      return std::unexpected(state().error(-done, "mincore"));
    }
    // The lowest bit says it, the others are reserved (mincore(2)).
    found.resident_pages += static_cast<std::uint64_t>(
        std::count_if(in_memory.begin(), in_memory.begin() + static_cast<std::ptrdiff_t>(count),
                      [](unsigned char flags) { return (flags & 1U) != 0; }));
  }
  return found;
}

// ---------------------------------------------------------------------------------------- huge pages

namespace {

Result<std::string> read_whole(const char* path) {
  const UniqueFd file(sys::openat(AT_FDCWD, path, O_RDONLY));
  if (!file) {
    return fail(-file.get(), "openat", path);
  }
  std::string text;
  std::array<char, 16384> buffer{};
  for (;;) {
    const ssize_t got = sys::read(file.get(), buffer.data(), buffer.size());
    if (got < 0) {
      return fail(static_cast<int>(-got), "read", path);
    }
    if (got == 0) {
      return text;
    }
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

// "7f0000000000-7f0000200000 rw-s ...": the addresses that a line of smaps begins a mapping with.
std::optional<std::pair<std::uint64_t, std::uint64_t>> mapping_of(std::string_view line) noexcept {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  const char* const last = line.end();
  const auto first = std::from_chars(line.begin(), last, begin, 16);
  if (first.ec != std::errc{} || first.ptr == last || *first.ptr != '-') {
    return {};
  }
  const auto second = std::from_chars(first.ptr + 1, last, end, 16);
  if (second.ec != std::errc{} || second.ptr == last || *second.ptr != ' ') {
    return {};
  }
  return std::pair(begin, end);
}

// "FilePmdMapped:      2048 kB": bytes that are mapped by huge pages, 0 for other lines (proc_pid_smaps(5)).
std::uint64_t huge_bytes_of(std::string_view line) noexcept {
  static constexpr std::array<std::string_view, 5> fields = {
      "AnonHugePages:", "ShmemPmdMapped:", "FilePmdMapped:", "Shared_Hugetlb:", "Private_Hugetlb:"};
  for (const std::string_view field : fields) {
    if (line.starts_with(field)) {
      const std::size_t digits = line.find_first_not_of(' ', field.size());
      std::uint64_t kibibytes = 0;
      if (digits != std::string_view::npos) {
        std::from_chars(line.begin() + digits, line.end(), kibibytes);
      }
      return kibibytes << 10U;
    }
  }
  return 0;
}

// Bytes between `begin` and `end` that smaps says are mapped by huge pages.
std::uint64_t huge_bytes_between(std::string_view smaps, std::uint64_t begin, std::uint64_t end) noexcept {
  std::uint64_t bytes = 0;
  bool inside = false;
  while (!smaps.empty()) {
    const std::string_view line = smaps.substr(0, smaps.find('\n'));
    smaps.remove_prefix(std::min(smaps.size(), line.size() + 1));
    if (const auto mapping = mapping_of(line)) {
      inside = mapping->first >= begin && mapping->second <= end;
    } else if (inside) {
      bytes += huge_bytes_of(line);
    }
  }
  return bytes;
}

}  // namespace

Result<HugePageReport> MappedFile::huge_page_report() const {
  const MapState& map = state();
  HugePageReport report = map.huge_pages;
  const auto smaps = read_whole("/proc/self/smaps");
  if (!smaps) {
    return std::unexpected(smaps.error());
  }
  const auto base = reinterpret_cast<std::uint64_t>(map.base);
  report.huge_bytes = huge_bytes_between(*smaps, base, base + map.mapped_bytes);
  return report;
}

}  // namespace ferry
