// What the operands name: which entries go where in the destination.
#pragma once

#include "sync/filter_rules.hpp"
#include "sync/sync_directory.hpp"
#include "sync/sync_job.hpp"

#include <map>
#include <span>
#include <string>
#include <vector>

namespace ferry {

struct Plan {
  PlanNode root;
  std::vector<DirectoryRef> contents;  // the sources whose contents belong into the root itself
  std::vector<DirectoryRef> opened;    // all that stay open as long as the job runs
};

// Opens what the operands name. Sources that are not there are reported, and left out. Errors: ".." in the paths of
// --relative and --files-from.
// What the rules of the command hide is not there, and neither are the parents that it alone would need.
Result<Plan> make_plan(SyncJob& job, const DirectoryRef& anchor, const FilterRules& rules,
                       std::span<const std::string> sources);

// Opens the directory `path` as a child of the anchor and keeps it open. The path is the user's: symlinks are followed.
Result<DirectoryRef> open_operand(SyncJob& job, const DirectoryRef& anchor, const std::string& path);
// The same, where `open` opens it: a descriptor, or -errno.
Result<DirectoryRef> open_operand(SyncJob& job, const DirectoryRef& anchor, const std::string& path,
                                  const std::function<int()>& open);

}  // namespace ferry
