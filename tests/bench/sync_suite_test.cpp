// `ferry bench sync`, by the real program on trees that are small.
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include <gmock/gmock.h>

#include "bench/backup_tree.hpp"
#include "bench/command_fixture.hpp"
#include "bench/fingerprint.hpp"
#include "bench/xfs_image.hpp"

namespace ferry::bench {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class SyncSuiteTest : public BenchCommandTest {
 protected:
  void SetUp() override {
    BenchCommandTest::SetUp();
    fs::create_directories(path("work"));
  }

  [[nodiscard]] nlohmann::json measure(std::vector<std::string> words) const {
    words.insert(words.begin(), {"sync", "--rounds", "1", "--warm-up", "0", "--to", path("work"), "--json"});
    return bench_json(words);
  }
  [[nodiscard]] nlohmann::json measure_small(std::vector<std::string> words = {}) const {
    words.insert(words.begin(), {"--from", path("work"), "--files", "250", "--size", "1M", "--many-files", "300",
                                 "--large-size", "3M"});
    return measure(words);
  }
};

TEST_F(SyncSuiteTest, ferry_and_rsync_do_each_job_right_and_nothing_is_left) {
  const auto report = measure_small();
  std::vector<std::string> jobs;
  for (const auto& group : report.at("groups")) {
    jobs.push_back(group.at("name"));
    const bool is_file = jobs.back().find("one file") != std::string::npos;
    EXPECT_EQ(group.at("contenders").size(), is_file ? 3U : 2U) << jobs.back();
    for (const auto& each : group.at("contenders")) {
      EXPECT_EQ(each.at("status"), "ok") << jobs.back() << each.dump();
    }
  }
  EXPECT_THAT(
      jobs, ::testing::ElementsAre(
                "sync: first copy, 250 files, 1.0 MiB, -aHAX", "sync: nothing changed, 250 files, -aHAX",
                "sync: 1% changed, 250 files, -aHAX", "sync: nothing changed, 250 files, 1.0 MiB, -aHAX -c",
                "sync: all deleted, 250 files, -aHAX --delete", "sync: memory, nothing changed, 300 empty files, -aHAX",
                "sync: 1% of blocks changed, one file of 3.0 MiB, --no-whole-file"));
  EXPECT_TRUE(fs::is_empty(path("work")));
}

TEST_F(SyncSuiteTest, a_rival_that_does_nothing_has_done_it_wrong) {
  write(path("bin") / "rsync", "#!/bin/sh\necho 'rsync  version 0'\n");
  fs::permissions(path("bin") / "rsync", fs::perms::owner_all);
  const std::string old_path = std::getenv("PATH");
  ::setenv("PATH", (path("bin").native() + ":" + old_path).c_str(), 1);
  const auto report = measure_small({"--grep", "first copy|1%|deleted"});
  ::setenv("PATH", old_path.c_str(), 1);
  ASSERT_EQ(report.at("groups").size(), 4U);
  for (const auto& group : report.at("groups")) {
    EXPECT_EQ(group.at("contenders").front().at("status"), "ok");
    const auto& rival = group.at("contenders").back();
    EXPECT_EQ(rival.at("status"), "failed") << rival.dump();
    EXPECT_THAT(rival.at("error").get<std::string>(), HasSubstr("wrong copy"));
  }
}

TEST_F(SyncSuiteTest, block_update_writes_little_more_than_the_changed_blocks_to_xfs) {
  if (const auto possible = XfsImage::is_possible(); !possible) {
    GTEST_SKIP() << possible.error();
  }
  const auto report = measure({"--xfs", "--large-size", "100M", "--grep", "blocks"});
  for (const char* name : {"ferry sync -a --inplace --no-whole-file", "ferry sync -a --no-whole-file"}) {
    const auto each = contender(report, name);
    ASSERT_EQ(each.value("status", ""), "ok") << report.dump();
    const double percent = each.at("counts").at("written");
    EXPECT_GE(percent, 1.0) << name;
    EXPECT_LT(percent, 1.1) << name;
  }
  EXPECT_TRUE(fs::is_empty(path("work")));
}

TEST_F(SyncSuiteTest, wrong_arguments_are_refused_with_status_2) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"sync", "--files", "1"},
                                             {"sync", "--size", "0"},
                                             {"sync", "--large-size", "big"},
                                             {"sync", "--peers", "cp"},
                                             {"sync", "--cold", "--from", "/dev/shm"}}) {
    const auto refused = bench(words);
    ASSERT_FALSE(refused) << words.back();
    EXPECT_THAT(refused.error(), HasSubstr("exit status 2")) << words.back();
  }
}

