#include "sync/sync_traversal.hpp"

#include <fcntl.h>
#include <linux/openat2.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/sys.hpp"
#include "tree/traversal.hpp"

namespace ferry {
namespace {

constexpr std::size_t entries_at_once =
    256;  // so many subdirectories of a directory wait at most, half a kilobyte each
constexpr std::uint64_t cost_worth_a_thread = 64;  // in entries: starting a thread costs as much as looking at so many

bool is_device_of(const struct statx& status, std::uint64_t device) noexcept {
  return identity_of(status).device == device;
}

// Calls `each` for every directory that is held open for this one.
template <typename Each>
void for_each_open(const SyncDirectory& directory, Each each) {
  std::ranges::for_each(directory.sources, [&](const DirectoryRef& source) { each(*source); });
  if (directory.destination) {
    each(*directory.destination);
  }
  for (const DirectoryRef& basis : directory.basis) {
    if (basis) {
      each(*basis);
    }
  }
}

}  // namespace

// Keeps all descriptors of a directory open for a scope.
class SyncTraversal::PinAll {
 public:
  PinAll(SyncTraversal& traversal, SyncDirectory& directory)
      : traversal_(traversal), directory_(directory), is_pinned_(traversal.pin(directory)) {}
  PinAll(const PinAll&) = delete;
  PinAll& operator=(const PinAll&) = delete;
  ~PinAll() {
    if (is_pinned_) {
      traversal_.unpin(directory_);
    }
  }
  explicit operator bool() const noexcept { return is_pinned_; }

