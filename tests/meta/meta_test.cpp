// copy_metadata(): what it sets, in which order, and what it makes of refusals.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <ferry/meta.hpp>

#include <string>

#include "support/fault_plan.hpp"
#include "support/scratch.hpp"

namespace ferry::testing {
namespace {

using sys::Call;

constexpr MetadataSelection everything{.mode = true, .owner = true, .times = true, .acls = true, .xattrs = true};

class CopyMetadata : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(scratch_.path("from"), "x");
    write_file(scratch_.path("to"), "x");
    from_.reset(::open(scratch_.path("from").c_str(), O_RDONLY | O_CLOEXEC));
    to_.reset(::open(scratch_.path("to").c_str(), O_RDWR | O_CLOEXEC));
  }
  static struct statx status_of(int fd) {
    struct statx status = {};
    EXPECT_EQ(::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status), 0);
    return status;
  }
  [[nodiscard]] MetadataState state() const {
    const struct statx now = status_of(to_.get());
    return {.mode = now.stx_mode & 07777U, .uid = now.stx_uid, .gid = now.stx_gid};
  }
  std::expected<void, MetadataError> copy(const MetadataSelection& selection,
                                          UnsupportedAttributes unsupported = UnsupportedAttributes::ignore) {
    return copy_metadata({from_.get()}, status_of(from_.get()), {to_.get()}, state(), selection, unsupported);
  }

  Scratch scratch_;
  UniqueFd from_;
  UniqueFd to_;
};

TEST_F(CopyMetadata, carries_mode_owner_times_and_attributes) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root may give files away";
  }
  ASSERT_EQ(::fchown(from_.get(), 7, 8), 0);
  ASSERT_EQ(::fchmod(from_.get(), 06751), 0);
  ASSERT_EQ(::fsetxattr(from_.get(), "user.a", "1", 1, 0), 0);
  ASSERT_EQ(::fsetxattr(from_.get(), "trusted.b", "22", 2, 0), 0);
  const timespec times[2] = {{.tv_sec = -100, .tv_nsec = 5}, {.tv_sec = 4'000'000'000, .tv_nsec = 999'999'999}};
  ASSERT_EQ(::futimens(from_.get(), times), 0);
  ASSERT_TRUE(copy(everything));
  const struct statx made = status_of(to_.get());
  EXPECT_EQ(made.stx_mode & 07777U, 06751U);
  EXPECT_EQ(made.stx_uid, 7U);
  EXPECT_EQ(made.stx_gid, 8U);
  EXPECT_EQ(made.stx_atime.tv_sec, -100);
  EXPECT_EQ(made.stx_mtime.tv_sec, 4'000'000'000);
  EXPECT_EQ(made.stx_mtime.tv_nsec, 999'999'999U);
  EXPECT_EQ(::fgetxattr(to_.get(), "user.a", nullptr, 0), 1);
  EXPECT_EQ(::fgetxattr(to_.get(), "trusted.b", nullptr, 0), 2);
}

TEST_F(CopyMetadata, sets_only_what_differs) {
  const FaultPlan plan;
  ASSERT_TRUE(copy(everything));
  EXPECT_EQ(plan.count(Call::fchown), 0U);
  EXPECT_EQ(plan.count(Call::fchmod), 0U);
  EXPECT_EQ(plan.count(Call::listxattr), 1U);
  EXPECT_EQ(plan.count(Call::setxattr), 0U);
  EXPECT_EQ(plan.count(Call::utimensat), 1U);
  EXPECT_EQ(plan.total(), 2U);
}

TEST_F(CopyMetadata, sets_the_mode_again_after_a_change_of_owner_has_cleared_set_user_id) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root may give files away";
  }
  ASSERT_EQ(::fchown(from_.get(), 7, 8), 0);
  ASSERT_EQ(::fchmod(from_.get(), 04755), 0);
  ASSERT_EQ(::fchmod(to_.get(), 04755), 0);
  ASSERT_TRUE(copy(everything));
  EXPECT_EQ(status_of(to_.get()).stx_mode & 07777U, 04755U);
}

TEST_F(CopyMetadata, who_may_not_give_a_file_away_gets_no_set_user_id_file) {
  ASSERT_EQ(::fchmod(from_.get(), 04755), 0);
  struct statx foreign = status_of(from_.get());
  foreign.stx_uid = 12345;
  FaultPlan plan;
  plan.fail(Call::fchown, EPERM);
  ASSERT_TRUE(copy_metadata({from_.get()}, foreign, {to_.get()}, state(), everything));
  EXPECT_EQ(plan.injected(), 1U);
  EXPECT_EQ(status_of(to_.get()).stx_mode & 07777U, 0755U);
}

TEST_F(CopyMetadata, tries_the_group_alone_when_the_owner_may_not_be_set) {
  struct statx foreign = status_of(from_.get());
  foreign.stx_uid = 12345;
  foreign.stx_gid = 12345;
  FaultPlan plan;
  plan.fail(Call::fchown, EPERM, {.first = 1, .times = 1});
  ASSERT_TRUE(copy_metadata({from_.get()}, foreign, {to_.get()}, state(), {.owner = true}));
  EXPECT_EQ(plan.count(Call::fchown), 2U);
}

