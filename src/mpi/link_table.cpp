#include "mpi/link_table.hpp"

#include <utility>

namespace ferry::mpi {

int LinkTable::home_of(InodeIdentity inode, int ranks) noexcept {
  std::uint64_t mixed = (inode.inode ^ inode.device) * 0x9E3779B97F4A7C15U;
  mixed ^= mixed >> 32U;
  return static_cast<int>(mixed % static_cast<std::uint64_t>(ranks));
}

std::vector<LinkTable::Reply> LinkTable::claim(InodeIdentity inode, std::uint32_t links, int from,
                                               std::uint64_t claim) {
  const auto [found, is_new] = links_.try_emplace(inode);
  Link& link = found->second;
  if (is_new) {
    link.names_left = links > 0 ? links - 1 : 0;
    return {{.to = from, .claim = claim, .answer = LinkAnswer::make, .copy = {}, .name = {}}};
  }
  if (link.names_left > 0) {
    --link.names_left;
  }
  if (!link.is_made) {
    link.waiting.push_back({from, claim});
    return {};
  }
  std::vector<Reply> replies{
      {.to = from, .claim = claim, .answer = LinkAnswer::link, .copy = link.copy, .name = link.name}};
  if (link.names_left == 0) {
    links_.erase(found);  // every name of it has been seen
  }
  return replies;
}

std::vector<LinkTable::Reply> LinkTable::made(InodeIdentity inode, const Place& copy, const std::string& name) {
  std::vector<Reply> replies;
  const auto found = links_.find(inode);
  if (found == links_.end()) {
    return replies;
  }
  Link& link = found->second;
  for (const Waiting& each : std::exchange(link.waiting, {})) {
    replies.push_back({.to = each.rank, .claim = each.claim, .answer = LinkAnswer::link, .copy = copy, .name = name});
  }
  if (link.names_left == 0) {
    links_.erase(found);
  } else {
    link.is_made = true;
    link.copy = copy;
    link.name = name;
  }
  return replies;
}

std::vector<LinkTable::Reply> LinkTable::failed(InodeIdentity inode) {
  std::vector<Reply> replies;
  if (const auto found = links_.find(inode); found != links_.end()) {
    for (const Waiting& each : found->second.waiting) {
      replies.push_back({.to = each.rank, .claim = each.claim, .answer = LinkAnswer::again, .copy = {}, .name = {}});
    }
    links_.erase(found);
  }
  return replies;
}

}  // namespace ferry::mpi
