// The suites of `ferry bench`: each turns options into one job, runs it, and reports.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/outcome.hpp"
#include "bench/report.hpp"
#include "bench/workload.hpp"

namespace ferry::bench {

/// The person waiting: told what runs, and able to interrupt it.
struct Session {
  std::function<void(std::string_view)> tell;
  const std::atomic<bool>& interrupted;
};

/// A rival the user names: a shell command with {src} and {dst} for the two paths.
struct CustomRival {
  std::string name;
  std::string command;
};

struct SuiteOptions {
  unsigned rounds = 5;
  unsigned warm_ups = 1;
  std::filesystem::path from = "/dev/shm";  ///< Where sources are generated or staged.
  std::filesystem::path to = "/dev/shm";    ///< Where copies are made.
  bool cold = false;
  std::vector<std::string> peers;  ///< Names of the peers to run; empty: the suite's usual ones.
  std::vector<CustomRival> rivals;
  std::string command_line;  ///< For the report.
};

/// Copying a small tree over an existing copy, again and again, through the APIs of C++, Node and Bun.
struct LoopSuite {
  std::uint64_t copies = 10'000;
  std::optional<std::filesystem::path> source;  ///< Empty: the generated tree of 9 files.
};
[[nodiscard]] Outcome<Report> run_loop(const LoopSuite& suite, const SuiteOptions& options, const Session& session);

/// Copying a tree once to a fresh name, by whole processes.
struct TreeSuite {
  std::string title;
  std::filesystem::path source;     ///< An existing tree, or empty:
  std::optional<FileSet> generate;  ///< the files to make below options.from.
  bool stage = false;               ///< Copy `source` below options.from first.
  bool archive = true;              ///< -a; else -r.
};
[[nodiscard]] Outcome<Report> run_tree(const TreeSuite& suite, const SuiteOptions& options, const Session& session);

/// Copying one generated file to a fresh name, by whole processes.
struct FileSuite {
  std::uint64_t size_bytes = std::uint64_t{1} << 30U;
  bool sparse = false;
  bool durable = false;  ///< Time includes making data and name durable.
  std::string method;    ///< For ferry; empty: its own choice.
};
[[nodiscard]] Outcome<Report> run_file(const FileSuite& suite, const SuiteOptions& options, const Session& session);

}  // namespace ferry::bench
