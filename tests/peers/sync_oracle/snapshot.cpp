#include "snapshot.hpp"

#include <sys/xattr.h>

#include <compare>
#include <cstdint>

#include "support/posix.hpp"

namespace oracle {
namespace {

using posix::check;
using posix::Fd;

std::string read_file(const std::string& path, std::uint64_t size) {
  const Fd fd(check(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC), "open", path));
  std::string content(size, '\0');
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = check(::read(fd, content.data() + done, content.size() - done), "read", path);
    if (n == 0) {
      break;
    }
    done += static_cast<std::size_t>(n);
  }
  content.resize(done);
  return content;
}

std::map<std::string, std::string> attributes_of(const std::string& path) {
  std::string list(16 << 10, '\0');
  std::string value(64 << 10, '\0');
  std::map<std::string, std::string> attributes;
  const ssize_t length = ::llistxattr(path.c_str(), list.data(), list.size());
  for (std::size_t at = 0; length > 0 && at < static_cast<std::size_t>(length);) {
    const std::string key = list.c_str() + at;
    at += key.size() + 1;
    const ssize_t size = check(::lgetxattr(path.c_str(), key.c_str(), value.data(), value.size()), "getxattr", path);
    attributes[key] = value.substr(0, static_cast<std::size_t>(size));
  }
  return attributes;
}

using Inodes = std::map<std::pair<dev_t, ino_t>, std::string>;

void look_at(const std::string& root, const std::string& path, Snapshot& snapshot, Inodes& inodes) {
  const std::string full = path.empty() ? root : root + "/" + path;
  struct stat status{};
  check(::lstat(full.c_str(), &status), "stat", full);
  EntryState state{.mode = status.st_mode,
                   .uid = status.st_uid,
                   .gid = status.st_gid,
                   .blocks = static_cast<std::uint64_t>(status.st_blocks),
                   .device = status.st_rdev,
                   .mtime = status.st_mtim,
                   .atime = status.st_atim,
                   .attributes = attributes_of(full)};
  if (S_ISREG(status.st_mode)) {
    state.size = static_cast<std::uint64_t>(status.st_size);
    state.content = read_file(full, state.size);
  } else if (S_ISLNK(status.st_mode)) {
    state.content.resize(PATH_MAX);
    state.content.resize(static_cast<std::size_t>(
        check(::readlink(full.c_str(), state.content.data(), state.content.size()), "readlink", full)));
  }
  if (S_ISDIR(status.st_mode)) {
    const Fd fd = posix::open_directory(AT_FDCWD, full);
    for (const std::string& name : posix::names_in(fd)) {
      look_at(root, path.empty() ? name : fmt::format("{}/{}", path, name), snapshot, inodes);
    }
  } else {
    state.same_file_as = inodes.emplace(std::pair(status.st_dev, status.st_ino), path).first->second;
  }
  snapshot[path] = std::move(state);
}

std::strong_ordering order(const timespec& a, const timespec& b) {
  return std::pair(a.tv_sec, a.tv_nsec) <=> std::pair(b.tv_sec, b.tv_nsec);
}

bool same_time(const timespec& a, const timespec& b, const Comparison& how) {
  return order(a, b) == 0 || (order(a, how.began) >= 0 && order(b, how.began) >= 0);
}

std::string text(const timespec& time, const Comparison& how) {
  return order(time, how.began) >= 0 ? "now" : fmt::format("{}.{:09}", time.tv_sec, time.tv_nsec);
}

void compare_entry(const EntryState& a, const EntryState& b, const Comparison& how, const std::string& path,
                   std::vector<std::string>& found) {
  const auto differ = [&](const char* what, const std::string& expected, const std::string& actual) {
    found.push_back(fmt::format("{}: {} expected {}, is {}", path, what, expected, actual));
  };
  if ((a.mode & S_IFMT) != (b.mode & S_IFMT)) {
    differ("type", fmt::format("{:o}", a.mode & S_IFMT), fmt::format("{:o}", b.mode & S_IFMT));
    return;
  }
  if (a.mode != b.mode) {
    differ("mode", fmt::format("{:04o}", a.mode & 07777U), fmt::format("{:04o}", b.mode & 07777U));
  }
  if (a.uid != b.uid || a.gid != b.gid) {
    differ("owner", fmt::format("{}:{}", a.uid, a.gid), fmt::format("{}:{}", b.uid, b.gid));
  }
  if (!same_time(a.mtime, b.mtime, how)) {
    differ("time", text(a.mtime, how), text(b.mtime, how));
  }
  if (how.atimes && S_ISREG(a.mode) && !same_time(a.atime, b.atime, how)) {
    differ("access time", text(a.atime, how), text(b.atime, how));
  }
  if (a.content != b.content) {
    differ("content", fmt::format("{} bytes", a.content.size()), fmt::format("{} bytes", b.content.size()));
  }
  if (a.device != b.device) {
    differ("device", std::to_string(a.device), std::to_string(b.device));
  }
  if (a.same_file_as != b.same_file_as) {
    differ("same file as", posix::printable(a.same_file_as), posix::printable(b.same_file_as));
  }
  constexpr std::uint64_t page_blocks = 8;  // the last one of a file may be written in part
  if (how.blocks && b.blocks > a.blocks + page_blocks) {
    differ("blocks", std::to_string(a.blocks), std::to_string(b.blocks));
  }
  if (a.attributes != b.attributes) {
    const auto names = [](const EntryState& state) {
      std::string all;
      for (const auto& [key, value] : state.attributes) {
        std::size_t sum = 0;
        for (const char c : value) {
          sum = sum * 31 + static_cast<unsigned char>(c);
        }
        all += fmt::format("{}={:x} ", key, sum & 0xffffU);
      }
      return "[" + all + "]";
    };
    differ("attributes", names(a), names(b));
  }
}

}  // namespace

Snapshot take_snapshot(const std::string& root) {
  Snapshot snapshot;
  Inodes inodes;
  look_at(root, "", snapshot, inodes);
  return snapshot;
}

std::vector<std::string> differences(const Snapshot& expected, const Snapshot& actual, const Comparison& how) {
  std::vector<std::string> found;
  for (const auto& [path, state] : expected) {
    const auto other = actual.find(path);
    if (other == actual.end()) {
      found.push_back(posix::printable(path) + ": missing");
    } else {
      compare_entry(state, other->second, how, posix::printable(path), found);
    }
  }
  for (const auto& [path, state] : actual) {
    if (!expected.contains(path)) {
      found.push_back(posix::printable(path) + ": not expected");
    }
  }
  return found;
}

}  // namespace oracle
