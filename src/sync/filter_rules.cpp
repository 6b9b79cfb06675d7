// rsync's filter rules: reading them, and asking them. What a rule means is in rsync(1), FILTER RULES IN DEPTH.
#include "sync/filter_rules.hpp"

#include "base/sys.hpp"
#include "sync/filter_pattern.hpp"
#include "sync/text_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace ferry {
namespace {

// What both rules and the merge rules that bring them can be told.
struct Modifiers {
  bool include = false;
  bool negated = false;
  bool sender = false;
  bool receiver = false;
  bool perishable = false;

  [[nodiscard]] bool has_side() const noexcept { return sender || receiver; }
};

struct Rule {
  FilterPattern pattern;
  Modifiers modifiers;

  [[nodiscard]] bool is_for(FilterSide side) const noexcept {
    return !modifiers.has_side() || (side == FilterSide::sender ? modifiers.sender : modifiers.receiver);
  }
  [[nodiscard]] bool matches(std::string_view path, bool is_directory) const noexcept {
    return pattern.matches(path, is_directory) != modifiers.negated;
  }
  [[nodiscard]] FilterVerdict verdict() const noexcept {
    if (modifiers.include) {
      return FilterVerdict::include;
    }
    return modifiers.perishable ? FilterVerdict::exclude_perishable : FilterVerdict::exclude;
  }
};

// How the file of a merge rule is read.
struct MergeFile {
  std::string name;
  Modifiers defaults;          // of its rules
  bool patterns_only = false;  // no prefixes: all of them are what `defaults` says
  bool words = false;          // split at white space
  bool inherited = true;       // in subdirectories, too
  bool old_prefixes = false;   // --exclude-from: only "- ", "+ " and "!"
  bool may_clear = true;
  bool nul_separated = false;
};

// The place of a dir-merge rule among the rules: which of the per-directory files it is.
struct DirectoryMerge {
  std::size_t index = 0;
};

struct Parsed {
  std::vector<std::variant<Rule, DirectoryMerge>> items;
  std::vector<MergeFile> directory_files;
};

// --cvs-exclude's own patterns.
constexpr std::string_view cvs_patterns =
    "RCS SCCS CVS CVS.adm RCSLOG cvslog.* tags TAGS .make.state .nse_depinfo *~ #* .#* ,* _$* *$ *.old *.bak *.BAK "
    "*.orig *.rej .del-* *.a *.olb *.o *.obj *.so *.exe *.Z *.elc *.ln core .svn/ .git/ .hg/ .bzr/";

constexpr unsigned max_merge_depth = 64;

std::unexpected<Error> bad_rule(std::string_view rule) { return fail(EINVAL, "filter rule", std::string(rule)); }

// Reads rules into a Parsed.
class RuleReader {
 public:
  RuleReader(Parsed& into, bool delete_excluded) : into_(into), delete_excluded_(delete_excluded) {}

  // Rules of a per-directory file: merge files in it are beneath the directory, and no further dir-merge rules.
  void within(int dirfd) noexcept { dirfd_ = dirfd; }

  Result<void> argument(const FilterArgument& argument) {
    MergeFile file;
    file.old_prefixes = true;
    file.nul_separated = argument.nul_separated;
    switch (argument.kind) {
      case FilterArgument::Kind::rule: return rule(argument.text, {});
      case FilterArgument::Kind::include: file.defaults.include = true; [[fallthrough]];
      case FilterArgument::Kind::exclude: return rule(argument.text, file);
      case FilterArgument::Kind::include_from: file.defaults.include = true; [[fallthrough]];
      case FilterArgument::Kind::exclude_from: file.name = argument.text; return merge(file);
      case FilterArgument::Kind::cvs_exclude: return {};  // comes after all others: see parse()
    }
    return {};
  }

  // Whether a rule cleared the list.
  [[nodiscard]] bool cleared() const noexcept { return cleared_; }

  // -C, which is ":C" and "-C" at the end of all.
  Result<void> cvs_exclude() {
    if (auto merged = rule(":C", {}); !merged) {
      return merged;
    }
    return rule("-C", {});
  }

