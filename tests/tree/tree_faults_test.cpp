// Every system call a tree copy makes, failing: the error names the entry, old content survives, the rest is done.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <ferry/tree.hpp>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/fault_plan.hpp"
#include "support/scratch.hpp"

namespace ferry::testing {
namespace {

namespace fs = std::filesystem;
using sys::Call;

TreeOptions archive() {
  TreeOptions options;
  options.jobs = 1;
  options.preserve = {.mode = true, .owner = true, .times = true, .acls = true, .xattrs = true};
  options.preserve_hard_links = true;
  return options;
}

// A source with one of each kind of entry, over a destination that has an old version of most.
class FaultyTree {
 public:
  FaultyTree() {
    for (const std::string& directory :
         {source(""), source("d"), source("d/e"), source("new"), destination(""), destination("d")}) {
      fs::create_directories(directory);
    }
    for (const char* name : {"a", "b", "c", "d/f", "d/e/g", "new/h"}) {
      write_file(source(name), content(name, "new"));
    }
    write_file(source("large"), std::string(600'000, 'L'));
    write_file(source("suid"), content("suid", "new"));
    EXPECT_EQ(::chmod(source("suid").c_str(), 04755), 0);
    write_file(source("attributes"), content("attributes", "new"));
    EXPECT_EQ(::setxattr(source("attributes").c_str(), "user.color", "red", 3, 0), 0);
    write_file(source("linked1"), content("linked1", "new"));
    fs::create_hard_link(source("linked1"), source("linked2"));
    fs::create_symlink("a", source("symlink"));
    EXPECT_EQ(::mkfifo(source("fifo").c_str(), 0640), 0);
    for (const char* name : {"a", "b", "large", "d/f"}) {
      write_file(destination(name), content(name, "old"));
    }
    fs::create_symlink("elsewhere", destination("symlink"));
  }

  [[nodiscard]] std::string source(const std::string& name) const { return scratch_.path("source/" + name); }
  [[nodiscard]] std::string destination(const std::string& name) const { return scratch_.path("destination/" + name); }

  // The old "b" is longer than the new one, and so is replaced; "a" and "d/f" can be overwritten by one write.
  static std::string content(const std::string& name, const std::string& version) {
    return version + " content of " + name + (name == "b" && version == "old" ? ", which was longer" : "");
  }

  // How each regular file of the source stands in the destination; anything but absent, old and new is a half-written
  // file.
  [[nodiscard]] std::map<std::string, std::string> states() const {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(source(""))) {
      if (entry.symlink_status().type() != fs::file_type::regular) {
        continue;
      }
      const std::string name = fs::relative(entry.path(), source(""));
      if (!fs::exists(destination(name))) {
        found[name] = "absent";
      } else if (const std::string there = read_file(destination(name)); there == read_file(entry.path())) {
        found[name] = "new";
      } else {
        found[name] = there == content(name, "old") ? "old" : "half written";
      }
    }
    return found;
  }
  [[nodiscard]] std::vector<std::string> temporaries() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(scratch_.path("destination"))) {
      if (entry.path().filename().native().starts_with(".ferry-")) {
        found.push_back(entry.path());
      }
    }
    return found;
  }

