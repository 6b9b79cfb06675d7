#include "cli/sync_output.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <utility>

#include "cli/cp_messages.hpp"

namespace ferry::cli {
namespace {

bool is_significant(const SyncEvent& event) noexcept { return event.is_new || event.changes != 0; }

// Skipped and told about in words of their own.
bool is_about_an_entry(SyncAction action) noexcept {
  return action == SyncAction::none || action == SyncAction::transferred || action == SyncAction::created ||
         action == SyncAction::hard_linked || action == SyncAction::deleted;
}

std::string name_with_slash(const SyncEvent& event) {
  std::string name(event.path);
  if (event.type == FileType::directory && !name.ends_with('/')) {
    name += '/';
  }
  return name;
}

std::string link_part(const SyncEvent& event) {
  if (event.link_target.empty()) {
    return "";
  }
  return fmt::format("{}{}", event.action == SyncAction::hard_linked ? " => " : " -> ", event.link_target);
}

char type_letter(FileType type) noexcept {
  switch (type) {
    case FileType::directory: return 'd';
    case FileType::symlink: return 'L';
    case FileType::fifo:
    case FileType::socket: return 'S';
    case FileType::character_device:
    case FileType::block_device: return 'D';
    case FileType::unknown:
    case FileType::regular: return 'f';
  }
  std::unreachable();
}

char action_letter(SyncAction action) noexcept {
  switch (action) {
    case SyncAction::transferred: return '>';
    case SyncAction::created: return 'c';
    case SyncAction::hard_linked: return 'h';
    default: return '.';
  }
}

std::string with_commas(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) {
    digits.insert(at - 3, ",");
  }
  return digits;
}

// Two digits after the point: rsync's rates.
std::string human_decimal(double number, unsigned human) {
  if (human > 1 && number > (human == 2 ? 1000.0 : 1024.0)) {
    return human_number(static_cast<std::uint64_t>(number), human);
  }
  const std::string text = fmt::format("{:.2f}", number);
  const std::size_t point = text.find('.');
  return human == 0 ? text
                    : with_commas(std::strtoull(text.substr(0, point).c_str(), nullptr, 10)) + text.substr(point);
}

std::tm local(std::time_t time) {
  std::tm moment = {};
  localtime_r(&time, &moment);
  return moment;
}

}  // namespace

// ------------------------------------------------------------------------------------------ lines

std::string itemized(const SyncEvent& event) {
  if (event.action == SyncAction::deleted) {
    return "*deleting  ";
  }
  std::string line = {action_letter(event.action), type_letter(event.type)};
  if (event.is_new) {
    return line + "+++++++++";
  }
  const auto letter = [&](SyncChange change, char c) { line += event.has(change) ? c : '.'; };
  letter(SyncChange::content, 'c');
  if (event.type == FileType::symlink) {
    line += '.';
  } else {
    letter(SyncChange::size, 's');
  }
  letter(SyncChange::time, event.has(SyncChange::time_now) ? 'T' : 't');
  letter(SyncChange::mode, 'p');
  letter(SyncChange::owner, 'o');
  letter(SyncChange::group, 'g');
  letter(SyncChange::atime, 'u');
  letter(SyncChange::acl, 'a');
  letter(SyncChange::xattr, 'x');
  if (event.action != SyncAction::transferred && line.find_first_not_of('.', 2) == std::string::npos) {
    line.replace(2, std::string::npos, 9, ' ');
  }
  return line;
}

std::string human_number(std::uint64_t number, unsigned human) {
  if (human == 0) {
    return std::to_string(number);
  }
  const double base = human == 2 ? 1000 : 1024;
  auto amount = static_cast<double>(number);
  if (human == 1 || amount < base) {
    return with_commas(number);
  }
  constexpr std::string_view units = "KMGTP";
  std::size_t unit = 0;
  amount /= base;
  while (amount >= base && unit + 1 < units.size()) {
    amount /= base;
    ++unit;
  }
  return fmt::format("{:.2f}{}", amount, units[unit]);
}

