/// \file
/// io_uring(7): rings, and pools of page-aligned buffers that a ring knows in advance.
///
/// A Ring is the kernel interface and no more: submissions are filled in by the caller, with <liburing.h> or by hand.
/// Who wants operations, timers, cancellation and a fallback takes the Loop of <ferry/loop.hpp>.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <ferry/base.hpp>

struct io_uring_sqe;  // <linux/io_uring.h>
struct iovec;         // <sys/uio.h>

namespace ferry {

struct RingOptions {
  /// Places in the submission queue, 1 to 32768; rounded up to a power of two.
  unsigned entries = 64;
  /// Places in the completion queue; 0: twice `entries`.
  unsigned completion_entries = 0;
  /// A kernel thread takes submissions (SQPOLL), so that submitting takes no system call while it is awake. It keeps a
  /// core busy for `poll_idle` after the last one.
  bool poll_submissions = false;
  std::chrono::milliseconds poll_idle{100};
  /// Completions are polled for (IOPOLL): only for O_DIRECT on devices that can (EOPNOTSUPP from each operation
  /// elsewhere), and for reads and writes alone. A wait may end without a completion: then ask again.
  bool poll_completions = false;
};

/// What a ring was set up with; each is missing on older kernels, and the ring works without.
struct RingFeatures {
  bool single_issuer = false;          ///< IORING_SETUP_SINGLE_ISSUER, Linux 6.0.
  bool deferred_work = false;          ///< IORING_SETUP_DEFER_TASKRUN, Linux 6.1: no interruptions by completions.
  bool cooperative_work = false;       ///< IORING_SETUP_COOP_TASKRUN, Linux 5.19; where there is no deferred_work.
  bool timed_wait = false;             ///< IORING_FEAT_EXT_ARG, Linux 5.11.
  bool registered_descriptor = false;  ///< IORING_REGISTER_RING_FDS, Linux 5.18.
};

/// One completion.
struct RingCompletion {
  std::uint64_t user_data = 0;
  int result = 0;  ///< >= 0, or -errno.
  unsigned flags = 0;
};

/// Why io_uring_setup(2) or a registration failed with this errno (positive): "a seccomp filter refuses it, ...", the
/// sysctl, the memlock limit, an old kernel. One line without the errno's own text; empty when nothing is known.
/// Reads /proc.
[[nodiscard]] std::string ring_refusal_cause(int errno_value);

/// An io_uring. Made, used and destroyed by one thread; it is not to be used in a child after fork(2). Move-only.
class Ring {
 public:
  /// Sets up a ring with what the kernel has of RingFeatures. Errors: those of io_uring_setup(2); the error's path is
  /// ring_refusal_cause(). Cost: some 20 us.
  [[nodiscard]] static Result<Ring> create(const RingOptions& options = {});
  Ring(Ring&&) noexcept;
  Ring& operator=(Ring&&) noexcept;
  /// Operations in flight are cancelled by the kernel, but not waited for: their memory must stay. (Loop waits.)
  ~Ring();

  /// A zeroed submission to fill in before the next call of this class; null when the queue is full: submit, and ask
  /// again. `user_data` comes back with the completion.
  [[nodiscard]] io_uring_sqe* next_submission() noexcept;
  /// Hands what was filled in to the kernel; returns how many it took. Errors: EBUSY or EAGAIN when completions must
  /// be taken first (nothing is lost, submit again), and other errors of io_uring_enter(2).
  [[nodiscard]] Result<unsigned> submit();
  /// The same, and waits until `completions` are there or `timeout` is over (success, too). One system call.
  [[nodiscard]] Result<unsigned> submit_and_wait(unsigned completions,
                                                 std::optional<std::chrono::nanoseconds> timeout = std::nullopt);
  /// Takes the next completion if there is one. Overflowed completions (the queue was full) come too, after the next
  /// submit.
  [[nodiscard]] bool next_completion(RingCompletion& out) noexcept;

  /// Submissions filled in that the kernel has not taken.
  [[nodiscard]] unsigned unsubmitted() const noexcept;
  /// Places in the completion queue.
  [[nodiscard]] unsigned completion_entries() const noexcept;
  /// Whether the kernel knows an operation (IORING_OP_*).
  [[nodiscard]] bool supports(unsigned opcode) const noexcept;
  [[nodiscard]] const RingFeatures& features() const noexcept;
  /// A number that no other ring of this process has or had.
  [[nodiscard]] std::uint64_t id() const noexcept;

