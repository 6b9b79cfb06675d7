// Many files: the entry, and the engine on threads.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <ferry/copy.hpp>

#include "base/sys.hpp"
#include "copy/copy_settings.hpp"
#include "copy/files_result.hpp"

namespace ferry {
namespace {

constexpr unsigned most_workers = 256;
constexpr auto engine_names = std::to_array<std::string_view>({"auto", "uring", "threads"});

}  // namespace

std::string_view to_string(CopyEngine engine) noexcept { return engine_names[static_cast<std::size_t>(engine)]; }

std::optional<CopyEngine> parse_copy_engine(std::string_view name) noexcept {
  const auto* const found = std::find(engine_names.begin(), engine_names.end(), name);
  return found == engine_names.end() ? std::nullopt
                                     : std::optional(static_cast<CopyEngine>(found - engine_names.begin()));
}

Result<CopyFilesReport> copy_files(std::span<const CopyPair> pairs, const CopyFilesOptions& options) {
  if (options.workers > most_workers) {
    return fail(EINVAL, "copy_files");
  }
  if (const auto chunk = engine::chunk_for(options.copy); !chunk) {
    return std::unexpected(chunk.error());
  }
  if (const auto shape = engine::pipeline_shape_for(options.copy); !shape) {
    return std::unexpected(shape.error());
  }
  const auto begin = std::chrono::steady_clock::now();
  engine::FilesResult result(options);
  if (options.engine == CopyEngine::uring) {
    if (const auto ran = engine::copy_files_by_uring(pairs, options, result); !ran) {
      return std::unexpected(ran.error());
    }
  } else {
    engine::copy_files_by_threads(pairs, options, result);
  }
  CopyFilesReport& report = result.report();
  report.engine = options.engine == CopyEngine::uring ? CopyEngine::uring : CopyEngine::threads;
  report.total.verified = report.total.verified && report.copied > 0;
  report.total.elapsed = std::chrono::steady_clock::now() - begin;
  return std::move(report);
}

namespace engine {

std::string parent_of(const std::filesystem::path& path) {
  const std::size_t slash = path.native().rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.native().substr(0, slash);
}

const char* leaf_of(const std::filesystem::path& path) noexcept {
  const char* const slash = std::strrchr(path.c_str(), '/');
  return slash == nullptr ? path.c_str() : slash + 1;
}

namespace {

// One worker: what copy_file() sets up for each file is kept from one to the next.
class FilesWorker {
 public:
  explicit FilesWorker(const CopyOptions& options) : options_(options), copier_(options) {}

  [[nodiscard]] Result<CopyReport> copy(const CopyPair& pair);

 private:
  [[nodiscard]] bool is_simple() const noexcept { return !options_.fsync; }
  [[nodiscard]] bool enter_directory_of(const std::filesystem::path& destination);
  [[nodiscard]] Result<CopyReport> copy_fresh(const CopyPair& pair, const char* leaf, int in,
                                              const struct ::statx& status);
  [[nodiscard]] Result<CopyReport> in_general(const CopyPair& pair) const {
    return copy_file(pair.source, pair.destination, options_);
  }

