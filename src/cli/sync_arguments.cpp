#include "cli/sync_arguments.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "cli/sync_option_table.hpp"
#include "cli/sync_output.hpp"
#include "cli/sync_values.hpp"
#include "cli/terminal.hpp"

namespace ferry::cli {
namespace {

using Argument = SyncOption::Argument;
using Section = SyncOption::Section;

// ------------------------------------------------------------------------------------------ finding options

struct Found {
  const SyncOption* option = nullptr;
  bool on = true;
};

const SyncOption* find_name(std::string_view name) {
  const auto found = std::ranges::find_if(
      sync_options(), [&](const SyncOption& option) { return !name.empty() && option.name == name; });
  return found != sync_options().end() ? &*found : nullptr;
}

const SyncOption* find_letter(char letter) {
  const auto found = std::ranges::find(sync_options(), letter, &SyncOption::letter);
  return letter != '\0' && found != sync_options().end() ? &*found : nullptr;
}

// "name", "no-name", "no-n".
Found find_long(std::string_view name) {
  if (const SyncOption* option = find_name(name)) {
    return {option, true};
  }
  if (!name.starts_with("no-")) {
    return {};
  }
  const std::string_view rest = name.substr(3);
  const SyncOption* option = rest.size() == 1 ? find_letter(rest.front()) : find_name(rest);
  return option != nullptr && option->negatable ? Found{option, false} : Found{};
}

std::unexpected<SyncAnswer> refused(const SyncOption& option, const std::string& spelling) {
  const std::string also = option.letter != '\0' && !option.name.empty() && !spelling.starts_with("--")
                               ? fmt::format(" (--{})", option.name)
                               : std::string();
  return unsupported(
      fmt::format("rsync's option {}{} is not supported by ferry sync: {}", spelling, also, option.help));
}

// ------------------------------------------------------------------------------------------ words

// Takes the words of a command line apart.
class Parser {
 public:
  explicit Parser(std::span<const char* const> arguments) : rest_(arguments) {}

  SyncOutcome run(SyncDraft& draft) {
    bool only_operands = false;
    while (!rest_.empty()) {
      const std::string_view word = take();
      if (only_operands || !word.starts_with('-') || word == "-") {
        draft.command.sources.emplace_back(word);
      } else if (word == "--") {
        only_operands = true;
      } else if (auto done = word.starts_with("--") ? long_option(draft, word) : letters(draft, word); !done) {
        return done;
      }
    }
    return {};
  }

 private:
  std::string_view take() {
    const std::string_view word = rest_.front();
    rest_ = rest_.subspan(1);
    return word;
  }

  SyncOutcome long_option(SyncDraft& draft, std::string_view word) {
    const std::size_t equals = word.find('=');
    const std::string spelling(word.substr(0, equals));
    const Found found = find_long(std::string_view(spelling).substr(2));
    if (found.option == nullptr) {
      return wrong(fmt::format("{}: unknown option", ferry::quoted(spelling)));
    }
    Occurrence given{spelling, "", equals != std::string_view::npos, found.on};
    if (given.has_value) {
      given.value = word.substr(equals + 1);
    }
    if (found.option->section == Section::unsupported) {
      return found.on ? SyncOutcome(refused(*found.option, spelling)) : SyncOutcome();
    }
    const Argument argument = found.on ? found.option->argument : Argument::none;
    if (argument == Argument::none && given.has_value) {
      return wrong(fmt::format("{} takes no argument", spelling));
    }
    if (argument == Argument::required && !given.has_value) {
      if (rest_.empty()) {
        return wrong(fmt::format("{} needs an argument", spelling));
      }
      given.value = take();
      given.has_value = true;
    }
    return found.option->apply(draft, given);
  }

