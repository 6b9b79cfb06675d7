// Many files: the engine on an event loop. Each file is a coroutine; many are in flight.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <ferry/copy.hpp>
#include <ferry/task.hpp>

#include "copy/files_result.hpp"
#include "copy/segments.hpp"
#include "copy/statistics.hpp"

namespace ferry::engine {
namespace {

constexpr unsigned default_in_flight = 32;
constexpr std::size_t buffer_bytes = std::size_t{128} << 10U;

// What the coroutines of a call share. All on one thread.
struct FilesLoop {
  Loop& loop;
  std::span<const CopyPair> pairs;
  const CopyFilesOptions& options;
  FilesResult& result;
  std::size_t next = 0;
};

// What the loop does itself: whole regular files without holes, to names that are free. For all else there is
// copy_file().
bool is_simple(const CopyOptions& options) noexcept {
  return !options.fsync && !options.verify && !options.preallocate && !options.inplace && !options.direct &&
         options.sparse != SparseMode::always && options.reflink != ReflinkMode::always &&
         options.methods.contains(CopyMethod::uring);
}

Error named(Error error, const std::filesystem::path& path) {
  error.path = path.string();
  return error;
}

// Until the source ends; returns how much that was.
Task<Result<std::uint64_t>> copy_content(FilesLoop& files, const CopyPair& pair, int in, int out, std::uint64_t size) {
  std::uint64_t offset = 0;
  for (;;) {
    // One byte more than there should be: a source that grew is seen.
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer_bytes, size + 1 - offset));
    auto lease = co_await files.loop.read_managed(in, wanted, offset);
    if (!lease) {
      co_return std::unexpected(named(std::move(lease.error()), pair.source));
    }
    if (lease->size() == 0) {
      co_return offset;
    }
    const bool at_end = lease->size() < wanted;
    auto written = co_await files.loop.write_managed(out, std::move(*lease), offset);
    if (!written) {
      co_return std::unexpected(named(std::move(written.error()), pair.destination));
    }
    offset += *written;
    size = std::max(size, offset);
    if (at_end) {
      co_return offset;
    }
    if (files.options.copy.on_progress) {
      files.options.copy.on_progress({offset, size});
    }
  }
}

// Copies to an unnamed file and gives it its name. Empty: not a case for this, and nothing was done.
Task<std::optional<Result<CopyReport>>> copy_simply(FilesLoop& files, const CopyPair& pair) {
  using Answer = std::optional<Result<CopyReport>>;
  Loop& loop = files.loop;
  const auto begin = std::chrono::steady_clock::now();
  auto in = co_await loop.open(AT_FDCWD, pair.source.c_str(), O_RDONLY | O_NOCTTY);
  if (!in) {
    co_return Answer(std::unexpected(named(std::move(in.error()), pair.source)));
  }
  struct ::statx before = {};
  if (auto looked = co_await loop.stat(in->get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, before); !looked) {
    co_return Answer(std::unexpected(named(std::move(looked.error()), pair.source)));
  }
  if (!S_ISREG(before.stx_mode) || before.stx_size == 0 || may_have_holes(before)) {
    co_return std::nullopt;
  }
  const std::string directory = parent_of(pair.destination);
  auto out = co_await loop.open(AT_FDCWD, directory.c_str(), O_TMPFILE | O_WRONLY, before.stx_mode & 0777U);
  if (!out) {
    co_return std::nullopt;
  }
  auto copied = co_await copy_content(files, pair, in->get(), out->get(), before.stx_size);
  if (!copied) {
    co_return Answer(std::unexpected(std::move(copied.error())));
  }
  struct ::statx after = {};
  (void)co_await loop.stat(in->get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, after);
  const bool changed = after.stx_size != before.stx_size || after.stx_mtime.tv_sec != before.stx_mtime.tv_sec ||
                       after.stx_mtime.tv_nsec != before.stx_mtime.tv_nsec ||
                       after.stx_ctime.tv_sec != before.stx_ctime.tv_sec ||
                       after.stx_ctime.tv_nsec != before.stx_ctime.tv_nsec;
  if (*copied != before.stx_size && !changed) {
    co_return std::nullopt;  // a size that means nothing, or an end that came too early: copy_file() tells which
  }
  const std::string unnamed = fmt::format("/proc/self/fd/{}", out->get());
  auto linked = co_await loop.link(AT_FDCWD, unnamed.c_str(), AT_FDCWD, pair.destination.c_str(), AT_SYMLINK_FOLLOW);
  if (!linked) {
    co_return std::nullopt;  // the name is taken, most likely
  }
  CopyReport report;
  report.bytes_by_method[static_cast<std::size_t>(CopyMethod::uring)] = *copied;
  report.bytes_copied = report.size_bytes = *copied;
  report.source_changed = changed;
  report.elapsed = std::chrono::steady_clock::now() - begin;
  count_moved(CopyMethod::uring, *copied);
  // Closed by the loop, too: with many files that is a good part of the work.
  (void)co_await loop.close(std::move(*out));
  (void)co_await loop.close(std::move(*in));
  co_return Answer(report);
}

Task<void> copy_one_after_the_other(FilesLoop& files) {
  const std::stop_token& stop = files.options.copy.stop;
  const bool simple = is_simple(files.options.copy);
  while (files.next < files.pairs.size()) {
    const std::size_t index = files.next++;
    const CopyPair& pair = files.pairs[index];
    std::optional<Result<CopyReport>> result;
    if (stop.stop_requested()) {
      result = fail(ECANCELED, "copy", pair.destination.string());
    } else if (simple) {
      result = co_await copy_simply(files, pair);
    }
    files.result.add(index, result ? *result : copy_file(pair.source, pair.destination, files.options.copy));
  }
}

}  // namespace

Result<void> copy_files_by_uring(std::span<const CopyPair> pairs, const CopyFilesOptions& options,
                                 FilesResult& result) {
  const unsigned in_flight = static_cast<unsigned>(
      std::clamp<std::size_t>(pairs.size(), 1, options.workers == 0 ? default_in_flight : options.workers));
  LoopOptions loop_options;
  loop_options.backend = LoopBackend::uring;
  loop_options.pool_buffers = in_flight;
  loop_options.pool_buffer_bytes = buffer_bytes;
  auto loop = Loop::create(loop_options);
  if (!loop) {
    return std::unexpected(loop.error());
  }
  FilesLoop files{*loop, pairs, options, result};
  std::vector<Task<void>> tasks;
  for (unsigned i = 0; i < in_flight; ++i) {
    tasks.push_back(copy_one_after_the_other(files));
  }
  const auto ran = run(*loop, when_all(std::move(tasks)), options.copy.stop);
  return ran ? Result<void>{} : std::unexpected(ran.error());
}

}  // namespace ferry::engine
