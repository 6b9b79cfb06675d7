// copy_file: replaced as a whole with what belongs to the name; in place where the inode must stay; verify.
#include <ferry/copy.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include "copy/capabilities.hpp"
#include "copy/unnamed_files.hpp"
#include "support/fault_plan.hpp"
#include "support/scratch.hpp"

namespace ferry::testing {
namespace {

using sys::Call;
using ::testing::ElementsAre;

class CopyFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    engine::forget_refused();
    engine::forget_unnamed_files();
    write_file(source_, content_);
  }
  [[nodiscard]] std::uint64_t inode() const { return status_of(destination_).stx_ino; }

  Scratch scratch_{"/tmp"};  // ext4 here: extended attributes of users, and durable
  std::string source_ = scratch_.path("source");
  std::string destination_ = scratch_.path("destination");
  std::string content_ = some_bytes(700'001);
};

TEST_F(CopyFileTest, a_new_file_has_the_permission_bits_of_the_source_less_the_umask) {
  ASSERT_EQ(::chmod(source_.c_str(), 04775), 0);
  const mode_t old = ::umask(022);
  const auto report = copy_file(source_, destination_);
  ::umask(old);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(read_file(destination_) == content_);
  EXPECT_EQ(status_of(destination_).stx_mode & 07777, 0755);
  EXPECT_EQ(report->size_bytes, content_.size());
}

TEST_F(CopyFileTest, an_existing_file_is_replaced_keeping_mode_owner_and_attributes) {
  write_file(destination_, "old");
  ASSERT_EQ(::setxattr(destination_.c_str(), "user.color", "blue", 4, 0), 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(destination_.c_str(), 1234, 2345), 0);
  }
  ASSERT_EQ(::chmod(destination_.c_str(), 04751), 0);
  const struct statx before = status_of(destination_);
  const auto report = copy_file(source_, destination_);
  ASSERT_TRUE(report) << report.error().to_string();
  const struct statx after = status_of(destination_);
  EXPECT_TRUE(read_file(destination_) == content_);
  EXPECT_NE(after.stx_ino, before.stx_ino);
  EXPECT_EQ(after.stx_mode, before.stx_mode);
  EXPECT_EQ(after.stx_uid, before.stx_uid);
  EXPECT_EQ(after.stx_gid, before.stx_gid);
  char value[16] = {};
  EXPECT_EQ(::getxattr(destination_.c_str(), "user.color", value, sizeof value), 4);
  EXPECT_THAT(scratch_.names(), ElementsAre("destination", "source"));
}

