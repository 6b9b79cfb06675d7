// A directory of a sync: where its entries come from, where they go, and what is left to do when they are there.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sync/filter_rules.hpp"
#include "tree/directory.hpp"

namespace ferry {

// What the sources name explicitly, as a tree of names in the destination.
struct PlanNode {
  struct Location {
    DirectoryRef directory;
    std::string name;
  };
  std::map<std::string, std::unique_ptr<PlanNode>, std::less<>> children;
  // Where the entry is. Empty: under the same name in the sources of the directory that this is a child of.
  std::vector<Location> locations;
  bool contents = false;    // what the directory holds takes part, too
  bool recursive = false;   // and what its subdirectories hold
  bool is_implied = false;  // a parent that --relative names on the way
  std::string shown_name;   // in events, if another than the destination's
};

struct SyncDirectory {
  std::shared_ptr<SyncDirectory> parent;
  std::string path;  // relative to the root of the transfer; "" is the root itself
  std::vector<DirectoryRef> sources;
  DirectoryRef destination;         // none: it does not exist (dry run)
  std::vector<DirectoryRef> basis;  // as options.basis; none where it is missing
  const PlanNode* plan = nullptr;
  std::shared_ptr<const FilterRules> rules;           // the sender's
  std::shared_ptr<const FilterRules> receiver_rules;  // with the per-directory files that the destination has
  bool contents = true;                               // the entries of `sources` take part
  bool recursive = true;                              // subdirectories are entered
  bool is_new = false;                                // made by this job: it holds nothing else
  bool is_at_mount = false;                           // -x: not entered
  bool has_attributes = false;                        // source_status is to be given to the destination at the end
  bool differs = true;                                // its attributes were not all the source's when it was entered
  struct statx source_status = {};
  struct statx destination_status = {};
  std::atomic<bool> is_touched = false;      // something was made or removed in the destination: its times changed
  std::atomic<bool> has_read_error = false;  // nothing is deleted here
  std::uint32_t added_mode_bits = 0;
  // What is created in the destination inherits an ACL. Asked for when it first matters.
  enum class DefaultAcl : std::uint8_t { unknown, absent, present };
  std::atomic<DefaultAcl> default_acl = DefaultAcl::unknown;
  std::atomic<std::uint32_t> pending = 1;

  [[nodiscard]] std::string path_of(std::string_view name) const { return joined(path, name); }
  [[nodiscard]] int destination_fd() const noexcept { return destination->source_fd(); }
};
using SyncDirectoryRef = std::shared_ptr<SyncDirectory>;

}  // namespace ferry
