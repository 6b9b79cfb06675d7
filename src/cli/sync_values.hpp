/// \file
/// The values of `ferry sync`'s options in rsync's grammar: sizes, modes, owners, times.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::cli {

/// Why a value is not one; for a message after the option's name ("is invalid", "is too small (min: 512)").
using ValueError = std::string;

/// "10", "1.5m", "10K", "1KB", "2MiB", each with "+1" or "-1" behind it: K is 1024, KB 1000. `default_unit` ('b', 'K')
/// is that of a bare number. An empty text is 0.
[[nodiscard]] std::expected<std::uint64_t, ValueError> parse_rsync_size(std::string_view text, char default_unit);

/// A decimal number, with a sign.
[[nodiscard]] std::expected<std::int64_t, ValueError> parse_integer(std::string_view text);

/// One directive of --chmod, ready to be applied.
struct ModeChange {
  bool directories = true;
  bool files = true;
  bool keep_x = false;  ///< 'X': execute bits only for directories and what has one already.
  std::uint32_t and_bits = 07777;
  std::uint32_t or_bits = 0;
};

/// The directives of "Dg+s,ug+w,Fo-w,+X" and "D2775,F664". Where no u, g, o or a is given, the bits of `umask` are left
/// alone.
[[nodiscard]] std::expected<std::vector<ModeChange>, ValueError> parse_mode_changes(std::string_view text,
                                                                                    std::uint32_t umask);
/// The mode after the changes; the bits of the file type stay.
[[nodiscard]] std::uint32_t apply(const std::vector<ModeChange>& changes, std::uint32_t mode,
                                  bool is_directory) noexcept;

enum class IdKind : std::uint8_t { user, group };

/// --usermap, --groupmap: "FROM:TO,...", the first that matches counts. FROM is a name, a wildcard over names, a number
/// or a range LOW-HIGH, or "*"; an empty one stands for ids without a name. With `numeric_ids` no id has a name. The
/// function may be called by several threads; it asks for each name once.
[[nodiscard]] std::expected<std::function<std::uint32_t(std::uint32_t)>, ValueError> parse_id_map(std::string_view text,
                                                                                                  IdKind kind,
                                                                                                  bool numeric_ids);

/// --stop-at: "2030-12-31T23:59" in local time, or "23:59" of today or tomorrow.
[[nodiscard]] std::expected<std::chrono::system_clock::time_point, ValueError> parse_stop_time(
    std::string_view text, std::chrono::system_clock::time_point now);

/// Whether rsync takes the operand for a place on another machine: "host:path", "host::module", "rsync://host/path".
[[nodiscard]] bool is_remote(std::string_view operand) noexcept;

}  // namespace ferry::cli
