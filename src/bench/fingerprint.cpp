#include "bench/fingerprint.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <xxhash.h>
#include <ferry/base.hpp>

namespace ferry::bench {
namespace {

struct HashedEntry {
  std::string path;  // relative to the root; empty for the root itself
  struct ::stat status = {};
  XXH128_hash_t hash = {};
};

/// Visits a tree depth first, one open directory per level.
class Reader {
 public:
  using Visit = std::function<void(const HashedEntry&)>;
  // `visit_links` gets what visit_hard_links() makes up, which are no entries of the tree.
  Reader(Fidelity fidelity, Visit visit, Visit visit_links)
      : fidelity_(fidelity),
        visit_(std::move(visit)),
        visit_links_(std::move(visit_links)),
        buffer_(std::size_t{1} << 20U) {}

  Outcome<void> read(int dirfd, const char* name, const std::string& path) {
    HashedEntry entry{.path = path};
    if (::fstatat(dirfd, name, &entry.status, AT_SYMLINK_NOFOLLOW) != 0) {
      return failed("cannot stat " + ferry::quoted(path.empty() ? name : path), errno);
    }
    XXH128_hash_t content = {};
    if (S_ISREG(entry.status.st_mode)) {
      if (auto done = hash_file(dirfd, name, path, content); !done) {
        return done;
      }
    } else if (S_ISLNK(entry.status.st_mode)) {
      if (auto done = hash_symlink(dirfd, name, path, content); !done) {
        return done;
      }
    }
    std::string extended;
    if (fidelity_ == Fidelity::everything) {
      if (auto done = read_extended(dirfd, name, path, extended); !done) {
        return done;
      }
      if (S_ISREG(entry.status.st_mode) && entry.status.st_nlink > 1) {
        names_[{entry.status.st_dev, entry.status.st_ino}].push_back(path);
      }
    }
    entry.hash = hash_record(entry, content, extended);
    visit_(entry);
    return S_ISDIR(entry.status.st_mode) ? read_directory(dirfd, name, path) : Outcome<void>{};
  }

  // Which names are one file: for each such file its names in the tree, visited as one more entry called by the first.
  void visit_hard_links() {
    for (auto& [inode, names] : names_) {
      std::ranges::sort(names);
      HashedEntry entry{.path = names.front() + " (its hard links)"};
      const std::string record = fmt::format("hard links\n{}", fmt::join(names, "\n"));
      entry.hash = XXH3_128bits(record.data(), record.size());
      visit_links_(entry);
    }
  }

 private:
  Outcome<void> read_directory(int dirfd, const char* name, const std::string& path) {
    const int fd = ::openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(fd < 0 ? nullptr : ::fdopendir(fd), ::closedir);
    if (!directory) {
      return failed("cannot open directory " + ferry::quoted(path), errno);
    }
    while (true) {
      errno = 0;
      const dirent* const found = ::readdir(directory.get());
      if (found == nullptr) {
        return errno == 0 ? Outcome<void>{}
                          : Outcome<void>(failed("cannot read directory " + ferry::quoted(path), errno));
      }
      const std::string child = found->d_name;
      if (child == "." || child == "..") {
        continue;
      }
      const std::string child_path = path.empty() ? child : fmt::format("{}/{}", path, child);
      if (auto done = read(fd, child.c_str(), child_path); !done) {
        return done;
      }
    }
  }

  Outcome<void> hash_file(int dirfd, const char* name, const std::string& path, XXH128_hash_t& content) {
    const UniqueFd file(::openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file) {
      return failed("cannot open " + ferry::quoted(path), errno);
    }
    const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
    XXH3_128bits_reset(state.get());
    while (true) {
      const ssize_t got = ::read(file.get(), buffer_.data(), buffer_.size());
      if (got == 0) {
        break;
      }
      if (got < 0 && errno != EINTR) {
        return failed("cannot read " + ferry::quoted(path), errno);
      }
      if (got > 0) {
        XXH3_128bits_update(state.get(), buffer_.data(), static_cast<std::size_t>(got));
      }
    }
    content = XXH3_128bits_digest(state.get());
    return {};
  }

  Outcome<void> hash_symlink(int dirfd, const char* name, const std::string& path, XXH128_hash_t& content) {
    const ssize_t length = ::readlinkat(dirfd, name, buffer_.data(), buffer_.size());
    if (length < 0) {
      return failed("cannot read link " + ferry::quoted(path), errno);
    }
    content = XXH3_128bits(buffer_.data(), static_cast<std::size_t>(length));
    return {};
  }

