// The grammar of `ferry cp`, without copying anything.
#include "cli/cp_arguments.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <initializer_list>
#include <string>
#include <vector>

namespace ferry::cli {
namespace {

struct Parsed {
  std::expected<CpCommand, CpExit> command = std::unexpected(CpExit{});
  std::string out;
  std::string err;
};

class CpArguments : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"VERSION_CONTROL", "SIMPLE_BACKUP_SUFFIX", "POSIXLY_CORRECT"}) {
      ::unsetenv(name);
    }
  }
  void TearDown() override { SetUp(); }

  static Parsed parse(std::initializer_list<const char*> words) {
    std::vector<std::string> storage = {cp_name};
    storage.insert(storage.end(), words.begin(), words.end());
    std::vector<char*> argv;
    argv.reserve(storage.size() + 1);
    for (std::string& word : storage) {
      argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    Parsed parsed;
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    parsed.command = parse_cp_arguments(static_cast<int>(storage.size()), argv.data());
    std::fflush(nullptr);
    parsed.out = ::testing::internal::GetCapturedStdout();
    parsed.err = ::testing::internal::GetCapturedStderr();
    return parsed;
  }

  // The command of a line that has to be right.
  static CpCommand good(std::initializer_list<const char*> words) {
    Parsed parsed = parse(words);
    EXPECT_TRUE(parsed.command.has_value()) << parsed.err;
    EXPECT_EQ(parsed.err, "");
    return parsed.command.value_or(CpCommand{});
  }

  // The messages of a line that has to be refused.
  static std::string refusal(std::initializer_list<const char*> words) {
    const Parsed parsed = parse(words);
    EXPECT_FALSE(parsed.command.has_value());
    if (!parsed.command) {
      EXPECT_EQ(parsed.command.error().status, 1);
    }
    return parsed.err;
  }
};

const std::string try_help = "Try 'ferry cp --help' for more information.\n";

