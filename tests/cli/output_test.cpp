// What `ferry cp` prints: messages, lines, JSON and the progress line.
#include "cli/cp_messages.hpp"
#include "cli/terminal.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <string>

namespace ferry::cli {
namespace {

using nlohmann::json;

TreeError error_of(TreeProblem problem, int errno_value) {
  return {problem, Error{std::error_code(errno_value, std::generic_category()), "op", "p"}, "a", "b", {"top", "to"}};
}

std::string message(TreeProblem problem, int errno_value = 0) {
  return describe(error_of(problem, errno_value), {"top", "to", false}, LinkMode::copy);
}

TEST(CpMessages, follow_the_words_of_gnu_cp) {
  EXPECT_EQ(message(TreeProblem::cannot_stat_source, ENOENT), "cannot stat 'a': No such file or directory");
  EXPECT_EQ(message(TreeProblem::cannot_open_source, EACCES), "cannot open 'a' for reading: Permission denied");
  EXPECT_EQ(message(TreeProblem::cannot_read_source, EIO), "error reading 'a': Input/output error");
  EXPECT_EQ(message(TreeProblem::cannot_write_destination, ENOSPC), "error writing 'b': No space left on device");
  EXPECT_EQ(message(TreeProblem::cannot_create_file, EACCES), "cannot create regular file 'b': Permission denied");
  EXPECT_EQ(message(TreeProblem::directory_omitted), "-r not specified; omitting directory 'a'");
  EXPECT_EQ(message(TreeProblem::same_file), "'a' and 'b' are the same file");
  EXPECT_EQ(message(TreeProblem::into_itself), "cannot copy a directory, 'top', into itself, 'to'");
  EXPECT_EQ(message(TreeProblem::backup_would_destroy_source), "backing up 'b' might destroy source;  'a' not copied");
  EXPECT_EQ(message(TreeProblem::cannot_clone, EOPNOTSUPP), "failed to clone 'b' from 'a': Operation not supported");
}

TEST(CpMessages, every_problem_has_words_that_name_a_file) {
  for (int i = 0; i <= static_cast<int>(TreeProblem::other); ++i) {
    const std::string text = message(static_cast<TreeProblem>(i), EIO);
    EXPECT_TRUE(text.find("'a'") != std::string::npos || text.find("'b'") != std::string::npos ||
                text.find("'top'") != std::string::npos || text.starts_with("b: "))
        << i << ": " << text;
    EXPECT_EQ(text.find('{'), std::string::npos) << text;
  }
}

TEST(CpMessages, leading_directories_of_parents_have_words_of_their_own) {
  const auto parent = [](TreeProblem problem, int errno_value) {
    return describe(error_of(problem, errno_value), {"a", "b", true}, LinkMode::copy);
  };
  EXPECT_EQ(parent(TreeProblem::cannot_stat_source, ENOENT),
            "failed to get attributes of 'a': No such file or directory");
  EXPECT_EQ(parent(TreeProblem::overwrite_non_directory_with_directory, 0), "'b' exists but is not a directory");
  EXPECT_EQ(parent(TreeProblem::cannot_create_directory, EACCES), "cannot make directory 'b': Permission denied");
}

TEST(CpMessages, questions_tell_the_mode_of_what_is_not_writable) {
  EXPECT_EQ(overwrite_question("b", 0100644, true, false), "overwrite 'b'? ");
  EXPECT_EQ(overwrite_question("b", 0100444, false, true), "replace 'b', overriding mode 0444 (r--r--r--)? ");
  EXPECT_EQ(overwrite_question("b", 0104050, false, false), "unwritable 'b' (mode 4050, --Sr-x---); try anyway? ");
  EXPECT_EQ(permission_string(07777), "rwsrwsrwt");
  EXPECT_EQ(permission_string(01000), "--------T");
}

TEST(CpMessages, verbose_lines_tell_backups_and_removals_and_nothing_about_merged_directories) {
  const CurrentOperand operand;
  TreeEvent event{TreeEventKind::copied, "a", "b", "b~", nullptr};
  EXPECT_EQ(verbose_line(event, operand), "'a' -> 'b' (backup: 'b~')");
  event = {TreeEventKind::removed, "a", "b", "", nullptr};
  EXPECT_EQ(verbose_line(event, operand), "removed 'b'");
  event.kind = TreeEventKind::directory_merged;
  EXPECT_EQ(verbose_line(event, operand), "");
  event.kind = TreeEventKind::directory_created;
  EXPECT_EQ(verbose_line(event, CurrentOperand{"a", "b", true}), "a -> b");
}

CopyReport sample_report() {
  CopyReport report;
  report.bytes_by_method[static_cast<std::size_t>(CopyMethod::copy_file_range)] = 1 << 20;
  report.refused_errno[static_cast<std::size_t>(CopyMethod::reflink)] = EOPNOTSUPP;
  report.bytes_copied = 1 << 20;
  report.hole_bytes = 4096;
  report.size_bytes = (1 << 20) + 4096;
  return report;
}

TEST(CpMessages, explain_tells_methods_refusals_and_bytes) {
  const CopyReport report = sample_report();
  EXPECT_EQ(explain_line({TreeEventKind::copied, "a", "b", "", &report}),
            "'a' -> 'b': reflink refused (EOPNOTSUPP), copy_file_range 1.0 MiB, holes 4.0 KiB");
  EXPECT_EQ(explain_line({TreeEventKind::hard_link_created, "a", "b", "", nullptr}), "'a' -> 'b': hard link created");
}

TEST(CpMessages, explain_tells_what_was_polled_for_and_who_refused) {
  CopyReport report;
  report.bytes_by_method[static_cast<std::size_t>(CopyMethod::uring)] = report.bytes_copied = 1 << 20;
  report.direct_bytes = report.polled_bytes = 1 << 20;
  EXPECT_EQ(explain_line({TreeEventKind::copied, "a", "b", "", &report}),
            "'a' -> 'b': uring 1.0 MiB, direct 1.0 MiB, polled 1.0 MiB");
  report.polled_bytes = 0;
  report.polling_refused_errno = EOPNOTSUPP;
  EXPECT_EQ(explain_line({TreeEventKind::copied, "a", "b", "", &report}),
            "'a' -> 'b': uring 1.0 MiB, direct 1.0 MiB, polling refused (EOPNOTSUPP)");
  EXPECT_EQ(json::parse(json_event({TreeEventKind::copied, "a", "b", "", &report}))["refused"]["polling"],
            "EOPNOTSUPP");
}

TEST(CpMessages, debug_speaks_as_newer_gnu_cp_does) {
  EXPECT_EQ(debug_line(sample_report(), {}), "copy offload: yes, reflink: unsupported, sparse detection: SEEK_HOLE");
  CopyOptions options;
  options.reflink = ReflinkMode::never;
  options.sparse = SparseMode::always;
  CopyReport report;
  report.bytes_copied = 5;
  report.bytes_by_method[static_cast<std::size_t>(CopyMethod::read_write)] = 5;
  EXPECT_EQ(debug_line(report, options), "copy offload: avoided, reflink: no, sparse detection: zeros");
}

TEST(CpJson, an_event_is_one_line_with_bytes_by_method_and_errno_names) {
  const CopyReport report = sample_report();
  const std::string line = json_event({TreeEventKind::copied, "a\nb", "c", "c~", &report});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const json parsed = json::parse(line);
  EXPECT_EQ(parsed["event"], "copied");
  EXPECT_EQ(parsed["source"], "a\nb");
  EXPECT_EQ(parsed["backup"], "c~");
  EXPECT_EQ(parsed["method"], "copy_file_range");
  EXPECT_EQ(parsed["bytes_by_method"]["copy_file_range"], 1 << 20);
  EXPECT_EQ(parsed["refused"]["reflink"], "EOPNOTSUPP");
  EXPECT_FALSE(parsed.contains("source_base64"));
}

TEST(CpJson, a_name_that_is_not_utf8_comes_exactly_in_base64) {
  const json parsed = json::parse(json_event({TreeEventKind::copied, "bad\xff", "\xff\xfe", "", nullptr}));
  EXPECT_EQ(parsed["source"], "bad\xef\xbf\xbd");
  EXPECT_EQ(parsed["source_base64"], "YmFk/w==");
  EXPECT_EQ(parsed["destination_base64"], "//4=");
}

TEST(CpJson, an_error_names_problem_errno_and_message) {
  const json parsed = json::parse(json_error(error_of(TreeProblem::cannot_open_source, EACCES), "text"));
  EXPECT_EQ(parsed["event"], "error");
  EXPECT_EQ(parsed["problem"], "cannot_open_source");
  EXPECT_EQ(parsed["errno"], "EACCES");
  EXPECT_EQ(parsed["message"], "text");
}

TEST(CpJson, the_summary_counts_and_tells_the_exit_status) {
  TreeReport report;
  report.regular_files = 3;
  report.data = sample_report();
  json parsed = json::parse(json_summary(report, 1, 0, false));
  EXPECT_EQ(parsed["event"], "summary");
  EXPECT_EQ(parsed["exit_status"], 1);
  EXPECT_EQ(parsed["regular_files"], 3);
  EXPECT_EQ(parsed["bytes_copied"], 1 << 20);
  EXPECT_FALSE(parsed.contains("signal"));
  parsed = json::parse(json_summary(report, 130, 2, false));
  EXPECT_EQ(parsed["signal"], 2);
}

TEST(ProgressLine, shows_shares_only_when_the_walk_is_complete) {
  TreeProgress progress{std::uint64_t{1} << 30U, 10, std::uint64_t{2} << 30U, 20, false};
  EXPECT_EQ(format_progress(progress, 1 << 20, 200), "1.0 GiB  10 of 20+ files  1.0 MiB/s");
  progress.walk_complete = true;
  EXPECT_EQ(format_progress(progress, 1 << 20, 200), "1.0 GiB of 2.0 GiB (50%)  10 of 20 files  1.0 MiB/s  17:04 left");
}

TEST(ProgressLine, survives_odd_numbers) {
  const TreeProgress nothing{0, 0, 0, 0, true};
  EXPECT_EQ(format_progress(nothing, 0, 200), "0 B of 0 B (100%)  0 of 0 files  0 B/s");
  // A source that grew: more done than found. A rate too small for an end in sight.
  const TreeProgress grown{10, 1, 5, 1, true};
  EXPECT_EQ(format_progress(grown, -1, 200), "10 B of 10 B (100%)  1 of 1 files  0 B/s");
  const TreeProgress slow{0, 0, std::uint64_t{1} << 60U, 1, true};
  EXPECT_TRUE(format_progress(slow, 1, 200).ends_with("stalled"));
}

TEST(ProgressLine, fits_the_terminal) {
  const TreeProgress progress{1, 2, 3, 4, true};
  EXPECT_EQ(format_progress(progress, 1, 20).size(), 20U);
}

TEST(ProgressLine, durations_read_like_a_clock) {
  using std::chrono::seconds;
  EXPECT_EQ(format_duration(seconds(7)), "0:07");
  EXPECT_EQ(format_duration(seconds(754)), "12:34");
  EXPECT_EQ(format_duration(seconds(3723)), "1:02:03");
}

}  // namespace
}  // namespace ferry::cli
