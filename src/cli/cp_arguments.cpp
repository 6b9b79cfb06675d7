#include "cli/cp_arguments.hpp"

#include <fmt/format.h>
#include <getopt.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <span>
#include <string_view>
#include <utility>

namespace ferry::cli {
namespace {

constexpr int exit_usage = 1;  // cp's own, for everything

// Options without a short form.
enum LongOnly : int {
  attributes_only_option = 256,
  backup_option,
  context_option,
  copy_contents_option,
  debug_option,
  help_option,
  keep_directory_symlink_option,
  no_preserve_option,
  parents_option,
  preserve_option,
  reflink_option,
  remove_destination_option,
  sparse_option,
  strip_trailing_slashes_option,
  version_option,
  // ours
  chunk_size_option,
  direct_option,
  dry_run_option,
  explain_option,
  fsync_option,
  inplace_option,
  iopoll_option,
  jobs_option,
  json_option,
  method_option,
  preallocate_option,
  progress_option,
  queue_depth_option,
  verify_option,
};

constexpr const char* short_options = "abdfHilLnprst:uvxPRS:TZ";

constexpr auto gnu_options = std::to_array<option>({
    {"archive", no_argument, nullptr, 'a'},
    {"attributes-only", no_argument, nullptr, attributes_only_option},
    {"backup", optional_argument, nullptr, backup_option},
    {"copy-contents", no_argument, nullptr, copy_contents_option},
    {"debug", no_argument, nullptr, debug_option},
    {"dereference", no_argument, nullptr, 'L'},
    {"force", no_argument, nullptr, 'f'},
    {"interactive", no_argument, nullptr, 'i'},
    {"keep-directory-symlink", no_argument, nullptr, keep_directory_symlink_option},
    {"link", no_argument, nullptr, 'l'},
    {"no-clobber", no_argument, nullptr, 'n'},
    {"no-dereference", no_argument, nullptr, 'P'},
    {"no-preserve", required_argument, nullptr, no_preserve_option},
    {"no-target-directory", no_argument, nullptr, 'T'},
    {"one-file-system", no_argument, nullptr, 'x'},
    {"parents", no_argument, nullptr, parents_option},
    {"path", no_argument, nullptr, parents_option},  // an old name of --parents that cp still takes
    {"preserve", optional_argument, nullptr, preserve_option},
    {"recursive", no_argument, nullptr, 'R'},
    {"remove-destination", no_argument, nullptr, remove_destination_option},
    {"sparse", required_argument, nullptr, sparse_option},
    {"reflink", optional_argument, nullptr, reflink_option},
    {"strip-trailing-slashes", no_argument, nullptr, strip_trailing_slashes_option},
    {"suffix", required_argument, nullptr, 'S'},
    {"symbolic-link", no_argument, nullptr, 's'},
    {"target-directory", required_argument, nullptr, 't'},
    {"update", optional_argument, nullptr, 'u'},
    {"verbose", no_argument, nullptr, 'v'},
    {"context", optional_argument, nullptr, context_option},
    {"help", no_argument, nullptr, help_option},
    {"version", no_argument, nullptr, version_option},
});

constexpr auto own_options = std::to_array<option>({
    {"chunk-size", required_argument, nullptr, chunk_size_option},
    {"direct", no_argument, nullptr, direct_option},
    {"dry-run", no_argument, nullptr, dry_run_option},
    {"explain", no_argument, nullptr, explain_option},
    {"fsync", no_argument, nullptr, fsync_option},
    {"inplace", no_argument, nullptr, inplace_option},
    {"iopoll", no_argument, nullptr, iopoll_option},
    {"jobs", required_argument, nullptr, jobs_option},
    {"json", no_argument, nullptr, json_option},
    {"method", required_argument, nullptr, method_option},
    {"preallocate", no_argument, nullptr, preallocate_option},
    {"progress", optional_argument, nullptr, progress_option},
    {"queue-depth", required_argument, nullptr, queue_depth_option},
    {"verify", no_argument, nullptr, verify_option},
});

// An abbreviation that GNU cp accepts must mean the same here, whatever options we add: our names are offered to
// getopt_long only where the word is no abbreviation of one of cp's.
class OptionTable {
 public:
  OptionTable() : gnu_(gnu_options.begin(), gnu_options.end()), all_(gnu_) {
    all_.insert(all_.end(), own_options.begin(), own_options.end());
    gnu_.push_back({});
    all_.push_back({});
  }

