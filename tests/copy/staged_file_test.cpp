// StagedFile: nothing under any name before commit, nothing partial ever, leftovers of killed processes removed.
#include <ferry/copy.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "copy/unnamed_files.hpp"
#include "support/fault_plan.hpp"
#include "support/scratch.hpp"

namespace ferry::testing {
namespace {

using sys::Call;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Existing = StagedFile::Existing;

void fill(const StagedFile& file, const std::string& content) {
  ASSERT_EQ(::write(file.fd(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
}

// Both ways of staging must show the same behaviour: unnamed, and named where O_TMPFILE is not supported.
class StagedFileTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override { engine::forget_unnamed_files(); }
  void TearDown() override { engine::forget_unnamed_files(); }

  Result<StagedFile> create(const char* name, std::uint32_t mode = 0600) {
    if (GetParam()) {
      return StagedFile::create(scratch_.dirfd(), name, mode);
    }
    FaultPlan plan;
    plan.fail(Call::openat, EOPNOTSUPP, {.first = 1, .times = 1});
    engine::forget_unnamed_files();
    auto file = StagedFile::create(scratch_.dirfd(), name, mode);
    EXPECT_EQ(plan.injected(), 1U);
    return file;
  }
  std::vector<std::string> names_but_temporary() const {
    auto names = scratch_.names();
    std::erase_if(names, [](const auto& name) { return name.starts_with(".ferry-") && name.ends_with(".tmp"); });
    return names;
  }

  Scratch scratch_;
};

TEST_P(StagedFileTest, has_no_name_before_commit_and_its_name_after) {
  for (const Existing existing : {Existing::keep, Existing::replace}) {
    auto file = create("name", 0640);
    ASSERT_TRUE(file);
    fill(*file, "content");
    EXPECT_THAT(names_but_temporary(), IsEmpty());
    const auto done = file->commit(existing);
    ASSERT_TRUE(done) << done.error().to_string();
    EXPECT_THAT(scratch_.names(), ElementsAre("name"));
    EXPECT_EQ(read_file(scratch_.path("name")), "content");
    EXPECT_EQ(status_of(scratch_.path("name")).stx_mode & 07777, 0640);
    ::unlink(scratch_.path("name").c_str());
  }
}

TEST_P(StagedFileTest, the_mode_is_reduced_by_the_umask) {
  const mode_t old = ::umask(027);
  auto file = create("name", 0666);
  ::umask(old);
  ASSERT_TRUE(file && file->commit(Existing::keep));
  EXPECT_EQ(status_of(scratch_.path("name")).stx_mode & 07777, 0640);
}

TEST_P(StagedFileTest, is_gone_when_destroyed_or_assigned_to_without_commit) {
  {
    auto file = create("name");
    ASSERT_TRUE(file);
    fill(*file, "content");
    StagedFile moved = std::move(*file);
    auto other = create("other");
    ASSERT_TRUE(other);
    moved = std::move(*other);
  }
  EXPECT_THAT(scratch_.names(), IsEmpty());
}

TEST_P(StagedFileTest, keep_leaves_an_existing_file_alone) {
  write_file(scratch_.path("name"), "old");
  auto file = create("name");
  ASSERT_TRUE(file);
  fill(*file, "new");
  const auto done = file->commit(Existing::keep);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().errno_value(), EEXIST);
  EXPECT_EQ(done.error().path, "name");
  EXPECT_EQ(read_file(scratch_.path("name")), "old");
  EXPECT_THAT(scratch_.names(), ElementsAre("name"));
}

TEST_P(StagedFileTest, replace_replaces_files_symlinks_and_fifos_but_no_directory) {
  write_file(scratch_.path("file"), "old");
  ASSERT_EQ(::symlink("file", scratch_.path("link").c_str()), 0);
  ASSERT_EQ(::mkfifo(scratch_.path("fifo").c_str(), 0600), 0);
  for (const char* const name : {"link", "fifo", "file"}) {
    auto file = create(name);
    ASSERT_TRUE(file);
    fill(*file, name);
    const auto done = file->commit(Existing::replace);
    ASSERT_TRUE(done) << done.error().to_string();
    EXPECT_TRUE(S_ISREG(status_of(scratch_.path(name)).stx_mode));
    EXPECT_EQ(read_file(scratch_.path(name)), name);
  }
  ASSERT_EQ(::mkdir(scratch_.path("directory").c_str(), 0700), 0);
  auto file = create("directory");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->commit(Existing::replace).error().errno_value(), EISDIR);
  EXPECT_THAT(scratch_.names(), ElementsAre("directory", "fifo", "file", "link"));
}

TEST_P(StagedFileTest, the_names_of_255_bytes_are_no_problem) {
  const std::string name(255, 'n');
  auto file = create(name.c_str());
  ASSERT_TRUE(file);
  const auto done = file->commit(Existing::replace);
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_THAT(scratch_.names(), ElementsAre(name));
}

TEST_P(StagedFileTest, a_failing_rename_leaves_the_old_file_and_nothing_else) {
  write_file(scratch_.path("name"), "old");
  for (const int error : {ENOSPC, EIO, EBUSY, EROFS, EPERM}) {
    auto file = create("name");
    ASSERT_TRUE(file);
    fill(*file, "new");
    FaultPlan plan;
    plan.fail(Call::renameat2, error);
    const auto done = file->commit(Existing::replace);
    EXPECT_EQ(plan.injected(), 1U);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().errno_value(), error);
    EXPECT_STREQ(done.error().operation, "renameat2");
    EXPECT_EQ(read_file(scratch_.path("name")), "old");
    EXPECT_THAT(scratch_.names(), ElementsAre("name"));
  }
}

TEST_P(StagedFileTest, a_leftover_of_a_killed_process_is_removed) {
  write_file(scratch_.path("name"), "old");
  const pid_t child = ::fork();
  if (child == 0) {
    // Dies between naming the temporary file and renaming it.
    auto file = create("name");
    FaultPlan plan;
    plan.fail(Call::renameat2, EIO);
    plan.fail(Call::unlinkat, EIO);
    const bool failed = file && !file->commit(Existing::replace);
    ::_exit(failed ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  ASSERT_EQ(scratch_.names().size(), 2U);
  auto file = create("name");
  ASSERT_TRUE(file);
  fill(*file, "new");
  ASSERT_TRUE(file->commit(Existing::replace));
  EXPECT_THAT(scratch_.names(), ElementsAre("name"));
  EXPECT_EQ(read_file(scratch_.path("name")), "new");
}

TEST_P(StagedFileTest, racing_replacers_leave_one_whole_file_and_all_succeed) {
  if (!GetParam()) {
    FaultPlan plan;
    plan.fail(Call::openat, EOPNOTSUPP, {.first = 1, .times = 1});
    ASSERT_TRUE(StagedFile::create(scratch_.dirfd(), "probe", 0600));  // remembered for the threads
  }
  std::atomic<int> failures = 0;
  {
    std::vector<std::jthread> threads;
    for (char letter = 'a'; letter < 'e'; ++letter) {
      threads.emplace_back([&, letter] {
        for (int i = 0; i < 200; ++i) {
          auto file = StagedFile::create(scratch_.dirfd(), "name", 0600);
          const std::string content(1000, letter);
          if (!file || ::write(file->fd(), content.data(), content.size()) != 1000 ||
              !file->commit(Existing::replace)) {
            ++failures;
          }
        }
      });
    }
  }
  EXPECT_EQ(failures, 0);
  EXPECT_THAT(scratch_.names(), ElementsAre("name"));
  const std::string content = read_file(scratch_.path("name"));
  EXPECT_EQ(content, std::string(1000, content.at(0)));
}

INSTANTIATE_TEST_SUITE_P(Staging, StagedFileTest, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "unnamed" : "named"; });

class UnnamedFileTest : public ::testing::Test {
 protected:
  void SetUp() override { engine::forget_unnamed_files(); }
  void TearDown() override { engine::forget_unnamed_files(); }
  Scratch scratch_;
};

TEST_F(UnnamedFileTest, takes_an_open_and_a_link_for_a_new_name) {
  const FaultPlan plan;
  {
    auto file = StagedFile::create(scratch_.dirfd(), "name", 0600);
    ASSERT_TRUE(file && file->commit(Existing::keep));
  }
  EXPECT_EQ(plan.count(Call::openat), 1U);
  EXPECT_EQ(plan.count(Call::linkat), 1U);
  EXPECT_EQ(plan.total(), 3U);  // and the close
}

TEST_F(UnnamedFileTest, is_linked_by_proc_where_the_empty_path_is_refused_and_that_is_remembered) {
  for (const int error : {ENOENT, EPERM}) {
    engine::forget_unnamed_files();
    FaultPlan plan;
    plan.fail(Call::linkat, error, {.first = 1, .times = 1});
    for (int i = 0; i < 2; ++i) {
      auto file = StagedFile::create(scratch_.dirfd(), "name", 0600);
      ASSERT_TRUE(file);
      const auto done = file->commit(Existing::keep);
      ASSERT_TRUE(done) << done.error().to_string();
      ::unlink(scratch_.path("name").c_str());
    }
    EXPECT_EQ(plan.count(Call::linkat), 3U);
  }
}

TEST_F(UnnamedFileTest, not_supported_is_remembered_for_the_file_system) {
  FaultPlan plan;
  plan.fail(Call::openat, EISDIR, {.first = 1, .times = 1});
  for (int i = 0; i < 2; ++i) {
    auto file = StagedFile::create(scratch_.dirfd(), "name", 0600);
    ASSERT_TRUE(file && file->commit(Existing::replace));
  }
  EXPECT_EQ(plan.count(Call::openat), 3U);
}

TEST_F(UnnamedFileTest, errors_of_the_directory_are_reported) {
  for (const int error : {EACCES, ENOSPC, EROFS, EMFILE, EDQUOT}) {
    FaultPlan plan;
    plan.fail(Call::openat, error);
    const auto file = StagedFile::create(scratch_.dirfd(), "name", 0600);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().errno_value(), error);
    EXPECT_STREQ(file.error().operation, "openat");
  }
  EXPECT_EQ(StagedFile::create(-1, "name", 0600).error().errno_value(), EBADF);
}

TEST_F(UnnamedFileTest, a_failing_link_is_an_error_and_changes_nothing) {
  write_file(scratch_.path("name"), "old");
  for (const int error : {ENOSPC, EIO, EDQUOT, EMLINK, EACCES}) {
    for (const Existing existing : {Existing::keep, Existing::replace}) {
      auto file = StagedFile::create(scratch_.dirfd(), "name", 0600);
      ASSERT_TRUE(file);
      FaultPlan plan;
      plan.fail(Call::linkat, error);
      const auto done = file->commit(existing);
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().errno_value(), error);
      EXPECT_EQ(read_file(scratch_.path("name")), "old");
      EXPECT_THAT(scratch_.names(), ElementsAre("name"));
    }
  }
}

