/// \file
/// tree_compare [--ignore=FIELD,...] EXPECTED ACTUAL: says in what two trees differ, entry by entry.
///
/// Compared: names, type, content, size, mode, owner, group, modification time, device number, link count, link groups
/// (which names share an inode), extended attributes and ACLs by their raw bytes, allocated blocks.
/// Not compared: inode, ctime, atime; of directories the size and blocks, which depend on the order of creation;
/// across file systems the link count of directories and st_blksize, which are theirs to choose.
///
/// Blocks: ACTUAL may take fewer (cp makes holes of preallocated space), and more by the tolerance: 64 KiB for the
/// different bookkeeping of file systems (extent and attribute blocks, inline data). A lost hole is larger than that in
/// the generated trees.
///
/// FIELD: mode owner mtime xattrs links blocks; extra_xattrs (attributes that only one has), new (names that only
/// ACTUAL has), directory_mtime. Exit status: 0 same, 1 different, 2 trouble.
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include <cstdint>
#include <map>
#include <set>

#include "support/posix.hpp"

namespace {

using posix::check;
using posix::Fd;

constexpr std::int64_t block_tolerance_bytes = 64 << 10;
constexpr std::size_t chunk_bytes = 1 << 20;

using Attributes = std::map<std::string, std::string>;

/// XFS shows each ACL a second time under this name, in its own format (xfs_acl.h).
constexpr std::string_view xfs_acl_prefix = "trusted.SGI_ACL_";
constexpr long xfs_magic = 0x58465342;

Attributes attributes_of(int dirfd, const std::string& name, bool on_xfs) {
  const std::string path = posix::through_proc(dirfd, name);
  static std::string list(64 << 10, '\0');
  static std::string value(64 << 10, '\0');
  const ssize_t length = ::llistxattr(path.c_str(), list.data(), list.size());
  if (length < 0) {
    if (errno == ENOTSUP) {
      return {};
    }
    posix::die("listxattr", name);
  }
  Attributes attributes;
  for (std::size_t at = 0; at < static_cast<std::size_t>(length);) {
    const std::string key = list.c_str() + at;
    at += key.size() + 1;
    if (on_xfs && key.starts_with(xfs_acl_prefix)) {
      continue;
    }
    const ssize_t size = check(::lgetxattr(path.c_str(), key.c_str(), value.data(), value.size()), "getxattr", name);
    attributes[key] = value.substr(0, static_cast<std::size_t>(size));
  }
  return attributes;
}

std::string link_target(int dirfd, const std::string& name) {
  std::string target(PATH_MAX, '\0');
  target.resize(static_cast<std::size_t>(
      check(::readlinkat(dirfd, name.c_str(), target.data(), target.size()), "readlink", name)));
  return target;
}

/// The first offset at or after `from` that may hold something else than zero; `size` if none.
off_t next_data(int fd, off_t from, off_t size) {
  const off_t at = ::lseek(fd, from, SEEK_DATA);
  if (at >= 0) {
    return at;
  }
  return errno == ENXIO ? size : from;
}

ssize_t read_fully(int fd, std::string& buffer, off_t offset, const std::string& name) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t got =
        check(::pread(fd, buffer.data() + done, buffer.size() - done, offset + ssize_t(done)), "read", name);
    if (got == 0) {
      break;
    }
    done += static_cast<std::size_t>(got);
  }
  return static_cast<ssize_t>(done);
}

class Comparer {
 public:
  /// `expected_on`, `actual_on`: statfs(2) magic numbers of the file systems of the two trees.
  Comparer(std::set<std::string> ignored, long expected_on, long actual_on)
      : ignored_(std::move(ignored)),
        expected_on_(expected_on),
        actual_on_(actual_on),
        same_file_system_(expected_on == actual_on) {}

  void compare_entry(int expected_dir, int actual_dir, const std::string& name, const std::string& path);
  [[nodiscard]] std::size_t differences() const { return differences_; }
  [[nodiscard]] std::size_t entries() const { return entries_; }

 private:
  void differ(const std::string& path, const std::string& what) {
    if (++differences_ <= 50) {
      const std::string text = posix::printable(path);
      fmt::print("{}: {}\n", text.size() < 100 ? text : "..." + text.substr(text.size() - 100), what);
    }
  }
  template <typename Value>
  void same(const std::string& path, const char* what, Value expected, Value actual) {
    if (expected != actual) {
      differ(path, std::string(what) + " expected " + std::to_string(expected) + ", is " + std::to_string(actual));
    }
  }
  [[nodiscard]] bool compares(const char* field) const { return !ignored_.contains(field); }

