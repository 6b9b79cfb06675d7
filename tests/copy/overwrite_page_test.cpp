// overwrite_page(): the old file has its old or its new content in full, whatever fails.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include <ferry/copy.hpp>

#include "support/fault_plan.hpp"
#include "support/scratch.hpp"

namespace ferry::testing {
namespace {

using sys::Call;

class OverwritePage : public ::testing::Test {
 protected:
  void prepare(const std::string& content, const std::string& old) {
    write_file(source_, content);
    write_file(destination_, old);
  }
  Result<std::optional<CopyReport>> overwrite(const CopyOptions& options = {}) {
    const UniqueFd in = open_file(source_, O_RDONLY);
    const UniqueFd out = open_file(destination_, O_RDWR);
    return overwrite_page(in.get(), status_of(in.get()), out.get(), status_of(out.get()), options);
  }
  [[nodiscard]] std::string result() const { return read_file(destination_); }
  void expect_declined(const CopyOptions& options = {}) {
    const std::string before = result();
    const FaultPlan plan;
    const auto written = overwrite(options);
    ASSERT_TRUE(written);
    EXPECT_FALSE(*written);
    EXPECT_EQ(plan.count(Call::pwrite), 0U);
    EXPECT_EQ(result(), before);
  }

 private:
  Scratch scratch_;

 protected:
  std::string source_ = scratch_.path("source");
  std::string destination_ = scratch_.path("destination");
};

TEST_F(OverwritePage, writes_once_and_reports_it) {
  prepare("new content", "old");
  const std::uint64_t inode = status_of(destination_).stx_ino;
  const FaultPlan plan;
  const auto written = overwrite();
  ASSERT_TRUE(written && *written);
  EXPECT_EQ((*written)->bytes_copied, 11U);
  EXPECT_EQ((*written)->method(), CopyMethod::read_write);
  EXPECT_EQ(plan.count(Call::pwrite), 1U);
  EXPECT_EQ(plan.count(Call::pread), 2U);
  EXPECT_LE(plan.count(Call::statfs), 1U);  // none if this thread knows the file system already
  EXPECT_EQ(result(), "new content");
  EXPECT_EQ(status_of(destination_).stx_ino, inode);
}

TEST_F(OverwritePage, takes_files_of_up_to_a_page) {
  const std::string page = some_bytes(overwrite_page_bytes);
  prepare(page, some_bytes(overwrite_page_bytes, 2));
  const auto written = overwrite();
  ASSERT_TRUE(written && *written);
  EXPECT_EQ(result(), page);
}

TEST_F(OverwritePage, declines_what_would_take_more_than_one_write) {
  prepare(some_bytes(overwrite_page_bytes + 1), "old");
  expect_declined();
  prepare("shorter", "than the old content");
  expect_declined();
  prepare("", "old");
  expect_declined();
}

TEST_F(OverwritePage, declines_when_more_is_asked_for) {
  prepare("new content", "old");
  expect_declined({.fsync = true});
  expect_declined({.verify = true});
  expect_declined({.reflink = ReflinkMode::always});
  expect_declined({.sparse = SparseMode::always});
  expect_declined({.methods = {CopyMethod::copy_file_range}});
}

TEST_F(OverwritePage, declines_a_source_that_changes) {
  prepare("new content", "old");
  const UniqueFd in = open_file(source_, O_RDONLY);
  const UniqueFd out = open_file(destination_, O_RDWR);
  const struct statx before = status_of(in.get());
  for (const char* now : {"new content and more", "new"}) {
    write_file(source_, now);
    const auto written = overwrite_page(in.get(), before, out.get(), status_of(out.get()), {});
    ASSERT_TRUE(written);
    EXPECT_FALSE(*written);
    EXPECT_EQ(result(), "old");
  }
}

TEST_F(OverwritePage, is_for_file_systems_that_are_known_to_write_pages_whole) {
  prepare("new content", "old");
  struct statx elsewhere = status_of(destination_);
  elsewhere.stx_dev_major += 1;  // so that the question is asked
  FaultPlan plan;
  plan.fail(Call::statfs, EIO);
  const UniqueFd in = open_file(source_, O_RDONLY);
  const UniqueFd out = open_file(destination_, O_RDWR);
  const auto written = overwrite_page(in.get(), status_of(in.get()), out.get(), elsewhere, {});
  EXPECT_EQ(plan.injected(), 1U);
  ASSERT_TRUE(written);
  EXPECT_FALSE(*written);
  EXPECT_EQ(result(), "old");
}

TEST_F(OverwritePage, a_failing_call_leaves_the_old_content) {
  for (const int error : {ENOSPC, EIO, EDQUOT}) {
    prepare("new content", "old");
    FaultPlan plan;
    plan.fail(Call::pwrite, error);
    const auto written = overwrite();
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().errno_value(), error);
    EXPECT_STREQ(written.error().operation, "pwrite");
    EXPECT_EQ(result(), "old");
  }
  FaultPlan plan;
  plan.fail(Call::pread, EIO, {.first = 1, .times = 1});
  const auto written = overwrite();
  ASSERT_FALSE(written);
  EXPECT_STREQ(written.error().operation, "pread");
  EXPECT_EQ(result(), "old");
}

TEST_F(OverwritePage, a_write_that_falls_short_is_undone) {
  prepare("new content", "old text");
  FaultPlan plan;
  plan.limit(Call::pwrite, 9, {.first = 1, .times = 1});
  const auto written = overwrite();
  EXPECT_EQ(plan.injected(), 1U);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().errno_value(), ENOSPC);
  EXPECT_EQ(result(), "old text");
}

}  // namespace
}  // namespace ferry::testing
