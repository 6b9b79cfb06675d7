// The files of large trees, copied by several threads: one reads the directories, the others take batches of files.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cp_tree.hpp"
#include "file_placement.hpp"

namespace ferry_node {

/// A directory and its copy. Both are open until the last of their files is done.
struct DirectoryPair {
  ferry::UniqueFd source;
  ferry::UniqueFd target;
  TargetDirectory directory;
  std::string source_path;
  std::string destination_path;
  std::uint32_t mode = 0;  ///< Given to the copy, if it was created, when all is in it: it may forbid to create files.
  /// Batches not done yet, and one for the reading of the directory.
  std::atomic<unsigned> unfinished = 1;

  /// One of `unfinished` is done; the last sets the mode. Thread-safe.
  [[nodiscard]] Outcome<void> finish_one();
};

/// Files of one directory, by their names.
struct FileBatch {
  std::shared_ptr<DirectoryPair> directory;
  std::string names;  ///< Each with its NUL.
  std::size_t count = 0;
};

/// Copies one file into a directory: opens it and has it placed. The failure has no paths yet; see FilePlacement::place
/// for its errno.
[[nodiscard]] Outcome<ferry::CopyReport> copy_file_at(FilePlacement& placement, int source_dirfd, const char* source,
                                                      bool follow, TargetDirectory& directory, const char* destination);
/// That failure as fs.cp words it.
[[nodiscard]] Failure file_failure(Failure failure, const std::string& source, const std::string& destination);

/// Threads that copy batches. add() and finish() are called by one thread; nothing else of the job is touched by the
/// others.
class FileTeam {
 public:
  /// The options must outlive it. No thread is started yet.
  FileTeam(const CpOptions& options, const PlacementOptions& placement);
  FileTeam(const FileTeam&) = delete;
  FileTeam& operator=(const FileTeam&) = delete;
  /// Waits for what was begun; what was not is not copied.
  ~FileTeam();

  /// Has the batch copied by some thread: the calling one, if the others have enough to do. At most a few batches wait,
  /// so that descriptors and memory stay bounded.
  void add(FileBatch batch);
  /// Whether something failed: then nothing more is copied.
  [[nodiscard]] bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }
  /// Waits for all, adds what was done to `report`, and returns the first failure.
  [[nodiscard]] Outcome<void> finish(CpReport& report);

 private:
  // What a thread has of its own.
  struct Worker {
    Worker(const PlacementOptions& options, const ferry::CopyOptions& copy) : placement(options, copy) {}
    FilePlacement placement;
    CpReport report;
  };
  void start_thread();
  void work(Worker& worker);
  void copy(Worker& worker, const FileBatch& batch);
  void fail(Failure failure);

  const CpOptions& options_;
  PlacementOptions placement_;
  std::size_t most_threads_;
  std::vector<std::unique_ptr<Worker>> workers_;  // the first is the calling thread's
  std::vector<std::thread> threads_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<FileBatch> waiting_;
  bool ended_ = false;
  std::atomic<bool> failed_ = false;
  std::optional<Failure> failure_;
};

}  // namespace ferry_node