  // The table for the option that getopt_long will look at next.
  [[nodiscard]] const option* for_next(int argc, char* const* argv) const {
    int next = std::max(optind, 1);
    while (next < argc && (argv[next][0] != '-' || argv[next][1] == '\0')) {
      ++next;  // an operand, skipped by permutation (or the end, under POSIXLY_CORRECT: then the table is not used)
    }
    if (next >= argc) {
      return gnu_.data();
    }
    std::string_view word(argv[next]);
    if (!word.starts_with("--")) {
      return gnu_.data();
    }
    word.remove_prefix(2);
    word = word.substr(0, word.find('='));
    for (const option& own : own_options) {
      if (word == own.name) {
        return all_.data();
      }
    }
    for (const option& gnu : gnu_options) {
      if (std::string_view(gnu.name).starts_with(word)) {
        return gnu_.data();
      }
    }
    return all_.data();
  }

 private:
  std::vector<option> gnu_;
  std::vector<option> all_;
};

void complain(std::string_view message) { fmt::print(stderr, "{}: {}\n", cp_name, message); }

// ------------------------------------------------------------------------------------------ words as values

template <typename T>
struct Word {
  std::string_view name;
  T value;
};

// What a word, or an unambiguous beginning of one, stands for; complains in cp's words about anything else.
template <typename T>
std::optional<T> match_word(std::string_view context, std::string_view given, std::span<const Word<T>> words) {
  const Word<T>* found = nullptr;
  bool ambiguous = false;
  for (const Word<T>& word : words) {
    if (word.name == given) {
      return word.value;
    }
    if (word.name.starts_with(given)) {
      ambiguous = ambiguous || (found != nullptr && found->value != word.value);
      found = &word;
    }
  }
  if (found != nullptr && !ambiguous) {
    return found->value;
  }
  complain(fmt::format("{} argument {} for '{}'", ambiguous ? "ambiguous" : "invalid", ferry::quoted(given), context));
  std::string valid = "Valid arguments are:";
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool same_as_last = i > 0 && words[i].value == words[i - 1].value;
    valid += fmt::format("{}'{}'", same_as_last ? ", " : "\n  - ", words[i].name);
  }
  fmt::print(stderr, "{}\n", valid);
  return std::nullopt;
}

template <typename T, std::size_t N>
std::optional<T> match_word(std::string_view context, std::string_view given, const std::array<Word<T>, N>& words) {
  return match_word<T>(context, given, std::span<const Word<T>>(words));
}

constexpr auto sparse_words = std::to_array<Word<SparseMode>>({
    {"never", SparseMode::never},
    {"auto", SparseMode::automatic},
    {"always", SparseMode::always},
});
constexpr auto reflink_words = std::to_array<Word<ReflinkMode>>({
    {"auto", ReflinkMode::automatic},
    {"always", ReflinkMode::always},
    {"never", ReflinkMode::never},
});
constexpr auto backup_words = std::to_array<Word<Backup>>({
    {"none", Backup::none},
    {"off", Backup::none},
    {"simple", Backup::simple},
    {"never", Backup::simple},
    {"existing", Backup::existing},
    {"nil", Backup::existing},
    {"numbered", Backup::numbered},
    {"t", Backup::numbered},
});
constexpr auto progress_words = std::to_array<Word<ProgressMode>>({
    {"auto", ProgressMode::automatic},
    {"always", ProgressMode::always},
    {"never", ProgressMode::never},
});

enum class Update : std::uint8_t { all, none, none_fail, older };
constexpr auto update_words = std::to_array<Word<Update>>({
    {"all", Update::all},
    {"none", Update::none},
    {"none-fail", Update::none_fail},
    {"older", Update::older},
});

enum class Attribute : std::uint8_t { mode, timestamps, ownership, links, context, xattr, all };
constexpr auto attribute_words = std::to_array<Word<Attribute>>({
    {"mode", Attribute::mode},
    {"timestamps", Attribute::timestamps},
    {"ownership", Attribute::ownership},
    {"links", Attribute::links},
    {"context", Attribute::context},
    {"xattr", Attribute::xattr},
    {"all", Attribute::all},
});

constexpr auto method_words = std::to_array<Word<CopyMethod>>({
    {"reflink", CopyMethod::reflink},
    {"copy_file_range", CopyMethod::copy_file_range},
    {"splice", CopyMethod::splice},
    {"sendfile", CopyMethod::sendfile},
    {"uring", CopyMethod::uring},
    {"read_write", CopyMethod::read_write},
});

// Calls `use` for each element of a comma-separated list until it returns false.
template <typename Use>
bool for_each_in_list(std::string_view list, Use use) {
  for (;;) {
    const std::size_t comma = list.find(',');
    if (!use(list.substr(0, comma))) {
      return false;
    }
    if (comma == std::string_view::npos) {
      return true;
    }
    list.remove_prefix(comma + 1);
  }
}

// ------------------------------------------------------------------------------------------ the options

// What the options said, before the rules that join them are applied.
class Parser {
 public:
  std::expected<CpCommand, CpExit> run(int argc, char** argv);

