// Which source inodes with several names (-H) have been dealt with, and where: so that the others become links to it.
#pragma once

#include "sync/sync_directory.hpp"

#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ferry {

// A name in the destination, and the source's; the source directory is one of those of `directory`, or an operand's.
struct LinkName {
  SyncDirectoryRef directory;
  std::string name;
  const Directory* source_directory = nullptr;
  std::string source_name;
};

// The first worker to meet an inode makes its first name; whoever meets it meanwhile leaves its name, whoever comes
// later links at once. Memory: one entry per inode with more names than were met so far. Thread-safe.
class LinkGroups {
 public:
  enum class Claim : std::uint8_t {
    make,      // The caller makes the name, then calls settle().
    link,      // `first` is there to be linked to.
    deferred,  // Another worker is making the first name and will link this one.
  };

  Claim claim(InodeIdentity inode, std::uint32_t names, const LinkName& name, LinkName& first) {
    const std::scoped_lock lock(mutex_);
    const auto [found, is_first] = groups_.try_emplace(inode);
    Group& group = found->second;
    if (is_first) {
      group.names_left = names;
    }
    --group.names_left;
    if (is_first) {
      return Claim::make;
    }
    if (!group.is_settled) {
      group.waiting.push_back(name);
      return Claim::deferred;
    }
    if (!group.first) {  // the first name was not made: this one takes its place
      group.is_settled = false;
      return Claim::make;
    }
    first = *group.first;
    if (group.names_left == 0) {
      groups_.erase(found);
    }
    return Claim::link;
  }

  // Whether names of this inode are still to come.
  [[nodiscard]] bool knows(InodeIdentity inode) {
    const std::scoped_lock lock(mutex_);
    return groups_.contains(inode);
  }

  // The first name is there, or (empty) could not be made; returns the names left meanwhile.
  std::vector<LinkName> settle(InodeIdentity inode, std::optional<LinkName> first) {
    const std::scoped_lock lock(mutex_);
    const auto found = groups_.find(inode);
    Group& group = found->second;
    group.is_settled = true;
    group.first = std::move(first);
    std::vector<LinkName> waiting = std::exchange(group.waiting, {});
    if (group.names_left == 0) {
      groups_.erase(found);
    }
    return waiting;
  }

 private:
  struct Hash {
    std::size_t operator()(const InodeIdentity& inode) const noexcept {
      return std::hash<std::uint64_t>()((inode.inode * 0x9E3779B97F4A7C15U) ^ inode.device);
    }
  };
  struct Group {
    std::uint32_t names_left = 0;
    bool is_settled = false;
    std::optional<LinkName> first;
    std::vector<LinkName> waiting;
  };
  std::mutex mutex_;
  std::unordered_map<InodeIdentity, Group, Hash> groups_;
};

}  // namespace ferry
