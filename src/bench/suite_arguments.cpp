#include "bench/suite_arguments.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <ferry/base.hpp>
#include <ferry/copy.hpp>

#include "bench/contenders.hpp"
#include "bench/machine.hpp"

namespace ferry::bench {
namespace {

constexpr unsigned copy_range_iterations = 10;
// On tmpfs there would be nothing to make durable.
constexpr const char* mmap_place = "/var/tmp";

// ---------------------------------------------------------------------------------------------- checks of one value

std::string check_size(const std::string& text) {
  const auto size = parse_size(text);
  if (!size) {
    return "not a size: " + text;
  }
  constexpr std::uint64_t largest = std::uint64_t{1} << 43U;
  return *size == 0 || *size > largest ? "size must be from 1 to 8T: " + text : "";
}

std::string check_rival(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos || text.find("{src}") == std::string::npos ||
      text.find("{dst}") == std::string::npos) {
    return "a rival is NAME=COMMAND with {src} and {dst} in the command: " + text;
  }
  return {};
}

std::string check_expression(const std::string& text) {
  return is_expression(text) ? "" : "not a regular expression: " + text;
}

// ---------------------------------------------------------------------------------------------- the options

void add_rounds(CLI::App& suite, SuiteArguments& arguments, const std::string& names) {
  suite.add_option(names, arguments.common.rounds, "Rounds that count")
      ->check(CLI::Range(1, 1000))
      ->default_str(suite.get_name() == "copy-range" ? std::to_string(copy_range_iterations) : "5");
  suite.add_option("--warm-up", arguments.common.warm_ups, "Rounds before those that count")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
}

void add_places(CLI::App& suite, SuiteArguments& arguments) {
  suite.add_option("--from", arguments.common.from, "Directory to make or stage the source in")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  suite.add_option("--to", arguments.common.to, "Directory to copy to")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
}

void add_grep(CLI::App& suite, SuiteArguments& arguments, const std::string& names = "--grep") {
  suite.add_option(names, arguments.grep, "Measure only what this extended regular expression is found in the name of")
      ->check(CLI::Validator(check_expression, "REGEX"));
}

void add_peers(CLI::App& suite, SuiteArguments& arguments, std::vector<std::string> peers) {
  peers.insert(peers.end(), {"all", "none"});
  suite.add_option("--peers", arguments.common.peers, "Whom to compare with, separated by commas [all]")
      ->delimiter(',')
      ->check(CLI::IsMember(peers));
}

void add_caches(CLI::App& suite, SuiteArguments& arguments) {
  suite.add_flag("--cold", arguments.cold, "Drop the source from the cache before each run (all caches, if root)");
  suite.add_flag("--warm", arguments.warm, "Have the source cached: the default; with --cold, measure both");
}

void add_rivals(CLI::App& suite, SuiteArguments& arguments) {
  suite
      .add_option("--rival", arguments.rivals,
                  "One more rival: NAME=COMMAND, run by sh, with {src} and {dst} for the paths; may be repeated")
      ->check(CLI::Validator(check_rival, "NAME=COMMAND"))
      ->expected(1)
      ->take_all();
}

CLI::App* add_tree(CLI::App& app, SuiteArguments& arguments) {
  CLI::App* const tree = app.add_subcommand(
      "tree",
      "Copy a small tree over an existing copy, in a loop, through the APIs of C++, Node and Bun: a generated tree of "
      "5 directories and 9 files, unless --source names one");
  add_rounds(*tree, arguments, "--rounds");
  add_places(*tree, arguments);
  add_grep(*tree, arguments);
  add_peers(*tree, arguments, {"std", "node", "bun", "cp", "find"});
  tree->add_option("--copies", arguments.tree.copies, "Copies (or lists) in each round [10000; 1000 with --readdir]")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{100'000'000}));
  tree->add_option("--source", arguments.source, "A tree of your own")->check(CLI::ExistingDirectory);
  tree->add_flag("--readdir", arguments.readdir, "List the tree, with the types of its entries, instead of copying it");
  tree->add_flag("--syscalls", arguments.tree.count_system_calls,
                 "Count the system calls of each copy by name, with strace or perf");
  return tree;
}

