// The command line of `ferry sync`, its values, and the lines it prints.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "cli/sync_arguments.hpp"
#include "cli/sync_option_table.hpp"
#include "cli/sync_output.hpp"
#include "cli/sync_values.hpp"

namespace ferry::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::expected<SyncCommand, SyncAnswer> parse(std::vector<const char*> words) {
  words.push_back("source");
  words.push_back("destination");
  return parse_sync_arguments(words);
}

SyncCommand parsed(const std::vector<const char*>& words) {
  auto command = parse(words);
  EXPECT_TRUE(command) << testing::PrintToString(words) << ": " << (command ? "" : command.error().text);
  return command.value_or(SyncCommand());
}

// ------------------------------------------------------------------------------------------ what options set

struct Setting {
  std::vector<const char*> words;
  std::function<bool(const SyncCommand&)> holds;
};

TEST(SyncArguments, EachOptionSetsItsField) {
  using C = const SyncCommand&;
  const std::vector<Setting> settings = {
      {{"-r"}, [](C c) { return c.options.recursive; }},
      {{"--dirs"}, [](C c) { return c.options.dirs && !c.options.recursive; }},
      {{"-dr"}, [](C c) { return !c.options.dirs && c.options.recursive; }},
      {{"-R"}, [](C c) { return c.options.relative && c.options.implied_dirs; }},
      {{"-R", "--no-implied-dirs"}, [](C c) { return !c.options.implied_dirs; }},
      {{"--mkpath"}, [](C c) { return c.options.mkpath; }},
      {{}, [](C c) { return c.options.symlinks == SymlinkMode::skip; }},
      {{"-l"}, [](C c) { return c.options.symlinks == SymlinkMode::keep; }},
      {{"-lL"}, [](C c) { return c.options.symlinks == SymlinkMode::dereference; }},
      {{"-l", "--copy-unsafe-links"}, [](C c) { return c.options.symlinks == SymlinkMode::copy_unsafe; }},
      {{"--copy-unsafe-links"}, [](C c) { return c.options.symlinks == SymlinkMode::only_unsafe; }},
      {{"-a", "--safe-links"}, [](C c) { return c.options.symlinks == SymlinkMode::skip_unsafe; }},
      {{"-k"}, [](C c) { return c.options.copy_dirlinks; }},
      {{"-K"}, [](C c) { return c.options.keep_dirlinks; }},
      {{"-D"}, [](C c) { return c.options.devices && c.options.specials; }},
      {{"--devices"}, [](C c) { return c.options.devices && !c.options.specials; }},
      {{"-x"}, [](C c) { return c.options.one_file_system && !c.options.one_file_system_no_mount_points; }},
      {{"-xx"}, [](C c) { return c.options.one_file_system_no_mount_points; }},
      {{"-m"}, [](C c) { return c.options.prune_empty_dirs; }},
      {{"--ignore-non-existing"}, [](C c) { return c.options.existing; }},
      {{"--ignore-existing"}, [](C c) { return c.options.ignore_existing; }},
      {{"--remove-source-files"}, [](C c) { return c.options.remove_source_files; }},
      {{"--max-size=1.5m"}, [](C c) { return c.options.max_size_bytes == 1572864; }},
      {{"--min-size", "10K-1"}, [](C c) { return c.options.min_size_bytes == 10239; }},
      {{"-c"}, [](C c) { return c.options.checksum; }},
      {{"-I"}, [](C c) { return c.options.ignore_times; }},
      {{"--size-only"}, [](C c) { return c.options.size_only; }},
      {{"-@-1"}, [](C c) { return c.options.modify_window_seconds == -1; }},
      {{"--modify-window=2"}, [](C c) { return c.options.modify_window_seconds == 2; }},
      {{"-u"}, [](C c) { return c.options.update; }},
      {{"--link-dest=a", "--link-dest=b"},
       [](C c) {
         return c.options.basis.size() == 2 && c.options.basis[1].path == "b" &&
                c.options.basis[0].kind == BasisDirectory::Kind::link;
       }},
      {{"--reflink-dest=a"}, [](C c) { return c.options.basis[0].kind == BasisDirectory::Kind::reflink; }},
      {{"-p"}, [](C c) { return c.options.permissions; }},
      {{"-E"}, [](C c) { return c.options.executability; }},
      {{"-Ep"}, [](C c) { return !c.options.executability && c.options.permissions; }},
      {{"-A"}, [](C c) { return c.options.acls && c.options.permissions; }},
      {{"-X"}, [](C c) { return c.options.xattrs; }},
      {{"-og"}, [](C c) { return c.options.owner && c.options.group; }},
      {{"-tUOJ"},
       [](C c) {
         return c.options.times && c.options.atimes && c.options.omit_dir_times && c.options.omit_link_times;
       }},
      {{"-N"}, [](C c) { return c.options.crtimes; }},
      {{"-H"}, [](C c) { return c.options.hard_links; }},
      {{"--chmod=F600"}, [](C c) { return c.options.change_mode(0100644, false) == 0100600; }},
      {{"--chown=7:8"},
       [](C c) {
         return c.options.owner && c.options.group && c.options.map_user(3) == 7 && c.options.map_group(3) == 8;
       }},
      {{"--chown=:8"}, [](C c) { return !c.options.owner && !c.options.map_user && c.options.map_group(3) == 8; }},
      {{"--usermap=3:4"}, [](C c) { return c.options.map_user(3) == 4 && c.options.map_user(5) == 5; }},
      {{"-r", "--delete"}, [](C c) { return c.options.delete_mode == DeleteMode::during; }},
      {{"-r", "--del"}, [](C c) { return c.options.delete_mode == DeleteMode::during; }},
      {{"-r", "--delete", "--delete-before"}, [](C c) { return c.options.delete_mode == DeleteMode::before; }},
      {{"-r", "--delete-delay"}, [](C c) { return c.options.delete_mode == DeleteMode::delay; }},
      {{"-r", "--delete-after"}, [](C c) { return c.options.delete_mode == DeleteMode::after; }},
      {{"-r", "--delete-excluded"},
       [](C c) { return c.options.delete_mode == DeleteMode::during && c.options.delete_excluded; }},
      {{"--max-delete=-1"}, [](C c) { return c.options.max_delete == 0; }},
      {{"--ignore-errors", "--force"}, [](C c) { return c.options.ignore_errors && c.options.force; }},
      {{"-n"}, [](C c) { return c.options.dry_run; }},
      {{}, [](C c) { return c.options.whole_file; }},
      {{"--no-W"}, [](C c) { return !c.options.whole_file; }},
      {{"--inplace"}, [](C c) { return c.options.inplace; }},
      {{"--append-verify"}, [](C c) { return c.options.append_verify; }},
      {{"-S", "--preallocate", "--fsync"},
       [](C c) { return c.options.sparse && c.options.preallocate && c.options.fsync; }},
      {{"-b", "--suffix=.old"}, [](C c) { return c.options.backup && c.options.backup_suffix == ".old"; }},
      {{"--backup-dir=x"}, [](C c) { return c.options.backup && c.options.backup_dir == "x"; }},
      {{"-T", "x"}, [](C c) { return c.options.temp_dir == "x"; }},
      {{"-P"}, [](C c) { return c.options.partial && c.telling.info.progress == 1; }},
      {{"--delay-updates"}, [](C c) { return c.options.delay_updates; }},
      {{"--bwlimit=1.5"}, [](C c) { return c.options.bandwidth_bytes_per_second == 1536; }},
      {{"--bwlimit=2m", "--no-bwlimit"}, [](C c) { return c.options.bandwidth_bytes_per_second == 0; }},
      {{"--timeout=7"}, [](C c) { return c.options.timeout == std::chrono::seconds(7); }},
      {{"--stop-after=1"}, [](C c) { return *c.options.stop_at > std::chrono::system_clock::now(); }},
      {{"--jobs=4", "--cpu-count=2", "--max-files-in-flight=9"}, [](C c) { return c.options.jobs == 2; }},
      {{"--queue-depth=3"}, [](C c) { return c.options.copy.queue_depth == 3; }},
      {{"--buffer-size-kb=128"}, [](C c) { return c.options.copy.chunk_size_bytes == 131072; }},
      {{"--copy-method=read_write"},
       [](C c) { return c.options.copy.methods == CopyMethodSet(CopyMethod::read_write); }},
      {{"--reflink"}, [](C c) { return c.options.copy.reflink == ReflinkMode::always; }},
      {{"--reflink=never"}, [](C c) { return c.options.copy.reflink == ReflinkMode::never; }},
      {{"--verify"}, [](C c) { return c.options.verify; }},
      {{"--resume=j"}, [](C c) { return c.options.journal == "j" && !c.options.retry_failed_only; }},
      {{"--retry-failed=j"}, [](C c) { return c.options.journal == "j" && c.options.retry_failed_only; }},
      {{"--no-adaptive-concurrency"}, [](C c) { return !c.options.adaptive; }},
      {{"-ii"}, [](C c) { return c.telling.itemize == 2 && c.options.report_unchanged; }},
      {{"-v"}, [](C c) { return c.telling.info.names == 1 && c.telling.info.skips == 0; }},
      {{"-vv"}, [](C c) { return c.telling.info.names == 2 && c.telling.info.skips == 1; }},
      {{"--info=none,Del", "-vv"}, [](C c) { return c.telling.info.deletions == 1 && c.telling.info.names == 0; }},
      {{"--stats"}, [](C c) { return c.telling.info.statistics == 2; }},
      {{"-q8"}, [](C c) { return c.telling.quiet && c.telling.eight_bit; }},
      {{"-vh"}, [](C c) { return c.telling.human == 2; }},
      {{"--no-h"}, [](C c) { return c.telling.human == 0; }},
      {{"--json", "--explain"}, [](C c) { return c.telling.json && c.telling.explain; }},
  };
  for (const Setting& setting : settings) {
    EXPECT_TRUE(setting.holds(parsed(setting.words))) << testing::PrintToString(setting.words);
  }
}