  Result<void> text(std::string_view text, const MergeFile& file) {
    if (!file.words) {
      for (const std::string_view entry : entries_of(text, file.nul_separated)) {
        if (auto read = rule(entry, file); !read) {
          return read;
        }
      }
      return {};
    }
    for (const std::string_view word : words_of(text)) {
      if (auto read = rule(word, file); !read) {
        return read;
      }
    }
    return {};
  }

 private:
  struct Prefix {
    char kind = '\0';  // the short name
    std::string_view modifiers;
    std::string_view pattern;
    bool has_separator = false;
  };

  static std::optional<Prefix> split_prefix(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, char>, 9> long_names = {{{"exclude", '-'},
                                                                              {"include", '+'},
                                                                              {"merge", '.'},
                                                                              {"dir-merge", ':'},
                                                                              {"hide", 'H'},
                                                                              {"show", 'S'},
                                                                              {"protect", 'P'},
                                                                              {"risk", 'R'},
                                                                              {"clear", '!'}}};
    Prefix prefix;
    for (const auto& [name, kind] : long_names) {
      const std::string_view rest = text.starts_with(name) ? text.substr(name.size()) : std::string_view();
      if (text == name || (!rest.empty() && (rest.front() == ' ' || rest.front() == '_' || rest.front() == ','))) {
        prefix.kind = kind;
        text = rest;
      }
    }
    if (prefix.kind == '\0') {
      if (text.empty() || !std::string_view("-+.:HSPR!").contains(text.front())) {
        return std::nullopt;
      }
      prefix.kind = text.front();
      text.remove_prefix(1);
    }
    if (text.starts_with(',')) {
      text.remove_prefix(1);
    }
    const std::size_t end = std::min(text.find_first_of(" _"), text.size());
    prefix.modifiers = text.substr(0, end);
    prefix.has_separator = end < text.size();
    prefix.pattern = text.substr(std::min(end + 1, text.size()));
    return prefix;
  }

  // One rule, read from `file` or (the default) given by itself.
  Result<void> rule(std::string_view text, const MergeFile& file) {
    Modifiers modifiers = file.defaults;
    if (file.patterns_only || file.old_prefixes) {
      if (text == "!" && file.may_clear) {
        return clear();
      }
      if (file.old_prefixes && (text.starts_with("- ") || text.starts_with("+ "))) {
        modifiers.include = text.front() == '+';
        text.remove_prefix(2);
      }
      return text.empty() ? Result<void>(bad_rule(text)) : add(text, modifiers);
    }

    if (text.empty()) {
      return {};  // as rsync takes --filter=
    }
    const auto prefix = split_prefix(text);
    if (!prefix) {
      return bad_rule(text);
    }
    modifiers.include = false;
    switch (prefix->kind) {
      case '!': return prefix->modifiers.empty() && prefix->pattern.empty() ? clear() : Result<void>(bad_rule(text));
      case '.':
      case ':': return merge_rule(text, *prefix, file);
      default: break;
    }
    bool prefix_has_side = false;
    switch (prefix->kind) {
      case '+': modifiers.include = true; break;
      case 'S': modifiers.include = true; [[fallthrough]];
      case 'H': modifiers.sender = prefix_has_side = true; break;
      case 'R': modifiers.include = true; [[fallthrough]];
      case 'P': modifiers.receiver = prefix_has_side = true; break;
      default: break;
    }
    bool of_cvs = false;
    bool own_side = prefix_has_side;
    for (const char modifier : prefix->modifiers) {
      if (modifier == 'C' && prefix->kind == '-' && !of_cvs) {
        of_cvs = true;
        continue;
      }
      const bool second_side = (modifier == 's' || modifier == 'r') && prefix_has_side;
      if (second_side || !common_modifier(modifier, modifiers, own_side)) {
        return bad_rule(text);
      }
    }
    if (own_side && file.defaults.has_side()) {
      return bad_rule(text);  // the merge rule has said which side the file's rules are for
    }
    if (of_cvs) {
      return cvs_patterns_of_all(modifiers);
    }
    return prefix->pattern.empty() ? Result<void>(bad_rule(text)) : add(prefix->pattern, modifiers);
  }