  void compare_status(const struct stat& expected, const struct stat& actual, const std::string& path);
  void compare_blocks(const struct stat& expected, const struct stat& actual, const std::string& path);
  void compare_links(const struct stat& expected, const struct stat& actual, const std::string& path);
  void compare_attributes(const Attributes& expected, const Attributes& actual, const std::string& path);
  void compare_content(int expected_dir, int actual_dir, const std::string& name, const std::string& path);
  void compare_children(int expected_dir, int actual_dir, const std::string& name, const std::string& path);

  using Inode = std::pair<dev_t, ino_t>;
  std::set<std::string> ignored_;
  long expected_on_;
  long actual_on_;
  bool same_file_system_;
  std::map<Inode, std::string> first_name_expected_;
  std::map<Inode, std::string> first_name_actual_;
  std::size_t differences_ = 0;
  std::size_t entries_ = 0;
};

void Comparer::compare_entry(int expected_dir, int actual_dir, const std::string& name, const std::string& path) {
  ++entries_;
  struct stat expected{};
  struct stat actual{};
  check(::fstatat(expected_dir, name.c_str(), &expected, AT_SYMLINK_NOFOLLOW), "stat", path);
  check(::fstatat(actual_dir, name.c_str(), &actual, AT_SYMLINK_NOFOLLOW), "stat", path);
  if ((expected.st_mode & S_IFMT) != (actual.st_mode & S_IFMT)) {
    differ(path, "of another type");
    return;
  }
  compare_status(expected, actual, path);
  compare_links(expected, actual, path);
  if (compares("xattrs")) {
    compare_attributes(attributes_of(expected_dir, name, expected_on_ == xfs_magic),
                       attributes_of(actual_dir, name, actual_on_ == xfs_magic), path);
  }
  if (S_ISREG(expected.st_mode)) {
    compare_blocks(expected, actual, path);
    if (expected.st_size == actual.st_size) {
      compare_content(expected_dir, actual_dir, name, path);
    }
  } else if (S_ISLNK(expected.st_mode)) {
    if (link_target(expected_dir, name) != link_target(actual_dir, name)) {
      differ(path, "symlink to " + posix::printable(link_target(actual_dir, name)) + " instead of " +
                       posix::printable(link_target(expected_dir, name)));
    }
  } else if (S_ISDIR(expected.st_mode)) {
    compare_children(expected_dir, actual_dir, name, path);
  }
}

void Comparer::compare_status(const struct stat& expected, const struct stat& actual, const std::string& path) {
  if (compares("mode") && expected.st_mode != actual.st_mode) {
    differ(path, fmt::format("mode expected {:04o}, is {:04o}", expected.st_mode & 07777U, actual.st_mode & 07777U));
  }
  if (compares("owner")) {
    same(path, "owner", expected.st_uid, actual.st_uid);
    same(path, "group", expected.st_gid, actual.st_gid);
  }
  if (compares("mtime") && (compares("directory_mtime") || !S_ISDIR(expected.st_mode))) {
    same(path, "mtime seconds", expected.st_mtim.tv_sec, actual.st_mtim.tv_sec);
    same(path, "mtime nanoseconds", expected.st_mtim.tv_nsec, actual.st_mtim.tv_nsec);
  }
  same(path, "device", expected.st_rdev, actual.st_rdev);
  if (!S_ISDIR(expected.st_mode)) {
    same(path, "size", expected.st_size, actual.st_size);
  }
  if (same_file_system_) {
    same(path, "blksize", expected.st_blksize, actual.st_blksize);
  }
  if (compares("links") && (same_file_system_ || !S_ISDIR(expected.st_mode)) &&
      (compares("new") || !S_ISDIR(expected.st_mode))) {
    same(path, "link count", expected.st_nlink, actual.st_nlink);
  }
}

void Comparer::compare_blocks(const struct stat& expected, const struct stat& actual, const std::string& path) {
  const std::int64_t more = (std::int64_t{actual.st_blocks} - expected.st_blocks) * 512;
  if (compares("blocks") && more > block_tolerance_bytes) {
    differ(path, "takes " + std::to_string(actual.st_blocks) + " blocks of 512 bytes, expected " +
                     std::to_string(expected.st_blocks));
  }
}

