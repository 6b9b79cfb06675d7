#include "sync/entry_syncer.hpp"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <limits>
#include <string_view>
#include <utility>

#include "base/sys.hpp"
#include "tree/temporary_name.hpp"
#include "tree/traversal.hpp"

namespace ferry {
namespace {

Result<std::string> read_link(int dirfd, const char* name) {
  std::array<char, PATH_MAX> target = {};
  const ssize_t length = sys::readlinkat(dirfd, name, target.data(), target.size());
  if (length < 0) {
    return ferry::fail(static_cast<int>(-length), "readlinkat");
  }
  return std::string(target.data(), static_cast<std::size_t>(length));
}

// rsync(1), SYMBOLIC LINKS: absolute, or with so many ".." that it leaves the tree; since 3.4 also with any ".." but at
// the beginning, which could lead anywhere through another symlink. `path`: the symlink's own, in the tree.
bool leads_out(std::string_view target, std::string_view path) noexcept {
  if (target.empty() || target.front() == '/') {
    return true;
  }
  auto depth = std::count(path.begin(), path.end(), '/');
  std::string_view rest = target;
  while (rest == ".." || rest.starts_with("../")) {
    rest.remove_prefix(std::min<std::size_t>(3, rest.size()));
    if (--depth < 0) {
      return true;
    }
  }
  return rest.find("/../") != std::string_view::npos || rest.ends_with("/..");
}

bool is_same_kind(std::uint32_t a, std::uint32_t b) noexcept { return (a & S_IFMT) == (b & S_IFMT); }

bool is_device(std::uint32_t mode) noexcept { return S_ISCHR(mode) || S_ISBLK(mode); }

}  // namespace

EntrySyncer::EntrySyncer(SyncJob& job, Backups& backups, LinkGroups& links, Hooks hooks)
    : job_(job),
      options_(job.options),
      backups_(backups),
      links_(links),
      hooks_(std::move(hooks)),
      writer_(job, backups),
      remover_(job, backups) {}

bool EntrySyncer::clears_directories() const noexcept {
  return options_.force || options_.delete_mode != DeleteMode::none;
}

// ------------------------------------------------------------------------------------------ looking

bool EntrySyncer::find(const Directory& from, const char* name, bool is_operand, SyncEntry& entry) {
  entry.source_directory = &from;
  entry.source_name = name;
  entry.follows = options_.symlinks == SymlinkMode::dereference;
  const auto look = [&] {
    return sys::statx(from.source_fd(), name, entry.follows ? 0 : AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, entry.source);
  };
  int result = look();
  if (result == 0 && S_ISLNK(entry.source.stx_mode)) {
    const bool may_be_unsafe =
        options_.symlinks == SymlinkMode::copy_unsafe || options_.symlinks == SymlinkMode::only_unsafe;
    bool follows = false;
    if (may_be_unsafe) {
      const auto target = read_link(from.source_fd(), name);
      follows = target && leads_out(*target, entry.path);
    }
    if (!follows && options_.copy_dirlinks) {
      struct statx target = {};
      follows = sys::statx(from.source_fd(), name, 0, STATX_BASIC_STATS, target) == 0 && S_ISDIR(target.stx_mode);
    }
    if (follows) {
      entry.follows = true;
      result = look();
    }
  }
  if (result < 0) {
    const bool is_gone = result == -ENOENT && !is_operand;
    struct statx link = {};
    const bool is_dangling =
        is_gone && entry.follows && sys::statx(from.source_fd(), name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, link) == 0;
    job_.fail(is_gone && !is_dangling ? SyncProblem::vanished : SyncProblem::cannot_stat_source, -result, "statx",
              entry.source_path());
    return false;
  }
  job_.adjust(entry.source);
  return true;
}

bool EntrySyncer::look_at_destination(SyncEntry& entry) {
  if (entry.directory.is_new || !entry.directory.destination) {
    return true;
  }
  const int result =
      sys::statx(entry.directory.destination_fd(), entry.name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, entry.existing);
  if (result < 0 && result != -ENOENT) {
    job_.fail(SyncProblem::cannot_create, -result, "statx", entry.path);
    return false;
  }
  entry.exists = result == 0;
  return true;
}

void EntrySyncer::tell(const SyncEntry& entry, SyncAction action, std::uint16_t changes, std::string_view target,
                       const FileWriter::Written* written) {
  if (!job_.wants_events()) {
    return;
  }
  const bool is_new = !entry.exists;
  if (action == SyncAction::none && changes == 0 && !options_.report_unchanged) {
    return;
  }
  SyncEvent event;
  event.action = action;
  event.type = file_type_of_mode(entry.source.stx_mode);
  event.is_new = is_new;
  event.changes = changes;
  event.path = entry.path;
  event.link_target = target;
  const std::string source_path = entry.source_path();
  event.source_path = source_path;
  event.size_bytes = entry.source.stx_size;
  event.mode = entry.source.stx_mode;
  event.uid = entry.source.stx_uid;
  event.gid = entry.source.stx_gid;
  event.mtime_seconds = entry.source.stx_mtime.tv_sec;
  if (written != nullptr) {
    event.bytes_written = written->literal_bytes;
    event.report = &written->report;
  }
  job_.event(event);
}

void EntrySyncer::count_created(const SyncEntry& entry) {
  if (!entry.exists) {
    count_entry(report_.created, file_type_of_mode(entry.source.stx_mode));
  }
}

// ------------------------------------------------------------------------------------------ deciding

EntrySyncer::Outcome EntrySyncer::sync(const SyncDirectoryRef& self, SyncEntry& entry) {
  const std::uint32_t mode = entry.source.stx_mode;
  count_entry(report_.found, file_type_of_mode(mode));
  if (S_ISREG(mode) || S_ISLNK(mode)) {
    report_.total_size_bytes += entry.source.stx_size;
  }
  if (!look_at_destination(entry)) {
    return Outcome::done;
  }
  if (S_ISDIR(mode)) {
    return sync_directory(entry);
  }
  is_done_ = false;
  const auto make = [&] { return sync_non_directory(entry); };
  // With --remove-source-files the names that were dealt with are gone from the count.
  const bool is_last_name = options_.remove_source_files && links_.knows(identity_of(entry.source));
  if (options_.hard_links && (entry.source.stx_nlink > 1 || is_last_name)) {
    sync_linked(self, entry, make);
  } else {
    make();
  }
  return Outcome::done;
}

// True: the destination has the entry now.
bool EntrySyncer::sync_non_directory(SyncEntry& entry) {
  const std::uint32_t mode = entry.source.stx_mode;
  is_done_ = false;
  if (is_kept(entry)) {
    return false;
  }
  const bool is_left_out =
      (S_ISLNK(mode) && (options_.symlinks == SymlinkMode::skip || options_.symlinks == SymlinkMode::only_unsafe)) ||
      (is_device(mode) && !options_.devices) || ((S_ISFIFO(mode) || S_ISSOCK(mode)) && !options_.specials);
  if (is_left_out) {
    tell(entry, SyncAction::skipped_non_regular, 0);
    return false;
  }
  if (S_ISLNK(mode)) {
    sync_symlink(entry);
  } else if (S_ISREG(mode)) {
    sync_regular(entry);
  } else {
    sync_special(entry);
  }
  if (is_done_ && options_.remove_source_files) {
    remove_source(entry);
  }
  return is_done_;
}

// What the options leave as it is.
bool EntrySyncer::is_kept(const SyncEntry& entry) {
  if (options_.existing && !entry.exists) {
    tell(entry, SyncAction::skipped_missing, 0);
    return true;
  }
  if (options_.ignore_existing && entry.exists) {
    tell(entry, SyncAction::skipped_existing, 0);
    return true;
  }
  if (!S_ISREG(entry.source.stx_mode)) {
    return false;
  }
  const std::uint64_t size = entry.source.stx_size;
  if ((options_.max_size_bytes && size > *options_.max_size_bytes) ||
      (options_.min_size_bytes && size < *options_.min_size_bytes)) {
    tell(entry, SyncAction::skipped_size, 0);
    return true;
  }
  if (options_.update && entry.exists && S_ISREG(entry.existing.stx_mode) &&
      entry.existing.stx_mtime.tv_sec > entry.source.stx_mtime.tv_sec &&
      !job_.is_same_time(entry.existing.stx_mtime, entry.source.stx_mtime)) {
    tell(entry, SyncAction::skipped_newer, 0);
    return true;
  }
  return false;
}

// The quick check, or with -c the contents. `is_known`: false if it could not be told, which was reported.
bool EntrySyncer::is_unchanged(const SyncEntry& entry, int dirfd, const char* name, const struct statx& existing,
                               bool& is_known) {
  is_known = true;
  if (!S_ISREG(existing.stx_mode) || existing.stx_size != entry.source.stx_size) {
    return false;
  }
  if (options_.checksum) {
    const auto same = writer_.has_same_content(entry, dirfd, name);
    is_known = same.has_value();
    return same.value_or(false);
  }
  if (options_.size_only) {
    return true;
  }
  return !options_.ignore_times && job_.is_same_time(entry.source.stx_mtime, existing.stx_mtime);
}

// Takes away what stands where a non-directory, or a directory, is to be.
bool EntrySyncer::make_way(SyncEntry& entry) {
  if (!remover_.make_way(entry.directory, entry.name, file_type_of_mode(entry.existing.stx_mode),
                         clears_directories())) {
    job_.fail(SyncProblem::cannot_create, S_ISDIR(entry.existing.stx_mode) ? ENOTEMPTY : EEXIST, "make way",
              entry.path);
    return false;
  }
  entry.exists = false;
  return true;
}

void EntrySyncer::remove_source(const SyncEntry& entry) {
  if (options_.dry_run) {
    return;
  }
  struct statx now = {};
  int result = sys::statx(entry.source_dirfd(), entry.source_name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, now);
  if (result == 0 && !entry.follows &&
      (!(identity_of(now) == identity_of(entry.source)) || now.stx_size != entry.source.stx_size ||
       now.stx_mtime.tv_sec != entry.source.stx_mtime.tv_sec ||
       now.stx_mtime.tv_nsec != entry.source.stx_mtime.tv_nsec)) {
    result = -EBUSY;  // it is not what was copied
  }
  if (result == 0) {
    result = sys::unlinkat(entry.source_dirfd(), entry.source_name, 0);
  }
  if (result < 0) {
    job_.fail(SyncProblem::cannot_remove_source, -result, "unlinkat", entry.source_path());
    return;
  }
  tell(entry, SyncAction::source_removed, 0);
}

// ------------------------------------------------------------------------------------------ directories

EntrySyncer::Outcome EntrySyncer::sync_directory(SyncEntry& entry) {
  directory_differs_ = true;
  const bool is_link_to_directory = entry.exists && S_ISLNK(entry.existing.stx_mode) && options_.keep_dirlinks;
  if (is_link_to_directory) {
    struct statx target = {};
    if (sys::statx(entry.directory.destination_fd(), entry.name, 0, STATX_BASIC_STATS, target) == 0 &&
        S_ISDIR(target.stx_mode)) {
      entry.existing = target;
    }
  }
  if (entry.exists && !S_ISDIR(entry.existing.stx_mode) && options_.ignore_existing) {
    tell(entry, SyncAction::skipped_existing, 0);
    if (holds_something(entry.source_dirfd(), entry.source_name)) {
      job_.fail(SyncProblem::cannot_create, ENOTDIR, "mkdirat", entry.path);  // there is no place for what it holds
    }
    return Outcome::done;
  }
  const bool is_replaced = entry.exists && !S_ISDIR(entry.existing.stx_mode);
  if (is_replaced && !make_way(entry)) {
    return Outcome::done;
  }
  if (entry.exists) {
    std::uint16_t changes = attribute_changes(job_, entry.source, entry.existing);
    changes |= extended_changes(job_, entry.source_dirfd(), entry.source_name, entry.directory.destination_fd(),
                                entry.name, false);
    directory_differs_ = changes != 0;
    tell(entry, SyncAction::none, changes);
    return Outcome::enter;
  }
  if (options_.existing && !is_replaced) {
    tell(entry, SyncAction::skipped_missing, 0);
    return Outcome::done;
  }
  if (!options_.dry_run) {
    const std::uint32_t mode = (entry.source.stx_mode & 0777U) | 0700U;
    const int result = sys::mkdirat(entry.directory.destination_fd(), entry.name, mode);
    if (result < 0 && result != -EEXIST) {
      job_.fail(SyncProblem::cannot_create, -result, "mkdirat", entry.path);
      return Outcome::done;
    }
    entry.directory.is_touched = true;
    if (result == -EEXIST) {
      return Outcome::enter;  // somebody else made it meanwhile: it may hold anything
    }
  }
  count_created(entry);
  tell_created_beside_basis(entry, {});
  return Outcome::enter_new;
}

EntrySyncer::Outcome EntrySyncer::make_bare_directory(SyncEntry& entry) {
  if (entry.exists && !make_way(entry)) {
    return Outcome::done;
  }
  if (!options_.dry_run) {
    const int result = sys::mkdirat(entry.directory.destination_fd(), entry.name, 0777);
    if (result < 0) {
      job_.fail(SyncProblem::cannot_create, -result, "mkdirat", entry.path);
      return Outcome::done;
    }
    entry.directory.is_touched = true;
  }
  return Outcome::enter_new;
}

// What is new here, but was in another tree, is told with what differs from there; from where the least differs.
void EntrySyncer::tell_created_beside_basis(const SyncEntry& entry, std::string_view target, std::size_t from) {
  std::optional<std::uint16_t> least;
  struct statx found = {};
  for (const DirectoryRef* basis = find_in_basis(entry, found, from); basis != nullptr && least != 0U;
       basis = find_in_basis(entry, found, from)) {
    std::uint16_t changes = attribute_changes(job_, entry.source, found);
    changes |=
        extended_changes(job_, entry.source_dirfd(), entry.source_name, (*basis)->source_fd(), entry.name, false);
    least = least && changes != 0 ? *least : changes;
    from = static_cast<std::size_t>(basis - entry.directory.basis.data()) + 1;
  }
  if (!least) {
    tell(entry, SyncAction::created, 0, target);
    return;
  }
  std::uint16_t changes = *least;
  if ((changes != 0 || S_ISREG(entry.source.stx_mode)) && !keeps_times(options_, entry.source.stx_mode)) {
    changes |= bit(SyncChange::time) | bit(SyncChange::time_now);
  }
  if (changes == 0 && !options_.report_unchanged) {
    return;
  }
  SyncEntry known = entry;
  known.exists = true;
  tell(known, SyncAction::created, changes, target);
}

// The first of the other trees, from the one with this number on, that has an entry of this type.
const DirectoryRef* EntrySyncer::find_in_basis(const SyncEntry& entry, struct statx& found, std::size_t from) {
  for (std::size_t i = from; i < entry.directory.basis.size(); ++i) {
    const DirectoryRef& basis = entry.directory.basis[i];
    if (basis && sys::statx(basis->source_fd(), entry.name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, found) == 0 &&
        is_same_kind(found.stx_mode, entry.source.stx_mode)) {
      return &basis;
    }
  }
  return nullptr;
}

// For symlinks and special files: what another tree has of the same type, at best the very same. `target`: a symlink's.
EntrySyncer::SpecialBasis EntrySyncer::look_for_special(const SyncEntry& entry, std::string_view target) {
  SpecialBasis best;
  for (std::size_t i = 0; !entry.exists && !best.is_same && i < entry.directory.basis.size(); ++i) {
    const DirectoryRef& basis = entry.directory.basis[i];
    struct statx found = {};
    if (!basis || sys::statx(basis->source_fd(), entry.name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, found) < 0 ||
        !is_same_kind(found.stx_mode, entry.source.stx_mode)) {
      continue;
    }
    bool is_equal = true;
    if (S_ISLNK(found.stx_mode)) {
      const auto existing = read_link(basis->source_fd(), entry.name);
      is_equal = existing && *existing == target;
    } else if (is_device(found.stx_mode)) {
      is_equal =
          found.stx_rdev_major == entry.source.stx_rdev_major && found.stx_rdev_minor == entry.source.stx_rdev_minor;
    }
    std::uint16_t changes = attribute_changes(job_, entry.source, found);
    changes |= extended_changes(job_, entry.source_dirfd(), entry.source_name, basis->source_fd(), entry.name,
                                S_ISLNK(found.stx_mode));
    const bool is_same = is_equal && changes == 0;
    if (!best.index || is_same || (is_equal && !best.is_equal)) {
      best = {.index = i, .is_equal = is_equal, .is_same = is_same, .changes = changes};
    }
  }
  return best;
}

// Whether nothing is left to be done, because another tree has the very same: it is left out, or linked.
bool EntrySyncer::use_basis_of_special(SyncEntry& entry, const SpecialBasis& basis, std::string_view target) {
  if (!basis.is_same) {
    return false;
  }
  const BasisDirectory::Kind kind = options_.basis[*basis.index].kind;
  if (kind == BasisDirectory::Kind::copy || kind == BasisDirectory::Kind::reflink) {
    return false;
  }
  if (kind == BasisDirectory::Kind::link) {
    const int basis_fd = entry.directory.basis[*basis.index]->source_fd();
    const int result =
        options_.dry_run ? 0 : sys::linkat(basis_fd, entry.name, entry.directory.destination_fd(), entry.name, 0);
    if (result < 0) {
      return false;  // it is made anew, which tells what is wrong
    }
    entry.directory.is_touched = true;
    count_created(entry);
  }
  if (options_.report_unchanged) {
    SyncEntry known = entry;
    known.exists = true;
    tell(known, kind == BasisDirectory::Kind::link ? SyncAction::hard_linked : SyncAction::none, 0, target);
  }
  is_done_ = true;
  return true;
}

// ------------------------------------------------------------------------------------------ regular files

void EntrySyncer::sync_regular(SyncEntry& entry) {
  bool is_known = true;
  if (entry.exists && S_ISDIR(entry.existing.stx_mode) && !make_way(entry)) {
    return;
  }
  const bool is_file = entry.exists && S_ISREG(entry.existing.stx_mode);
  if (!entry.directory.basis.empty()) {
    if (const std::optional<bool> used = use_basis(entry)) {
      is_done_ = *used;
      return;
    }
  }
  std::uint16_t changes = is_file ? attribute_changes(job_, entry.source, entry.existing) : 0;
  if (is_file) {
    changes |= extended_changes(job_, entry.source_dirfd(), entry.source_name, entry.directory.destination_fd(),
                                entry.name, false);
    if (is_unchanged(entry, entry.directory.destination_fd(), entry.name, entry.existing, is_known)) {
      is_done_ = update_attributes(entry, changes);
      tell(entry, SyncAction::none, changes);
      return;
    }
    if (!is_known) {
      return;
    }
    if ((options_.append || options_.append_verify) && entry.existing.stx_size >= entry.source.stx_size) {
      is_done_ = true;
      return;  // only what is shorter is updated
    }
  }
  // An older version in another tree: what is told is what differs from that.
  struct statx other = {};
  const DirectoryRef* const basis = entry.exists ? nullptr : find_in_basis(entry, other);
  const bool is_elsewhere = basis != nullptr;
  if (is_elsewhere) {
    changes = attribute_changes(job_, entry.source, other) |
              extended_changes(job_, entry.source_dirfd(), entry.source_name, (*basis)->source_fd(), entry.name, false);
  }
  if ((is_file || is_elsewhere) && options_.checksum) {
    changes |= bit(SyncChange::content);
  }
  if ((entry.exists || is_elsewhere) && !keeps_times(options_, entry.source.stx_mode)) {
    changes |= bit(SyncChange::time) | bit(SyncChange::time_now);
  }
  std::optional<FileWriter::Written> written;
  if (options_.dry_run) {
    written.emplace();
    written->literal_bytes = entry.source.stx_size;
  } else {
    written = writer_.write(entry);
  }
  if (!written) {
    return;
  }
  if (!is_file) {
    entry.exists = false;
  }
  count_created(entry);
  ++report_.transferred_files;
  report_.transferred_size_bytes += entry.source.stx_size;
  report_.literal_bytes += written->literal_bytes;
  report_.matched_bytes += written->matched_bytes;
  report_.data.merge(written->report);
  is_done_ = !written->report.source_changed;
  entry.exists |= is_elsewhere;
  tell(entry, SyncAction::transferred, changes, {}, &*written);
}

// Sets what differs of an entry whose data is right.
bool EntrySyncer::update_attributes(const SyncEntry& entry, std::uint16_t changes) {
  const std::uint16_t not_attributes = bit(SyncChange::size) | bit(SyncChange::content) | bit(SyncChange::time_now);
  if ((changes & ~not_attributes) == 0 || options_.dry_run) {
    return true;
  }
  return set_attributes_of(
      entry, entry.name, [&](const struct statx& now) { return identity_of(now) == identity_of(entry.existing); },
      [&](std::uint32_t mode) { return wanted_mode(job_, entry.source, mode); });
}

// Gives the attributes to what `name` is in the destination, having made sure that it is what was expected there.
// `wanted`: from the mode that it has to the one it is to have.
template <typename IsExpected, typename Wanted>
bool EntrySyncer::set_attributes_of(const SyncEntry& entry, const char* name, IsExpected is_expected, Wanted wanted) {
  const UniqueFd to(sys::openat(entry.directory.destination_fd(), name, O_PATH | O_NOFOLLOW));
  struct statx now = {};
  int error = to ? -sys::statx(to.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, now) : -to.get();
  if (error == 0 && !is_expected(now)) {
    error = ESTALE;
  }
  if (error != 0) {
    job_.fail(SyncProblem::cannot_set_attributes, error, "openat", entry.path);
    return false;
  }
  UniqueFd from;
  if (options_.acls || options_.xattrs) {
    from.reset(sys::openat(entry.source_dirfd(), entry.source_name, O_PATH | (entry.follows ? 0 : O_NOFOLLOW)));
  }
  return set_attributes(job_, {from.get(), true}, entry.source, {to.get(), true},
                        {.mode = now.stx_mode & permission_bits,
                         .uid = now.stx_uid,
                         .gid = now.stx_gid,
                         .wanted_mode = wanted(now.stx_mode),
                         .may_have_attributes = true},
                        entry.path);
}

// The first unchanged file in the other trees; one with the same attributes is preferred.
std::optional<EntrySyncer::FileBasis> EntrySyncer::look_for_file(const SyncEntry& entry) {
  std::optional<FileBasis> best;
  for (std::size_t i = 0; i < entry.directory.basis.size() && !(best && best->has_attributes); ++i) {
    const DirectoryRef& basis = entry.directory.basis[i];
    struct statx found = {};
    bool is_known = true;
    if (!basis || sys::statx(basis->source_fd(), entry.name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, found) < 0 ||
        !is_unchanged(entry, basis->source_fd(), entry.name, found, is_known) || !is_known) {
      continue;
    }
    const bool has_attributes =
        attribute_changes(job_, entry.source, found) == 0 &&
        extended_changes(job_, entry.source_dirfd(), entry.source_name, basis->source_fd(), entry.name, false) == 0;
    if (!best || has_attributes) {
      best = {.index = i, .has_attributes = has_attributes, .identity = identity_of(found)};
    }
  }
  return best;
}

// Finds an unchanged file in the other trees: compares, links or copies it. Empty: there is none. What is in the
// destination already makes way for an exact match only (rsync(1), --link-dest, "since 3.1.0").
std::optional<bool> EntrySyncer::use_basis(SyncEntry& entry) {
  const BasisDirectory::Kind kind = options_.basis.front().kind;  // all are of one kind
  const bool copies = kind == BasisDirectory::Kind::copy || kind == BasisDirectory::Kind::reflink;
  const bool is_file = entry.exists && S_ISREG(entry.existing.stx_mode);
  if (is_file && copies) {
    return std::nullopt;
  }
  const std::optional<FileBasis> found = look_for_file(entry);
  if (!found || (is_file && !found->has_attributes)) {
    return std::nullopt;
  }
  if (found->has_attributes && kind == BasisDirectory::Kind::compare) {
    return leave_to_basis(entry);
  }
  const int basis_fd = entry.directory.basis[found->index]->source_fd();
  if (found->has_attributes && kind == BasisDirectory::Kind::link) {
    if (is_file && found->identity == identity_of(entry.existing)) {
      return std::nullopt;
    }
    const Linking linked = options_.dry_run ? Linking{} : give_name(basis_fd, entry.name, entry);
    if (linked.error == 0) {
      entry.exists = is_file;
      entry.directory.is_touched = true;
      count_created(entry);
      if (options_.report_unchanged) {
        entry.exists = true;  // as it is told
        tell(entry, SyncAction::hard_linked, 0);
      }
      return true;
    }
    if (linked.error != EMLINK && linked.error != EXDEV && linked.error != EPERM) {
      if (linked.is_told) {
        return false;
      }
      job_.fail(SyncProblem::cannot_link, linked.error, linked.operation, entry.path);
      return false;
    }
    if (is_file) {
      return std::nullopt;
    }
  }
  std::optional<FileWriter::Written> written;
  if (options_.dry_run) {
    written.emplace();
  } else {
    written = writer_.write_from(entry, basis_fd, entry.name);
  }
  if (!written) {
    return false;
  }
  report_.data.merge(written->report);
  entry.exists = false;
  count_created(entry);
  tell_created_beside_basis(entry, {}, found->index);
  return true;
}

// --compare-dest has it: the destination is not to hold it, too. Whether that is so now.
bool EntrySyncer::leave_to_basis(SyncEntry& entry) {
  if (entry.exists && !make_way(entry)) {
    return false;
  }
  if (options_.report_unchanged) {
    entry.exists = true;  // as it is told
    tell(entry, SyncAction::none, 0);
  }
  return true;
}

// Makes the entry's name one more of the file `from`, replacing what has the name by a rename.
EntrySyncer::Linking EntrySyncer::give_name(int from_dirfd, const char* from, const SyncEntry& entry) {
  const int dirfd = entry.directory.destination_fd();
  const std::string temporary = entry.exists ? temporary_name_for(entry.name) : std::string(entry.name);
  const auto make = [&] { return sys::linkat(from_dirfd, from, dirfd, temporary.c_str(), 0); };
  int result = make();
  if (result == -EEXIST && entry.exists && sys::unlinkat(dirfd, temporary.c_str(), 0) == 0) {
    result = make();  // what a killed process left
  }
  if (result < 0 || !entry.exists) {
    return {.error = -result};
  }
  if (options_.backup && !backups_.make(dirfd, entry.directory.path, entry.name, true)) {
    (void)sys::unlinkat(dirfd, temporary.c_str(), 0);
    return {.error = ECANCELED, .is_told = true};
  }
  result = sys::renameat2(dirfd, temporary.c_str(), dirfd, entry.name, 0);
  if (result < 0) {
    (void)sys::unlinkat(dirfd, temporary.c_str(), 0);
  }
  return {.error = -result, .operation = "renameat2"};
}

// ------------------------------------------------------------------------------------------ symlinks, specials

void EntrySyncer::sync_symlink(SyncEntry& entry) {
  const auto target = read_link(entry.source_dirfd(), entry.source_name);
  if (!target) {
    job_.fail(target.error().errno_value() == ENOENT ? SyncProblem::vanished : SyncProblem::cannot_read_source,
              target.error().errno_value(), "readlinkat", entry.source_path());
    return;
  }
  if (options_.symlinks == SymlinkMode::skip_unsafe && leads_out(*target, entry.path)) {
    tell(entry, SyncAction::skipped_unsafe_link, 0, *target);
    return;
  }
  std::uint16_t changes = 0;
  if (entry.exists && S_ISLNK(entry.existing.stx_mode)) {
    changes = attribute_changes(job_, entry.source, entry.existing);
    changes |= extended_changes(job_, entry.source_dirfd(), entry.source_name, entry.directory.destination_fd(),
                                entry.name, true);
    const auto existing = read_link(entry.directory.destination_fd(), entry.name);
    if (existing && *existing == *target) {
      is_done_ = update_attributes(entry, changes);
      tell(entry, SyncAction::none, changes, *target);
      return;
    }
    changes |= bit(SyncChange::content);
    if (!keeps_times(options_, entry.source.stx_mode)) {
      changes |= bit(SyncChange::time) | bit(SyncChange::time_now);
    }
  }
  const SpecialBasis basis = look_for_special(entry, *target);
  if (use_basis_of_special(entry, basis, *target)) {
    return;
  }
  const int dirfd = options_.dry_run && !entry.directory.destination ? -1 : entry.directory.destination_fd();
  make_by_rename(
      entry, changes, [&](const char* name) { return sys::symlinkat(target->c_str(), dirfd, name); }, basis, *target);
}

void EntrySyncer::sync_special(SyncEntry& entry) {
  const std::uint32_t mode = entry.source.stx_mode;
  const dev_t number = is_device(mode) ? makedev(entry.source.stx_rdev_major, entry.source.stx_rdev_minor) : 0;
  std::uint16_t changes = 0;
  if (entry.exists && is_same_kind(mode, entry.existing.stx_mode)) {
    changes = attribute_changes(job_, entry.source, entry.existing);
    changes |= extended_changes(job_, entry.source_dirfd(), entry.source_name, entry.directory.destination_fd(),
                                entry.name, false);
    if (!is_device(mode) || number == makedev(entry.existing.stx_rdev_major, entry.existing.stx_rdev_minor)) {
      is_done_ = update_attributes(entry, changes);
      tell(entry, SyncAction::none, changes);
      return;
    }
    changes |= bit(SyncChange::content);
    if (!keeps_times(options_, mode)) {
      changes |= bit(SyncChange::time) | bit(SyncChange::time_now);
    }
  }
  const SpecialBasis basis = look_for_special(entry, {});
  if (use_basis_of_special(entry, basis, {})) {
    return;
  }
  const int dirfd = options_.dry_run && !entry.directory.destination ? -1 : entry.directory.destination_fd();
  make_by_rename(entry, changes,
                 [&](const char* name) { return sys::mknodat(dirfd, name, mode & (S_IFMT | 0777U), number); }, basis,
                 {});
}

// Makes what takes its name at once, replacing what is there by a rename; tells it as created.
bool EntrySyncer::make_by_rename(SyncEntry& entry, std::uint16_t changes, const std::function<int(const char*)>& make,
                                 const SpecialBasis& basis, std::string_view target) {
  if (entry.exists && S_ISDIR(entry.existing.stx_mode) && !make_way(entry)) {
    return false;
  }
  const bool was_same_kind = entry.exists && is_same_kind(entry.source.stx_mode, entry.existing.stx_mode);
  if (!options_.dry_run) {
    const int dirfd = entry.directory.destination_fd();
    const std::string temporary = entry.exists ? temporary_name_for(entry.name) : std::string(entry.name);
    int result = make(temporary.c_str());
    if (result == -EEXIST && entry.exists && sys::unlinkat(dirfd, temporary.c_str(), 0) == 0) {
      result = make(temporary.c_str());  // what a killed process left
    }
    if (result < 0) {
      job_.fail(SyncProblem::cannot_create, -result, S_ISLNK(entry.source.stx_mode) ? "symlinkat" : "mknodat",
                entry.path);
      return false;
    }
    entry.directory.is_touched = true;
    const bool is_ready = finish_made(entry, temporary.c_str());
    if (entry.exists) {
      if (options_.backup && !backups_.make(dirfd, entry.directory.path, entry.name, true)) {
        (void)sys::unlinkat(dirfd, temporary.c_str(), 0);
        return false;
      }
      result = sys::renameat2(dirfd, temporary.c_str(), dirfd, entry.name, 0);
      if (result < 0) {
        (void)sys::unlinkat(dirfd, temporary.c_str(), 0);
        job_.fail(SyncProblem::cannot_create, -result, "renameat2", entry.path);
        return false;
      }
    }
    is_done_ = is_ready;
  } else {
    is_done_ = true;
  }
  entry.exists = was_same_kind;
  count_created(entry);
  if (basis.index) {
    // Told is what differs from the other tree's: its content, unless it is the very same.
    entry.exists = true;
    changes = basis.changes | (basis.is_same ? 0 : bit(SyncChange::content));
    if (!basis.is_same && !keeps_times(options_, entry.source.stx_mode)) {
      changes |= bit(SyncChange::time) | bit(SyncChange::time_now);
    }
  }
  if (!basis.is_same || options_.report_unchanged) {
    tell(entry, SyncAction::created, changes, target);
  }
  return true;
}

// Gives what was just made under `name` its attributes.
bool EntrySyncer::finish_made(const SyncEntry& entry, const char* name) {
  return set_attributes_of(
      entry, name, [&](const struct statx& made) { return is_same_kind(made.stx_mode, entry.source.stx_mode); },
      [&](std::uint32_t mode) { return (options_.permissions ? entry.source.stx_mode : mode) & permission_bits; });
}

// ------------------------------------------------------------------------------------------ hard links

void EntrySyncer::sync_linked(const SyncDirectoryRef& self, SyncEntry& entry, const std::function<bool()>& make) {
  const InodeIdentity inode = identity_of(entry.source);
  const LinkName name{self, entry.name, entry.source_directory, entry.source_name};
  LinkName first;
  hooks_.hold(*self);  // before the claim: a deferred name may be linked, and let go of, at once
  // Where symlinks are followed, an inode can be met more often than it has names.
  const bool is_followed = options_.symlinks != SymlinkMode::keep && options_.symlinks != SymlinkMode::skip_unsafe &&
                           !options_.remove_source_files;
  const std::uint32_t names = is_followed ? std::numeric_limits<std::uint32_t>::max() : entry.source.stx_nlink;
  const LinkGroups::Claim claim = links_.claim(inode, names, name, first);
  if (claim == LinkGroups::Claim::deferred) {
    return;
  }
  hooks_.let_go(self);
  if (claim == LinkGroups::Claim::link) {
    if (hooks_.pin(*first.directory)) {
      link_to(entry, first);
      hooks_.unpin(*first.directory);
    }
    return;
  }
  std::optional<LinkName> made = make() ? std::optional(name) : std::nullopt;
  for (const LinkName& later : links_.settle(inode, made)) {
    if (hooks_.pin(*later.directory)) {
      SyncEntry other{.directory = *later.directory,
                      .name = later.name.c_str(),
                      .path = later.directory->path_of(later.name),
                      .source_directory = later.source_directory,
                      .source_name = later.source_name.c_str(),
                      .follows = entry.follows,
                      .source = entry.source};
      if (look_at_destination(other)) {
        if (made) {
          link_to(other, *made);
        } else if (sync_non_directory(other)) {
          made = later;
        }
      }
      hooks_.unpin(*later.directory);
    }
    hooks_.let_go(later.directory);
  }
}

// Makes the entry's name one more of the file that has the name `first`.
bool EntrySyncer::link_to(SyncEntry& entry, const LinkName& first) {
  if (is_kept(entry)) {
    return false;
  }
  const std::string first_path = first.directory->path_of(first.name);
  if (options_.dry_run) {
    struct statx target = {};
    const bool is_linked = entry.exists && first.directory->destination &&
                           sys::statx(first.directory->destination_fd(), first.name.c_str(), AT_SYMLINK_NOFOLLOW,
                                      STATX_BASIC_STATS, target) == 0 &&
                           identity_of(target) == identity_of(entry.existing);
    if (!is_linked || options_.report_unchanged) {
      tell(entry, SyncAction::hard_linked,
           entry.exists && !is_linked ? attribute_changes(job_, entry.source, entry.existing) : 0,
           is_linked ? std::string_view() : first_path);
    }
    return true;
  }
  const int first_dirfd = first.directory->destination_fd();
  struct statx target = {};
  if (const int result = sys::statx(first_dirfd, first.name.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, target);
      result < 0) {
    if (result == -ENOENT && !options_.basis.empty()) {
      return sync_non_directory(entry);  // --compare-dest has the first name, and the destination has it not
    }
    job_.fail(SyncProblem::cannot_link, -result, "statx", entry.path);
    return false;
  }
  if (entry.exists && identity_of(target) == identity_of(entry.existing)) {
    if (options_.report_unchanged) {
      tell(entry, SyncAction::hard_linked, 0);
    }
    if (options_.remove_source_files) {
      remove_source(entry);
    }
    return true;
  }
  if (entry.exists && S_ISDIR(entry.existing.stx_mode) && !make_way(entry)) {
    return false;
  }
  const Linking linked = give_name(first_dirfd, first.name.c_str(), entry);
  if (linked.error == EMLINK || linked.error == EXDEV) {
    return sync_non_directory(entry);  // no more links to be had: a file of its own
  }
  if (linked.error != 0) {
    if (!linked.is_told) {
      job_.fail(SyncProblem::cannot_link, linked.error, linked.operation, entry.path);
    }
    return false;
  }
  entry.directory.is_touched = true;
  count_created(entry);
  tell(entry, SyncAction::hard_linked, entry.exists ? attribute_changes(job_, entry.source, entry.existing) : 0,
       first_path);
  if (options_.remove_source_files) {
    remove_source(entry);
  }
  return true;
}

}  // namespace ferry
