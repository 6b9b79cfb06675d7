#include "bench/listing.hpp"

#include <sys/stat.h>

#include <gmock/gmock.h>

#include "bench/scratch.hpp"

namespace ferry::bench {
namespace {

using ::testing::ElementsAre;

class ListingTest : public ScratchTest {
 protected:
  void SetUp() override {
    ScratchTest::SetUp();
    write(path("source") / "file", "contents");
    write(path("source") / "dir" / "with\nnewline", "more");
    std::filesystem::create_symlink("dir", path("source") / "link");
    ASSERT_EQ(::mkfifo((path("source") / "fifo").c_str(), 0600), 0);
  }

  [[nodiscard]] std::string verdict(const std::string& made) const {
    using namespace std::string_literals;
    write(path("made"), made);
    const auto expected = listing_of(path("source"));
    const auto checked = expected ? check_listing(*expected, path("made")) : std::unexpected(expected.error());
    return checked ? "right" : checked.error();
  }
};

// NUL ends each entry, and a literal would end there, too.
std::string list(std::initializer_list<const char*> entries) {
  std::string text;
  for (const char* const entry : entries) {
    text += entry;
    text += '\0';
  }
  return text;
}

TEST_F(ListingTest, every_entry_has_its_type_and_links_are_not_followed) {
  EXPECT_THAT(listing_of(path("source")).value_or(Listing{}),
              ElementsAre("? fifo", "d dir", "f dir/with\nnewline", "f file", "l link"));
}

TEST_F(ListingTest, a_right_list_is_right_in_any_order) {
  EXPECT_EQ(verdict(list({"l link", "f file", "? fifo", "f dir/with\nnewline", "d dir"})), "right");
}

TEST_F(ListingTest, a_missing_entry_is_found) {
  EXPECT_EQ(verdict(list({"l link", "? fifo", "f dir/with\nnewline", "d dir"})), "wrong list: 'f file' is missing");
}

TEST_F(ListingTest, a_wrong_type_is_found) {
  EXPECT_EQ(verdict(list({"d link", "f file", "? fifo", "f dir/with\nnewline", "d dir"})),
            "wrong list: 'd link' is not in the source");
}

TEST_F(ListingTest, an_entry_listed_twice_is_found) {
  EXPECT_EQ(verdict(list({"f file", "f file"})), "wrong list: 'f file' is there twice");
}

TEST_F(ListingTest, no_list_is_wrong) {
  const auto expected = listing_of(path("source"));
  ASSERT_TRUE(expected) << expected.error();
  EXPECT_EQ(check_listing(*expected, path("nowhere")).error(), "wrong list: none was made");
}

TEST_F(ListingTest, a_source_that_cannot_be_read_is_an_error) {
  EXPECT_EQ(listing_of("/nowhere").error(), "cannot open directory '/nowhere': No such file or directory");
}

}  // namespace
}  // namespace ferry::bench
