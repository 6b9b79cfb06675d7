// Which entries a sync is about: rsync's filter rules, those of the command and those found in the directories.
#pragma once

#include <ferry/base.hpp>
#include <ferry/sync.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace ferry {

// On whose behalf a rule is asked for: the sender hides entries, the receiver protects them from deletion.
enum class FilterSide : std::uint8_t { sender, receiver };

enum class FilterVerdict : std::uint8_t {
  none,     // no rule matches: the entry takes part
  include,  // it takes part (sender), may be deleted (receiver: "risk")
  exclude,  // it does not exist to the sender ("hide"), is not deleted by the receiver ("protect")
  // exclude with the modifier 'p' (perishable) on the receiver's side: ignored in directories that are themselves being
  // deleted, so that these can be.
  exclude_perishable,
};

// Whether to a sender there is no such entry: what is perishable is so only where a directory is being deleted.
[[nodiscard]] constexpr bool hides(FilterVerdict verdict) noexcept {
  return verdict == FilterVerdict::exclude || verdict == FilterVerdict::exclude_perishable;
}

// An immutable list of rules; what a directory adds makes a new list that shares the old one. Thread-safe.
class FilterRules {
 public:
  // The rules of the command, files of merge rules read. `delete_excluded`: rules without a side are the sender's only.
  // Errors: EINVAL (path: the rule), and those of reading files.
  [[nodiscard]] static Result<std::shared_ptr<const FilterRules>> parse(std::span<const FilterArgument> arguments,
                                                                        bool delete_excluded);

  virtual ~FilterRules() = default;

  // No rule, and no per-directory file to look for: nobody need ask.
  [[nodiscard]] virtual bool empty() const noexcept = 0;
  // Whether enter_directory() may give other rules (there are ':' rules).
  [[nodiscard]] virtual bool has_directory_files() const noexcept = 0;

  // `path`: as in the list of files that rsync would send, relative to the root of the transfer, components joined by
  // '/', no leading or trailing slash ("src/dir/name" for source "src", "dir/name" for source "src/").
  [[nodiscard]] virtual FilterVerdict verdict(std::string_view path, bool is_directory, FilterSide side) const = 0;

  // The rules within the directory `path` ("" is the root of the transfer), open as `dirfd`: these, preceded by those
  // of its per-directory files. Null: the same as here. Opens the files beneath dirfd only, never a symlink's target.
  [[nodiscard]] virtual Result<std::shared_ptr<const FilterRules>> enter_directory(int dirfd,
                                                                                   std::string_view path) const = 0;
};

}  // namespace ferry
