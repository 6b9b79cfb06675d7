// What is done about one entry: rsync's decisions, by type.
#pragma once

#include "sync/attributes.hpp"
#include "sync/backups.hpp"
#include "sync/file_writer.hpp"
#include "sync/link_groups.hpp"
#include "sync/remover.hpp"
#include "sync/sync_entry.hpp"

#include <functional>

namespace ferry {

// One per worker; not thread-safe. The directories of an entry are pinned.
class EntrySyncer {
 public:
  struct Hooks {
    std::function<void(SyncDirectory&)> hold;      // keeps a directory from being finished
    std::function<void(SyncDirectoryRef)> let_go;  // ends that
    std::function<bool(SyncDirectory&)> pin;       // opens what is needed of a directory; reports failures
    std::function<void(SyncDirectory&)> unpin;
  };
  EntrySyncer(SyncJob& job, Backups& backups, LinkGroups& links, Hooks hooks);

  // Whether a directory is to be entered: it is there, or would be (dry run).
  enum class Outcome : std::uint8_t { done, enter, enter_new };
  // Syncs the entry whose source has been looked at (find()). `self` owns the entry's directory.
  Outcome sync(const SyncDirectoryRef& self, SyncEntry& entry);

  // Looks at the source `name` in `from`, following symlinks as the options say, and adjusts what it finds. False: it
  // takes no part, or it failed, which is reported. `is_operand`: it is named in the call.
  bool find(const Directory& from, const char* name, bool is_operand, SyncEntry& entry);
  // Makes a directory that only has to be there: with no attributes of the source, and untold.
  Outcome make_bare_directory(SyncEntry& entry);
  // Looks at what is in the destination under the entry's name.
  bool look_at_destination(SyncEntry& entry);

  // Whether the directory that sync() dealt with last has other attributes than its source.
  [[nodiscard]] bool directory_differs() const noexcept { return directory_differs_; }
  [[nodiscard]] SyncReport& report() noexcept { return report_; }
  [[nodiscard]] Remover& remover() noexcept { return remover_; }

  // Whether a directory has to make way, with all it holds.
  [[nodiscard]] bool clears_directories() const noexcept;

 private:
  // An unchanged file in one of the other trees.
  struct FileBasis {
    std::size_t index = 0;  // of SyncOptions::basis
    bool has_attributes = false;
    InodeIdentity identity;
  };
  // A symlink or special file of the same type in one of the other trees.
  struct SpecialBasis {
    std::optional<std::size_t> index;  // none: there is none
    bool is_equal = false;             // in its target, or device number
    bool is_same = false;              // in its attributes, too
    std::uint16_t changes = 0;         // of attributes
  };
  struct Linking {
    int error = 0;
    const char* operation = "linkat";
    bool is_told = false;  // the error was reported already
  };
  Outcome sync_directory(SyncEntry& entry);
  void sync_regular(SyncEntry& entry);
  void sync_symlink(SyncEntry& entry);
  void sync_special(SyncEntry& entry);
  void sync_linked(const SyncDirectoryRef& self, SyncEntry& entry, const std::function<bool()>& make);
  bool link_to(SyncEntry& entry, const LinkName& first);
  bool sync_non_directory(SyncEntry& entry);
  bool make_by_rename(SyncEntry& entry, std::uint16_t changes, const std::function<int(const char*)>& make,
                      const SpecialBasis& basis, std::string_view target);
  bool finish_made(const SyncEntry& entry, const char* name);
  template <typename IsExpected, typename Wanted>
  bool set_attributes_of(const SyncEntry& entry, const char* name, IsExpected is_expected, Wanted wanted);
  bool is_kept(const SyncEntry& entry);
  bool is_unchanged(const SyncEntry& entry, int dirfd, const char* name, const struct statx& existing, bool& is_known);
  std::optional<FileBasis> look_for_file(const SyncEntry& entry);
  std::optional<bool> use_basis(SyncEntry& entry);
  bool leave_to_basis(SyncEntry& entry);
  SpecialBasis look_for_special(const SyncEntry& entry, std::string_view target);
  bool use_basis_of_special(SyncEntry& entry, const SpecialBasis& basis, std::string_view target);
  Linking give_name(int from_dirfd, const char* from, const SyncEntry& entry);
  static const DirectoryRef* find_in_basis(const SyncEntry& entry, struct statx& found, std::size_t from = 0);
  void tell_created_beside_basis(const SyncEntry& entry, std::string_view target, std::size_t from = 0);
  bool update_attributes(const SyncEntry& entry, std::uint16_t changes);
  bool make_way(SyncEntry& entry);
  void remove_source(const SyncEntry& entry);
  void tell(const SyncEntry& entry, SyncAction action, std::uint16_t changes, std::string_view target = {},
            const FileWriter::Written* written = nullptr);
  void count_created(const SyncEntry& entry);

  SyncJob& job_;
  const SyncOptions& options_;
  Backups& backups_;
  LinkGroups& links_;
  Hooks hooks_;
  FileWriter writer_;
  Remover remover_;
  SyncReport report_;
  bool directory_differs_ = true;
  bool is_done_ = false;  // the entry is as it should be
};

}  // namespace ferry
