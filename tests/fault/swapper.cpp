/// \file
/// swapper SECONDS PAIRS: swaps names as fast as it can, until the time is over. PAIRS is a file of lines "PATH\tPATH":
/// each pair is exchanged atomically (renameat2(2) RENAME_EXCHANGE), back and forth, in turns at random. Prints the
/// number of swaps. Names that are missing at the moment are passed over: the job under test may be replacing them. No
/// symlink is followed on the way to a name, so the swapper itself changes nothing outside.
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <chrono>
#include <fstream>
#include <random>

#include "support/posix.hpp"

namespace {

/// The directory of `path`, opened without following any symlink; -1 if that is not possible at the moment.
posix::Fd parent_of(const std::string& path) {
  const std::string parent = path.substr(0, path.rfind('/'));
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS;
  return posix::Fd(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, parent.c_str(), &how, sizeof how)));
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

bool exchange(const std::string& one, const std::string& other) {
  const posix::Fd one_parent = parent_of(one);
  const posix::Fd other_parent = parent_of(other);
  if (one_parent < 0 || other_parent < 0) {
    return false;
  }
  if (::renameat2(one_parent, name_of(one).c_str(), other_parent, name_of(other).c_str(), RENAME_EXCHANGE) == 0) {
    return true;
  }
  if (errno != ENOENT && errno != EINVAL) {  // EINVAL: one lies within the other by now
    posix::die("renameat2", one);
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: swapper SECONDS PAIRS\n");
    return 2;
  }
  std::vector<std::pair<std::string, std::string>> pairs;
  std::ifstream file(argv[2]);
  for (std::string line; std::getline(file, line);) {
    const std::size_t tab = line.find('\t');
    pairs.emplace_back(line.substr(0, tab), line.substr(tab + 1));
  }
  std::mt19937_64 random(1);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(argv[1]));
  unsigned long swaps = 0;
  while (std::chrono::steady_clock::now() < end) {
    const auto& [one, other] = pairs[random() % pairs.size()];
    swaps += exchange(one, other) ? 1 : 0;
  }
  fmt::print("{} swaps\n", swaps);
  return 0;
}
