// Counts a program's allocations: to be named in LD_PRELOAD. When the program exits, their number is written to the
// file named by FERRY_ALLOCATION_COUNT. A developer's tool: built, not installed.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

// glibc's own allocator, under the names by which it lets others wrap it.
extern "C" {
void* __libc_malloc(std::size_t size);                           // NOLINT(readability-identifier-naming)
void* __libc_calloc(std::size_t count, std::size_t size);        // NOLINT(readability-identifier-naming)
void* __libc_realloc(void* old, std::size_t size);               // NOLINT(readability-identifier-naming)
void* __libc_memalign(std::size_t alignment, std::size_t size);  // NOLINT(readability-identifier-naming)
}

namespace {

std::atomic<unsigned long long> allocations{0};

void count_one() { allocations.fetch_add(1, std::memory_order_relaxed); }

[[gnu::destructor]] void write_count() {
  const char* const path = std::getenv("FERRY_ALLOCATION_COUNT");
  const int file = path != nullptr ? ::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
  if (file >= 0) {
    ::dprintf(file, "%llu\n", allocations.load());
    ::close(file);
  }
}

}  // namespace

extern "C" {

void* malloc(std::size_t size) {
  count_one();
  return __libc_malloc(size);
}

void* calloc(std::size_t nmemb, std::size_t size) {
  count_one();
  return __libc_calloc(nmemb, size);
}

void* realloc(void* ptr, std::size_t size) {
  count_one();
  return __libc_realloc(ptr, size);
}

void* memalign(std::size_t alignment, std::size_t size) {
  count_one();
  return __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }

int posix_memalign(void** memptr, std::size_t alignment, std::size_t size) {
  void* const memory = memalign(alignment, size);
  if (memory == nullptr) {
    return ENOMEM;
  }
  *memptr = memory;
  return 0;
}

}  // extern "C"