// ---------------------------------------------------------------------------------------------- what is judged

class BackupTreeTest : public ScratchTest {
 protected:
  static constexpr FileSet set{.files = 20, .file_bytes = 1000, .directories = 2};
  void SetUp() override {
    ScratchTest::SetUp();
    for (const char* root : {"source", "copy"}) {
      const auto made = make_backup_tree(path(root), set);
      ASSERT_TRUE(made) << made.error();
    }
    // All but their times is the same.
    for (std::uint64_t i = 0; i < set.files; ++i) {
      fs::last_write_time(set.path_of(path("copy"), i), fs::last_write_time(set.path_of(path("source"), i)));
    }
    ASSERT_TRUE(age_all_but_files(path("source")));
    ASSERT_TRUE(age_all_but_files(path("copy")));
  }

  [[nodiscard]] std::string verdict(Fidelity fidelity) const {
    const auto expected = fingerprint_of(path("source"), fidelity);
    if (!expected) {
      return expected.error();
    }
    const auto checked = check_copy(path("source"), *expected, path("copy"), fidelity);
    return checked ? "right" : checked.error();
  }
};

TEST_F(BackupTreeTest, is_the_same_whenever_it_is_made) {
  EXPECT_EQ(verdict(Fidelity::everything), "right");
  struct ::stat linked = {};
  ASSERT_EQ(::stat((set.path_of(path("source"), 3).native() + ".link").c_str(), &linked), 0);
  EXPECT_EQ(linked.st_nlink, 2U);
  EXPECT_EQ(fs::read_symlink(set.path_of(path("source"), 4).native() + ".symlink"), "file0000004");
}

TEST_F(BackupTreeTest, a_lost_attribute_is_seen) {
  const fs::path file = set.path_of(path("copy"), 1);
  if (::removexattr(file.c_str(), "user.ferry.bench") != 0) {
    ASSERT_EQ(errno, ENODATA);
    GTEST_SKIP() << "the scratch directory's file system has no user attributes";
  }
  EXPECT_EQ(verdict(Fidelity::attributes), "right");
  EXPECT_THAT(verdict(Fidelity::everything), HasSubstr("file0000001"));
}

TEST_F(BackupTreeTest, a_lost_acl_is_seen) {
  const fs::path file = set.path_of(path("copy"), 2);
  struct ::stat before = {};
  ASSERT_EQ(::stat(file.c_str(), &before), 0);
  if (::removexattr(file.c_str(), "system.posix_acl_access") != 0) {
    GTEST_SKIP() << "the scratch directory's file system has no ACLs";
  }
  ASSERT_EQ(::chmod(file.c_str(), before.st_mode & 07777U), 0);
  EXPECT_EQ(verdict(Fidelity::attributes), "right");
  EXPECT_THAT(verdict(Fidelity::everything), HasSubstr("file0000002"));
}

TEST_F(BackupTreeTest, a_hard_link_that_became_a_file_is_seen) {
  const fs::path file = set.path_of(path("copy"), 3);
  const fs::path link = file.native() + ".link";
  const auto time = fs::last_write_time(file);
  fs::remove(link);
  fs::copy_file(file, link);
  fs::last_write_time(link, time);
  ASSERT_TRUE(age_all_but_files(path("copy")));
  EXPECT_EQ(verdict(Fidelity::attributes), "right");
  EXPECT_THAT(verdict(Fidelity::everything), HasSubstr("file0000003 (its hard links)"));
}

TEST_F(BackupTreeTest, one_file_in_a_hundred_becomes_stale_and_keeps_its_size) {
  ASSERT_TRUE(make_one_percent_stale(path("copy"), set));
  EXPECT_THAT(verdict(Fidelity::content), HasSubstr("file0000005"));
  fs::remove(set.path_of(path("copy"), 5));
  fs::copy_file(set.path_of(path("source"), 5), set.path_of(path("copy"), 5));
  EXPECT_EQ(verdict(Fidelity::content), "right");
}

}  // namespace
}  // namespace ferry::bench
