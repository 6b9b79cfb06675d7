#include <ferry/copy.hpp>

#include <gtest/gtest.h>

#include "copy/scratch.hpp"
#include "support/fault_plan.hpp"

namespace ferry::testing {
namespace {

using sys::Call;

class FileCopierTest : public ::testing::Test {
 protected:
  // Copies source to destination (created, or opened as it is) with a FileCopier.
  Result<CopyReport> copy(const std::string& from, const std::string& to, const CopyOptions& options = {}) {
    const UniqueFd in = open_file(from, O_RDONLY);
    const UniqueFd out = open_file(to, O_WRONLY | O_CREAT);
    const struct statx in_status = status_of(in.get());
    const struct statx out_status = status_of(out.get());
    FileCopier copier(options);
    return copier.copy(in.get(), in_status, out.get(), out_status.stx_size, device_of(out_status));
  }

  Scratch scratch_;
  std::string source_ = scratch_.path("source");
  std::string destination_ = scratch_.path("destination");
};

TEST_F(FileCopierTest, a_small_file_takes_one_read_and_one_write_and_nothing_else) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{4096}, std::size_t{100'001}, small_file_bytes}) {
    const std::string content = some_bytes(size);
    write_file(source_, content);
    const UniqueFd in = open_file(source_, O_RDONLY);
    const UniqueFd out = open_file(destination_, O_WRONLY | O_CREAT | O_TRUNC);
    const struct statx in_status = status_of(in.get());
    FileCopier copier({});
    const FaultPlan plan;
    const auto report = copier.copy(in.get(), in_status, out.get(), 0, 1);
    EXPECT_EQ(plan.total(), 2U);
    EXPECT_EQ(plan.count(Call::read), 1U);
    EXPECT_EQ(plan.count(Call::write), 1U);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(report->size_bytes, size);
    EXPECT_EQ(report->bytes_copied, size);
    EXPECT_EQ(report->method(), CopyMethod::read_write);
    EXPECT_FALSE(report->source_changed);
    EXPECT_EQ(read_file(destination_), content);
  }
}

TEST_F(FileCopierTest, an_empty_file_takes_one_read) {
  write_file(source_, "");
  const UniqueFd in = open_file(source_, O_RDONLY);
  const UniqueFd out = open_file(destination_, O_WRONLY | O_CREAT);
  const struct statx in_status = status_of(in.get());
  FileCopier copier({});
  const FaultPlan plan;
  ASSERT_TRUE(copier.copy(in.get(), in_status, out.get(), 0, 1));
  EXPECT_EQ(plan.total(), 1U);
}

TEST_F(FileCopierTest, a_longer_old_destination_is_trimmed) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{10}, std::size_t{300'000}, std::size_t{1'000'000}}) {
    write_file(source_, some_bytes(size));
    write_file(destination_, some_bytes(2'000'000, 2));
    const auto report = copy(source_, destination_);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(read_file(destination_), some_bytes(size));
  }
}

TEST_F(FileCopierTest, a_large_file_is_copied_whole_between_file_systems) {
  const Scratch on_ext4("/tmp");
  const std::string content = some_bytes(20'000'003);
  write_file(source_, content);
  for (const std::string& to : {destination_, on_ext4.path("a")}) {
    const auto report = copy(source_, to);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(report->bytes_copied, content.size());
    EXPECT_TRUE(read_file(to) == content);
  }
}

}  // namespace
}  // namespace ferry::testing
