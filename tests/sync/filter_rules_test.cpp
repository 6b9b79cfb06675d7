// Filter rules against the real rsync: what it would copy with the same rules is what is expected.
#include "sync/filter_rules.hpp"

#include <ferry/sync.hpp>

#include "support/scratch.hpp"
#include "sync/filter_pattern.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace ferry::testing {
namespace {

namespace fs = std::filesystem;
using Kind = FilterArgument::Kind;

const bool has_rsync = std::system("command -v rsync >/dev/null") == 0;  // NOLINT(cert-env33-c,concurrency-mt-unsafe)

// What our rules leave of the tree below `directory`, asked as a traversal asks them. Fails where a file of rules is
// bad.
Result<void> collect(const fs::path& directory, const std::string& path, std::shared_ptr<const FilterRules> rules,
                     std::set<std::string>& names) {
  const UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto own = rules->enter_directory(fd.get(), path);
  if (!own) {
    return std::unexpected(own.error());
  }
  if (*own != nullptr) {
    rules = *own;
  }
  for (const auto& entry : fs::directory_iterator(directory)) {
    const std::string file = entry.path().filename().string();
    const std::string name = (path.empty() ? fs::path(file) : fs::path(path) / file).string();
    const bool is_directory = entry.is_directory() && !entry.is_symlink();
    const FilterVerdict verdict = rules->verdict(name, is_directory, FilterSide::sender);
    if (verdict == FilterVerdict::exclude || verdict == FilterVerdict::exclude_perishable) {
      continue;
    }
    names.insert(is_directory ? name + "/" : name);
    if (is_directory) {
      if (auto below = collect(entry.path(), name, rules, names); !below) {
        return below;
      }
    }
  }
  return {};
}

std::string shell_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char character : text) {
    quoted += character == '\'' ? std::string("'\\''") : std::string(1, character);
  }
  return quoted + "'";
}

std::string as_option(const FilterArgument& argument) {
  switch (argument.kind) {
    case Kind::rule: return "--filter=" + argument.text;
    case Kind::exclude: return "--exclude=" + argument.text;
    case Kind::include: return "--include=" + argument.text;
    case Kind::exclude_from: return "--exclude-from=" + argument.text;
    case Kind::include_from: return "--include-from=" + argument.text;
    case Kind::cvs_exclude: return "-C";
  }
  return {};
}

// What rsync would send; empty with a failed rsync, whose exit status is in `status`.
std::set<std::string> chosen_by_rsync(const fs::path& source, const std::vector<FilterArgument>& arguments,
                                      int& status) {
  std::string command = "rsync -rln --out-format=%n ";
  for (const FilterArgument& argument : arguments) {
    command += shell_quoted(as_option(argument)) + " ";
  }
  command += shell_quoted(source.string() + "/") + " " + shell_quoted(source.string() + ".none/") + " 2>/dev/null";
  std::set<std::string> names;
  FILE* output = popen(command.c_str(), "r");
  std::array<char, 4096> line = {};
  while (std::fgets(line.data(), static_cast<int>(line.size()), output) != nullptr) {
    std::string name(line.data());
    name.erase(name.find_last_not_of('\n') + 1);
    if (name != "./" && !name.starts_with("created directory ")) {
      names.insert(name);
    }
  }
  status = pclose(output);
  return names;
}

class FilterRulesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_rsync) {
      GTEST_SKIP() << "no rsync to compare with";
    }
    setenv("HOME", scratch_.path().c_str(), 1);
    unsetenv("CVSIGNORE");
    for (const char* file : {"a.c",
                             "a.o",
                             "core",
                             "x*y",
                             "b[1]",
                             "foo",
                             "d/foo",
                             "d/a.c",
                             "d/e/foo",
                             "d/e/b.c",
                             "d/e/f/g.o",
                             "foo.d/bar",
                             "foo.d/deep/bar",
                             "foo.d/deep/er/bar",
                             "src/foo/bar/baz",
                             ".hidden",
                             "d/.rules",
                             "CVS/Root",
                             "back\\slash",
                             "with space",
                             "d/with_underscore",
                             "empty.d/.keep"}) {
      write(file, "");
    }
    fs::create_directories(source() / "nothing");
    fs::create_symlink("foo", source() / "link");
  }

  [[nodiscard]] fs::path source() const { return fs::path(scratch_.path()) / "source"; }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((source() / name).parent_path());
    std::ofstream(source() / name) << text;
  }

  // Both must choose the same, or both refuse.
  void compare(const std::vector<FilterArgument>& arguments) const {
    std::string shown;
    for (const FilterArgument& argument : arguments) {
      shown += as_option(argument) + "\n";
    }
    int status = 0;
    const auto expected = chosen_by_rsync(source(), arguments, status);
    std::set<std::string> chosen;
    Result<void> done;
    if (const auto rules = FilterRules::parse(arguments, false)) {
      done = collect(source(), "", *rules, chosen);
    } else {
      done = std::unexpected(rules.error());
    }
    ASSERT_EQ(done.has_value(), status == 0) << shown << (done ? "accepted" : done.error().to_string());
    if (done) {
      EXPECT_EQ(chosen, expected) << shown;
    }
  }

  Scratch scratch_;
};