namespace {

// How many bytes at the beginning are one character that may be shown as it is; 0: none. C1 controls may not.
std::size_t utf8_character_size(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first >= 0xC2U && first <= 0xDFU) {
    return continues(1) && (first != 0xC2U || byte(1) >= 0xA0U) ? 2 : 0;
  }
  if (first >= 0xE0U && first <= 0xEFU) {
    const bool overlong = first == 0xE0U && byte(1) < 0xA0U;
    const bool surrogate = first == 0xEDU && byte(1) > 0x9FU;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0U && first <= 0xF4U) {
    const bool overlong = first == 0xF0U && byte(1) < 0x90U;
    const bool too_large = first == 0xF4U && byte(1) > 0x8FU;
    return continues(1) && continues(2) && continues(3) && !overlong && !too_large ? 4 : 0;
  }
  return 0;
}

bool is_octal_escape(std::string_view text) noexcept {
  return text.size() > 4 && text.starts_with("\\#") &&
         std::ranges::all_of(text.substr(2, 3), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::string escaped(std::string_view line, bool eight_bit, bool utf8) {
  std::string shown;
  shown.reserve(line.size());
  while (!line.empty()) {
    const auto byte = static_cast<unsigned char>(line.front());
    std::size_t keep = 1;
    if ((byte < ' ' && byte != '\t') || is_octal_escape(line)) {
      keep = 0;
    } else if (byte >= 0x80 && !eight_bit) {
      keep = utf8 ? utf8_character_size(line) : 0;
    }
    if (keep == 0) {
      shown += fmt::format("\\#{:03o}", byte);
      line.remove_prefix(1);
    } else {
      shown += line.substr(0, keep);
      line.remove_prefix(keep);
    }
  }
  return shown;
}

// ------------------------------------------------------------------------------------------ formats

std::expected<SyncFormat, SyncAnswer> SyncFormat::parse(std::string_view text) {
  const auto answer = [](SyncExit exit, std::string message) {
    return std::unexpected(SyncAnswer{static_cast<int>(exit), std::move(message)});
  };
  SyncFormat format;
  while (!text.empty()) {
    const std::size_t percent = std::min(text.find('%'), text.size());
    if (percent > 0) {
      format.pieces_.push_back({std::string(text.substr(0, percent))});
    }
    text.remove_prefix(percent);
    if (text.empty()) {
      break;
    }
    text.remove_prefix(1);
    Piece piece;
    for (; text.starts_with('\''); text.remove_prefix(1)) {
      ++piece.human;
    }
    const bool left = text.starts_with('-');
    text.remove_prefix(left ? 1 : 0);
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1)) {
      piece.width = std::min(piece.width * 10 + (text.front() - '0'), 4096);
    }
    piece.width = left ? -piece.width : piece.width;
    const char escape = text.empty() ? '\0' : text.front();
    text.remove_prefix(text.empty() ? 0 : 1);
    if (escape == '%') {
      format.pieces_.push_back({"%"});
      continue;
    }
    if (escape != '\0' && std::string_view("ahmPucC").contains(escape)) {
      return answer(SyncExit::unsupported,
                    fmt::format("%{} in a format is not supported by ferry sync: there is no such value here", escape));
    }
    if (escape == '\0' || !std::string_view("inLflbMtopBUG").contains(escape)) {
      return answer(SyncExit::syntax, escape == '\0' ? std::string("a format ends with a lone %")
                                                     : fmt::format("unknown escape %{} in a format", escape));
    }
    piece.escape = escape;
    format.pieces_.push_back(std::move(piece));
  }
  return format;
}

bool SyncFormat::has(char escape) const noexcept {
  return std::ranges::find(pieces_, escape, &Piece::escape) != pieces_.end();
}

