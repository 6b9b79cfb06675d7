#include "cli/sync_option_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>

#include "cli/sync_values.hpp"

namespace ferry::cli {
namespace {

using Argument = SyncOption::Argument;
using Section = SyncOption::Section;
using Kind = FilterArgument::Kind;
using Basis = BasisDirectory::Kind;

// ------------------------------------------------------------------------------------------ what options do

template <bool SyncOptions::* field>
SyncOutcome set(SyncDraft& draft, const Occurrence& given) {
  draft.command.options.*field = given.on;
  return {};
}

template <bool SyncDraft::* field>
SyncOutcome mark(SyncDraft& draft, const Occurrence& given) {
  draft.*field = given.on;
  return {};
}

template <std::optional<bool> SyncDraft::* field>
SyncOutcome choose(SyncDraft& draft, const Occurrence& given) {
  draft.*field = given.on;
  return {};
}

template <bool SyncTelling::* field>
SyncOutcome tell(SyncDraft& draft, const Occurrence& given) {
  draft.command.telling.*field = given.on;
  return {};
}

template <std::filesystem::path SyncOptions::* field>
SyncOutcome path(SyncDraft& draft, const Occurrence& given) {
  if (given.value.empty()) {
    return wrong(given.spelling + " needs a name");
  }
  draft.command.options.*field = given.value;
  return {};
}

template <std::optional<std::uint64_t> SyncOptions::* field>
SyncOutcome size(SyncDraft& draft, const Occurrence& given) {
  const auto bytes = parse_rsync_size(given.value, 'b');
  if (!bytes) {
    return wrong(fmt::format("{}={} {}", given.spelling, given.value, bytes.error()));
  }
  draft.command.options.*field = *bytes;
  return {};
}

template <Kind kind>
SyncOutcome filter(SyncDraft& draft, const Occurrence& given) {
  // A file is read in the way of -0 if that came before.
  draft.command.options.filters.push_back({kind, std::string(given.value), draft.nul_separated});
  return {};
}

template <Basis kind>
SyncOutcome basis(SyncDraft& draft, const Occurrence& given) {
  auto& all = draft.command.options.basis;
  if (!all.empty() && all.front().kind != kind) {
    return wrong("the options --compare-dest, --copy-dest, --link-dest and --reflink-dest exclude each other");
  }
  all.push_back({kind, given.value});
  return {};
}

// A whole number within limits.
std::expected<std::int64_t, SyncAnswer> number(const Occurrence& given, std::int64_t least, std::int64_t most) {
  const auto value = parse_integer(given.value);
  if (!value) {
    return wrong(fmt::format("{}={} {}", given.spelling, given.value, value.error()));
  }
  if (*value < least || *value > most) {
    return wrong(fmt::format("{}={} is out of range: {} to {} are possible", given.spelling, given.value, least, most));
  }
  return *value;
}

constexpr std::int64_t any_number = std::int64_t{1} << 50U;

SyncOutcome archive(SyncDraft& draft, const Occurrence& /*given*/) {
  SyncOptions& options = draft.command.options;
  if (draft.recursion == SyncDraft::Recursion::no) {
    draft.recursion = SyncDraft::Recursion::by_archive;
  }
  draft.links = true;
  options.permissions = true;
  options.times = true;
  options.group = true;
  options.owner = true;
  options.devices = true;
  options.specials = true;
  return {};
}

SyncOutcome recursive(SyncDraft& draft, const Occurrence& given) {
  draft.recursion = given.on ? SyncDraft::Recursion::yes : SyncDraft::Recursion::no;
  return {};
}

SyncOutcome devices_and_specials(SyncDraft& draft, const Occurrence& given) {
  draft.command.options.devices = given.on;
  draft.command.options.specials = given.on;
  return {};
}

SyncOutcome acls(SyncDraft& draft, const Occurrence& given) {
  draft.command.options.acls = given.on;
  draft.command.options.permissions = draft.command.options.permissions || given.on;
  return {};
}

SyncOutcome one_file_system(SyncDraft& draft, const Occurrence& given) {
  draft.one_file_system = given.on ? draft.one_file_system + 1 : 0;
  return {};
}

SyncOutcome modify_window(SyncDraft& draft, const Occurrence& given) {
  const auto seconds = number(given, -any_number, any_number);
  if (!seconds) {
    return std::unexpected(seconds.error());
  }
  draft.command.options.modify_window_seconds = *seconds;
  return {};
}

SyncOutcome checksum_choice(SyncDraft& draft, const Occurrence& given) {
  constexpr auto known =
      std::to_array<std::string_view>({"auto", "xxh128", "xxh3", "xxh64", "xxhash", "md5", "md4", "sha1", "none"});
  const std::string_view file_choice = given.value.substr(given.value.find(',') + 1);
  for (const std::string_view choice : {given.value.substr(0, given.value.find(',')), file_choice}) {
    if (std::ranges::find(known, choice) == known.end()) {
      return unsupported(fmt::format("{}: unknown checksum {}", given.spelling, ferry::quoted(choice)));
    }
  }
  draft.checksum_choice = file_choice;
  return {};
}

SyncOutcome chmod(SyncDraft& draft, const Occurrence& given) {
  draft.mode_changes.emplace_back(given.value);
  return {};
}

SyncOutcome set_user_map(SyncDraft& draft, std::string map, bool by_chown) {
  if (draft.user_map) {
    return wrong(draft.user_map_by_chown == by_chown ? "the owner can be mapped only once, by --usermap or --chown"
                                                     : "--usermap and --chown exclude each other");
  }
  draft.user_map = std::move(map);
  draft.user_map_by_chown = by_chown;
  draft.command.options.owner = true;
  return {};
}

SyncOutcome set_group_map(SyncDraft& draft, std::string map, bool by_chown) {
  if (draft.group_map) {
    return wrong(draft.group_map_by_chown == by_chown ? "the group can be mapped only once, by --groupmap or --chown"
                                                      : "--groupmap and --chown exclude each other");
  }
  draft.group_map = std::move(map);
  draft.group_map_by_chown = by_chown;
  draft.command.options.group = true;
  return {};
}

SyncOutcome user_map(SyncDraft& draft, const Occurrence& given) {
  return set_user_map(draft, std::string(given.value), false);
}

SyncOutcome group_map(SyncDraft& draft, const Occurrence& given) {
  return set_group_map(draft, std::string(given.value), false);
}

SyncOutcome chown(SyncDraft& draft, const Occurrence& given) {
  const std::size_t colon = given.value.find(':');
  const std::string_view user = given.value.substr(0, colon);
  const std::string_view group = colon == std::string_view::npos ? "" : given.value.substr(colon + 1);
  if (!user.empty()) {
    if (auto done = set_user_map(draft, fmt::format("*:{}", user), true); !done) {
      return done;
    }
  }
  return group.empty() ? SyncOutcome() : set_group_map(draft, fmt::format("*:{}", group), true);
}

SyncOutcome max_delete(SyncDraft& draft, const Occurrence& given) {
  const auto count = number(given, -any_number, any_number);
  if (!count) {
    return std::unexpected(count.error());
  }
  draft.command.options.max_delete = static_cast<std::uint64_t>(std::max<std::int64_t>(*count, 0));
  return {};
}

SyncOutcome delete_excluded(SyncDraft& draft, const Occurrence& /*given*/) {
  draft.delete_any = true;
  draft.command.options.delete_excluded = true;
  return {};
}

SyncOutcome append_verify(SyncDraft& draft, const Occurrence& given) {
  draft.command.options.append = given.on;
  draft.command.options.append_verify = given.on;
  return {};
}

SyncOutcome append(SyncDraft& draft, const Occurrence& given) {
  draft.command.options.append = given.on;
  draft.command.options.append_verify = false;
  return {};
}

SyncOutcome backup_dir(SyncDraft& draft, const Occurrence& given) {
  draft.command.options.backup = true;
  return path<&SyncOptions::backup_dir>(draft, given);
}

SyncOutcome suffix(SyncDraft& draft, const Occurrence& given) {
  draft.suffix = std::string(given.value);
  return {};
}

SyncOutcome partial_dir(SyncDraft& draft, const Occurrence& given) {
  draft.command.options.partial = true;
  return path<&SyncOptions::partial_dir>(draft, given);
}

SyncOutcome per_directory_filter(SyncDraft& draft, const Occurrence& /*given*/) {
  ++draft.per_directory_filters;
  if (draft.per_directory_filters <= 2) {
    draft.command.options.filters.push_back(
        {Kind::rule, draft.per_directory_filters == 1 ? ": /.rsync-filter" : "- .rsync-filter", false});
  }
  return {};
}

SyncOutcome files_from(SyncDraft& draft, const Occurrence& given) {
  if (given.value.starts_with(':') || is_remote(given.value)) {
    return unsupported(fmt::format("{}: a list on another machine is not supported yet", given.spelling));
  }
  draft.files_from = std::string(given.value);
  return {};
}

SyncOutcome bandwidth(SyncDraft& draft, const Occurrence& given) {
  if (!given.on) {
    draft.command.options.bandwidth_bytes_per_second = 0;
    return {};
  }
  const auto bytes = parse_rsync_size(given.value, 'K');
  if (!bytes) {
    return wrong(fmt::format("{}={} {}", given.spelling, given.value, bytes.error()));
  }
  if (*bytes != 0 && *bytes < 512) {
    return wrong(
        fmt::format("{}={} is too small: 512 bytes a second at least, or 0 for no limit", given.spelling, given.value));
  }
  draft.command.options.bandwidth_bytes_per_second = *bytes;
  return {};
}

SyncOutcome timeout(SyncDraft& draft, const Occurrence& given) {
  draft.command.options.timeout = {};
  if (given.on) {
    const auto seconds = number(given, 0, std::int64_t{1} << 31U);
    if (!seconds) {
      return std::unexpected(seconds.error());
    }
    draft.command.options.timeout = std::chrono::seconds(*seconds);
  }
  return {};
}

SyncOutcome stop_after(SyncDraft& draft, const Occurrence& given) {
  char* end = nullptr;
  const std::string text(given.value);
  const double minutes = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(minutes > 0) || !(minutes < 1e8)) {
    return wrong(fmt::format("{}={} is invalid: give a number of minutes", given.spelling, text));
  }
  draft.command.options.stop_at =
      std::chrono::system_clock::now() +
      std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::duration<double>(minutes * 60));
  return {};
}

