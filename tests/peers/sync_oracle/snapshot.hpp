/// \file
/// What a tree is, read from disk, and in what two trees differ.
#pragma once

#include <ctime>
#include <map>
#include <string>
#include <vector>

namespace oracle {

struct EntryState {
  mode_t mode = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::uint64_t size = 0;
  std::uint64_t blocks = 0;
  dev_t device = 0;
  timespec mtime = {};
  timespec atime = {};
  std::string same_file_as = {};  ///< The first name of its inode; of directories empty.
  std::string content = {};       ///< A file's bytes, a symlink's target.
  std::map<std::string, std::string> attributes = {};
};

using Snapshot = std::map<std::string, EntryState>;

Snapshot take_snapshot(const std::string& root);

struct Comparison {
  bool blocks = false;  ///< Files of the second may not take more blocks than those of the first.
  bool atimes = false;
  timespec began = {};  ///< Times from then on are "now", whenever exactly.
};

/// One line for each difference.
std::vector<std::string> differences(const Snapshot& expected, const Snapshot& actual, const Comparison& how);

}  // namespace oracle