 private:
  // Takes in one option; false when it was answered with a message (then exit_ is set).
  bool accept(int letter, const char* argument);
  bool accept_own(int letter, std::string_view argument);
  std::optional<CpExit> accept_globally(int letter);
  bool preserve(std::string_view list, bool on, std::string_view option_name);
  void preserve_attribute(Attribute attribute, bool on);
  bool set_target_directory(const char* directory);
  bool set_methods(std::string_view list);
  bool set_count(unsigned& count, std::string_view what, std::string_view text);
  bool set_chunk_size(std::string_view text);
  bool join();
  bool join_backup();
  bool fail_usage(std::string_view message);
  bool fail_plainly(std::string_view message);

  CpCommand command_;
  CpExit exit_{exit_usage};
  std::optional<Dereference> dereference_;
  bool recursive_ = false;
  bool copy_contents_ = false;
  bool hard_links_ = false;
  bool symbolic_links_ = false;
  bool make_backups_ = false;
  const char* backup_control_ = nullptr;
  const char* backup_suffix_ = nullptr;
  bool no_clobber_ = false;
  Update update_ = Update::all;
  bool preserve_context_ = false;
};

bool Parser::fail_usage(std::string_view message) {
  complain(message);
  exit_ = wrong_usage();
  return false;
}

bool Parser::fail_plainly(std::string_view message) {
  complain(message);
  exit_ = {exit_usage};
  return false;
}

void Parser::preserve_attribute(Attribute attribute, bool on) {
  MetadataSelection& selection = command_.tree.preserve;
  switch (attribute) {
    case Attribute::mode:
      selection.mode = on;
      selection.acls = on;
      command_.tree.default_mode = !on;
      break;
    case Attribute::timestamps: selection.times = on; break;
    case Attribute::ownership: selection.owner = on; break;
    case Attribute::links: command_.tree.preserve_hard_links = on; break;
    case Attribute::context: preserve_context_ = on; break;
    case Attribute::xattr:
      selection.xattrs = on;
      command_.tree.unsupported_attributes = on ? UnsupportedAttributes::report : UnsupportedAttributes::ignore;
      break;
    case Attribute::all:
      for (const Attribute each : {Attribute::mode, Attribute::timestamps, Attribute::ownership, Attribute::links}) {
        preserve_attribute(each, on);
      }
      selection.xattrs = on;
      preserve_context_ = false;  // "all" means: if possible
      break;
  }
}

bool Parser::preserve(std::string_view list, bool on, std::string_view option_name) {
  return for_each_in_list(list, [&](std::string_view name) {
    const auto attribute = match_word(option_name, name, attribute_words);
    if (!attribute) {
      exit_ = wrong_usage();
      return false;
    }
    preserve_attribute(*attribute, on);
    return true;
  });
}

bool Parser::set_target_directory(const char* directory) {
  if (command_.target_directory) {
    return fail_plainly("multiple target directories specified");
  }
  command_.target_directory = directory;
  return true;
}

template <typename T, typename Words>
bool assign_word(T& to, std::string_view context, const char* given, const Words& words, CpExit& exit) {
  const auto value = match_word(context, given, words);
  if (!value) {
    exit = wrong_usage();
    return false;
  }
  to = *value;
  return true;
}

bool Parser::accept(int letter, const char* argument) {
  TreeOptions& tree = command_.tree;
  switch (letter) {
    case 'a':
      dereference_ = Dereference::never;
      preserve_attribute(Attribute::all, true);
      recursive_ = true;
      return true;
    case 'b': make_backups_ = true; return true;
    case backup_option:
      make_backups_ = true;
      backup_control_ = argument != nullptr ? argument : backup_control_;
      return true;
    case 'd':
      tree.preserve_hard_links = true;
      dereference_ = Dereference::never;
      return true;
    case 'f': tree.force = true; return true;
    case 'H': dereference_ = Dereference::command_line; return true;
    case 'i':
      command_.interactive = true;
      no_clobber_ = false;
      return true;
    case 'l': hard_links_ = true; return true;
    case 'L': dereference_ = Dereference::always; return true;
    case 'n':
      no_clobber_ = true;
      command_.interactive = false;
      return true;
    case 'P': dereference_ = Dereference::never; return true;
    case 'p': return preserve("mode,ownership,timestamps", true, "--preserve");
    case 'r':
    case 'R': recursive_ = true; return true;
    case 's': symbolic_links_ = true; return true;
    case 'S':
      make_backups_ = true;
      backup_suffix_ = argument;
      return true;
    case 't': return set_target_directory(argument);
    case 'T': command_.no_target_directory = true; return true;
    case 'u':
      update_ = Update::older;
      return argument == nullptr || assign_word(update_, "--update", argument, update_words, exit_);
    case 'v': command_.verbose = true; return true;
    case 'x': tree.one_file_system = true; return true;
    case 'Z': return true;  // without SELinux there is no context to set; cp is silent, too
    case context_option:
      if (argument != nullptr) {
        complain("warning: ignoring --context; ferry does not set security contexts");
      }
      return true;
    case attributes_only_option: tree.attributes_only = true; return true;
    case copy_contents_option: copy_contents_ = true; return true;
    case debug_option:
      command_.debug = true;
      command_.verbose = true;
      return true;
    case keep_directory_symlink_option: tree.keep_directory_symlink = true; return true;
    case no_preserve_option: return preserve(argument, false, "--no-preserve");
    case preserve_option:
      return preserve(argument != nullptr ? argument : "mode,ownership,timestamps", true, "--preserve");
    case parents_option: command_.parents = true; return true;
    case reflink_option:
      tree.copy.reflink = ReflinkMode::always;
      return argument == nullptr || assign_word(tree.copy.reflink, "--reflink", argument, reflink_words, exit_);
    case remove_destination_option: tree.remove_destination = true; return true;
    case sparse_option: return assign_word(tree.copy.sparse, "--sparse", argument, sparse_words, exit_);
    case strip_trailing_slashes_option: command_.strip_trailing_slashes = true; return true;
    default: return accept_own(letter, argument != nullptr ? argument : "");
  }
}

bool Parser::accept_own(int letter, std::string_view argument) {
  TreeOptions& tree = command_.tree;
  switch (letter) {
    case chunk_size_option: return set_chunk_size(argument);
    case direct_option: tree.copy.direct = true; return true;
    case iopoll_option: tree.copy.direct = tree.copy.poll_devices = true; return true;
    case dry_run_option:
      tree.dry_run = true;
      command_.verbose = true;
      return true;
    case explain_option: command_.explain = true; return true;
    case fsync_option: tree.copy.fsync = true; return true;
    case inplace_option: tree.copy.inplace = true; return true;
    case jobs_option: return set_count(tree.jobs, "jobs", argument);
    case json_option: command_.json = true; return true;
    case method_option: return set_methods(argument);
    case preallocate_option: tree.copy.preallocate = true; return true;
    case progress_option:
      command_.progress = ProgressMode::always;
      return argument.empty() ||
             assign_word(command_.progress, "--progress", std::string(argument).c_str(), progress_words, exit_);
    case queue_depth_option: return set_count(tree.copy.queue_depth, "chunks in flight", argument);
    case verify_option: tree.copy.verify = true; return true;
    default: exit_ = wrong_usage(); return false;  // getopt_long has said why
  }
}

bool Parser::set_methods(std::string_view list) {
  command_.tree.copy.methods = {};
  return for_each_in_list(list, [&](std::string_view name) {
    const auto method = match_word("--method", name, method_words);
    if (!method) {
      exit_ = wrong_usage();
      return false;
    }
    command_.tree.copy.methods.insert(*method);
    return true;
  });
}

bool Parser::set_count(unsigned& count, std::string_view what, std::string_view text) {
  constexpr unsigned most = 256;  // max_copy_queue_depth, too
  static_assert(most == max_copy_queue_depth);
  unsigned given = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), given);
  if (status != std::errc{} || end != text.data() + text.size() || given < 1 || given > most) {
    return fail_usage(fmt::format("invalid number of {} {}: 1 to {} are possible", what, ferry::quoted(text), most));
  }
  count = given;
  return true;
}