TEST(SyncArguments, ArchiveIsRlptgoD) {
  const SyncOptions options = parsed({"-a"}).options;
  EXPECT_TRUE(options.recursive && options.symlinks == SymlinkMode::keep && options.permissions && options.times &&
              options.group && options.owner && options.devices && options.specials);
  EXPECT_FALSE(options.acls || options.xattrs || options.hard_links || options.atimes);
}

TEST(SyncArguments, NegationsCountInTheOrderGiven) {
  EXPECT_FALSE(parsed({"-a", "--no-o"}).options.owner);
  EXPECT_FALSE(parsed({"-a", "--no-times", "--no-l"}).options.times);
  EXPECT_TRUE(parsed({"--no-o", "-a"}).options.owner);
  EXPECT_FALSE(parsed({"-a", "--no-D"}).options.specials);
  EXPECT_FALSE(parsed({"-a", "--no-r"}).options.recursive);
  EXPECT_FALSE(parsed({"-xx", "--no-x"}).options.one_file_system);
  EXPECT_EQ(parsed({"-ii", "--no-i"}).telling.itemize, 0U);
}

TEST(SyncArguments, FiltersKeepTheirOrderAndCvsComesLast) {
  const SyncOptions options =
      parsed({"-C", "-f", "+ a", "--exclude=b", "-FF", "--include", "c", "-0", "--exclude-from=d"}).options;
  std::vector<std::string> texts;
  for (const FilterArgument& filter : options.filters) {
    texts.push_back(filter.text);
  }
  EXPECT_THAT(texts, ElementsAre("+ a", "b", ": /.rsync-filter", "- .rsync-filter", "c", "d", ""));
  EXPECT_EQ(options.filters[1].kind, FilterArgument::Kind::exclude);
  EXPECT_EQ(options.filters[4].kind, FilterArgument::Kind::include);
  EXPECT_EQ(options.filters[5].kind, FilterArgument::Kind::exclude_from);
  EXPECT_TRUE(options.filters[5].nul_separated);
  EXPECT_TRUE(options.filters[2].nul_separated) << "read in the directories, after all options";
  EXPECT_FALSE(parsed({"--exclude-from=d", "-0"}).options.filters[0].nul_separated) << "read before -0, as by rsync";
  EXPECT_EQ(options.filters[6].kind, FilterArgument::Kind::cvs_exclude);
}

