#include "cli/cp_messages.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <ferry/ring.hpp>

namespace ferry::cli {
namespace {

std::string with_reason(std::string text, const Error& error) {
  if (error.errno_value() != 0) {
    text += ": " + error.code.message();
  }
  return text;
}

// Whether the source is a fifo: cp has words of its own for it. Only for a message, so a race does not matter.
bool is_fifo(const std::string& path) {
  struct stat status = {};
  return lstat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
}

// Whether `path` is the name of something with a slash too many.
bool is_there_without_slash(std::string path) {
  struct stat status = {};
  while (path.ends_with('/')) {
    path.pop_back();
    if (!path.ends_with('/')) {
      return lstat(path.c_str(), &status) == 0;
    }
  }
  return false;
}

// Names at the beginning of a message are quoted by GNU cp only if they hold unusual characters.
std::string quoted_if_needed(const std::string& name) {
  constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./+,:@%-";
  return !name.empty() && name.find_first_not_of(plain) == std::string::npos ? name : ferry::quoted(name);
}

// A message of a problem whose wording depends on nothing but names and errno. {s}: source, {d}: destination.
struct Wording {
  TreeProblem problem;
  const char* text;
  bool with_errno;
};
constexpr auto wordings = std::to_array<Wording>({
    {TreeProblem::cannot_stat_source, "cannot stat {s}", true},
    {TreeProblem::cannot_open_source, "cannot open {s} for reading", true},
    {TreeProblem::cannot_read_source, "error reading {s}", true},
    {TreeProblem::cannot_read_directory, "cannot access {s}", true},
    {TreeProblem::cannot_read_symlink, "cannot read symbolic link {s}", true},
    {TreeProblem::cannot_stat_destination, "cannot stat {d}", true},
    {TreeProblem::cannot_create_file, "cannot create regular file {d}", true},
    {TreeProblem::cannot_write_destination, "error writing {d}", true},
    {TreeProblem::cannot_copy_data, "error copying {s} to {d}", true},
    {TreeProblem::cannot_create_directory, "cannot create directory {d}", true},
    {TreeProblem::cannot_remove_destination, "cannot remove {d}", true},
    {TreeProblem::cannot_back_up, "cannot backup {d}", true},
    {TreeProblem::cannot_sync, "cannot make {d} durable", true},
    {TreeProblem::cannot_clone, "failed to clone {d} from {s}", true},
    {TreeProblem::cannot_preserve_owner, "failed to preserve ownership for {d}", true},
    {TreeProblem::cannot_preserve_mode, "preserving permissions for {d}", true},
    {TreeProblem::cannot_preserve_times, "preserving times for {d}", true},
    {TreeProblem::cannot_preserve_xattrs, "setting attributes for {d}", true},
    {TreeProblem::cannot_preserve_acls, "preserving permissions for {d}", true},
    {TreeProblem::cannot_preserve_inode_flags, "preserving inode flags for {d}", true},
    {TreeProblem::directory_omitted, "-r not specified; omitting directory {s}", false},
    {TreeProblem::same_file, "{s} and {d} are the same file", false},
    {TreeProblem::overwrite_directory_with_non_directory, "cannot overwrite directory {d} with non-directory", false},
    {TreeProblem::overwrite_non_directory_with_directory, "cannot overwrite non-directory {d} with directory {s}",
     false},
    {TreeProblem::directory_loop, "cannot copy cyclic symbolic link {s}", false},
    {TreeProblem::just_created, "will not overwrite just-created {d} with {s}", false},
    {TreeProblem::dangling_symlink_destination, "not writing through dangling symlink {d}", false},
    {TreeProblem::symlink_leads_outside, "not following symbolic link {d}: it leads out of the destination", false},
    // Two spaces: so does cp.
    {TreeProblem::backup_would_destroy_source, "backing up {d} might destroy source;  {s} not copied", false},
    {TreeProblem::destination_exists, "not replacing {d}", false},
    {TreeProblem::source_changed, "{s} changed while it was copied; {d} may be inconsistent", false},
    {TreeProblem::verify_failed, "verification failed: {d} differs from {s}", false},
    {TreeProblem::canceled, "interrupted at {s}", false},
});

std::string describe_parent(const TreeError& error, const CurrentOperand& operand) {
  switch (error.problem) {
    case TreeProblem::cannot_stat_source:
    case TreeProblem::cannot_open_source:
      return with_reason(fmt::format("failed to get attributes of {}", ferry::quoted(operand.source)), error.error);
    case TreeProblem::overwrite_non_directory_with_directory:
      return fmt::format("{} exists but is not a directory", ferry::quoted(error.destination));
    case TreeProblem::cannot_create_directory:
      return with_reason(fmt::format("cannot make directory {}", ferry::quoted(error.destination)), error.error);
    default: return {};
  }
}

std::string link_failure(const char* kind, TreeError error) {
  if (error.error.errno_value() == ENOTDIR && error.destination.ends_with('/')) {
    error.error.code = std::make_error_code(std::errc::no_such_file_or_directory);  // what link(2) says of "new/"
  }
  return with_reason(fmt::format("cannot create {} link {} to {}", kind, ferry::quoted(error.destination),
                                 ferry::quoted(error.source)),
                     error.error);
}

// The problems whose words depend on more than names and errno.
std::string describe_specially(const TreeError& error, LinkMode link_mode) {
  switch (error.problem) {
    case TreeProblem::cannot_create_hard_link: return link_failure("hard", error);
    case TreeProblem::cannot_create_file:
      if (error.error.errno_value() == ENOTDIR && is_there_without_slash(error.destination)) {
        return with_reason(fmt::format("cannot stat {}", ferry::quoted(error.destination)), error.error);
      }
      switch (link_mode) {
        case LinkMode::copy: return {};
        case LinkMode::hard_link: return link_failure("hard", error);
        case LinkMode::symbolic_link: return link_failure("symbolic", error);
      }
      return {};
    case TreeProblem::cannot_create_symlink:
      if (link_mode == LinkMode::symbolic_link) {
        return link_failure("symbolic", error);
      }
      return with_reason(fmt::format("cannot create symbolic link {}", ferry::quoted(error.destination)), error.error);
    case TreeProblem::cannot_create_special_file:
      return with_reason(fmt::format("cannot create {} {}", is_fifo(error.source) ? "fifo" : "special file",
                                     ferry::quoted(error.destination)),
                         error.error);
    case TreeProblem::relative_symlink_elsewhere:
      return quoted_if_needed(error.destination) + ": can make relative symbolic links only in current directory";
    case TreeProblem::into_itself:
      return fmt::format("cannot copy a directory, {}, into itself, {}", ferry::quoted(error.operand.source),
                         ferry::quoted(error.operand.destination));
    default: return {};
  }
}

}  // namespace

std::string describe(const TreeError& error, const CurrentOperand& operand, LinkMode link_mode) {
  if (operand.parent_directory) {
    if (std::string text = describe_parent(error, operand); !text.empty()) {
      return text;
    }
  }
  if (std::string text = describe_specially(error, link_mode); !text.empty()) {
    return text;
  }
  for (const Wording& wording : wordings) {
    if (wording.problem == error.problem) {
      const std::string text = fmt::format(fmt::runtime(wording.text), fmt::arg("s", ferry::quoted(error.source)),
                                           fmt::arg("d", ferry::quoted(error.destination)));
      return wording.with_errno ? with_reason(text, error.error) : text;
    }
  }
  return fmt::format("cannot copy {} to {}: {}", ferry::quoted(error.source), ferry::quoted(error.destination),
                     error.error.to_string());
}

std::string permission_string(std::uint32_t mode) {
  std::string text = "rwxrwxrwx";
  for (unsigned bit = 0; bit < text.size(); ++bit) {
    if ((mode & (0400U >> bit)) == 0) {
      text[bit] = '-';
    }
  }
  const auto mark = [&](std::uint32_t special, std::size_t at, char with_x, char without_x) {
    if ((mode & special) != 0) {
      text[at] = text[at] == 'x' ? with_x : without_x;
    }
  };
  mark(S_ISUID, 2, 's', 'S');
  mark(S_ISGID, 5, 's', 'S');
  mark(S_ISVTX, 8, 't', 'T');
  return text;
}

std::string overwrite_question(std::string_view destination, std::uint32_t mode, bool writable, bool replaces) {
  const std::uint32_t bits = mode & 07777U;
  if (writable) {
    return fmt::format("overwrite {}? ", ferry::quoted(destination));
  }
  if (replaces) {
    return fmt::format("replace {}, overriding mode {:04o} ({})? ", ferry::quoted(destination), bits,
                       permission_string(mode));
  }
  return fmt::format("unwritable {} (mode {:04o}, {}); try anyway? ", ferry::quoted(destination), bits,
                     permission_string(mode));
}

std::string verbose_line(const TreeEvent& event, const CurrentOperand& operand) {
  switch (event.kind) {
    case TreeEventKind::directory_merged:
    case TreeEventKind::skipped: return {};
    case TreeEventKind::removed: return fmt::format("removed {}", ferry::quoted(event.destination));
    default: break;
  }
  if (operand.parent_directory) {
    return fmt::format("{} -> {}", operand.source, event.destination);  // unquoted: so does cp
  }
  std::string line = fmt::format("{} -> {}", ferry::quoted(event.source), ferry::quoted(event.destination));
  if (!event.backup.empty()) {
    line += fmt::format(" (backup: {})", ferry::quoted(event.backup));
  }
  return line;
}

namespace {

std::uint64_t bytes_by(const CopyReport& report, CopyMethod method) {
  return report.bytes_by_method[static_cast<std::size_t>(method)];
}
int refusal_of(const CopyReport& report, CopyMethod method) {
  return report.refused_errno[static_cast<std::size_t>(method)];
}

std::string_view offload_word(const CopyReport& report) {
  if (bytes_by(report, CopyMethod::copy_file_range) > 0) {
    return "yes";
  }
  if (refusal_of(report, CopyMethod::copy_file_range) != 0) {
    return "unsupported";
  }
  return report.bytes_copied == 0 || bytes_by(report, CopyMethod::reflink) > 0 ? "unknown" : "avoided";
}

std::string_view reflink_word(const CopyReport& report, const CopyOptions& options) {
  if (bytes_by(report, CopyMethod::reflink) > 0) {
    return "yes";
  }
  if (refusal_of(report, CopyMethod::reflink) != 0) {
    return "unsupported";
  }
  return options.reflink == ReflinkMode::never ? "no" : "unknown";
}

std::string_view sparse_word(const CopyReport& report, const CopyOptions& options) {
  const bool zeros = options.sparse == SparseMode::always;
  if (report.hole_bytes > 0) {
    return zeros ? "SEEK_HOLE + zeros" : "SEEK_HOLE";
  }
  return zeros ? "zeros" : "no";
}

}  // namespace

std::string debug_line(const CopyReport& report, const CopyOptions& options) {
  return fmt::format("copy offload: {}, reflink: {}, sparse detection: {}", offload_word(report),
                     reflink_word(report, options), sparse_word(report, options));
}

namespace {

constexpr auto all_methods =
    std::to_array<CopyMethod>({CopyMethod::reflink, CopyMethod::copy_file_range, CopyMethod::splice,
                               CopyMethod::sendfile, CopyMethod::uring, CopyMethod::read_write});

std::string errno_name(int value) {
  const char* name = strerrorname_np(value);  // glibc 2.32
  return name != nullptr ? name : fmt::format("errno {}", value);
}

}  // namespace

std::string explain_report(const CopyReport& report) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  for (const CopyMethod method : all_methods) {
    if (const int refused = refusal_of(report, method); refused != 0) {
      const std::string cause = method == CopyMethod::uring ? ring_refusal_cause(refused) : std::string();
      add(fmt::format("{} refused ({}{}{})", ferry::to_string(method), errno_name(refused), cause.empty() ? "" : ": ",
                      cause));
    }
  }
  for (const CopyMethod method : all_methods) {
    if (const std::uint64_t bytes = bytes_by(report, method); bytes > 0) {
      add(fmt::format("{} {}", ferry::to_string(method), format_size(bytes)));
    }
  }
  if (report.direct_bytes > 0) {
    add(fmt::format("direct {}", format_size(report.direct_bytes)));
  }
  if (report.polled_bytes > 0) {
    add(fmt::format("polled {}", format_size(report.polled_bytes)));
  }
  if (report.polling_refused_errno != 0) {
    add(fmt::format("polling refused ({})", errno_name(report.polling_refused_errno)));
  }
  if (report.hole_bytes > 0) {
    add(fmt::format("holes {}", format_size(report.hole_bytes)));
  }
  if (report.verified) {
    add("verified");
  }
  if (report.source_changed) {
    add("source changed");
  }
  return text.empty() ? "empty" : text;
}

