// What `ferry bench sync` works on: trees as backups hold them, and the changes between one backup and the next.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>

#include "bench/outcome.hpp"
#include "bench/workload.hpp"

namespace ferry::bench {

/// Directories and symlinks below `root`, itself included, get a time of years ago. rsync takes their time for right if
/// it is so in whole seconds, so that of a tree made a moment ago it leaves others than the source's.
[[nodiscard]] Outcome<void> age_all_but_files(const std::filesystem::path& root);

/// The files of `set`, and to each hundred of them a hard link, a symlink, an extended attribute and an ACL, as far as
/// the file system has these. Ends with "interrupted" when `stop` becomes true.
[[nodiscard]] Outcome<void> make_backup_tree(const std::filesystem::path& root, const FileSet& set,
                                             const std::atomic<bool>* stop = nullptr);

/// One file in a hundred of the copy gets other bytes, as many as it had, and an old time: what a sync has to put
/// right.
[[nodiscard]] Outcome<void> make_one_percent_stale(const std::filesystem::path& copy, const FileSet& set);

/// Every hundredth block of 4 KiB gets other bytes, and the file an old time. Its size stays.
[[nodiscard]] Outcome<void> make_one_percent_of_blocks_stale(const std::filesystem::path& file);

}  // namespace ferry::bench
