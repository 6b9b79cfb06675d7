// Sharing blocks, on a real XFS in a file.
#include <ferry/copy.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/statvfs.h>

#include <memory>

#include "copy/capabilities.hpp"
#include "support/fault_plan.hpp"
#include "support/scratch.hpp"

namespace ferry::testing {
namespace {

using sys::Call;
using ::testing::ElementsAre;

class ReflinkTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    image_directory_ = std::make_unique<Scratch>("/tmp");
    const std::string image = image_directory_->path("xfs.img");
    mount_point_ = image_directory_->path("xfs");
    if (::geteuid() != 0) {
      missing_ = "needs root to mount a loop device";
      return;
    }
    const std::string commands = "truncate -s 400M " + image + " && mkfs.xfs -q -m reflink=1 " + image + " && mkdir " +
                                 mount_point_ + " && mount -o loop " + image + " " + mount_point_;
    if (std::system(("{ " + commands + "; } >/dev/null 2>&1").c_str()) != 0) {
      missing_ = "cannot make and mount an XFS image (mkfs.xfs, loop devices)";
    }
  }
  static void TearDownTestSuite() {
    if (missing_.empty()) {
      (void)std::system(("umount " + mount_point_).c_str());
    }
    image_directory_.reset();
  }

  void SetUp() override {
    if (!missing_.empty()) {
      GTEST_SKIP() << missing_;
    }
    engine::forget_refused();
    scratch_ = std::make_unique<Scratch>(mount_point_);
    source_ = scratch_->path("source");
    destination_ = scratch_->path("destination");
    write_file(source_, content_);
    const UniqueFd fd = open_file(source_, O_WRONLY);
    ::fsync(fd.get());
  }

  static std::uint64_t free_blocks() {
    struct statvfs status = {};
    EXPECT_EQ(::statvfs(mount_point_.c_str(), &status), 0);
    return status.f_bfree;
  }
  static std::uint64_t shared(const CopyReport& report) {
    return report.bytes_by_method[static_cast<std::size_t>(CopyMethod::reflink)];
  }

  inline static std::unique_ptr<Scratch> image_directory_;
  inline static std::string mount_point_;
  inline static std::string missing_;
  std::unique_ptr<Scratch> scratch_;
  std::string source_;
  std::string destination_;
  std::string content_ = some_bytes(20'000'001);
};

TEST_F(ReflinkTest, a_large_file_is_shared_and_takes_no_blocks) {
  const std::uint64_t before = free_blocks();
  const auto report = copy_file(source_, destination_);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(shared(*report), content_.size());
  EXPECT_LT(before - free_blocks(), 64U);
  EXPECT_TRUE(read_file(destination_) == content_);
}

TEST_F(ReflinkTest, it_is_verified_by_its_extents_without_reading) {
  CopyOptions options;
  options.verify = true;
  const FaultPlan plan;
  const auto report = copy_file(source_, destination_, options);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(report->verified);
  EXPECT_EQ(plan.count(Call::pread), 0U);
  EXPECT_EQ(plan.count(Call::fiemap), 2U);
}

TEST_F(ReflinkTest, it_is_verified_by_reading_where_extents_are_not_told) {
  CopyOptions options;
  options.verify = true;
  FaultPlan plan;
  plan.fail(Call::fiemap, EOPNOTSUPP);
  const auto report = copy_file(source_, destination_, options);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(report->verified);
  EXPECT_GT(plan.count(Call::pread), 0U);
}

TEST_F(ReflinkTest, never_means_new_blocks) {
  CopyOptions options;
  options.reflink = ReflinkMode::never;
  const std::uint64_t before = free_blocks();
  const FaultPlan plan;
  const auto report = copy_file(source_, destination_, options);
  ASSERT_TRUE(report);
  EXPECT_EQ(plan.count(Call::ficlone) + plan.count(Call::copy_file_range), 0U);
  EXPECT_GT(before - free_blocks(), 4000U);
  EXPECT_TRUE(read_file(destination_) == content_);
}

TEST_F(ReflinkTest, a_longer_destination_written_in_place_is_trimmed) {
  write_file(destination_, some_bytes(25'000'003, 7));
  CopyOptions options;
  options.inplace = true;
  options.reflink = ReflinkMode::always;
  const auto report = copy_file(source_, destination_, options);
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_TRUE(read_file(destination_) == content_);
}

TEST_F(ReflinkTest, holes_stay_holes) {
  ASSERT_EQ(::truncate(source_.c_str(), 100'000'000), 0);
  const auto report = copy_file(source_, destination_);
  ASSERT_TRUE(report);
  EXPECT_EQ(status_of(destination_).stx_size, 100'000'000U);
  EXPECT_EQ(status_of(destination_).stx_blocks, status_of(source_).stx_blocks);
  EXPECT_GT(report->hole_bytes, 70'000'000U);
}

TEST_F(ReflinkTest, aligned_ranges_are_shared_and_others_copied) {
  const UniqueFd in = open_file(source_, O_RDONLY);
  const UniqueFd out = open_file(destination_, O_RDWR | O_CREAT);
  const auto aligned = copy_range(in.get(), 4096, out.get(), 8192, 1 << 20);
  ASSERT_TRUE(aligned) << aligned.error().to_string();
  EXPECT_EQ(shared(*aligned), 1U << 20U);
  const auto unaligned = copy_range(in.get(), 4097, out.get(), 3 << 20, 1 << 20);
  ASSERT_TRUE(unaligned);
  EXPECT_EQ(shared(*unaligned), 0U);
  EXPECT_EQ(unaligned->refused_errno[static_cast<std::size_t>(CopyMethod::reflink)], EINVAL);
  const std::string result = read_file(destination_);
  EXPECT_TRUE(result.substr(8192, 1 << 20) == content_.substr(4096, 1 << 20));
  EXPECT_TRUE(result.substr(3 << 20) == content_.substr(4097, 1 << 20));
  // The unaligned end of both files may be shared, too.
  const auto tail = copy_range(in.get(), 16 << 20, out.get(), 16 << 20, 100 << 20);
  ASSERT_TRUE(tail);
  EXPECT_EQ(shared(*tail), content_.size() - (16U << 20U));
  EXPECT_TRUE(read_file(destination_).substr(16 << 20) == content_.substr(16 << 20));
}

TEST_F(ReflinkTest, always_fails_across_file_systems_and_leaves_nothing) {
  const Scratch elsewhere;
  CopyOptions options;
  options.reflink = ReflinkMode::always;
  const auto report = copy_file(source_, elsewhere.path("copy"), options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().errno_value(), EXDEV);
  EXPECT_TRUE(elsewhere.names().empty());
}

TEST_F(ReflinkTest, a_full_file_system_is_enospc_and_the_old_file_stays) {
  const Scratch elsewhere("/tmp");
  const UniqueFd big = open_file(elsewhere.path("big"), O_RDWR | O_CREAT);
  ASSERT_EQ(::fallocate(big.get(), 0, 0, off_t{500} << 20U), 0);
  write_file(destination_, "old");
  CopyOptions options;
  for (const bool preallocate : {false, true}) {
    options.preallocate = preallocate;
    options.sparse = SparseMode::never;
    const auto report = copy_file(elsewhere.path("big"), destination_, options);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().errno_value(), ENOSPC);
    EXPECT_EQ(read_file(destination_), "old");
    EXPECT_THAT(scratch_->names(), ElementsAre("destination", "source"));
  }
}

}  // namespace
}  // namespace ferry::testing