 private:
  Scratch scratch_;
};

struct Fault {
  Call call;
  std::vector<int> errors;
};

std::string fault_name(const ::testing::TestParamInfo<Fault>& info) {
  return std::string(sys::name(info.param.call)) + "_" + std::to_string(info.index);
}

class TreeFaults : public ::testing::TestWithParam<Fault> {};

// What one failing call may cost: its entry, or the directory it was about with all below.
constexpr int most_lost_by_one_failure = 3;

void expect_nothing_lost(const FaultyTree& tree, const std::vector<TreeError>& errors, bool succeeded,
                         const std::string& what, bool one_failure) {
  int lost = 0;
  for (const auto& [name, state] : tree.states()) {
    EXPECT_NE(state, "half written") << name << " after " << what;
    lost += state == "new" ? 0 : 1;
  }
  if (lost > 0) {
    EXPECT_FALSE(succeeded) << lost << " files not copied, and no error, after " << what;
  }
  const bool is_about_root =
      std::ranges::any_of(errors, [&](const TreeError& error) { return error.source == tree.source(""); });
  if (one_failure && !is_about_root) {
    EXPECT_LE(lost, most_lost_by_one_failure) << "files that had nothing to do with it were not copied, after " << what;
  }
  EXPECT_EQ(succeeded, errors.empty()) << what;
  for (const TreeError& error : errors) {
    EXPECT_FALSE(error.error.path.empty()) << error.error.to_string();
    EXPECT_NE(error.error.errno_value(), 0) << what;
    EXPECT_THAT(error.error.to_string(), ::testing::Not(::testing::HasSubstr("\n")));
    EXPECT_FALSE(std::string(error.error.operation).empty());
  }
}

TEST_P(TreeFaults, lose_nothing_that_was_there_and_name_what_failed) {
  const auto& [call, errors] = GetParam();
  std::uint64_t calls = 0;
  {
    const FaultyTree tree;
    const FaultPlan plan;
    ASSERT_TRUE(copy_tree(tree.source(""), tree.destination(""), archive()));
    calls = plan.count(call);
  }
  ASSERT_GT(calls, 0U) << "the copy does not make this call: the test would prove nothing";
  for (const int error : errors) {
    for (const std::uint64_t first : std::set<std::uint64_t>{1, 2, (calls + 1) / 2, calls}) {
      for (const bool once : {true, false}) {
        const FaultyTree tree;
        std::vector<TreeError> reported;
        TreeOptions options = archive();
        options.on_error = [&](const TreeError& e) { reported.push_back(e); };
        const std::string what = std::string(sys::name(call)) + " number " + std::to_string(first) +
                                 (once ? "" : " and all later ones") + " failing with " + std::strerror(error);
        bool succeeded = false;
        {
          FaultPlan plan;
          plan.fail(call, error, {.first = first, .times = once ? 1 : UINT64_MAX});
          succeeded = copy_tree(tree.source(""), tree.destination(""), options).has_value();
          EXPECT_TRUE(plan.injected() > 0 || first > calls / 2) << what << " did not happen";
        }
        expect_nothing_lost(tree, reported, succeeded, what, once);
        if (call != Call::unlinkat && call != Call::renameat2) {
          EXPECT_THAT(tree.temporaries(), ::testing::IsEmpty()) << what;
        }
        // And the next, undisturbed run repairs everything.
        const auto repaired = copy_tree(tree.source(""), tree.destination(""), archive());
        EXPECT_TRUE(repaired.has_value()) << what << ": " << repaired.error().to_string();
        for (const auto& [name, state] : tree.states()) {
          EXPECT_EQ(state, "new") << name << " after the run after " << what;
        }
        EXPECT_THAT(tree.temporaries(), ::testing::IsEmpty()) << "after the run after " << what;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    EachCall, TreeFaults,
    ::testing::Values(
        Fault{Call::openat, {EIO, EACCES, ENOMEM, EMFILE, ENOSPC}}, Fault{Call::statx, {EIO, ENOMEM, EACCES}},
        Fault{Call::getdents64, {EIO, EINVAL}}, Fault{Call::read, {EIO, EISDIR}},
        Fault{Call::write, {EIO, ENOSPC, EDQUOT}}, Fault{Call::copy_file_range, {EIO, ENOSPC, EXDEV, ENOSYS}},
        Fault{Call::linkat, {EIO, ENOSPC, EMLINK, EPERM, EACCES}}, Fault{Call::renameat2, {EIO, ENOSPC, EACCES}},
        Fault{Call::mkdirat, {EIO, ENOSPC, EACCES, EMLINK}}, Fault{Call::symlinkat, {EIO, ENOSPC}},
        Fault{Call::readlinkat, {EIO, EACCES}}, Fault{Call::mknodat, {EIO, ENOSPC, EPERM}},
        Fault{Call::utimensat, {EIO, EPERM}}, Fault{Call::fchmod, {EIO, EPERM}}, Fault{Call::listxattr, {EIO, ENOMEM}},
        Fault{Call::getxattr, {EIO, ENOMEM}}, Fault{Call::setxattr, {ENOSPC, EIO, EDQUOT}}, Fault{Call::close, {EIO}},
        Fault{Call::flock, {ENOLCK, EOPNOTSUPP}}, Fault{Call::pread, {EIO}},
        Fault{Call::pwrite, {EIO, ENOSPC, EDQUOT}}),
    fault_name);

TEST(TreeFaults, interrupted_calls_are_made_again) {
  for (const Call call : {Call::openat, Call::read, Call::write, Call::copy_file_range, Call::linkat, Call::getdents64,
                          Call::renameat2, Call::mkdirat}) {
    const FaultyTree tree;
    FaultPlan plan;
    plan.fail(call, EINTR, {.first = 1, .times = 3});
    const auto copied = copy_tree(tree.source(""), tree.destination(""), archive());
    EXPECT_TRUE(copied) << sys::name(call) << ": " << copied.error().to_string();
    EXPECT_EQ(plan.injected(), 3U) << sys::name(call);
  }
}

TEST(TreeFaults, short_reads_and_writes_are_continued) {
  const FaultyTree tree;
  FaultPlan plan;
  plan.limit(Call::read, 7);
  plan.limit(Call::write, 5);
  plan.limit(Call::copy_file_range, 4096);
  const auto copied = copy_tree(tree.source(""), tree.destination(""), archive());
  ASSERT_TRUE(copied) << copied.error().to_string();
  EXPECT_GT(plan.injected(), 0U);
  for (const auto& [name, state] : tree.states()) {
    EXPECT_EQ(state, "new") << name;
  }
}

TEST(TreeFaults, a_write_that_moves_nothing_is_an_error_not_a_hang) {
  const FaultyTree tree;
  std::vector<TreeError> errors;
  TreeOptions options = archive();
  options.on_error = [&](const TreeError& e) { errors.push_back(e); };
  FaultPlan plan;
  plan.answer(Call::write, 0);
  EXPECT_FALSE(copy_tree(tree.source(""), tree.destination(""), options));
  EXPECT_FALSE(errors.empty());
}

TEST(TreeFaults, a_process_out_of_descriptors_waits_for_some_and_goes_on) {
  const FaultyTree tree;
  FaultPlan plan;
  plan.fail(Call::openat, EMFILE, {.first = 8, .times = 3});
  const auto copied = copy_tree(tree.source(""), tree.destination(""), archive());
  EXPECT_TRUE(copied) << copied.error().to_string();
  EXPECT_EQ(plan.injected(), 3U);
}

TEST(TreeFaults, unknown_directory_entry_types_are_asked_for) {
  const FaultyTree tree;
  FaultPlan plan;
  plan.hide_entry_types();
  const auto copied = copy_tree(tree.source(""), tree.destination(""), archive());
  ASSERT_TRUE(copied) << copied.error().to_string();
  EXPECT_GT(plan.injected(), 0U);
  for (const auto& [name, state] : tree.states()) {
    EXPECT_EQ(state, "new") << name;
  }
  EXPECT_TRUE(fs::is_fifo(tree.destination("fifo")));
  EXPECT_EQ(fs::read_symlink(tree.destination("symlink")), "a");
}

}  // namespace
}  // namespace ferry::testing