 private:
  SyncTraversal& traversal_;
  SyncDirectory& directory_;
  bool is_pinned_;
};

SyncTraversal::SyncTraversal(SyncJob& job, Backups& backups, unsigned workers)
    : job_(job),
      options_(job.options),
      backups_(backups),
      scheduler_(workers, [this](unsigned worker, Task&& task) { work(worker, std::move(task)); }) {
  for (unsigned i = 0; i < scheduler_.workers(); ++i) {
    workers_.push_back(std::make_unique<EntrySyncer>(
        job, backups, links_,
        EntrySyncer::Hooks{
            .hold = [](SyncDirectory& directory) { directory.pending.fetch_add(1); },
            // Never the last hold while the directory is being visited; otherwise a reference is kept by the caller.
            .let_go = [this](SyncDirectoryRef directory) { let_go(std::move(directory)); },
            .pin = [this](SyncDirectory& directory) { return pin(directory); },
            .unpin = [this](SyncDirectory& directory) { unpin(directory); }}));
  }
}

void SyncTraversal::run(Pass pass, SyncDirectoryRef root) {
  is_first_of_two_ = pass == Pass::deletions && !has_transferred_;
  has_transferred_ = has_transferred_ || pass == Pass::transfer;
  pass_ = pass;
  scheduler_.run(Task{.kind = Task::Kind::root, .directory = std::move(root)});
}

SyncReport SyncTraversal::report() const {
  SyncReport total;
  const auto add = [](SyncReport::Counts& sum, const SyncReport::Counts& part) {
    sum.regular += part.regular;
    sum.directories += part.directories;
    sum.symlinks += part.symlinks;
    sum.devices += part.devices;
    sum.specials += part.specials;
  };
  for (const auto& worker : workers_) {
    const SyncReport& part = worker->report();
    add(total.found, part.found);
    add(total.created, part.created);
    add(total.deleted, worker->remover().deleted());
    total.transferred_files += part.transferred_files;
    total.total_size_bytes += part.total_size_bytes;
    total.transferred_size_bytes += part.transferred_size_bytes;
    total.literal_bytes += part.literal_bytes;
    total.matched_bytes += part.matched_bytes;
    total.data.merge(part.data);
  }
  return total;
}

void SyncTraversal::note_cost(std::uint64_t units) noexcept {
  if (cost_.fetch_add(units, std::memory_order_relaxed) + units >= cost_worth_a_thread) {
    scheduler_.note_heavy();
  }
}

// ------------------------------------------------------------------------------------------ tasks

bool SyncTraversal::pin(SyncDirectory& directory) {
  std::vector<Directory*> pinned;
  const auto pin_one = [&](const DirectoryRef& one) {
    if (!one) {
      return true;
    }
    if (auto result = job_.descriptors.pin(*one); !result) {
      job_.fail(SyncProblem::cannot_read_directory, result.error());
      return false;
    }
    pinned.push_back(one.get());
    return true;
  };
  const bool is_done = std::ranges::all_of(directory.sources, pin_one) && pin_one(directory.destination) &&
                       std::ranges::all_of(directory.basis, pin_one);
  if (!is_done) {
    for (Directory* one : pinned) {
      job_.descriptors.unpin(*one);
    }
  }
  return is_done;
}

void SyncTraversal::unpin(SyncDirectory& directory) noexcept {
  for_each_open(directory, [this](Directory& one) { job_.descriptors.unpin(one); });
}

void SyncTraversal::work(unsigned worker, Task&& task) {
  switch (task.kind) {
    case Task::Kind::root: {
      if (const PinAll pins(*this, *task.directory); pins) {
        process(worker, task.directory);
      }
      break;
    }
    case Task::Kind::enter: {
      SyncDirectoryRef child;
      if (!job_.stopped()) {
        if (const PinAll pins(*this, *task.directory); pins) {
          child = enter(worker, task.directory, *task.entrance);
        }
      }
      if (child) {
        // It was opened pinned. The hold on the parent that this task had is from now on the child's.
        process(worker, child);
        unpin(*child);
        task.directory = std::move(child);
      }
      break;
    }
    case Task::Kind::visit: {
      if (const PinAll pins(*this, *task.directory); pins) {
        visit(worker, task.directory, task.list, task.begin, task.end);
      }
      break;
    }
    case Task::Kind::remove: {
      if (const PinAll pins(*this, *task.directory); pins && job_.may_delete()) {
        workers_[worker]->remover().remove(*task.directory, task.name.c_str(), FileType::directory, true);
      }
      break;
    }
  }
  let_go(std::move(task.directory));
}

void SyncTraversal::let_go(SyncDirectoryRef directory) {
  while (directory && directory->pending.fetch_sub(1) == 1) {
    finish(*directory);
    if (!directory->parent) {
      return;
    }
    for_each_open(*directory, [this](Directory& one) { job_.descriptors.close(one); });
    directory = directory->parent;
  }
}

// Everything below is there: the directory's own attributes, which what was made in it has changed, are set.
void SyncTraversal::finish(SyncDirectory& directory) {
  if (!directory.destination || options_.dry_run) {
    return;
  }
  if (pass_ == Pass::deletions && (!directory.is_touched || is_first_of_two_)) {
    return;  // it is as the transfer left it, or still to be dealt with
  }
  const bool sets = directory.has_attributes;
  const bool syncs = options_.fsync && directory.is_touched;
  if ((!sets && directory.added_mode_bits == 0) && !syncs) {
    return;
  }
  if (!directory.is_new && !directory.is_touched && !directory.differs && directory.added_mode_bits == 0) {
    return;
  }
  if (auto pinned = job_.descriptors.pin(*directory.destination); !pinned) {
    job_.fail(SyncProblem::cannot_set_attributes, pinned.error());
    return;
  }
  const Pin pinned(job_.descriptors, *directory.destination);
  const int fd = directory.destination_fd();
  const bool is_right = sets && !directory.is_new && !directory.differs && directory.added_mode_bits == 0;
  if (is_right) {
    // What was made in it has changed these alone.
    (void)set_times(job_, directory.source_status, {fd, false}, directory.path);
  } else if (sets) {
    set_directory_attributes(directory);
  } else if (directory.added_mode_bits != 0) {
    (void)sys::fchmod(fd, directory.destination_status.stx_mode & permission_bits);
  }
  if (syncs) {
    if (const int result = sys::fsync(fd); result < 0) {
      job_.fail(SyncProblem::cannot_write, -result, "fsync", directory.path);
    }
  }
}

void SyncTraversal::set_directory_attributes(const SyncDirectory& directory) {
  const int fd = directory.destination_fd();
  struct statx now = {};
  if (const int result = sys::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, now); result < 0) {
    job_.fail(SyncProblem::cannot_set_attributes, -result, "statx", directory.path);
    return;
  }
  int from = -1;
  if ((options_.acls || options_.xattrs) && !directory.sources.empty() &&
      job_.descriptors.pin(*directory.sources.front())) {
    from = directory.sources.front()->source_fd();
  }
  const std::uint32_t mode =
      directory.is_new && !options_.permissions
          ? (now.stx_mode & (directory.source_status.stx_mode | 07000U)) & permission_bits
          : wanted_mode(job_, directory.source_status,
                        directory.added_mode_bits != 0 ? directory.destination_status.stx_mode : now.stx_mode);
  (void)set_attributes(job_, {from, false}, directory.source_status, {fd, false},
                       {.mode = now.stx_mode & permission_bits,
                        .uid = now.stx_uid,
                        .gid = now.stx_gid,
                        .wanted_mode = mode,
                        .may_have_attributes = true},
                       directory.path);
  if (from >= 0) {
    job_.descriptors.unpin(*directory.sources.front());
  }
}