TEST_F(UnnamedFileTest, a_temporary_file_with_a_living_owner_is_left_alone) {
  write_file(scratch_.path("name"), "old");
  std::string temporary;
  {
    auto file = StagedFile::create(scratch_.dirfd(), "name", 0600);
    ASSERT_TRUE(file);
    FaultPlan plan;
    plan.fail(Call::renameat2, EIO);
    plan.fail(Call::unlinkat, EIO);
    ASSERT_FALSE(file->commit(Existing::replace));
  }
  for (const auto& name : scratch_.names()) {
    temporary = name == "name" ? temporary : name;
  }
  const UniqueFd owner = open_file(scratch_.path(temporary), O_RDONLY);
  ASSERT_EQ(::flock(owner.get(), LOCK_EX | LOCK_NB), 0);
  auto file = StagedFile::create(scratch_.dirfd(), "name", 0600);
  ASSERT_TRUE(file);
  const auto done = file->commit(Existing::replace);
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_THAT(scratch_.names(), ElementsAre(temporary, "name"));
}

class NamedFileTest : public UnnamedFileTest {
 protected:
  Result<StagedFile> create_named(FaultPlan& plan) {
    plan.fail(Call::openat, EOPNOTSUPP, {.first = 1, .times = 1});
    return StagedFile::create(scratch_.dirfd(), "name", 0600);
  }
};

