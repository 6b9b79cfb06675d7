// The suites of `ferry bench`: each turns options into a plan, which is carried out group by group.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/outcome.hpp"
#include "bench/plan.hpp"
#include "bench/workload.hpp"

namespace ferry::bench {

/// A rival the user names: a shell command with {src} and {dst} for the two paths.
struct CustomRival {
  std::string name;
  std::string command;
};

/// What is in the page cache when a run begins.
enum class Caches : std::uint8_t { warm, cold };

struct SuiteOptions {
  unsigned rounds = 5;
  unsigned warm_ups = 1;
  std::filesystem::path from = "/dev/shm";  ///< Where sources are generated or staged.
  std::filesystem::path to = "/dev/shm";    ///< Where copies are made.
  std::vector<Caches> caches = {Caches::warm};
  std::vector<std::string> peers;  ///< Names of the peers to run; empty: all of the suite.
  std::vector<CustomRival> rivals;
  std::string command_line;  ///< For the report.
};

/// Copying a small tree over an existing copy, again and again, through the APIs of C++, Node and Bun.
struct TreeSuite {
  std::uint64_t copies = 10'000;
  std::optional<std::filesystem::path> source;  ///< Empty: the generated tree of 9 files.
  bool count_system_calls = false;
};
[[nodiscard]] Plan plan_tree(const TreeSuite& suite, const SuiteOptions& options);

/// Listing a tree with the types of its entries, again and again.
struct ReaddirSuite {
  std::uint64_t lists = 1000;
  std::optional<std::filesystem::path> source;  ///< Empty: the generated tree of 9 files.
  bool count_system_calls = false;
};
[[nodiscard]] Plan plan_readdir(const ReaddirSuite& suite, const SuiteOptions& options);

/// The Node.js package against the runtime's own functions, in one process of Node, and one of Bun.
struct NodeSuite {
  std::filesystem::path package = "node";  ///< Its folder.
  std::uint64_t copies = 1000;             ///< Of the small tree, in each round.
};
[[nodiscard]] Plan plan_node(const NodeSuite& suite, const SuiteOptions& options);

/// One tree to be copied once to a fresh name, by whole processes.
struct WholeTree {
  std::string title;
  std::filesystem::path source;     ///< An existing tree, or empty:
  std::optional<FileSet> generate;  ///< the files to make below options.from.
  bool stage = false;               ///< Copy `source` below options.from first.
  bool archive = true;              ///< -a; else -r.
};
/// The trees with known results: "share", "small-files", "medium-files", "flat". Empty for any other name.
[[nodiscard]] std::optional<WholeTree> preset_tree(const std::string& name);
[[nodiscard]] std::vector<std::string> preset_names();
[[nodiscard]] Plan plan_trees(const std::vector<WholeTree>& trees, const SuiteOptions& options);

/// Copying one generated file to a fresh name, by whole processes.
struct FileSuite {
  std::vector<std::uint64_t> sizes_bytes = {std::uint64_t{1} << 30U};
  bool sparse = false;
  bool durable = false;              ///< Time includes making data and name durable.
  std::vector<std::string> methods;  ///< For ferry, each in turn; empty: its own choice.
};
[[nodiscard]] Plan plan_file(const FileSuite& suite, const SuiteOptions& options);

/// ferry::copy_range between two open files: what the kernel offers against the chunked fallback.
struct CopyRangeSuite {
  std::vector<std::uint64_t> sizes_bytes = {1'000'000, 10'000'000, 100'000'000, 1'000'000'000};
  std::uint64_t chunks_size_bytes = 100'000'000;  ///< Of the file that is copied with each chunk size.
};
[[nodiscard]] Plan plan_copy_range(const CopyRangeSuite& suite, const SuiteOptions& options);

/// One file between two open descriptors, by ways that touch its bytes in user space and by ways that do not.
struct ZeroCopySuite {
  std::vector<std::uint64_t> sizes_bytes;
  bool durable = false;
};
/// 1 MiB, 10 MiB, 100 MiB, 1 GiB, 10 GiB: those of at most `largest`, and always the first.
[[nodiscard]] std::vector<std::uint64_t> zero_copy_sizes(std::uint64_t largest);
[[nodiscard]] Plan plan_zero_copy(const ZeroCopySuite& suite, const SuiteOptions& options);

/// Many files at once, by ferry::copy_files and by goroutines.
enum class ConcurrentMode : std::uint8_t {
  automatic,  ///< What ferry chooses, in its default and in place; and both engines by name.
  uring,
  threads,
  both,
};
struct ConcurrentSuite {
  std::vector<FileSet> scenarios;
  ConcurrentMode mode = ConcurrentMode::automatic;
  unsigned workers = 0;
  bool keep = false;  ///< The copies of the last round.
};
/// The seven with known results: 1000 files of 4 KiB to 5 of 50 MiB.
[[nodiscard]] std::vector<FileSet> concurrent_scenarios();
[[nodiscard]] Plan plan_concurrent(const ConcurrentSuite& suite, const SuiteOptions& options);

/// Making one tree like another, again and again, by `ferry sync` and by rsync with the same options.
struct SyncSuite {
  std::uint64_t files = 60'000;
  std::uint64_t bytes = 1'000'000'000;   ///< Of all files together.
  std::uint64_t many_files = 1'000'000;  ///< Empty ones, for what is remembered of each.
  std::uint64_t large_bytes = std::uint64_t{1} << 30U;
  bool on_xfs = false;  ///< On an XFS file system made in options.to; else from options.from to options.to.
};
[[nodiscard]] Plan plan_sync(const SyncSuite& suite, const SuiteOptions& options);

/// Memory-mapped files: what mmap-io publishes, by ferry::MappedFile and by the bare means.
struct MmapSuite {
  std::chrono::milliseconds at_least{50};  ///< That each contender is timed for in a round.
};
/// A failure if the module that holds it is not beside the command, or cannot be loaded.
[[nodiscard]] Outcome<Plan> plan_mmap(const MmapSuite& suite, const SuiteOptions& options);
/// What the module exports.
extern "C" void ferry_plan_mmap(const MmapSuite& suite, const SuiteOptions& options, Plan& plan);

/// What one more file costs in system calls and allocations: the same on every machine with the same kernel and
/// libraries, so that two versions of ferry can be compared by it.
[[nodiscard]] Plan plan_counts(const SuiteOptions& options);
/// The work of plan_counts() that is an API's and no command's: copies `source` over `target`, in place, again and
/// again. Returns the exit status.
int copy_repeatedly(std::uint64_t copies, const std::filesystem::path& source, const std::filesystem::path& target);

}  // namespace ferry::bench
