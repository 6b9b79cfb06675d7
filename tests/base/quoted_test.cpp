// What ferry::quoted() makes of names: as /bin/cp of coreutils 9.1 quotes them in a UTF-8 locale.
#include <ferry/base.hpp>

#include <gtest/gtest.h>

#include <string_view>
#include <utility>

namespace {

using namespace std::string_view_literals;

TEST(Quoted, names_look_as_coreutils_print_them) {
  const std::pair<std::string_view, std::string_view> expected[] = {
      {"plain"sv, "'plain'"sv},
      {""sv, "''"sv},
      {"a b"sv, "'a b'"sv},
      {"it's"sv, "\"it's\""sv},
      {"'"sv, "\"'\""sv},
      {"it's $x"sv, R"('it'\''s $x')"sv},
      {"it's!"sv, R"('it'\''s!')"sv},
      {"it's\""sv, R"('it'\''s"')"sv},
      {"#it's"sv, "\"#it's\""sv},
      {"it's#"sv, R"('it'\''s#')"sv},
      {"do\"lar"sv, R"('do"lar')"sv},
      {"back\\slash"sv, R"('back\slash')"sv},
      {"new\nline"sv, R"('new'$'\n''line')"sv},
      {"a\n\nb"sv, R"('a'$'\n\n''b')"sv},
      {"\n"sv, R"(''$'\n')"sv},
      {"\x1b[31m"sv, R"(''$'\033''[31m')"sv},
      {"\a\b\v\f\t\r"sv, R"(''$'\a\b\v\f\t\r')"sv},
      {"bad\xff"sv, R"('bad'$'\377')"sv},
      {"\xff 1"sv, R"(''$'\377'' 1')"sv},
      {"a'b\xff'c"sv, R"('a'\''b'$'\377'\''c')"sv},
      {"\xc3\xa9"sv, "'\xc3\xa9'"sv},
      {"\xc3\xa9\xff"sv, "'\xc3\xa9'$'\\377'"sv},
      {"\xc2\x85"sv, R"(''$'\302\205')"sv},
      {"\xe2\x80\xa8"sv, R"(''$'\342\200\250')"sv},
      {"\x7f"sv, R"(''$'\177')"sv},
  };
  for (const auto& [name, text] : expected) {
    EXPECT_EQ(ferry::quoted(name), text);
  }
}

}  // namespace
