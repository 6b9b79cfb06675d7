// Pools of buffers, and memory that operations own.
#include <sys/mman.h>
#include <sys/uio.h>

#include <cassert>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

#include <ferry/ring.hpp>

#include "base/sys.hpp"

namespace ferry {
namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t huge_page_bytes = std::size_t{2} << 20U;
constexpr std::size_t most_buffers = 1024;                        // UIO_MAXIOV, before Linux 5.13
constexpr std::size_t most_buffer_bytes = std::size_t{1} << 30U;  // what one registered buffer may have

std::size_t rounded_up(std::size_t bytes, std::size_t unit) noexcept { return (bytes + unit - 1) / unit * unit; }

}  // namespace

struct BufferPoolState {
  ~BufferPoolState() {
    if (memory != nullptr) {
      sys::unmap_memory(memory, mapped_bytes);
    }
  }
  [[nodiscard]] int map();
  [[nodiscard]] std::byte* at(std::uint32_t index) const noexcept { return memory + index * buffer_bytes; }
  void give_back(std::uint32_t index) noexcept;

  std::byte* memory = nullptr;
  std::size_t mapped_bytes = 0;
  std::size_t buffer_bytes = 0;
  std::size_t count = 0;
  bool huge = false;

  mutable std::mutex mutex;
  std::condition_variable returned;
  std::vector<std::uint32_t> unused;  // reserved for all: giving back allocates nothing
  std::uint64_t ring_id = 0;          // 0: not registered
  int registration_error = 0;
  void (*notify)(void* context) = nullptr;
  void* notify_context = nullptr;
};

int BufferPoolState::map() {
  const std::size_t wanted = buffer_bytes * count;
  void* mapped = nullptr;
  if (wanted >= huge_page_bytes) {
    mapped_bytes = rounded_up(wanted, huge_page_bytes);
    huge = sys::map_memory(mapped_bytes, MAP_HUGETLB, mapped) == 0;
  }
  if (!huge) {
    mapped_bytes = rounded_up(wanted, page_bytes);
    if (const int error = sys::map_memory(mapped_bytes, 0, mapped); error != 0) {
      return error;
    }
    if (wanted >= huge_page_bytes) {
      (void)sys::advise_memory(mapped, mapped_bytes, MADV_HUGEPAGE);  // a hint
    }
  }
  memory = static_cast<std::byte*>(mapped);
  return 0;
}

void BufferPoolState::give_back(std::uint32_t index) noexcept {
  const std::scoped_lock lock(mutex);
  unused.push_back(index);
  returned.notify_one();
  if (notify != nullptr) {
    notify(notify_context);
  }
}

Result<BufferPool> BufferPool::create(const BufferPoolOptions& options) {
  if (options.count == 0 || options.count > most_buffers || options.buffer_bytes == 0 ||
      options.buffer_bytes > most_buffer_bytes) {
    return fail(EINVAL, "buffer pool");
  }
  auto state = std::make_shared<BufferPoolState>();
  state->buffer_bytes = rounded_up(options.buffer_bytes, page_bytes);
  state->count = options.count;
  if (const int error = state->map(); error != 0) {
    return fail(-error, "mmap", "buffer pool");
  }
  state->unused.reserve(options.count);
  for (std::size_t i = options.count; i > 0; --i) {  // so that the first is leased first
    state->unused.push_back(static_cast<std::uint32_t>(i - 1));
  }
  return BufferPool(std::move(state));
}

Result<void> BufferPool::register_with(Ring& ring) {
  std::vector<iovec> vectors(state_->count);
  for (std::uint32_t i = 0; i < vectors.size(); ++i) {
    vectors[i] = {state_->at(i), state_->buffer_bytes};
  }
  const auto registered = ring.register_buffers(vectors);
  const std::scoped_lock lock(state_->mutex);
  state_->ring_id = registered ? ring.id() : 0;
  state_->registration_error = registered ? 0 : registered.error().errno_value();
  return registered;
}

