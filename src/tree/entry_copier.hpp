// Copies one entry that is not a directory: files, symlinks, fifos, sockets and devices, with cp's rules for what is
// there already.
#pragma once

#include "tree/copy_job.hpp"

#include <functional>
#include <optional>

namespace ferry {

// A large file that several processes copy, by ranges.
struct SharedFile {
  const CopyEntry& entry;
  int in = -1;
  const struct statx& in_status;
  int out = -1;
  const char* temporary_name = "";
};
// Files from this size on, without holes.
inline constexpr std::uint64_t shared_file_bytes = std::uint64_t{256} << 20U;

// One per worker; not thread-safe.
class EntryCopier {
 public:
  struct Hooks {
    std::function<void(std::uint64_t)> note_cost;  // how much work an entry was, in small files
    std::function<void(Directory&)> let_go;        // an entry that another worker left to this one is done
    std::function<void(Directory&)> share;         // others get to know what is in the directory
    // Asks the job's partners about one of several names of an inode; empty without partners. The directory is held.
    std::function<void(InodeIdentity, std::uint32_t links, TreeName)> claim;
    // Copies a large file together with the partners, into the file of that temporary name; empty without partners.
    std::function<Result<CopyReport>(const SharedFile&)> copy_in_ranges;
  };
  EntryCopier(CopyJob& job, Hooks hooks);

  // Copies the entry, reporting failures and events to the job. True: it is a directory, and nothing was done.
  bool copy(const CopyEntry& entry, FileType type);

  // The answers to a claim. True: the copy, which others are linked to, is there.
  bool make_claimed(const CopyEntry& entry, InodeIdentity inode);
  bool link_to(const CopyEntry& entry, const TreeName& existing);

  [[nodiscard]] TreeReport& report() noexcept { return report_; }
  [[nodiscard]] const TreeReport& report() const noexcept { return report_; }

 private:
  struct Source {
    UniqueFd fd;
    struct statx status = {};
  };
  // What is under the destination's name, and where writing to that name would go.
  struct Existing {
    bool is_present = false;
    struct statx status = {};
    bool is_symlink = false;
    int target_error = 0;      // of a symlink: why it leads nowhere (ENOENT), or nowhere allowed (EXDEV)
    struct statx target = {};  // what a symlink leads to; else as `status`
  };
  enum class Placement : std::uint8_t {
    create,                   // The name is free.
    replace,                  // A new file takes the name,
    replace_keep_attributes,  // with the mode, owner and attributes of the old one.
    in_place,                 // The old file is written into.
  };
  // `again` after another look; `in_place`, `replace`: again, by that placement.
  enum class Outcome : std::uint8_t { done, failed, again, in_place, replace };
  enum class Verdict : std::uint8_t { proceed, skip, failed };

  // By type.
  bool dispatch(const CopyEntry& entry, FileType type, int retries);
  bool copy_changed(const CopyEntry& entry, int retries);
  bool copy_regular(const CopyEntry& entry, bool any_type, int retries);
  bool copy_symlink(const CopyEntry& entry);
  bool copy_special(const CopyEntry& entry, FileType type, int retries);
  // Calls `make`, but for one of several kept hard links: then once for them all, and links the others to what it made.
  template <typename Make>
  void make_once(const CopyEntry& entry, const struct statx& source, const Make& make) {
    if (options_.preserve_hard_links && source.stx_nlink > 1) {
      link_or_make(entry, identity_of(source), source.stx_nlink, std::cref(make));
    } else {
      make();
    }
  }
  void link_or_make(const CopyEntry& entry, InodeIdentity inode, std::uint32_t links,
                    const std::function<bool()>& make);
  void make_link(const CopyEntry& entry);
  void refuse_relative_symlink(const CopyEntry& entry, const struct statx& source);