// ------------------------------------------------------------------------------------------ directories

void SyncTraversal::process(unsigned worker, const SyncDirectoryRef& directory) {
  const std::shared_ptr<EntryList> list = read(*directory);
  note_cost(list->entries.size());
  if (deletes_in(*directory)) {
    remove_extraneous(worker, directory, *list);
  }
  visit(worker, directory, list, 0, list->entries.size());
}

// What the sources have in the directory, each name once, less what the filter rules hide.
std::shared_ptr<SyncTraversal::EntryList> SyncTraversal::read(SyncDirectory& directory) {
  auto list = std::make_shared<EntryList>();
  if (directory.plan != nullptr) {
    for (const auto& [name, node] : directory.plan->children) {
      list->entries.push_back({.name = static_cast<std::uint32_t>(list->names.size()), .plan = node.get()});
      list->names.append(name.c_str(), name.size() + 1);
    }
  }
  if (directory.contents && !directory.is_at_mount) {
    for (std::uint32_t i = 0; i < directory.sources.size(); ++i) {
      read_source(directory, i, *list);
    }
  }
  return list;
}

void SyncTraversal::read_source(SyncDirectory& directory, std::uint32_t index, EntryList& list) {
  // Names that other sources, or the plan, have already. One source alone has each name once.
  std::unordered_map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < list.entries.size(); ++i) {
    known.emplace(list.name(i), i);
  }
  Directory& source = *directory.sources[index];
  if (source.read_position != 0 || source.read_elsewhere) {
    (void)sys::lseek(source.source_fd(), 0, SEEK_SET);  // an earlier pass has read it
  }
  source.read_position = 1;
  const auto batch = std::make_unique_for_overwrite<EntryBatch>();
  for (;;) {
    const ssize_t filled = batch->read(source.source_fd());
    if (filled < 0) {
      directory.has_read_error = true;
      job_.fail(SyncProblem::cannot_read_directory, static_cast<int>(-filled), "getdents64", source.source_path());
      return;
    }
    if (filled == 0) {
      return;
    }
    for (std::size_t i = 0; i < batch->offsets.size(); ++i) {
      const DirectoryEntry entry = batch->entry(i);
      FileType type = entry.type;
      if (!takes_part(directory, entry.name, type, source.source_fd())) {
        continue;
      }
      if (!known.empty()) {
        const auto found = known.find(entry.name);
        if (found != known.end()) {
          Entry& other = list.entries[found->second];
          if (type == FileType::directory && other.type != FileType::directory && other.plan == nullptr) {
            other.type = type;  // a directory is preferred: it has contents
            other.source = index;
          }
          continue;
        }
      }
      list.entries.push_back({.name = static_cast<std::uint32_t>(list.names.size()), .source = index, .type = type});
      list.names.append(entry.name, std::char_traits<char>::length(entry.name) + 1);
    }
  }
}

