#include "copy/uring_pipeline.hpp"

#include <liburing.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include <ferry/ring.hpp>

#include "base/log.hpp"
#include "base/sys.hpp"

namespace ferry::engine {
namespace {

// Refused for good in this process: nobody asks again for every file.
std::atomic<int> setup_refused = 0;

// A ring with its buffers.
struct Equipment {
  Ring ring;
  BufferPool pool;
  PipelineShape shape;
  pid_t process;
};

Result<std::unique_ptr<Equipment>> make_equipment(const PipelineShape& shape) {
  auto ring = Ring::create({.entries = std::max(shape.depth, 4U), .poll_completions = shape.polls});
  if (!ring) {
    return std::unexpected(ring.error());
  }
  if (!ring->supports(IORING_OP_READ)) {
    return fail(ENOSYS, "io_uring_setup");
  }
  auto pool = BufferPool::create({shape.chunk_bytes, shape.depth});
  if (!pool) {
    return std::unexpected(pool.error());
  }
  if (const auto registered = pool->register_with(*ring); !registered) {
    FERRY_LOG_DEBUG("buffers are not registered: {}", registered.error().to_string());
  }
  return std::make_unique<Equipment>(std::move(*ring), std::move(*pool), shape, ::getpid());
}

// One that waits for completions, one that polls for them.
thread_local std::array<std::unique_ptr<Equipment>, 2> all_kept;

// This thread's, of the shape wanted. A child after fork has none: its parent's ring is its parent's.
Result<Equipment*> equipment(const PipelineShape& shape) {
  std::unique_ptr<Equipment>& kept = all_kept[shape.polls ? 1 : 0];
  if (const int refused = setup_refused.load(std::memory_order_relaxed); refused != 0) {
    return fail(refused, "io_uring_setup");
  }
  if (kept && kept->process != ::getpid()) {
    [[maybe_unused]] Equipment* const of_the_parent = kept.release();
  }
  if (!kept || kept->shape != shape) {
    kept.reset();  // first, so that the two never exist at once
    auto made = make_equipment(shape);
    if (!made) {
      const int error = made.error().errno_value();
      if (error == EPERM || error == ENOSYS) {
        setup_refused.store(error, std::memory_order_relaxed);
      }
      return std::unexpected(made.error());
    }
    kept = std::move(*made);
  }
  return kept.get();
}

// One copy_by_uring call.
class Pipeline {
 public:
  Pipeline(Equipment& equipment, PipelineFile& in, PipelineFile& out, const PipelineRange& range) noexcept
      : ring_(equipment.ring),
        in_(in),
        out_(out),
        range_(range),
        end_(range.length),
        // The analyzer does not see into the std::expected that the equipment comes in.
        chunk_bytes_(equipment.shape.chunk_bytes),  // NOLINT(clang-analyzer-core.uninitialized.Assign)
        polls_(equipment.shape.polls),
        slots_(equipment.shape.depth) {
    for (Slot& slot : slots_) {
      slot.lease = equipment.pool.try_lease();
      slot.buffer_index = slot.lease.registered_index(ring_.id());
    }
  }

  PipelineResult run();
  // The ring holds submissions that nobody wants any more.
  [[nodiscard]] bool broken() const noexcept { return broken_; }

 private:
  struct Slot {
    Lease lease;
    int buffer_index = -1;
    std::uint64_t begin = 0;  // of the chunk, from the beginning of the range
    std::size_t length = 0;
    std::size_t done = 0;
    bool writing = false;
    bool direct = false;  // the submission in flight
    bool all_direct = false;
    bool active = false;
    unsigned retries = 0;
  };
  static constexpr unsigned most_retries = 1000;  // of EAGAIN and EINTR: a bound, not a policy