TEST(SyncArguments, OperandsAndOptionsMixUpToTheDoubleDash) {
  const std::vector<const char*> words = {"a", "-r", "b", "--", "-x", "c"};
  const auto command = parse_sync_arguments(words);
  ASSERT_TRUE(command);
  EXPECT_THAT(command->sources, ElementsAre("a", "b", "-x"));
  EXPECT_EQ(command->destination, "c");
  EXPECT_TRUE(command->options.recursive);
  EXPECT_FALSE(command->options.one_file_system);
}

TEST(SyncArguments, AFileListTakesBackTheRecursionOfArchiveOnly) {
  const auto empty_list = [](std::vector<const char*> words) {
    words.push_back("--files-from=/dev/null");
    return parsed(words).options;
  };
  EXPECT_FALSE(empty_list({"-a"}).recursive);
  EXPECT_TRUE(empty_list({"-a"}).dirs);
  EXPECT_TRUE(empty_list({"-a"}).relative);
  EXPECT_TRUE(empty_list({"-ar"}).recursive);
  EXPECT_FALSE(empty_list({"-a", "--no-R"}).relative);
}

// ------------------------------------------------------------------------------------------ what is refused

TEST(SyncArguments, WrongCommandLinesAreRefusedByNameWithStatus1) {
  const std::vector<std::pair<std::vector<const char*>, const char*>> lines = {
      {{"--bogus"}, "'--bogus'"},
      {{"-Q"}, "'-Q'"},
      {{"--arch"}, "'--arch'"},
      {{"--no-bogus"}, "'--no-bogus'"},
      {{"--no-delete"}, "'--no-delete'"},
      {{"--delete=3"}, "--delete takes no argument"},
      {{"--no-times=1"}, "--no-times takes no argument"},
      {{"--max-size=1x"}, "--max-size=1x is invalid"},
      {{"--max-size=-1"}, "--max-size=-1"},
      {{"--max-size=1k+2"}, "--max-size=1k+2"},
      {{"--min-size=9999999p"}, "too large"},
      {{"--bwlimit=100b"}, "too small"},
      {{"--max-delete=x"}, "--max-delete=x"},
      {{"--modify-window="}, "--modify-window="},
      {{"--timeout=-1"}, "out of range"},
      {{"--stop-after=0"}, "--stop-after=0"},
      {{"--stop-at=1999-01-01T00:00"}, "in the past"},
      {{"--stop-at=tomorrow"}, "--stop-at=tomorrow"},
      {{"--delete"}, "--delete does not work without"},
      {{"-r", "--delete-before", "--delete-after"}, "only one of --delete-before"},
      {{"--append", "-W"}, "--append cannot be used with --whole-file"},
      {{"--inplace", "--partial-dir=x"}, "--inplace cannot be used with --partial-dir"},
      {{"--append", "--delay-updates"}, "--append cannot be used with --delay-updates"},
      {{"-b", "--suffix=a/b"}, "--suffix"},
      {{"-b", "--suffix="}, "--suffix"},
      {{"--backup-dir="}, "--backup-dir needs a name"},
      {{"--link-dest=a", "--copy-dest=b"}, "exclude each other"},
      {{"--chmod=zz"}, "--chmod=zz is invalid"},
      {{"--chmod="}, "--chmod"},
      {{"--usermap=x"}, "--usermap"},
      {{"--usermap=5-3:1"}, "range"},
      {{"--groupmap=1:no-such-group"}, "unknown group"},
      {{"--chown=1", "--usermap=1:1"}, "exclude each other"},
      {{"--info=bogus"}, "'bogus'"},
      {{"--info=name1x"}, "'name1x'"},
      {{"--out-format=%q"}, "%q"},
      {{"--out-format=%"}, "lone %"},
      {{"--reflink=maybe"}, "--reflink=maybe"},
      {{"--jobs=0"}, "--jobs=0"},
      {{"--queue-depth=257"}, "--queue-depth=257"},
      {{"--buffer-size-kb=1"}, "--buffer-size-kb=1"},
      {{"--copy-method=magic"}, "'magic'"},
      {{"--resume=a", "--retry-failed=b"}, "only one of --resume"},
      {{"--files-from=/dev/null", "another"}, "exactly one SOURCE"},
  };
  for (const auto& [words, part] : lines) {
    const auto command = parse(words);
    ASSERT_FALSE(command) << testing::PrintToString(words);
    EXPECT_EQ(command.error().status, 1) << command.error().text;
    EXPECT_THAT(command.error().text, HasSubstr(part));
    EXPECT_THAT(command.error().text, testing::Not(HasSubstr("\n")));
  }
}