TEST_F(CopyMetadata, large_and_many_attributes_are_carried) {
  const std::string large(40'000, 'v');
  if (::fsetxattr(from_.get(), "user.large", large.data(), large.size(), 0) != 0) {
    GTEST_SKIP() << "no large attributes on " << scratch_.path() << ": " << std::strerror(errno);
  }
  for (int i = 0; i < 100; ++i) {
    const std::string name = "user." + std::string(30, 'n') + std::to_string(i);
    ASSERT_EQ(::fsetxattr(from_.get(), name.c_str(), "x", 1, 0), 0);
  }
  ASSERT_TRUE(copy(everything, UnsupportedAttributes::report));
  EXPECT_EQ(::fgetxattr(to_.get(), "user.large", nullptr, 0), 40'000);
  EXPECT_EQ(::flistxattr(to_.get(), nullptr, 0), ::flistxattr(from_.get(), nullptr, 0));
}

TEST_F(CopyMetadata, refused_attributes_are_ignored_or_reported_as_told_and_others_always_reported) {
  ASSERT_EQ(::fsetxattr(from_.get(), "user.a", "1", 1, 0), 0);
  for (const int error : {ENOTSUP, EPERM}) {
    FaultPlan plan;
    plan.fail(Call::setxattr, error);
    EXPECT_TRUE(copy(everything, UnsupportedAttributes::ignore));
    const auto reported = copy(everything, UnsupportedAttributes::report);
    ASSERT_FALSE(reported);
    EXPECT_EQ(reported.error().part, MetadataPart::xattrs);
    EXPECT_EQ(reported.error().error.errno_value(), error);
  }
  for (const int error : {ENOSPC, EACCES, EIO, E2BIG}) {
    FaultPlan plan;
    plan.fail(Call::setxattr, error);
    EXPECT_FALSE(copy(everything, UnsupportedAttributes::ignore)) << error;
  }
}

TEST_F(CopyMetadata, goes_on_after_a_failure_and_returns_the_first) {
  ASSERT_EQ(::fchmod(from_.get(), 0600), 0);
  FaultPlan plan;
  plan.fail(Call::fchmod, EIO);
  plan.fail(Call::utimensat, EROFS);
  const auto copied = copy(everything);
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().part, MetadataPart::mode);
  EXPECT_EQ(copied.error().error.errno_value(), EIO);
  EXPECT_EQ(plan.count(Call::utimensat), 1U);
}

TEST_F(CopyMetadata, an_attribute_removed_since_it_was_listed_is_no_failure) {
  ASSERT_EQ(::fsetxattr(from_.get(), "user.a", "1", 1, 0), 0);
  FaultPlan plan;
  plan.fail(Call::getxattr, ENODATA);
  EXPECT_TRUE(copy(everything, UnsupportedAttributes::report));
  EXPECT_EQ(plan.injected(), 1U);
}

TEST_F(CopyMetadata, symlinks_get_owner_times_and_attributes_of_their_own) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "trusted attributes, the only ones symlinks may have, are root's";
  }
  ASSERT_EQ(::symlink("from", scratch_.path("a").c_str()), 0);
  ASSERT_EQ(::symlink("to", scratch_.path("b").c_str()), 0);
  ASSERT_EQ(::lsetxattr(scratch_.path("a").c_str(), "trusted.t", "x", 1, 0), 0);
  ASSERT_EQ(::lchown(scratch_.path("a").c_str(), 7, 8), 0);
  const UniqueFd a(::open(scratch_.path("a").c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  const UniqueFd b(::open(scratch_.path("b").c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  const timespec times[2] = {{.tv_sec = 1, .tv_nsec = 2}, {.tv_sec = 3, .tv_nsec = 4}};
  ASSERT_EQ(::utimensat(AT_FDCWD, scratch_.path("a").c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  const struct statx before = status_of(to_.get());
  for (const bool old_kernel : {false, true}) {
    FaultPlan plan;
    if (old_kernel) {
      plan.fail(Call::utimensat, EINVAL, {.first = 1, .times = 1});  // before Linux 5.8
    }
    ASSERT_TRUE(copy_metadata({a.get(), true}, status_of(a.get()), {b.get(), true}, {.mode = 0777}, everything));
    EXPECT_EQ(status_of(b.get()).stx_mtime.tv_nsec, 4U);
  }
  EXPECT_EQ(status_of(b.get()).stx_uid, 7U);
  EXPECT_EQ(::lgetxattr(scratch_.path("b").c_str(), "trusted.t", nullptr, 0), 1);
  EXPECT_EQ(status_of(to_.get()).stx_mtime.tv_nsec, before.stx_mtime.tv_nsec) << "the symlink was followed";
}

TEST_F(CopyMetadata, inode_flags_are_carried_where_there_are_some) {
  const Scratch disk("/var/tmp");
  write_file(disk.path("from"), "x");
  write_file(disk.path("to"), "x");
  const UniqueFd from(::open(disk.path("from").c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd to(::open(disk.path("to").c_str(), O_RDONLY | O_CLOEXEC));
  constexpr unsigned nodump = 0x40;
  unsigned flags = 0;
  if (sys::get_inode_flags(from.get(), flags) < 0 || sys::set_inode_flags(from.get(), flags | nodump) < 0) {
    GTEST_SKIP() << "no inode flags on /var/tmp";
  }
  ASSERT_TRUE(copy_metadata({from.get()}, status_of(from.get()), {to.get()}, {}, {.inode_flags = true}));
  unsigned copied = 0;
  ASSERT_EQ(sys::get_inode_flags(to.get(), copied), 0);
  EXPECT_EQ(copied & nodump, nodump);
  FaultPlan plan;
  plan.fail(Call::set_inode_flags, EPERM);
  ASSERT_EQ(::fchmod(to.get(), 0600), 0);
  write_file(disk.path("third"), "x");
  const UniqueFd third(::open(disk.path("third").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(copy_metadata({from.get()}, status_of(from.get()), {third.get()}, {}, {.inode_flags = true}));
}

}  // namespace
}  // namespace ferry::testing
