/// \file
/// The command line of `ferry cp`: GNU cp's grammar plus our own options.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "cli/terminal.hpp"

#include <ferry/tree.hpp>

namespace ferry::cli {

/// How the program calls itself in messages.
inline constexpr const char* cp_name = "ferry cp";

/// A parsed command line.
struct CpCommand {
  std::vector<std::string> operands;
  std::optional<std::string> target_directory;  ///< -t
  bool no_target_directory = false;             ///< -T
  bool strip_trailing_slashes = false;
  bool parents = false;
  bool interactive = false;  ///< -i, to be turned into tree.on_overwrite
  bool verbose = false;
  bool debug = false;
  bool explain = false;
  bool json = false;
  ProgressMode progress = ProgressMode::automatic;
  TreeOptions tree;
};

/// The command line asks for something else than copying, or cannot be understood; it has been answered on standard
/// output or standard error, and the program ends with this status.
struct CpExit {
  int status = 0;
};

/// Parses `argv` (argv[0] is cp_name, for getopt's messages) as GNU cp does, permuting operands in place. Reads
/// VERSION_CONTROL, SIMPLE_BACKUP_SUFFIX and POSIXLY_CORRECT. Not thread-safe: getopt_long(3).
[[nodiscard]] std::expected<CpCommand, CpExit> parse_cp_arguments(int argc, char** argv);

/// Prints "Try 'ferry cp --help' for more information." and is the exit status of a wrong command line.
[[nodiscard]] CpExit wrong_usage();

/// The text of `ferry cp --help`; headings are bold if `colour`.
[[nodiscard]] std::string cp_help(bool colour);

}  // namespace ferry::cli