SyncOutcome stop_at(SyncDraft& draft, const Occurrence& given) {
  const auto when = parse_stop_time(given.value, std::chrono::system_clock::now());
  if (!when) {
    return wrong(fmt::format("{}={} {}", given.spelling, given.value, when.error()));
  }
  draft.command.options.stop_at = *when;
  return {};
}

SyncOutcome verbose(SyncDraft& draft, const Occurrence& given) {
  draft.verbosity = given.on ? draft.verbosity + 1 : 0;
  return {};
}

SyncOutcome info(SyncDraft& draft, const Occurrence& given) {
  draft.info_words.emplace_back(given.value);
  return {};
}

SyncOutcome statistics(SyncDraft& draft, const Occurrence& /*given*/) {
  draft.info_words.emplace_back("stats2");
  return {};
}

SyncOutcome progress(SyncDraft& draft, const Occurrence& given) {
  draft.info_words.emplace_back(given.on ? "name,flist2,progress" : "progress0");
  return {};
}

SyncOutcome partial_and_progress(SyncDraft& draft, const Occurrence& given) {
  draft.command.options.partial = true;
  return progress(draft, given);
}

SyncOutcome itemize(SyncDraft& draft, const Occurrence& given) {
  draft.command.telling.itemize = given.on ? draft.command.telling.itemize + 1 : 0;
  return {};
}