  void begin_chunk(std::size_t index);
  void submit(std::size_t index);
  void completed(std::size_t index, int result);
  void read_done(std::size_t index, std::size_t bytes);
  void write_done(std::size_t index, std::size_t bytes);
  void failed(std::size_t index, int error);
  void ended(Slot& slot) noexcept;
  void ends_at(std::uint64_t where, int error, const char* operation) noexcept;
  [[nodiscard]] bool wait();

  Ring& ring_;
  PipelineFile& in_;
  PipelineFile& out_;
  const PipelineRange& range_;
  std::uint64_t next_ = 0;  // the first byte that no chunk has
  std::uint64_t end_;       // the range ends here, or what stopped it is here
  const std::size_t chunk_bytes_;
  const bool polls_;
  std::size_t in_flight_ = 0;
  std::vector<Slot> slots_;
  unsigned failed_waits_ = 0;
  bool broken_ = false;
  PipelineResult result_;
};

PipelineResult Pipeline::run() {
  for (std::size_t i = 0; i < slots_.size() && next_ < end_; ++i) {
    begin_chunk(i);
  }
  while (in_flight_ > 0 && wait()) {
    for (RingCompletion completion; ring_.next_completion(completion);) {
      completed(completion.user_data, completion.result);
    }
  }
  result_.moved = end_;
  result_.direct = std::min(result_.direct, end_);
  return result_;
}

// False when the ring is of no use: then the kernel has none of what is in flight. As long as it has some, their
// buffers are in use, and whatever waiting says it is tried again.
bool Pipeline::wait() {
  const auto waited = ring_.submit_and_wait(1);
  if (waited) {
    failed_waits_ = 0;
    return true;
  }
  const int error = waited.error().errno_value();
  const bool passes = (error == EAGAIN || error == EBUSY) && ++failed_waits_ < most_retries;
  if (passes || ring_.unsubmitted() < in_flight_) {
    (void)sys::poll(-1, 0, 1);
    return true;
  }
  for (const Slot& slot : slots_) {
    if (slot.active) {
      ends_at(slot.begin, -error, "io_uring_enter");
    }
  }
  broken_ = true;
  return false;
}

// O_DIRECT wants whole blocks: what is left of the last one is a chunk of its own.
void Pipeline::begin_chunk(std::size_t index) {
  Slot& slot = slots_[index];
  slot.begin = next_;
  slot.length = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_bytes_, end_ - next_));
  const std::uint32_t block =
      std::max(in_.direct_fd >= 0 ? in_.direct_alignment : 0U, out_.direct_fd >= 0 ? out_.direct_alignment : 0U);
  if (block > 0 && slot.length > block) {
    slot.length -= slot.length % block;
  }
  slot.done = 0;
  slot.writing = false;
  slot.all_direct = true;
  slot.retries = 0;
  next_ += slot.length;
  slot.active = true;
  ++in_flight_;
  submit(index);
}

bool fits(const PipelineFile& file, std::uint64_t offset, std::size_t length) noexcept {
  return file.direct_fd >= 0 && offset % file.direct_alignment == 0 && length % file.direct_alignment == 0;
}

void Pipeline::submit(std::size_t index) {
  Slot& slot = slots_[index];
  const PipelineFile& file = slot.writing ? out_ : in_;
  const std::uint64_t offset = (slot.writing ? range_.out_offset : range_.in_offset) + slot.begin + slot.done;
  const std::size_t left = slot.length - slot.done;
  slot.direct = fits(file, offset, left);
  if (polls_ && !slot.direct) {  // after a short result: for a ring that does not poll
    ends_at(slot.begin + (slot.writing ? slot.done : 0), 0, "");
    ended(slot);
    return;
  }
  slot.all_direct = slot.all_direct && slot.direct;
  const int fd = slot.direct ? file.direct_fd : file.fd;
  std::byte* const memory = slot.lease.data() + slot.done;
  const auto length = static_cast<unsigned>(left);
  // Never null: each slot has one submission at most, and the queue a place for each.
  io_uring_sqe* const s = ring_.next_submission();
  if (slot.buffer_index >= 0) {
    slot.writing ? io_uring_prep_write_fixed(s, fd, memory, length, offset, slot.buffer_index)
                 : io_uring_prep_read_fixed(s, fd, memory, length, offset, slot.buffer_index);
  } else {
    slot.writing ? io_uring_prep_write(s, fd, memory, length, offset)
                 : io_uring_prep_read(s, fd, memory, length, offset);
  }
  s->user_data = index;
}

