#include "bench/fingerprint.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <functional>
#include <optional>

#include "bench/scratch.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;

/// A source with one of each kind, and a copy of it to be spoiled.
class FingerprintTest : public ScratchTest {
 protected:
  void SetUp() override {
    ScratchTest::SetUp();
    for (const char* root : {"source", "copy"}) {
      write(path(root) / "file", "contents");
      write(path(root) / "dir" / "inner", "more");
      fs::create_directory(path(root) / "empty");
      fs::create_symlink("file", path(root) / "link");
    }
    // Both made in one go, but at different times.
    const std::array<timespec, 2> times = {{{.tv_sec = 1, .tv_nsec = 2}, {.tv_sec = 3, .tv_nsec = 4}}};
    for (const char* root : {"source", "copy"}) {
      for (const char* name : {"file", "dir/inner", "dir", "empty", "link", ""}) {
        ASSERT_EQ(::utimensat(AT_FDCWD, (path(root) / name).c_str(), times.data(), AT_SYMLINK_NOFOLLOW), 0);
      }
    }
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

TEST_F(FingerprintTest, counts_entries_and_bytes) {
  const auto sum = fingerprint_of(path("source"), Fidelity::content);
  ASSERT_TRUE(sum) << sum.error();
  EXPECT_EQ(sum->entries, 6U);
  EXPECT_EQ(sum->directories, 3U);
  EXPECT_EQ(sum->regular_files, 2U);
  EXPECT_EQ(sum->bytes, 12U);
}

TEST_F(FingerprintTest, a_right_copy_is_right) {
  EXPECT_EQ(verdict(Fidelity::content), "right");
  EXPECT_EQ(verdict(Fidelity::attributes), "right");
}

TEST_F(FingerprintTest, one_changed_byte_is_found) {
  write(path("copy") / "file", "contentS");
  EXPECT_EQ(verdict(Fidelity::content), "wrong copy: 'file' differs");
}

TEST_F(FingerprintTest, a_missing_file_is_found) {
  fs::remove(path("copy") / "dir" / "inner");
  EXPECT_EQ(verdict(Fidelity::content), "wrong copy: 'dir/inner' is missing");
}

TEST_F(FingerprintTest, an_entry_too_many_is_found) {
  fs::create_directory(path("copy") / "extra");
  EXPECT_EQ(verdict(Fidelity::content), "wrong copy: 'extra' is not in the source");
}

TEST_F(FingerprintTest, a_followed_symlink_is_found) {
  fs::remove(path("copy") / "link");
  write(path("copy") / "link", "contents");
  EXPECT_EQ(verdict(Fidelity::content), "wrong copy: 'link' differs");
}

TEST_F(FingerprintTest, two_files_with_exchanged_contents_are_found) {
  write(path("copy") / "file", "more");
  write(path("copy") / "dir" / "inner", "contents");
  EXPECT_NE(verdict(Fidelity::content), "right");
}

TEST_F(FingerprintTest, mode_and_times_count_only_as_attributes) {
  ASSERT_EQ(::chmod((path("copy") / "file").c_str(), 0600), 0);
  EXPECT_EQ(verdict(Fidelity::content), "right");
  EXPECT_EQ(verdict(Fidelity::attributes), "wrong copy: 'file' differs in content or attributes");
}

TEST_F(FingerprintTest, a_copy_that_is_not_there_is_wrong) {
  fs::remove_all(path("copy"));
  EXPECT_TRUE(verdict(Fidelity::content).starts_with("wrong copy: cannot stat"));
}

TEST_F(FingerprintTest, a_stale_copy_is_wrong_in_every_file) {
  ASSERT_TRUE(make_stale_copy(path("source"), path("stale")));
  EXPECT_GT(fs::file_size(path("stale") / "file"), fs::file_size(path("source") / "file"));
  const auto expected = fingerprint_of(path("source"), Fidelity::content);
  ASSERT_TRUE(expected);
  EXPECT_FALSE(check_copy(path("source"), *expected, path("stale"), Fidelity::content));
}

}  // namespace
}  // namespace ferry::bench
