#include "sync_case.hpp"

#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <functional>
#include <random>
#include <utility>

#include "support/posix.hpp"

namespace oracle {
namespace {

constexpr uid_t somebody = 65534;
constexpr std::time_t some_day = 1'600'000'000;

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  bool one_in(std::uint64_t chances) { return below(chances) == 0; }
  template <typename Values>
  auto pick(const Values& values) {
    return values[below(std::size(values))];
  }
  std::string word(std::initializer_list<const char*> words) { return *(words.begin() + below(words.size())); }

 private:
  std::mt19937_64 engine_;
};

/// The kernel's form of an ACL (linux/posix_acl_xattr.h); `mode` in, the mode that goes with it out.
std::string access_list(Random& random, mode_t& mode) {
  struct Entry {
    std::uint16_t tag;
    std::uint16_t permissions;
    std::uint32_t id;
  };
  constexpr std::uint32_t none = 0xffffffff;
  const auto any = [&] { return static_cast<std::uint16_t>(random.below(8)); };
  const std::uint16_t mask = any();
  const std::uint16_t others = any();
  const Entry entries[] = {
      {0x01, 7, none}, {0x02, any(), 1001}, {0x04, any(), none}, {0x10, mask, none}, {0x20, others, none}};
  mode = 0700U | static_cast<mode_t>(mask << 3U) | others;
  const std::uint32_t version = 2;
  std::string raw(reinterpret_cast<const char*>(&version), sizeof version);
  raw.append(reinterpret_cast<const char*>(entries), sizeof entries);
  return raw;
}

class CaseMaker {
 public:
  explicit CaseMaker(std::uint64_t seed) : random_(seed) { case_.seed = seed; }
  SyncCase make();

 private:
  // Trees.
  TreeSpec& tree(const char* name) { return case_.trees[name]; }
  void fill(TreeSpec& into, const std::string& directory, unsigned depth, unsigned most);
  EntrySpec random_entry(unsigned depth, const std::string& path);
  void decorate(EntrySpec& entry);
  void set_time(EntrySpec& entry);
  std::string random_target(const std::string& path);
  TreeSpec changed(const TreeSpec& from, unsigned change_percent);
  void change(TreeSpec& copy, const std::string& path);
  void change_type(TreeSpec& copy, const std::string& path);
  void add_extras(TreeSpec& copy);

  // Options.
  void option(std::vector<std::string> words) { case_.options.push_back(std::move(words)); }
  void base_options();
  void add_theme(unsigned theme);
  void filters();
  std::string pattern();
  std::string rule();
  std::string rules_file(unsigned most);
  void directory_rules(const char* name);
  void deletions();
  void backups();
  void other_trees();
  void relative();
  void files_from();
  void what_is_changed();
  void writing();
  void symlink_ways();
  void attributes();
  void without_root();
  void leave_out_what_differs_on_purpose();
  std::string any_path(bool of_destination = false);
  bool deletes() const;