std::string SyncFormat::value(const Piece& piece, const SyncEvent& event, std::time_t now, bool with_group) {
  switch (piece.escape) {
    case 'i': return itemized(event);
    case 'n': return name_with_slash(event);
    case 'L': return link_part(event);
    case 'f': {
      const std::string_view path = event.source_path.empty() ? event.path : event.source_path;
      return std::string(path.substr(std::min(path.find_first_not_of('/'), path.size())));
    }
    case 'l': return human_number(event.size_bytes, piece.human);
    case 'b': return human_number(event.bytes_written, piece.human);
    case 'M': return fmt::format("{:%Y/%m/%d-%H:%M:%S}", local(event.mtime_seconds));
    case 't': return fmt::format("{:%Y/%m/%d %H:%M:%S}", local(now));
    case 'o': return event.action == SyncAction::deleted ? "del." : "send";
    case 'p': return std::to_string(getpid());
    case 'B': return permission_string(event.mode & 07777U);
    case 'U': return std::to_string(event.uid);
    case 'G': return with_group ? std::to_string(event.gid) : "DEFAULT";
    default: return piece.text;
  }
}

std::string SyncFormat::line(const SyncEvent& event, std::time_t now, bool with_group) const {
  std::string line;
  for (const Piece& piece : pieces_) {
    const std::string text = value(piece, event, now, with_group);
    line += piece.width < 0 ? fmt::format("{:<{}}", text, -piece.width) : fmt::format("{:>{}}", text, piece.width);
  }
  return line;
}

// ------------------------------------------------------------------------------------------ which lines

namespace {

SyncFormat parsed(std::string_view text) { return SyncFormat::parse(text).value_or(SyncFormat()); }

// What rsync logs if the format does not itemize: what was made or transferred, and directories that changed.
bool is_plain_news(const SyncEvent& event) noexcept {
  switch (event.action) {
    case SyncAction::transferred: return true;
    case SyncAction::created: return is_significant(event);
    case SyncAction::hard_linked: return is_significant(event) || !event.link_target.empty();
    default: return event.type == FileType::directory && is_significant(event);
  }
}

bool is_itemized_news(const SyncEvent& event) noexcept {
  return is_significant(event) || event.action == SyncAction::transferred ||
         (event.action == SyncAction::hard_linked && !event.link_target.empty());
}

}  // namespace

SyncLines::SyncLines(const SyncCommand& command)
    : telling_(command.telling),
      with_group_(command.options.group),
      max_size_bytes_(command.options.max_size_bytes.value_or(std::numeric_limits<std::uint64_t>::max())),
      has_format_(!telling_.format.empty() || telling_.itemize > 0 || telling_.info.names > 0),
      format_(parsed(!telling_.format.empty() ? std::string_view(telling_.format)
                     : telling_.itemize > 0   ? std::string_view("%i %n%L")
                                              : std::string_view("%n%L"))),
      log_format_(parsed(telling_.log_file_format.empty() ? std::string_view("%i %n%L")
                                                          : std::string_view(telling_.log_file_format))) {}

bool SyncLines::tells() const noexcept {
  const InfoLevels& info = telling_.info;
  return !telling_.quiet &&
         (has_format_ || info.deletions + info.non_regular + info.removed_sources + info.skips + info.unsafe_links > 0);
}

