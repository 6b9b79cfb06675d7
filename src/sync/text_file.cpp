#include "sync/text_file.hpp"

#include "base/sys.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace ferry {
namespace {

constexpr std::size_t max_bytes = std::size_t{256} << 20U;

Result<std::string> read_all(int fd, const std::string& path) {
  std::string text;
  for (std::size_t filled = 0;;) {
    text.resize(filled + (std::size_t{64} << 10U));
    const ssize_t got = sys::read(fd, text.data() + filled, text.size() - filled);
    if (got < 0) {
      return fail(static_cast<int>(-got), "read", path);
    }
    filled += static_cast<std::size_t>(got);
    if (got == 0) {
      text.resize(filled);
      return text;
    }
    if (filled > max_bytes) {
      return fail(EFBIG, "read", path);
    }
  }
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find_first_of(separators, begin), text.size());
    if (end > begin) {
      parts.push_back(text.substr(begin, end - begin));
    }
    begin = end + 1;
  }
  return parts;
}

}  // namespace

Result<std::string> read_text_file(int dirfd, const std::string& path, int flags) {
  const int fd = sys::openat(dirfd, path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  if (fd < 0) {
    return fail(-fd, "openat", path);
  }
  const UniqueFd owned(fd);
  return read_all(fd, path);
}

Result<std::string> read_named_file(const std::string& path) {
  return path == "-" ? read_all(STDIN_FILENO, "standard input") : read_text_file(AT_FDCWD, path);
}

std::vector<std::string_view> entries_of(std::string_view text, bool nul_separated) {
  auto entries = split(text, nul_separated ? std::string_view("\0", 1) : std::string_view("\r\n"));
  std::erase_if(entries, [](std::string_view entry) { return entry.front() == '#' || entry.front() == ';'; });
  return entries;
}

std::vector<std::string_view> words_of(std::string_view text) { return split(text, " \t\r\n\v\f"); }

}  // namespace ferry
