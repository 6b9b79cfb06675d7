// Who copies an inode with several names, and who links to the copy: the part of that table that one rank keeps for
// all. Every inode has a home rank, by its number.
#pragma once

#include <ferry/meta.hpp>

#include "tree/partners.hpp"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace ferry::mpi {

// One entry per inode that has more names than were met so far. Not thread-safe.
class LinkTable {
 public:
  struct Reply {
    int to = 0;
    std::uint64_t claim = 0;
    LinkAnswer answer = LinkAnswer::make;
    Place copy = {};
    std::string name = {};
  };

  [[nodiscard]] static int home_of(InodeIdentity inode, int ranks) noexcept;

  // One of `links` names was met by the rank `from`. The reply may have to wait for the copy: then there is none now.
  [[nodiscard]] std::vector<Reply> claim(InodeIdentity inode, std::uint32_t links, int from, std::uint64_t claim);
  // Whoever was told to make the copy has made it, or could not.
  [[nodiscard]] std::vector<Reply> made(InodeIdentity inode, const Place& copy, const std::string& name);
  [[nodiscard]] std::vector<Reply> failed(InodeIdentity inode);

  [[nodiscard]] std::size_t size() const noexcept { return links_.size(); }

 private:
  struct Hash {
    std::size_t operator()(const InodeIdentity& inode) const noexcept {
      return inode.inode * 0x9E3779B97F4A7C15U ^ inode.device;
    }
  };
  struct Waiting {
    int rank;
    std::uint64_t claim;
  };
  struct Link {
    bool is_made = false;
    std::uint32_t names_left = 0;
    Place copy;
    std::string name;
    std::vector<Waiting> waiting;
  };
  std::unordered_map<InodeIdentity, Link, Hash> links_;
};

}  // namespace ferry::mpi