std::string SyncLines::message(const SyncEvent& event) const {
  const InfoLevels& info = telling_.info;
  const auto if_told = [](bool told, auto&& make) { return told ? make() : std::string(); };
  switch (event.action) {
    case SyncAction::source_removed:
      return if_told(info.removed_sources > 0, [&] { return fmt::format("sender removed {}", event.path); });
    case SyncAction::skipped_non_regular:
      return if_told(info.non_regular > 0, [&] { return fmt::format("skipping non-regular file \"{}\"", event.path); });
    case SyncAction::skipped_directory: return fmt::format("skipping directory {}", event.path);
    case SyncAction::skipped_existing:
      return if_told(info.skips > 0, [&] { return fmt::format("{} exists", event.path); });
    case SyncAction::skipped_newer:
      return if_told(info.skips > 0, [&] { return fmt::format("{} is newer", event.path); });
    case SyncAction::skipped_missing:
      return if_told(info.skips > 0, [&] {
        return fmt::format("not creating new {} \"{}\"", event.type == FileType::directory ? "directory" : "file",
                           event.path);
      });
    case SyncAction::skipped_size:
      return if_told(info.skips > 0, [&] {
        return fmt::format("{} is {}", event.path,
                           event.size_bytes > max_size_bytes_ ? "over max-size" : "under min-size");
      });
    case SyncAction::skipped_unsafe_link:
      return if_told(info.unsafe_links > 0, [&] {
        return fmt::format("ignoring unsafe symlink \"{}\" -> \"{}\"", event.path, event.link_target);
      });
    case SyncAction::created_root:
      return if_told(info.names > 0 || format_.has('i'),
                     [&] { return fmt::format("created directory {}", event.path); });
    default: return "";
  }
}

std::string SyncLines::for_output(const SyncEvent& event, std::time_t now) const {
  if (telling_.quiet) {
    return "";
  }
  if (!is_about_an_entry(event.action)) {
    return message(event);
  }
  const bool itemizes = has_format_ && format_.has('i');
  if (event.action == SyncAction::deleted) {
    if (!has_format_ && telling_.info.deletions == 0) {
      return "";
    }
    return has_format_ && (itemizes || format_.has('o')) ? format_.line(event, now, with_group_)
                                                         : "deleting " + name_with_slash(event);
  }
  const bool wants_all = telling_.itemize > 1 || telling_.info.names > 1;
  if (has_format_ && (itemizes ? wants_all || is_itemized_news(event) : is_plain_news(event))) {
    return format_.line(event, now, with_group_);
  }
  if (telling_.info.names > 1 && event.type != FileType::directory) {
    return is_significant(event) ? std::string(event.path) : fmt::format("{} is uptodate", event.path);
  }
  return "";
}

std::string SyncLines::for_log(const SyncEvent& event, std::time_t now) const {
  if (!is_about_an_entry(event.action)) {
    return message(event);
  }
  const bool is_news =
      event.action == SyncAction::deleted || (log_format_.has('i') ? is_itemized_news(event) : is_plain_news(event));
  return is_news ? log_format_.line(event, now, with_group_) : "";
}

// ------------------------------------------------------------------------------------------ sums

namespace {

std::string counts_line(std::string_view title, const SyncReport::Counts& counts, unsigned human) {
  const auto text = [&](std::uint64_t count) { return human_number(count, std::min(human, 1U)); };
  std::string parts;
  const auto add = [&](std::string_view name, std::uint64_t count) {
    if (count > 0) {
      parts += fmt::format("{}{}: {}", parts.empty() ? "" : ", ", name, text(count));
    }
  };
  add("reg", counts.regular);
  add("dir", counts.directories);
  add("link", counts.symlinks);
  add("dev", counts.devices);
  add("special", counts.specials);
  return fmt::format("{}: {}{}\n", title, text(counts.total()), parts.empty() ? "" : fmt::format(" ({})", parts));
}

}  // namespace

std::string statistics_block(const SyncReport& report, unsigned human) {
  const auto text = [&](std::uint64_t number) { return human_number(number, human); };
  return counts_line("Number of files", report.found, human) +
         counts_line("Number of created files", report.created, human) +
         counts_line("Number of deleted files", report.deleted, human) +
         fmt::format(
             "Number of regular files transferred: {}\n"
             "Total file size: {} bytes\n"
             "Total transferred file size: {} bytes\n"
             "Literal data: {} bytes\n"
             "Matched data: {} bytes\n"
             "Total bytes sent: {}\n"
             "Total bytes received: 0",
             human_number(report.transferred_files, std::min(human, 1U)), text(report.total_size_bytes),
             text(report.transferred_size_bytes), text(report.literal_bytes), text(report.matched_bytes),
             text(report.literal_bytes));
}