  // A modifier that rules and merge rules have. '/' (absolute paths) and 'x' (names of attributes) are not supported.
  static bool common_modifier(char modifier, Modifiers& modifiers, bool& has_side) {
    switch (modifier) {
      case '!': modifiers.negated = true; return true;
      case 's': modifiers.sender = has_side = true; return true;
      case 'r': modifiers.receiver = has_side = true; return true;
      case 'p': modifiers.perishable = true; return true;
      default: return false;
    }
  }

  Result<void> merge_rule(std::string_view text, const Prefix& prefix, const MergeFile& containing) {
    MergeFile file;
    file.name = prefix.pattern;
    file.defaults = containing.defaults;
    file.nul_separated = containing.nul_separated;
    bool exclude_itself = false;
    bool own_side = false;
    for (const char modifier : prefix.modifiers) {
      switch (modifier) {
        case '-':
        case '+':
          if (file.patterns_only) {
            return bad_rule(text);
          }
          file.patterns_only = true;
          file.may_clear = false;
          file.defaults.include = modifier == '+';
          break;
        case 'C':
          if (file.patterns_only) {
            return bad_rule(text);
          }
          file.patterns_only = file.words = true;
          file.inherited = false;
          break;
        case 'e': exclude_itself = true; break;
        case 'n': file.inherited = false; break;
        case 'w': file.words = true; break;
        case '!': return bad_rule(text);
        default:
          if (!common_modifier(modifier, file.defaults, own_side)) {
            return bad_rule(text);
          }
      }
    }
    if (own_side && containing.defaults.has_side()) {
      return bad_rule(text);
    }
    if (file.name.empty()) {
      if (!prefix.modifiers.contains('C')) {
        return bad_rule(text);
      }
      file.name = ".cvsignore";
    }
    if (exclude_itself) {
      const std::size_t slash = file.name.rfind('/');
      if (auto added = add(std::string_view(file.name).substr(slash == std::string::npos ? 0 : slash + 1), {});
          !added) {
        return added;
      }
    }
    if (prefix.kind == '.') {
      return merge(file);
    }
    if (dirfd_) {
      return fail(ENOTSUP, "filter rule", std::string(text));  // a per-directory file that names another
    }
    into_.items.emplace_back(DirectoryMerge{into_.directory_files.size()});
    into_.directory_files.push_back(std::move(file));
    return {};
  }

  Result<void> merge(const MergeFile& file) {
    if (depth_ == max_merge_depth) {
      return fail(ELOOP, "filter file", file.name);
    }
    // In a per-directory file only what is beside it can be meant, and never what a symlink leads to.
    const auto text = dirfd_ ? read_text_file(*dirfd_, file.name, O_NOFOLLOW | O_NONBLOCK) : read_named_file(file.name);
    if (!text) {
      return std::unexpected(text.error());
    }
    ++depth_;
    auto read = this->text(*text, file);
    --depth_;
    return read;
  }

  // "-C": the patterns of CVS, of the user's file and of the environment.
  Result<void> cvs_patterns_of_all(Modifiers modifiers) {
    MergeFile file;
    file.patterns_only = file.words = true;
    file.defaults = modifiers;
    file.defaults.perishable = true;
    if (auto added = text(cvs_patterns, file); !added) {
      return added;
    }
    file.defaults.perishable = modifiers.perishable;
    if (const char* home = std::getenv("HOME"); home != nullptr && !dirfd_) {
      if (const auto own = read_text_file(AT_FDCWD, std::string(home) + "/.cvsignore"); own) {
        if (auto added = text(*own, file); !added) {
          return added;
        }
      } else if (own.error().errno_value() != ENOENT && own.error().errno_value() != ENOTDIR) {
        return std::unexpected(own.error());
      }
    }
    const char* listed = std::getenv("CVSIGNORE");
    return listed == nullptr ? Result<void>() : text(listed, file);
  }

  Result<void> clear() {
    into_.items.clear();
    into_.directory_files.clear();
    cleared_ = true;
    return {};
  }

