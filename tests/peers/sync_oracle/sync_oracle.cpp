/// \file
/// sync_oracle FIRST LAST DIR: for each seed, rsync and ferry sync are run with the same options on twins of the same
/// trees below DIR; afterwards everything there must be the same (type, content, mode, owner, times, attributes, ACLs,
/// link groups, devices; blocks with -S), the lines of -i as a set, and the exit status. A case that fails is made
/// smaller, as far as it still fails, and shown. FERRY and RSYNC name the programs; with SYNC_ORACLE_FIRST_ONLY the
/// first difference ends it. Exit status: 0, 1 for differences, 2 for trouble.
///
/// sync_oracle --show SEED: prints a case.
#include <grp.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>

#include "snapshot.hpp"
#include "support/posix.hpp"
#include "sync_case.hpp"

namespace {

using namespace oracle;  // NOLINT(google-build-using-namespace): the program that these files are for
namespace fs = std::filesystem;

constexpr uid_t somebody = 65534;
constexpr unsigned patience_seconds = 10;
constexpr int out_of_patience = 128 + SIGALRM;
constexpr std::size_t name_at = 12;  // in a line of -i

struct Outcome {
  int status = 0;
  std::multiset<std::string> lines;
  std::string errors;
  Snapshot after;
};

std::string environment(const char* name, const char* otherwise) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : otherwise;
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int run_in(const fs::path& side, const std::vector<std::string>& words, bool as_user) {
  const pid_t child = posix::check(::fork(), "fork", "");
  if (child == 0) {
    posix::check(::chdir(side.c_str()), "chdir", side.native());
    const fs::path parent = side.parent_path();
    const int in = ::open("/dev/null", O_RDONLY);
    const int out = ::open((parent / "lines").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    const int err = ::open((parent / "errors").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(err, 2);
    if (as_user) {
      posix::check(::setgroups(0, nullptr), "setgroups", "");
      posix::check(::setgid(somebody), "setgid", "");
      posix::check(::setuid(somebody), "setuid", "");
    }
    ::alarm(patience_seconds);
    ::setenv("HOME", parent.c_str(), 1);
    std::vector<char*> pointers;
    for (const std::string& word : words) {
      pointers.push_back(
          const_cast<char*>(word.c_str()));  // NOLINT(cppcoreguidelines-pro-type-const-cast): as execv asks
    }
    pointers.push_back(nullptr);
    ::execvp(pointers[0], pointers.data());
    ::_exit(127);
  }
  int status = 0;
  posix::check(::waitpid(child, &status, 0), "waitpid", "");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void make_side(const SyncCase& asked, const fs::path& side) {
  fs::create_directory(side);
  for (const auto& [name, tree] : asked.trees) {
    make_tree(tree, side / name);
  }
  for (const auto& [name, content] : asked.files) {
    std::ofstream(side / name) << content;
  }
  const timespec times[] = {{1'500'000'000, 0}, {1'500'000'000, 0}};
  posix::check(::utimensat(AT_FDCWD, side.c_str(), times, 0), "utimensat", side.native());
  if (asked.as_user) {
    posix::check(::chown(side.c_str(), somebody, somebody), "chown", side.native());
  }
}

Outcome ask(const SyncCase& asked, const fs::path& side, std::vector<std::string> words) {
  make_side(asked, side);
  words.emplace_back("-i");
  const std::vector<std::string> arguments = asked.arguments();
  words.insert(words.end(), arguments.begin(), arguments.end());
  Outcome outcome;
  outcome.status = run_in(side, words, asked.as_user);
  std::istringstream lines(read_text(side.parent_path() / "lines"));
  for (std::string line; std::getline(lines, line);) {
    outcome.lines.insert(line);
  }
  outcome.errors = read_text(side.parent_path() / "errors");
  outcome.after = take_snapshot(side);
  return outcome;
}

// What rsync writes as \#ooo is one byte.
std::string unescaped(const std::string& line) {
  std::string text;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line.compare(i, 2, "\\#") == 0 && i + 4 < line.size()) {
      text += static_cast<char>(std::stoi(line.substr(i + 2, 3), nullptr, 8));
      i += 4;
    } else {
      text += line[i];
    }
  }
  return text;
}

// ------------------------------------------------------------------------------------------ what is left open
// Each of these is in docs/sync.md, "Differences from rsync".

// Which name of a group of hard links is the one that is copied, and so how each is told.
std::set<std::string> names_with_links(const SyncCase& asked) {
  std::set<std::string> names;
  if (asked.has_letter('H')) {
    for (const auto& [path, entry] : asked.trees.at("src")) {
      if (entry.link_group != 0) {
        names.insert(path);
      }
    }
  }
  return names;
}

bool is_one_of(const std::string& path, const std::set<std::string>& names) {
  return std::ranges::any_of(names,
                             [&](const std::string& each) { return path == each || path.ends_with("/" + each); });
}

timespec source_time(const SyncCase& asked, const std::string& path) {
  const TreeSpec& source = asked.trees.at("src");
  for (const std::string_view root : {"dst/src/", "dst/"}) {
    if (path.starts_with(root)) {
      const auto found = source.find(path.substr(root.size()));
      if (found != source.end()) {
        return found->second.mtime;
      }
    }
  }
  return {};
}

// Attributes that are not asked for are those of a file that was there, where there was one: in the destination, or, as
// rsync has it, in another tree, or under the name that happens to be the first of a group of hard links.
void leave_attributes_open(const SyncCase& asked, Snapshot& expected, const Snapshot& actual) {
  const std::set<std::string> linked = names_with_links(asked);
  const bool has_basis = asked.has("--link-dest") || asked.has("--copy-dest") || asked.has("--compare-dest");
  const bool keeps_modes = (asked.has_letter('p') || asked.has_letter('a')) && !asked.has("--no-p");
  const bool keeps_times = (asked.has_letter('t') || asked.has_letter('a')) && !asked.has("--no-t");
  const bool keeps_owners =
      (asked.has_letter('a') || asked.has_letter('o')) && !asked.has("--no-o") && !asked.has("--no-g");
  for (auto& [path, state] : expected) {
    const auto found = actual.find(path);
    if (found != actual.end() && S_ISDIR(state.mode) && !keeps_modes && asked.has_letter('X')) {
      state.mode = S_ISDIR(found->second.mode) ? found->second.mode : state.mode;
    }
    if (found == actual.end() || S_ISDIR(state.mode) || (state.mode & S_IFMT) != (found->second.mode & S_IFMT)) {
      continue;
    }
    const EntryState& other = found->second;
    const timespec wanted = source_time(asked, path);
    if (other.mtime.tv_sec == wanted.tv_sec && other.mtime.tv_nsec == wanted.tv_nsec &&
        state.mtime.tv_sec == wanted.tv_sec) {
      state.mtime = wanted;  // rsync leaves a time that is right but for the nanoseconds
    }
    const bool is_linked = is_one_of(path, linked);
    if (!keeps_modes && (is_linked || has_basis || !S_ISREG(state.mode))) {
      state.mode = other.mode;
    }
    if (is_linked) {
      state.mtime = keeps_times ? state.mtime : other.mtime;
      state.uid = keeps_owners ? state.uid : other.uid;
      state.gid = keeps_owners ? state.gid : other.gid;
      if (!asked.has_letter('A') || !asked.has_letter('X')) {
        state.attributes = other.attributes;
      }
    }
  }
}

// Directories of --backup-dir are made with the attributes that the destination's have at that time.
void leave_backup_directories_open(const SyncCase& asked, Snapshot& expected, const Snapshot& actual) {
  if (!asked.has("--backup-dir")) {
    return;
  }
  for (auto& [path, state] : expected) {
    const auto found = actual.find(path);
    const bool is_backup = path.starts_with("bak/") || path.starts_with("new/bak/") || path.starts_with("dst/bak/");
    if (is_backup && found != actual.end() && S_ISDIR(state.mode) && S_ISDIR(found->second.mode)) {
      state = found->second;
    }
  }
}

// --max-delete: which ones are deleted before the limit is reached.
void leave_deletions_open(const SyncCase& asked, Snapshot& snapshot, const Snapshot& other) {
  const TreeSpec& old = asked.trees.at("dst");
  std::erase_if(snapshot, [&](const auto& entry) {
    return entry.first.starts_with("dst/") && old.contains(entry.first.substr(4)) && !other.contains(entry.first);
  });
  for (auto& [path, state] : snapshot) {
    state.mtime = S_ISDIR(state.mode) ? timespec{} : state.mtime;
    state.same_file_as.clear();
    if (path.starts_with("dst/") && !asked.trees.at("src").contains(path.substr(4))) {
      state.mode &= S_IFMT;  // rsync may have made it writable before it came to the limit
    }
  }
}

// rsync tells owner and permissions of a file with set-ID bits as they are after its chown, which ferry does not.
std::string without_owner(std::string line, const SyncCase& asked) {
  const auto& old = asked.trees.at("dst");
  const auto found = line.size() > name_at ? old.find(line.substr(name_at)) : old.end();
  if (found != old.end() && (found->second.mode & 06000U) != 0 && found->second.kind != Kind::directory) {
    line.replace(5, 3, "...");
    if (line.starts_with(".") && line.substr(2, 9).find_first_not_of(" .") == std::string::npos) {
      line.clear();
    }
  }
  return line;
}

// The line as it is compared; empty: not at all.
std::string compared(const std::string& line, const SyncCase& asked, const std::set<std::string>& linked,
                     bool is_limited) {
  if (line == "IO error encountered -- skipping file deletion") {  // ferry: an error, on standard error
    return {};
  }
  if (line.starts_with("*deleting")) {
    return is_limited ? "*deleting" : line;
  }
  if (is_limited && line.starts_with(".d..t......")) {
    return {};
  }
  if (asked.has("--max-delete") && line.starts_with("cannot delete non-empty directory")) {
    return {};
  }
  std::string text = unescaped(line);
  if (const std::size_t arrow = text.find(" => "); text.starts_with("hL") && arrow != std::string::npos) {
    text.replace(arrow, 4, " -> ");  // a symlink linked from another tree
  }
  if (text.size() > name_at &&
      is_one_of(text.substr(name_at, std::min(text.find(" => "), text.find(" -> ")) - name_at), linked)) {
    return {};
  }
  return without_owner(std::move(text), asked);
}

void compare_lines(const SyncCase& asked, const Outcome& expected, const Outcome& actual, bool is_limited,
                   std::vector<std::string>& found) {
  const std::set<std::string> linked = names_with_links(asked);
  const auto lines_of = [&](const Outcome& outcome) {
    std::multiset<std::string> lines;
    for (const std::string& line : outcome.lines) {
      const std::string text = compared(line, asked, linked, is_limited);
      if (!text.starts_with("cannot delete non-empty directory") || !lines.contains(text)) {  // rsync says it twice
        lines.insert(text);
      }
    }
    lines.erase("");
    return lines;
  };
  const auto report = [&](const std::multiset<std::string>& one, const std::multiset<std::string>& other,
                          const char* who) {
    std::vector<std::string> only;
    std::ranges::set_difference(one, other, std::back_inserter(only));
    for (const std::string& line : only) {
      found.push_back(fmt::format("line of {} only: {}", who, posix::printable(line)));
    }
  };
  const auto of_rsync = lines_of(expected);
  const auto of_ferry = lines_of(actual);
  report(of_rsync, of_ferry, "rsync");
  report(of_ferry, of_rsync, "ferry");
}

// ------------------------------------------------------------------------------------------ judging

// Some cases make rsync itself wait for ever, or break its protocol: of those there is nothing to be learnt.
bool is_broken(int status) { return status == out_of_patience || status == 2 || status == 12 || status == 13; }

// XFS shows root an ACL as trusted.SGI_ACL_*, too, by which rsync copies it with -X alone. There such cases have no
// ACLs.
SyncCase without_second_names(SyncCase asked, const fs::path& directory) {
  struct statfs where = {};
  posix::check(::statfs(directory.c_str(), &where), "statfs", directory.native());
  if (where.f_type == XFS_SUPER_MAGIC && asked.has_letter('X') && !asked.has_letter('A')) {
    for (auto& [name, tree] : asked.trees) {
      for (auto& [path, entry] : tree) {
        std::erase_if(entry.attributes, [](const auto& each) { return each.first.starts_with("system.posix_acl_"); });
      }
    }
  }
  return asked;
}

// Null: rsync broke.
std::optional<std::vector<std::string>> judge(const SyncCase& given, const fs::path& directory) {
  const SyncCase asked = without_second_names(given, directory);
  fs::remove_all(directory / "rsync");
  fs::remove_all(directory / "ferry");
  Comparison how{.blocks = asked.has_letter('S')};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &how.began);
  how.began.tv_sec -= 60;  // times of cases are years ago; file systems may round theirs down
  Outcome expected = ask(asked, directory / "rsync", {environment("RSYNC", "rsync")});
  if (is_broken(expected.status)) {
    return std::nullopt;
  }
  Outcome actual = ask(asked, directory / "ferry", {environment("FERRY", "ferry"), "sync"});
  const bool is_limited = expected.errors.contains("--max-delete limit");
  if (is_limited) {
    leave_deletions_open(asked, expected.after, actual.after);
    leave_deletions_open(asked, actual.after, expected.after);
  }
  leave_attributes_open(asked, expected.after, actual.after);
  leave_backup_directories_open(asked, expected.after, actual.after);
  std::vector<std::string> found = differences(expected.after, actual.after, how);
  compare_lines(asked, expected, actual, is_limited, found);
  if (expected.status != actual.status) {
    found.push_back(fmt::format("exit status expected {}, is {}", expected.status, actual.status));
  }
  if (!found.empty()) {
    found.push_back("rsync says: " + posix::printable(expected.errors.substr(0, 600)));
    found.push_back("ferry says: " + posix::printable(actual.errors.substr(0, 600)));
  }
  return found;
}

// Leaves out what can be left out while the programs still differ.
SyncCase shrink(SyncCase failing, const fs::path& directory) {
  constexpr unsigned most_attempts = 400;
  unsigned attempts = 0;
  const auto still_fails = [&](const SyncCase& smaller) {
    return ++attempts < most_attempts && !judge(smaller, directory).value_or(std::vector<std::string>()).empty();
  };
  for (bool is_smaller = true; is_smaller && attempts < most_attempts;) {
    is_smaller = false;
    for (std::size_t i = failing.options.size(); i-- > 0;) {
      SyncCase smaller = failing;
      smaller.options.erase(smaller.options.begin() + static_cast<std::ptrdiff_t>(i));
      if (still_fails(smaller)) {
        failing = std::move(smaller);
        is_smaller = true;
      }
    }
    for (const auto& [name, tree] : SyncCase(failing).trees) {
      for (const auto& [path, entry] : tree) {
        if (path.empty() || !failing.trees[name].contains(path)) {
          continue;
        }
        SyncCase smaller = failing;
        erase_entry(smaller.trees[name], path);
        if (still_fails(smaller)) {
          failing = std::move(smaller);
          is_smaller = true;
        }
      }
    }
  }
  return failing;
}

int usage() {
  fmt::print(stderr, "usage: sync_oracle FIRST LAST DIR | sync_oracle --show SEED\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 2 && words[0] == "--show") {
    fmt::print("{}", describe(make_case(std::stoull(words[1]))));
    return 0;
  }
  if (words.size() != 3) {
    return usage();
  }
  ::umask(022);
  ::signal(SIGPIPE, SIG_IGN);
  const fs::path directory = words[2];
  unsigned different = 0;
  unsigned asked = 0;
  unsigned unanswered = 0;
  for (std::uint64_t seed = std::stoull(words[0]); seed <= std::stoull(words[1]); ++seed) {
    const SyncCase one = make_case(seed);
    ++asked;
    const auto found = judge(one, directory);
    unanswered += found ? 0 : 1;
    if (!found || found->empty()) {
      continue;
    }
    ++different;
    fmt::print("seed {}: {} differences, such as {}\n", seed, found->size() - 2, found->front());
    if (std::getenv("SYNC_ORACLE_FIRST_ONLY") != nullptr) {
      return 1;
    }
    const SyncCase smallest = shrink(one, directory);
    fmt::print("FAILED: rsync and ferry differ:\n{}", describe(smallest));
    const std::vector<std::string> all = judge(smallest, directory).value_or(std::vector<std::string>());
    for (std::size_t i = 0; i < all.size() && i < 40; ++i) {
      fmt::print("    {}\n", all[i]);
    }
    std::fflush(stdout);
  }
  fmt::print("{} of {} cases differ; rsync broke in {}\n", different, asked, unanswered);
  return different == 0 && unanswered * 20 <= asked ? 0 : 1;
}