void Pipeline::completed(std::size_t index, int result) {
  Slot& slot = slots_[index];
  if (result < 0) {
    failed(index, result);
  } else if (slot.writing) {
    write_done(index, static_cast<std::size_t>(result));
  } else {
    read_done(index, static_cast<std::size_t>(result));
  }
}

void Pipeline::failed(std::size_t index, int error) {
  Slot& slot = slots_[index];
  if ((error == -EINTR || error == -EAGAIN) && slot.retries < most_retries) {
    ++slot.retries;
    submit(index);
    return;
  }
  if (slot.direct && !polls_ && (error == -EINVAL || error == -EOPNOTSUPP)) {
    (slot.writing ? out_ : in_).direct_fd = -1;  // says that it can, and cannot
    submit(index);
    return;
  }
  ends_at(slot.begin + slot.done, error, slot.writing ? "pwrite" : "pread");
  if (!slot.writing && slot.done > 0 && slot.begin < end_) {  // what was read before it is good
    slot.length = slot.done;
    slot.done = 0;
    slot.writing = true;
    submit(index);
    return;
  }
  ended(slot);
}

void Pipeline::ended(Slot& slot) noexcept {
  slot.active = false;
  --in_flight_;
}

void Pipeline::read_done(std::size_t index, std::size_t bytes) {
  Slot& slot = slots_[index];
  slot.done += bytes;
  if (bytes > 0 && slot.done < slot.length) {
    submit(index);  // a short read is not the end
    return;
  }
  if (bytes == 0) {
    ends_at(slot.begin + slot.done, 0, "");
    if (slot.done == 0) {
      ended(slot);
      return;
    }
    slot.length = slot.done;
  }
  slot.done = 0;
  slot.writing = true;
  submit(index);
}

void Pipeline::write_done(std::size_t index, std::size_t bytes) {
  Slot& slot = slots_[index];
  if (bytes == 0) {
    ends_at(slot.begin + slot.done, -ENOSPC, "pwrite");  // no room, as GNU's full_write has it
    ended(slot);
    return;
  }
  slot.done += bytes;
  if (slot.done < slot.length) {
    submit(index);
    return;
  }
  result_.direct += slot.all_direct ? slot.length : 0;
  ended(slot);
  if (next_ < end_) {
    begin_chunk(index);
  }
}

// The earliest end counts; what is behind it may have been moved, but nobody may rely on it.
void Pipeline::ends_at(std::uint64_t where, int error, const char* operation) noexcept {
  if (where < end_ || (where == end_ && result_.error == 0 && error != 0)) {
    end_ = where;
    result_.error = error;
    result_.operation = operation;
  }
}

}  // namespace

PipelineResult copy_by_uring(PipelineFile& in, PipelineFile& out, const PipelineRange& range,
                             const PipelineShape& shape) {
  const auto equipped = equipment(shape);
  if (!equipped) {
    PipelineResult refused;
    refused.error = -equipped.error().errno_value();
    refused.operation = equipped.error().operation;
    return refused;
  }
  Pipeline pipeline(**equipped, in, out, range);
  const PipelineResult result = pipeline.run();
  if (pipeline.broken()) {
    all_kept[shape.polls ? 1 : 0].reset();
  }
  return result;
}

void forget_uring_refusal() noexcept { setup_refused.store(0, std::memory_order_relaxed); }

}  // namespace ferry::engine
