// Comparing and setting what belongs to a file besides its data, by rsync's rules.
#pragma once

#include <ferry/meta.hpp>

#include <cstdint>

#include "sync/sync_job.hpp"

namespace ferry {

// For SyncEvent::changes.
constexpr std::uint16_t bit(SyncChange change) noexcept { return static_cast<std::uint16_t>(change); }

// Which attributes that the options preserve differ between source and destination: SyncChange bits. `source` is as
// SyncJob::adjust() leaves it. ACLs and extended attributes are not looked at.
std::uint16_t attribute_changes(const SyncJob& job, const struct statx& source, const struct statx& destination);

// The same for ACLs and extended attributes of entries by name; two calls for entries that have none.
std::uint16_t extended_changes(const SyncJob& job, int source_dirfd, const char* source, int destination_dirfd,
                               const char* destination, bool is_symlink);

// The mode that an existing destination is to have (with -p, -E, or neither).
std::uint32_t wanted_mode(const SyncJob& job, const struct statx& source, std::uint32_t existing_mode);

// What a file has before it is given attributes, and the mode that it is to have.
struct AttributeState {
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint32_t wanted_mode = 0;
  bool may_have_acls = false;
};

// Gives `to` what the options preserve of the source. `from`: only needed where ACLs or extended attributes are
// preserved. Failures go to the job, named by `path`; false then.
bool set_attributes(SyncJob& job, MetadataTarget from, const struct statx& source, MetadataTarget to,
                    const AttributeState& now, const std::string& path);

// Whether the times of this kind of file are preserved.
bool keeps_times(const SyncOptions& options, std::uint32_t mode) noexcept;

}  // namespace ferry
