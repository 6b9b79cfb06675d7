// The side of a tree copy that its partners see: giving pieces of it away, working on theirs, asking about hard links.
#include "base/sys.hpp"
#include "tree/tree_copier_state.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <utility>

namespace ferry {
namespace {

// Directories that were opened for others are kept for the next piece, up to so many; beyond that all are closed.
constexpr std::size_t most_found = 256;

std::string key_of(const Place& place, std::string_view path) {
  std::string key = place.operand.source;
  key += '\0';
  key += place.operand.destination;
  key += '\0';
  key += path;
  return key;
}

const Directory& top_of(const Directory& directory) {
  const Directory* top = &directory;
  while (!top->is_anchor() && !top->parent->is_anchor()) {
    top = top->parent.get();
  }
  return *top;
}

}  // namespace

void TreeCopier::State::begin_with_partners() {
  if (job.options.partners != nullptr) {
    scheduler().when_idle([this] { job.options.partners->load_changed(); });
    job.options.partners->attach(this);
  }
}

void TreeCopier::State::end_with_partners() noexcept {
  if (job.options.partners != nullptr) {
    job.options.partners->attach(nullptr);
  }
}

void TreeCopier::State::serve_partners() {
  const auto begin = std::chrono::steady_clock::now();
  scheduler().serve();
  elapsed_ += std::chrono::steady_clock::now() - begin;
}

void TreeCopier::State::end_serving() { scheduler().end_serving(); }

WorkLoad TreeCopier::State::load() const {
  return {.is_idle = has_idle_workers(), .to_give = ready_for_others() + ranges_left_};
}

// ------------------------------------------------------------------------------------------------- giving

Place TreeCopier::State::place_of(const Directory& directory) {
  const Directory& top = top_of(directory);
  return {.operand = {top.source_operand, top.destination_operand},
          .is_operand = directory.is_anchor(),
          .path = directory.relative_path(),
          .source_inode = directory.source_identity.inode,
          .destination_inode = directory.destination_identity.inode,
          .destination_is_new = directory.destination_is_new,
          .has_default_acl = directory.has_default_acl};
}

std::vector<Piece> TreeCopier::State::give(std::size_t most) {
  std::vector<Piece> pieces;
  for (Departing& departing : take_for_others(most)) {
    Piece piece;
    piece.directory = place_of(*departing.directory);
    for (Departing::Entry& entry : departing.entries) {
      piece.entries.push_back({std::move(entry.name), entry.type, entry.is_entered});
    }
    departing.entries.clear();
    const std::scoped_lock lock(partners_mutex_);
    piece.id = ++last_id_;
    given_.emplace(piece.id, std::move(departing));
    pieces.push_back(std::move(piece));
  }
  if (pieces.empty()) {
    if (std::optional<Piece> range = give_range()) {
      pieces.push_back(std::move(*range));
    }
  }
  return pieces;
}

void TreeCopier::State::returned(std::uint64_t piece, std::optional<RangeResult> result) {
  std::unique_lock lock(partners_mutex_);
  if (const auto range = given_ranges_.extract(piece); !range.empty()) {
    range_returned(*range.mapped(), result ? *result : RangeResult{.report = {}, .error = ECANCELED, .operation = ""});
    return;
  }
  const auto found = given_.extract(piece);
  lock.unlock();
  if (!found.empty()) {
    come_back(found.mapped());
  }
}

// ------------------------------------------------------------------------------------------------- taking

void TreeCopier::State::take(Piece piece, std::uint64_t receipt) {
  call_later([this, taken = std::make_shared<const Piece>(std::move(piece)), receipt](unsigned worker) {
    work_on_piece(worker, *taken, receipt);
  });
}

void TreeCopier::State::work_on_piece(unsigned worker, const Piece& piece, std::uint64_t receipt) {
  if (piece.range) {
    job.options.partners->done(receipt, copy_range_of(piece));
    return;
  }
  const std::optional<Found> found = stopped() ? std::nullopt : find(piece.directory, receipt);
  if (!found) {
    job.options.partners->done(receipt, std::nullopt);
    return;
  }
  std::vector<Departing::Entry> entries;
  entries.reserve(piece.entries.size());
  for (const PieceEntry& entry : piece.entries) {
    entries.push_back({entry.name, entry.type, entry.is_entered});
  }
  visit_entries(worker, found->directory, entries);
}

namespace {

DirectoryRef anchor_of(const Place& place) {
  DirectoryRef anchor(new Directory(DirectoryRef(), ""));
  anchor->source_operand = place.operand.source;
  anchor->destination_operand = place.operand.destination;
  return anchor;
}

}  // namespace

// Opens the directory anew, so that it has a count of its own of what is left in it.
std::optional<TreeCopier::State::Found> TreeCopier::State::find(const Place& place, std::uint64_t receipt) {
  if (place.is_operand) {
    DirectoryRef anchor = anchor_of(place);
    Directory& opened = *anchor;
    return Found{std::move(anchor), Pin(job.descriptors, opened)};
  }
  if (place.path.empty()) {
    return checked(place, open_borrowed(anchor_of(place), place, {}, receipt));
  }
  const std::string_view path = place.path;
  const std::size_t slash = path.rfind('/');
  const std::optional<Found> ancestor =
      find_ancestor(place, slash == std::string_view::npos ? std::string_view() : path.substr(0, slash));
  if (!ancestor) {
    return std::nullopt;
  }
  return checked(place, open_borrowed(ancestor->directory, place,
                                      slash == std::string_view::npos ? path : path.substr(slash + 1), receipt));
}

// Whether it is the one that was meant.
std::optional<TreeCopier::State::Found> TreeCopier::State::checked(const Place& place, std::optional<Found> found) {
  if (!found) {
    return found;
  }
  Directory& directory = *found->directory;
  directory.destination_is_new = place.destination_is_new;
  directory.has_default_acl = place.has_default_acl;
  if (directory.source_identity.inode != place.source_inode ||
      directory.destination_identity.inode != place.destination_inode) {
    job.fail_directory(TreeProblem::cannot_read_directory,
                       Error{std::error_code(ESTALE, std::generic_category()), "openat", {}}, directory);
    job.descriptors.close(directory);
    return std::nullopt;
  }
  return found;
}

// The directory `path` below the place's operands: known from before, or found by way of its parent.
std::optional<TreeCopier::State::Found> TreeCopier::State::find_ancestor(const Place& place, std::string_view path) {
  std::vector<Found> way;  // the last is the one that leads on
  std::size_t end = path.size();
  for (;;) {  // trees may be deep: from the nearest one that is known
    if (std::optional<Found> known = find_known(place, path.substr(0, end))) {
      way.push_back(std::move(*known));
      break;
    }
    if (end == 0) {
      std::optional<Found> root = open_borrowed(anchor_of(place), place, {}, on_the_way);
      if (!root) {
        return std::nullopt;
      }
      remember(place, {}, root->directory);
      way.push_back(std::move(*root));
      break;
    }
    const std::size_t slash = path.substr(0, end).rfind('/');
    end = slash == std::string_view::npos ? 0 : slash;
  }
  while (end < path.size()) {
    const std::size_t begin = end == 0 ? 0 : end + 1;
    end = std::min(path.find('/', begin), path.size());
    std::optional<Found> child =
        open_borrowed(way.back().directory, place, path.substr(begin, end - begin), on_the_way);
    if (!child) {
      return std::nullopt;
    }
    remember(place, path.substr(0, end), child->directory);
    way.pop_back();
    way.push_back(std::move(*child));
  }
  return std::optional<Found>(std::move(way.back()));
}

std::optional<TreeCopier::State::Found> TreeCopier::State::find_known(const Place& place, std::string_view path) {
  DirectoryRef directory;
  {
    const std::scoped_lock lock(partners_mutex_);
    const auto known = found_.find(key_of(place, path));
    if (known == found_.end()) {
      return std::nullopt;
    }
    directory = known->second;
  }
  if (!job.descriptors.pin(*directory)) {
    return std::nullopt;
  }
  Directory& opened = *directory;
  return Found{std::move(directory), Pin(job.descriptors, opened)};
}

void TreeCopier::State::remember(const Place& place, std::string_view path, const DirectoryRef& directory) {
  std::unordered_map<std::string, DirectoryRef> forgotten;
  {
    const std::scoped_lock lock(partners_mutex_);
    if (found_.size() >= most_found) {
      forgotten = std::exchange(found_, {});
    }
    auto& known = found_[key_of(place, path)];
    if (known) {
      forgotten.emplace("", known);  // somebody else has found it, too
    }
    known = directory;
  }
  for (const auto& [key, old] : forgotten) {
    job.descriptors.close(*old);
  }
}

// `name` empty: what the operands name.
std::optional<TreeCopier::State::Found> TreeCopier::State::open_borrowed(const DirectoryRef& parent, const Place& place,
                                                                         std::string_view name, std::uint64_t receipt) {
  const bool is_root = parent->is_anchor();
  DirectoryRef directory(new Directory(parent, is_root ? std::string_view(place.operand.source) : name));
  directory->receipt = receipt;
  if (is_root) {
    directory->source_operand = place.operand.source;
    directory->destination_operand = place.operand.destination;
    directory->destination_name = place.operand.destination;
  }
  directory->follow_source =
      job.options.dereference == Dereference::always || (is_root && job.options.dereference != Dereference::never);
  directory->follow_destination = job.options.keep_directory_symlink;
  const CopyEntry entry{*parent, directory->name.c_str(),
                        is_root ? directory->destination_name.c_str() : directory->name.c_str(), is_root};
  if (!open_source(*directory, entry) || !open_borrowed_destination(*directory, entry)) {
    return std::nullopt;
  }
  if (is_root) {
    directory->root_device = directory->source_identity.device;
    job.created.add_root(directory->destination_identity);
  }
  job.descriptors.add(*directory);
  Directory& opened = *directory;
  return Found{std::move(directory), Pin(job.descriptors, opened)};
}

bool TreeCopier::State::open_borrowed_destination(Directory& directory, const CopyEntry& entry) {
  const int fd = entry.directory.destination_fd() < 0 && !entry.directory.is_anchor()
                     ? -ENOENT
                     : open_existing_directory(directory, entry);
  if (fd == -ENOENT && job.options.dry_run) {
    return true;
  }
  if (fd < 0) {
    job.fail_entry(TreeProblem::cannot_stat_destination, -fd, "openat", entry);
    return false;
  }
  directory.destination.reset(fd);
  if (const int result = sys::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, directory.destination_status);
      result < 0) {
    job.fail_entry(TreeProblem::cannot_stat_destination, -result, "statx", entry);
    return false;
  }
  directory.destination_identity = identity_of(directory.destination_status);
  return true;
}