TEST(SyncArguments, MissingOperandsAndArgumentsAreRefused) {
  for (const std::vector<const char*>& words :
       std::vector<std::vector<const char*>>{{}, {"-a"}, {"-a", "only"}, {"a", "b", "--max-size"}, {"a", "b", "-f"}}) {
    const auto command = parse_sync_arguments(words);
    ASSERT_FALSE(command) << testing::PrintToString(words);
    EXPECT_EQ(command.error().status, 1);
  }
}

TEST(SyncArguments, EveryOptionOfRsyncThatIsMissingIsRefusedWithAReason) {
  unsigned refused = 0;
  for (const SyncOption& option : sync_options()) {
    if (option.section != SyncOption::Section::unsupported) {
      continue;
    }
    ++refused;
    const std::string name = "--" + std::string(option.name);
    const std::string letter = {'-', 'a', option.letter};
    for (const std::string& word : {name, letter}) {
      if (word.ends_with('\0')) {
        continue;
      }
      const auto command = parse({word.c_str()});
      ASSERT_FALSE(command) << word;
      EXPECT_EQ(command.error().status, 4) << word;
      EXPECT_THAT(command.error().text, HasSubstr("is not supported by ferry sync: " + std::string(option.help)));
    }
  }
  EXPECT_GT(refused, 50U);
}

