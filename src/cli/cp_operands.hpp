/// \file
/// From the operands of `ferry cp` to pairs of exact names.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/cp_arguments.hpp"

namespace ferry::cli {

/// One source and the exact name its copy gets.
struct CpJob {
  std::string source;
  std::string destination;
  /// For --parents: where the part of `destination` that names the source's directories begins.
  std::size_t parents_begin = 0;
};

struct CpJobs {
  std::vector<CpJob> jobs;
  /// Sources that go into one directory may collide: GNU cp then watches for repeated sources.
  bool into_directory = false;
};

/// Decides what is copied where. Complains on standard error about impossible operands, in cp's words.
[[nodiscard]] std::expected<CpJobs, CpExit> resolve_operands(const CpCommand& command);

/// `name` without slashes at its end ("/" stays).
[[nodiscard]] std::string_view without_trailing_slashes(std::string_view name);
/// The part of `name` after the last slash that is followed by something, trailing slashes removed; empty for "/".
[[nodiscard]] std::string_view last_component(std::string_view name);
/// DIRECTORY/NAME with one slash between.
[[nodiscard]] std::string join_name(std::string_view directory, std::string_view name);

/// The name the old `destination` would be renamed to: "x~", or "x.~3~" after the highest number there is.
[[nodiscard]] std::string backup_name(const std::string& destination, Backup backup, std::string_view suffix);

}  // namespace ferry::cli
