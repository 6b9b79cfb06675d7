// Copying as Node's fs.cp does: its rules, its order, its errors, with ferry's engine moving the bytes.
//
// Entries are visited in the order in which the directory has them, and the first failure ends the copy: what a filter
// sees and what is left after an error are as with fs.cp. In trees of more than 256 files, plain files are copied by
// several threads, if nobody is to be asked or told about each (filter, events, progress): then files after the one
// that failed may be there, too. Below the two roots everything is relative to held directory descriptors.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <ferry/copy.hpp>

#include "failure.hpp"

namespace ferry_node {

enum class CpEventKind : std::uint8_t { file, directory, symlink, skipped };

/// One entry done. The strings are valid during the call only.
struct CpEvent {
  CpEventKind kind = CpEventKind::file;
  std::string_view source;
  std::string_view destination;
  const ferry::CopyReport* report = nullptr;  ///< Of a file.
};

struct CpProgress {
  std::uint64_t bytes_done = 0;
  std::uint64_t entries_done = 0;
};

struct CpOptions {
  bool dereference = false;
  bool error_on_exist = false;
  bool force = true;
  bool preserve_timestamps = false;
  bool recursive = false;
  bool verbatim_symlinks = false;
  /// Existing files are replaced by complete new ones; and new ones appear when they are complete.
  bool atomic = false;
  /// Methods, reflink, verify, stop. on_progress is not used.
  ferry::CopyOptions copy = {};
  /// Whether the entry is to be copied; called before anything is done about it.
  std::function<Outcome<bool>(const std::string& source, const std::string& destination)> filter = {};
  std::function<Outcome<void>(const CpEvent&)> on_event = {};
  std::function<void(const CpProgress&)> on_progress = {};
};

struct CpReport {
  ferry::CopyReport data;  ///< Sum over all files.
  std::uint64_t files = 0;
  std::uint64_t directories = 0;
  std::uint64_t symlinks = 0;
  std::uint64_t skipped = 0;
  std::vector<std::string> changed_sources;  ///< Files that changed while they were copied.
};

/// fs.cpSync(source, destination, options). Blocks. ECANCELED when options.copy.stop is asked for.
[[nodiscard]] Outcome<CpReport> cp(const std::string& source, const std::string& destination, const CpOptions& options);

struct CopyFileOptions {
  bool exclusive = false;  ///< COPYFILE_EXCL
  bool atomic = false;
  ferry::CopyOptions copy = {};
};
/// fs.copyFileSync(source, destination): follows symlinks, writes an existing file in place unless `atomic`, and gives
/// it the permissions of the source. A new file whose copy fails is removed; an existing one is not.
[[nodiscard]] Outcome<ferry::CopyReport> copy_file(const std::string& source, const std::string& destination,
                                                   const CopyFileOptions& options);

}  // namespace ferry_node
