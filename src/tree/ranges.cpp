// One large file copied by several processes: into one file with a temporary name, by aligned ranges. Whoever has the
// entry copies ranges until none is left, and gives others to partners that have nothing to do; when all are back, the
// file gets its name as any other.
#include "base/sys.hpp"
#include "tree/tree_copier_state.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <string>
#include <utility>

namespace ferry {
namespace {

// A multiple of every file system's blocks and stripes.
constexpr std::uint64_t range_bytes = std::uint64_t{32} << 20U;

std::int64_t modified_ns(const struct statx& status) noexcept {
  constexpr std::int64_t second = 1'000'000'000;
  return status.stx_mtime.tv_sec * second + status.stx_mtime.tv_nsec;
}

// What makes it another file, or the same one with other content.
bool is_as_before(const struct statx& before, const struct statx& now) noexcept {
  return before.stx_ino == now.stx_ino && before.stx_size == now.stx_size && modified_ns(before) == modified_ns(now);
}

RangeResult failed(int error, const char* operation) { return {.report = {}, .error = error, .operation = operation}; }

// Error::operation is of static storage.
const char* kept_operation(const std::string& name) {
  for (const char* known : {"openat", "statx", "fdatasync", "close", "copy", "read", "pread", "lseek", "write",
                            "pwrite", "copy_file_range", "splice", "sendfile", "FICLONERANGE", "fallocate"}) {
    if (name == known) {
      return known;
    }
  }
  return "copy";
}

}  // namespace

// Guarded by State::partners_mutex_.
struct TreeCopier::State::SharedCopy {
  Piece piece;  // of any range but for its place in the file
  std::uint64_t size = 0;
  std::uint64_t next = 0;  // the first byte that nobody copies yet
  unsigned given = 0;
  CopyReport report = {};
  RangeResult failure = {};
  std::condition_variable returned;

