// Collects what became of each file of a copy_files() call.
#pragma once

#include <cstddef>
#include <mutex>

#include <ferry/copy.hpp>

namespace ferry::engine {

class FilesResult {
 public:
  explicit FilesResult(const CopyFilesOptions& options) : options_(options) {
    report_.total.verified = options.copy.verify;
  }

  // Thread-safe.
  void add(std::size_t index, const Result<CopyReport>& result) {
    const std::scoped_lock lock(mutex_);
    if (result) {
      ++report_.copied;
      report_.total.merge(*result);
    } else {
      ++report_.failed;
      if (!report_.first_error) {
        report_.first_error = result.error();
      }
    }
    if (options_.on_result) {
      options_.on_result(index, result);
    }
  }
  // After all threads.
  [[nodiscard]] CopyFilesReport& report() noexcept { return report_; }

 private:
  const CopyFilesOptions& options_;
  std::mutex mutex_;
  CopyFilesReport report_;
};

// The two engines.
void copy_files_by_threads(std::span<const CopyPair> pairs, const CopyFilesOptions& options, FilesResult& result);
[[nodiscard]] Result<void> copy_files_by_uring(std::span<const CopyPair> pairs, const CopyFilesOptions& options,
                                               FilesResult& result);

// The directory part of a path, as open(2) takes it: ".", "/" or what is before the last slash.
[[nodiscard]] std::string parent_of(const std::filesystem::path& path);
// What is behind the last slash; within `path`.
[[nodiscard]] const char* leaf_of(const std::filesystem::path& path) noexcept;

}  // namespace ferry::engine