TEST_F(CpArguments, options_may_follow_operands) {
  const CpCommand command = good({"a", "-r", "b", "-v"});
  EXPECT_EQ(command.operands, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(command.tree.recursive);
  EXPECT_TRUE(command.verbose);
}

TEST_F(CpArguments, options_end_at_the_first_operand_under_posixly_correct) {
  ::setenv("POSIXLY_CORRECT", "1", 1);
  EXPECT_EQ(good({"a", "-r", "b"}).operands, (std::vector<std::string>{"a", "-r", "b"}));
}

TEST_F(CpArguments, two_dashes_end_the_options) {
  EXPECT_EQ(good({"-v", "--", "-r", "--json"}).operands, (std::vector<std::string>{"-r", "--json"}));
}

TEST_F(CpArguments, a_single_dash_is_a_file_name) {
  EXPECT_EQ(good({"-", "x"}).operands, (std::vector<std::string>{"-", "x"}));
}

TEST_F(CpArguments, short_options_combine_and_take_attached_arguments) {
  const CpCommand command = good({"-rvtdir", "a"});
  EXPECT_TRUE(command.tree.recursive);
  EXPECT_TRUE(command.verbose);
  EXPECT_EQ(command.target_directory, "dir");
}

TEST_F(CpArguments, archive_means_recursive_no_dereference_and_everything_preserved) {
  const TreeOptions tree = good({"-a", "a", "b"}).tree;
  EXPECT_TRUE(tree.recursive);
  EXPECT_EQ(tree.dereference, Dereference::never);
  EXPECT_TRUE(tree.preserve_hard_links);
  EXPECT_TRUE(tree.preserve.mode && tree.preserve.owner && tree.preserve.times && tree.preserve.acls &&
              tree.preserve.xattrs);
  EXPECT_FALSE(tree.preserve.inode_flags);
  EXPECT_EQ(tree.unsupported_attributes, UnsupportedAttributes::ignore);
}

TEST_F(CpArguments, later_options_take_back_what_archive_preserves) {
  const TreeOptions tree = good({"-a", "--no-preserve=ownership,mode", "a", "b"}).tree;
  EXPECT_FALSE(tree.preserve.owner || tree.preserve.mode || tree.preserve.acls);
  EXPECT_TRUE(tree.preserve.times);
  EXPECT_TRUE(tree.default_mode);
}

TEST_F(CpArguments, attributes_asked_for_by_name_must_work) {
  const TreeOptions tree = good({"--preserve=xattr", "a", "b"}).tree;
  EXPECT_TRUE(tree.preserve.xattrs);
  EXPECT_EQ(tree.unsupported_attributes, UnsupportedAttributes::report);
  EXPECT_FALSE(tree.preserve.mode);
}

TEST_F(CpArguments, symlinks_are_followed_unless_recursive) {
  EXPECT_EQ(good({"a", "b"}).tree.dereference, Dereference::always);
  EXPECT_EQ(good({"-r", "a", "b"}).tree.dereference, Dereference::never);
  EXPECT_EQ(good({"-rl", "a", "b"}).tree.dereference, Dereference::always);
  EXPECT_EQ(good({"-rPLH", "a", "b"}).tree.dereference, Dereference::command_line);
  EXPECT_EQ(good({"-P", "a", "b"}).tree.dereference, Dereference::never);
}

TEST_F(CpArguments, special_files_are_read_unless_recursive) {
  EXPECT_TRUE(good({"a", "b"}).tree.copy_contents);
  EXPECT_FALSE(good({"-r", "a", "b"}).tree.copy_contents);
  EXPECT_TRUE(good({"-r", "--copy-contents", "a", "b"}).tree.copy_contents);
}

TEST_F(CpArguments, no_clobber_and_interactive_override_each_other) {
  EXPECT_TRUE(good({"-n", "-i", "a", "b"}).interactive);
  EXPECT_EQ(good({"-n", "-i", "a", "b"}).tree.overwrite, Overwrite::replace);
  EXPECT_FALSE(good({"-i", "-n", "a", "b"}).interactive);
  EXPECT_EQ(good({"-i", "-n", "a", "b"}).tree.overwrite, Overwrite::skip);
  EXPECT_EQ(good({"-n", "-f", "a", "b"}).tree.overwrite, Overwrite::skip);
}

TEST_F(CpArguments, update_chooses_what_is_overwritten) {
  EXPECT_EQ(good({"-u", "a", "b"}).tree.overwrite, Overwrite::if_older);
  EXPECT_EQ(good({"--update", "a", "b"}).tree.overwrite, Overwrite::if_older);
  EXPECT_EQ(good({"--update=older", "a", "b"}).tree.overwrite, Overwrite::if_older);
  EXPECT_EQ(good({"--update=all", "a", "b"}).tree.overwrite, Overwrite::replace);
  EXPECT_EQ(good({"--update=none", "a", "b"}).tree.overwrite, Overwrite::skip);
  EXPECT_EQ(good({"--update=none-fail", "a", "b"}).tree.overwrite, Overwrite::fail);
  EXPECT_EQ(good({"-u", "--update=all", "a", "b"}).tree.overwrite, Overwrite::replace);
  EXPECT_EQ(good({"-n", "-u", "a", "b"}).tree.overwrite, Overwrite::skip) << "-n takes precedence";
}

TEST_F(CpArguments, backup_control_comes_from_the_option_then_the_environment) {
  EXPECT_EQ(good({"-b", "a", "b"}).tree.backup, Backup::existing);
  EXPECT_EQ(good({"--backup=simple", "a", "b"}).tree.backup, Backup::simple);
  EXPECT_EQ(good({"--backup=t", "a", "b"}).tree.backup, Backup::numbered);
  EXPECT_EQ(good({"--backup=off", "a", "b"}).tree.backup, Backup::none);
  ::setenv("VERSION_CONTROL", "numbered", 1);
  EXPECT_EQ(good({"-b", "a", "b"}).tree.backup, Backup::numbered);
  EXPECT_EQ(good({"--backup=never", "a", "b"}).tree.backup, Backup::simple);
  EXPECT_EQ(good({"a", "b"}).tree.backup, Backup::none);
}

TEST_F(CpArguments, backup_suffix_comes_from_the_option_then_the_environment_and_may_hold_no_slash) {
  EXPECT_EQ(good({"-b", "a", "b"}).tree.backup_suffix, "~");
  EXPECT_EQ(good({"-S", ".old", "a", "b"}).tree.backup_suffix, ".old");
  EXPECT_EQ(good({"-S", ".old", "a", "b"}).tree.backup, Backup::existing);
  EXPECT_EQ(good({"-S", "x/y", "a", "b"}).tree.backup_suffix, "~");
  ::setenv("SIMPLE_BACKUP_SUFFIX", ".env", 1);
  EXPECT_EQ(good({"-b", "a", "b"}).tree.backup_suffix, ".env");
  EXPECT_EQ(good({"-b", "--suffix=.opt", "a", "b"}).tree.backup_suffix, ".opt");
}

TEST_F(CpArguments, a_wrong_backup_control_lists_the_valid_ones) {
  EXPECT_EQ(refusal({"--backup=foo", "a", "b"}),
            "ferry cp: invalid argument 'foo' for 'backup type'\nValid arguments are:\n  - 'none', 'off'\n"
            "  - 'simple', 'never'\n  - 'existing', 'nil'\n  - 'numbered', 't'\n" +
                try_help);
  EXPECT_TRUE(refusal({"--backup=n", "a", "b"}).starts_with("ferry cp: ambiguous argument 'n' for 'backup type'\n"));
  ::setenv("VERSION_CONTROL", "bar", 1);
  EXPECT_TRUE(refusal({"-b", "a", "b"}).starts_with("ferry cp: invalid argument 'bar' for '$VERSION_CONTROL'\n"));
}

TEST_F(CpArguments, long_options_may_be_abbreviated) {
  EXPECT_TRUE(good({"--recurs", "a", "b"}).tree.recursive);
  EXPECT_EQ(good({"--sp=alw", "a", "b"}).tree.copy.sparse, SparseMode::always);
  EXPECT_EQ(good({"--jo=3", "a", "b"}).tree.jobs, 3U);
}

TEST_F(CpArguments, our_options_do_not_make_an_abbreviation_of_gnu_cp_ambiguous) {
  EXPECT_TRUE(good({"--pre", "a", "b"}).tree.preserve.mode) << "--preallocate must not get in the way";
  EXPECT_TRUE(good({"--pr=mode", "a", "b"}).tree.preserve.mode) << "nor --progress";
  EXPECT_TRUE(good({"--i", "a", "b"}).interactive) << "nor --inplace";
  EXPECT_TRUE(good({"--f", "a", "b"}).tree.force) << "nor --fsync";
  EXPECT_TRUE(good({"--verb", "a", "b"}).verbose);
}

TEST_F(CpArguments, an_ambiguous_abbreviation_lists_the_candidates) {
  EXPECT_EQ(refusal({"--re", "a", "b"}),
            "ferry cp: option '--re' is ambiguous; possibilities: '--recursive' '--remove-destination' '--reflink'\n" +
                try_help);
}

TEST_F(CpArguments, unknown_options_are_refused_in_getopts_words) {
  EXPECT_EQ(refusal({"-q"}), "ferry cp: invalid option -- 'q'\n" + try_help);
  EXPECT_EQ(refusal({"--foo"}), "ferry cp: unrecognized option '--foo'\n" + try_help);
  EXPECT_EQ(refusal({"-S"}), "ferry cp: option requires an argument -- 'S'\n" + try_help);
  EXPECT_EQ(refusal({"--force=1", "a"}), "ferry cp: option '--force' doesn't allow an argument\n" + try_help);
}

TEST_F(CpArguments, contradictions_are_refused) {
  EXPECT_EQ(refusal({"-ls", "a", "b"}), "ferry cp: cannot make both hard and symbolic links\n" + try_help);
  EXPECT_EQ(refusal({"-bn", "a", "b"}),
            "ferry cp: options --backup and --no-clobber are mutually exclusive\n" + try_help);
  EXPECT_EQ(refusal({"--reflink", "--sparse=never", "a", "b"}),
            "ferry cp: --reflink can be used only with --sparse=auto\n" + try_help);
  EXPECT_EQ(refusal({"-t", "x", "-t", "y", "a"}), "ferry cp: multiple target directories specified\n");
}

TEST_F(CpArguments, security_contexts_are_refused_or_ignored_as_without_selinux) {
  EXPECT_EQ(refusal({"--preserve=context", "a", "b"}),
            "ferry cp: cannot preserve security context without an SELinux-enabled kernel\n");
  EXPECT_TRUE(good({"-Z", "a", "b"}).operands.size() == 2);
  EXPECT_TRUE(good({"--context", "a", "b"}).operands.size() == 2);
  const Parsed parsed = parse({"--context=foo", "a", "b"});
  EXPECT_TRUE(parsed.command.has_value());
  EXPECT_TRUE(parsed.err.starts_with("ferry cp: warning: ignoring --context")) << parsed.err;
}

TEST_F(CpArguments, sizes_and_counts_out_of_range_are_refused_in_one_line) {
  for (const char* size : {"", "x", "4Q", "-1", "1", "63K", "65M", "99999999999999999999", "1E"}) {
    const std::string text = refusal({"--chunk-size", size, "a", "b"});
    EXPECT_TRUE(text.find("chunk size") != std::string::npos && text.ends_with(try_help)) << text;
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
  }
  EXPECT_EQ(good({"--chunk-size=64K", "a", "b"}).tree.copy.chunk_size_bytes, 65536U);
  EXPECT_EQ(good({"--chunk-size=64M", "a", "b"}).tree.copy.chunk_size_bytes, std::size_t{64} << 20U);
  for (const char* jobs : {"", "0", "257", "-1", "two", "1.5", "4 ", "99999999999"}) {
    EXPECT_NE(refusal({"--jobs", jobs, "a", "b"}).find("1 to 256"), std::string::npos) << jobs;
  }
}

TEST_F(CpArguments, methods_are_a_list_of_names) {
  CopyMethodSet expected(CopyMethod::splice);
  expected.insert(CopyMethod::read_write);
  EXPECT_EQ(good({"--method=splice,read_write", "a", "b"}).tree.copy.methods, expected);
  EXPECT_EQ(good({"a", "b"}).tree.copy.methods, CopyMethodSet::all());
  EXPECT_TRUE(refusal({"--method=teleport", "a", "b"})
                  .starts_with("ferry cp: invalid argument 'teleport' for '--method'\nValid arguments are:\n"));
  EXPECT_TRUE(refusal({"--method=", "a", "b"}).starts_with("ferry cp: ambiguous argument ''"));
}

TEST_F(CpArguments, progress_is_automatic_unless_asked_for) {
  EXPECT_EQ(good({"a", "b"}).progress, ProgressMode::automatic);
  EXPECT_EQ(good({"--progress", "a", "b"}).progress, ProgressMode::always);
  EXPECT_EQ(good({"--progress=never", "a", "b"}).progress, ProgressMode::never);
}

TEST_F(CpArguments, help_and_version_go_to_standard_output_with_status_0) {
  Parsed parsed = parse({"--help"});
  ASSERT_FALSE(parsed.command.has_value());
  EXPECT_EQ(parsed.command.error().status, 0);
  for (const char* part : {"Examples:", "--inplace", "replaced as a whole", "Exit status:", "130"}) {
    EXPECT_NE(parsed.out.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(parsed.out.find('\x1b'), std::string::npos) << "no colours in a pipe";
  parsed = parse({"--version"});
  EXPECT_TRUE(parsed.out.starts_with("ferry cp ")) << parsed.out;
}

TEST_F(CpArguments, no_help_line_is_wider_than_a_wide_terminal) {
  const std::string text = cp_help(false);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    EXPECT_LE(end - at, 110U) << text.substr(at, end - at);
    at = end + 1;
  }
}

}  // namespace
}  // namespace ferry::cli
