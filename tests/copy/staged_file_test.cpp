#include <ferry/copy.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "copy/scratch.hpp"
#include "support/fault_plan.hpp"

namespace ferry::testing {
namespace {

using sys::Call;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

void fill(const StagedFile& file, const std::string& content) {
  ASSERT_EQ(::write(file.fd(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
}

class StagedFileTest : public ::testing::Test {
 protected:
  Scratch scratch_;
};

TEST_F(StagedFileTest, has_no_name_before_commit_and_its_name_after) {
  auto file = StagedFile::create(scratch_.dirfd(), "name", 0640);
  ASSERT_TRUE(file);
  fill(*file, "content");
  EXPECT_THAT(scratch_.names(), IsEmpty());
  ASSERT_TRUE(file->commit(StagedFile::Existing::keep));
  EXPECT_THAT(scratch_.names(), ElementsAre("name"));
  EXPECT_EQ(read_file(scratch_.path("name")), "content");
  EXPECT_EQ(status_of(scratch_.path("name")).stx_mode & 07777, 0640);
}

TEST_F(StagedFileTest, keep_leaves_an_existing_file_alone) {
  write_file(scratch_.path("name"), "old");
  auto file = StagedFile::create(scratch_.dirfd(), "name", 0600);
  ASSERT_TRUE(file);
  fill(*file, "new");
  const auto done = file->commit(StagedFile::Existing::keep);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().errno_value(), EEXIST);
  EXPECT_EQ(read_file(scratch_.path("name")), "old");
  EXPECT_THAT(scratch_.names(), ElementsAre("name"));
}

TEST_F(StagedFileTest, replace_replaces) {
  write_file(scratch_.path("name"), "old");
  auto file = StagedFile::create(scratch_.dirfd(), "name", 0600);
  ASSERT_TRUE(file);
  fill(*file, "new");
  const auto done = file->commit(StagedFile::Existing::replace);
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(read_file(scratch_.path("name")), "new");
  EXPECT_THAT(scratch_.names(), ElementsAre("name"));
}

}  // namespace
}  // namespace ferry::testing