CLI::App* add_node(CLI::App& app, SuiteArguments& arguments) {
  CLI::App* const node = app.add_subcommand(
      "node", "The functions of the Node.js package against those of Node and Bun, each pair in one process");
  add_rounds(*node, arguments, "--rounds");
  add_places(*node, arguments);
  add_grep(*node, arguments);
  add_peers(*node, arguments, {"node", "bun"});
  node->add_option("--copies", arguments.node.copies, "Copies of the small tree in each round [1000]")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{100'000'000}));
  node->add_option("--package", arguments.node.package, "The package's folder, built by ./dev build node [node]")
      ->check(CLI::ExistingDirectory);
  return node;
}

CLI::App* add_trees(CLI::App& app, SuiteArguments& arguments) {
  CLI::App* const trees = app.add_subcommand("trees", "Copy whole trees to a fresh name, by whole processes");
  add_rounds(*trees, arguments, "--rounds");
  add_places(*trees, arguments);
  add_grep(*trees, arguments);
  add_caches(*trees, arguments);
  add_peers(*trees, arguments, {"cp", "rsync", "tar", "node", "bun"});
  add_rivals(*trees, arguments);
  auto* const preset = trees->add_option("--preset", arguments.presets, "Trees with known results [share]")
                           ->delimiter(',')
                           ->check(CLI::IsMember(preset_names()));
  trees->add_option("--source", arguments.source, "A tree of your own")
      ->check(CLI::ExistingDirectory)
      ->excludes(preset);
  trees->add_option("--flags", arguments.flags, "-a or -r, for ferry and its rivals alike [-a; presets know theirs]")
      ->check(CLI::IsMember({"-a", "-r"}));
  trees->add_flag("--stage", arguments.stage, "Copy the --source into --from first, and measure from there");
  return trees;
}

CLI::Option* add_sizes(CLI::App& suite, SuiteArguments& arguments, const std::string& description) {
  return suite.add_option("--size", arguments.sizes, description)
      ->delimiter(',')
      ->check(CLI::Validator(check_size, "SIZE"));
}

CLI::App* add_file(CLI::App& app, SuiteArguments& arguments) {
  CLI::App* const file = app.add_subcommand("file", "Copy one file to a fresh name, by whole processes");
  add_rounds(*file, arguments, "--rounds");
  add_places(*file, arguments);
  add_grep(*file, arguments);
  add_caches(*file, arguments);
  add_peers(*file, arguments, {"cp", "rsync", "dd"});
  add_rivals(*file, arguments);
  add_sizes(*file, arguments, "Sizes of the file, separated by commas: 1M,100MB,10G [1G]");
  file->add_flag("--fsync", arguments.durable, "The time includes making file and name durable");
  file->add_flag("--sparse", arguments.sparse, "1 MiB of data in every 16 MiB, the rest holes");
  file->add_option("--method", arguments.methods,
                   "Methods for ferry cp to use, each by itself, separated by commas: reflink, copy_file_range, ...")
      ->delimiter(',')
      ->check(CLI::Validator(
          [](const std::string& name) { return parse_copy_method(name) ? "" : "not a copy method: " + name; },
          "METHOD"));
  return file;
}

CLI::App* add_copy_range(CLI::App& app, SuiteArguments& arguments) {
  CLI::App* const suite = app.add_subcommand(
      "copy-range",
      "Copy between two open files: the kernel's fast path against the chunked fallback, and that by chunk size");
  add_rounds(*suite, arguments, "--iterations,--rounds");
  add_places(*suite, arguments);
  add_grep(*suite, arguments);
  add_sizes(*suite, arguments, "Sizes to copy, separated by commas [1MB,10MB,100MB,1GB; 100MB by chunk size]");
  return suite;
}