std::string explain_line(const TreeEvent& event) {
  std::string line = event.kind == TreeEventKind::removed
                         ? ferry::quoted(event.destination)
                         : fmt::format("{} -> {}", ferry::quoted(event.source), ferry::quoted(event.destination));
  if (!event.backup.empty()) {
    line += fmt::format(" (backup: {})", ferry::quoted(event.backup));
  }
  if (event.kind == TreeEventKind::copied && event.report != nullptr) {
    return line + ": " + explain_report(*event.report);
  }
  std::string words(to_string(event.kind));
  std::replace(words.begin(), words.end(), '_', ' ');
  return line + ": " + words;
}

// ------------------------------------------------------------------------------------------ names of enumerators

std::string_view to_string(TreeEventKind kind) noexcept {
  switch (kind) {
    case TreeEventKind::copied: return "copied";
    case TreeEventKind::directory_created: return "directory_created";
    case TreeEventKind::directory_merged: return "directory_merged";
    case TreeEventKind::symlink_created: return "symlink_created";
    case TreeEventKind::hard_link_created: return "hard_link_created";
    case TreeEventKind::special_created: return "special_created";
    case TreeEventKind::attributes_copied: return "attributes_copied";
    case TreeEventKind::skipped: return "skipped";
    case TreeEventKind::removed: return "removed";
  }
  std::unreachable();
}