TEST_F(FilterRulesTest, patterns_choose_what_rsync_chooses) {
  for (const char* pattern : {"foo",
                              "/foo",
                              "foo/",
                              "*.c",
                              "/*.c",
                              "d/",
                              "/d/*",
                              "d/foo",
                              "e/foo",
                              "/d/**/foo",
                              "**/foo",
                              "**foo",
                              "d/**",
                              "foo.d/***",
                              "foo.d/*",
                              "foo.d/*/bar",
                              "foo*",
                              "f?o",
                              "?",
                              "[abc].c",
                              "[!a].c",
                              "[^a].c",
                              "[[:alpha:]].o",
                              "[a-c].[oc]",
                              "x\\*y",
                              "x*y",
                              "b[1]",
                              "b\\[1]",
                              "back\\slash",
                              "back\\\\slash",
                              "back\\\\sl*",
                              "*",
                              "**",
                              "***",
                              "/",
                              "bar/baz",
                              "foo/bar",
                              "src/foo/bar/",
                              "d/e/f/g.o",
                              "/e/foo",
                              ".*",
                              "link",
                              "nothing/",
                              "[",
                              "[a",
                              "a]",
                              "with space",
                              "*_*",
                              "d/*/f",
                              "**/e/**",
                              "*/foo",
                              "/*/foo",
                              "d**o",
                              "e**",
                              "/**/e",
                              "foo/**",
                              "src/**/baz",
                              "*.d/deep"}) {
    compare({{.kind = Kind::exclude, .text = pattern}});
    compare({{.kind = Kind::rule, .text = std::string("- ") + pattern}});
    compare({{.kind = Kind::include, .text = "*/"},
             {.kind = Kind::include, .text = pattern},
             {.kind = Kind::exclude, .text = "*"}});
  }
}

TEST_F(FilterRulesTest, rules_of_every_form_are_read_as_rsync_reads_them) {
  for (const char* rule : {"- foo",
                           "-_foo",
                           "exclude foo",
                           "exclude_foo",
                           "exclude,s foo",
                           "-s foo",
                           "-r foo",
                           "-,s foo",
                           "-p foo",
                           "-! *.c",
                           "-! */",
                           "+ foo",
                           "include foo",
                           "hide foo",
                           "H foo",
                           "H,p foo",
                           "show foo",
                           "S foo",
                           "protect foo",
                           "P foo",
                           "R foo",
                           "risk foo",
                           "Hs foo",
                           "!",
                           "clear",
                           "! x",
                           "foo",
                           "-foo",
                           "",
                           "-",
                           "- ",
                           "+",
                           "-q foo",
                           "-C",
                           "-C foo",
                           "dir-merge",
                           ": ",
                           ":C",
                           ":Cn .x",
                           "-  foo",
                           "hide",
                           "merge",
                           ":n .rules",
                           "dir-merge .rules",
                           "dir-merge,n .rules",
                           ":e .rules",
                           ":- .rules",
                           ":+ .rules",
                           ":-+ .rules",
                           ":w .rules",
                           ":s .rules",
                           ":! .rules",
                           ". /nonexistent",
                           "exclude",
                           "excludefoo",
                           "-ss foo"}) {
    compare({{.kind = Kind::rule, .text = rule}});
    compare({{.kind = Kind::rule, .text = rule},
             {.kind = Kind::include, .text = "*.c"},
             {.kind = Kind::exclude, .text = "*.[co]"}});
  }
}

TEST_F(FilterRulesTest, old_prefixes_are_known_to_exclude_and_include) {
  for (const char* text : {"+ foo", "- foo", "!", "+foo", "-foo", "+ ", "- *.c", "!foo"}) {
    compare({{.kind = Kind::include, .text = "*.o"},
             {.kind = Kind::exclude, .text = text},
             {.kind = Kind::exclude, .text = "*.[oc]"}});
    compare({{.kind = Kind::exclude, .text = "*.o"},
             {.kind = Kind::include, .text = text},
             {.kind = Kind::exclude, .text = "*.[oc]"}});
  }
}