bool Parser::set_chunk_size(std::string_view text) {
  const Result<std::uint64_t> size = parse_size(text);
  if (!size && size.error().errno_value() == EINVAL) {
    return fail_usage(fmt::format("invalid chunk size {}: give a number of bytes, or one with a unit as in 512K or 4M",
                                  ferry::quoted(text)));
  }
  if (!size || *size < min_copy_chunk_size_bytes || *size > max_copy_chunk_size_bytes) {
    return fail_usage(fmt::format("chunk size {} is out of range: 64K to 64M are possible", ferry::quoted(text)));
  }
  command_.tree.copy.chunk_size_bytes = *size;
  return true;
}

std::optional<CpExit> Parser::accept_globally(int letter) {
  if (letter == help_option) {
    fmt::print("{}", cp_help(may_colour(stdout)));
  } else if (letter == version_option) {
    fmt::print("{} {}\n", cp_name, version());
  } else {
    return std::nullopt;
  }
  return CpExit{std::fflush(stdout) == 0 ? 0 : exit_usage};
}

std::expected<CpCommand, CpExit> Parser::run(int argc, char** argv) {
  command_.tree.recursive = false;
  const OptionTable table;
  optind = 0;  // start afresh (glibc, getopt(3))
  for (;;) {
    const int letter = getopt_long(argc, argv, short_options, table.for_next(argc, argv), nullptr);
    if (letter == -1) {
      break;
    }
    if (const auto exit = accept_globally(letter)) {
      return std::unexpected(*exit);
    }
    if (!accept(letter, optarg)) {
      return std::unexpected(exit_);
    }
  }
  command_.operands.assign(argv + optind, argv + argc);
  if (!join()) {
    return std::unexpected(exit_);
  }
  return std::move(command_);
}

