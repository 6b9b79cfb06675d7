// The suites' options on the command line.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "bench/suites.hpp"

namespace ferry::bench {

/// Everything the command line says about what is to be measured.
struct SuiteArguments {
  SuiteOptions common;
  std::string grep;
  std::vector<std::string> rivals;  // NAME=COMMAND
  bool warm = false;
  bool cold = false;
  std::string source;

  TreeSuite tree;
  bool readdir = false;

  NodeSuite node;

  std::vector<std::string> presets;
  std::string flags;
  bool stage = false;

  std::vector<std::string> sizes;
  std::vector<std::string> methods;
  bool sparse = false;
  bool durable = false;

  // zero-copy and concurrent
  std::string largest;
  std::uint64_t files = 0;
  std::string mode;
  unsigned workers = 0;
  bool keep = false;
  bool choose = false;  // a person at the terminal is asked which groups

  // sync
  std::string large_size;
  std::uint64_t many_files = 0;
  bool on_xfs = false;

  // mmap
  unsigned min_time_ms = 50;

  // copy-repeatedly
  std::string target;
};

/// Adds one subcommand for each suite; returns those that print a report.
[[nodiscard]] std::vector<CLI::App*> add_suites(CLI::App& app, SuiteArguments& arguments);

/// What the parsed command line asks for. A failure if its options are right by themselves but wrong together, or if
/// they leave nothing to measure.
[[nodiscard]] Outcome<Plan> plan_suite(const CLI::App& suite, const SuiteArguments& arguments);

}  // namespace ferry::bench
