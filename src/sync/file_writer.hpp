// The data of regular files: comparing it, and putting new content under a name.
#pragma once

#include "sync/attributes.hpp"
#include "sync/backups.hpp"
#include "sync/sync_entry.hpp"
#include "sync/sync_job.hpp"

#include <ferry/copy.hpp>

#include <optional>
#include <vector>

namespace ferry {

// One per worker; not thread-safe. Failures go to the job.
class FileWriter {
 public:
  FileWriter(SyncJob& job, Backups& backups);

  // What was done for a file.
  struct Written {
    CopyReport report;
    std::uint64_t literal_bytes = 0;
    std::uint64_t matched_bytes = 0;
  };
  // Makes the destination's content and attributes those of the source. Empty: it failed, and the old file is as it was
  // (but for options that write in place).
  std::optional<Written> write(const SyncEntry& entry);
  // The same from another file with the same content, which is open: --copy-dest.
  std::optional<Written> write_from(const SyncEntry& entry, int basis_dirfd, const char* basis_name);

  // Whether two files of the same size hold the same bytes. Empty: one could not be read.
  std::optional<bool> has_same_content(const SyncEntry& entry, int dirfd, const char* name);

 private:
  struct Source {
    UniqueFd fd;
    struct statx status = {};
    bool has_changed = false;          // while it was copied
    UniqueFd attributes = UniqueFd();  // where ACLs and attributes come from, if not from `fd`
  };
  bool open_source(const SyncEntry& entry, Source& source);
  int open_existing(const SyncEntry& entry, int flags, UniqueFd& fd) const;
  std::optional<Written> write_in_place(const SyncEntry& entry, Source& source);
  std::optional<Written> append(const SyncEntry& entry, Source& source);
  std::optional<Written> replace(const SyncEntry& entry, Source& source);
  std::optional<Written> update_blocks(const SyncEntry& entry, Source& source, int old, int out,
                                       std::uint64_t old_size);
  bool note_change(const SyncEntry& entry, Source& source);
  std::optional<Written> copy_all(const SyncEntry& entry, Source& source, int out, std::uint64_t old_size);
  bool finish(const SyncEntry& entry, const Source& source, int out, const AttributeState& state);
  std::optional<Written> fail(const SyncEntry& entry, const Error& error);

  SyncJob& job_;
  Backups& backups_;
  FileCopier copier_;
  std::vector<std::byte> left_;  // of contents that are compared
  std::vector<std::byte> right_;
};

}  // namespace ferry
