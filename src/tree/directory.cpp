#include "tree/directory.hpp"

#include "base/log.hpp"
#include "base/sys.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ranges>
#include <vector>

namespace ferry {

DirectoryRef::DirectoryRef(Directory* directory) noexcept : directory_(directory) {
  if (directory_ != nullptr) {
    directory_->references_.fetch_add(1, std::memory_order_relaxed);
  }
}

DirectoryRef::~DirectoryRef() {
  Directory* directory = std::exchange(directory_, nullptr);
  while (directory != nullptr && directory->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    Directory* const parent = std::exchange(directory->parent.directory_, nullptr);
    delete directory;
    directory = parent;
  }
}

Directory::Directory(DirectoryRef parent_directory, std::string_view its_name)
    : parent(std::move(parent_directory)),
      name(its_name),
      depth(parent ? parent->depth + 1 : 0),
      root_device(parent ? parent->root_device : 0) {}

std::string joined(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.empty() && path.back() != '/') {
    path += '/';
  }
  path += name;
  return path;
}

std::string Directory::relative_path() const {
  std::vector<const Directory*> chain;
  for (const Directory* d = this; !d->is_anchor() && !d->parent->is_anchor(); d = d->parent.get()) {
    chain.push_back(d);
  }
  std::string path;
  for (const Directory* d : std::views::reverse(chain)) {
    path = joined(path, d->name);
  }
  return path;
}

std::string Directory::path(std::string Directory::* operand) const {
  const Directory* top = this;
  while (!top->is_anchor() && !top->parent->is_anchor()) {
    top = top->parent.get();
  }
  const std::string relative = relative_path();
  return relative.empty() ? top->*operand : joined(top->*operand, relative);
}

// ------------------------------------------------------------------------------------------ Descriptors

namespace {

constexpr unsigned smallest_limit = 4;  // one directory pair to work in, one to descend into

unsigned default_budget() {
  rlimit limit = {};
  if (sys::get_descriptor_limit(limit) < 0 || limit.rlim_cur > 1U << 16U) {
    return 1U << 16U;
  }
  return static_cast<unsigned>(limit.rlim_cur);
}

}  // namespace

Descriptors::Descriptors(unsigned budget, unsigned jobs) {
  // Left for others: standard streams and what the program holds (16), and for each worker a source, a destination and
  // a pipe.
  const unsigned total = budget != 0 ? budget : default_budget();
  const unsigned reserved = 16 + 4 * jobs;
  limit_ = total > reserved + smallest_limit ? total - reserved : smallest_limit;
}

unsigned Descriptors::held_by(const Directory& directory) noexcept {
  return (directory.source ? 1U : 0U) + (directory.destination ? 1U : 0U);
}

void Descriptors::add(Directory& directory) {
  const std::scoped_lock lock(mutex_);
  directory.pins_ = 1;
  directory.position_ = open_.insert(open_.end(), &directory);
  directory.listed_ = true;
  in_use_ += held_by(directory);
  while (in_use_ > limit_ && close_one_idle()) {
  }
}

Result<void> Descriptors::pin(Directory& directory) {
  if (directory.is_anchor()) {
    return {};
  }
  const std::scoped_lock lock(mutex_);
  if (!directory.listed_) {
    if (auto opened = open_again(directory); !opened) {
      return opened;
    }
  }
  ++directory.pins_;
  return {};
}

void Descriptors::unpin(Directory& directory) noexcept {
  if (directory.is_anchor()) {
    return;
  }
  {
    const std::scoped_lock lock(mutex_);
    if (--directory.pins_ != 0) {
      return;
    }
    if (directory.is_finished_) {
      forget(directory);  // opened again for a hard link to what it holds
    }
  }
  released_.notify_one();
}

void Descriptors::close(Directory& directory) noexcept {
  {
    const std::scoped_lock lock(mutex_);
    directory.is_finished_ = true;
    if (directory.pins_ == 0) {
      forget(directory);
    }
  }
  released_.notify_one();
}