  /// Registers buffers for READ_FIXED and WRITE_FIXED, once per ring: their pages are pinned. ENOMEM over the memlock
  /// limit (unless CAP_IPC_LOCK); EBUSY when some are registered.
  [[nodiscard]] Result<void> register_buffers(std::span<const iovec> buffers);
  /// Registers descriptors for submissions with IOSQE_FIXED_FILE, whose `fd` is then the index here. -1: none yet.
  [[nodiscard]] Result<void> register_files(std::span<const int> fds);
  /// Replaces registered descriptors from index `first` on.
  [[nodiscard]] Result<void> update_files(unsigned first, std::span<const int> fds);

 private:
  struct State;
  explicit Ring(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

struct BufferPoolOptions {
  /// Bytes of each buffer; rounded up to the page.
  std::size_t buffer_bytes = std::size_t{256} << 10U;
  /// 1 to 1024 (what a kernel registers at most, before 5.13).
  std::size_t count = 16;
};

/// The right to use one buffer of a pool; given back when destroyed. Move-only, of one thread at a time. The memory
/// lives as long as any lease of the pool.
class Lease {
 public:
  Lease() noexcept = default;
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  [[nodiscard]] explicit operator bool() const noexcept { return pool_ != nullptr; }
  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  /// Bytes in use: all of the buffer at first, then what was read into it or set by resize().
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t capacity() const noexcept;
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {data_, size_}; }
  /// Precondition: at most capacity().
  void resize(std::size_t bytes) noexcept;
  /// The buffer's index for READ_FIXED and WRITE_FIXED in the ring with this id; -1 when it is not registered there.
  [[nodiscard]] int registered_index(std::uint64_t ring_id) const noexcept;

 private:
  friend class BufferPool;
  std::shared_ptr<struct BufferPoolState> pool_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::uint32_t index_ = 0;
};

/// A fixed number of page-aligned buffers in one piece of memory, on huge pages where there are some. A handle: copies
/// are the same pool. Thread-safe. Leasing allocates nothing.
class BufferPool {
 public:
  /// Errors: EINVAL for sizes out of range, ENOMEM.
  [[nodiscard]] static Result<BufferPool> create(const BufferPoolOptions& options = {});

  /// Lets `ring` know the buffers, so that they need not be pinned and unpinned by every operation. On an error (over
  /// the memlock limit, say) the pool works unregistered, and registration_error() tells why.
  Result<void> register_with(Ring& ring);
  [[nodiscard]] bool registered() const noexcept;
  /// The positive errno of the last register_with(); 0 when it worked or was not asked.
  [[nodiscard]] int registration_error() const noexcept;

  /// An empty lease when all buffers are in use.
  [[nodiscard]] Lease try_lease();
  /// Waits for a buffer to be given back by another thread.
  [[nodiscard]] Lease lease();
  [[nodiscard]] std::size_t available() const noexcept;
  [[nodiscard]] std::size_t count() const noexcept;
  [[nodiscard]] std::size_t buffer_bytes() const noexcept;
  /// Whether the memory is on explicit huge pages (transparent ones are asked for otherwise).
  [[nodiscard]] bool on_huge_pages() const noexcept;

  /// `notify(context)` is called, on the thread that gives back, whenever a buffer is given back; null: no more. It
  /// must be quick, must not call the pool, and is not called any more after this returns.
  void on_release(void (*notify)(void* context), void* context) noexcept;

 private:
  explicit BufferPool(std::shared_ptr<struct BufferPoolState> state) noexcept : state_(std::move(state)) {}
  std::shared_ptr<struct BufferPoolState> state_;
};

/// Memory for an operation that owns it until it is done: a lease, or memory of its own; or, for who vouches for its
/// lifetime, borrowed memory. Move-only.
class Buffer {
 public:
  Buffer() noexcept = default;
  Buffer(Lease lease) noexcept;  // NOLINT(google-explicit-constructor)
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();
  /// Page-aligned memory. Errors: ENOMEM.
  [[nodiscard]] static Result<Buffer> allocate(std::size_t bytes);
  /// The memory must stay until the operation is complete or its Operation destroyed.
  [[nodiscard]] static Buffer borrow(std::span<std::byte> memory) noexcept;
  /// The same for what is only written from.
  [[nodiscard]] static Buffer borrow_const(std::span<const std::byte> memory) noexcept;

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {data_, size_}; }
  [[nodiscard]] int registered_index(std::uint64_t ring_id) const noexcept { return lease_.registered_index(ring_id); }
  /// The lease it was made of; empty otherwise. The buffer is empty then.
  [[nodiscard]] Lease take_lease() noexcept;

 private:
  Lease lease_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  bool owns_ = false;  // data_ is to be freed
};

}  // namespace ferry
