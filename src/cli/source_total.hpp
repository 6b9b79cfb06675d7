/// \file
/// How much there is to copy, counted beside the copy, so that a progress line can tell how long it will take.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <ferry/tree.hpp>

namespace ferry::cli {

/// Counts entries and bytes below the sources on a thread of its own, from the moment a progress line is first drawn:
/// copies that are done by then pay nothing. The inodes it looks at are the ones the copy needs next.
class SourceTotal {
 public:
  /// Whether what is counted is what such a copy moves: not if symlinks are followed or files may be skipped.
  [[nodiscard]] static bool is_meaningful(const TreeOptions& options) noexcept;

  SourceTotal(std::vector<std::string> sources, const TreeOptions& options);
  SourceTotal(const SourceTotal&) = delete;
  SourceTotal& operator=(const SourceTotal&) = delete;
  /// Stops counting and waits for the thread.
  ~SourceTotal() = default;

  /// `progress` with the totals in it, once they are known. Thread-safe.
  [[nodiscard]] TreeProgress add_to(TreeProgress progress) const noexcept;

 private:
  void count(const std::vector<std::string>& sources, const std::stop_token& stop);

  const bool counts_links_once_;
  const bool follows_operands_;
  const bool one_file_system_;
  std::atomic<std::uint64_t> bytes_ = 0;
  std::atomic<std::uint64_t> entries_ = 0;
  std::atomic<bool> is_complete_ = false;
  std::jthread thread_;  // last: joined before the rest goes
};

}  // namespace ferry::cli