SyncOutcome human(SyncDraft& draft, const Occurrence& given) {
  draft.command.telling.human = given.on ? std::min(draft.command.telling.human + 1, 3U) : 0;
  return {};
}

template <std::string SyncTelling::* field>
SyncOutcome tell_text(SyncDraft& draft, const Occurrence& given) {
  draft.command.telling.*field = given.value;
  return {};
}

SyncOutcome queue_depth(SyncDraft& draft, const Occurrence& given) {
  const auto depth = number(given, 1, 256);
  if (!depth) {
    return std::unexpected(depth.error());
  }
  draft.command.options.copy.queue_depth = static_cast<unsigned>(*depth);
  return {};
}

SyncOutcome threads(SyncDraft& draft, const Occurrence& given) {
  const auto count = number(given, 1, 256);
  if (!count) {
    return std::unexpected(count.error());
  }
  draft.thread_limits.push_back(static_cast<unsigned>(*count));
  return {};
}

SyncOutcome buffer_size(SyncDraft& draft, const Occurrence& given) {
  const auto size = number(given, static_cast<std::int64_t>(min_copy_chunk_size_bytes >> 10U),
                           static_cast<std::int64_t>(max_copy_chunk_size_bytes >> 10U));
  if (!size) {
    return std::unexpected(size.error());
  }
  draft.command.options.copy.chunk_size_bytes = static_cast<std::size_t>(*size) << 10U;
  return {};
}

