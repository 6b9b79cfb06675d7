// New directories that are filled under a temporary name: what others see of them, and what happens when somebody else,
// a signal or an error gets between.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include <ferry/tree.hpp>

#include "support/fault_plan.hpp"
#include "support/scratch.hpp"
#include "tree/staged_directory.hpp"

namespace ferry::testing {
namespace {

namespace fs = std::filesystem;
using sys::Call;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class StagedDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(source("new/below"));
    write_file(source("new/a"), "new content of a");
    write_file(source("new/b"), "new content of b");
    fs::create_symlink("a", source("new/link"));
    write_file(source("new/below/c"), "new content of c");
    fs::create_directory(destination());
  }
  [[nodiscard]] std::string source(const std::string& name = "") const { return scratch_.path("s/" + name); }
  [[nodiscard]] std::string destination(const std::string& name = "") const { return scratch_.path("d/" + name); }
  [[nodiscard]] std::string staged() const { return destination(staged_directory_name("new")); }

  std::vector<TreeProblem> copy(TreeOptions options = {}) {
    std::vector<TreeProblem> problems;
    options.jobs = 1;
    options.on_error = [&](const TreeError& error) { problems.push_back(error.problem); };
    const bool succeeded = copy_tree(source(), destination(), options).has_value();
    EXPECT_EQ(succeeded, problems.empty());
    return problems;
  }
  void expect_copied() const {
    for (const char* name : {"new/a", "new/b", "new/below/c"}) {
      EXPECT_EQ(read_file(destination(name)), read_file(source(name))) << name;
    }
    EXPECT_EQ(fs::read_symlink(destination("new/link")), "a");
    EXPECT_THAT(temporaries(), IsEmpty());
  }
  [[nodiscard]] std::vector<std::string> temporaries() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(destination())) {
      if (entry.path().filename().native().starts_with(".ferry-")) {
        found.push_back(entry.path());
      }
    }
    return found;
  }

 private:
  Scratch scratch_;
};

TEST_F(StagedDirectory, gets_its_name_when_the_files_in_it_are_whole) {
  TreeOptions options;
  std::vector<std::string> seen;
  options.on_event = [&](const TreeEvent& event) {
    if (event.kind == TreeEventKind::copied && event.destination == destination("new/b")) {
      EXPECT_FALSE(fs::exists(destination("new")));
      EXPECT_TRUE(fs::exists(staged()));
      seen.emplace_back(event.destination);
    }
    if (event.kind == TreeEventKind::copied && event.destination == destination("new/below/c")) {
      EXPECT_EQ(read_file(destination("new/a")), "new content of a");
      EXPECT_EQ(read_file(destination("new/b")), "new content of b");
      seen.emplace_back(event.destination);
    }
  };
  EXPECT_THAT(copy(options), IsEmpty());
  EXPECT_THAT(seen, ElementsAre(destination("new/b"), destination("new/below/c")));
  expect_copied();
}

TEST_F(StagedDirectory, costs_no_linkat_and_one_rename) {
  const FaultPlan plan;
  EXPECT_THAT(copy(), IsEmpty());
  EXPECT_EQ(plan.count(Call::linkat), 0U);
  EXPECT_EQ(plan.count(Call::renameat2), 2U);  // "new" and "below"
}

TEST_F(StagedDirectory, is_not_made_when_asked_to_write_in_place) {
  TreeOptions options;
  options.copy.inplace = true;
  const FaultPlan plan;
  EXPECT_THAT(copy(options), IsEmpty());
  EXPECT_EQ(plan.count(Call::renameat2), 0U);
  expect_copied();
}

TEST_F(StagedDirectory, left_by_a_killed_process_is_removed) {
  fs::create_directory(staged());
  write_file(staged() + "/a", "half of");
  EXPECT_THAT(copy(), IsEmpty());
  expect_copied();
}

