// The rows of the mmap suite: what mmap-io publishes, done by ferry, and beside it the same by the bare means.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bench/mmap/timed_loop.hpp"
#include "bench/outcome.hpp"
#include "bench/report.hpp"

namespace ferry::bench {

/// One way of doing a row's work.
struct MmapWay {
  std::string name;
  std::string call;     ///< For people.
  bool own = false;     ///< One of ferry's.
  TimedLoop loop = {};  ///< Its body checks its own result, after the clock has stopped.
};

struct MmapRow {
  std::string name;
  std::uint64_t file_bytes = 0;           ///< Space that its files take, at most.
  std::vector<Published> published = {};  ///< By others, for the same work.
  /// Makes its files in the directory and maps them; they stay mapped as long as the ways live. The first way is
  /// ferry's, the second one the floor, if there is one.
  std::function<Outcome<std::vector<MmapWay>>(const std::filesystem::path& directory)> prepare;
};

/// All, in the order in which they are shown.
[[nodiscard]] std::vector<MmapRow> mmap_rows();

}  // namespace ferry::bench