TEST(SyncArguments, WhatCannotBeDoneIsRefusedWithStatus4) {
  const std::vector<std::vector<const char*>> lines = {{"host:path"},           {"user@host:path"},
                                                       {"rsync://host/path"},   {"[::1]:path"},
                                                       {"host::module"},        {"--checksum-choice=crc"},
                                                       {"--info=copy"},         {"--out-format=%h"},
                                                       {"--files-from=h:list"}, {"--checksum-choice=none", "-c"}};
  for (const auto& words : lines) {
    const auto command = parse(words);
    ASSERT_FALSE(command) << testing::PrintToString(words);
    EXPECT_EQ(command.error().status, 4) << command.error().text;
  }
  EXPECT_TRUE(parse({"./a:b", "dir/a:b", "a/[b]:c"}));
}

TEST(SyncArguments, AnUnreadableFileListIsAnErrorOfInput) {
  const auto command = parse({"--files-from=/nonexistent/list"});
  ASSERT_FALSE(command);
  EXPECT_EQ(command.error().status, 11);
  EXPECT_THAT(command.error().text, HasSubstr("/nonexistent/list"));
}

TEST(SyncArguments, HelpShowsEveryOptionAndNoOtherWordIsTwice) {
  const std::vector<const char*> words = {"-h"};
  const auto answer = parse_sync_arguments(words);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().status, 0);
  std::set<std::string_view> names;
  std::set<char> letters;
  for (const SyncOption& option : sync_options()) {
    EXPECT_TRUE(option.name.empty() || names.insert(option.name).second) << option.name;
    EXPECT_TRUE(option.letter == '\0' || letters.insert(option.letter).second) << option.letter;
    if (option.section != SyncOption::Section::unsupported && option.section != SyncOption::Section::hidden) {
      EXPECT_THAT(answer.error().text, HasSubstr(option.help));
    }
  }
}

// ------------------------------------------------------------------------------------------ values

TEST(SyncValues, SizesAreRsyncs) {
  const auto size = [](std::string_view text, char unit = 'b') { return parse_rsync_size(text, unit).value_or(12345); };
  EXPECT_EQ(size("10"), 10U);
  EXPECT_EQ(size("10", 'K'), 10240U);
  EXPECT_EQ(size("10b", 'K'), 10U);
  EXPECT_EQ(size("1.5m"), 1572864U);
  EXPECT_EQ(size("1KB"), 1000U);
  EXPECT_EQ(size("1KiB"), 1024U);
  EXPECT_EQ(size("2g+1"), 2147483649U);
  EXPECT_EQ(size(".5k"), 512U);
  EXPECT_EQ(size(""), 0U);
  for (const char* text : {"1x", "1ki", "1k+2", " 1k", "k", "1.2.3", "0-1", "-5", "1e3"}) {
    EXPECT_FALSE(parse_rsync_size(text, 'b')) << text;
  }
}

