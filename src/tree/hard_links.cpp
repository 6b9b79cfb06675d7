#include "tree/hard_links.hpp"

#include <utility>

namespace ferry {

HardLinks::Claim HardLinks::claim(InodeIdentity inode, std::uint32_t links, const TreeName& name, TreeName& existing) {
  const std::scoped_lock lock(mutex_);
  const auto [found, is_new] = links_.try_emplace(inode);
  Link& link = found->second;
  if (is_new) {
    link.names_left = links - 1;
    return Claim::make;
  }
  if (link.names_left > 0) {
    --link.names_left;
  }
  if (!link.is_made) {
    link.waiting.push_back(name);
    return Claim::deferred;
  }
  existing = link.copy;
  if (link.names_left == 0) {
    links_.erase(found);  // every name of it has been seen
  }
  return Claim::link;
}

std::vector<TreeName> HardLinks::made(InodeIdentity inode, const TreeName& name) {
  const std::scoped_lock lock(mutex_);
  const auto found = links_.find(inode);
  std::vector<TreeName> waiting = std::exchange(found->second.waiting, {});
  found->second.is_made = true;
  found->second.copy = name;
  if (found->second.names_left == 0) {
    links_.erase(found);
  }
  return waiting;
}

std::vector<TreeName> HardLinks::failed(InodeIdentity inode) {
  const std::scoped_lock lock(mutex_);
  const auto found = links_.find(inode);
  std::vector<TreeName> waiting = std::move(found->second.waiting);
  links_.erase(found);
  return waiting;
}

}  // namespace ferry