TEST_F(NamedFileTest, keep_works_where_rename_noreplace_does_not) {
  for (const int error : {EINVAL, ENOSYS}) {
    engine::forget_unnamed_files();
    FaultPlan plan;
    plan.fail(Call::renameat2, error);
    auto file = create_named(plan);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->commit(Existing::keep));
    EXPECT_THAT(scratch_.names(), ElementsAre("name"));
    auto second = StagedFile::create(scratch_.dirfd(), "name", 0600);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->commit(Existing::keep).error().errno_value(), EEXIST);
    EXPECT_THAT(scratch_.names(), ElementsAre("name"));
    ::unlink(scratch_.path("name").c_str());
  }
}

TEST_F(NamedFileTest, works_where_there_are_no_locks) {
  FaultPlan plan;
  plan.fail(Call::flock, EOPNOTSUPP);
  auto file = create_named(plan);
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->commit(Existing::replace));
  EXPECT_THAT(scratch_.names(), ElementsAre("name"));
}

TEST_F(NamedFileTest, a_failing_open_is_reported) {
  FaultPlan plan;
  plan.fail(Call::openat, ENOSPC, {.first = 2});
  const auto file = create_named(plan);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().errno_value(), ENOSPC);
  EXPECT_THAT(scratch_.names(), IsEmpty());
}

}  // namespace
}  // namespace ferry::testing