std::uint32_t changed(std::string_view spec, std::uint32_t mode, bool is_directory = false) {
  const auto changes = parse_mode_changes(spec, 022);
  EXPECT_TRUE(changes) << spec;
  return changes ? apply(*changes, mode, is_directory) : 0;
}

TEST(SyncValues, ModesAreChangedAsByRsync) {  // each compared with what rsync 3.5.0 makes of it
  EXPECT_EQ(changed("F640", S_IFREG | 0755), S_IFREG | 0640U);
  EXPECT_EQ(changed("F640", S_IFDIR | 0755, true), S_IFDIR | 0755U);
  EXPECT_EQ(changed("D2775,F664", 0700, true), 02775U);
  EXPECT_EQ(changed("Dg+s,ug+w,Fo-w,+X", 0744), 0775U);
  EXPECT_EQ(changed("u=rwX,go=rX", 0600), 0644U);
  EXPECT_EQ(changed("u=rwX,go=rX", 0700, true), 0755U);
  EXPECT_EQ(changed("+w", 0444), 0644U) << "the umask is left alone";
  EXPECT_EQ(changed("a+s", 0644), 06644U);
  EXPECT_EQ(changed("u+s", 0644), 04644U);
  EXPECT_EQ(changed("o+ts", 0644), 04644U) << "a quirk: s takes back t";
  EXPECT_EQ(changed("o+st", 0644), 05644U);
  EXPECT_EQ(changed("o=", 0777), 0770U);
  for (const char* spec : {"", "zz", "u", "8", "77777", "DF644", "u+rq", "644,"}) {
    EXPECT_FALSE(parse_mode_changes(spec, 022)) << spec;
  }
}

TEST(SyncValues, IdMapsTakeTheFirstRuleThatMatches) {
  const auto map = parse_id_map("0:5,10-20:6,root:7,*:9", IdKind::user, false);
  ASSERT_TRUE(map);
  EXPECT_EQ((*map)(0), 5U);
  EXPECT_EQ((*map)(15), 6U);
  EXPECT_EQ((*map)(21), 9U);
  EXPECT_EQ(parse_id_map("r*t:7", IdKind::user, false).value()(0), 7U);
  EXPECT_EQ(parse_id_map("r*t:7", IdKind::user, true).value()(0), 0U) << "no names with --numeric-ids";
  EXPECT_EQ(parse_id_map(":7", IdKind::user, false).value()(3999999999), 7U) << "empty: ids without a name";
  EXPECT_EQ(parse_id_map(":7", IdKind::user, false).value()(0), 0U);
  EXPECT_EQ(parse_id_map("3:root", IdKind::group, false).value()(3), 0U);
}