// --------------------------------------------------------------------------------------------- hard links

void TreeCopier::State::claim(InodeIdentity inode, std::uint32_t links, TreeName name) {
  scheduler().expect_outside(1);
  std::unique_lock lock(partners_mutex_);
  const std::uint64_t id = ++last_id_;
  claims_.emplace(id, Claim{inode, std::move(name)});
  lock.unlock();
  job.options.partners->claim_link(inode, links, id);
}

void TreeCopier::State::answered(std::uint64_t claim, LinkAnswer answer, Place copy, std::string name) {
  std::unique_lock lock(partners_mutex_);
  auto found = claims_.extract(claim);
  lock.unlock();
  if (found.empty()) {
    return;
  }
  call_later([this, claimed = std::move(found.mapped()), answer, copy = std::move(copy),
              name = std::move(name)](unsigned worker) { settle(worker, claimed, answer, copy, name); });
  scheduler().finished_outside(1);
}

void TreeCopier::State::settle(unsigned worker, const Claim& claim, LinkAnswer answer, const Place& copy,
                               const std::string& name) {
  Directory& directory = *claim.name.directory;
  const CopyEntry entry{directory, claim.name.source.c_str(), claim.name.destination.c_str(), directory.is_anchor()};
  bool is_made = false;
  if (auto pinned = job.descriptors.pin(directory); !pinned) {
    job.fail_entry(TreeProblem::cannot_create_hard_link, pinned.error(), entry);
  } else {
    const Pin pin(job.descriptors, directory);
    if (answer == LinkAnswer::make) {
      is_made = !stopped() && copier(worker).make_claimed(entry, claim.inode);
    } else if (answer == LinkAnswer::again) {
      (void)(stopped() || copier(worker).copy(entry, FileType::unknown));
    } else if (const std::optional<Found> found = find(copy, on_the_way)) {
      copier(worker).link_to(entry, {found->directory, {}, name});
      job.descriptors.close(*found->directory);
    }
  }
  if (answer == LinkAnswer::make && is_made) {
    const bool is_operand = directory.is_anchor();
    job.options.partners->link_made(claim.inode, place_of(directory),
                                    is_operand ? directory.destination_operand : claim.name.destination);
  } else if (answer == LinkAnswer::make) {
    job.options.partners->link_failed(claim.inode);
  }
  let_go(worker, directory);
}

}  // namespace ferry
