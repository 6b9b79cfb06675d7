// Where the content of one regular file goes: into a new file, into the old one, or into one that takes its place.
#pragma once

#include <sys/stat.h>

#include <cstdint>

#include <ferry/copy.hpp>

#include "failure.hpp"

namespace ferry_node {

[[nodiscard]] inline bool same_inode(const struct ::statx& a, const struct ::statx& b) noexcept {
  return a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major && a.stx_dev_minor == b.stx_dev_minor;
}
/// statx(2) with basic fields; an empty name is the descriptor itself. 0 or a positive errno.
[[nodiscard]] int status_of(int dirfd, const char* name, int flags, struct ::statx& status) noexcept;

/// What is asked of each file of a job.
struct PlacementOptions {
  bool atomic = false;
  bool preserve_timestamps = false;
  bool verify = false;  ///< The copy is read again: it is opened for reading, too.
};

/// A directory that files are put into, and what was learnt of it.
struct TargetDirectory {
  int fd = -1;
  bool created = false;      ///< By this job: its names are free.
  std::uint64_t device = 0;  ///< st_dev of what is created here, as makedev value; 0: not asked yet.
  /// Permission bits that files created here were seen to get: neither the umask nor a default ACL takes them away.
  std::uint32_t granted_mode = 0;
};

/// Puts copies of open files into directories. Not thread-safe.
class FilePlacement {
 public:
  FilePlacement(const PlacementOptions& options, const ferry::CopyOptions& copy);

  /// Makes `name` in `directory` a copy of `in`, whatever non-directory has the name: with Node's unlink and create in
  /// mind, but an old plain file that only this name has is written in place, and any other is replaced at once.
  /// errno 0 in the failure: source and destination are one file. EISDIR: the name is a directory's.
  [[nodiscard]] Outcome<ferry::CopyReport> place(int in, const struct ::statx& status, TargetDirectory& directory,
                                                 const char* name);
  /// Writes `in` into the open file `out`, which had `old` as its status, and gives it the mode of the source.
  [[nodiscard]] Outcome<ferry::CopyReport> overwrite(int in, const struct ::statx& status, ferry::UniqueFd out,
                                                     const struct ::statx& old);
  /// Creates `name`, which must be free (EEXIST). On an error it is free again.
  [[nodiscard]] Outcome<ferry::CopyReport> create(int in, const struct ::statx& status, TargetDirectory& directory,
                                                  const char* name);
  /// A complete new file takes the name, or fails with EEXIST.
  [[nodiscard]] Outcome<ferry::CopyReport> replace(int in, const struct ::statx& status, TargetDirectory& directory,
                                                   const char* name, ferry::StagedFile::Existing existing);

  [[nodiscard]] int write_flags() const noexcept;

 private:
  [[nodiscard]] Outcome<void> finish(int in, const struct ::statx& status, int out, bool set_mode) const;
  [[nodiscard]] static bool mode_must_be_set(const struct ::statx& status, int out, TargetDirectory& directory);
  [[nodiscard]] bool may_be_written_in_place(const struct ::statx& old) const noexcept;

  PlacementOptions options_;
  ferry::FileCopier copier_;
  std::uint32_t user_;
  std::uint32_t group_;
};

}  // namespace ferry_node
