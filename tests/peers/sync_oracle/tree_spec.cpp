#include "tree_spec.hpp"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include <ranges>
#include <vector>

#include "support/posix.hpp"

namespace oracle {
namespace {

using posix::check;
using posix::Fd;

constexpr std::size_t zero_run_bytes = 16 << 10;

// splitmix64: the stream of each number is the same everywhere.
std::uint64_t next_word(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15;
  std::uint64_t mixed = state;
  mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31U);
}

void write_content(const EntrySpec& entry, const std::string& path) {
  const Fd fd(check(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "create", path));
  const std::string content = content_of(entry);
  for (std::size_t done = 0; done < content.size();) {
    done += static_cast<std::size_t>(check(::write(fd, content.data() + done, content.size() - done), "write", path));
  }
}

void make_socket(const std::string& path) {
  const Fd fd(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket", path));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  // The name's length is limited: it is bound beside its directory's descriptor.
  const Fd parent(check(::open(parent_of(path).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), "open", path));
  const std::string name = posix::through_proc(parent, name_of(path));
  std::copy_n(name.c_str(), std::min(name.size(), sizeof address.sun_path - 1), address.sun_path);
  check(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind", path);
}

void make_entry(const EntrySpec& entry, const std::string& path) {
  switch (entry.kind) {
    case Kind::file: write_content(entry, path); break;
    case Kind::directory: check(::mkdir(path.c_str(), 0700), "mkdir", path); break;
    case Kind::symlink: check(::symlink(entry.text.c_str(), path.c_str()), "symlink", path); break;
    case Kind::fifo: check(::mkfifo(path.c_str(), 0600), "mkfifo", path); break;
    case Kind::socket: make_socket(path); break;
    case Kind::device: check(::mknod(path.c_str(), S_IFCHR | 0600, entry.device), "mknod", path); break;
  }
}

void decorate(const EntrySpec& entry, const std::string& path) {
  check(::lchown(path.c_str(), entry.uid, entry.gid), "chown", path);
  for (const auto& [key, value] : entry.attributes) {
    check(::lsetxattr(path.c_str(), key.c_str(), value.data(), value.size(), 0), "setxattr", path);
  }
  // An access list has the permission bits already.
  if (entry.kind != Kind::symlink && !entry.attributes.contains("system.posix_acl_access")) {
    check(::chmod(path.c_str(), entry.mode), "chmod", path);
  }
}

bool has_place(const TreeSpec& tree, const std::string& path) {
  for (std::string above = path; !above.empty();) {
    above = parent_of(above);
    const auto found = tree.find(above);
    if (found == tree.end() || found->second.kind != Kind::directory) {
      return false;
    }
  }
  return true;
}

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::file: return "file";
    case Kind::directory: return "dir ";
    case Kind::symlink: return "link";
    case Kind::fifo: return "fifo";
    case Kind::socket: return "sock";
    case Kind::device: return "dev ";
  }
  return "?";
}

}  // namespace

std::string content_of(const EntrySpec& entry) {
  if (!entry.text.empty()) {
    return entry.text;
  }
  std::string content(entry.size, '\0');
  std::uint64_t state = entry.content;
  for (std::size_t at = 0; at < content.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = next_word(state);
    if (!entry.has_zeros || at / zero_run_bytes % 2 == 1) {
      std::memcpy(content.data() + at, &word, std::min(sizeof word, content.size() - at));
    }
  }
  return content;
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

void erase_entry(TreeSpec& tree, const std::string& path) {
  std::erase_if(tree, [&](const auto& entry) { return entry.first == path || entry.first.starts_with(path + "/"); });
}

void make_tree(const TreeSpec& tree, const std::string& root) {
  std::map<unsigned, std::string> first_of_group;
  std::vector<std::pair<std::string, const EntrySpec*>> made;
  for (const auto& [path, entry] : tree) {
    if (!has_place(tree, path)) {
      continue;
    }
    const std::string full = path.empty() ? root : fmt::format("{}/{}", root, path);
    if (entry.link_group != 0 && entry.kind != Kind::directory) {
      const auto [first, is_first] = first_of_group.emplace(entry.link_group, full);
      if (!is_first) {
        check(::link(first->second.c_str(), full.c_str()), "link", full);
        continue;
      }
    }
    make_entry(entry, full);
    made.emplace_back(full, &entry);
  }
  // What is below first: a mode may close a directory, and a change inside gives it a new time.
  for (const auto& [full, entry] : made | std::views::reverse) {
    decorate(*entry, full);
    const timespec times[] = {entry->mtime, entry->mtime};
    check(::utimensat(AT_FDCWD, full.c_str(), times, AT_SYMLINK_NOFOLLOW), "utimensat", full);
  }
}

std::string describe(const TreeSpec& tree) {
  std::string text;
  for (const auto& [path, entry] : tree) {
    text += fmt::format(
        "    {} {:04o} {}:{} {}.{:09} {:6} content {:x}{}{} {}{}", kind_name(entry.kind), entry.mode, entry.uid,
        entry.gid, entry.mtime.tv_sec, entry.mtime.tv_nsec, entry.size, entry.content & 0xffffU,
        entry.has_zeros ? " zeros" : "", entry.link_group != 0 ? fmt::format(" group {}", entry.link_group) : "",
        path.empty() ? "." : posix::printable(path), entry.text.empty() ? "" : " -> " + posix::printable(entry.text));
    for (const auto& [key, value] : entry.attributes) {
      text += fmt::format(" {}({})", key, value.size());
    }
    text += "\n";
  }
  return text;
}

}  // namespace oracle