TEST_F(FilterRulesTest, files_of_rules_are_merged) {
  const std::string list = (fs::path(scratch_.path()) / "list").string();
  for (const char* text : {"*.c\n", "# comment\n; another\n\n*.c\n", "- *.c\n+ foo\n", "*.c\r\nfoo\r\n", "*.c", "!\n",
                           "+ *.c\n*\n", "  foo\n", "foo \n", "- foo + a.c - *.c\n", ". other\n"}) {
    std::ofstream(list) << text;
    compare({{.kind = Kind::exclude_from, .text = list}});
    compare({{.kind = Kind::include_from, .text = list}, {.kind = Kind::exclude, .text = "*.[co]"}});
    for (const char* rule :
         {". ", ".- ", ".+ ", ".w ", ".s ", ".r ", ".C ", ".p ", ".e ", ".w- ", "merge ", "merge,- "}) {
      compare({{.kind = Kind::rule, .text = rule + list}, {.kind = Kind::exclude, .text = "*.o"}});
    }
  }
}

TEST_F(FilterRulesTest, per_directory_files_count_below_where_they_are) {
  write(".rules", "- *.o\n- /foo\n");
  write("d/.rules", "+ g.o\n- /foo\n- b.c\n");
  write("d/e/.rules", "!\n- foo\n");
  write("foo.d/.rules", "- deep/\n");
  for (const char* rule :
       {": .rules", ":n .rules", ":e .rules", ":- .rules", ":s .rules", ":w .rules", "dir-merge,en .rules"}) {
    compare({{.kind = Kind::rule, .text = rule}});
    compare({{.kind = Kind::rule, .text = rule},
             {.kind = Kind::include, .text = "foo"},
             {.kind = Kind::exclude, .text = "f*"}});
    compare({{.kind = Kind::include, .text = "b.c"}, {.kind = Kind::rule, .text = rule}});
  }
}

TEST_F(FilterRulesTest, a_per_directory_file_is_looked_for_above_the_transfer_if_its_name_says_so) {
  std::ofstream(fs::path(scratch_.path()) / ".rules") << "- *.o\n- /foo\n- /source/foo\n";
  write("d/.rules", "+ g.o\n");
  compare({{.kind = Kind::rule, .text = ": ../.rules"}});
  compare({{.kind = Kind::rule, .text = ": " + (fs::path(scratch_.path()) / ".rules").string()}});
  compare({{.kind = Kind::rule, .text = ": .rules"}});
}

TEST_F(FilterRulesTest, cvs_exclude_is_the_least_of_all_rules) {
  std::ofstream(fs::path(scratch_.path()) / ".cvsignore") << "*.c !core";
  write("d/.cvsignore", "with*  foo\n");
  setenv("CVSIGNORE", "b.c link", 1);
  compare({{.kind = Kind::cvs_exclude, .text = ""}});
  compare({{.kind = Kind::cvs_exclude, .text = ""}, {.kind = Kind::include, .text = "a.o"}});
  compare({{.kind = Kind::rule, .text = ":C"}, {.kind = Kind::exclude, .text = "core"}});
  compare({{.kind = Kind::rule, .text = "-C"}});
  unsetenv("CVSIGNORE");
}

// Random lists of rules over the alphabet that matters.
TEST_F(FilterRulesTest, generated_rules_choose_what_rsync_chooses) {
  const unsigned rounds = std::getenv("FERRY_TEST_LONG") != nullptr ? 2000 : 60;
  constexpr std::array<const char*, 24> parts = {"foo", "d",     "e",    "*",    "**", "?",   "/",   "bar",
                                                 "*.c", "[a-f]", "***",  "deep", "f*", "/*",  "*/*", "**/",
                                                 "/",   "foo.d", "[!d]", "er",   ".",  "src", "o",   "c"};
  constexpr std::array<const char*, 8> prefixes = {"- ", "+ ", "-! ", "-s ", "+s ", "- /", "+ */", "- **"};
  for (unsigned seed = 1; seed <= rounds; ++seed) {
    std::minstd_rand random(seed);
    const auto pick = [&random](const auto& from) { return from[random() % from.size()]; };
    std::vector<FilterArgument> arguments;
    const std::size_t count = 1 + random() % 4;
    for (std::size_t rule = 0; rule < count; ++rule) {
      std::string text = pick(prefixes);
      const std::size_t length = 1 + random() % 4;
      for (std::size_t part = 0; part < length; ++part) {
        text += pick(parts);
      }
      arguments.push_back({.kind = Kind::rule, .text = text});
    }
    SCOPED_TRACE("seed " + std::to_string(seed));
    compare(arguments);
    if (HasFailure()) {
      return;
    }
  }
}