CLI::App* add_zero_copy(CLI::App& app, SuiteArguments& arguments) {
  CLI::App* const suite = app.add_subcommand(
      "zero-copy",
      "Copy one file by ways that touch its bytes in user space and by ways that do not, buffered and direct");
  add_rounds(*suite, arguments, "--rounds");
  add_places(*suite, arguments);
  add_grep(*suite, arguments);
  add_caches(*suite, arguments);
  add_peers(*suite, arguments, {"cp", "rsync", "dd"});
  add_sizes(*suite, arguments, "Sizes of the file, separated by commas [1M,10M,100M,1G]");
  suite->add_option("--max-size", arguments.largest, "The standard sizes up to this one: 10G adds the largest [1G]")
      ->check(CLI::Validator(check_size, "SIZE"))
      ->excludes("--size");
  suite->add_flag("--fsync", arguments.durable, "The time includes making the file durable");
  return suite;
}

CLI::App* add_concurrent(CLI::App& app, SuiteArguments& arguments) {
  CLI::App* const suite =
      app.add_subcommand("concurrent", "Copy many files at the same time, by ferry::copy_files and by goroutines");
  add_rounds(*suite, arguments, "--rounds");
  add_places(*suite, arguments);
  add_grep(*suite, arguments);
  add_peers(*suite, arguments, {"go"});
  suite->add_option("--files", arguments.files, "How many files [the seven standard scenarios; 50 if --size is given]")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000}));
  add_sizes(*suite, arguments, "Size of each file; of a list, one scenario for each [1M if --files is given]");
  suite
      ->add_option("--mode", arguments.mode,
                   "Engines: auto (its choice, and each by name), uring, threads, both [auto]")
      ->check(CLI::IsMember({"auto", "uring", "threads", "both"}));
  suite->add_option("--workers", arguments.workers, "Threads, or files in flight; 0: by the machine")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
  suite->add_flag("--choose", arguments.choose, "List the scenarios on the terminal and ask which to measure");
  suite->add_flag("--keep", arguments.keep, "Leave the copies of the last round, and say where");
  return suite;
}

CLI::App* add_sync(CLI::App& app, SuiteArguments& arguments) {
  CLI::App* const suite = app.add_subcommand(
      "sync",
      "Make one tree like another, by ferry sync and by rsync with the same options: the first copy, nothing "
      "changed, 1% changed, everything deleted; and a large file of which 1% changed");
  add_rounds(*suite, arguments, "--rounds");
  add_places(*suite, arguments);
  add_grep(*suite, arguments);
  add_caches(*suite, arguments);
  add_peers(*suite, arguments, {"rsync"});
  suite->add_option("--files", arguments.files, "Files of the tree [60000]")
      ->check(CLI::Range(std::uint64_t{2}, std::uint64_t{10'000'000}));
  add_sizes(*suite, arguments, "Size of all files together [1GB]")->expected(1);
  suite->add_option("--large-size", arguments.large_size, "Size of the large file [1G]")
      ->check(CLI::Validator(check_size, "SIZE"));
  suite->add_option("--many-files", arguments.many_files, "Empty files of the tree that shows the memory [1000000]")
      ->check(CLI::Range(std::uint64_t{2}, std::uint64_t{100'000'000}));
  suite->add_flag("--xfs", arguments.on_xfs,
                  "Work on an XFS file system in a loop-mounted file below --to, made for each job (root)");
  return suite;
}

CLI::App* add_mmap(CLI::App& app, SuiteArguments& arguments) {
  CLI::App* const suite = app.add_subcommand(
      "mmap",
      "Memory-mapped files: views, iteration, updates, flushes, atomics, each beside the bare means and beside what "
      "mmap-io publishes");
  add_rounds(*suite, arguments, "--rounds");
  suite->add_option("--to", arguments.common.to, "Directory to make the files in")
      ->check(CLI::ExistingDirectory)
      ->default_str(mmap_place);
  suite->add_option("--min-time", arguments.min_time_ms, "Milliseconds that each contender is timed for in a round")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str()
      ->type_name("MS");
  add_grep(*suite, arguments, "--grep,--filter");
  return suite;
}

