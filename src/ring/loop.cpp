// Loops and operations as the header has them.
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <utility>

#include <ferry/loop.hpp>

#include "base/log.hpp"
#include "base/sys.hpp"
#include "ring/loop_core.hpp"

namespace ferry {

using detail::LoopCore;

Operation::~Operation() { abandon(); }

void Operation::abandon() noexcept {
  if (loop_ != nullptr && (in_flight() || cancel_queued_)) {
    loop_->abandon(*this);
  }
}

Result<std::uint64_t> Operation::outcome() const {
  if (result_ < 0) {
    return fail(static_cast<int>(-result_), operation_name(request_));
  }
  return static_cast<std::uint64_t>(result_);
}

Buffer Operation::take_buffer() noexcept {
  if (auto* const read = std::get_if<request::Read>(&request_)) {
    return std::move(read->buffer);
  }
  auto* const write = std::get_if<request::Write>(&request_);
  return write == nullptr ? Buffer() : std::move(write->buffer);
}

std::string_view to_string(LoopBackend backend) noexcept {
  constexpr std::array<std::string_view, 3> names = {"automatic", "uring", "threads"};
  return names[static_cast<std::size_t>(backend)];
}

Loop::Loop(std::unique_ptr<LoopCore> core) noexcept : core_(std::move(core)) {}
Loop::Loop(Loop&&) noexcept = default;
Loop& Loop::operator=(Loop&&) noexcept = default;

Loop::~Loop() {
  if (core_ != nullptr && core_->process != ::getpid()) {
    (void)core_.release();  // its threads, and what is in flight, are the parent's
  }
}

namespace {

constexpr unsigned default_workers = 4;

Result<void> add_backend(LoopCore& core, const LoopOptions& options) {
  if (options.backend != LoopBackend::threads) {
    auto uring = detail::make_uring_backend(core, options.ring_entries);
    if (uring) {
      core.kind = LoopBackend::uring;
      core.set_backend(std::move(*uring));
      return {};
    }
    if (options.backend == LoopBackend::uring) {
      return std::unexpected(uring.error());
    }
    FERRY_LOG_DEBUG("loop on threads: {}", uring.error().to_string());
    core.uring_refusal = uring.error();
  }
  auto threads = detail::make_threads_backend(core);
  if (!threads) {
    return std::unexpected(threads.error());
  }
  core.set_backend(std::move(*threads));
  return {};
}

}  // namespace

Result<Loop> Loop::create(const LoopOptions& options) {
  UniqueFd wake(sys::eventfd(0, EFD_NONBLOCK));
  if (!wake) {
    return fail(-wake.get(), "eventfd");
  }
  std::optional<BufferPool> pool;
  if (options.pool_buffers > 0) {
    auto made = BufferPool::create({options.pool_buffer_bytes, options.pool_buffers});
    if (!made) {
      return std::unexpected(made.error());
    }
    pool = std::move(*made);
  }
  auto core = std::make_unique<LoopCore>(options.workers == 0 ? default_workers : options.workers, std::move(wake));
  if (pool) {
    core->set_pool(std::move(*pool));
  }
  if (const auto added = add_backend(*core, options); !added) {
    return std::unexpected(added.error());
  }
  return Loop(std::move(core));
}

LoopBackend Loop::backend() const noexcept { return core_->kind; }
const std::optional<Error>& Loop::uring_refusal() const noexcept { return core_->uring_refusal; }
bool Loop::has_pool() const noexcept { return core_->pool.has_value(); }
BufferPool& Loop::pool() noexcept {
  assert(has_pool());
  return *core_->pool;
}

void Loop::start(Operation& operation, Request request) { core_->start(operation, std::move(request)); }
void Loop::cancel(Operation& operation) { core_->cancel(operation); }
void Loop::request_cancel(Operation& operation) { core_->request_cancel(operation); }
Result<std::size_t> Loop::run() { return core_->run(); }
Result<std::size_t> Loop::run_once() { return core_->turn(true); }
Result<std::size_t> Loop::poll() { return core_->turn(false); }
void Loop::stop() { core_->stop(); }
void Loop::post(std::move_only_function<void()> work) { core_->post(std::move(work)); }
std::size_t Loop::in_flight() const noexcept { return core_->in_flight(); }

OperationAwaiter<void> Loop::nop() { return {*this, request::Nop{}}; }
OperationAwaiter<UniqueFd> Loop::open(int dirfd, const char* path, int flags, mode_t mode) {
  return {*this, request::Open{dirfd, path, flags, mode}};
}
OperationAwaiter<std::uint64_t> Loop::read(int fd, std::span<std::byte> memory, std::uint64_t offset) {
  return {*this, request::Read{fd, Buffer::borrow(memory), offset}};
}
OperationAwaiter<std::uint64_t> Loop::write(int fd, std::span<const std::byte> memory, std::uint64_t offset) {
  return {*this, request::Write{fd, Buffer::borrow_const(memory), offset}};
}
OperationAwaiter<Lease> Loop::read_managed(int fd, std::size_t length, std::uint64_t offset) {
  return {*this, request::ReadManaged{fd, length, offset}};
}
OperationAwaiter<std::uint64_t> Loop::write_managed(int fd, Lease lease, std::uint64_t offset) {
  return {*this, request::Write{fd, Buffer(std::move(lease)), offset}};
}
OperationAwaiter<std::uint64_t> Loop::read_vector(int fd, std::span<const iovec> vectors, std::uint64_t offset) {
  return {*this, request::ReadVector{fd, vectors, offset}};
}
OperationAwaiter<std::uint64_t> Loop::write_vector(int fd, std::span<const iovec> vectors, std::uint64_t offset) {
  return {*this, request::WriteVector{fd, vectors, offset}};
}
OperationAwaiter<void> Loop::fsync(int fd) { return {*this, request::Sync{fd, false}}; }
OperationAwaiter<void> Loop::fdatasync(int fd) { return {*this, request::Sync{fd, true}}; }
OperationAwaiter<void> Loop::stat(int dirfd, const char* path, int flags, unsigned mask, struct ::statx& out) {
  return {*this, request::Stat{dirfd, path, flags, mask, &out}};
}
OperationAwaiter<void> Loop::allocate(int fd, int mode, std::uint64_t offset, std::uint64_t length) {
  return {*this, request::Allocate{fd, mode, offset, length}};
}
OperationAwaiter<void> Loop::unlink(int dirfd, const char* path, int flags) {
  return {*this, request::Unlink{dirfd, path, flags}};
}
OperationAwaiter<void> Loop::rename(int old_dirfd, const char* old_path, int new_dirfd, const char* new_path,
                                    unsigned flags) {
  return {*this, request::Rename{old_dirfd, old_path, new_dirfd, new_path, flags}};
}
OperationAwaiter<void> Loop::make_directory(int dirfd, const char* path, mode_t mode) {
  return {*this, request::MakeDirectory{dirfd, path, mode}};
}
OperationAwaiter<void> Loop::link(int old_dirfd, const char* old_path, int new_dirfd, const char* new_path, int flags) {
  return {*this, request::Link{old_dirfd, old_path, new_dirfd, new_path, flags}};
}
OperationAwaiter<void> Loop::symlink(const char* target, int dirfd, const char* path) {
  return {*this, request::Symlink{target, dirfd, path}};
}
OperationAwaiter<std::uint64_t> Loop::splice(const request::Splice& what) { return {*this, what}; }
OperationAwaiter<std::uint64_t> Loop::copy_file_range(const request::CopyFileRange& what) { return {*this, what}; }
OperationAwaiter<void> Loop::close(UniqueFd fd) {
  const int number = fd.get();
  return {*this, request::Close{number}, std::move(fd)};
}
OperationAwaiter<void> Loop::sleep(std::chrono::nanoseconds time) { return {*this, request::Timer{time}}; }

}  // namespace ferry
