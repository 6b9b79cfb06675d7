// Which pages have been written: one number for each page of the reserved address space, in memory that exists only
// where it is used.
#include <sys/mman.h>

#include <algorithm>
#include <new>

#include <ferry/map.hpp>

#include "base/sys.hpp"

namespace ferry::detail {
namespace {

constexpr std::uint32_t dirty_bit = std::uint32_t{1} << 31U;
constexpr std::uint32_t most_counted = std::uint32_t{1} << 30U;  // of the bytes written to one page

std::uint64_t page_after(std::uint64_t end) noexcept {
  return (end >> page_shift) + ((end & ((std::uint64_t{1} << page_shift) - 1)) != 0 ? 1 : 0);
}

}  // namespace

DirtyPages::~DirtyPages() {
  if (auto* const pages = pages_.load(std::memory_order_relaxed)) {
    static_cast<void>(sys::munmap(static_cast<void*>(pages), capacity_ * sizeof(*pages)));
  }
}

void DirtyPages::configure(std::uint64_t bytes, bool counts_bytes, bool fence_writes) noexcept {
  capacity_ = page_after(bytes);
  counts_bytes_ = counts_bytes;
  careful_ = counts_bytes || fence_writes;
}

// Anonymous memory is zero, and costs nothing before it is touched.
std::atomic<std::uint32_t>* DirtyPages::allocate() noexcept {
  using Page = std::atomic<std::uint32_t>;
  const std::size_t bytes = capacity_ * sizeof(Page);
  const std::intptr_t memory =
      sys::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory < 0) {
    return nullptr;
  }
  auto* const fresh = reinterpret_cast<Page*>(memory);  // NOLINT(performance-no-int-to-ptr): zeros are zero atomics
  Page* expected = nullptr;
  if (!pages_.compare_exchange_strong(expected, fresh, std::memory_order_acq_rel)) {
    static_cast<void>(sys::munmap(static_cast<void*>(fresh), bytes));
    return expected;
  }
  return fresh;
}

void DirtyPages::mark_slowly(std::uint64_t offset, std::uint64_t length) noexcept {
  std::atomic<std::uint32_t>* pages = pages_.load(std::memory_order_acquire);
  if (pages == nullptr) {
    pages = allocate();
  }
  if (pages == nullptr) {
    set_untracked();  // no memory for marks: then every flush has to ask the kernel
    return;
  }
  const std::uint64_t end = offset + length;
  for (std::uint64_t page = offset >> page_shift; page < page_after(end); ++page) {
    const std::uint64_t begin_in_page = std::max(offset, page << page_shift);
    const std::uint64_t end_in_page = std::min(end, (page + 1) << page_shift);
    mark_page(pages[page], static_cast<std::uint32_t>(end_in_page - begin_in_page));
  }
}

void DirtyPages::mark_page(std::atomic<std::uint32_t>& page, std::uint32_t bytes) noexcept {
  // Counted before it is marked, so that the count is never below the marks; taken back if somebody else marked it.
  count_.fetch_add(1, std::memory_order_acq_rel);
  if ((page.fetch_or(dirty_bit, std::memory_order_seq_cst) & dirty_bit) != 0) {
    count_.fetch_sub(1, std::memory_order_acq_rel);
  }
  if (counts_bytes_ && (page.load(std::memory_order_relaxed) & ~dirty_bit) < most_counted) {
    page.fetch_add(bytes, std::memory_order_relaxed);
  }
}

DirtyPages::Cleared DirtyPages::clear(std::uint64_t offset, std::uint64_t length) noexcept {
  Cleared cleared;
  std::atomic<std::uint32_t>* const pages = pages_.load(std::memory_order_acquire);
  if (pages == nullptr || count() == 0) {
    return cleared;
  }
  const std::uint64_t end = length > UINT64_MAX - offset ? UINT64_MAX : offset + length;
  const std::uint64_t last = std::min(page_after(end), capacity_);
  for (std::uint64_t page = offset >> page_shift; page < last; ++page) {
    if (pages[page].load(std::memory_order_relaxed) == 0) {
      continue;
    }
    const std::uint32_t old = pages[page].exchange(0, std::memory_order_seq_cst);
    cleared.bytes += old & ~dirty_bit;
    if ((old & dirty_bit) != 0) {
      cleared.begin = std::min(cleared.begin, page << page_shift);
      cleared.end = (page + 1) << page_shift;
      if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        break;  // that was the last one
      }
    }
  }
  return cleared;
}

void DirtyPages::restore(std::uint64_t begin, std::uint64_t end) noexcept {
  std::atomic<std::uint32_t>* const pages = pages_.load(std::memory_order_acquire);
  for (std::uint64_t page = begin >> page_shift; pages != nullptr && page < page_after(end); ++page) {
    count_.fetch_add(1, std::memory_order_acq_rel);
    if ((pages[page].fetch_or(dirty_bit, std::memory_order_seq_cst) & dirty_bit) != 0) {
      count_.fetch_sub(1, std::memory_order_acq_rel);
    }
  }
}

bool DirtyPages::any(std::uint64_t offset, std::uint64_t length) const noexcept {
  const std::atomic<std::uint32_t>* const pages = pages_.load(std::memory_order_acquire);
  if (pages == nullptr || count() == 0) {
    return false;
  }
  const std::uint64_t last = std::min(page_after(offset + length), capacity_);
  for (std::uint64_t page = offset >> page_shift; page < last; ++page) {
    if (pages[page].load(std::memory_order_acquire) != 0) {
      return true;
    }
  }
  return false;
}

}  // namespace ferry::detail