SyncOutcome copy_method(SyncDraft& draft, const Occurrence& given) {
  if (given.value == "auto") {
    draft.command.options.copy.methods = CopyMethodSet::all();
    return {};
  }
  CopyMethodSet methods;
  for (std::string_view rest = given.value;;) {
    const std::size_t comma = rest.find(',');
    const auto method = parse_copy_method(rest.substr(0, comma));
    if (!method) {
      return wrong(
          fmt::format("{}: {} is no method: auto, reflink, copy_file_range, splice, sendfile, uring, read_write",
                      given.spelling, ferry::quoted(rest.substr(0, comma))));
    }
    methods.insert(*method);
    if (comma == std::string_view::npos) {
      break;
    }
    rest.remove_prefix(comma + 1);
  }
  draft.command.options.copy.methods = methods;
  return {};
}

SyncOutcome reflink(SyncDraft& draft, const Occurrence& given) {
  ReflinkMode& mode = draft.command.options.copy.reflink;
  if (!given.has_value || given.value == "always") {
    mode = ReflinkMode::always;
  } else if (given.value == "auto") {
    mode = ReflinkMode::automatic;
  } else if (given.value == "never") {
    mode = ReflinkMode::never;
  } else {
    return wrong(fmt::format("{}={} is invalid: always, auto or never", given.spelling, given.value));
  }
  return {};
}

template <bool retry_only>
SyncOutcome journal(SyncDraft& draft, const Occurrence& given) {
  if (!draft.command.options.journal.empty()) {
    return wrong("only one of --resume and --retry-failed can be given, once");
  }
  draft.command.options.retry_failed_only = retry_only;
  return path<&SyncOptions::journal>(draft, given);
}

SyncOutcome adaptive_off(SyncDraft& draft, const Occurrence& /*given*/) {
  draft.command.options.adaptive = false;
  return {};
}

SyncOutcome handled_elsewhere(SyncDraft& /*draft*/, const Occurrence& /*given*/) { return {}; }

// ------------------------------------------------------------------------------------------ the table

using Apply = SyncOutcome (*)(SyncDraft&, const Occurrence&);

// An option without argument; one that --no-NAME switches off; one with an argument; another name; one we do not have.
constexpr SyncOption flag(Section section, std::string_view name, char letter, Apply apply, std::string_view help) {
  return {name, letter, section, Argument::none, "", false, help, apply};
}
constexpr SyncOption toggle(Section section, std::string_view name, char letter, Apply apply, std::string_view help) {
  return {name, letter, section, Argument::none, "", true, help, apply};
}
constexpr SyncOption value(Section section, std::string_view name, char letter, std::string_view placeholder,
                           Apply apply, std::string_view help) {
  return {name, letter, section, Argument::required, placeholder, false, help, apply};
}
constexpr SyncOption alias(std::string_view name, Apply apply, Argument argument = Argument::none) {
  return {name, '\0', Section::hidden, argument, "", false, "", apply};
}
constexpr SyncOption missing(std::string_view name, char letter, std::string_view why, bool negatable = false) {
  return {name, letter, Section::unsupported, Argument::none, "", negatable, why, nullptr};
}

constexpr std::string_view remote_only = "it is about other machines, which ferry sync does not reach yet";
constexpr std::string_view compress_only = "nothing is compressed on the way, as everything is on this machine";
constexpr std::string_view leave_out = "it is not needed here: leave it out";

