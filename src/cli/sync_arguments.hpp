/// \file
/// The command line of `ferry sync`: rsync's grammar and options, and our own.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ferry/sync.hpp>

namespace ferry::cli {

/// How the program calls itself in messages.
inline constexpr const char* sync_name = "ferry sync";

/// What is told, by rsync's --info levels.
struct InfoLevels {
  unsigned deletions = 0;  ///< del
  unsigned list = 0;       ///< flist
  unsigned misc = 0;
  unsigned names = 0;            ///< name: 1 what changed, 2 what did not
  unsigned non_regular = 1;      ///< nonreg
  unsigned progress = 0;         ///< 1 or 2
  unsigned removed_sources = 0;  ///< remove
  unsigned skips = 0;            ///< skip
  unsigned statistics = 0;       ///< stats: 1 the last two lines, 2 the block of --stats
  unsigned unsafe_links = 0;     ///< symsafe
};

/// How it is told.
struct SyncTelling {
  InfoLevels info;
  bool quiet = false;
  unsigned itemize = 0;         ///< How many -i.
  std::string format;           ///< --out-format; empty: by `itemize` and `info`.
  std::string log_file;         ///< Empty: none.
  std::string log_file_format;  ///< Empty: "%i %n%L".
  unsigned human = 1;           ///< 0 plain digits, 1 with commas, 2 in units of 1000, 3 in units of 1024
  bool eight_bit = false;       ///< -8
  bool json = false;
  bool explain = false;
};

/// A parsed command line.
struct SyncCommand {
  std::vector<std::string> sources;
  std::string destination;
  SyncOptions options;
  SyncTelling telling;
};

/// The command line asks for something else than a sync, or cannot be done: what to write, with `status` 0 to standard
/// output as it is, else to standard error as a message; and the exit status.
struct SyncAnswer {
  int status = 0;
  std::string text;
};

/// Parses the arguments that follow `ferry sync`, as rsync does: names are not abbreviated, later options override
/// earlier ones, options and operands may be mixed up to "--". Reads the file of --files-from and the process's umask.
[[nodiscard]] std::expected<SyncCommand, SyncAnswer> parse_sync_arguments(std::span<const char* const> arguments);

/// The text of `ferry sync --help`; headings are bold if `colour`.
[[nodiscard]] std::string sync_help(bool colour);

}  // namespace ferry::cli