bool SyncTraversal::takes_part(const SyncDirectory& directory, const char* name, FileType& type, int dirfd) const {
  const bool may_lead_elsewhere =
      type == FileType::symlink && (options_.symlinks == SymlinkMode::dereference || options_.copy_dirlinks);
  if (type == FileType::unknown || may_lead_elsewhere) {
    struct statx status = {};
    if (sys::statx(dirfd, name, may_lead_elsewhere ? 0 : AT_SYMLINK_NOFOLLOW, STATX_TYPE, status) == 0) {
      type = file_type_of_mode(status.stx_mode);
    }
  }
  return directory.rules->empty() ||
         !hides(directory.rules->verdict(directory.path_of(name), type == FileType::directory, FilterSide::sender));
}

void SyncTraversal::visit(unsigned worker, const SyncDirectoryRef& directory, const std::shared_ptr<EntryList>& list,
                          std::size_t begin, std::size_t end) {
  const auto give_away = [&](std::size_t from) {
    directory->pending.fetch_add(1);
    scheduler_.push(worker,
                    Task{.kind = Task::Kind::visit, .directory = directory, .list = list, .begin = from, .end = end});
    note_cost(0);
    end = from;
  };
  if (end - begin > entries_at_once) {
    give_away(begin + entries_at_once);  // below the tasks of subdirectories found here: these are done first
  }
  for (std::size_t i = begin; i < end && !job_.stopped(); ++i) {
    if (end - i > 1 && scheduler_.has_idle_worker()) {
      give_away(i + (end - i + 1) / 2);
    }
    if (pass_ == Pass::deletions) {
      enter_for_deletions(worker, directory, *list, i);
    } else {
      visit_one(worker, directory, *list, i);
    }
  }
}

bool SyncTraversal::find_source(unsigned worker, SyncDirectory& directory, const EntryList& list, std::size_t index,
                                SyncEntry& entry, std::uint32_t& source_index) {
  const Entry& listed = list.entries[index];
  source_index = listed.source;
  EntrySyncer& syncer = *workers_[worker];
  if (listed.plan == nullptr) {
    return syncer.find(*directory.sources[listed.source], entry.name, false, entry);
  }
  if (!listed.plan->locations.empty()) {
    // The first one; or the first that is a directory, which has contents.
    for (const PlanNode::Location& location : listed.plan->locations) {
      if (!syncer.find(*location.directory, location.name.c_str(), true, entry)) {
        return false;
      }
      if (S_ISDIR(entry.source.stx_mode) || listed.plan->locations.size() == 1) {
        return true;
      }
    }
    const PlanNode::Location& first = listed.plan->locations.front();
    return syncer.find(*first.directory, first.name.c_str(), true, entry);
  }
  for (std::uint32_t i = 0; i < directory.sources.size(); ++i) {
    struct statx status = {};
    if (sys::statx(directory.sources[i]->source_fd(), entry.name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, status) == 0 ||
        i + 1 == directory.sources.size()) {
      source_index = i;
      return syncer.find(*directory.sources[i], entry.name, true, entry);
    }
  }
  return false;
}

