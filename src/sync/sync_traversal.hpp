// Goes through sources and destination together, in parallel.
#pragma once

#include "sync/backups.hpp"
#include "sync/entry_syncer.hpp"
#include "sync/link_groups.hpp"
#include "sync/plan.hpp"
#include "sync/sync_directory.hpp"
#include "sync/sync_job.hpp"
#include "tree/scheduler.hpp"

#include <memory>
#include <string>
#include <vector>

namespace ferry {

// A task is a directory to enter, the rest of a directory's entries, or a directory to delete. A worker that has many
// entries left gives half of them away whenever somebody is idle.
class SyncTraversal {
 public:
  enum class Pass : std::uint8_t {
    deletions,  // only what the sources do not have is dealt with
    transfer,   // all the rest; deletions too where they are done during
  };
  SyncTraversal(SyncJob& job, Backups& backups, unsigned workers);

  // Goes through all below `root`, whose descriptors stay open. Not concurrently.
  void run(Pass pass, SyncDirectoryRef root);

  // Sums over all workers.
  [[nodiscard]] SyncReport report() const;
  // For the root's own entry.
  [[nodiscard]] EntrySyncer& first_worker() noexcept { return *workers_.front(); }

 private:
  struct Entry {
    std::uint32_t name = 0;    // where it begins in EntryList::names
    std::uint32_t source = 0;  // the first of the directory's sources that has it
    FileType type = FileType::unknown;
    const PlanNode* plan = nullptr;
  };
  struct EntryList {
    std::string names;  // NUL-terminated
    std::vector<Entry> entries;
    [[nodiscard]] const char* name(std::size_t index) const noexcept { return names.data() + entries[index].name; }
  };
  // A directory that is to be entered.
  struct Entrance {
    std::string name;
    struct statx source = {};  // adjusted
    bool follows = false;
    bool is_new = false;
    bool differs = true;      // some attribute is not the source's
    bool is_missing = false;  // dry run: it would have been made
    bool is_entered = true;   // its contents take part
    std::uint32_t first_source = 0;
    const PlanNode* plan = nullptr;
  };
  struct Task {
    enum class Kind : std::uint8_t { root, enter, visit, remove };
    Kind kind = Kind::root;
    SyncDirectoryRef directory = {};
    std::unique_ptr<Entrance> entrance = {};
    std::shared_ptr<EntryList> list = {};
    std::size_t begin = 0;
    std::size_t end = 0;
    std::string name = {};  // remove
  };
  class PinAll;

  void work(unsigned worker, Task&& task);
  void process(unsigned worker, const SyncDirectoryRef& directory);
  void visit(unsigned worker, const SyncDirectoryRef& directory, const std::shared_ptr<EntryList>& list,
             std::size_t begin, std::size_t end);
  void visit_one(unsigned worker, const SyncDirectoryRef& directory, const EntryList& list, std::size_t index);
  bool find_source(unsigned worker, SyncDirectory& directory, const EntryList& list, std::size_t index,
                   SyncEntry& entry, std::uint32_t& source_index);
  void enter_for_deletions(unsigned worker, const SyncDirectoryRef& directory, const EntryList& list,
                           std::size_t index);
  SyncDirectoryRef enter(unsigned worker, const SyncDirectoryRef& parent, Entrance& entrance);
  void open_sources(SyncDirectory& child, const SyncDirectory& parent, const Entrance& entrance);
  bool open_destination(SyncDirectory& child, SyncDirectory& parent, const Entrance& entrance);
  void open_basis(SyncDirectory& child, const SyncDirectory& parent, const std::string& name);
  DirectoryRef open_below(const DirectoryRef& parent, const std::string& name, bool follow, int& error);
  void enter_rules(SyncDirectory& child, const SyncDirectory& parent);
  std::shared_ptr<EntryList> read(SyncDirectory& directory);
  void read_source(SyncDirectory& directory, std::uint32_t index, EntryList& list);
  [[nodiscard]] bool takes_part(const SyncDirectory& directory, const char* name, FileType& type, int dirfd) const;
  bool holds_any_file(int dirfd, const char* name, bool follow, const std::string& path,
                      const std::shared_ptr<const FilterRules>& rules);
  void remove_extraneous(unsigned worker, const SyncDirectoryRef& directory, const EntryList& list);
  [[nodiscard]] bool is_protected(const SyncDirectory& directory, const char* name, FileType type) const;
  [[nodiscard]] bool deletes_in(const SyncDirectory& directory) const;
  void let_go(SyncDirectoryRef directory);
  void finish(SyncDirectory& directory);
  void set_directory_attributes(const SyncDirectory& directory);
  bool pin(SyncDirectory& directory);
  void unpin(SyncDirectory& directory) noexcept;
  void note_cost(std::uint64_t units) noexcept;

  SyncJob& job_;
  const SyncOptions& options_;
  Backups& backups_;
  LinkGroups links_;
  Pass pass_ = Pass::transfer;
  bool has_transferred_ = false;
  bool is_first_of_two_ = false;  // the transfer, which gives directories their attributes, is still to come
  std::atomic<std::uint64_t> cost_ = 0;
  std::vector<std::unique_ptr<EntrySyncer>> workers_;
  Scheduler<Task> scheduler_;
};

}  // namespace ferry