  [[nodiscard]] std::size_t ranges_left() const noexcept { return (size - next + range_bytes - 1) / range_bytes; }
  // Takes the next range; its length is 0 if there is none, or no use in it.
  [[nodiscard]] PieceRange take(std::atomic<std::size_t>& left) {
    PieceRange range = *piece.range;
    range.offset = next;
    range.length = failure.error != 0 ? 0 : std::min(range_bytes, size - next);
    left -= ranges_left();
    next += range.length;
    if (failure.error != 0) {
      next = size;
    }
    left += ranges_left();
    return range;
  }
};

Result<CopyReport> TreeCopier::State::copy_in_ranges(const SharedFile& file) {
  SharedCopy copy;
  copy.size = file.in_status.stx_size;
  copy.piece.directory = place_of(file.entry.directory);
  copy.piece.entries = {
      {file.entry.is_operand ? file.entry.directory.source_operand : file.entry.source, FileType::regular, false}};
  struct statx out_status = {};
  if (const int result = sys::statx(file.out, "", AT_EMPTY_PATH, STATX_BASIC_STATS, out_status); result < 0) {
    return fail(-result, "statx");
  }
  copy.piece.range = PieceRange{.temporary_name = file.temporary_name,
                                .destination_inode = out_status.stx_ino,
                                .source_inode = file.in_status.stx_ino,
                                .source_size_bytes = copy.size,
                                .source_modified_ns = modified_ns(file.in_status)};
  std::unique_lock lock(partners_mutex_);
  shared_copies_.push_back(&copy);
  ranges_left_ += copy.ranges_left();
  lock.unlock();
  job.options.partners->load_changed();

  CopyOptions options = job.options.copy;
  options.preallocate = false;  // of the whole file, which is done
  options.on_progress = {};
  lock.lock();
  for (PieceRange range = copy.take(ranges_left_); range.length != 0; range = copy.take(ranges_left_)) {
    lock.unlock();
    const auto copied = copy_range(file.in, range.offset, file.out, range.offset, range.length, options);
    const bool is_short = copied && copied->size_bytes != range.length;
    job.bytes_done.fetch_add(copied ? copied->size_bytes : 0, std::memory_order_relaxed);
    lock.lock();
    if (copied && !is_short) {
      copy.report.merge(*copied);
    } else if (copy.failure.error == 0) {
      copy.failure = is_short ? failed(EAGAIN, "copy") : failed(copied.error().errno_value(), copied.error().operation);
    }
  }
  copy.returned.wait(lock, [&] { return copy.given == 0; });
  std::erase(shared_copies_, &copy);
  lock.unlock();
  if (copy.failure.error != 0) {
    return fail(copy.failure.error, kept_operation(copy.failure.operation));
  }
  struct statx now = {};
  const int result = sys::statx(file.in, "", AT_EMPTY_PATH, STATX_BASIC_STATS, now);
  copy.report.source_changed = result < 0 || !is_as_before(file.in_status, now);
  copy.report.size_bytes = copy.size;
  copy.report.verified = false;
  return copy.report;
}

// To be done elsewhere: of the copy that has most left.
std::optional<Piece> TreeCopier::State::give_range() {
  const std::scoped_lock lock(partners_mutex_);
  const auto most = std::ranges::max_element(shared_copies_, {}, &SharedCopy::ranges_left);
  if (most == shared_copies_.end() || (*most)->ranges_left() == 0) {
    return std::nullopt;
  }
  Piece piece = (*most)->piece;
  piece.range = (*most)->take(ranges_left_);
  if (piece.range->length == 0) {
    return std::nullopt;
  }
  piece.id = ++last_id_;
  ++(*most)->given;
  given_ranges_.emplace(piece.id, *most);
  return piece;
}

// With the partners' mutex held.
void TreeCopier::State::range_returned(SharedCopy& copy, const RangeResult& result) {
  if (result.error == 0) {
    copy.report.merge(result.report);
  } else if (copy.failure.error == 0) {
    copy.failure = result;
  }
  --copy.given;
  copy.returned.notify_all();
}

// For a partner.
RangeResult TreeCopier::State::copy_range_of(const Piece& piece) {
  const PieceRange& range = *piece.range;
  const std::optional<Found> found = stopped() ? std::nullopt : find(piece.directory, on_the_way);
  if (!found) {
    return failed(stopped() ? ECANCELED : ESTALE, "openat");
  }
  Directory& directory = *found->directory;
  const bool is_operand = piece.directory.is_operand;
  const bool follow = job.options.dereference == Dereference::always ||
                      (is_operand && job.options.dereference == Dereference::command_line);
  const std::string& to = piece.directory.operand.destination;
  const std::size_t slash = to.rfind('/');
  const std::string temporary =
      is_operand && slash != std::string::npos ? to.substr(0, slash + 1) + range.temporary_name : range.temporary_name;
  const UniqueFd in(job.descriptors.open_within_budget([&] {
    return sys::openat(directory.source_fd(), piece.entries.front().name.c_str(),
                       O_RDONLY | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW));
  }));
  UniqueFd out(job.descriptors.open_within_budget(
      [&] { return sys::openat(directory.destination_fd(), temporary.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK); }));
  job.descriptors.close(directory);
  if (!in || !out) {
    return failed(in ? -out.get() : -in.get(), "openat");
  }
  struct statx in_status = {};
  struct statx out_status = {};
  if (sys::statx(in.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, in_status) < 0 ||
      sys::statx(out.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, out_status) < 0) {
    return failed(EIO, "statx");
  }
  if (in_status.stx_ino != range.source_inode || in_status.stx_size != range.source_size_bytes ||
      modified_ns(in_status) != range.source_modified_ns) {
    return failed(EAGAIN, "copy");
  }
  if (out_status.stx_ino != range.destination_inode) {
    return failed(ESTALE, "openat");
  }
  CopyOptions options = job.options.copy;
  options.preallocate = false;
  options.on_progress = {};
  const auto copied = copy_range(in.get(), range.offset, out.get(), range.offset, range.length, options);
  if (!copied) {
    return failed(copied.error().errno_value(), copied.error().operation);
  }
  job.bytes_done.fetch_add(copied->size_bytes, std::memory_order_relaxed);
  if (copied->size_bytes != range.length) {
    return failed(EAGAIN, "copy");
  }
  // What this machine has written is durable, or known to the servers, by its own calls only.
  if (const int synced = options.fsync ? sys::fdatasync(out.get()) : 0; synced < 0) {
    return failed(-synced, "fdatasync");
  }
  if (const int error = out.close(); error != 0) {
    return failed(error, "close");
  }
  return {.report = *copied, .error = 0, .operation = {}};
}

}  // namespace ferry