  // Names and values of extended attributes and ACLs, in the order of the names.
  Outcome<void> read_extended(int dirfd, const char* name, const std::string& path, std::string& record) {
    const std::string entry = fmt::format("/proc/self/fd/{}/{}", dirfd, name);
    const char* const place = dirfd == AT_FDCWD ? name : entry.c_str();
    const ssize_t length = ::llistxattr(place, buffer_.data(), buffer_.size());
    if (length < 0) {
      return errno == ENOTSUP ? Outcome<void>{}
                              : Outcome<void>(failed("cannot list attributes of " + ferry::quoted(path), errno));
    }
    std::vector<std::string> names;
    for (std::string_view left(buffer_.data(), static_cast<std::size_t>(length)); !left.empty();) {
      names.emplace_back(left.data());
      left.remove_prefix(names.back().size() + 1);
    }
    std::ranges::sort(names);
    for (const std::string& attribute : names) {
      const ssize_t size = ::lgetxattr(place, attribute.c_str(), buffer_.data(), buffer_.size());
      if (size < 0) {
        return failed("cannot read an attribute of " + ferry::quoted(path), errno);
      }
      record += fmt::format("\n{}\n{}\n", attribute, size);
      record.append(buffer_.data(), static_cast<std::size_t>(size));
    }
    return {};
  }

  // Sizes of directories and times of symlinks' targets say nothing about a copy; a directory's own size is left out.
  [[nodiscard]] XXH128_hash_t hash_record(const HashedEntry& entry, const XXH128_hash_t& content,
                                          const std::string& extended) const {
    const struct ::stat& status = entry.status;
    std::string record =
        fmt::format("{}\n{}\n{}\n{}\n{}", status.st_mode & S_IFMT, S_ISREG(status.st_mode) ? status.st_size : 0,
                    status.st_rdev, content.high64, content.low64);
    if (fidelity_ != Fidelity::content) {
      record += fmt::format("\n{}\n{}\n{}\n{}.{}", status.st_mode, status.st_uid, status.st_gid, status.st_mtim.tv_sec,
                            status.st_mtim.tv_nsec);
    }
    record += extended + '\n' + entry.path;
    return XXH3_128bits(record.data(), record.size());
  }

  Fidelity fidelity_;
  Visit visit_;
  Visit visit_links_;
  std::vector<char> buffer_;
  std::map<std::pair<dev_t, ino_t>, std::vector<std::string>> names_;  // of files that have several
};

Outcome<std::map<std::string, XXH128_hash_t>> entries_of(const std::filesystem::path& root, Fidelity fidelity) {
  std::map<std::string, XXH128_hash_t> entries;
  const auto keep = [&entries](const HashedEntry& entry) { entries.emplace(entry.path, entry.hash); };
  Reader reader(fidelity, keep, keep);
  if (const auto done = reader.read(AT_FDCWD, root.c_str(), {}); !done) {
    return std::unexpected(done.error());
  }
  reader.visit_hard_links();
  return entries;
}

// Reads both trees again, entry by entry: only done for a copy already known to be wrong.
std::string first_difference(const std::filesystem::path& source, const std::filesystem::path& copy,
                             Fidelity fidelity) {
  const auto expected = entries_of(source, fidelity);
  const auto found = entries_of(copy, fidelity);
  if (!expected || !found) {
    return expected ? found.error() : expected.error();
  }
  const auto shown = [](const std::string& path) { return path.empty() ? "the root itself" : ferry::quoted(path); };
  for (const auto& [path, hash] : *expected) {
    const auto match = found->find(path);
    if (match == found->end()) {
      return shown(path) + " is missing";
    }
    if (XXH128_isEqual(match->second, hash) == 0) {
      return shown(path) + (fidelity == Fidelity::content ? " differs" : " differs in content or attributes");
    }
  }
  for (const auto& [path, hash] : *found) {
    if (!expected->contains(path)) {
      return shown(path) + " is not in the source";
    }
  }
  return "the source changed after it was first read";
}

}  // namespace

Outcome<Fingerprint> fingerprint_of(const std::filesystem::path& root, Fidelity fidelity) {
  Fingerprint sum;
  const auto add_hash = [&sum](const HashedEntry& entry) {
    sum.digest[0] += entry.hash.high64;
    sum.digest[1] += entry.hash.low64;
  };
  const auto add = [&](const HashedEntry& entry) {
    ++sum.entries;
    sum.allocated_bytes += static_cast<std::uint64_t>(entry.status.st_blocks) * 512;
    if (S_ISDIR(entry.status.st_mode)) {
      ++sum.directories;
    } else if (S_ISREG(entry.status.st_mode)) {
      ++sum.regular_files;
      sum.bytes += static_cast<std::uint64_t>(entry.status.st_size);
    }
    add_hash(entry);
  };
  Reader reader(fidelity, add, add_hash);
  if (const auto done = reader.read(AT_FDCWD, root.c_str(), {}); !done) {
    return std::unexpected(done.error());
  }
  reader.visit_hard_links();
  return sum;
}

Outcome<void> check_copy(const std::filesystem::path& source, const Fingerprint& expected,
                         const std::filesystem::path& copy, Fidelity fidelity) {
  const auto found = fingerprint_of(copy, fidelity);
  if (!found) {
    return std::unexpected("wrong copy: " + found.error());
  }
  if (found->same_content(expected)) {
    return {};
  }
  return std::unexpected("wrong copy: " + first_difference(source, copy, fidelity));
}

}  // namespace ferry::bench
