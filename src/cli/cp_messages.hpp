/// \file
/// What `ferry cp` says about entries: the words of GNU cp for its situations, our own for ours, and JSON.
#pragma once

#include <string>
#include <string_view>

#include <ferry/tree.hpp>

namespace ferry::cli {

/// The operand being copied, as some messages name it besides the entry.
struct CurrentOperand {
  std::string source;
  std::string destination;
  bool parent_directory = false;  ///< A leading directory made for --parents: GNU cp words these differently.
};

/// One line about a failed entry, without the program's name.
[[nodiscard]] std::string describe(const TreeError& error, const CurrentOperand& operand, LinkMode link_mode);

/// The question of -i. `replaces`: the options (-f, --remove-destination) would remove an unwritable destination.
[[nodiscard]] std::string overwrite_question(std::string_view destination, std::uint32_t mode, bool writable,
                                             bool replaces);
/// "rwsr-xr-t" from the 12 permission bits.
[[nodiscard]] std::string permission_string(std::uint32_t mode);

/// The line of -v: 'a' -> 'b' (backup: 'b~'); empty for events that -v is silent about.
[[nodiscard]] std::string verbose_line(const TreeEvent& event, const CurrentOperand& operand);
/// The line of --debug about a copied file, as cp 9.2 and later print it.
[[nodiscard]] std::string debug_line(const CopyReport& report, const CopyOptions& options);
/// How data was moved: "reflink refused (EXDEV), copy_file_range 4.0 KiB, verified".
[[nodiscard]] std::string explain_report(const CopyReport& report);
/// The line of --explain: what was done, by which methods, and which were refused and why.
[[nodiscard]] std::string explain_line(const TreeEvent& event);

/// One line of JSON about an entry. Names that are not UTF-8 appear with replacement characters, and exactly, in
/// base64, in the field "source_base64" (and likewise for the other names).
[[nodiscard]] std::string json_event(const TreeEvent& event);
[[nodiscard]] std::string json_error(const TreeError& error, std::string_view message);
/// The closing line of JSON. `status` is the exit status, `signal` the number of the signal that ended the job or 0.
[[nodiscard]] std::string json_summary(const TreeReport& report, int status, int signal, bool dry_run);

/// "cannot_stat_source", ...: the enumerator's name.
[[nodiscard]] std::string_view to_string(TreeProblem problem) noexcept;
[[nodiscard]] std::string_view to_string(TreeEventKind kind) noexcept;

}  // namespace ferry::cli