  Result<void> add(std::string_view pattern, Modifiers modifiers) {
    if (delete_excluded_ && !modifiers.has_side()) {
      modifiers.sender = true;
    }
    into_.items.emplace_back(Rule{FilterPattern(pattern), modifiers});
    return {};
  }

  Parsed& into_;
  bool delete_excluded_;
  std::optional<int> dirfd_;
  unsigned depth_ = 0;
  bool cleared_ = false;
};

// The rules of one per-directory file, and where it is.
struct Block {
  std::string directory;  // its path, without slashes at the ends
  std::string above;      // if it is above the root of the transfer: the way down to that
  bool inherited = true;
  std::vector<Rule> rules;

  [[nodiscard]] FilterVerdict verdict(std::string_view path, bool is_directory, FilterSide side) const {
    const std::string_view below = directory.empty() ? path : path.substr(std::min(directory.size() + 1, path.size()));
    for (const Rule& rule : rules) {
      if (rule.is_for(side) && rule.matches(rule.pattern.is_anchored() ? below : path, is_directory)) {
        return rule.verdict();
      }
    }
    return FilterVerdict::none;
  }
};

using Blocks = std::vector<std::shared_ptr<const Block>>;  // the nearest directory's first

class RuleList final : public FilterRules {
 public:
  RuleList(std::shared_ptr<const Parsed> parsed, bool delete_excluded, std::vector<Blocks> found)
      : parsed_(std::move(parsed)), delete_excluded_(delete_excluded), found_(std::move(found)) {}

  [[nodiscard]] bool empty() const noexcept override { return parsed_->items.empty(); }
  [[nodiscard]] bool has_directory_files() const noexcept override { return !parsed_->directory_files.empty(); }

  [[nodiscard]] FilterVerdict verdict(std::string_view path, bool is_directory, FilterSide side) const override {
    for (const auto& item : parsed_->items) {
      if (const Rule* rule = std::get_if<Rule>(&item)) {
        if (rule->is_for(side) && rule->matches(path, is_directory)) {
          return rule->verdict();
        }
        continue;
      }
      for (const auto& block : found_[std::get<DirectoryMerge>(item).index]) {
        if (const FilterVerdict verdict = block->verdict(path, is_directory, side); verdict != FilterVerdict::none) {
          return verdict;
        }
      }
    }
    return FilterVerdict::none;
  }

  [[nodiscard]] Result<std::shared_ptr<const FilterRules>> enter_directory(int dirfd,
                                                                           std::string_view path) const override {
    std::vector<Blocks> here(found_.size());
    bool changed = false;
    for (std::size_t index = 0; index < found_.size(); ++index) {
      const MergeFile& file = parsed_->directory_files[index];
      std::ranges::copy_if(found_[index], std::back_inserter(here[index]), &Block::inherited,
                           [](const auto& block) -> const Block& { return *block; });
      if (path.empty() && file.name.contains('/')) {
        if (auto above = read_above(dirfd, file, here[index]); !above) {
          return std::unexpected(std::move(above.error()));
        }
      }
      if (auto read = read_block(dirfd, base_name(file), path, file, here[index]); !read) {
        return std::unexpected(std::move(read.error()));
      }
      changed |= here[index] != found_[index];
    }
    if (!changed) {
      return nullptr;
    }
    return std::make_shared<const RuleList>(parsed_, delete_excluded_, std::move(here));
  }

 private:
  static std::string base_name(const MergeFile& file) {
    const std::size_t slash = file.name.rfind('/');
    return slash == std::string::npos ? file.name : file.name.substr(slash + 1);
  }