void SyncTraversal::visit_one(unsigned worker, const SyncDirectoryRef& directory, const EntryList& list,
                              std::size_t index) {
  const Entry& listed = list.entries[index];
  const char* const name = list.name(index);
  const bool is_renamed = listed.plan != nullptr && !listed.plan->shown_name.empty();
  SyncEntry entry{.directory = *directory,
                  .name = name,
                  .path = directory->path_of(is_renamed ? listed.plan->shown_name : std::string_view(name))};
  std::uint32_t source_index = 0;
  if (!find_source(worker, *directory, list, index, entry, source_index)) {
    return;
  }
  const bool is_directory = S_ISDIR(entry.source.stx_mode);
  // The parents that --relative names on the way are there whatever the rules say.
  if (listed.plan != nullptr && !listed.plan->is_implied && !directory->rules->empty() &&
      hides(directory->rules->verdict(entry.path, is_directory, FilterSide::sender))) {
    return;
  }
  if (is_directory) {
    const bool is_crossing = options_.one_file_system && !directory->sources.empty() && listed.plan == nullptr &&
                             !is_device_of(entry.source, directory->sources[source_index]->root_device);
    if (is_crossing && options_.one_file_system_no_mount_points) {
      return;
    }
    const bool is_entered = directory->recursive || listed.plan != nullptr;
    if (listed.plan != nullptr && !options_.recursive && !options_.dirs && !options_.relative) {
      if (job_.wants_events()) {
        SyncEvent event;
        event.action = SyncAction::skipped_directory;
        event.type = FileType::directory;
        event.path = entry.path;
        job_.event(event);
      }
      return;
    }
    const bool has_listed = listed.plan != nullptr && !listed.plan->children.empty();
    const bool has_contents = directory->recursive || (listed.plan != nullptr && listed.plan->contents);
    if (options_.prune_empty_dirs && !has_listed &&
        (!has_contents ||
         !holds_any_file(entry.source_dirfd(), entry.source_name, entry.follows, entry.path, directory->rules))) {
      return;
    }
    const bool is_bare = listed.plan != nullptr && listed.plan->is_implied && !options_.implied_dirs;
    EntrySyncer::Outcome outcome = EntrySyncer::Outcome::enter;
    if (is_bare) {
      // Its attributes take no part, but it has to be there.
      if (!workers_[worker]->look_at_destination(entry)) {
        return;
      }
      if (!entry.exists || !S_ISDIR(entry.existing.stx_mode)) {
        outcome = workers_[worker]->make_bare_directory(entry);
      }
    } else {
      outcome = workers_[worker]->sync(directory, entry);
    }
    if (outcome == EntrySyncer::Outcome::done) {
      return;
    }
    auto entrance = std::make_unique<Entrance>();
    entrance->name = name;
    entrance->source = entry.source;
    entrance->follows = entry.follows;
    entrance->is_new = outcome == EntrySyncer::Outcome::enter_new;
    entrance->differs = is_bare || workers_[worker]->directory_differs();
    entrance->is_missing = options_.dry_run && entrance->is_new;
    entrance->first_source = source_index;
    entrance->plan = listed.plan;
    if (!is_entered || is_crossing) {
      // Only its attributes are left, for which it is opened all the same.
      entrance->is_entered = false;
      entrance->plan = nullptr;
    }
    directory->pending.fetch_add(1);
    scheduler_.push(worker, Task{.kind = Task::Kind::enter, .directory = directory, .entrance = std::move(entrance)});
    return;
  }
  (void)workers_[worker]->sync(directory, entry);
  if (S_ISREG(entry.source.stx_mode) && entry.source.stx_size > small_file_bytes) {
    note_cost(entry.source.stx_size / small_file_bytes);
  }
}

// Whether -m keeps the directory: anything but directories is somewhere below it.
bool SyncTraversal::holds_any_file(int dirfd, const char* name, bool follow, const std::string& path,
                                   const std::shared_ptr<const FilterRules>& rules) {
  const UniqueFd fd(job_.descriptors.open_within_budget(
      [&] { return sys::openat(dirfd, name, O_RDONLY | O_DIRECTORY | (follow ? 0 : O_NOFOLLOW)); }));
  if (!fd) {
    return true;  // what cannot be read may hold anything
  }
  std::shared_ptr<const FilterRules> own = rules;
  if (rules->has_directory_files()) {
    if (auto entered = rules->enter_directory(fd.get(), path); entered && *entered) {
      own = *entered;
    }
  }
  std::vector<std::string> directories;
  const auto batch = std::make_unique_for_overwrite<EntryBatch>();
  for (;;) {
    const ssize_t filled = batch->read(fd.get());
    if (filled < 0) {
      return true;
    }
    if (filled == 0) {
      break;
    }
    for (std::size_t i = 0; i < batch->offsets.size(); ++i) {
      const DirectoryEntry entry = batch->entry(i);
      FileType type = entry.type;
      struct statx status = {};
      if (type == FileType::unknown && sys::statx(fd.get(), entry.name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, status) == 0) {
        type = file_type_of_mode(status.stx_mode);
      }
      const bool is_directory = type == FileType::directory;
      if (!own->empty() && hides(own->verdict(joined(path, entry.name), is_directory, FilterSide::sender))) {
        continue;
      }
      if (!is_directory) {
        return true;
      }
      directories.emplace_back(entry.name);
    }
  }
  return std::ranges::any_of(directories, [&](const std::string& directory) {
    return holds_any_file(fd.get(), directory.c_str(), false, joined(path, directory), own);
  });
}

