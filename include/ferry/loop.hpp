/// \file
/// An event loop for file operations. One interface, two backends: io_uring, and a bounded pool of threads with
/// epoll(7) for where io_uring is refused. Both give the same results.
///
/// Two ways to use it: operations that the caller owns, with a callback; and coroutines (Task of <ferry/task.hpp>) with
/// `co_await loop.read(...)`. Neither allocates memory for an operation.
#pragma once

#include <fcntl.h>
#include <sys/types.h>

#include <cerrno>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include <ferry/base.hpp>
#include <ferry/ring.hpp>

struct statx;  // <sys/stat.h>

namespace ferry {

class Operation;
namespace detail {
class LoopCore;
class OperationQueue;
class ThreadsBackend;
class UringBackend;
}  // namespace detail

/// Where a stream (pipe, socket, terminal) is read or written: at its position. Such a read is done when there is
/// something; every other read is done when its buffer is full or the file ends. Writes are done when all is written.
inline constexpr std::uint64_t at_position = UINT64_MAX;

/// What can be asked of a Loop. Strings and memory that is referred to must stay until the operation is complete;
/// buffers are owned by it. Results are those of the system calls of the names given.
namespace request {

/// Once around the loop; in the uring backend through the kernel. Result 0.
struct Nop {};
/// openat(2); O_CLOEXEC is added. Result: a descriptor.
struct Open {
  int dirfd = AT_FDCWD;
  const char* path = "";
  int flags = 0;
  mode_t mode = 0;
};
/// pread(2) until the buffer is full or the file ends. From a registered buffer: READ_FIXED. Result: bytes.
struct Read {
  int fd = -1;
  Buffer buffer;
  std::uint64_t offset = 0;
};
/// pwrite(2) until all is written. Result: bytes.
struct Write {
  int fd = -1;
  Buffer buffer;
  std::uint64_t offset = 0;
};
/// As Read, into a buffer of the loop's pool, which waits for one if all are in use. Operation::take_buffer() has it,
/// with as many bytes as were read. EINVAL without a pool or if `length` is more than a buffer.
struct ReadManaged {
  int fd = -1;
  std::size_t length = 0;
  std::uint64_t offset = 0;
};
/// preadv(2) and pwritev(2), once: the result may be short.
struct ReadVector {
  int fd = -1;
  std::span<const iovec> vectors;
  std::uint64_t offset = 0;
};
struct WriteVector {
  int fd = -1;
  std::span<const iovec> vectors;
  std::uint64_t offset = 0;
};
/// fsync(2), or fdatasync(2).
struct Sync {
  int fd = -1;
  bool data_only = false;
};
/// statx(2).
struct Stat {
  int dirfd = AT_FDCWD;
  const char* path = "";
  int flags = 0;
  unsigned mask = 0;
  struct ::statx* out = nullptr;
};
/// fallocate(2).
struct Allocate {
  int fd = -1;
  int mode = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};
/// unlinkat(2).
struct Unlink {
  int dirfd = AT_FDCWD;
  const char* path = "";
  int flags = 0;
};
/// renameat2(2).
struct Rename {
  int old_dirfd = AT_FDCWD;
  const char* old_path = "";
  int new_dirfd = AT_FDCWD;
  const char* new_path = "";
  unsigned flags = 0;
};
/// mkdirat(2).
struct MakeDirectory {
  int dirfd = AT_FDCWD;
  const char* path = "";
  mode_t mode = 0777;
};
/// linkat(2).
struct Link {
  int old_dirfd = AT_FDCWD;
  const char* old_path = "";
  int new_dirfd = AT_FDCWD;
  const char* new_path = "";
  int flags = 0;
};
/// symlinkat(2).
struct Symlink {
  const char* target = "";
  int dirfd = AT_FDCWD;
  const char* path = "";
};
/// splice(2), once; one end is a pipe. Offsets may be at_position. Result: bytes, 0 at the end.
struct Splice {
  int in = -1;
  std::uint64_t in_offset = at_position;
  int out = -1;
  std::uint64_t out_offset = at_position;
  std::size_t length = 0;
  unsigned flags = 0;
};
/// copy_file_range(2), once. io_uring has no such operation: always on a thread.
struct CopyFileRange {
  int in = -1;
  std::uint64_t in_offset = 0;
  int out = -1;
  std::uint64_t out_offset = 0;
  std::size_t length = 0;
};
/// close(2), after all operations in flight on the descriptor: its number cannot be reused under them. ECANCELED: it is
/// still open.
struct Close {
  int fd = -1;
};
/// Result 0 when the time is over.
struct Timer {
  std::chrono::nanoseconds after{0};
};
/// The callback is called again and again, every `interval` (at least 1 us), until cancelled; the result counts the
/// intervals over. Not for coroutines.
struct RepeatingTimer {
  std::chrono::nanoseconds interval{0};
};

}  // namespace request

using Request =
    std::variant<request::Nop, request::Open, request::Read, request::Write, request::ReadManaged, request::ReadVector,
                 request::WriteVector, request::Sync, request::Stat, request::Allocate, request::Unlink,
                 request::Rename, request::MakeDirectory, request::Link, request::Symlink, request::Splice,
                 request::CopyFileRange, request::Close, request::Timer, request::RepeatingTimer>;

/// The system call behind a request, as its man page calls it. Static storage.
[[nodiscard]] const char* operation_name(const Request& request) noexcept;

/// One operation, owned by the caller, who may use it again when it is complete. Does not move. Destroyed in flight it
/// is cancelled and waited for first, so that nothing refers to it, or to the buffer it owns, afterwards; its callback
/// is not called then.
class Operation {
 public:
  using Callback = void (*)(Operation& operation, void* context);

