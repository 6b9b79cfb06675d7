#include "bench/listing.hpp"

#include <dirent.h>
#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <memory>

#include <fmt/format.h>
#include <ferry/base.hpp>

namespace ferry::bench {
namespace {

char letter_of(mode_t mode) {
  if (S_ISREG(mode)) {
    return 'f';
  }
  if (S_ISDIR(mode)) {
    return 'd';
  }
  return S_ISLNK(mode) ? 'l' : '?';
}

Outcome<void> list(const std::string& root, const std::string& below, Listing& entries) {
  const std::string path = below.empty() ? root : fmt::format("{}/{}", root, below);
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  if (!directory) {
    return failed("cannot open directory " + ferry::quoted(path), errno);
  }
  errno = 0;
  for (const dirent* found = nullptr; (found = ::readdir(directory.get())) != nullptr; errno = 0) {
    const std::string name = found->d_name;
    if (name == "." || name == "..") {
      continue;
    }
    const std::string child = below.empty() ? name : fmt::format("{}/{}", below, name);
    struct ::stat status = {};
    if (::lstat(fmt::format("{}/{}", root, child).c_str(), &status) != 0) {
      return failed("cannot stat " + ferry::quoted(child), errno);
    }
    entries.insert(fmt::format("{} {}", letter_of(status.st_mode), child));
    if (S_ISDIR(status.st_mode)) {
      if (auto done = list(root, child, entries); !done) {
        return done;
      }
    }
  }
  return errno == 0 ? Outcome<void>{} : Outcome<void>(failed("cannot read directory " + ferry::quoted(path), errno));
}

}  // namespace

Outcome<Listing> listing_of(const std::filesystem::path& root) {
  Listing entries;
  auto done = list(root.native(), {}, entries);
  return done ? Outcome<Listing>(std::move(entries)) : std::unexpected(done.error());
}

Outcome<void> check_listing(const Listing& expected, const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    return std::unexpected("wrong list: none was made");
  }
  Listing missing = expected;
  for (std::string entry; std::getline(stream, entry, '\0');) {
    if (!expected.contains(entry)) {
      return std::unexpected("wrong list: " + ferry::quoted(entry) + " is not in the source");
    }
    if (missing.erase(entry) == 0) {
      return std::unexpected("wrong list: " + ferry::quoted(entry) + " is there twice");
    }
  }
  return missing.empty() ? Outcome<void>{}
                         : std::unexpected("wrong list: " + ferry::quoted(*missing.begin()) + " is missing");
}

}  // namespace ferry::bench
