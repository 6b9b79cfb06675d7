/// \file
/// All options of `ferry sync`, one row each: what parses, what --help shows, what is refused and why.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/sync_arguments.hpp"

namespace ferry::cli {

/// What the options said so far, before the rules that join them are applied.
struct SyncDraft {
  SyncCommand command;
  enum class Recursion : std::uint8_t { no, by_archive, yes };
  Recursion recursion = Recursion::no;  ///< --files-from takes back that of -a only
  std::optional<bool> dirs;
  std::optional<bool> relative;
  bool links = false;
  bool copy_links = false;
  bool copy_unsafe_links = false;
  bool safe_links = false;
  unsigned one_file_system = 0;
  bool delete_any = false;
  bool delete_before = false;
  bool delete_during = false;
  bool delete_delay = false;
  bool delete_after = false;
  std::optional<bool> whole_file;
  std::optional<std::string> suffix;
  unsigned per_directory_filters = 0;  ///< how many -F
  bool cvs_exclude = false;
  bool nul_separated = false;
  std::optional<std::string> files_from;
  bool numeric_ids = false;
  std::optional<std::string> user_map;
  std::optional<std::string> group_map;
  bool user_map_by_chown = false;
  bool group_map_by_chown = false;
  std::vector<std::string> mode_changes;
  std::string checksum_choice;
  std::vector<unsigned> thread_limits;
  unsigned verbosity = 0;
  std::vector<std::string> info_words;
};

/// An option as it was given.
struct Occurrence {
  std::string spelling;    ///< "--max-size", "-v": for messages
  std::string_view value;  ///< empty if it has none
  bool has_value = false;
  bool on = true;  ///< false for --no-OPTION
};

using SyncOutcome = std::expected<void, SyncAnswer>;

struct SyncOption {
  enum class Argument : std::uint8_t { none, required, optional };
  enum class Section : std::uint8_t {
    selection,
    comparison,
    attributes,
    deletion,
    writing,
    filters,
    limits,
    output,
    own,
    hidden,       ///< other names of options
    unsupported,  ///< rsync has them; `help` says why we do not, or what to do
  };
  std::string_view name;  ///< without dashes; empty: only the letter
  char letter = '\0';
  Section section = Section::hidden;
  Argument argument = Argument::none;
  std::string_view placeholder;
  bool negatable = false;  ///< --no-NAME and --no-LETTER
  std::string_view help;
  SyncOutcome (*apply)(SyncDraft& draft, const Occurrence& given) = nullptr;
};

[[nodiscard]] std::span<const SyncOption> sync_options() noexcept;

/// A wrong command line: exit status 1.
[[nodiscard]] std::unexpected<SyncAnswer> wrong(std::string message);
/// Something that ferry cannot do: exit status 4.
[[nodiscard]] std::unexpected<SyncAnswer> unsupported(std::string message);

}  // namespace ferry::cli
