#include "file_team.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace ferry_node {
namespace {

using ferry::UniqueFd;

// A second thread of a processor would only help where storage is slow to answer, which page caches are not.
constexpr unsigned most_threads = 8;
// For each thread: enough that none runs dry while the directories are read.
constexpr std::size_t waiting_batches_per_thread = 4;

ferry::CopyOptions without_progress(ferry::CopyOptions copy) {
  copy.on_progress = {};
  return copy;
}

}  // namespace

Outcome<void> DirectoryPair::finish_one() {
  if (unfinished.fetch_sub(1) != 1) {
    return {};
  }
  if (directory.created && ::fchmod(target.get(), mode & 07777U) != 0) {
    return failed(errno, "chmod", destination_path);
  }
  return {};
}

Outcome<ferry::CopyReport> copy_file_at(FilePlacement& placement, int source_dirfd, const char* source, bool follow,
                                        TargetDirectory& directory, const char* destination) {
  // O_NONBLOCK: should a fifo have taken the name, its open must not wait.
  const UniqueFd in(
      ::openat(source_dirfd, source, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW)));
  if (!in) {
    return failed(errno, "copyfile");
  }
  struct ::statx status = {};
  if (const int error = status_of(in.get(), "", 0, status); error != 0) {
    return failed(error, "copyfile");
  }
  if (S_ISFIFO(status.stx_mode) || S_ISDIR(status.stx_mode)) {  // it was a file a moment ago
    return failed(EINVAL, "copyfile");
  }
  return placement.place(in.get(), status, directory, destination);
}

Failure file_failure(Failure failure, const std::string& source, const std::string& destination) {
  if (failure.errno_value == 0) {
    return {.code = "ERR_FS_CP_EINVAL",
            .errno_value = EINVAL,
            .message = "src and dest cannot be the same",
            .path = destination};
  }
  if (failure.errno_value == EISDIR) {
    return {.code = "ERR_FS_CP_NON_DIR_TO_DIR",
            .errno_value = ENOTDIR,
            .message = "cannot overwrite directory " + destination + " with non-directory " + source,
            .path = destination};
  }
  failure.path = source;
  failure.destination = destination;
  return failure;
}

FileTeam::FileTeam(const CpOptions& options, const PlacementOptions& placement)
    : options_(options),
      placement_(placement),
      most_threads_(std::clamp(std::thread::hardware_concurrency(), 1U, most_threads)) {
  workers_.push_back(std::make_unique<Worker>(placement_, without_progress(options_.copy)));
}

FileTeam::~FileTeam() {
  {
    const std::scoped_lock lock(mutex_);
    waiting_.clear();
    ended_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

void FileTeam::add(FileBatch batch) {
  batch.directory->unfinished.fetch_add(1);
  if (threads_.size() + 1 < most_threads_) {
    start_thread();
  }
  std::unique_lock lock(mutex_);
  if (waiting_.size() < threads_.size() * waiting_batches_per_thread) {
    waiting_.push_back(std::move(batch));
    lock.unlock();
    wake_.notify_one();
    return;
  }
  lock.unlock();
  copy(*workers_.front(), batch);
}

void FileTeam::start_thread() {
  auto worker = std::make_unique<Worker>(placement_, without_progress(options_.copy));
  try {
    threads_.emplace_back([this, mine = worker.get()] { work(*mine); });
    workers_.push_back(std::move(worker));
  } catch (const std::system_error&) {
    most_threads_ = threads_.size() + 1;  // no more to be had (EAGAIN): those there are do the work
  }
}

void FileTeam::work(Worker& worker) {
  while (true) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return ended_ || !waiting_.empty(); });
    if (waiting_.empty()) {
      return;
    }
    const FileBatch batch = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    copy(worker, batch);
  }
}

void FileTeam::copy(Worker& worker, const FileBatch& batch) {
  DirectoryPair& pair = *batch.directory;
  TargetDirectory directory = pair.directory;
  for (const char* name = batch.names.c_str(); *name != '\0' && !failed(); name += std::strlen(name) + 1) {
    const auto path = [name](const std::string& parent) {
      return parent.empty() || parent.ends_with('/') ? parent + name : parent + '/' + name;
    };
    if (options_.copy.stop.stop_requested()) {
      fail({.errno_value = ECANCELED,
            .syscall = "cp",
            .path = path(pair.source_path),
            .destination = path(pair.destination_path)});
      break;
    }
    const auto copied = copy_file_at(worker.placement, pair.source.get(), name, false, directory, name);
    if (!copied) {
      fail(file_failure(copied.error(), path(pair.source_path), path(pair.destination_path)));
      break;
    }
    ++worker.report.files;
    worker.report.data.merge(*copied);
    if (copied->source_changed) {
      worker.report.changed_sources.push_back(path(pair.source_path));
    }
  }
  if (auto finished = pair.finish_one(); !finished) {
    fail(std::move(finished.error()));
  }
}

void FileTeam::fail(Failure failure) {
  const std::scoped_lock lock(mutex_);
  if (!failure_) {
    failure_ = std::move(failure);
  }
  failed_.store(true, std::memory_order_relaxed);
}

Outcome<void> FileTeam::finish(CpReport& report) {
  // This thread works, too, until nothing waits.
  std::unique_lock lock(mutex_);
  ended_ = true;
  wake_.notify_all();
  lock.unlock();
  work(*workers_.front());
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
  for (const auto& worker : workers_) {
    report.files += worker->report.files;
    report.data.merge(worker->report.data);
    report.changed_sources.insert(report.changed_sources.end(), worker->report.changed_sources.begin(),
                                  worker->report.changed_sources.end());
  }
  return failure_ ? Outcome<void>(std::unexpected(*failure_)) : Outcome<void>{};
}

}  // namespace ferry_node