TEST_F(StagedDirectory, of_a_living_process_is_left_alone) {
  fs::create_directory(staged());
  write_file(staged() + "/theirs", "in the making");
  const UniqueFd owner = open_file(staged(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(owner.get(), LOCK_EX), 0);
  EXPECT_THAT(copy(), IsEmpty());
  EXPECT_EQ(read_file(destination("new/a")), "new content of a");
  EXPECT_EQ(read_file(staged() + "/theirs"), "in the making");
}

TEST_F(StagedDirectory, that_holds_directories_is_not_taken_for_a_leftover) {
  fs::create_directories(staged() + "/somebody's");
  EXPECT_THAT(copy(), IsEmpty());
  EXPECT_EQ(read_file(destination("new/a")), "new content of a");
  EXPECT_TRUE(fs::exists(staged() + "/somebody's"));
}

TEST_F(StagedDirectory, that_is_a_symlink_of_somebody_else_is_not_followed) {
  fs::create_directory(destination("elsewhere"));
  write_file(destination("elsewhere/file"), "not ours");
  fs::create_symlink("elsewhere", staged());
  EXPECT_THAT(copy(), IsEmpty());
  EXPECT_EQ(read_file(destination("elsewhere/file")), "not ours");
  EXPECT_EQ(read_file(destination("new/a")), "new content of a");
}

TEST_F(StagedDirectory, is_merged_into_what_took_its_name_meanwhile) {
  TreeOptions options;
  options.on_event = [&](const TreeEvent& event) {
    if (event.kind == TreeEventKind::copied && event.destination == destination("new/a")) {
      fs::create_directory(destination("new"));
      write_file(destination("new/a"), "theirs");
      write_file(destination("new/other"), "theirs");
    }
  };
  EXPECT_THAT(copy(options), IsEmpty());
  expect_copied();
  EXPECT_EQ(read_file(destination("new/other")), "theirs");
}

TEST_F(StagedDirectory, merged_keeps_files_that_are_not_to_be_overwritten) {
  TreeOptions options;
  options.overwrite = Overwrite::skip;
  options.on_event = [&](const TreeEvent& event) {
    if (event.kind == TreeEventKind::copied && event.destination == destination("new/b")) {
      fs::create_directory(destination("new"));
      write_file(destination("new/b"), "theirs");
    }
  };
  EXPECT_THAT(copy(options), IsEmpty());
  EXPECT_EQ(read_file(destination("new/a")), "new content of a");
  EXPECT_EQ(read_file(destination("new/b")), "theirs");
  EXPECT_THAT(temporaries(), IsEmpty());
}

TEST_F(StagedDirectory, whose_name_was_taken_by_a_file_is_an_error_and_leaves_that_alone) {
  TreeOptions options;
  options.on_event = [&](const TreeEvent& event) {
    if (event.kind == TreeEventKind::copied && event.destination == destination("new/a")) {
      write_file(destination("new"), "a file");
    }
  };
  EXPECT_THAT(copy(options), ElementsAre(TreeProblem::overwrite_non_directory_with_directory));
  EXPECT_EQ(read_file(destination("new")), "a file");
  EXPECT_THAT(temporaries(), IsEmpty());
  fs::remove(destination("new"));
  EXPECT_THAT(copy(), IsEmpty());
  expect_copied();
}

TEST_F(StagedDirectory, is_emptied_into_an_ordinary_one_where_directories_cannot_be_renamed) {
  for (const int error : {EXDEV, EPERM, EINVAL, EIO}) {
    FaultPlan plan;
    plan.fail(Call::renameat2, error, {.first = 1, .times = error == EINVAL ? 2U : 1U});
    EXPECT_THAT(copy(), IsEmpty()) << error;
    EXPECT_GT(plan.injected(), 0U);
    expect_copied();
    fs::remove_all(destination("new"));
  }
}

TEST_F(StagedDirectory, is_renamed_where_the_file_system_knows_no_flags) {
  FaultPlan plan;
  plan.fail(Call::renameat2, EINVAL, {.first = 1, .times = 1});
  EXPECT_THAT(copy(), IsEmpty());
  EXPECT_EQ(plan.injected(), 1U);
  expect_copied();
}

TEST_F(StagedDirectory, is_done_without_where_it_cannot_be_made_opened_or_locked) {
  const auto failing = [&](Call call, int error, std::uint64_t first) {
    FaultPlan plan;
    plan.fail(call, error, {.first = first, .times = 1});
    EXPECT_THAT(copy(), IsEmpty()) << sys::name(call) << ' ' << error;
    EXPECT_EQ(plan.injected(), 1U);
    expect_copied();
    fs::remove_all(destination("new"));
  };
  failing(Call::mkdirat, ENAMETOOLONG, 1);
  failing(Call::flock, ENOLCK, 1);
  failing(Call::flock, EOPNOTSUPP, 1);
}

TEST_F(StagedDirectory, a_file_that_fails_leaves_no_half_of_it_there) {
  FaultPlan plan;
  plan.limit(Call::write, 4);
  plan.fail(Call::write, ENOSPC, {.first = 2, .times = 1});
  EXPECT_THAT(copy(), ElementsAre(TreeProblem::cannot_write_destination));
  EXPECT_GT(plan.injected(), 0U);
  int whole = 0;
  for (const char* name : {"new/a", "new/b", "new/below/c"}) {
    if (fs::exists(destination(name))) {
      EXPECT_EQ(read_file(destination(name)), read_file(source(name)));
      ++whole;
    }
  }
  EXPECT_EQ(whole, 2);
  EXPECT_THAT(temporaries(), IsEmpty());
}

TEST_F(StagedDirectory, of_a_copy_that_is_stopped_gets_its_name_with_the_files_that_are_whole) {
  std::stop_source stop;
  TreeOptions options;
  options.copy.stop = stop.get_token();
  options.on_event = [&](const TreeEvent& event) {
    if (event.kind == TreeEventKind::copied) {
      stop.request_stop();
    }
  };
  options.jobs = 1;
  const auto copied = copy_tree(source(), destination(), options);
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().errno_value(), ECANCELED);
  EXPECT_THAT(temporaries(), IsEmpty());
  EXPECT_TRUE(fs::exists(destination("new")));
}

TEST_F(StagedDirectory, is_for_its_owner_alone_until_it_has_him) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "needs root: gives files away";
  }
  ASSERT_EQ(::chown(source("new/a").c_str(), 1234, 1234), 0);
  ASSERT_EQ(::chmod(source("new/a").c_str(), 0664), 0);
  TreeOptions options;
  options.preserve = {.mode = true, .owner = true, .times = true};
  FaultPlan plan;
  plan.fail(Call::fchown, EPERM);
  EXPECT_THAT(copy(options), IsEmpty());  // not being allowed to give files away is no failure
  EXPECT_EQ(plan.injected(), 2U);         // owner and group; then the group alone
  EXPECT_EQ(status_of(destination("new/a")).stx_mode & 07777, 0664);
}

}  // namespace
}  // namespace ferry::testing