bool Parser::join_backup() {
  const bool no_backup_wanted = no_clobber_ || update_ == Update::none_fail;
  if (make_backups_ && no_backup_wanted) {
    return fail_usage("options --backup and --no-clobber are mutually exclusive");
  }
  if (!make_backups_) {
    return true;
  }
  std::string_view context = "backup type";
  const char* control = backup_control_;
  if (control == nullptr || *control == '\0') {
    context = "$VERSION_CONTROL";
    control = std::getenv("VERSION_CONTROL");
  }
  command_.tree.backup = Backup::existing;
  if (control != nullptr && *control != '\0' &&
      !assign_word(command_.tree.backup, context, control, backup_words, exit_)) {
    return false;
  }
  const char* suffix = backup_suffix_ != nullptr ? backup_suffix_ : std::getenv("SIMPLE_BACKUP_SUFFIX");
  if (suffix != nullptr && *suffix != '\0' && std::string_view(suffix).find('/') == std::string_view::npos) {
    command_.tree.backup_suffix = suffix;
  }
  return true;
}

bool Parser::join() {
  TreeOptions& tree = command_.tree;
  if (hard_links_ && symbolic_links_) {
    return fail_usage("cannot make both hard and symbolic links");
  }
  if (tree.copy.reflink == ReflinkMode::always && tree.copy.sparse != SparseMode::automatic) {
    return fail_usage("--reflink can be used only with --sparse=auto");
  }
  if (!join_backup()) {
    return false;
  }
  if (preserve_context_) {
    return fail_plainly("cannot preserve security context without an SELinux-enabled kernel");
  }
  tree.link_mode = hard_links_ ? LinkMode::hard_link : symbolic_links_ ? LinkMode::symbolic_link : LinkMode::copy;
  tree.recursive = recursive_;
  // Without -R a fifo or a device named as source is read like a file.
  tree.copy_contents = !recursive_ || copy_contents_;
  tree.dereference = dereference_.value_or(recursive_ && !hard_links_ ? Dereference::never : Dereference::always);
  switch (no_clobber_ ? Update::none : update_) {
    case Update::all: tree.overwrite = Overwrite::replace; break;
    case Update::none: tree.overwrite = Overwrite::skip; break;
    case Update::none_fail: tree.overwrite = Overwrite::fail; break;
    case Update::older: tree.overwrite = Overwrite::if_older; break;
  }
  if (command_.json && command_.verbose) {
    command_.explain = true;  // standard output holds JSON only: one object per file instead of a line
  }
  return true;
}

}  // namespace

std::expected<CpCommand, CpExit> parse_cp_arguments(int argc, char** argv) { return Parser().run(argc, argv); }

CpExit wrong_usage() {
  fmt::print(stderr, "Try '{} --help' for more information.\n", cp_name);
  return {exit_usage};
}

}  // namespace ferry::cli
