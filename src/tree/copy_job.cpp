#include "tree/copy_job.hpp"

#include "base/sys.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace ferry {

std::string CopyEntry::source_path() const {
  return is_operand ? directory.source_operand : joined(directory.source_path(), source);
}
std::string CopyEntry::destination_path() const {
  return is_operand ? directory.destination_operand : joined(directory.destination_path(), destination);
}

TreeProblem problem_of(MetadataPart part) noexcept {
  switch (part) {
    case MetadataPart::owner: return TreeProblem::cannot_preserve_owner;
    case MetadataPart::mode: return TreeProblem::cannot_preserve_mode;
    case MetadataPart::times: return TreeProblem::cannot_preserve_times;
    case MetadataPart::xattrs: return TreeProblem::cannot_preserve_xattrs;
    case MetadataPart::acls: return TreeProblem::cannot_preserve_acls;
    case MetadataPart::inode_flags: return TreeProblem::cannot_preserve_inode_flags;
  }
  return TreeProblem::other;
}

// ---------------------------------------------------------------------------------------------- Created

namespace {

std::string key_of(const Directory& directory, const char* name) {
  const InodeIdentity& id = directory.destination_identity;
  std::string key(reinterpret_cast<const char*>(&id), sizeof id);
  key += name;
  return key;
}

}  // namespace

void Created::add_name(const Directory& directory, const char* name) {
  std::string key = key_of(directory, name);
  const std::scoped_lock lock(mutex_);
  names_.insert(std::move(key));
}

bool Created::has_name(const Directory& directory, const char* name) const {
  const std::string key = key_of(directory, name);
  const std::scoped_lock lock(mutex_);
  return names_.contains(key);
}

void Created::add_root(InodeIdentity identity) {
  const std::scoped_lock lock(mutex_);
  roots_.insert(identity);
  has_roots_ = true;
}

bool Created::is_root(InodeIdentity identity) const {
  if (!has_roots_) {
    return false;
  }
  const std::scoped_lock lock(mutex_);
  return roots_.contains(identity);
}

// ------------------------------------------------------------------------------------- CreationDefaults

std::optional<MetadataState> CreationDefaults::find(std::uint64_t device, std::uint32_t requested) const noexcept {
  const std::uint16_t mode = modes_[requested & 0777U].load(std::memory_order_acquire);
  if (mode == unknown || device_.load(std::memory_order_relaxed) != device) {
    return std::nullopt;
  }
  return MetadataState{.mode = mode - 1U, .uid = uid_, .gid = gid_};
}

void CreationDefaults::learn(std::uint64_t device, std::uint32_t requested, const struct statx& created) noexcept {
  if (!has_owner_) {
    // Two workers may do this at once: they store the same values.
    uid_ = created.stx_uid;
    gid_ = created.stx_gid;
    device_ = device;
    has_owner_ = true;
  }
  if (device_ == device && uid_ == created.stx_uid && gid_ == created.stx_gid) {
    modes_[requested & 0777U].store(static_cast<std::uint16_t>((created.stx_mode & 07777U) + 1),
                                    std::memory_order_release);
  }
}

// ---------------------------------------------------------------------------------------------- CopyJob

CopyJob::CopyJob(TreeOptions tree_options, unsigned workers)
    : options(std::move(tree_options)),
      descriptors(options.descriptor_budget, workers),
      effective_uid(::geteuid()),
      effective_gid(::getegid()) {}

namespace {

bool is_about_source(TreeProblem problem) noexcept {
  switch (problem) {
    case TreeProblem::cannot_stat_source:
    case TreeProblem::cannot_open_source:
    case TreeProblem::cannot_read_source:
    case TreeProblem::cannot_read_directory:
    case TreeProblem::cannot_read_symlink:
    case TreeProblem::source_changed:
    case TreeProblem::directory_omitted:
    case TreeProblem::directory_loop:
    case TreeProblem::into_itself:
    case TreeProblem::canceled: return true;
    default: return false;
  }
}

TreeOperand operand_of(const Directory& directory) {
  const Directory* top = &directory;
  while (!top->is_anchor() && !top->parent->is_anchor()) {
    top = top->parent.get();
  }
  return {top->source_operand, top->destination_operand};
}

}  // namespace

void CopyJob::fail_entry(TreeProblem problem, Error error, const CopyEntry& entry) {
  report({problem, std::move(error), entry.source_path(), entry.destination_path(), operand_of(entry.directory)});
}

void CopyJob::fail_entry(TreeProblem problem, int error, const char* operation, const CopyEntry& entry) {
  fail_entry(problem, Error{std::error_code(error, std::generic_category()), operation, {}}, entry);
}

void CopyJob::fail_directory(TreeProblem problem, Error error, const Directory& directory) {
  report({problem, std::move(error), directory.source_path(), directory.destination_path(), operand_of(directory)});
}

void CopyJob::report(TreeError error) {
  if (error.error.path.empty()) {
    error.error.path = is_about_source(error.problem) ? error.source : error.destination;
  }
  const std::scoped_lock lock(mutex_);
  ++errors_;
  if (options.on_error) {
    options.on_error(error);
  }
  if (!first_error_) {
    first_error_ = std::move(error.error);
  }
}

void CopyJob::event(TreeEventKind kind, const CopyEntry& entry, const CopyReport* report, std::string_view backup) {
  if (!options.on_event) {
    return;
  }
  const std::string source = entry.source_path();
  const std::string destination = entry.destination_path();
  const std::scoped_lock lock(mutex_);
  options.on_event(TreeEvent{kind, source, destination, backup, report});
}

void CopyJob::event(TreeEventKind kind, const std::string& source, const std::string& destination) {
  if (options.on_event) {
    const std::scoped_lock lock(mutex_);
    options.on_event(TreeEvent{kind, source, destination, {}, nullptr});
  }
}

bool CopyJob::ask_overwrite(const CopyEntry& entry, std::uint32_t mode) {
  const std::string destination = entry.destination_path();
  const std::scoped_lock lock(mutex_);
  return options.on_overwrite(destination, mode);
}

std::uint64_t CopyJob::errors() const {
  const std::scoped_lock lock(mutex_);
  return errors_;
}

std::optional<Error> CopyJob::take_first_error() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(first_error_, std::nullopt);
}

bool CopyJob::sync_now(int fd_on_same_file_system, std::uint64_t device) {
  constexpr std::uint64_t synced_singly = 8;  // beyond that one syncfs(2) is less work than an fsync(2) each
  const std::scoped_lock lock(mutex_);
  if (synced_ < synced_singly) {
    ++synced_;
    return true;
  }
  if (std::ranges::none_of(unsynced_, [&](const FileSystem& fs) { return fs.device == device; })) {
    // An own open file description: syncfs reports each write-back error once per description (since Linux 5.8).
    const int fd = sys::openat(fd_on_same_file_system, ".", O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
      return true;
    }
    unsynced_.push_back({device, UniqueFd(fd)});
  }
  return false;
}

Result<void> CopyJob::sync_rest() {
  const std::scoped_lock lock(mutex_);
  Result<void> result;
  for (const FileSystem& fs : unsynced_) {
    if (const int error = -sys::syncfs(fs.fd.get()); error != 0 && result) {
      result = fail(error, "syncfs");
    }
  }
  unsynced_.clear();
  return result;
}

}  // namespace ferry