  Random random_;
  SyncCase case_;
  unsigned groups_ = 0;
  bool wants_links_ = false;
};

// ------------------------------------------------------------------------------------------ trees

void CaseMaker::set_time(EntrySpec& entry) {
  entry.mtime.tv_sec = some_day + static_cast<std::time_t>(random_.below(100'000'000));
  entry.mtime.tv_nsec = random_.one_in(4) ? 0 : static_cast<long>(random_.below(1'000'000'000));
}

void CaseMaker::decorate(EntrySpec& entry) {
  set_time(entry);
  constexpr std::array<mode_t, 8> file_modes = {0644, 0644, 0600, 0755, 0444, 0640, 04755, 0664};
  constexpr std::array<mode_t, 6> directory_modes = {0755, 0755, 0700, 0775, 02755, 01777};
  entry.mode = entry.kind == Kind::directory ? random_.pick(directory_modes) : random_.pick(file_modes);
  if (entry.kind == Kind::symlink) {
    entry.mode = 0777;
  }
  if (random_.one_in(4)) {
    entry.uid = random_.pick(std::array<uid_t, 3>{0, 1000, 65534});
    entry.gid = random_.pick(std::array<gid_t, 3>{0, 1000, 5});
  }
  const bool takes_user_attributes = entry.kind == Kind::file || entry.kind == Kind::directory;
  if (takes_user_attributes && random_.one_in(8)) {
    entry.attributes["user.one"] = std::string(random_.below(40), static_cast<char>('a' + random_.below(26)));
  }
  if (entry.kind != Kind::symlink && random_.one_in(12)) {
    entry.attributes["system.posix_acl_access"] = access_list(random_, entry.mode);
  }
  if (entry.kind == Kind::directory && random_.one_in(15)) {
    mode_t unused = 0;
    entry.attributes["system.posix_acl_default"] = access_list(random_, unused);
  }
}

std::string CaseMaker::random_target(const std::string& path) {
  std::string up;
  for (const char c : path) {
    up += c == '/' ? "../" : "";
  }
  switch (random_.below(8)) {
    case 0: return up + "../outside/file";
    case 1: return up + "../outside/dir";
    case 2: return "/etc/hostname";
    case 3: return random_.word({"a/../f1", "sub/../../f1", "./f1", "..", "."});
    case 4: return "missing";
    case 5: return random_.word({"a", "b", "sub", "deep"});
    default: return random_.word({"f1", "f2", "../f1", "../note.txt"});
  }
}

EntrySpec CaseMaker::random_entry(unsigned depth, const std::string& path) {
  EntrySpec entry;
  const std::uint64_t roll = random_.below(100);
  if (roll < 30 && depth < 3) {
    entry.kind = Kind::directory;
  } else if (roll < 80) {
    entry.kind = Kind::file;
    entry.content = random_.below(1'000'000);
    entry.size = random_.one_in(10) ? 0 : random_.below(random_.one_in(12) ? 300'000 : 9'000);
    entry.has_zeros = entry.size > 32'768 && random_.one_in(2);
  } else if (roll < 92) {
    entry.kind = Kind::symlink;
    entry.text = random_target(path);
  } else if (roll < 95) {
    entry.kind = Kind::fifo;
  } else if (roll < 97) {
    entry.kind = Kind::socket;
  } else {
    entry.kind = Kind::device;
    entry.device = makedev(1, 3 + random_.below(3));
  }
  decorate(entry);
  return entry;
}

void CaseMaker::fill(TreeSpec& into, const std::string& directory, unsigned depth, unsigned most) {
  constexpr std::array names = {"a",   "b",      "sub",  "deep",     "tmp", "f1",       "f2",        "f3",
                                "x.o", "y.c",    "core", "note.txt", "z~",  "sp ace",   "br[ack]et", "st*r",
                                "CVS", "back\\", "f4",   "f5",       "log", "\xc3\xa4", "x.bak",     "foo.orig"};
  const std::uint64_t count = 1 + random_.below(most);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string path = (directory.empty() ? "" : directory + "/") + random_.pick(names);
    if (into.contains(path)) {
      continue;
    }
    into[path] = random_entry(depth, path);
    if (into[path].kind == Kind::directory) {
      fill(into, path, depth + 1, most);
    } else if (wants_links_ && random_.one_in(3)) {
      into[path].link_group = 1 + static_cast<unsigned>(random_.below(4));
      groups_ = 4;
    }
  }
}

void CaseMaker::change_type(TreeSpec& copy, const std::string& path) {
  const Kind old = copy[path].kind;
  erase_entry(copy, path);
  EntrySpec entry;
  do {
    entry = random_entry(1, path);
  } while (entry.kind == old);
  if (old == Kind::directory && random_.one_in(2)) {
    entry = {.kind = Kind::symlink, .mode = 0777, .text = random_.word({"b", "sub", "deep", "../a"})};
    set_time(entry);
  }
  copy[path] = entry;
  if (entry.kind == Kind::directory && random_.one_in(2)) {
    fill(copy, path, 3, 3);
  }
}

// One way in which a copy made earlier differs from its source now.
void CaseMaker::change(TreeSpec& copy, const std::string& path) {
  EntrySpec& entry = copy[path];
  const std::uint64_t roll = random_.below(100);
  if (roll < 20) {
    erase_entry(copy, path);
  } else if (roll < 32) {
    change_type(copy, path);
  } else if (roll < 44) {
    entry.mode = entry.kind == Kind::symlink                            ? 0777
                 : entry.attributes.contains("system.posix_acl_access") ? entry.mode
                                                                        : entry.mode ^ 0050U;
  } else if (roll < 50) {
    entry.uid = random_.pick(std::array<uid_t, 2>{0, 1000});
    entry.gid = 1000;
  } else if (roll < 58) {
    entry.mtime.tv_sec += static_cast<std::time_t>(random_.below(5)) - 2;
  } else if (roll < 62) {
    entry.mtime.tv_nsec = static_cast<long>(random_.below(1'000'000'000));
  } else if (roll < 66 && entry.kind != Kind::symlink) {
    entry.attributes.erase("user.one");
    if (entry.kind == Kind::file || entry.kind == Kind::directory) {
      entry.attributes["user.two"] = "value";
    }
  } else if (roll < 70 && entry.link_group != 0) {
    entry.link_group = random_.one_in(2) ? 0 : 1 + static_cast<unsigned>(random_.below(groups_ + 1));
  } else if (entry.kind == Kind::symlink) {
    entry.text = random_target(path);
  } else if (entry.kind == Kind::file) {
    switch (random_.below(5)) {
      case 0: entry.content += 1; break;  // as large and as old
      case 1: entry.size /= 2; break;     // the beginning of it
      case 2: entry.size += 100; break;   // the source was truncated
      case 3: entry.content += 1, entry.size += 7; break;
      default: break;
    }
    entry.mtime.tv_sec += random_.one_in(3) ? 1000 : random_.one_in(4) ? 0 : -1000;
  } else if (entry.kind == Kind::device) {
    entry.device = makedev(1, 7);
  }
}

void CaseMaker::add_extras(TreeSpec& copy) {
  std::vector<std::string> directories;
  for (const auto& [path, entry] : copy) {
    if (entry.kind == Kind::directory) {
      directories.push_back(path);
    }
  }
  const bool had_links = std::exchange(wants_links_, false);
  for (const std::string& directory : directories) {
    if (random_.one_in(2)) {
      fill(copy, directory, 2, 3);
    }
  }
  wants_links_ = had_links;
}

TreeSpec CaseMaker::changed(const TreeSpec& from, unsigned change_percent) {
  TreeSpec copy = from;
  std::vector<std::string> paths;
  for (const auto& [path, entry] : from) {
    paths.push_back(path);
  }
  for (const std::string& path : paths) {
    if (!path.empty() && copy.contains(path) && random_.below(100) < change_percent) {
      change(copy, path);
    }
  }
  return copy;
}

// ------------------------------------------------------------------------------------------ options

bool CaseMaker::deletes() const {
  return std::ranges::any_of(case_.options, [](const auto& group) { return group[0].starts_with("--del"); });
}

std::string CaseMaker::any_path(bool of_destination) {
  const TreeSpec& from = of_destination ? tree("dst") : tree("src");
  auto each = from.begin();
  std::advance(each, static_cast<std::ptrdiff_t>(random_.below(from.size())));
  return each->first.empty() ? "f1" : each->first;
}

void CaseMaker::base_options() {
  std::string letters;
  switch (random_.below(10)) {
    case 0: letters = "-r"; break;
    case 1: letters = "-rt"; break;
    case 2: letters = "-rlpt"; break;
    case 3: letters = "-rlD"; break;
    case 4: letters = random_.word({"-d", "-dlt", "-dlptgoD"}); break;
    default: letters = "-a"; break;
  }
  option({letters});
  if (random_.one_in(3)) {
    option({random_.word({"-A", "-X", "-AX"})});
  }
  if (wants_links_) {
    option({"-H"});
  }
  if (random_.one_in(4)) {
    option({"-i"});  // a second one: what is unchanged, too
  }
}

std::string CaseMaker::pattern() {
  std::string path = any_path(random_.one_in(3));
  std::string name = name_of(path);
  switch (random_.below(13)) {
    case 0: return "/" + path;
    case 1: return name + "/";
    case 2: return random_.word({"*.o", "*.c", "*~", "f*", "f?", "[a-f]*", "*.t[xy]t", "[!a-m]*", "*"});
    case 3: return "**/" + name;
    case 4: return "/" + parent_of(path) + (parent_of(path).empty() ? "*" : "/*");
    case 5: return "/" + path + "/**";
    case 6: return name + "/***";
    case 7: return path;
    case 8:
      return random_.word({"a/**/f1", "sub/*/f?", "**f1", "a**", "*/", "sub/**", "/*/f1", "br\\[ack\\]et", "st\\*r"});
    case 9: return name.substr(0, name.size() - 1) + "?";
    default: return name;
  }
}

std::string CaseMaker::rule() {
  switch (random_.below(14)) {
    case 0: return "P " + pattern();
    case 1: return "R " + pattern();
    case 2: return "H " + pattern();
    case 3: return "S " + pattern();
    case 4: return random_.word({"-s ", "-r ", "+s ", "+r ", "-p ", "-! ", "-sr "}) + pattern();
    case 5:
    case 6:
    case 7:
    case 8: return "+ " + pattern();
    default: return "- " + pattern();
  }
}

std::string CaseMaker::rules_file(unsigned most) {
  std::string text;
  for (std::uint64_t i = 0; i <= random_.below(most); ++i) {
    text += random_.one_in(10) ? random_.word({"# a comment\n", "\n", "; another\n", "!\n"}) : rule() + "\n";
  }
  return text;
}

// Files of rules in some directories of the source, and here and there others in the destination.
void CaseMaker::directory_rules(const char* name) {
  for (const char* where : {"src", "dst"}) {
    std::vector<std::string> places;
    for (const auto& [path, entry] : tree(where)) {
      if (entry.kind == Kind::directory && random_.one_in(where[0] == 's' ? 2 : 4)) {
        places.push_back(path);
      }
    }
    for (const std::string& place : places) {
      EntrySpec file;
      const bool is_cvs = std::string_view(name) == ".cvsignore";
      file.text = is_cvs ? "*.txt f1\n" + std::string(random_.one_in(3) ? "! b\n" : "") : rules_file(3);
      decorate(file);
      tree(where)[(place.empty() ? "" : place + "/") + name] = file;
    }
  }
}

void CaseMaker::filters() {
  for (std::uint64_t i = 0; i <= random_.below(4); ++i) {
    switch (random_.below(10)) {
      case 0: option({"--include=" + pattern()}); break;
      case 1: option({"--exclude=" + pattern()}); break;
      case 2:
        case_.files["rules"] = rules_file(4);
        option({random_.word({"--filter=. rules", "--filter=merge rules"})});
        break;
      case 3: {
        std::string list;
        for (std::uint64_t j = 0; j <= random_.below(3); ++j) {
          list += pattern() + "\n";
        }
        case_.files["excludes"] = list;
        option({random_.word({"--exclude-from=excludes", "--include-from=excludes"})});
        break;
      }
      case 4:
        directory_rules(".rules");
        option({"--filter=" + random_.word({": .rules", ":n .rules", ":e .rules", "dir-merge .rules"})});
        break;
      case 5:
        directory_rules(".rsync-filter");
        option({random_.word({"-F", "-FF"})});
        break;
      case 6:
        directory_rules(".cvsignore");
        option({"-C"});
        break;
      default: option({"--filter=" + rule()}); break;
    }
  }
  if (random_.one_in(2) && !deletes()) {
    deletions();
  }
}

void CaseMaker::deletions() {
  option({random_.word(
      {"--delete", "--delete", "--delete-before", "--delete-during", "--delete-delay", "--delete-after", "--del"})});
  if (random_.one_in(3)) {
    option({"--delete-excluded"});
  }
  if (random_.one_in(5)) {
    option({"--max-delete=" + random_.word({"0", "1", "2", "5", "1000"})});
  }
  if (random_.one_in(6)) {
    option({"--force"});
  }
  if (random_.one_in(6)) {
    option({"--ignore-errors"});
  }
}

void CaseMaker::backups() {
  option({"-b"});
  if (random_.one_in(2)) {
    option({random_.word({"--suffix=.old", "--suffix=.bak", "--suffix=~~"})});
  }
  if (random_.one_in(2)) {
    option({random_.word({"--backup-dir=../bak", "--backup-dir=bak", "--backup-dir=../new/bak"})});
    tree("bak")[""] = tree("dst")[""];
    if (random_.one_in(2)) {
      TreeSpec some = changed(tree("dst"), 60);
      std::erase_if(some, [&](const auto& each) { return !each.first.empty() && random_.one_in(3); });
      tree("bak") = some;
    }
  }
  if (random_.one_in(2) && !deletes()) {
    deletions();
  }
}

void CaseMaker::other_trees() {
  const std::string kind = random_.word({"--link-dest=", "--link-dest=", "--copy-dest=", "--compare-dest="});
  constexpr std::array names = {"b0", "b1", "b2"};
  for (std::uint64_t i = 0; i <= random_.below(3); ++i) {
    tree(names[i]) = changed(tree("src"), 30);
    add_extras(tree(names[i]));
    option({kind + "../" + names[i]});
  }
  if (random_.one_in(2)) {  // a destination that is new, as for each day of a rotation
    const EntrySpec root = tree("dst")[""];
    tree("dst") = {{"", root}};
  } else if (random_.one_in(2)) {
    std::erase_if(tree("dst"), [&](const auto& each) { return !each.first.empty() && random_.one_in(2); });
  }
}

void CaseMaker::relative() {
  option({"-R"});
  case_.sources.clear();
  for (std::uint64_t i = 0; i <= random_.below(2); ++i) {
    const std::string path = any_path();
    case_.sources.push_back(random_.one_in(3) ? "src/" + path : random_.one_in(2) ? "src/./" + path : "./src/" + path);
  }
  if (random_.one_in(3)) {
    option({"--no-implied-dirs"});
  }
}

void CaseMaker::files_from() {
  std::string list;
  const char end = random_.one_in(3) ? '\0' : '\n';
  for (std::uint64_t i = 0; i <= random_.below(6); ++i) {
    const std::string path = any_path();
    const bool may_have_slash = tree("src").contains(path) && tree("src")[path].kind != Kind::symlink;
    list += (random_.one_in(6) ? "./" : "") + path + (may_have_slash && random_.one_in(8) ? "/" : "") + end;
  }
  if (random_.one_in(6)) {
    list += std::string("nobody/knows") + end;
  }
  case_.files["list"] = list;
  if (end == '\0') {
    option({"-0", "--files-from=list"});
  } else {
    option({"--files-from=list"});
  }
  if (random_.one_in(2)) {
    option({random_.word({"-r", "--no-R", "--no-implied-dirs", "--no-d"})});
  }
  case_.sources = {random_.one_in(2) ? "src" : "src/"};
}

void CaseMaker::what_is_changed() {
  for (std::uint64_t i = 0; i <= random_.below(2); ++i) {
    option({random_.word({"-u", "--existing", "--ignore-existing", "--size-only", "-c", "-I", "--modify-window=1",
                          "--modify-window=-1", "-@2", "--max-size=4000", "--min-size=100", "-t", "-O", "-J"})});
  }
}

void CaseMaker::writing() {
  option({random_.word({"--inplace", "--append", "--append-verify", "-S", "-W", "--no-W", "--preallocate", "--fsync",
                        "--inplace --no-W"})});
  if (const std::string& word = case_.options.back()[0]; word.contains(' ')) {
    case_.options.back() = {word.substr(0, word.find(' ')), word.substr(word.find(' ') + 1)};
  }
}

void CaseMaker::symlink_ways() {
  for (std::uint64_t i = 0; i <= random_.below(2); ++i) {
    option({random_.word({"-K", "-k", "-L", "--safe-links", "--copy-unsafe-links"})});
  }
}

void CaseMaker::attributes() {
  for (std::uint64_t i = 0; i <= random_.below(2); ++i) {
    option({random_.word({"--chmod=Dg+s,F-w", "--chmod=go-rwx", "--chmod=u=rwX,go=rX", "--chmod=F600", "--numeric-ids",
                          "-E", "--no-p", "--no-o", "--no-g", "--no-t", "--no-D", "--no-l", "--chown=1000:5",
                          "--devices", "--specials", "-p", "-g"})});
  }
}

// Somebody who may read some of it only, and own none of it.
void CaseMaker::without_root() {
  case_.as_user = true;
  for (auto& [name, spec] : case_.trees) {
    for (auto& [path, entry] : spec) {
      entry.uid = somebody;
      entry.gid = somebody;
      if (entry.kind == Kind::device) {
        entry.kind = Kind::fifo;
      }
    }
  }
  for (auto& [path, entry] : tree("src")) {
    if (!path.empty() && entry.attributes.empty() && entry.kind != Kind::symlink && random_.one_in(8)) {
      entry.uid = 0;  // not theirs, and closed to them
      entry.mode = entry.kind == Kind::directory ? 0700 : 0600;
    }
  }
  if (random_.one_in(4)) {
    for (auto& [path, entry] : tree("dst")) {
      if (!path.empty() && entry.kind == Kind::directory && entry.attributes.empty() && random_.one_in(4)) {
        entry.mode = 0500;
      }
    }
  }
}

// docs/sync.md, "Differences from rsync".
void CaseMaker::leave_out_what_differs_on_purpose() {
  const auto leave_out = [&](const std::string& option) {
    std::erase_if(case_.options, [&](const auto& group) { return group[0].starts_with(option); });
  };
  const bool has_basis = case_.trees.contains("b0");
  if (has_basis) {
    leave_out("-b");
    leave_out("--backup-dir");
    leave_out("--append");
    leave_out("-n");  // rsync looks for attributes of what it has not made
  }
  if (case_.has("--no-R")) {
    leave_out("-H");  // names without their directories cannot be told apart here
  }
  if (case_.has("--no-implied-dirs")) {
    std::erase_if(tree("dst"), [](const auto& entry) { return entry.second.kind == Kind::symlink; });
  }
  if (case_.has("--no-p")) {
    leave_out("-A");
  }
  if (!case_.has_letter('a')) {
    leave_out("--chmod=Dg+s");
  }
  if (case_.has("--existing")) {
    leave_out("-L");
  }
  if (case_.as_user) {
    leave_out("--ignore-errors");
  }
  if (case_.has("--inplace") || (case_.has("--delete-delay") && case_.has("--delete-excluded"))) {
    leave_out("-b");
    leave_out("--backup-dir");
  }
  if (case_.has_letter('L') || case_.has_letter('k') || case_.has("--copy-unsafe-links")) {
    leave_out("--remove-source-files");
    // Symlinks that lead up again.
    std::erase_if(tree("src"), [](const auto& entry) {
      return entry.second.kind == Kind::symlink && entry.second.text.starts_with(".") &&
             !entry.second.text.contains("outside");
    });
  }
  for (auto& [path, entry] : tree("src")) {
    const bool has_rules = name_of(path).starts_with(".");
    if (case_.as_user && entry.uid == 0 && (has_rules || (deletes() && entry.kind == Kind::directory))) {
      entry.uid = somebody;
    }
  }
  if (case_.has_letter('R') || case_.has("--delete-after") || case_.has("--delete-delay")) {
    leave_out("--remove-source-files");
  }
  for (auto& [path, entry] : tree("dst")) {
    if (case_.as_user && case_.has("--no-implied-dirs") && entry.mode == 0500) {
      entry.mode = 0755;
    }
  }
  if (case_.trees.contains("bak")) {  // what is in the way of a backup is kept
    const TreeSpec& old = tree("dst");
    std::erase_if(tree("bak"), [&](const auto& entry) {
      const auto found = old.find(entry.first);
      return found != old.end() && (entry.second.kind == Kind::directory) != (found->second.kind == Kind::directory);
    });
  }
  if (case_.has("--files-from") || case_.has_letter('R')) {
    leave_out("-F");
    leave_out("--filter=:");
    leave_out("--filter=dir-merge");
    leave_out("-C");
  }
  if (case_.sources.size() > 1 && case_.sources.back() == "outside/" &&
      std::ranges::any_of(tree("src"), [](const auto& entry) { return name_of(entry.first).starts_with("."); })) {
    case_.sources.pop_back();
  }
  if (case_.has_letter('K')) {
    std::erase_if(tree("dst"), [](const auto& entry) {
      return entry.second.kind == Kind::symlink && (entry.second.text.contains("..") || entry.second.text[0] == '/');
    });
  }
  // What cannot have its place is told for each entry, or once for the directory that has none.
  if (case_.has("--ignore-existing")) {
    for (const auto& [path, entry] : tree("src")) {
      const auto old = tree("dst").find(path);
      if (entry.kind == Kind::directory && old != tree("dst").end() && old->second.kind != Kind::directory) {
        tree("dst").erase(old);
      }
    }
  }
}

void CaseMaker::add_theme(unsigned theme) {
  switch (theme) {
    case 0:
    case 1:
    case 2: filters(); break;
    case 3:
    case 4:
      if (!deletes()) {
        deletions();
      }
      break;
    case 5: backups(); break;
    case 6: other_trees(); break;
    case 7: what_is_changed(); break;
    case 8: writing(); break;
    case 9: symlink_ways(); break;
    case 10: attributes(); break;
    case 11: option({random_.word({"-n", "-m", "-x", "--remove-source-files", "-n", "-m", "-xx"})}); break;
    default: break;
  }
}

SyncCase CaseMaker::make() {
  wants_links_ = random_.one_in(4);
  EntrySpec root{.kind = Kind::directory, .mode = 0755};
  set_time(root);
  for (const char* name : {"src", "dst"}) {
    tree(name)[""] = root;
  }
  TreeSpec& outside = tree("outside");
  outside[""] = root;
  outside["dir"] = root;
  outside["file"] = {.mode = 0644, .mtime = root.mtime, .text = "outside"};
  outside["dir/inside"] = {.mode = 0640, .mtime = root.mtime, .text = "inside"};
  fill(tree("src"), "", 0, 7);
  tree("dst") = changed(tree("src"), 45);
  add_extras(tree("dst"));
  if (random_.one_in(3)) {
    set_time(tree("dst")[""]);
  }
  if (random_.one_in(12)) {
    tree("dst") = {{"", tree("dst")[""]}};
  }
  base_options();
  case_.sources = {random_.one_in(6) ? "src" : "src/"};
  for (std::uint64_t i = 0; i <= random_.below(3); ++i) {
    add_theme(static_cast<unsigned>(random_.below(13)));
  }
  if (random_.one_in(10)) {
    relative();
  } else if (random_.one_in(10)) {
    files_from();
  } else if (random_.one_in(15)) {
    case_.sources.emplace_back("outside/");
  }
  if (random_.one_in(8)) {
    without_root();
  }
  leave_out_what_differs_on_purpose();
  return std::move(case_);
}

}  // namespace

bool SyncCase::has(const std::string& option) const {
  return std::ranges::any_of(options, [&](const auto& group) {
    return std::ranges::any_of(group, [&](const std::string& word) {
      return word == option || (word.starts_with(option) && option.starts_with("--") && word[option.size()] == '=');
    });
  });
}

bool SyncCase::has_letter(char letter) const {
  return std::ranges::any_of(options, [&](const auto& group) {
    return std::ranges::any_of(group, [&](const std::string& word) {
      return word.size() > 1 && word[0] == '-' && word[1] != '-' && word.contains(letter);
    });
  });
}

std::vector<std::string> SyncCase::arguments() const {
  std::vector<std::string> words;
  for (const auto& group : options) {
    words.insert(words.end(), group.begin(), group.end());
  }
  words.insert(words.end(), sources.begin(), sources.end());
  words.push_back(destination);
  return words;
}

SyncCase make_case(std::uint64_t seed) { return CaseMaker(seed).make(); }

std::string describe(const SyncCase& asked) {
  std::string text = fmt::format("  seed {}{}:", asked.seed, asked.as_user ? ", not root" : "");
  for (const std::string& word : asked.arguments()) {
    text += " '" + posix::printable(word) + "'";
  }
  text += "\n";
  for (const auto& [name, content] : asked.files) {
    text += fmt::format("  {}: {}\n", name, posix::printable(content));
  }
  for (const auto& [name, tree] : asked.trees) {
    if (tree.size() > 1 && name != "outside") {
      text += "  " + name + ":\n" + describe(tree);
    }
  }
  return text;
}

}  // namespace oracle