  SyncOutcome letters(SyncDraft& draft, std::string_view word) {
    for (std::size_t i = 1; i < word.size(); ++i) {
      const std::string spelling = {'-', word[i]};
      const SyncOption* option = find_letter(word[i]);
      if (option == nullptr) {
        return wrong(fmt::format("{}: unknown option", ferry::quoted(spelling)));
      }
      if (option->section == Section::unsupported) {
        return refused(*option, spelling);
      }
      Occurrence given{spelling, "", false, true};
      if (option->argument == Argument::required) {
        if (i + 1 < word.size()) {
          given.value = word.substr(i + (word[i + 1] == '=' ? 2 : 1));
        } else if (!rest_.empty()) {
          given.value = take();
        } else {
          return wrong(fmt::format("{} needs an argument", spelling));
        }
        given.has_value = true;
        return option->apply(draft, given);
      }
      if (auto done = option->apply(draft, given); !done) {
        return done;
      }
    }
    return {};
  }

  std::span<const char* const> rest_;
};

// ------------------------------------------------------------------------------------------ --info

struct InfoWord {
  std::string_view name;
  unsigned InfoLevels::* level;  // null: ferry has nothing to tell about it
  unsigned from_verbosity;       // of -v; level 2 comes with one more where there is one
  unsigned second_from;          // 0: no second level
};

constexpr auto info_words = std::to_array<InfoWord>({
    {"backup", nullptr, 2, 0},
    {"copy", nullptr, 1, 0},
    {"del", &InfoLevels::deletions, 1, 0},
    {"flist", &InfoLevels::list, 1, 0},
    {"misc", &InfoLevels::misc, 1, 2},
    {"mount", nullptr, 2, 0},
    {"name", &InfoLevels::names, 1, 2},
    {"nonreg", &InfoLevels::non_regular, 0, 0},
    {"progress", &InfoLevels::progress, 99, 0},
    {"remove", &InfoLevels::removed_sources, 2, 0},
    {"skip", &InfoLevels::skips, 2, 0},
    {"stats", &InfoLevels::statistics, 1, 0},
    {"symsafe", &InfoLevels::unsafe_links, 1, 0},
});

SyncOutcome apply_info_word(InfoLevels& levels, std::string_view word) {
  const std::size_t name_size = std::min(word.find_first_of("0123456789"), word.size());
  std::string name(word.substr(0, name_size));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  unsigned level = name == "none" ? 0 : 1;
  if (name_size < word.size()) {
    const auto number = parse_integer(word.substr(name_size));
    if (!number) {
      return wrong(fmt::format("--info: {} is no flag", ferry::quoted(word)));
    }
    level = static_cast<unsigned>(std::min<std::int64_t>(*number, 9));
  }
  const bool all = name == "all" || name == "none";
  bool known = all;
  for (const InfoWord& each : info_words) {
    if (all || each.name == name) {
      known = true;
      if (each.level != nullptr) {
        levels.*each.level = level;
      } else if (!all && level > 0) {
        return unsupported(fmt::format("--info={} is not supported by ferry sync: it tells nothing about it", name));
      }
    }
  }
  if (!known) {
    return wrong(
        fmt::format("--info: {} is no flag: del, flist, misc, name, nonreg, progress, remove, skip, stats, "
                    "symsafe, all and none are",
                    ferry::quoted(word)));
  }
  return {};
}

SyncOutcome set_info(const SyncDraft& draft, InfoLevels& levels) {
  for (const InfoWord& each : info_words) {
    if (each.level != nullptr && draft.verbosity >= each.from_verbosity) {
      levels.*each.level = each.second_from != 0 && draft.verbosity >= each.second_from ? 2 : 1;
    }
  }
  for (std::string_view words : draft.info_words) {
    while (!words.empty()) {
      const std::size_t comma = std::min(words.find(','), words.size());
      if (comma > 0) {
        if (auto done = apply_info_word(levels, words.substr(0, comma)); !done) {
          return done;
        }
      }
      words.remove_prefix(std::min(comma + 1, words.size()));
    }
  }
  return {};
}

// ------------------------------------------------------------------------------------------ rules that join options

SymlinkMode symlink_mode(const SyncDraft& draft) {
  if (draft.copy_links) {
    return SymlinkMode::dereference;
  }
  if (draft.copy_unsafe_links) {
    return draft.links ? SymlinkMode::copy_unsafe : SymlinkMode::only_unsafe;
  }
  if (!draft.links) {
    return SymlinkMode::skip;
  }
  return draft.safe_links ? SymlinkMode::skip_unsafe : SymlinkMode::keep;
}

SyncOutcome join_deletion(const SyncDraft& draft, SyncOptions& options) {
  const std::array modes = {draft.delete_before, draft.delete_during || draft.delete_delay, draft.delete_after};
  if (std::ranges::count(modes, true) > 1) {
    return wrong("only one of --delete-before, --delete-during, --delete-delay and --delete-after can be given");
  }
  if (draft.delete_before) {
    options.delete_mode = DeleteMode::before;
  } else if (draft.delete_after) {
    options.delete_mode = DeleteMode::after;
  } else if (draft.delete_delay) {
    options.delete_mode = DeleteMode::delay;
  } else if (draft.delete_during || draft.delete_any) {
    options.delete_mode = DeleteMode::during;
  }
  if (options.delete_mode != DeleteMode::none && !options.recursive && !options.dirs) {
    return wrong("--delete does not work without --recursive (-r) or --dirs (-d)");
  }
  return {};
}

SyncOutcome join_writing(const SyncDraft& draft, SyncOptions& options) {
  options.whole_file = draft.whole_file.value_or(true);
  if (options.append && draft.whole_file.value_or(false)) {
    return wrong("--append cannot be used with --whole-file");
  }
  const char* in_place = options.append ? "--append" : options.inplace ? "--inplace" : nullptr;
  if (in_place != nullptr && !options.partial_dir.empty()) {
    return wrong(fmt::format("{} cannot be used with --partial-dir", in_place));
  }
  if (in_place != nullptr && options.delay_updates) {
    return wrong(fmt::format("{} cannot be used with --delay-updates", in_place));
  }
  if (draft.suffix) {
    if (draft.suffix->contains('/')) {
      return wrong(fmt::format("--suffix cannot contain slashes: {}", ferry::quoted(*draft.suffix)));
    }
    if (draft.suffix->empty() && options.backup && options.backup_dir.empty()) {
      return wrong("--suffix cannot be empty without --backup-dir");
    }
    options.backup_suffix = *draft.suffix;
  }
  if (!draft.thread_limits.empty()) {
    options.jobs = std::ranges::min(draft.thread_limits);
  }
  if (draft.checksum_choice == "none" && options.checksum) {
    return unsupported("--checksum-choice=none leaves nothing for --checksum");
  }
  return {};
}

std::uint32_t umask_of_process() {
  const mode_t mask = umask(0);
  (void)umask(mask);
  return mask;
}

SyncOutcome join_attributes(const SyncDraft& draft, SyncOptions& options) {
  auto changes = std::make_shared<std::vector<ModeChange>>();
  for (const std::string& text : draft.mode_changes) {
    const auto parsed = parse_mode_changes(text, umask_of_process());
    if (!parsed) {
      return wrong(fmt::format("--chmod={} {}", text, parsed.error()));
    }
    changes->insert(changes->end(), parsed->begin(), parsed->end());
  }
  if (!changes->empty()) {
    options.change_mode = [changes](std::uint32_t mode, bool is_directory) {
      return apply(*changes, mode, is_directory);
    };
  }
  const auto join_map = [&](const std::optional<std::string>& text, IdKind kind, const char* name,
                            std::function<std::uint32_t(std::uint32_t)>& to) -> SyncOutcome {
    if (text) {
      auto map = parse_id_map(*text, kind, draft.numeric_ids);
      if (!map) {
        return wrong(fmt::format("{} {}", name, map.error()));
      }
      to = std::move(*map);
    }
    return {};
  };
  if (auto done =
          join_map(draft.user_map, IdKind::user, draft.user_map_by_chown ? "--chown" : "--usermap", options.map_user);
      !done) {
    return done;
  }
  return join_map(draft.group_map, IdKind::group, draft.group_map_by_chown ? "--chown" : "--groupmap",
                  options.map_group);
}

SyncOutcome join_operands(const SyncDraft& draft, SyncCommand& command) {
  for (const std::string& operand : command.sources) {
    if (is_remote(operand)) {
      return unsupported(
          fmt::format("{} is on another machine, which is not supported yet (for a file with a colon in "
                      "its name write ./ before it)",
                      ferry::quoted(operand)));
    }
  }
  if (command.sources.empty()) {
    return wrong("missing SOURCE and DEST");
  }
  command.destination = std::move(command.sources.back());
  command.sources.pop_back();
  if (command.sources.empty()) {
    return wrong(fmt::format("missing DEST after {}", ferry::quoted(command.destination)));
  }
  if (!draft.files_from) {
    return {};
  }
  if (command.sources.size() != 1) {
    return wrong("--files-from needs exactly one SOURCE");
  }
  auto files = read_file_list(*draft.files_from, draft.nul_separated);
  if (!files) {
    return std::unexpected(
        SyncAnswer{static_cast<int>(SyncExit::file_io), "--files-from: " + files.error().to_string()});
  }
  command.options.files = std::move(*files);
  return {};
}

SyncOutcome join_filters(const SyncDraft& draft, SyncOptions& options) {
  for (FilterArgument& filter : options.filters) {
    // Files that are read in the directories themselves are read after all options, unlike merged ones.
    const bool is_per_directory = filter.text.starts_with(':') || filter.text.starts_with("dir-merge");
    if (filter.kind == FilterArgument::Kind::rule && is_per_directory) {
      filter.nul_separated = draft.nul_separated;
    }
  }
  if (draft.cvs_exclude) {
    options.filters.push_back({FilterArgument::Kind::cvs_exclude, "", false});  // after all others, wherever -C stood
  }
  return {};
}

SyncOutcome join(SyncDraft& draft) {
  SyncCommand& command = draft.command;
  SyncOptions& options = command.options;
  const bool has_list = draft.files_from.has_value();
  options.recursive = draft.recursion == SyncDraft::Recursion::yes ||
                      (draft.recursion == SyncDraft::Recursion::by_archive && !has_list);
  options.relative = draft.relative.value_or(has_list);
  options.dirs = draft.dirs.value_or(has_list) && !options.recursive;
  options.symlinks = symlink_mode(draft);
  options.one_file_system = draft.one_file_system > 0;
  options.one_file_system_no_mount_points = draft.one_file_system > 1;
  options.executability = options.executability && !options.permissions;
  SyncTelling& telling = command.telling;
  if (auto done = set_info(draft, telling.info); !done) {
    return done;
  }
  for (const std::string* format : {&telling.format, &telling.log_file_format}) {
    if (auto parsed = SyncFormat::parse(*format); !parsed) {
      return std::unexpected(parsed.error());
    }
  }
  options.report_unchanged = telling.itemize > 1 || telling.info.names > 1;
  for (const auto step : {join_deletion, join_writing, join_attributes, join_filters}) {
    if (auto done = step(draft, options); !done) {
      return done;
    }
  }
  return join_operands(draft, command);
}

}  // namespace

std::expected<SyncCommand, SyncAnswer> parse_sync_arguments(std::span<const char* const> arguments) {
  for (const std::string_view word : arguments) {
    if (word == "--") {
      break;
    }
    if (word == "--help" || (word == "-h" && arguments.size() == 1)) {
      return std::unexpected(SyncAnswer{0, sync_help(may_colour(stdout))});
    }
    if (word == "--version" || word == "-V") {
      return std::unexpected(SyncAnswer{0, fmt::format("{} {}\n", sync_name, version())});
    }
  }
  SyncDraft draft;
  if (auto parsed = Parser(arguments).run(draft); !parsed) {
    return std::unexpected(parsed.error());
  }
  if (auto joined = join(draft); !joined) {
    return std::unexpected(joined.error());
  }
  return std::move(draft.command);
}

}  // namespace ferry::cli