// The descriptors are closed under the lock: once the directory is off the list, another thread may open it again.
void Descriptors::forget(Directory& directory) noexcept {
  if (directory.listed_) {
    in_use_ -= held_by(directory);
    open_.erase(directory.position_);
    directory.listed_ = false;
    directory.source.reset();
    directory.destination.reset();
    directory.read_elsewhere = true;
  }
}

bool Descriptors::close_one_idle() {
  const auto idle = std::find_if(open_.begin(), open_.end(), [](const Directory* d) { return d->pins_ == 0; });
  if (idle == open_.end()) {
    return false;
  }
  forget(**idle);
  return true;
}

bool Descriptors::make_room(unsigned attempt) {
  constexpr unsigned attempts =
      100;  // half a second of waiting, should every descriptor of the process be in use elsewhere
  std::unique_lock lock(mutex_);
  if (attempt == 0) {
    limit_ = std::max(smallest_limit, std::min(limit_, in_use_) * 3 / 4);
    FERRY_LOG_DEBUG("out of descriptors: directories may hold {} from now on", limit_);
  }
  if (close_one_idle()) {
    return true;
  }
  if (attempt >= attempts) {
    return false;
  }
  released_.wait_for(lock, std::chrono::milliseconds(5));
  return true;
}

int Descriptors::open_child(const Directory& child, int parent_fd, bool destination) {
  const std::string& name = destination && !child.destination_name.empty() ? child.destination_name : child.name;
  const bool follow = destination ? child.follow_destination : child.follow_source;
  const InodeIdentity expected = destination ? child.destination_identity : child.source_identity;
  int opened = -EMFILE;
  do {
    opened = sys::openat(parent_fd, name.c_str(), O_RDONLY | O_DIRECTORY | (follow ? 0 : O_NOFOLLOW));
  } while ((opened == -EMFILE || opened == -ENFILE) && close_one_idle());
  if (opened < 0) {
    return opened;
  }
  UniqueFd fd(opened);
  struct statx status = {};
  if (const int result = sys::statx(fd.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status); result < 0) {
    return result;
  }
  if (!(identity_of(status) == expected)) {
    return -ESTALE;  // somebody put another directory in its place
  }
  return fd.release();
}

Result<void> Descriptors::open_again(Directory& directory) {
  std::vector<Directory*> chain;
  Directory* open_ancestor = &directory;
  while (!open_ancestor->is_anchor() && !open_ancestor->listed_) {
    chain.push_back(open_ancestor);
    open_ancestor = open_ancestor->parent.get();
  }
  ++open_ancestor->pins_;  // must not be closed for the sake of its descendants
  const bool has_destination = directory.destination_identity != InodeIdentity{};
  int result = 0;
  for (const bool destination : {false, true}) {
    if (destination && !has_destination) {
      continue;
    }
    UniqueFd fd;
    int parent_fd = destination ? open_ancestor->destination_fd() : open_ancestor->source_fd();
    for (auto d = chain.rbegin(); d != chain.rend() && result >= 0; ++d) {
      result = open_child(**d, parent_fd, destination);
      if (result >= 0) {
        fd.reset(result);
        parent_fd = result;
      }
    }
    (destination ? directory.destination : directory.source) = std::move(fd);
  }
  --open_ancestor->pins_;
  if (result < 0) {
    directory.source.reset();
    directory.destination.reset();
    return fail(-result, "openat", directory.source_path());
  }
  directory.position_ = open_.insert(open_.end(), &directory);
  directory.listed_ = true;
  in_use_ += held_by(directory);
  while (in_use_ > limit_) {
    ++directory.pins_;
    const bool closed = close_one_idle();
    --directory.pins_;
    if (!closed) {
      break;
    }
  }
  return {};
}

}  // namespace ferry
