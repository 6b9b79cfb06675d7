/// \file
/// What `ferry sync` says: rsync's lines about entries, its statistics, JSON, --explain.
#pragma once

#include <cstdint>
#include <ctime>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include <ferry/sync.hpp>

#include "cli/sync_arguments.hpp"

namespace ferry::cli {

/// rsync's `YXcstpoguax` of an event: ">f.st......", "cd+++++++++", "*deleting  ". Always 11 characters.
[[nodiscard]] std::string itemized(const SyncEvent& event);

/// A number of --stats and %'l: as `human` of SyncTelling says.
[[nodiscard]] std::string human_number(std::uint64_t number, unsigned human);

/// The line as rsync shows it: control characters but DEL, backslashes that could be taken for the beginning of an
/// escape and, unless `eight_bit`, bytes that are not UTF-8 (or, if not `utf8`, all that are not ASCII) become \#ooo.
[[nodiscard]] std::string escaped(std::string_view line, bool eight_bit, bool utf8);

/// A format of --out-format, taken apart.
class SyncFormat {
 public:
  /// Errors: escapes that rsync has and that mean nothing here (status 4), and unknown ones (1).
  [[nodiscard]] static std::expected<SyncFormat, SyncAnswer> parse(std::string_view text);

  /// Whether the format contains %`escape`.
  [[nodiscard]] bool has(char escape) const noexcept;
  /// The line about the event, not escaped. `now` is for %t. `with_group`: -g is in effect.
  [[nodiscard]] std::string line(const SyncEvent& event, std::time_t now, bool with_group) const;

 private:
  struct Piece {
    std::string text;    // literal
    char escape = '\0';  // or what follows the %
    unsigned human = 0;
    int width = 0;  // negative: flush left
  };
  static std::string value(const Piece& piece, const SyncEvent& event, std::time_t now, bool with_group);
  std::vector<Piece> pieces_;
};

/// The lines, not escaped, that rsync prints about events under the given options.
class SyncLines {
 public:
  /// The formats of the command are valid. Copies what it needs.
  explicit SyncLines(const SyncCommand& command);

  /// The line of standard output; empty: none.
  [[nodiscard]] std::string for_output(const SyncEvent& event, std::time_t now) const;
  /// The line of the log file, without time and process; empty: none.
  [[nodiscard]] std::string for_log(const SyncEvent& event, std::time_t now) const;
  /// Whether for_output() may give lines at all.
  [[nodiscard]] bool tells() const noexcept;

 private:
  [[nodiscard]] std::string message(const SyncEvent& event) const;

  SyncTelling telling_;
  bool with_group_;
  std::uint64_t max_size_bytes_;
  bool has_format_ = false;  // --out-format, -i or names are told
  SyncFormat format_;
  SyncFormat log_format_;
};

/// The block of --stats. rsync counts what its processes say to each other as bytes sent and received; here these are
/// the bytes written, and 0.
[[nodiscard]] std::string statistics_block(const SyncReport& report, unsigned human);
/// "sent 1 bytes  received 0 bytes  2.00 bytes/sec" and "total size is 1  speedup is 1.00".
[[nodiscard]] std::string statistics_end(const SyncReport& report, unsigned human, bool dry_run);

/// The line of --explain: how the data of a transferred file was moved; empty for other events.
[[nodiscard]] std::string explain_line(const SyncEvent& event);

/// The message about an error, without the program's name.
[[nodiscard]] std::string describe(const SyncError& error);

/// One line of JSON. Names as in json_fields.hpp.
[[nodiscard]] std::string json_event(const SyncEvent& event);
[[nodiscard]] std::string json_error(const SyncError& error);
[[nodiscard]] std::string json_summary(const SyncReport& report, bool dry_run);
[[nodiscard]] std::string json_failure(const SyncFailure& failure);

/// "transferred", "cannot_write", ...: the enumerator's name.
[[nodiscard]] std::string_view to_string(SyncAction action) noexcept;
[[nodiscard]] std::string_view to_string(SyncProblem problem) noexcept;

}  // namespace ferry::cli