  // Regular files.
  bool is_surely_kept(const CopyEntry& entry);
  [[nodiscard]] int open_source(const CopyEntry& entry, bool follow) const;
  bool place(const CopyEntry& entry, Source& source);
  [[nodiscard]] Placement placement_for(const CopyEntry& entry, const Existing& existing) const;
  Outcome place_new(const CopyEntry& entry, Source& source, Placement placement, const Existing& existing,
                    std::string_view backup);
  Outcome write_in_place(const CopyEntry& entry, Source& source, const Existing& existing);
  std::optional<bool> write_quickly(const CopyEntry& entry, Source& source);
  std::optional<bool> overwrite_quickly(const CopyEntry& entry, Source& source);
  [[nodiscard]] bool may_write_unseen(const CopyEntry& entry) const;
  bool finish_open(const CopyEntry& entry, Source& source, UniqueFd out, const struct statx& status,
                   const CopyReport& report);
  bool write_open(const CopyEntry& entry, Source& source, UniqueFd out, const struct statx& status);
  [[nodiscard]] int open_existing(const CopyEntry& entry, const Existing& existing);
  [[nodiscard]] bool is_worth_sharing(const struct statx& source) const noexcept;
  bool fill_together(const CopyEntry& entry, Source& source, const StagedFile& staged, CopyReport& report);
  bool fill(const CopyEntry& entry, Source& source, int out, std::uint64_t out_old_size, std::uint64_t out_device,
            CopyReport& report);
  bool sync(const CopyEntry& entry, int out, std::uint64_t device);
  void finish_file(const CopyEntry& entry, const CopyReport& report, std::string_view backup);
  [[nodiscard]] std::uint32_t new_file_mode(const struct statx& source) const noexcept;

  // Metadata.
  Result<MetadataState> created_state(const CopyEntry& entry, int out, std::uint32_t requested_mode);
  void preserve_by_path(const CopyEntry& entry, MetadataTarget from, const struct statx& source,
                        MetadataSelection selection);
  void preserve_parts(const CopyEntry& entry, MetadataTarget from, const struct statx& from_status, MetadataTarget to,
                      const MetadataState& state, const MetadataSelection& selection);
  [[nodiscard]] int keep_attributes(const CopyEntry& entry, const Existing& existing, int out, MetadataState& state);

  // What is there already (existing.cpp). `replaces_entry`: the name itself will be replaced, not written through.
  bool look(const CopyEntry& entry, Existing& existing);
  Verdict check_existing(const CopyEntry& entry, const struct statx& source, bool replaces_entry,
                         const Existing& existing);
  enum class Sameness : std::uint8_t { different, already_linked, same };
  [[nodiscard]] Sameness compare_with_source(const CopyEntry& entry, const struct statx& source, bool replaces_entry,
                                             const Existing& existing) const;
  bool back_up(const CopyEntry& entry, std::string& backup);
  [[nodiscard]] bool makes_room_for(const struct statx& source) const noexcept;
  bool prepare_replacing(const CopyEntry& entry, bool removes, std::string& backup);
  // Makes what takes its name at once (a symlink, a device, a link) by `make(name)`, replacing what may be replaced.
  bool make_at_name(const CopyEntry& entry, const struct statx& source, bool may_replace, TreeProblem problem,
                    const char* operation, const std::function<int(const char* name)>& make);
  bool replace_by_rename(const CopyEntry& entry, TreeProblem problem, const char* operation,
                         const std::function<int(const char* name)>& make);

  bool fail(TreeProblem problem, int error, const char* operation, const CopyEntry& entry);
  [[nodiscard]] bool follows(const CopyEntry& entry) const noexcept;

  CopyJob& job_;
  const TreeOptions& options_;
  Hooks hooks_;
  FileCopier copier_;
  TreeReport report_;
  // The inode that the partners have left to this worker, and whether it was copied.
  std::optional<InodeIdentity> claimed_;
  bool claimed_is_made_ = false;
  std::uint64_t progress_reported_ = 0;  // bytes of the current file that job_.bytes_done has already
};

// Opens `name` in the destination of `directory`, following symlinks, but only to places inside the root of the
// destination tree: EXDEV otherwise (openat2(2), since Linux 5.6). Returns a descriptor or -errno.
int open_beneath_destination(const Directory& directory, const char* name, int flags);

}  // namespace ferry