constexpr auto table = std::to_array<SyncOption>({
    flag(Section::selection, "archive", 'a', archive, "same as -rlptgoD (not -A, -X, -U, -N, -H)"),
    toggle(Section::selection, "recursive", 'r', recursive, "descend into directories"),
    toggle(Section::selection, "dirs", 'd', choose<&SyncDraft::dirs>, "directories without their contents"),
    toggle(Section::selection, "relative", 'R', choose<&SyncDraft::relative>, "keep the whole path of each SOURCE"),
    flag(
        Section::selection, "no-implied-dirs", '\0',
        [](SyncDraft& draft, const Occurrence&) -> SyncOutcome {
          draft.command.options.implied_dirs = false;
          return {};
        },
        "with -R, leave the attributes of the directories on the way alone"),
    flag(Section::selection, "mkpath", '\0', set<&SyncOptions::mkpath>, "make the directories that lead to DEST"),
    toggle(Section::selection, "links", 'l', mark<&SyncDraft::links>, "copy symlinks as symlinks"),
    flag(Section::selection, "copy-links", 'L', mark<&SyncDraft::copy_links>, "copy what symlinks lead to"),
    flag(Section::selection, "copy-unsafe-links", '\0', mark<&SyncDraft::copy_unsafe_links>,
         "copy what symlinks that leave the tree lead to"),
    flag(Section::selection, "safe-links", '\0', mark<&SyncDraft::safe_links>, "ignore symlinks that leave the tree"),
    flag(Section::selection, "copy-dirlinks", 'k', set<&SyncOptions::copy_dirlinks>,
         "take symlinks to directories for directories"),
    flag(Section::selection, "keep-dirlinks", 'K', set<&SyncOptions::keep_dirlinks>,
         "keep symlinks to directories in DEST"),
    toggle(Section::selection, "devices", '\0', set<&SyncOptions::devices>, "copy device files (as root)"),
    toggle(Section::selection, "specials", '\0', set<&SyncOptions::specials>, "copy fifos and sockets"),
    toggle(Section::selection, "", 'D', devices_and_specials, "same as --devices --specials"),
    toggle(Section::selection, "one-file-system", 'x', one_file_system,
           "stay on one file system; -xx: leave out mount points, too"),
    toggle(Section::selection, "prune-empty-dirs", 'm', set<&SyncOptions::prune_empty_dirs>,
           "leave out directories in which nothing would be"),
    flag(Section::selection, "existing", '\0', set<&SyncOptions::existing>, "make nothing new"),
    flag(Section::selection, "ignore-existing", '\0', set<&SyncOptions::ignore_existing>,
         "leave files that are in DEST alone"),
    flag(Section::selection, "remove-source-files", '\0', set<&SyncOptions::remove_source_files>,
         "remove each non-directory that was copied from SOURCE"),
    value(Section::selection, "max-size", '\0', "SIZE", size<&SyncOptions::max_size_bytes>,
          "leave out files that are larger"),
    value(Section::selection, "min-size", '\0', "SIZE", size<&SyncOptions::min_size_bytes>,
          "leave out files that are smaller"),

    toggle(Section::comparison, "checksum", 'c', set<&SyncOptions::checksum>, "by contents, not by size and time"),
    value(Section::comparison, "checksum-choice", '\0', "NAME", checksum_choice,
          "checked and then ignored: contents are compared as such"),
    flag(Section::comparison, "ignore-times", 'I', set<&SyncOptions::ignore_times>, "all files differ"),
    flag(Section::comparison, "size-only", '\0', set<&SyncOptions::size_only>, "by size alone"),
    value(Section::comparison, "modify-window", '@', "SECONDS", modify_window,
          "times that are so close are the same; -1: nanoseconds count"),
    flag(Section::comparison, "update", 'u', set<&SyncOptions::update>, "keep what is newer in DEST"),
    value(Section::comparison, "compare-dest", '\0', "DIR", basis<Basis::compare>, "leave out what is the same in DIR"),
    value(Section::comparison, "copy-dest", '\0', "DIR", basis<Basis::copy>, "copy from DIR what is the same there"),
    value(Section::comparison, "link-dest", '\0', "DIR", basis<Basis::link>, "hard-link what is the same in DIR"),
    value(Section::comparison, "reflink-dest", '\0', "DIR", basis<Basis::reflink>,
          "as --link-dest, but with inodes of their own that share blocks"),

    toggle(Section::attributes, "perms", 'p', set<&SyncOptions::permissions>, "keep permissions"),
    flag(Section::attributes, "executability", 'E', set<&SyncOptions::executability>,
         "keep whether files can be executed"),
    value(Section::attributes, "chmod", '\0', "MODES", chmod, "change permissions: D2755,F-x,u+w"),
    toggle(Section::attributes, "acls", 'A', acls, "keep access control lists (implies -p)"),
    toggle(Section::attributes, "xattrs", 'X', set<&SyncOptions::xattrs>, "keep extended attributes"),
    toggle(Section::attributes, "owner", 'o', set<&SyncOptions::owner>, "keep the owner (as root)"),
    toggle(Section::attributes, "group", 'g', set<&SyncOptions::group>, "keep the group"),
    toggle(Section::attributes, "times", 't', set<&SyncOptions::times>, "keep modification times"),
    toggle(Section::attributes, "atimes", 'U', set<&SyncOptions::atimes>, "keep access times"),
    toggle(Section::attributes, "open-noatime", '\0', set<&SyncOptions::open_noatime>,
           "do not change the access times of SOURCE"),
    toggle(Section::attributes, "crtimes", 'N', set<&SyncOptions::crtimes>, "refused: Linux cannot set a birth time"),
    toggle(Section::attributes, "omit-dir-times", 'O', set<&SyncOptions::omit_dir_times>,
           "-t without the times of directories"),
    toggle(Section::attributes, "omit-link-times", 'J', set<&SyncOptions::omit_link_times>,
           "-t without the times of symlinks"),
    toggle(Section::attributes, "hard-links", 'H', set<&SyncOptions::hard_links>, "keep hard links"),
    toggle(Section::attributes, "numeric-ids", '\0', mark<&SyncDraft::numeric_ids>,
           "no names in --usermap and --groupmap"),
    value(Section::attributes, "usermap", '\0', "MAP", user_map, "owners: FROM:TO,...; FROM may be LOW-HIGH or a*"),
    value(Section::attributes, "groupmap", '\0', "MAP", group_map, "groups, likewise"),
    value(Section::attributes, "chown", '\0', "USER:GROUP", chown, "everything belongs to these"),

    flag(Section::deletion, "delete", '\0', mark<&SyncDraft::delete_any>, "delete what is not in SOURCE"),
    flag(Section::deletion, "delete-before", '\0', mark<&SyncDraft::delete_before>, "... before anything is copied"),
    flag(Section::deletion, "delete-during", '\0', mark<&SyncDraft::delete_during>,
         "... in each directory before its copies (the default)"),
    flag(Section::deletion, "delete-delay", '\0', mark<&SyncDraft::delete_delay>, "... after all copies"),
    flag(Section::deletion, "delete-after", '\0', mark<&SyncDraft::delete_after>, "... after all copies"),
    flag(Section::deletion, "delete-excluded", '\0', delete_excluded, "... and what is excluded"),
    value(Section::deletion, "max-delete", '\0', "NUMBER", max_delete, "delete no more than so many"),
    toggle(Section::deletion, "ignore-errors", '\0', set<&SyncOptions::ignore_errors>,
           "delete even after a directory of SOURCE could not be read"),
    toggle(Section::deletion, "force", '\0', set<&SyncOptions::force>,
           "directories make way for files even if not empty"),

    flag(Section::writing, "dry-run", 'n', set<&SyncOptions::dry_run>, "change nothing, tell what would be done"),
    toggle(Section::writing, "whole-file", 'W', choose<&SyncDraft::whole_file>,
           "write changed files anew (the default; negated: only the blocks that changed)"),
    toggle(Section::writing, "inplace", '\0', set<&SyncOptions::inplace>,
           "write into existing files instead of replacing them"),
    toggle(Section::writing, "append", '\0', append, "only add what shorter files lack"),
    flag(Section::writing, "append-verify", '\0', append_verify, "... after comparing what they have"),
    toggle(Section::writing, "backup", 'b', set<&SyncOptions::backup>, "keep what is replaced or deleted as NAME~"),
    value(Section::writing, "backup-dir", '\0', "DIR", backup_dir, "... in DIR (implies -b)"),
    value(Section::writing, "suffix", '\0', "SUFFIX", suffix, "... with another end than ~"),
    value(Section::writing, "temp-dir", 'T', "DIR", path<&SyncOptions::temp_dir>, "where incomplete files are"),
    toggle(Section::writing, "partial", '\0', set<&SyncOptions::partial>, "keep incomplete files"),
    value(Section::writing, "partial-dir", '\0', "DIR", partial_dir, "... in DIR"),
    toggle(Section::writing, "delay-updates", '\0', set<&SyncOptions::delay_updates>,
           "put all files in place at the end"),
    toggle(Section::writing, "sparse", 'S', set<&SyncOptions::sparse>, "make holes of zeros"),
    flag(Section::writing, "preallocate", '\0', set<&SyncOptions::preallocate>, "reserve the space of files first"),
    flag(Section::writing, "fsync", '\0', set<&SyncOptions::fsync>, "files are on storage when it is done"),

    value(Section::filters, "filter", 'f', "RULE", filter<Kind::rule>, "any rule of rsync(1): '- *.o', ': .rules'"),
    value(Section::filters, "exclude", '\0', "PATTERN", filter<Kind::exclude>, "leave out what matches"),
    value(Section::filters, "include", '\0', "PATTERN", filter<Kind::include>, "do not leave out what matches"),
    value(Section::filters, "exclude-from", '\0', "FILE", filter<Kind::exclude_from>, "patterns, one a line"),
    value(Section::filters, "include-from", '\0', "FILE", filter<Kind::include_from>, "likewise"),
    flag(Section::filters, "", 'F', per_directory_filter,
         "obey .rsync-filter files; given twice: leave these out, too"),
    flag(Section::filters, "cvs-exclude", 'C', mark<&SyncDraft::cvs_exclude>, "leave out what CVS would"),
    value(Section::filters, "files-from", '\0', "FILE", files_from, "what to copy, names one a line ('-': stdin)"),
    toggle(Section::filters, "from0", '0', mark<&SyncDraft::nul_separated>, "entries of those files end with NUL"),

    {"bwlimit", '\0', Section::limits, Argument::required, "RATE", true, "KiB a second; units as for SIZE", bandwidth},
    value(Section::limits, "stop-after", '\0', "MINUTES", stop_after, "stop after so long"),
    value(Section::limits, "stop-at", '\0', "TIME", stop_at, "stop at a time: 2030-12-31T23:59, 23:59"),
    {"timeout", '\0', Section::limits, Argument::required, "SECONDS", true, "stop if nothing moves for so long",
     timeout},

    toggle(Section::output, "verbose", 'v', verbose, "tell more; may be repeated"),
    flag(Section::output, "quiet", 'q', tell<&SyncTelling::quiet>, "tell errors only"),
    toggle(Section::output, "itemize-changes", 'i', itemize, "a line for each change; -ii: for what is unchanged, too"),
    value(Section::output, "out-format", '\0', "FORMAT", tell_text<&SyncTelling::format>,
          "what such a line is: %i %n%L with -i"),
    value(Section::output, "info", '\0', "FLAGS", info,
          "del flist misc name nonreg progress remove skip stats symsafe all none, with levels"),
    flag(Section::output, "stats", '\0', statistics, "counts and sums at the end"),
    toggle(Section::output, "progress", '\0', progress, "a moving line, on a terminal"),
    flag(Section::output, "", 'P', partial_and_progress, "same as --partial --progress"),
    toggle(Section::output, "human-readable", 'h', human, "numbers with units of 1000; -hh: of 1024"),
    toggle(Section::output, "8-bit-output", '8', tell<&SyncTelling::eight_bit>,
           "names as they are, without \\#ooo for odd bytes"),
    value(Section::output, "log-file", '\0', "FILE", tell_text<&SyncTelling::log_file>, "add what is done to FILE"),
    value(Section::output, "log-file-format", '\0', "FORMAT", tell_text<&SyncTelling::log_file_format>,
          "as --out-format, for the file"),
    flag(Section::output, "json", '\0', tell<&SyncTelling::json>, "one JSON object a line, for each change and error"),
    flag(Section::output, "explain", '\0', tell<&SyncTelling::explain>, "tell how the bytes of each file were moved"),
    flag(Section::output, "help", '\0', handled_elsewhere, "show this help (-h on its own, too)"),
    flag(Section::output, "version", 'V', handled_elsewhere, "show the version"),

    value(Section::own, "jobs", '\0', "N", threads, "threads at most, 1 to 256 (default: by the machine)"),
    value(Section::own, "max-files-in-flight", '\0', "N", threads, "files at once at most: one thread does one"),
    value(Section::own, "cpu-count", '\0', "N", threads, "likewise: the least of the three counts"),
    value(Section::own, "queue-depth", '\0', "N", queue_depth, "chunks in flight of the uring method, 1 to 256"),
    value(Section::own, "buffer-size-kb", '\0', "N", buffer_size, "buffer of read_write and uring, 64 to 65536"),
    value(Section::own, "copy-method", '\0', "LIST", copy_method,
          "auto, or some of reflink, copy_file_range, splice, sendfile, uring, read_write"),
    {"reflink", '\0', Section::own, Argument::optional, "WHEN", false,
     "share blocks: always (if no WHEN), auto (the default), never", reflink},
    flag(Section::own, "verify", '\0', set<&SyncOptions::verify>, "compare each copy with its source afterwards"),
    value(Section::own, "resume", '\0', "JOURNAL", journal<false>, "go on where a run with this journal ended"),
    value(Section::own, "retry-failed", '\0', "JOURNAL", journal<true>, "only what failed in that run"),
    flag(Section::own, "no-adaptive-concurrency", '\0', adaptive_off,
         "fail at once where descriptors or memory run out"),

    // Other names.
    alias("del", mark<&SyncDraft::delete_during>),
    alias("ignore-non-existing", set<&SyncOptions::existing>),
    alias("remove-sent-files", set<&SyncOptions::remove_source_files>),
    alias("implied-dirs", set<&SyncOptions::implied_dirs>),
    alias("i-d", set<&SyncOptions::implied_dirs>),
    alias("no-i-d",
          [](SyncDraft& draft, const Occurrence&) -> SyncOutcome {
            draft.command.options.implied_dirs = false;
            return {};
          }),
    alias("no-mkpath",
          [](SyncDraft& draft, const Occurrence&) -> SyncOutcome {
            draft.command.options.mkpath = false;
            return {};
          }),
    alias("cc", checksum_choice, Argument::required),
    alias("time-limit", stop_after, Argument::required),
    alias("log-format", tell_text<&SyncTelling::format>, Argument::required),

    // What rsync has and we do not.
    missing("rsh", 'e', remote_only),
    missing("rsync-path", '\0', remote_only),
    missing("remote-option", 'M', remote_only),
    missing("daemon", '\0', remote_only),
    missing("server", '\0', remote_only),
    missing("config", '\0', remote_only),
    missing("port", '\0', remote_only),
    missing("address", '\0', remote_only),
    missing("sockopts", '\0', remote_only),
    missing("blocking-io", '\0', remote_only, true),
    missing("contimeout", '\0', remote_only),
    missing("password-file", '\0', remote_only),
    missing("early-input", '\0', remote_only),
    missing("ipv4", '4', remote_only),
    missing("ipv6", '6', remote_only),
    missing("protocol", '\0', remote_only),
    missing("iconv", '\0', "names are copied byte by byte; convert them with convmv(1)", true),
    missing("secluded-args", 's', remote_only, true),
    missing("protect-args", '\0', remote_only, true),
    missing("old-args", '\0', remote_only, true),
    missing("trust-sender", '\0', remote_only),
    missing("motd", '\0', remote_only, true),
    missing("compress", 'z', compress_only, true),
    missing("compress-choice", '\0', compress_only),
    missing("zc", '\0', compress_only),
    missing("compress-level", '\0', compress_only),
    missing("zl", '\0', compress_only),
    missing("compress-threads", '\0', compress_only),
    missing("zt", '\0', compress_only),
    missing("old-compress", '\0', compress_only),
    missing("new-compress", '\0', compress_only),
    missing("skip-compress", '\0', compress_only),
    missing("write-batch", '\0', "run the sync once for each destination instead"),
    missing("only-write-batch", '\0', "run the sync once for each destination instead"),
    missing("read-batch", '\0', "run the sync once for each destination instead"),
    missing("list-only", '\0', "use find(1), or -n -i to see what would be copied"),
    missing("fuzzy", 'y', "it only saves network traffic: leave it out", true),
    missing("block-size", 'B', "the size of the blocks is chosen by ferry: leave it out"),
    missing("checksum-seed", '\0', leave_out),
    missing("max-alloc", '\0', "memory is bounded by design: leave it out"),
    missing("inc-recursive", '\0', "directories are always read as they are reached: leave it out"),
    missing("i-r", '\0', "directories are always read as they are reached: leave it out"),
    missing("no-inc-recursive", '\0', "directories are always read as they are reached: leave it out"),
    missing("no-i-r", '\0', "directories are always read as they are reached: leave it out"),
    missing("qsort", '\0', leave_out),
    missing("outbuf", '\0', "use stdbuf(1)"),
    missing("stderr", '\0', "errors go to standard error: redirect it"),
    missing("msgs2stderr", '\0', "errors go to standard error: redirect it", true),
    missing("debug", '\0', "set FERRY_LOG=debug in the environment, or use --explain"),
    missing("old-dirs", '\0', "use -d, or -r with --exclude='/*/*'"),
    missing("old-d", '\0', "use -d, or -r with --exclude='/*/*'"),
    missing("insecure-links", '\0', "symlinks of others on the way are never followed into another place"),
    missing("confine-root", '\0', "nothing outside SOURCE and DEST is touched: leave it out"),
    missing("munge-links", '\0', "symlinks are copied as they are, or not at all (--safe-links)", true),
    missing("copy-devices", '\0', "use ferry cp --copy-contents for devices"),
    missing("write-devices", '\0', "use ferry cp --inplace for devices", true),
    missing("drop-D", '\0', "use --no-D"),
    missing("super", '\0', "run ferry sync as root"),
    missing("fake-super", '\0', "run ferry sync as root, or leave out -o, -g and -D"),
    missing("copy-as", '\0', "run ferry sync as that user"),
    missing("ignore-missing-args", '\0', "name only sources that exist"),
    missing("delete-missing-args", '\0', "remove them with rm(1)"),
});

}  // namespace

std::span<const SyncOption> sync_options() noexcept { return table; }

std::unexpected<SyncAnswer> wrong(std::string message) {
  return std::unexpected(SyncAnswer{static_cast<int>(SyncExit::syntax), std::move(message)});
}

std::unexpected<SyncAnswer> unsupported(std::string message) {
  return std::unexpected(SyncAnswer{static_cast<int>(SyncExit::unsupported), std::move(message)});
}

}  // namespace ferry::cli