TEST_F(CopyFileTest, what_cannot_be_carried_over_is_kept_by_writing_in_place) {
  for (const Call call : {Call::fchown, Call::setxattr, Call::fchmod}) {
    write_file(destination_, some_bytes(900'000, 3));
    ASSERT_EQ(::setxattr(destination_.c_str(), "user.color", "blue", 4, 0), 0);
    if (::geteuid() == 0) {
      ASSERT_EQ(::chown(destination_.c_str(), 1234, 2345), 0);
    } else if (call == Call::fchown) {
      continue;
    }
    const std::uint64_t before = inode();
    FaultPlan plan;
    plan.fail(call, EPERM);
    const auto report = copy_file(source_, destination_);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_GT(plan.injected(), 0U);
    EXPECT_EQ(inode(), before);
    EXPECT_TRUE(read_file(destination_) == content_);
  }
}

TEST_F(CopyFileTest, symlinks_hard_links_and_inplace_keep_the_inode) {
  write_file(destination_, "old");
  const std::uint64_t before = inode();
  ASSERT_EQ(::symlink("destination", scratch_.path("symlink").c_str()), 0);
  ASSERT_TRUE(copy_file(source_, scratch_.path("symlink")));
  EXPECT_EQ(inode(), before);
  EXPECT_TRUE(read_file(destination_) == content_);
  EXPECT_TRUE(S_ISLNK(status_of(scratch_.path("symlink")).stx_mode));

  write_file(source_, "second");
  ASSERT_EQ(::link(destination_.c_str(), scratch_.path("hard").c_str()), 0);
  ASSERT_TRUE(copy_file(source_, scratch_.path("hard")));
  EXPECT_EQ(read_file(destination_), "second");
  ::unlink(scratch_.path("hard").c_str());

  write_file(source_, "third");
  CopyOptions options;
  options.inplace = true;
  ASSERT_TRUE(copy_file(source_, destination_, options));
  EXPECT_EQ(inode(), before);
  EXPECT_EQ(read_file(destination_), "third");
  ASSERT_TRUE(copy_file(source_, scratch_.path("new"), options));
  EXPECT_EQ(read_file(scratch_.path("new")), "third");
}

TEST_F(CopyFileTest, one_file_under_two_names_is_invalid_before_anything_is_truncated) {
  ASSERT_EQ(::link(source_.c_str(), scratch_.path("hard").c_str()), 0);
  ASSERT_EQ(::symlink("source", scratch_.path("symlink").c_str()), 0);
  for (const bool inplace : {false, true}) {
    CopyOptions options;
    options.inplace = inplace;
    for (const char* const name : {"source", "hard", "symlink"}) {
      const auto report = copy_file(source_, scratch_.path(name), options);
      ASSERT_FALSE(report) << name;
      EXPECT_EQ(report.error().errno_value(), EINVAL);
    }
    EXPECT_TRUE(read_file(source_) == content_);
  }
}

TEST_F(CopyFileTest, directories_are_refused) {
  ASSERT_EQ(::mkdir(scratch_.path("directory").c_str(), 0700), 0);
  EXPECT_EQ(copy_file(scratch_.path("directory"), destination_).error().errno_value(), EISDIR);
  EXPECT_EQ(copy_file(source_, scratch_.path("directory")).error().errno_value(), EISDIR);
  EXPECT_EQ(copy_file(source_, scratch_.path("directory/")).error().errno_value(), EISDIR);
  EXPECT_EQ(copy_file(source_, scratch_.path("missing/name")).error().errno_value(), ENOENT);
  EXPECT_EQ(copy_file(scratch_.path("missing"), destination_).error().errno_value(), ENOENT);
  EXPECT_EQ(copy_file(source_, "").error().errno_value(), ENOENT);
  EXPECT_THAT(scratch_.names(), ElementsAre("directory", "source"));
}

TEST_F(CopyFileTest, names_may_be_relative_to_directories) {
  ASSERT_EQ(::mkdir(scratch_.path("directory").c_str(), 0700), 0);
  ASSERT_TRUE(copy_file_at(scratch_.dirfd(), "source", scratch_.dirfd(), "directory/copy"));
  EXPECT_TRUE(read_file(scratch_.path("directory/copy")) == content_);
}

TEST_F(CopyFileTest, a_fifo_and_a_device_are_written_to) {
  CopyOptions options;
  const auto to_null = copy_file(source_, "/dev/null");
  ASSERT_TRUE(to_null) << to_null.error().to_string();
  EXPECT_EQ(to_null->bytes_copied, content_.size());
  EXPECT_TRUE(S_ISCHR(status_of("/dev/null").stx_mode));

  write_file(source_, "through a fifo");
  ASSERT_EQ(::mkfifo(scratch_.path("fifo").c_str(), 0600), 0);
  const UniqueFd reader = open_file(scratch_.path("fifo"), O_RDWR);
  ASSERT_TRUE(copy_file(source_, scratch_.path("fifo")));
  char buffer[32] = {};
  EXPECT_EQ(::read(reader.get(), buffer, sizeof buffer), 14);
  EXPECT_STREQ(buffer, "through a fifo");
}

TEST_F(CopyFileTest, a_mount_point_is_written_in_place) {
  write_file(destination_, "old");
  write_file(scratch_.path("mounted"), "old");
  if (::mount(scratch_.path("mounted").c_str(), destination_.c_str(), nullptr, MS_BIND, nullptr) != 0) {
    GTEST_SKIP() << "cannot bind-mount: " << std::strerror(errno);
  }
  const auto report = copy_file(source_, destination_);
  const bool same = read_file(destination_) == content_;
  ASSERT_EQ(::umount(destination_.c_str()), 0);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(same);
  EXPECT_TRUE(read_file(scratch_.path("mounted")) == content_);
  EXPECT_EQ(read_file(destination_), "old");
}

TEST_F(CopyFileTest, on_every_error_the_old_file_is_as_it_was_and_nothing_is_left) {
  struct Fault {
    Call call;
    int error;
    std::uint64_t first;
  };
  write_file(destination_, "old");
  CopyOptions options;
  options.fsync = true;
  options.preallocate = true;
  for (const auto& [call, error, first] :
       {Fault{Call::openat, EMFILE, 1}, Fault{Call::openat, EMFILE, 2}, Fault{Call::openat, ENOSPC, 4},
        Fault{Call::statx, EIO, 1}, Fault{Call::statx, EIO, 2}, Fault{Call::fallocate, ENOSPC, 1},
        Fault{Call::copy_file_range, ENOSPC, 1}, Fault{Call::copy_file_range, EDQUOT, 1}, Fault{Call::fsync, EIO, 1},
        Fault{Call::linkat, ENOSPC, 1}, Fault{Call::renameat2, EIO, 1}, Fault{Call::renameat2, ENOSPC, 1}}) {
    FaultPlan plan;
    plan.fail(call, error, {.first = first});
    const auto report = copy_file(source_, destination_, options);
    EXPECT_GT(plan.injected(), 0U) << sys::name(call) << " " << first;
    ASSERT_FALSE(report) << sys::name(call) << " " << first;
    EXPECT_EQ(report.error().errno_value(), error);
    EXPECT_FALSE(report.error().path.empty());
    EXPECT_EQ(read_file(destination_), "old");
    EXPECT_THAT(scratch_.names(), ElementsAre("destination", "source"));
  }
}

TEST_F(CopyFileTest, a_failing_read_names_the_source_and_a_failing_write_the_destination) {
  CopyOptions options;
  options.methods = CopyMethod::read_write;
  {
    FaultPlan plan;
    plan.fail(Call::pread, EIO, {.first = 2});
    const auto report = copy_file(source_, destination_, options);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().path, source_);
  }
  FaultPlan plan;
  plan.fail(Call::pwrite, ENOSPC, {.first = 2});
  const auto report = copy_file(source_, destination_, options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().path, destination_);
  EXPECT_THAT(scratch_.names(), ElementsAre("source"));
}

TEST_F(CopyFileTest, reflink_always_that_fails_leaves_nothing_behind) {
  CopyOptions options;
  options.reflink = ReflinkMode::always;
  const auto report = copy_file(source_, destination_, options);
  if (report) {
    GTEST_SKIP() << "/tmp can reflink here";
  }
  EXPECT_STREQ(report.error().operation, "FICLONE");
  EXPECT_THAT(scratch_.names(), ElementsAre("source"));
}

TEST_F(CopyFileTest, a_name_that_appears_meanwhile_is_replaced) {
  FaultPlan plan;
  plan.fail(Call::statx, ENOENT, {.first = 2, .times = 1});  // the look at the destination
  write_file(destination_, "made meanwhile");
  const auto report = copy_file(source_, destination_);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(plan.injected(), 1U);
  EXPECT_TRUE(read_file(destination_) == content_);
}

TEST_F(CopyFileTest, fsync_makes_file_and_directory_durable) {
  CopyOptions options;
  options.fsync = true;
  const FaultPlan plan;
  ASSERT_TRUE(copy_file(source_, destination_, options));
  EXPECT_EQ(plan.count(Call::fsync), 2U);
}

// --- verify --------------------------------------------------------------------------------------------------------

TEST_F(CopyFileTest, verify_reads_the_destination_again_past_the_page_cache) {
  CopyOptions options;
  options.verify = true;
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{700'001}}) {
    write_file(source_, some_bytes(size));
    const FaultPlan plan;
    const auto report = copy_file(source_, destination_, options);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_TRUE(report->verified);
    EXPECT_EQ(plan.count(Call::copy_file_range), 0U);
    EXPECT_EQ(plan.count(Call::fdatasync), 1U);
    EXPECT_GE(plan.count(Call::fadvise), 1U);
  }
}

TEST_F(CopyFileTest, verify_finds_a_difference) {
  CopyOptions options;
  options.verify = true;
  options.inplace = true;
  options.on_progress = [&](const CopyProgress&) {
    // What a faulty disk would do: a byte of what was just written is another.
    const UniqueFd fd = open_file(destination_, O_WRONLY);
    ASSERT_EQ(::pwrite(fd.get(), "\x00\x01\x02", 3, 100), 3);
  };
  const auto report = copy_file(source_, destination_, options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().errno_value(), EIO);
  EXPECT_STREQ(report.error().operation, "verify");
}

TEST_F(CopyFileTest, verify_works_for_holes_and_for_methods_that_do_not_see_the_bytes) {
  ASSERT_EQ(::truncate(source_.c_str(), 5'000'000), 0);
  CopyOptions options;
  options.verify = true;
  auto report = copy_file(source_, destination_, options);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(report->verified);
  EXPECT_GT(report->hole_bytes, 4'000'000U);
  options.methods = CopyMethod::sendfile;
  report = copy_file(source_, destination_, options);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(report->verified);
  EXPECT_EQ(report->method(), CopyMethod::sendfile);
  EXPECT_TRUE(read_file(destination_) == read_file(source_));
}

TEST_F(CopyFileTest, verify_that_cannot_read_is_an_error) {
  CopyOptions options;
  options.verify = true;
  for (const auto& [call, first] : {std::pair{Call::fdatasync, 1}, {Call::pread, 4}}) {
    FaultPlan plan;
    plan.fail(call, EIO, {.first = static_cast<std::uint64_t>(first)});
    const auto report = copy_file(source_, destination_, options);
    EXPECT_GT(plan.injected(), 0U);
    ASSERT_FALSE(report);
    EXPECT_THAT(scratch_.names(), ElementsAre("source"));
  }
}

}  // namespace
}  // namespace ferry::testing