  const CopyOptions& options_;
  FileCopier copier_;
  std::string directory_name_;
  UniqueFd directory_;
  std::uint64_t device_ = 0;
  bool expects_old_ = false;  // the last destination existed
};

// A new destination needs no more questions than there are here; for all else there is copy_file().
Result<CopyReport> FilesWorker::copy(const CopyPair& pair) {
  if (options_.stop.stop_requested()) {
    return fail(ECANCELED, "copy", pair.destination.string());
  }
  const char* const leaf = leaf_of(pair.destination);
  const bool leaf_is_a_name = *leaf != '\0' && std::strcmp(leaf, ".") != 0 && std::strcmp(leaf, "..") != 0;
  if (!is_simple() || !leaf_is_a_name || !enter_directory_of(pair.destination)) {
    return in_general(pair);
  }
  if (expects_old_) {
    struct ::statx old = {};
    if (sys::statx(directory_.get(), leaf, AT_SYMLINK_NOFOLLOW, STATX_TYPE, old) != -ENOENT) {
      return in_general(pair);
    }
    expects_old_ = false;
  }
  const UniqueFd in(sys::openat(AT_FDCWD, pair.source.c_str(), O_RDONLY | O_NOCTTY));
  if (!in) {
    return fail(-in.get(), "openat", pair.source.string());
  }
  struct ::statx status = {};
  if (const int error = sys::statx(in.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status); error != 0) {
    return fail(-error, "statx", pair.source.string());
  }
  if (!S_ISREG(status.stx_mode)) {
    return in_general(pair);
  }
  auto copied = copy_fresh(pair, leaf, in.get(), status);
  if (!copied && copied.error().errno_value() == EEXIST) {
    expects_old_ = true;
    return in_general(pair);
  }
  return copied;
}

bool FilesWorker::enter_directory_of(const std::filesystem::path& destination) {
  const std::string& path = destination.native();
  const std::size_t slash = path.rfind('/');
  const std::string_view parent = std::string_view(path).substr(0, slash == std::string::npos ? 0 : slash + 1);
  if (directory_ && parent == directory_name_) {
    return true;
  }
  directory_.reset(sys::openat(AT_FDCWD, parent.empty() ? "." : std::string(parent).c_str(), O_PATH | O_DIRECTORY));
  struct ::statx status = {};
  if (!directory_ || sys::statx(directory_.get(), "", AT_EMPTY_PATH, STATX_INO, status) != 0) {
    directory_.reset();
    return false;
  }
  directory_name_ = parent;
  device_ = makedev(status.stx_dev_major, status.stx_dev_minor);
  return true;
}

// EEXIST: the name is taken, and nothing was done.
Result<CopyReport> FilesWorker::copy_fresh(const CopyPair& pair, const char* leaf, int in,
                                           const struct ::statx& status) {
  const auto named = [&](Error error) {
    const std::string_view operation = error.operation;
    const bool by_source = operation == "read" || operation == "pread" || operation == "lseek";
    error.path = (by_source ? pair.source : pair.destination).string();
    return std::unexpected(std::move(error));
  };
  const mode_t mode = status.stx_mode & 0777U;
  if (options_.inplace) {
    const UniqueFd out(sys::openat(directory_.get(), leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOCTTY, mode));
    if (!out) {
      return fail(-out.get(), "openat", pair.destination.string());
    }
    auto copied = copier_.copy(in, status, out.get(), 0, device_);
    return copied ? copied : named(std::move(copied.error()));
  }
  auto staged = StagedFile::create(directory_.get(), leaf, mode);
  if (!staged) {
    return named(std::move(staged.error()));
  }
  auto copied = copier_.copy(in, status, staged->fd(), 0, device_);
  if (!copied) {
    return named(std::move(copied.error()));
  }
  if (auto committed = staged->commit(StagedFile::Existing::keep); !committed) {
    return named(std::move(committed.error()));
  }
  return copied;
}

unsigned worker_count(const CopyFilesOptions& options, std::size_t files) {
  // Two for each core, as for trees: while one waits for a disk the other works.
  static const unsigned by_machine = std::min(2 * std::max(std::thread::hardware_concurrency(), 1U), 16U);
  const unsigned wanted = options.workers == 0 ? by_machine : options.workers;
  return static_cast<unsigned>(std::clamp<std::size_t>(files, 1, wanted));
}

}  // namespace

void copy_files_by_threads(std::span<const CopyPair> pairs, const CopyFilesOptions& options, FilesResult& result) {
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    FilesWorker worker(options.copy);
    for (std::size_t i = next++; i < pairs.size(); i = next++) {
      result.add(i, worker.copy(pairs[i]));
    }
  };
  const unsigned workers = worker_count(options, pairs.size());
  std::vector<std::jthread> threads;
  try {
    threads.reserve(workers - 1);
    while (threads.size() + 1 < workers) {
      threads.emplace_back(work);
    }
  } catch (const std::system_error&) {  // RLIMIT_NPROC, a cgroup's limit: those there are do it
  }
  work();
}

}  // namespace engine
}  // namespace ferry