TEST(SyncValues, StopTimesWithoutADateAreTheNextOnes) {
  using namespace std::chrono_literals;
  const auto now = std::chrono::system_clock::from_time_t(1'800'000'000);
  for (const char* text : {"00:00", "12:34", "23:59"}) {
    const auto when = parse_stop_time(text, now);
    ASSERT_TRUE(when) << text;
    EXPECT_GT(*when, now);
    EXPECT_LE(*when, now + 25h);
  }
  EXPECT_TRUE(parse_stop_time("2030/1/2T3:04", now));
  for (const char* text : {"", "12", "24:00", "12:60", "2030-13-01T00:00", "2030-01T00:00", "x:y"}) {
    EXPECT_FALSE(parse_stop_time(text, now)) << text;
  }
}

// ------------------------------------------------------------------------------------------ lines

SyncEvent event(SyncAction action, FileType type, std::initializer_list<SyncChange> changes = {}) {
  SyncEvent event;
  event.action = action;
  event.type = type;
  for (const SyncChange change : changes) {
    event.changes |= static_cast<std::uint16_t>(change);
  }
  event.path = "name";
  return event;
}

SyncEvent as_new(SyncEvent event) {
  event.is_new = true;
  return event;
}

TEST(SyncOutput, ItemizesAsRsync) {
  using enum SyncChange;
  const auto item = [](const SyncEvent& of) { return itemized(of); };
  EXPECT_EQ(item(as_new(event(SyncAction::created, FileType::directory))), "cd+++++++++");
  EXPECT_EQ(item(as_new(event(SyncAction::transferred, FileType::regular))), ">f+++++++++");
  EXPECT_EQ(item(as_new(event(SyncAction::created, FileType::fifo))), "cS+++++++++");
  EXPECT_EQ(item(as_new(event(SyncAction::created, FileType::block_device))), "cD+++++++++");
  EXPECT_EQ(item(event(SyncAction::deleted, FileType::directory)), "*deleting  ");
  EXPECT_EQ(item(event(SyncAction::none, FileType::directory, {time})), ".d..t......");
  EXPECT_EQ(item(event(SyncAction::none, FileType::directory)), ".d         ");
  EXPECT_EQ(item(event(SyncAction::hard_linked, FileType::regular)), "hf         ");
  EXPECT_EQ(item(event(SyncAction::transferred, FileType::regular)), ">f.........");
  EXPECT_EQ(item(event(SyncAction::transferred, FileType::regular, {size, time, mode})), ">f.stp.....");
  EXPECT_EQ(item(event(SyncAction::transferred, FileType::regular, {content})), ">fc........");
  EXPECT_EQ(item(event(SyncAction::transferred, FileType::regular, {size, time, time_now})), ">f.sT......");
  EXPECT_EQ(item(event(SyncAction::created, FileType::symlink, {content, size, time})), "cLc.t......");
  EXPECT_EQ(item(event(SyncAction::none, FileType::regular, {owner, group, atime, acl, xattr})), ".f....oguax");
}

TEST(SyncOutput, NamesAreEscapedAsByRsync) {
  EXPECT_EQ(escaped("a\nb\tc\x1b[m", false, true), "a\\#012b\tc\\#033[m");
  EXPECT_EQ(escaped("\xc3\xa9\xff", false, true), "\xc3\xa9\\#377");
  EXPECT_EQ(escaped("\xc3\xa9\xff", false, false), "\\#303\\#251\\#377");
  EXPECT_EQ(escaped("\xc3\xa9\xff\n", true, true), "\xc3\xa9\xff\\#012");
  EXPECT_EQ(escaped("\\#123x \\#12 \\", false, true), "\\#134#123x \\#12 \\");
  EXPECT_EQ(escaped("\xc2\x9b", false, true), "\\#302\\#233") << "C1 controls may move the cursor";
  EXPECT_EQ(escaped("\xed\xa0\x80\xf4\x90\x80\x80\xe0\x80\x80", false, true),
            "\\#355\\#240\\#200\\#364\\#220\\#200\\#200\\#340\\#200\\#200");
}

TEST(SyncOutput, FormatsHaveRsyncsEscapes) {
  SyncEvent of = as_new(event(SyncAction::created, FileType::symlink));
  of.link_target = "there";
  of.size_bytes = 1234567;
  of.mode = 0120777;
  of.uid = 3;
  of.gid = 4;
  of.source_path = "/src/name";
  const auto line = [&](std::string_view format, bool with_group = true) {
    return SyncFormat::parse(format).value().line(of, 0, with_group);
  };
  EXPECT_EQ(line("%i %n%L"), "cL+++++++++ name -> there");
  EXPECT_EQ(line("%f|%l|%'l|%''l|%10l|%-10l|%o|%%"), "src/name|1234567|1,234,567|1.23M|   1234567|1234567   |send|%");
  EXPECT_EQ(line("%B %U %G"), "rwxrwxrwx 3 4");
  EXPECT_EQ(line("%G", false), "DEFAULT");
  of.action = SyncAction::hard_linked;
  EXPECT_EQ(line("%n%L"), "name => there");
  of = event(SyncAction::deleted, FileType::directory);
  EXPECT_EQ(line("[%o] %n|%i|%B|%l"), "[del.] name/|*deleting  |---------|0");
}

std::string told(const std::vector<const char*>& words, const SyncEvent& of) {
  return SyncLines(parsed(words)).for_output(of, 0);
}

TEST(SyncOutput, LinesAreThoseOfRsyncsLevels) {
  const SyncEvent file = event(SyncAction::transferred, FileType::regular, {SyncChange::size});
  const SyncEvent mode_only = event(SyncAction::none, FileType::regular, {SyncChange::mode});
  const SyncEvent same = event(SyncAction::none, FileType::regular);
  const SyncEvent gone = event(SyncAction::deleted, FileType::directory);
  EXPECT_EQ(told({}, file), "");
  EXPECT_EQ(told({"-v"}, file), "name");
  EXPECT_EQ(told({"-v"}, mode_only), "") << "attributes of files are not told by -v";
  EXPECT_EQ(told({"-vv"}, mode_only), "name");
  EXPECT_EQ(told({"-vv"}, same), "name is uptodate");
  EXPECT_EQ(told({"-i"}, mode_only), ".f...p..... name");
  EXPECT_EQ(told({"-i"}, same), "");
  EXPECT_EQ(told({"-ii"}, same), ".f          name");
  EXPECT_EQ(told({"-i"}, gone), "*deleting   name/");
  EXPECT_EQ(told({"-v"}, gone), "deleting name/");
  EXPECT_EQ(told({"--out-format=%l"}, gone), "deleting name/");
  EXPECT_EQ(told({"-vq"}, file), "");
  EXPECT_EQ(told({}, event(SyncAction::skipped_non_regular, FileType::symlink)), "skipping non-regular file \"name\"");
  EXPECT_EQ(told({"--info=nonreg0"}, event(SyncAction::skipped_non_regular, FileType::symlink)), "");
  EXPECT_EQ(told({"--info=skip"}, event(SyncAction::skipped_newer, FileType::regular)), "name is newer");
  EXPECT_EQ(told({"--info=skip"}, event(SyncAction::skipped_missing, FileType::directory)),
            "not creating new directory \"name\"");
  SyncEvent large = event(SyncAction::skipped_size, FileType::regular);
  large.size_bytes = 11;
  EXPECT_EQ(told({"--info=skip", "--max-size=10"}, large), "name is over max-size");
  EXPECT_EQ(told({"--info=skip", "--max-size=20", "--min-size=12"}, large), "name is under min-size");
}

TEST(SyncOutput, StatisticsHaveRsyncsWords) {
  SyncReport report;
  report.found = {.regular = 1234, .directories = 2};
  report.transferred_files = 3;
  report.total_size_bytes = 3000010;
  report.literal_bytes = 1500005;
  const std::string block = statistics_block(report, 1);
  EXPECT_THAT(block, HasSubstr("Number of files: 1,236 (reg: 1,234, dir: 2)\nNumber of created files: 0\n"));
  EXPECT_THAT(block, HasSubstr("Total file size: 3,000,010 bytes\n"));
  EXPECT_THAT(statistics_block(report, 2), HasSubstr("Total file size: 3.00M bytes\n"));
  EXPECT_THAT(statistics_block(report, 3), HasSubstr("Total file size: 2.86M bytes\n"));
  EXPECT_THAT(statistics_block(report, 0), HasSubstr("Total file size: 3000010 bytes\n"));
  EXPECT_THAT(statistics_end(report, 1, true), HasSubstr("total size is 3,000,010  speedup is 2.00 (DRY RUN)"));
}

TEST(SyncOutput, JsonNamesWhatHappened) {
  SyncEvent of = event(SyncAction::none, FileType::regular, {SyncChange::mode});
  of.path = "odd\xff";
  const auto line = nlohmann::json::parse(json_event(of));
  EXPECT_EQ(line["event"], "attributes");
  EXPECT_EQ(line["changes"], nlohmann::json::array({"mode"}));
  EXPECT_EQ(line["path_base64"], "b2Rk/w==");
  const auto error = nlohmann::json::parse(
      json_error({SyncProblem::cannot_write, {std::make_error_code(std::errc::no_space_on_device), "pwrite", "a"}}));
  EXPECT_EQ(error["problem"], "cannot_write");
  EXPECT_EQ(error["errno"], "ENOSPC");
  SyncReport report;
  report.exit = SyncExit::vanished;
  EXPECT_EQ(nlohmann::json::parse(json_summary(report, false))["exit_status"], 24);
}

}  // namespace
}  // namespace ferry::cli
