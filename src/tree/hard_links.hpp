// Which source inodes with several names have been copied, and where to: so that the copies are names of one file too.
#pragma once

#include "tree/directory.hpp"

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace ferry {

// A name in a directory of the job. `source` is as in Directory::name for entries named by operands.
struct TreeName {
  DirectoryRef directory;
  std::string source;
  std::string destination;
};

// One pass: the first worker to meet an inode copies it, whoever meets it meanwhile leaves its name here, whoever comes
// later links to the copy. Memory: one entry per inode that has more names than were met so far. Thread-safe.
class HardLinks {
 public:
  enum class Claim : std::uint8_t {
    make,      // The caller is to copy the file, then to call made() or failed().
    link,      // `existing` is a copy to link to.
    deferred,  // Another worker is copying it and will link this name; the caller has nothing left to do.
  };

  // `links` is the source's st_nlink. `existing` is set for Claim::link.
  Claim claim(InodeIdentity inode, std::uint32_t links, const TreeName& name, TreeName& existing);
  // The copy is at `name`; returns the names left meanwhile, for the caller to link.
  std::vector<TreeName> made(InodeIdentity inode, const TreeName& name);
  // The copy failed: returns the names left meanwhile, for the caller to try anew (with claim()).
  std::vector<TreeName> failed(InodeIdentity inode);

 private:
  struct Hash {
    std::size_t operator()(const InodeIdentity& inode) const noexcept {
      return std::hash<std::uint64_t>()(inode.inode * 0x9E3779B97F4A7C15U ^ inode.device);
    }
  };
  struct Link {
    bool is_made = false;
    std::uint32_t names_left = 0;
    TreeName copy;
    std::vector<TreeName> waiting;
  };
  std::mutex mutex_;
  std::unordered_map<InodeIdentity, Link, Hash> links_;
};

}  // namespace ferry