void Comparer::compare_links(const struct stat& expected, const struct stat& actual, const std::string& path) {
  if (S_ISDIR(expected.st_mode) || !compares("links")) {
    return;
  }
  const auto& of_expected = first_name_expected_.try_emplace({expected.st_dev, expected.st_ino}, path).first->second;
  const auto& of_actual = first_name_actual_.try_emplace({actual.st_dev, actual.st_ino}, path).first->second;
  if (of_expected != of_actual) {
    differ(path,
           "is one file with " + posix::printable(of_actual) + ", expected with " + posix::printable(of_expected));
  }
}

void Comparer::compare_attributes(const Attributes& expected, const Attributes& actual, const std::string& path) {
  for (const auto& [key, value] : expected) {
    const auto found = actual.find(key);
    if (found == actual.end()) {
      if (compares("extra_xattrs")) {
        differ(path, "attribute " + key + " is missing");
      }
    } else if (found->second != value) {
      differ(path,
             "attribute " + key + " expected " + posix::printable(value) + ", is " + posix::printable(found->second));
    }
  }
  for (const auto& [key, value] : actual) {
    if (!expected.contains(key) && compares("extra_xattrs")) {
      differ(path, "attribute " + key + " is new");
    }
  }
}

void Comparer::compare_content(int expected_dir, int actual_dir, const std::string& name, const std::string& path) {
  const Fd expected(check(::openat(expected_dir, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC), "open", path));
  const Fd actual(check(::openat(actual_dir, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC), "open", path));
  const off_t size = check(::lseek(expected, 0, SEEK_END), "seek", path);
  static std::string left(chunk_bytes, '\0');
  static std::string right(chunk_bytes, '\0');
  off_t at = 0;
  while ((at = std::min(next_data(expected, at, size), next_data(actual, at, size))) < size) {
    const ssize_t got = read_fully(expected, left, at, path);
    if (got != read_fully(actual, right, at, path) || std::memcmp(left.data(), right.data(), std::size_t(got)) != 0) {
      differ(path, "content differs in the MiB at offset " + std::to_string(at));
      return;
    }
    if (got == 0) {
      return;
    }
    at += got;
  }
}

void Comparer::compare_children(int expected_dir, int actual_dir, const std::string& name, const std::string& path) {
  const Fd expected = posix::open_directory(expected_dir, name);
  const Fd actual = posix::open_directory(actual_dir, name);
  const auto expected_names = posix::names_in(expected);
  const auto actual_names = posix::names_in(actual);
  for (const std::string& extra : actual_names) {
    if (compares("new") && !std::ranges::binary_search(expected_names, extra)) {
      differ(fmt::format("{}/{}", path, extra), "is new");
    }
  }
  for (const std::string& child : expected_names) {
    if (std::ranges::binary_search(actual_names, child)) {
      compare_entry(expected, actual, child, fmt::format("{}/{}", path, child));
    } else {
      differ(fmt::format("{}/{}", path, child), "is missing");
    }
  }
}

std::set<std::string> split(std::string_view list) {
  std::set<std::string> fields;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    fields.emplace(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return fields;
}

}  // namespace

int main(int argc, char** argv) {
  std::set<std::string> ignored;
  constexpr std::string_view option = "--ignore=";
  if (argc > 1 && std::string_view(argv[1]).starts_with(option)) {
    ignored = split(std::string_view(argv[1]).substr(option.size()));
    ++argv;
    --argc;
  }
  if (argc != 3) {
    fmt::print(stderr, "usage: tree_compare [--ignore=FIELD,...] EXPECTED ACTUAL\n");
    return 2;
  }
  posix::allow_many_descriptors();
  struct statfs left{};
  struct statfs right{};
  check(::statfs(argv[1], &left), "statfs", argv[1]);
  check(::statfs(argv[2], &right), "statfs", argv[2]);
  Comparer comparer(std::move(ignored), static_cast<long>(left.f_type), static_cast<long>(right.f_type));
  const Fd expected(check(::open(argv[1], O_PATH | O_CLOEXEC | O_DIRECTORY), "open", argv[1]));
  const Fd actual(check(::open(argv[2], O_PATH | O_CLOEXEC | O_DIRECTORY), "open", argv[2]));
  comparer.compare_entry(expected, actual, ".", ".");
  if (comparer.differences() != 0) {
    fmt::print("{} differences in {} entries ({}, {})\n", comparer.differences(), comparer.entries(), argv[1], argv[2]);
    return 1;
  }
  return 0;
}