bool BufferPool::registered() const noexcept {
  const std::scoped_lock lock(state_->mutex);
  return state_->ring_id != 0;
}
int BufferPool::registration_error() const noexcept {
  const std::scoped_lock lock(state_->mutex);
  return state_->registration_error;
}

Lease BufferPool::try_lease() {
  const std::scoped_lock lock(state_->mutex);
  Lease lease;
  if (!state_->unused.empty()) {
    lease.index_ = state_->unused.back();
    state_->unused.pop_back();
    lease.pool_ = state_;
    lease.data_ = state_->at(lease.index_);
    lease.size_ = state_->buffer_bytes;
  }
  return lease;
}

Lease BufferPool::lease() {
  for (;;) {
    if (Lease lease = try_lease()) {
      return lease;
    }
    std::unique_lock lock(state_->mutex);
    state_->returned.wait(lock, [&] { return !state_->unused.empty(); });
  }
}

std::size_t BufferPool::available() const noexcept {
  const std::scoped_lock lock(state_->mutex);
  return state_->unused.size();
}
std::size_t BufferPool::count() const noexcept { return state_->count; }
std::size_t BufferPool::buffer_bytes() const noexcept { return state_->buffer_bytes; }
bool BufferPool::on_huge_pages() const noexcept { return state_->huge; }

void BufferPool::on_release(void (*notify)(void* context), void* context) noexcept {
  const std::scoped_lock lock(state_->mutex);
  state_->notify = notify;
  state_->notify_context = context;
}

Lease::Lease(Lease&& other) noexcept
    : pool_(std::move(other.pool_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      index_(other.index_) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this != &other) {
    Lease old(std::move(*this));
    pool_ = std::move(other.pool_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    index_ = other.index_;
  }
  return *this;
}

Lease::~Lease() {
  if (pool_ != nullptr) {
    pool_->give_back(index_);
  }
}

std::size_t Lease::capacity() const noexcept { return pool_ == nullptr ? 0 : pool_->buffer_bytes; }

void Lease::resize(std::size_t bytes) noexcept {
  assert(bytes <= capacity());
  size_ = bytes;
}

int Lease::registered_index(std::uint64_t ring_id) const noexcept {
  if (pool_ == nullptr) {
    return -1;
  }
  const std::scoped_lock lock(pool_->mutex);
  return pool_->ring_id == ring_id ? static_cast<int>(index_) : -1;
}

Buffer::Buffer(Lease lease) noexcept : lease_(std::move(lease)), data_(lease_.data()), size_(lease_.size()) {}

Buffer::Buffer(Buffer&& other) noexcept
    : lease_(std::move(other.lease_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      owns_(std::exchange(other.owns_, false)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    Buffer old(std::move(*this));
    lease_ = std::move(other.lease_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    owns_ = std::exchange(other.owns_, false);
  }
  return *this;
}

Buffer::~Buffer() {
  if (owns_) {
    std::free(data_);
  }
}

Result<Buffer> Buffer::allocate(std::size_t bytes) {
  Buffer buffer;
  buffer.data_ = static_cast<std::byte*>(std::aligned_alloc(page_bytes, rounded_up(bytes, page_bytes)));
  if (buffer.data_ == nullptr && bytes > 0) {
    return fail(ENOMEM, "malloc");
  }
  buffer.size_ = bytes;
  buffer.owns_ = true;
  return buffer;
}

Buffer Buffer::borrow(std::span<std::byte> memory) noexcept {
  Buffer buffer;
  buffer.data_ = memory.data();
  buffer.size_ = memory.size();
  return buffer;
}

Buffer Buffer::borrow_const(std::span<const std::byte> memory) noexcept {
  // Who asks to read into it breaks the promise of the name.
  return borrow(std::span<std::byte>(const_cast<std::byte*>(memory.data()), memory.size()));  // NOLINT(*-const-cast)
}

Lease Buffer::take_lease() noexcept {
  Lease lease = std::move(lease_);
  data_ = nullptr;
  size_ = 0;
  return lease;
}

}  // namespace ferry