TEST(FilterRules, the_receiver_is_asked_about_its_own_rules) {
  const auto rules = FilterRules::parse(std::vector<FilterArgument>{{.kind = Kind::rule, .text = "P kept"},
                                                                    {.kind = Kind::rule, .text = "H hidden"},
                                                                    {.kind = Kind::rule, .text = "-p perishable"},
                                                                    {.kind = Kind::rule, .text = "R both"},
                                                                    {.kind = Kind::exclude, .text = "both"}},
                                        false);
  ASSERT_TRUE(rules) << rules.error().to_string();
  const auto ask = [&](const char* path, FilterSide side) { return (*rules)->verdict(path, false, side); };
  EXPECT_EQ(ask("kept", FilterSide::receiver), FilterVerdict::exclude);
  EXPECT_EQ(ask("kept", FilterSide::sender), FilterVerdict::none);
  EXPECT_EQ(ask("hidden", FilterSide::receiver), FilterVerdict::none);
  EXPECT_EQ(ask("hidden", FilterSide::sender), FilterVerdict::exclude);
  EXPECT_EQ(ask("perishable", FilterSide::receiver), FilterVerdict::exclude_perishable);
  EXPECT_EQ(ask("both", FilterSide::receiver), FilterVerdict::include);
  EXPECT_EQ(ask("both", FilterSide::sender), FilterVerdict::exclude);
}

TEST(FilterRules, with_delete_excluded_rules_without_a_side_are_the_senders) {
  const auto rules = FilterRules::parse(
      std::vector<FilterArgument>{{.kind = Kind::exclude, .text = "a"}, {.kind = Kind::rule, .text = "P b"}}, true);
  ASSERT_TRUE(rules);
  EXPECT_EQ((*rules)->verdict("a", false, FilterSide::sender), FilterVerdict::exclude);
  EXPECT_EQ((*rules)->verdict("a", false, FilterSide::receiver), FilterVerdict::none);
  EXPECT_EQ((*rules)->verdict("b", false, FilterSide::receiver), FilterVerdict::exclude);
}

TEST(FilterRules, what_is_not_supported_is_refused) {
  for (const char* rule : {"-/ /etc/passwd", "-x user.*", "-sx foo"}) {
    const auto rules = FilterRules::parse(std::vector<FilterArgument>{{.kind = Kind::rule, .text = rule}}, false);
    ASSERT_FALSE(rules) << rule;
    EXPECT_EQ(rules.error().to_string(), "filter rule '" + std::string(rule) + "': Invalid argument");
  }
}

TEST(FilterRules, a_file_that_merges_itself_is_an_error) {
  const Scratch scratch;
  const std::string file = (fs::path(scratch.path()) / "rules").string();
  std::ofstream(file) << ". " << file << "\n";
  const auto rules = FilterRules::parse(std::vector<FilterArgument>{{.kind = Kind::rule, .text = ". " + file}}, false);
  ASSERT_FALSE(rules);
  EXPECT_EQ(rules.error().errno_value(), ELOOP);
}

TEST(FilterRules, a_per_directory_file_that_is_a_symlink_is_not_followed) {
  const Scratch scratch;
  std::ofstream(fs::path(scratch.path()) / "secret") << "- foo\n";
  fs::create_symlink("secret", fs::path(scratch.path()) / ".rules");
  const auto rules = FilterRules::parse(std::vector<FilterArgument>{{.kind = Kind::rule, .text = ": .rules"}}, false);
  ASSERT_TRUE(rules);
  const UniqueFd fd(open(scratch.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto entered = (*rules)->enter_directory(fd.get(), "");
  ASSERT_FALSE(entered);
  EXPECT_EQ(entered.error().errno_value(), ELOOP);
}

TEST(FilterPattern, a_pattern_made_to_take_long_ends) {
  std::string pattern;
  for (int star = 0; star < 40; ++star) {
    pattern += "*a";
  }
  EXPECT_FALSE(matches_wildcards(pattern + "b", std::string(200, 'a')));
}

TEST(FileList, names_are_cleaned_as_rsync_cleans_them) {
  const Scratch scratch;
  const auto list = fs::path(scratch.path()) / "list";
  const auto read = [&](const std::string& text, bool nul) {
    std::ofstream(list, std::ios::binary) << text;
    return read_file_list(list, nul);
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(*read("../x\na/../x\n#x\n;y\n\na//b/f\n/abs\na/./b/f\n./a\na/\n..\na/b/../../../x\n", false),
              ElementsAre("x", "x", "a/b/f", "abs", "a/./b/f", "./a", "a/", ".", "x"));
  EXPECT_THAT(*read(std::string("one\ntwo\0three\0", 14), true), ElementsAre("one\ntwo", "three"));
  EXPECT_FALSE(read("a/./../x\n", false));
  EXPECT_FALSE(read_file_list(fs::path(scratch.path()) / "missing", false));
}

}  // namespace
}  // namespace ferry::testing