// ------------------------------------------------------------------------------------------ entering

DirectoryRef SyncTraversal::open_below(const DirectoryRef& parent, const std::string& name, bool follow, int& error) {
  DirectoryRef child(new Directory(parent, name));
  child->follow_source = follow;
  const auto open = [&] {
    return sys::openat(parent->source_fd(), name.c_str(), O_RDONLY | O_DIRECTORY | (follow ? 0 : O_NOFOLLOW));
  };
  child->source.reset(options_.adaptive ? job_.descriptors.open_within_budget(open) : open());
  if (!child->source) {
    error = -child->source.get();
    return {};
  }
  if (const int result = sys::statx(child->source.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, child->source_status);
      result < 0) {
    error = -result;
    return {};
  }
  child->source_identity = identity_of(child->source_status);
  error = 0;
  job_.descriptors.add(*child);
  return child;
}

SyncDirectoryRef SyncTraversal::enter(unsigned /*worker*/, const SyncDirectoryRef& parent, Entrance& entrance) {
  auto child = std::make_shared<SyncDirectory>();
  child->parent = parent;
  child->path = parent->path_of(entrance.name);
  child->source_status = entrance.source;
  child->is_new = entrance.is_new;
  child->differs = entrance.differs;
  child->plan = entrance.plan;
  const bool is_entered = entrance.is_entered;
  child->recursive = parent->recursive;
  child->contents = is_entered;
  bool has_attributes = true;
  if (entrance.plan != nullptr) {
    child->recursive = entrance.plan->recursive;
    child->contents = entrance.plan->contents;
    has_attributes = !entrance.plan->is_implied || options_.implied_dirs;
  }
  if (parent->plan != nullptr && parent->contents && entrance.plan != nullptr && parent->recursive) {
    child->contents = true;  // the directory it is in takes part as a whole, too
    child->recursive = true;
  }
  child->has_attributes = has_attributes;
  child->is_at_mount = !is_entered;
  if (!entrance.is_missing && !open_destination(*child, *parent, entrance)) {
    return {};
  }
  if (is_entered || options_.acls || options_.xattrs) {
    open_sources(*child, *parent, entrance);
  }
  open_basis(*child, *parent, entrance.name);
  enter_rules(*child, *parent);
  return child;
}

void SyncTraversal::open_sources(SyncDirectory& child, const SyncDirectory& parent, const Entrance& entrance) {
  int error = 0;
  const auto add = [&](const DirectoryRef& directory, const std::string& name, bool is_needed) {
    if (DirectoryRef opened = open_below(directory, name, entrance.follows, error)) {
      for (const Directory* above = directory.get(); !above->is_anchor(); above = above->parent.get()) {
        if (above->source_identity == opened->source_identity) {
          error = ELOOP;  // a symlink or a mount leads up again
        }
      }
      if (opened->source_identity == job_.destination_root) {
        error = EINVAL;  // the destination, inside the source: it would be copied into itself
      }
      if (error == 0) {
        child.sources.push_back(std::move(opened));
        return;
      }
      job_.descriptors.unpin(*opened);
      job_.descriptors.close(*opened);
    }
    if (is_needed) {
      child.has_read_error = true;
      job_.fail(error == ENOENT ? SyncProblem::vanished : SyncProblem::cannot_read_directory, error, "openat",
                joined(directory->source_path(), name));
    }
  };
  if (entrance.plan != nullptr && !entrance.plan->locations.empty()) {
    for (const PlanNode::Location& location : entrance.plan->locations) {
      add(location.directory, location.name, true);
    }
    return;
  }
  for (std::uint32_t i = entrance.first_source; i < parent.sources.size(); ++i) {
    add(parent.sources[i], entrance.name, i == entrance.first_source);
  }
}