  // Puts the rules of the file `name` in the directory before the others, if there is such a file.
  Result<void> read_block(int dirfd, const std::string& name, std::string_view path, const MergeFile& file,
                          Blocks& blocks) const {
    const auto text = read_text_file(dirfd, name, O_NOFOLLOW | O_NONBLOCK);
    if (!text) {
      const int error = text.error().errno_value();
      return error == ENOENT ? Result<void>() : Result<void>(std::unexpected(text.error()));
    }
    Parsed parsed;
    RuleReader reader(parsed, delete_excluded_);
    reader.within(dirfd);
    if (auto read = reader.text(*text, file); !read) {
      return read;
    }
    if (reader.cleared()) {
      blocks.clear();
    }
    auto block = std::make_shared<Block>();
    block->directory = path;
    block->inherited = file.inherited;
    for (auto& item : parsed.items) {
      block->rules.push_back(std::move(std::get<Rule>(item)));
    }
    if (!block->rules.empty()) {
      blocks.insert(blocks.begin(), std::move(block));
    }
    return {};
  }

  // ": /.rsync-filter", ": ../.rsync-filter": the file is looked for in the directories above the root of the transfer,
  // too, and anchors its rules where it is.
  Result<void> read_above(int dirfd, const MergeFile& file, Blocks& blocks) const {
    const bool from_root = file.name.starts_with('/');
    std::size_t levels = 0;
    for (std::size_t at = 0; file.name.compare(at, 3, "../") == 0; at += 3) {
      ++levels;
    }
    std::vector<UniqueFd> above;
    struct statx last = {};
    if (const int error = sys::statx(dirfd, "", AT_EMPTY_PATH, STATX_INO, last); error < 0) {
      return fail(-error, "statx", "..");
    }
    for (int at = dirfd; from_root || above.size() < levels; at = above.back().get()) {
      const int fd = sys::openat(at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (fd < 0) {
        return fail(-fd, "openat", "..");
      }
      UniqueFd owned(fd);
      struct statx status = {};
      if (const int error = sys::statx(fd, "", AT_EMPTY_PATH, STATX_INO, status); error < 0) {
        return fail(-error, "statx", "..");
      }
      if (status.stx_ino == last.stx_ino && status.stx_dev_major == last.stx_dev_major &&
          status.stx_dev_minor == last.stx_dev_minor) {
        break;  // the root directory is its own parent
      }
      last = status;
      above.push_back(std::move(owned));
    }
    std::array<char, 4096> root = {};
    const std::string link = "/proc/self/fd/" + std::to_string(dirfd);
    const ssize_t length = sys::readlinkat(AT_FDCWD, link.c_str(), root.data(), root.size());
    if (length < 0) {
      return fail(static_cast<int>(-length), "readlinkat", link);
    }
    const std::string_view path(root.data(), static_cast<std::size_t>(length));
    for (std::size_t index = above.size(); index-- > 0;) {
      std::size_t begin = path.size();
      for (std::size_t level = 0; level <= index && begin > 0 && begin != std::string_view::npos; ++level) {
        begin = path.rfind('/', begin - 1);
      }
      const std::size_t before = blocks.size();
      if (auto read = read_block(above[index].get(), base_name(file), "", file, blocks); !read) {
        return read;
      }
      if (blocks.size() > before && begin != std::string_view::npos) {
        auto anchored = std::make_shared<Block>(*blocks.front());
        anchored->above = path.substr(begin + 1);
        blocks.front() = std::move(anchored);
      }
    }
    return {};
  }

  std::shared_ptr<const Parsed> parsed_;
  bool delete_excluded_;
  std::vector<Blocks> found_;  // by dir-merge rule
};

}  // namespace

Result<std::shared_ptr<const FilterRules>> FilterRules::parse(std::span<const FilterArgument> arguments,
                                                              bool delete_excluded) {
  auto parsed = std::make_shared<Parsed>();
  RuleReader reader(*parsed, delete_excluded);
  bool cvs_exclude = false;
  for (const FilterArgument& argument : arguments) {
    cvs_exclude |= argument.kind == FilterArgument::Kind::cvs_exclude;
    if (auto read = reader.argument(argument); !read) {
      return std::unexpected(std::move(read.error()));
    }
  }
  if (cvs_exclude) {
    if (auto read = reader.cvs_exclude(); !read) {
      return std::unexpected(std::move(read.error()));
    }
  }
  std::vector<Blocks> none(parsed->directory_files.size());
  return std::make_shared<const RuleList>(std::move(parsed), delete_excluded, std::move(none));
}

}  // namespace ferry
