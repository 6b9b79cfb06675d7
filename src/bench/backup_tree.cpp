#include "bench/backup_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include <ferry/base.hpp>

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t hundred = 100;
// Which of each hundred files is what; the others are plain. Few are fewer than a hundred: these have their share, too.
constexpr std::uint64_t attributed = 1;
constexpr std::uint64_t with_acl = 2;
constexpr std::uint64_t linked = 3;
constexpr std::uint64_t pointed_at = 4;
constexpr std::uint64_t stale = 5;

constexpr time_t old_time = 1'000'000'000;

// acl(5) as the kernel has it (linux/posix_acl_xattr.h): rw- for the owner, r-- for the user 1, the group and others.
struct AclEntry {
  std::uint16_t tag;
  std::uint16_t permissions;
  std::uint32_t id;
};
struct Acl {
  std::uint32_t version = 2;
  std::array<AclEntry, 5> entries = {AclEntry{0x01, 6, 0xFFFFFFFF}, AclEntry{0x02, 4, 1}, AclEntry{0x04, 4, 0xFFFFFFFF},
                                     AclEntry{0x10, 4, 0xFFFFFFFF}, AclEntry{0x20, 4, 0xFFFFFFFF}};
};

Outcome<void> set_attribute(const fs::path& path, const char* name, const void* value, std::size_t size) {
  const bool is_set = ::setxattr(path.c_str(), name, value, size, 0) == 0;
  return is_set || errno == ENOTSUP
             ? Outcome<void>{}
             : Outcome<void>(failed("cannot set an attribute of " + ferry::quoted(path.native()), errno));
}

Outcome<void> decorate(const fs::path& path, std::uint64_t number) {
  std::error_code error;
  switch (number % hundred) {
    case attributed: return set_attribute(path, "user.ferry.bench", path.c_str(), path.filename().native().size());
    case with_acl: {
      const Acl acl;
      return set_attribute(path, "system.posix_acl_access", &acl, sizeof acl);
    }
    case linked: fs::create_hard_link(path, path.native() + ".link", error); break;
    case pointed_at: fs::create_symlink(path.filename(), path.native() + ".symlink", error); break;
    default: break;
  }
  return error ? Outcome<void>(std::unexpected("cannot link " + ferry::quoted(path.native()) + ": " + error.message()))
               : Outcome<void>{};
}

Outcome<void> make_old(const fs::path& path) {
  constexpr long nanoseconds = 123'456'789;
  const std::array<timespec, 2> times = {timespec{old_time, nanoseconds}, timespec{old_time, nanoseconds}};
  return ::utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) == 0
             ? Outcome<void>{}
             : Outcome<void>(failed("cannot set the time of " + ferry::quoted(path.native()), errno));
}

Outcome<void> overwrite(const fs::path& path, std::uint64_t length, std::uint64_t stride) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  struct ::stat status = {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    return failed("cannot open " + ferry::quoted(path.native()), errno);
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const std::string other(std::min(length, size), '#');
  for (std::uint64_t at = 0; at < size; at += stride) {
    const std::size_t wanted = std::min<std::uint64_t>(other.size(), size - at);
    if (::pwrite(file.get(), other.data(), wanted, static_cast<off_t>(at)) != static_cast<ssize_t>(wanted)) {
      return failed("cannot write " + ferry::quoted(path.native()), errno);
    }
  }
  return make_old(path);
}

}  // namespace

Outcome<void> age_all_but_files(const fs::path& root) {
  std::error_code error;
  for (fs::recursive_directory_iterator at(root, error); !error && at != fs::recursive_directory_iterator();
       at.increment(error)) {
    if (at->is_symlink() || at->is_directory()) {
      if (auto done = make_old(at->path()); !done) {
        return done;
      }
    }
  }
  return error ? Outcome<void>(std::unexpected("cannot read " + ferry::quoted(root.native()) + ": " + error.message()))
               : make_old(root);
}

Outcome<void> make_backup_tree(const fs::path& root, const FileSet& set, const std::atomic<bool>* stop) {
  if (auto made = make_file_set(root, set, stop); !made) {
    return made;
  }
  for (std::uint64_t i = 0; i < set.files; ++i) {
    if (auto done = decorate(set.path_of(root, i), i); !done) {
      return done;
    }
  }
  return age_all_but_files(root);
}

Outcome<void> make_one_percent_stale(const fs::path& copy, const FileSet& set) {
  for (std::uint64_t i = stale; i < set.files; i += hundred) {
    const std::uint64_t all = std::max<std::uint64_t>(set.file_bytes, 1);
    if (auto done = overwrite(set.path_of(copy, i), all, all); !done) {
      return done;
    }
  }
  return {};
}

Outcome<void> make_one_percent_of_blocks_stale(const fs::path& file) {
  constexpr std::uint64_t block_bytes = 4096;
  return overwrite(file, block_bytes, hundred * block_bytes);
}

}  // namespace ferry::bench