// Opens the destination's directory, never through a symlink; with -K through one that leads to a place inside the
// destination.
bool SyncTraversal::open_destination(SyncDirectory& child, SyncDirectory& parent, const Entrance& entrance) {
  int error = 0;
  child.destination = open_below(parent.destination, entrance.name, false, error);
  if (!child.destination && (error == ELOOP || error == ENOTDIR) && options_.keep_dirlinks) {
    open_how how = {};
    how.flags = O_PATH | O_DIRECTORY;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    const SyncDirectory* root = &parent;
    while (root->parent) {
      root = root->parent.get();
    }
    const UniqueFd target(sys::openat2(root->destination_fd(), child.path.c_str(), how));
    error = target ? 0 : -target.get();
    if (target) {
      child.destination = open_below(parent.destination, entrance.name, true, error);
      struct statx beneath = {};
      if (child.destination && (sys::statx(target.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, beneath) < 0 ||
                                !(identity_of(beneath) == child.destination->source_identity))) {
        error = ESTALE;
        job_.descriptors.unpin(*child.destination);
        job_.descriptors.close(*child.destination);
        child.destination = {};
      }
    }
  }
  if (!child.destination && error == EACCES && !job_.is_root) {
    // Ours, but closed to us: opened for the time of the job.
    const UniqueFd path(sys::openat(parent.destination_fd(), entrance.name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW));
    struct statx status = {};
    if (path && sys::statx(path.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status) == 0 &&
        sys::fchmodat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(path.get())).c_str(),
                      (status.stx_mode & permission_bits) | 0700U) == 0) {
      child.destination = open_below(parent.destination, entrance.name, false, error);
      if (child.destination) {
        child.destination->source_status = status;
        child.added_mode_bits = 0700U & ~status.stx_mode;
      }
    }
  }
  if (!child.destination) {
    job_.fail(SyncProblem::cannot_create, error, "openat", child.path);
    return false;
  }
  child.destination_status = child.destination->source_status;
  const bool is_closed = (child.destination_status.stx_mode & 0700U) != 0700U;
  if (is_closed && !job_.is_root && !options_.dry_run && child.added_mode_bits == 0 &&
      sys::fchmod(child.destination_fd(), (child.destination_status.stx_mode & permission_bits) | 0700U) == 0) {
    child.added_mode_bits = 0700U & ~child.destination_status.stx_mode;
  }
  return true;
}

void SyncTraversal::open_basis(SyncDirectory& child, const SyncDirectory& parent, const std::string& name) {
  for (const DirectoryRef& basis : parent.basis) {
    int error = 0;
    child.basis.push_back(basis ? open_below(basis, name, false, error) : DirectoryRef());
  }
}

void SyncTraversal::enter_rules(SyncDirectory& child, const SyncDirectory& parent) {
  child.rules = parent.rules;
  child.receiver_rules = parent.receiver_rules;
  const auto enter = [&](std::shared_ptr<const FilterRules>& rules, int dirfd) {
    if (!rules->has_directory_files()) {
      return;
    }
    auto own = rules->enter_directory(dirfd, child.path);
    if (!own) {
      child.has_read_error = true;  // what it would protect is not known
      job_.fail(SyncProblem::filter_file, own.error());
    } else if (*own) {
      rules = *own;
    }
  };
  if (!child.sources.empty()) {
    enter(child.rules, child.sources.front()->source_fd());
  }
  if (child.destination && options_.delete_mode != DeleteMode::none) {
    enter(child.receiver_rules, child.destination_fd());
  }
}

// ------------------------------------------------------------------------------------------ deleting

bool SyncTraversal::deletes_in(const SyncDirectory& directory) const {
  const bool is_now = pass_ == Pass::deletions || options_.delete_mode == DeleteMode::during;
  return is_now && options_.delete_mode != DeleteMode::none && directory.contents && !directory.is_new &&
         !directory.is_at_mount && directory.destination && !directory.has_read_error && !directory.sources.empty() &&
         job_.may_delete();
}

