/// \file
/// A tree whose files tell their name, version and offset in every line, so that a mixture of two versions, a
/// missing tail or a file under a wrong name is seen.
///
/// versioned_tree make DIR VERSION FILES: makes or rewrites the tree.
/// versioned_tree check DIR OLD NEW FILES: every name must hold version OLD or NEW in full; OLD may be "none": then
/// names may be missing. Prints "old N new N missing N". Exit status 1 if something else was found.
#include <cstdint>

#include "support/posix.hpp"

namespace {

using posix::check;
using posix::Fd;

/// Sizes from 0 to 2 MiB, different in each version: every third file is larger than a small-file threshold.
std::size_t size_of(int file, int version) {
  std::uint64_t mixed =
      static_cast<std::uint64_t>(file) * 0x9e3779b97f4a7c15 + static_cast<std::uint64_t>(version) * 0xbf58476d1ce4e5b9;
  mixed ^= mixed >> 29;
  mixed *= 0x94d049bb133111eb;
  mixed ^= mixed >> 32;
  switch (file % 6) {
    case 0: return mixed % (2U << 20U);
    case 1: return mixed % (600U << 10U);
    case 2: return mixed % 3 == 0 ? 0 : mixed % 100;
    default: return mixed % (16U << 10U);
  }
}

std::string content_of(int file, int version) {
  std::string content;
  const std::size_t size = size_of(file, version);
  while (content.size() < size) {
    content += fmt::format("file {:08} version {:08} offset {:012}\n", file, version, content.size());
  }
  content.resize(size);
  return content;
}

/// Files are spread over ten directories, one within the other by twos.
std::string path_of(int file) {
  const std::string directory = fmt::format("d{}", file % 5);
  return (file % 2 == 0 ? directory : directory + "/below") + fmt::format("/file{}", file);
}

void make(int root, int version, int files) {
  for (int i = 0; i < 5; ++i) {
    const std::string directory = fmt::format("d{}", i);
    ::mkdirat(root, directory.c_str(), 0755);
    ::mkdirat(root, (directory + "/below").c_str(), 0755);
  }
  for (int file = 0; file < files; ++file) {
    const std::string path = path_of(file);
    const Fd fd(check(::openat(root, path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), "create", path));
    const std::string content = content_of(file, version);
    check(::write(fd, content.data(), content.size()), "write", path);
  }
}

std::string read_all(int fd, const std::string& path) {
  std::string content(4U << 20U, '\0');
  content.resize(static_cast<std::size_t>(check(::read(fd, content.data(), content.size()), "read", path)));
  return content;
}

int check_versions(int root, const std::string& old_version, int new_version, int files) {
  int old_found = 0;
  int new_found = 0;
  int missing = 0;
  int wrong = 0;
  for (int file = 0; file < files; ++file) {
    const std::string path = path_of(file);
    const int opened = ::openat(root, path.c_str(), O_RDONLY | O_NOFOLLOW);
    if (opened < 0 && errno == ENOENT) {
      ++missing;
      if (old_version != "none") {
        ++wrong;
        fmt::print("{} is gone\n", path);
      }
      continue;
    }
    const Fd fd(check(opened, "open", path));
    const std::string content = read_all(fd, path);
    if (content == content_of(file, new_version)) {
      ++new_found;
    } else if (old_version != "none" && content == content_of(file, std::atoi(old_version.c_str()))) {
      ++old_found;
    } else {
      ++wrong;
      fmt::print("{} holds neither version in full: {} bytes, expected {}\n", path, content.size(),
                 size_of(file, new_version));
    }
  }
  fmt::print("old {} new {} missing {}\n", old_found, new_found, missing);
  return wrong == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 4 && arguments[0] == "make") {
    ::mkdir(arguments[1].c_str(), 0755);
    make(posix::open_directory(AT_FDCWD, arguments[1]), std::stoi(arguments[2]), std::stoi(arguments[3]));
    return 0;
  }
  if (arguments.size() == 5 && arguments[0] == "check") {
    return check_versions(posix::open_directory(AT_FDCWD, arguments[1]), arguments[2], std::stoi(arguments[3]),
                          std::stoi(arguments[4]));
  }
  fmt::print(stderr, "usage: versioned_tree make DIR VERSION FILES | check DIR OLD|none NEW FILES\n");
  return 2;
}
