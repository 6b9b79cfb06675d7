/// \file
/// tree_generator SEED DIR [--profile=small|full] [--without=whiteout] [--past-path-max]: makes a tree of everything a
/// copier can meet. Names deeper than PATH_MAX only with --past-path-max, because cp and rsync refuse them.
/// tree_generator --change SEED DIR: changes such a tree the way a source changes between two copies.
///
/// The same seed makes the same tree (but ctime and inodes). Needs root for owners, devices and trusted attributes;
/// what the file system or the privileges do not allow is left out.
#include <linux/capability.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cstdint>
#include <random>
#include <span>

#include "support/posix.hpp"

namespace {

using posix::check;
using posix::Fd;

constexpr std::uint64_t kibi = 1024;
constexpr std::uint64_t mebi = kibi * kibi;

struct Profile {
  int flat_entries;
  int random_directories;
  int random_entries_each;
};
constexpr Profile small_profile{2'000, 12, 12};
constexpr Profile full_profile{20'000, 40, 40};

/// std::mt19937_64 is the same everywhere; the standard's distributions are not, so they are not used.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }
  bool one_in(std::uint64_t chances) { return below(chances) == 0; }
  template <typename Value, std::size_t size>
  const Value& pick(const Value (&values)[size]) {
    return values[below(size)];
  }
  std::string bytes(std::size_t count) {
    std::string content(count, '\0');
    for (std::size_t at = 0; at < count; at += sizeof(std::uint64_t)) {
      const std::uint64_t word = engine_();
      std::memcpy(content.data() + at, &word, std::min(sizeof word, count - at));
    }
    return content;
  }

 private:
  std::mt19937_64 engine_;
};

/// The kernel's uapi form of an ACL (linux/posix_acl_xattr.h): little-endian, entries in canonical order.
std::string access_control_list(Random& random) {
  struct Entry {
    std::uint16_t tag;
    std::uint16_t permissions;
    std::uint32_t id;
  };
  constexpr std::uint32_t nobody_in_particular = 0xffffffff;
  const auto permissions = [&random] { return static_cast<std::uint16_t>(random.below(8)); };
  const Entry entries[] = {
      {0x01, 7, nobody_in_particular},  // owner
      {0x02, permissions(), 1001},      // a named user
      {0x02, permissions(), 4321},
      {0x04, permissions(), nobody_in_particular},  // owning group
      {0x08, permissions(), 100},                   // a named group
      {0x10, permissions(), nobody_in_particular},  // mask
      {0x20, permissions(), nobody_in_particular},  // others
  };
  const std::uint32_t version = 2;
  std::string raw(reinterpret_cast<const char*>(&version), sizeof version);
  raw.append(reinterpret_cast<const char*>(entries), sizeof entries);
  return raw;
}

std::string file_capability() {
  vfs_cap_data data{};
  data.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
  data.data[0].permitted = 1U << CAP_NET_BIND_SERVICE;
  return {reinterpret_cast<const char*>(&data), XATTR_CAPS_SZ_2};
}

/// Sets an attribute where the file system and the privileges allow it.
void set_attribute(int dirfd, const std::string& name, const char* key, const std::string& value) {
  const std::string path = posix::through_proc(dirfd, name);
  if (::lsetxattr(path.c_str(), key, value.data(), value.size(), 0) != 0 && errno != ENOTSUP && errno != EPERM &&
      errno != ENOSPC && errno != EROFS) {
    posix::die("setxattr", name);
  }
}

class Generator {
 public:
  Generator(std::uint64_t seed, const Profile& profile, bool whiteouts, bool past_path_max)
      : random_(seed), profile_(profile), whiteouts_(whiteouts), past_path_max_(past_path_max) {}

  void make_tree(int root);
  void change_tree(int directory);

 private:
  // Sections of the tree, each in its own directory.
  void make_types(int directory);
  void make_sizes(int directory);
  void make_sparse(int directory);
  void make_links(int root);
  void make_modes(int directory);
  void make_attributes(int directory);
  void make_names(int directory);
  void make_flat(int directory);
  void make_deep(int directory, int level, std::size_t name_length);
  void make_random(int directory, int directories);

  // Single entries.
  template <typename Fill>
  void make_directory(int parent, const std::string& name, Fill fill);
  void make_file(int dirfd, const std::string& name, const std::string& content);
  void make_sparse_file(int dirfd, const std::string& name, std::uint64_t size, std::span<const std::uint64_t> data);
  void make_node(int dirfd, const std::string& name, mode_t type, dev_t device = 0);
  void make_symlink(int dirfd, const std::string& name, const std::string& target);
  void make_random_entry(int dirfd, const std::string& name);
  void rewrite(int dirfd, const std::string& name, const struct stat& status);

  /// Random metadata, for the last touch of an entry.
  void decorate(int dirfd, const std::string& name);
  void set_time(int dirfd, const std::string& name);

  Random random_;
  Profile profile_;
  bool whiteouts_;
  bool past_path_max_;
};

void Generator::make_tree(int root) {
  make_directory(root, "types", [this](int fd) { make_types(fd); });
  make_directory(root, "sizes", [this](int fd) { make_sizes(fd); });
  make_directory(root, "sparse", [this](int fd) { make_sparse(fd); });
  make_links(root);
  make_directory(root, "modes", [this](int fd) { make_modes(fd); });
  make_directory(root, "attributes", [this](int fd) { make_attributes(fd); });
  make_directory(root, "names", [this](int fd) { make_names(fd); });
  make_directory(root, "flat", [this](int fd) { make_flat(fd); });
  make_directory(root, "deep", [this](int fd) { make_deep(fd, 0, 5); });
  if (past_path_max_) {
    make_directory(root, "deeper", [this](int fd) { make_deep(fd, 0, 24); });
  }
  make_directory(root, "random", [this](int fd) { make_random(fd, profile_.random_directories); });
}

void Generator::make_types(int directory) {
  make_file(directory, "regular", "text\n");
  make_file(directory, "empty", "");
  make_directory(directory, "empty directory", [](int) {});
  make_node(directory, "fifo", S_IFIFO);
  make_node(directory, "socket", S_IFSOCK);
  make_node(directory, "character device", S_IFCHR, makedev(1, 3));
  make_node(directory, "block device", S_IFBLK, makedev(7, 99));
  make_node(directory, "large device number", S_IFCHR,
            makedev(500, 200'000));  // XFS: major below 512, minor below 2^18
  if (whiteouts_) {
    make_node(directory, "whiteout", S_IFCHR, makedev(0, 0));  // as overlayfs marks a deleted name
  }
  make_symlink(directory, "link", "regular");
  make_symlink(directory, "link to directory", "empty directory");
  make_symlink(directory, "dangling", "nowhere/at all");
  make_symlink(directory, "loop", "loop");
  make_symlink(directory, "loop a", "loop b");
  make_symlink(directory, "loop b", "loop a");
  make_symlink(directory, "absolute", "/etc/passwd");
  make_symlink(directory, "upwards", "../../../..");
  make_symlink(directory, "longest", std::string(1023, 'x'));  // XFS: 1023 bytes at most
}

void Generator::make_sizes(int directory) {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, 4095 * std::uint64_t{1}, 4096 * std::uint64_t{1},
                                   4097 * std::uint64_t{1}, 64 * kibi, 64 * kibi + 1, 128 * kibi, 256 * kibi - 1,
                                   256 * kibi, 256 * kibi + 1, mebi + 3, 4 * mebi, 9 * mebi}) {
    make_file(directory, std::to_string(size), random_.bytes(size));
  }
  make_file(directory, "zeros", std::string(300 * kibi, '\0'));  // allocated, and to stay so
}

void Generator::make_sparse(int directory) {
  constexpr std::uint64_t unit = 256 * kibi;
  const std::uint64_t first[] = {0};
  const std::uint64_t middle[] = {8 * unit};
  const std::uint64_t both_ends[] = {0, 15 * unit};
  const std::uint64_t many[] = {1 * unit, 3 * unit, 6 * unit, 7 * unit, 12 * unit};
  const std::uint64_t far_apart[] = {0, 4097 * unit, 12287 * unit};
  make_sparse_file(directory, "trailing hole", 16 * unit, first);
  make_sparse_file(directory, "leading hole", 9 * unit, middle);
  make_sparse_file(directory, "leading and trailing hole", 16 * unit + 5, middle);
  make_sparse_file(directory, "middle hole", 16 * unit, both_ends);
  make_sparse_file(directory, "many holes", 16 * unit + 4095, many);
  make_sparse_file(directory, "only a hole", 5 * mebi + 1, {});
  make_sparse_file(directory, "3 GiB", 3 * kibi * mebi, far_apart);
}

void Generator::make_links(int root) {
  make_directory(root, "links one", [&](int one) {
    make_file(one, "pair", random_.bytes(5000));
    make_file(one, "triple", random_.bytes(300 * kibi));
    make_node(one, "fifo", S_IFIFO);
    make_symlink(one, "symlink", "pair");
    make_directory(root, "links two", [&](int two) {
      const auto link = [&](const char* from, int to_dir, const char* to) {
        check(::linkat(one, from, to_dir, to, 0), "link", to);
      };
      link("pair", two, "the other");
      link("triple", one, "triple again");
      link("triple", two, "and once more");
      link("fifo", two, "fifo");
      link("symlink", two, "symlink");  // a symlink with two names
    });
  });
}

void Generator::make_modes(int directory) {
  for (const mode_t mode :
       {0U, 0111U, 0200U, 0400U, 0444U, 0555U, 0666U, 0777U, 04755U, 02755U, 06711U, 01644U, 07777U}) {
    std::string name = fmt::format("file {:04o}", mode);
    make_file(directory, name, "content");
    check(::fchmodat(directory, name.c_str(), mode, 0), "chmod", name);
    set_time(directory, name);
    name = fmt::format("dir {:04o}", mode);
    make_directory(directory, name, [this](int fd) { make_file(fd, "inside", "content"); });
    check(::fchmodat(directory, name.c_str(), mode, 0), "chmod", name);
    set_time(directory, name);
  }
}

void Generator::make_attributes(int directory) {
  make_file(directory, "every kind", "content");
  set_attribute(directory, "every kind", "user.plain", "value");
  set_attribute(directory, "every kind", "user.empty", "");
  set_attribute(directory, "every kind", "user.binary", std::string("\0\xff\n\1", 4));
  set_attribute(directory, "every kind", "trusted.secret", "only root sees this");
  make_file(directory, "big value", "");
  set_attribute(directory, "big value", "user.big", random_.bytes(3000));  // ext4: a block in all, 4 KiB
  make_file(directory, "many", "");
  for (int i = 0; i < 20; ++i) {
    set_attribute(directory, "many", fmt::format("user.number.{}", i).c_str(), std::to_string(i));
  }
  make_file(directory, "capability", "content");
  check(::fchownat(directory, "capability", 0, 0, 0), "chown", "capability");  // any later chown would drop it
  set_attribute(directory, "capability", "security.capability", file_capability());
  make_file(directory, "access list", "content");
  set_attribute(directory, "access list", "system.posix_acl_access", access_control_list(random_));
  make_symlink(directory, "symlink", "many");
  set_attribute(directory, "symlink", "trusted.on.symlink", "value");
  make_directory(directory, "default list", [this](int fd) {
    make_file(fd, "made before the list", "content");
    make_directory(fd, "below", [](int) {});
  });
  set_attribute(directory, "default list", "system.posix_acl_default", access_control_list(random_));
  set_attribute(directory, "default list", "system.posix_acl_access", access_control_list(random_));
  set_attribute(directory, "default list", "user.on.directory", "value");
  for (const char* name : {"every kind", "access list", "default list"}) {
    set_time(directory, name);
  }
}

void Generator::make_names(int directory) {
  const std::string names[] = {std::string(255, 'n'),
                               "-rf",
                               "--help",
                               " ",
                               " leading and trailing ",
                               "new\nline",
                               "tab\tbell\a\x1b[31mred",
                               "single'quote",
                               "double\"quote",
                               "back\\slash",
                               "$HOME `id` ;*?[a]",
                               "not utf-8 \xff\xfe\xc3\x28",
                               "\xc3\xa4 utf-8",
                               "...",
                               "..dots",
                               "~",
                               "#hash",
                               std::string(255, '\xfe')};
  for (const std::string& name : names) {
    make_file(directory, name, random_.bytes(random_.below(100)));
  }
  make_directory(directory, "directory\nwith newline", [this](int fd) { make_file(fd, "a\nb", "content"); });
  make_directory(directory, std::string(255, 'd'), [this](int fd) { make_file(fd, std::string(255, 'f'), "content"); });
}

void Generator::make_flat(int directory) {
  for (int i = 0; i < profile_.flat_entries; ++i) {
    const std::string name = fmt::format("entry {}", i);
    switch (i % 20) {
      case 0: make_symlink(directory, name, "entry 1"); break;
      case 1: make_directory(directory, name, [](int) {}); break;
      case 2: make_file(directory, name, ""); break;
      default: make_file(directory, name, random_.bytes(random_.below(200)));
    }
  }
}

void Generator::make_deep(int directory, int level, std::size_t name_length) {
  constexpr int levels = 300;
  if (level % 50 == 0 || level == levels) {
    make_file(directory, "file", random_.bytes(1000));
  }
  if (level < levels) {
    std::string name = std::to_string(level);
    name.resize(name_length, '.');
    make_directory(directory, name, [&](int fd) { make_deep(fd, level + 1, name_length); });
  }
}

void Generator::make_random(int directory, int directories) {
  for (int i = 0; i < profile_.random_entries_each; ++i) {
    make_random_entry(directory, fmt::format("r{}", i));
  }
  const int below = directories - 1;
  if (below > 0) {
    const int left = static_cast<int>(random_.below(static_cast<std::uint64_t>(below))) + 1;
    make_directory(directory, "left", [&](int fd) { make_random(fd, left); });
    if (below > left) {
      make_directory(directory, "right", [&](int fd) { make_random(fd, below - left); });
    }
  }
}

void Generator::make_random_entry(int dirfd, const std::string& name) {
  switch (random_.below(12)) {
    case 0: make_symlink(dirfd, name, random_.pick({"r1", "../r2", "/tmp", "missing"})); break;
    case 1: make_node(dirfd, name, S_IFIFO); break;
    case 2: {
      const std::uint64_t data[] = {random_.below(20) * 128 * kibi};
      make_sparse_file(dirfd, name, std::uint64_t{22} * 128 * kibi + random_.below(9999), data);
      break;
    }
    case 3: make_file(dirfd, name, random_.bytes(random_.below(2 * mebi))); break;
    default: make_file(dirfd, name, random_.bytes(random_.below(20'000)));
  }
}

template <typename Fill>
void Generator::make_directory(int parent, const std::string& name, Fill fill) {
  check(::mkdirat(parent, name.c_str(), 0755), "mkdir", name);
  {
    const Fd fd = posix::open_directory(parent, name);
    fill(fd);
  }
  decorate(parent, name);
}

void Generator::make_file(int dirfd, const std::string& name, const std::string& content) {
  {
    const Fd fd(check(::openat(dirfd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), "create", name));
    for (std::size_t done = 0; done < content.size();) {
      done += static_cast<std::size_t>(check(::write(fd, content.data() + done, content.size() - done), "write", name));
    }
  }
  decorate(dirfd, name);
}

void Generator::make_sparse_file(int dirfd, const std::string& name, std::uint64_t size,
                                 std::span<const std::uint64_t> data) {
  {
    const Fd fd(check(::openat(dirfd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), "create", name));
    check(::ftruncate(fd, static_cast<off_t>(size)), "truncate", name);
    for (const std::uint64_t offset : data) {
      const std::string block = random_.bytes(std::min(64 * kibi, size - offset));
      check(::pwrite(fd, block.data(), block.size(), static_cast<off_t>(offset)), "write", name);
    }
  }
  decorate(dirfd, name);
}

void Generator::make_node(int dirfd, const std::string& name, mode_t type, dev_t device) {
  if (::mknodat(dirfd, name.c_str(), type | 0644U, device) == 0) {
    decorate(dirfd, name);
  } else if (errno != EPERM) {
    posix::die("mknod", name);
  }
}

void Generator::make_symlink(int dirfd, const std::string& name, const std::string& target) {
  check(::symlinkat(target.c_str(), dirfd, name.c_str()), "symlink", name);
  decorate(dirfd, name);
}

void Generator::decorate(int dirfd, const std::string& name) {
  struct stat status{};
  check(::fstatat(dirfd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW), "stat", name);
  if (random_.one_in(3)) {
    const uid_t owner = random_.pick({0U, 1U, 1000U, 65534U, 100'000U});
    const gid_t group = random_.pick({0U, 5U, 1000U, 65534U, 200'000U});
    if (::fchownat(dirfd, name.c_str(), owner, group, AT_SYMLINK_NOFOLLOW) != 0 && errno != EPERM && errno != EINVAL) {
      posix::die("chown", name);
    }
  }
  if (random_.one_in(15)) {
    set_attribute(dirfd, name, "user.random", random_.bytes(random_.below(50)));
  }
  if (random_.one_in(15)) {
    set_attribute(dirfd, name, "trusted.random", random_.bytes(random_.below(50)));
  }
  const bool is_symlink = S_ISLNK(status.st_mode);
  if (!is_symlink && random_.one_in(20)) {
    set_attribute(dirfd, name, "system.posix_acl_access", access_control_list(random_));
  }
  if (S_ISDIR(status.st_mode) && random_.one_in(10)) {
    set_attribute(dirfd, name, "system.posix_acl_default", access_control_list(random_));
  }
  if (!is_symlink && random_.one_in(3)) {
    const mode_t mode = random_.pick({0600U, 0640U, 0755U, 0700U, 0444U, 0000U, 0666U, 01777U, 02750U, 04711U});
    check(::fchmodat(dirfd, name.c_str(), mode, 0), "chmod", name);
  }
  set_time(dirfd, name);
}

void Generator::set_time(int dirfd, const std::string& name) {
  // 1902 to 2400 is what ext4 (256-byte inodes), XFS (bigtime), Btrfs and tmpfs all keep exactly.
  constexpr std::int64_t year = 31'556'952;
  std::int64_t seconds = 1'500'000'000 + static_cast<std::int64_t>(random_.below(200'000'000));
  if (random_.one_in(10)) {
    seconds = random_.pick({-68 * year, -std::int64_t{1}, std::int64_t{0}, std::int64_t{1},
                            0x7fffffff * std::int64_t{1}, 0x80000000 * std::int64_t{1}, 430 * year});
  }
  const long nanoseconds = random_.one_in(10) ? 0 : static_cast<long>(random_.below(1'000'000'000));
  const timespec times[] = {{seconds + 5, nanoseconds}, {seconds, nanoseconds}};
  check(::utimensat(dirfd, name.c_str(), times, AT_SYMLINK_NOFOLLOW), "utimensat", name);
}

void Generator::change_tree(int directory) {
  for (const std::string& name : posix::names_in(directory)) {
    struct stat status{};
    check(::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW), "stat", name);
    if (S_ISDIR(status.st_mode)) {
      change_tree(posix::open_directory(directory, name));
      set_time(directory, name);
    } else if (random_.one_in(4)) {
      if (S_ISREG(status.st_mode) && status.st_size < 16 * std::int64_t{mebi}) {
        rewrite(directory, name, status);
      }
      set_time(directory, name);
    } else if (S_ISREG(status.st_mode) && random_.one_in(20)) {
      check(::unlinkat(directory, name.c_str(), 0), "unlink", name);
      make_symlink(directory, name, "was a file");
    } else if (S_ISREG(status.st_mode) && random_.one_in(10)) {  // another inode: link groups come apart
      check(::unlinkat(directory, name.c_str(), 0), "unlink", name);
      make_file(directory, name, random_.bytes(random_.below(10'000)));
    } else if (S_ISLNK(status.st_mode) && random_.one_in(3)) {
      check(::unlinkat(directory, name.c_str(), 0), "unlink", name);
      make_symlink(directory, name, "elsewhere");
    } else if (random_.one_in(50)) {
      check(::unlinkat(directory, name.c_str(), 0), "unlink", name);
    }
  }
  if (random_.one_in(5)) {
    make_file(directory, "added", random_.bytes(random_.below(100'000)));
    make_directory(directory, "added directory", [this](int fd) { make_random_entry(fd, "added"); });
  }
}

/// New content in the same inode: shorter, longer or as long as before, always without holes.
void Generator::rewrite(int dirfd, const std::string& name, const struct stat& status) {
  const Fd fd(check(::openat(dirfd, name.c_str(), O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC), "open", name));
  const auto size = static_cast<std::size_t>(status.st_size);
  const std::size_t sizes[] = {size, size / 2, size + 1, size + 70'000, 0};
  const std::string content = random_.bytes(random_.pick(sizes));
  check(::write(fd, content.data(), content.size()), "write", name);
}

int usage() {
  fmt::print(stderr,
             "usage: tree_generator SEED DIR [--profile=small|full] [--without=whiteout] [--past-path-max]\n"
             "       tree_generator --change SEED DIR\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  bool change = false;
  bool whiteouts = true;
  bool past_path_max = false;
  Profile profile = small_profile;
  std::erase_if(arguments, [&](const std::string& argument) {
    change = change || argument == "--change";
    whiteouts = whiteouts && argument != "--without=whiteout";
    past_path_max = past_path_max || argument == "--past-path-max";
    if (argument == "--profile=full") {
      profile = full_profile;
    }
    return argument.starts_with("--");
  });
  if (arguments.size() != 2) {
    return usage();
  }
  posix::allow_many_descriptors();
  ::umask(022);
  Generator generator(std::strtoull(arguments[0].c_str(), nullptr, 10), profile, whiteouts, past_path_max);
  const std::string& root = arguments[1];
  if (::mkdir(root.c_str(), 0755) != 0 && errno != EEXIST) {
    posix::die("mkdir", root);
  }
  const Fd fd = posix::open_directory(AT_FDCWD, root);
  if (change) {
    generator.change_tree(fd);
  } else {
    generator.make_tree(fd);
  }
  return 0;
}
