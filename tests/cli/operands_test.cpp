// Where the copies of `ferry cp`'s operands go.
#include "cli/cp_operands.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace ferry::cli {
namespace {

namespace fs = std::filesystem;

// Runs in a directory of its own that holds a directory "dir" and a file "file".
class CpOperands : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::is_directory("/dev/shm") ? "/dev/shm/ferry-cli-XXXXXX" : "/tmp/ferry-cli-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    scratch_ = pattern;
    old_ = fs::current_path();
    fs::current_path(scratch_);
    fs::create_directory("dir");
    std::ofstream("file") << "x";
  }
  void TearDown() override {
    fs::current_path(old_);
    fs::remove_all(scratch_);
  }

  static std::string destination_of(CpCommand command, std::vector<std::string> operands) {
    command.operands = std::move(operands);
    const auto jobs = resolve_operands(command);
    return jobs && jobs->jobs.size() == 1 ? jobs->jobs[0].destination : "(refused)";
  }
  static std::string refusal(CpCommand command, std::vector<std::string> operands) {
    command.operands = std::move(operands);
    ::testing::internal::CaptureStderr();
    EXPECT_FALSE(resolve_operands(command).has_value());
    std::fflush(stderr);
    return ::testing::internal::GetCapturedStderr();
  }

  fs::path scratch_;
  fs::path old_;
};

TEST_F(CpOperands, a_copy_goes_into_an_existing_directory_under_its_last_name) {
  EXPECT_EQ(destination_of({}, {"a", "dir"}), "dir/a");
  EXPECT_EQ(destination_of({}, {"x/a", "dir/"}), "dir/a");
  EXPECT_EQ(destination_of({}, {"x/a//", "dir"}), "dir/a");
  EXPECT_EQ(destination_of({}, {"a", "file"}), "file");
  EXPECT_EQ(destination_of({}, {"a", "new"}), "new");
  EXPECT_EQ(destination_of({}, {"a", "new/"}), "new/");
}

TEST_F(CpOperands, dot_and_dot_dot_mean_the_contents) {
  EXPECT_EQ(destination_of({}, {"x/.", "dir"}), "dir/.");
  EXPECT_EQ(destination_of({}, {"..", "dir"}), "dir/.");
  EXPECT_EQ(destination_of({}, {"x/..", "dir"}), "dir/.");
}

TEST_F(CpOperands, an_exact_name_is_taken_as_it_is) {
  CpCommand command;
  command.no_target_directory = true;
  EXPECT_EQ(destination_of(command, {"a", "dir"}), "dir");
  EXPECT_EQ(refusal(command, {"a", "b", "c"}),
            "ferry cp: extra operand 'c'\nTry 'ferry cp --help' for more information.\n");
}

TEST_F(CpOperands, parents_keep_the_whole_name) {
  CpCommand command;
  command.parents = true;
  EXPECT_EQ(destination_of(command, {"x/y/a", "dir"}), "dir/x/y/a");
  EXPECT_EQ(destination_of(command, {"/x//y/", "dir"}), "dir/x//y");
  EXPECT_EQ(refusal(command, {"a", "new"}),
            "ferry cp: with --parents, the destination must be a directory\n"
            "Try 'ferry cp --help' for more information.\n");
}

TEST_F(CpOperands, the_target_directory_option_takes_all_operands_as_sources) {
  CpCommand command;
  command.target_directory = "dir";
  EXPECT_EQ(destination_of(command, {"file"}), "dir/file");
  command.target_directory = "file";
  EXPECT_EQ(refusal(command, {"a"}), "ferry cp: target directory 'file': Not a directory\n");
  command.target_directory = "nope";
  EXPECT_EQ(refusal(command, {"a"}), "ferry cp: target directory 'nope': No such file or directory\n");
}

TEST_F(CpOperands, missing_and_impossible_operands_are_named) {
  const std::string try_help = "Try 'ferry cp --help' for more information.\n";
  EXPECT_EQ(refusal({}, {}), "ferry cp: missing file operand\n" + try_help);
  EXPECT_EQ(refusal({}, {"x"}), "ferry cp: missing destination file operand after 'x'\n" + try_help);
  EXPECT_EQ(refusal({}, {"a", "b", "file"}), "ferry cp: target 'file': Not a directory\n");
  EXPECT_EQ(refusal({}, {"a", "b", "nope"}), "ferry cp: target 'nope': No such file or directory\n");
}

TEST_F(CpOperands, trailing_slashes_are_stripped_on_request) {
  CpCommand command;
  EXPECT_EQ(destination_of(command, {"a//", "new"}), "new");
  command.strip_trailing_slashes = true;
  command.operands = {"a//", "new"};
  EXPECT_EQ(resolve_operands(command)->jobs[0].source, "a");
  command.operands = {"/", "new"};
  EXPECT_EQ(resolve_operands(command)->jobs[0].source, "/");
}

TEST_F(CpOperands, backup_names_count_upwards) {
  EXPECT_EQ(backup_name("file", Backup::simple, ".x"), "file.x");
  EXPECT_EQ(backup_name("file", Backup::existing, "~"), "file~");
  EXPECT_EQ(backup_name("file", Backup::numbered, "~"), "file.~1~");
  for (const char* name : {"file.~9~", "file.~10~", "file.~x~", "file.~~", "other.~50~"}) {
    std::ofstream(name) << "x";
  }
  EXPECT_EQ(backup_name("file", Backup::numbered, "~"), "file.~11~");
  EXPECT_EQ(backup_name("./file", Backup::existing, "~"), "./file.~11~");
}

}  // namespace
}  // namespace ferry::cli