CLI::App* add_counts(CLI::App& app, SuiteArguments& arguments) {
  CLI::App* const counts = app.add_subcommand(
      "counts", "Count what one more file costs in system calls and allocations: the same on every run");
  counts->add_option("--to", arguments.common.to, "Directory to make the sources and copies in")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  add_grep(*counts, arguments);
  return counts;
}

// ---------------------------------------------------------------------------------------------- what they mean

std::vector<std::uint64_t> sizes_of(const SuiteArguments& arguments) {
  std::vector<std::uint64_t> sizes;
  sizes.reserve(arguments.sizes.size());
  for (const std::string& text : arguments.sizes) {
    sizes.push_back(parse_size(text).value_or(0));
  }
  std::ranges::sort(sizes);
  sizes.erase(std::ranges::unique(sizes).begin(), sizes.end());
  return sizes;
}

SuiteOptions options_of(const SuiteArguments& arguments) {
  SuiteOptions options = arguments.common;
  for (const std::string& rival : arguments.rivals) {
    const std::size_t equals = rival.find('=');
    options.rivals.push_back({.name = rival.substr(0, equals), .command = rival.substr(equals + 1)});
  }
  if (arguments.cold) {
    options.caches = arguments.warm ? std::vector{Caches::warm, Caches::cold} : std::vector{Caches::cold};
  }
  return options;
}

std::optional<std::filesystem::path> given_source(const SuiteArguments& arguments) {
  return arguments.source.empty() ? std::nullopt : std::optional<std::filesystem::path>(arguments.source);
}

std::vector<WholeTree> trees_of(const SuiteArguments& arguments) {
  std::vector<WholeTree> trees;
  if (!arguments.source.empty()) {
    trees.push_back({.title = "trees: " + ferry::quoted(arguments.source),
                     .source = arguments.source,
                     .generate = {},
                     .stage = arguments.stage});
  } else {
    const std::vector<std::string> names =
        arguments.presets.empty() ? std::vector<std::string>{"share"} : arguments.presets;
    for (const std::string& name : names) {
      trees.push_back(preset_tree(name).value_or(WholeTree{}));
    }
  }
  if (!arguments.flags.empty()) {
    for (WholeTree& tree : trees) {
      tree.archive = arguments.flags == "-a";
    }
  }
  return trees;
}

// tmpfs has nothing but its pages in memory.
Outcome<void> require_cold_place(const SuiteArguments& arguments) {
  const bool in_place = !arguments.source.empty() && !arguments.stage;
  const std::filesystem::path source = in_place ? std::filesystem::path(arguments.source) : arguments.common.from;
  if (arguments.cold && file_system_of(source) == "tmpfs") {
    return std::unexpected("--cold: " + ferry::quoted(source.native()) +
                           " is on tmpfs, which is never cold; choose another --from");
  }
  return {};
}

ZeroCopySuite zero_copy_of(const SuiteArguments& arguments) {
  constexpr std::uint64_t usual_largest = std::uint64_t{1} << 30U;
  const std::uint64_t largest =
      arguments.largest.empty() ? usual_largest : parse_size(arguments.largest).value_or(usual_largest);
  return {.sizes_bytes = arguments.sizes.empty() ? zero_copy_sizes(largest) : sizes_of(arguments),
          .durable = arguments.durable};
}

ConcurrentSuite concurrent_of(const SuiteArguments& arguments) {
  ConcurrentSuite suite{.scenarios = concurrent_scenarios(),
                        .mode = arguments.mode == "uring"     ? ConcurrentMode::uring
                                : arguments.mode == "threads" ? ConcurrentMode::threads
                                : arguments.mode == "both"    ? ConcurrentMode::both
                                                              : ConcurrentMode::automatic,
                        .workers = arguments.workers,
                        .keep = arguments.keep};
  if (arguments.files != 0 || !arguments.sizes.empty()) {
    const std::uint64_t files = arguments.files != 0 ? arguments.files : 50;
    suite.scenarios.clear();
    const auto sizes = arguments.sizes.empty() ? std::vector{std::uint64_t{1} << 20U} : sizes_of(arguments);
    for (const std::uint64_t size : sizes) {
      suite.scenarios.push_back({.files = files, .file_bytes = size});
    }
  }
  return suite;
}