  Operation() noexcept = default;
  /// `callback` may be null.
  Operation(Callback callback, void* context) noexcept : callback_(callback), context_(context) {}
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  ~Operation();

  /// Precondition: not in flight.
  void on_complete(Callback callback, void* context) noexcept {
    callback_ = callback;
    context_ = context;
  }
  /// Cancels it if it is in flight, and waits for its end, without a call to the callback.
  void abandon() noexcept;
  [[nodiscard]] bool in_flight() const noexcept { return state_ != State::idle; }
  /// >= 0, or -errno; -ECANCELED when cancelled before it was done.
  [[nodiscard]] std::int64_t result() const noexcept { return result_; }
  /// The same with the operation's name.
  [[nodiscard]] Result<std::uint64_t> outcome() const;
  /// Bytes moved, also of a read or write that failed or was cancelled after some.
  [[nodiscard]] std::uint64_t bytes_moved() const noexcept { return moved_; }
  /// The buffer of a complete read or write; of a ReadManaged, the one that was picked, with the bytes read.
  [[nodiscard]] Buffer take_buffer() noexcept;
  [[nodiscard]] Lease take_lease() noexcept { return take_buffer().take_lease(); }

 private:
  friend class detail::LoopCore;
  friend class detail::OperationQueue;
  friend class detail::ThreadsBackend;
  friend class detail::UringBackend;
  // parked: for a buffer or a descriptor; timed: in the heap; queued, working, waiting: with the backend.
  enum class State : std::uint8_t { idle, parked, timed, queued, working, waiting, ready };