std::string statistics_end(const SyncReport& report, unsigned human, bool dry_run) {
  const double seconds = std::max(std::chrono::duration<double>(report.elapsed).count(), 1e-3);
  const auto sent = static_cast<double>(report.literal_bytes);
  const double speedup = sent > 0 ? static_cast<double>(report.total_size_bytes) / sent : 0;
  return fmt::format("sent {} bytes  received 0 bytes  {} bytes/sec\ntotal size is {}  speedup is {}{}",
                     human_number(report.literal_bytes, human), human_decimal(sent / seconds, human),
                     human_number(report.total_size_bytes, human), human_decimal(speedup, std::min(human, 1U)),
                     dry_run ? " (DRY RUN)" : "");
}

std::string explain_line(const SyncEvent& event) {
  if (event.action != SyncAction::transferred || event.report == nullptr) {
    return "";
  }
  return fmt::format("{}: {}", ferry::quoted(event.path), explain_report(*event.report));
}

std::string describe(const SyncError& error) {
  switch (error.problem) {
    case SyncProblem::vanished: return fmt::format("file has vanished: {}", ferry::quoted(error.error.path));
    case SyncProblem::deletion_limit: return "deletions stopped at the limit of --max-delete";
    case SyncProblem::deletion_skipped: return "a source directory could not be read: nothing is deleted from here on";
    case SyncProblem::cannot_delete_not_empty:
      return fmt::format("cannot delete non-empty directory: {}", error.error.path);  // a line of output, not quoted
    default: return error.error.to_string();
  }
}

// ------------------------------------------------------------------------------------------ names of enumerators

std::string_view to_string(SyncAction action) noexcept {
  switch (action) {
    case SyncAction::none: return "unchanged";
    case SyncAction::transferred: return "transferred";
    case SyncAction::created: return "created";
    case SyncAction::hard_linked: return "hard_linked";
    case SyncAction::deleted: return "deleted";
    case SyncAction::source_removed: return "source_removed";
    case SyncAction::skipped_non_regular: return "skipped_non_regular";
    case SyncAction::skipped_directory: return "skipped_directory";
    case SyncAction::skipped_existing: return "skipped_existing";
    case SyncAction::skipped_newer: return "skipped_newer";
    case SyncAction::skipped_missing: return "skipped_missing";
    case SyncAction::skipped_size: return "skipped_size";
    case SyncAction::skipped_unsafe_link: return "skipped_unsafe_link";
    case SyncAction::created_root: return "created_root";
  }
  std::unreachable();
}

std::string_view to_string(SyncProblem problem) noexcept {
  switch (problem) {
    case SyncProblem::cannot_stat_source: return "cannot_stat_source";
    case SyncProblem::cannot_read_directory: return "cannot_read_directory";
    case SyncProblem::cannot_open_source: return "cannot_open_source";
    case SyncProblem::cannot_read_source: return "cannot_read_source";
    case SyncProblem::vanished: return "vanished";
    case SyncProblem::source_changed: return "source_changed";
    case SyncProblem::cannot_create: return "cannot_create";
    case SyncProblem::cannot_write: return "cannot_write";
    case SyncProblem::cannot_set_attributes: return "cannot_set_attributes";
    case SyncProblem::cannot_delete: return "cannot_delete";
    case SyncProblem::cannot_delete_not_empty: return "cannot_delete_not_empty";
    case SyncProblem::cannot_back_up: return "cannot_back_up";
    case SyncProblem::cannot_link: return "cannot_link";
    case SyncProblem::cannot_remove_source: return "cannot_remove_source";
    case SyncProblem::deletion_skipped: return "deletion_skipped";
    case SyncProblem::deletion_limit: return "deletion_limit";
    case SyncProblem::verify_failed: return "verify_failed";
    case SyncProblem::filter_file: return "filter_file";
    case SyncProblem::stopped: return "stopped";
  }
  std::unreachable();
}

}  // namespace ferry::cli