SyncSuite sync_of(const SuiteArguments& arguments) {
  SyncSuite suite{.on_xfs = arguments.on_xfs};
  suite.files = arguments.files != 0 ? arguments.files : suite.files;
  suite.many_files = arguments.many_files != 0 ? arguments.many_files : suite.many_files;
  suite.bytes = arguments.sizes.empty() ? suite.bytes : sizes_of(arguments).front();
  suite.large_bytes = parse_size(arguments.large_size).value_or(suite.large_bytes);
  return suite;
}

Outcome<Plan> mmap_plan(const CLI::App& suite, const SuiteArguments& arguments) {
  SuiteOptions options = options_of(arguments);
  options.to = suite.count("--to") > 0 ? options.to : mmap_place;
  return plan_mmap({.at_least = std::chrono::milliseconds(arguments.min_time_ms)}, options);
}

Plan plan_by_name(const CLI::App& suite, const SuiteArguments& arguments) {
  SuiteOptions options = options_of(arguments);
  const std::string& name = suite.get_name();
  const std::vector<std::uint64_t> sizes = sizes_of(arguments);
  if (name == "tree" && arguments.readdir) {
    ReaddirSuite readdir{.source = given_source(arguments), .count_system_calls = arguments.tree.count_system_calls};
    readdir.lists = suite.count("--copies") > 0 ? arguments.tree.copies : readdir.lists;
    return plan_readdir(readdir, options);
  }
  if (name == "tree") {
    TreeSuite tree = arguments.tree;
    tree.source = given_source(arguments);
    return plan_tree(tree, options);
  }
  if (name == "trees") {
    return plan_trees(trees_of(arguments), options);
  }
  if (name == "file") {
    FileSuite file{.sparse = arguments.sparse, .durable = arguments.durable, .methods = arguments.methods};
    file.sizes_bytes = sizes.empty() ? file.sizes_bytes : sizes;
    return plan_file(file, options);
  }
  if (name == "copy-range") {
    options.rounds = suite.count("--iterations") > 0 ? options.rounds : copy_range_iterations;
    CopyRangeSuite copy_range;
    if (!sizes.empty()) {
      copy_range = {.sizes_bytes = sizes, .chunks_size_bytes = sizes.back()};
    }
    return plan_copy_range(copy_range, options);
  }
  if (name == "node") {
    return plan_node(arguments.node, options);
  }
  if (name == "zero-copy") {
    return plan_zero_copy(zero_copy_of(arguments), options);
  }
  if (name == "concurrent") {
    return plan_concurrent(concurrent_of(arguments), options);
  }
  if (name == "sync") {
    return plan_sync(sync_of(arguments), options);
  }
  return plan_counts(options);
}

}  // namespace

std::vector<CLI::App*> add_suites(CLI::App& app, SuiteArguments& arguments) {
  // Not for people: the API's share of `ferry bench counts`, in a process of its own.
  CLI::App* const repeat = app.add_subcommand("copy-repeatedly")->group("");
  repeat->add_option("copies", arguments.tree.copies)->required();
  repeat->add_option("source", arguments.source)->required();
  repeat->add_option("target", arguments.target)->required();
  return {add_tree(app, arguments),       add_trees(app, arguments),     add_file(app, arguments),
          add_copy_range(app, arguments), add_zero_copy(app, arguments), add_concurrent(app, arguments),
          add_sync(app, arguments),       add_mmap(app, arguments),      add_node(app, arguments),
          add_counts(app, arguments)};
}

Outcome<Plan> plan_suite(const CLI::App& suite, const SuiteArguments& arguments) {
  if (auto cold = require_cold_place(arguments); !cold) {
    return std::unexpected(cold.error());
  }
  auto plan = suite.get_name() == "mmap" ? mmap_plan(suite, arguments) : Outcome<Plan>(plan_by_name(suite, arguments));
  return plan ? choose_groups(std::move(*plan), arguments.grep) : plan;
}

}  // namespace ferry::bench