  Request request_;
  Callback callback_ = nullptr;
  void* context_ = nullptr;
  detail::LoopCore* loop_ = nullptr;
  std::int64_t result_ = 0;
  std::uint64_t moved_ = 0;
  std::int64_t deadline_ns_ = 0;
  std::size_t heap_place_ = 0;
  Operation* previous_ = nullptr;  // of all in flight
  Operation* next_ = nullptr;
  Operation* queue_next_ = nullptr;  // of the one queue it is in
  Operation* cancel_next_ = nullptr;
  State state_ = State::idle;
  bool cancelled_ = false;
  bool cancel_queued_ = false;  // by request_cancel(), not yet seen; guarded by the loop's mutex
  bool silent_ = false;         // being destroyed: no callback
  bool on_worker_ = false;      // by the plain call on a thread, whatever the backend
  bool managed_ = false;        // was a ReadManaged
  bool polling_ = false;        // waits for its descriptor to be ready
  short awaited_events_ = 0;    // poll(2)'s
  int awaited_fd_ = -1;
};

enum class LoopBackend : std::uint8_t {
  automatic,  ///< uring where the kernel allows it, else threads.
  uring,
  threads,
};
/// "automatic", "uring", "threads". Static storage.
[[nodiscard]] std::string_view to_string(LoopBackend backend) noexcept;

struct LoopOptions {
  LoopBackend backend = LoopBackend::automatic;
  /// Submission queue of the uring backend. Operations beyond twice as many in flight wait their turn.
  unsigned ring_entries = 256;
  /// Most threads for blocking calls; 0: four. Started when first needed, in either backend.
  unsigned workers = 0;
  /// Buffers for ReadManaged; 0: no pool.
  std::size_t pool_buffers = 0;
  std::size_t pool_buffer_bytes = std::size_t{256} << 10U;
};

template <typename Answer>
class OperationAwaiter;

/// The loop. Made, used and destroyed by one thread, but post(), stop() and request_cancel(). Callbacks are called by
/// the run functions only, never by what starts operations. Not for use in a child after fork(2).
class Loop {
 public:
  /// Errors: with LoopBackend::uring those of Ring::create(), and what the descriptors of either backend fail with.
  [[nodiscard]] static Result<Loop> create(const LoopOptions& options = {});
  Loop(Loop&&) noexcept;
  Loop& operator=(Loop&&) noexcept;
  /// Cancels what is in flight and waits for it, calling the callbacks. What is started meanwhile is cancelled.
  ~Loop();

  /// uring or threads.
  [[nodiscard]] LoopBackend backend() const noexcept;
  /// Why an automatic choice is not uring; empty otherwise.
  [[nodiscard]] const std::optional<Error>& uring_refusal() const noexcept;
  /// The pool of ReadManaged. Precondition: LoopOptions::pool_buffers > 0.
  [[nodiscard]] BufferPool& pool() noexcept;
  [[nodiscard]] bool has_pool() const noexcept;

  /// Starts an operation. It completes in a run function, exactly once. Precondition: not in flight.
  void start(Operation& operation, Request request);
  /// Asks for the end of an operation in flight. It still completes: with ECANCELED, or, where it was too late, with
  /// what it did. What a thread is working on is not interrupted.
  void cancel(Operation& operation);
  /// The same from any thread. The operation must be in flight until this returns.
  void request_cancel(Operation& operation);

  /// Runs until nothing is in flight and nothing posted, or stop(). Returns the callbacks made. Errors: those of
  /// io_uring_enter(2) and epoll_wait(2).
  Result<std::size_t> run();
  /// Waits until something can be done, and does it.
  Result<std::size_t> run_once();
  /// The same without waiting.
  Result<std::size_t> poll();
  /// Makes run() return after the callbacks it is at. Any thread.
  void stop();
  /// `work` is called by a run function. Any thread.
  void post(std::move_only_function<void()> work);
  [[nodiscard]] std::size_t in_flight() const noexcept;

