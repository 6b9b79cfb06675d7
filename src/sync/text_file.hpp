// Small files that hold one entry a line: filter rules and lists of names.
#pragma once

#include <ferry/base.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace ferry {

// All of the file, at most 256 MiB (EFBIG). `flags` are added to O_RDONLY | O_CLOEXEC. Errors: those of open and read.
[[nodiscard]] Result<std::string> read_text_file(int dirfd, const std::string& path, int flags = 0);
// The same of a file the user names: "-" is standard input.
[[nodiscard]] Result<std::string> read_named_file(const std::string& path);

// The entries of the text: lines, which end with '\n' or '\r', or what is between NULs. Empty ones and comments (lines
// that begin with '#' or ';') are left out.
[[nodiscard]] std::vector<std::string_view> entries_of(std::string_view text, bool nul_separated);
// What is between white space.
[[nodiscard]] std::vector<std::string_view> words_of(std::string_view text);

}  // namespace ferry