bool SyncTraversal::is_protected(const SyncDirectory& directory, const char* name, FileType type) const {
  // rsync adds the rule "P *~" itself, unless excluded names are deleted. With --delete-delay the copies' own backups
  // are there already when deletions are looked for.
  const bool protects_backups = !options_.delete_excluded || options_.delete_mode == DeleteMode::delay;
  if (options_.backup && protects_backups && backups_.is_backup_name(name)) {
    return true;
  }
  if (directory.receiver_rules->empty()) {
    return false;
  }
  const FilterVerdict verdict =
      directory.receiver_rules->verdict(directory.path_of(name), type == FileType::directory, FilterSide::receiver);
  return verdict == FilterVerdict::exclude || verdict == FilterVerdict::exclude_perishable;
}

void SyncTraversal::remove_extraneous(unsigned worker, const SyncDirectoryRef& directory, const EntryList& list) {
  std::vector<std::string_view> names;
  names.reserve(list.entries.size());
  for (std::size_t i = 0; i < list.entries.size(); ++i) {
    names.emplace_back(list.name(i));
  }
  std::ranges::sort(names);
  Directory& destination = *directory->destination;
  if (destination.read_position != 0 || destination.read_elsewhere) {
    (void)sys::lseek(destination.source_fd(), 0, SEEK_SET);
  }
  destination.read_position = 1;
  // Read to the end first: what is deleted while a directory is read may hide others.
  std::vector<std::pair<std::string, FileType>> extraneous;
  const auto batch = std::make_unique_for_overwrite<EntryBatch>();
  for (;;) {
    const ssize_t filled = batch->read(destination.source_fd());
    if (filled < 0) {
      job_.fail(SyncProblem::cannot_delete, static_cast<int>(-filled), "getdents64", directory->path);
      return;
    }
    if (filled == 0) {
      break;
    }
    for (std::size_t i = 0; i < batch->offsets.size(); ++i) {
      const DirectoryEntry entry = batch->entry(i);
      if (!std::ranges::binary_search(names, std::string_view(entry.name)) &&
          !is_protected(*directory, entry.name, entry.type)) {
        extraneous.emplace_back(entry.name, entry.type);
      }
    }
  }
  note_cost(extraneous.size());
  for (auto& [name, type] : extraneous) {
    if (job_.stopped() || !job_.may_delete()) {
      return;
    }
    if (type == FileType::directory) {
      directory->pending.fetch_add(1);
      scheduler_.push(worker, Task{.kind = Task::Kind::remove, .directory = directory, .name = std::move(name)});
      note_cost(cost_worth_a_thread);
    } else {
      workers_[worker]->remover().remove(*directory, name.c_str(), type, true);
    }
  }
}

// Only directories that both sides have are gone through.
void SyncTraversal::enter_for_deletions(unsigned worker, const SyncDirectoryRef& directory, const EntryList& list,
                                        std::size_t index) {
  const Entry& listed = list.entries[index];
  const bool is_entered = directory->recursive || listed.plan != nullptr;
  if (!is_entered || !directory->destination || (listed.plan == nullptr && listed.type != FileType::directory)) {
    return;
  }
  const char* const name = list.name(index);
  struct statx existing = {};
  if (sys::statx(directory->destination_fd(), name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, existing) < 0 ||
      (!S_ISDIR(existing.stx_mode) && !options_.keep_dirlinks)) {
    return;
  }
  SyncEntry entry{.directory = *directory, .name = name, .path = directory->path_of(name)};
  std::uint32_t source_index = 0;
  if (!find_source(worker, *directory, list, index, entry, source_index) || !S_ISDIR(entry.source.stx_mode) ||
      (options_.one_file_system && listed.plan == nullptr &&
       !is_device_of(entry.source, directory->sources[source_index]->root_device))) {
    return;
  }
  auto entrance = std::make_unique<Entrance>();
  entrance->name = name;
  entrance->source = entry.source;
  entrance->follows = entry.follows;
  entrance->first_source = source_index;
  entrance->plan = listed.plan;
  directory->pending.fetch_add(1);
  scheduler_.push(worker, Task{.kind = Task::Kind::enter, .directory = directory, .entrance = std::move(entrance)});
}

}  // namespace ferry