  // For coroutines: `co_await` starts the operation and gives its result. A stop request of the coroutine's stop_token
  // cancels it. Memory and strings must stay until then, as those of the coroutine itself do.
  [[nodiscard]] OperationAwaiter<void> nop();
  [[nodiscard]] OperationAwaiter<UniqueFd> open(int dirfd, const char* path, int flags, mode_t mode = 0);
  [[nodiscard]] OperationAwaiter<std::uint64_t> read(int fd, std::span<std::byte> memory, std::uint64_t offset);
  [[nodiscard]] OperationAwaiter<std::uint64_t> write(int fd, std::span<const std::byte> memory, std::uint64_t offset);
  [[nodiscard]] OperationAwaiter<Lease> read_managed(int fd, std::size_t length, std::uint64_t offset);
  /// Writes the lease's bytes from the registered buffer itself, and gives the buffer back to the pool.
  [[nodiscard]] OperationAwaiter<std::uint64_t> write_managed(int fd, Lease lease, std::uint64_t offset);
  [[nodiscard]] OperationAwaiter<std::uint64_t> read_vector(int fd, std::span<const iovec> vectors,
                                                            std::uint64_t offset);
  [[nodiscard]] OperationAwaiter<std::uint64_t> write_vector(int fd, std::span<const iovec> vectors,
                                                             std::uint64_t offset);
  [[nodiscard]] OperationAwaiter<void> fsync(int fd);
  [[nodiscard]] OperationAwaiter<void> fdatasync(int fd);
  [[nodiscard]] OperationAwaiter<void> stat(int dirfd, const char* path, int flags, unsigned mask, struct ::statx& out);
  [[nodiscard]] OperationAwaiter<void> allocate(int fd, int mode, std::uint64_t offset, std::uint64_t length);
  [[nodiscard]] OperationAwaiter<void> unlink(int dirfd, const char* path, int flags = 0);
  [[nodiscard]] OperationAwaiter<void> rename(int old_dirfd, const char* old_path, int new_dirfd, const char* new_path,
                                              unsigned flags = 0);
  [[nodiscard]] OperationAwaiter<void> make_directory(int dirfd, const char* path, mode_t mode = 0777);
  [[nodiscard]] OperationAwaiter<void> link(int old_dirfd, const char* old_path, int new_dirfd, const char* new_path,
                                            int flags = 0);
  [[nodiscard]] OperationAwaiter<void> symlink(const char* target, int dirfd, const char* path);
  [[nodiscard]] OperationAwaiter<std::uint64_t> splice(const request::Splice& what);
  [[nodiscard]] OperationAwaiter<std::uint64_t> copy_file_range(const request::CopyFileRange& what);
  [[nodiscard]] OperationAwaiter<void> close(UniqueFd fd);
  [[nodiscard]] OperationAwaiter<void> sleep(std::chrono::nanoseconds time);

 private:
  explicit Loop(std::unique_ptr<detail::LoopCore> core) noexcept;
  std::unique_ptr<detail::LoopCore> core_;
};

/// What `co_await` waits with: lives in the coroutine while that is suspended. The coroutine's stop token is that of
/// its promise, if it has one.
template <typename Answer>
class OperationAwaiter {
 public:
  OperationAwaiter(Loop& loop, Request request, UniqueFd closed_by_it = {})
      : loop_(loop), request_(std::move(request)), closed_by_it_(std::move(closed_by_it)) {}
  OperationAwaiter(const OperationAwaiter&) = delete;
  OperationAwaiter& operator=(const OperationAwaiter&) = delete;
  /// The coroutine is destroyed while it waits.
  ~OperationAwaiter() {
    on_stop_.reset();  // nobody asks for the cancellation of what is gone
    operation_.abandon();
    if (operation_.result() != -ECANCELED) {
      (void)closed_by_it_.release();
    }
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> waiting) {
    waiting_ = waiting;
    std::stop_token token;
    if constexpr (requires { waiting.promise().stop_token(); }) {
      token = waiting.promise().stop_token();
    }
    operation_.on_complete([](Operation&, void* self) { static_cast<OperationAwaiter*>(self)->resume(); }, this);
    loop_.start(operation_, std::move(request_));
    if (token.stop_possible()) {
      on_stop_.emplace(std::move(token), Canceller{this});
    }
  }
  [[nodiscard]] Result<Answer> await_resume() {
    auto outcome = operation_.outcome();
    if (!outcome) {
      return std::unexpected(std::move(outcome.error()));
    }
    if constexpr (std::is_void_v<Answer>) {
      return {};
    } else if constexpr (std::is_same_v<Answer, Lease>) {
      return operation_.take_lease();
    } else if constexpr (std::is_same_v<Answer, UniqueFd>) {
      return UniqueFd(static_cast<int>(*outcome));
    } else {
      return *outcome;
    }
  }

 private:
  struct Canceller {
    OperationAwaiter* self;
    void operator()() const { self->loop_.request_cancel(self->operation_); }
  };
  void resume() {
    on_stop_.reset();  // waits for a canceller at work in another thread
    waiting_.resume();
  }

  Loop& loop_;
  Request request_;
  Operation operation_;
  UniqueFd closed_by_it_;  // of a close
  std::coroutine_handle<> waiting_;
  std::optional<std::stop_callback<Canceller>> on_stop_;
};

}  // namespace ferry