std::string_view to_string(TreeProblem problem) noexcept {
  switch (problem) {
    case TreeProblem::cannot_stat_source: return "cannot_stat_source";
    case TreeProblem::cannot_open_source: return "cannot_open_source";
    case TreeProblem::cannot_read_source: return "cannot_read_source";
    case TreeProblem::cannot_read_directory: return "cannot_read_directory";
    case TreeProblem::cannot_read_symlink: return "cannot_read_symlink";
    case TreeProblem::cannot_stat_destination: return "cannot_stat_destination";
    case TreeProblem::cannot_create_file: return "cannot_create_file";
    case TreeProblem::cannot_write_destination: return "cannot_write_destination";
    case TreeProblem::cannot_copy_data: return "cannot_copy_data";
    case TreeProblem::cannot_create_directory: return "cannot_create_directory";
    case TreeProblem::cannot_create_symlink: return "cannot_create_symlink";
    case TreeProblem::cannot_create_hard_link: return "cannot_create_hard_link";
    case TreeProblem::cannot_create_special_file: return "cannot_create_special_file";
    case TreeProblem::cannot_remove_destination: return "cannot_remove_destination";
    case TreeProblem::cannot_back_up: return "cannot_back_up";
    case TreeProblem::cannot_sync: return "cannot_sync";
    case TreeProblem::cannot_clone: return "cannot_clone";
    case TreeProblem::cannot_preserve_owner: return "cannot_preserve_owner";
    case TreeProblem::cannot_preserve_mode: return "cannot_preserve_mode";
    case TreeProblem::cannot_preserve_times: return "cannot_preserve_times";
    case TreeProblem::cannot_preserve_xattrs: return "cannot_preserve_xattrs";
    case TreeProblem::cannot_preserve_acls: return "cannot_preserve_acls";
    case TreeProblem::cannot_preserve_inode_flags: return "cannot_preserve_inode_flags";
    case TreeProblem::directory_omitted: return "directory_omitted";
    case TreeProblem::same_file: return "same_file";
    case TreeProblem::overwrite_directory_with_non_directory: return "overwrite_directory_with_non_directory";
    case TreeProblem::overwrite_non_directory_with_directory: return "overwrite_non_directory_with_directory";
    case TreeProblem::into_itself: return "into_itself";
    case TreeProblem::directory_loop: return "directory_loop";
    case TreeProblem::just_created: return "just_created";
    case TreeProblem::dangling_symlink_destination: return "dangling_symlink_destination";
    case TreeProblem::symlink_leads_outside: return "symlink_leads_outside";
    case TreeProblem::backup_would_destroy_source: return "backup_would_destroy_source";
    case TreeProblem::relative_symlink_elsewhere: return "relative_symlink_elsewhere";
    case TreeProblem::destination_exists: return "destination_exists";
    case TreeProblem::source_changed: return "source_changed";
    case TreeProblem::verify_failed: return "verify_failed";
    case TreeProblem::canceled: return "canceled";
    case TreeProblem::other: return "other";
  }
  std::unreachable();
}

}  // namespace ferry::cli
