// A directory that is being walked or copied, and the budget of descriptors that such directories may hold open.
#pragma once

#include <ferry/base.hpp>
#include <ferry/meta.hpp>
#include <ferry/tree.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace ferry {

class Directory;

// A counted reference. Letting go of the last one lets go of the parent in turn, without recursion: trees may be
// tens of thousands of levels deep.
class DirectoryRef {
 public:
  DirectoryRef() noexcept = default;
  explicit DirectoryRef(Directory* directory) noexcept;
  DirectoryRef(const DirectoryRef& other) noexcept : DirectoryRef(other.directory_) {}
  DirectoryRef(DirectoryRef&& other) noexcept : directory_(std::exchange(other.directory_, nullptr)) {}
  DirectoryRef& operator=(DirectoryRef other) noexcept {
    std::swap(directory_, other.directory_);
    return *this;
  }
  ~DirectoryRef();

  [[nodiscard]] Directory* get() const noexcept { return directory_; }
  Directory* operator->() const noexcept { return directory_; }
  Directory& operator*() const noexcept { return *directory_; }
  explicit operator bool() const noexcept { return directory_ != nullptr; }

 private:
  Directory* directory_ = nullptr;
};

class Directory {
 public:
  // A child of `parent`; or, without one, the anchor of a job: the place its operands are named from. The anchor's
  // source is the working directory.
  Directory(DirectoryRef parent, std::string_view name);

  [[nodiscard]] bool is_anchor() const noexcept { return !parent; }
  // Open while pinned (see Descriptors).
  [[nodiscard]] int source_fd() const noexcept { return is_anchor() ? AT_FDCWD : source.get(); }
  [[nodiscard]] int destination_fd() const noexcept {
    return !is_anchor() ? destination.get() : shared_destination ? shared_destination->get() : AT_FDCWD;
  }

  // Paths for people, composed from the operands as they were given.
  [[nodiscard]] std::string source_path() const { return path(&Directory::source_operand); }
  [[nodiscard]] std::string destination_path() const { return path(&Directory::destination_operand); }
  // Path relative to the first directory below the anchor (which is ""), with '/' between components.
  [[nodiscard]] std::string relative_path() const;

  DirectoryRef parent;
  const std::string name;  // one component; for the anchor's children the source operand, which may be a whole path
  const std::uint32_t depth;

  // For the anchor's children: the operands. Empty otherwise.
  std::string source_operand;
  std::string destination_operand;

  UniqueFd source;
  UniqueFd destination;
  std::shared_ptr<const UniqueFd> shared_destination;  // of anchors: operands that go into one directory share it
  // How `destination` is opened again below its parent's; empty: as `name`.
  std::string destination_name;
  bool source_is_readable = true;   // otherwise `source` is an O_PATH descriptor
  bool follow_source = false;       // the source name may be a symlink (-L)
  bool follow_destination = false;  // so may the destination's (--keep-directory-symlink)

  std::uint64_t root_device = 0;  // source st_dev of the operand that this is a part of
  InodeIdentity source_identity;
  InodeIdentity destination_identity;
  struct statx source_status = {};
  struct statx destination_status = {};
  // The temporary name that the new destination has until its worker shares it (staged_directory.hpp); else empty.
  std::string staged_name;
  // Another process has entered this directory and gives it its attributes; here only a piece of it is worked on, to be
  // receipted when done (partners.hpp). 0: it is this process's own.
  std::uint64_t receipt = 0;
  bool destination_is_lost = false;   // it could not be given its name: nothing more is put there
  bool destination_is_new = false;    // made by this job: it holds nothing that this job did not put there
  bool has_default_acl = false;       // what is created in the destination inherits an ACL
  std::uint32_t added_mode_bits = 0;  // owner permissions given for the time of the copy, to be taken away at the end

  // Tasks left in this directory and below; the one that makes it 0 finishes the directory.
  std::atomic<std::uint32_t> pending = 1;
  // Where getdents64 goes on (the d_off of the last entry read), should the descriptor be closed in between.
  off_t read_position = 0;
  bool read_elsewhere = false;  // `source` was opened again since: seek first

 private:
  friend class DirectoryRef;
  friend class Descriptors;
  [[nodiscard]] std::string path(std::string Directory::* operand) const;

  std::atomic<std::uint32_t> references_ = 0;
  // Guarded by Descriptors.
  unsigned pins_ = 0;
  bool listed_ = false;
  bool is_finished_ = false;
  std::list<Directory*>::iterator position_;
};

// Joins a directory's path and a name as GNU tools print it: no second slash.
std::string joined(std::string_view directory, std::string_view name);

// Keeps the descriptors of directories in progress within a budget: directories that nobody works on are closed when
// there are too many, and opened again, name by name from the nearest open ancestor and never through a symlink, when
// they are needed; what is found must be the very inode it was. Thread-safe.
class Descriptors {
 public:
  explicit Descriptors(unsigned budget, unsigned jobs);

  // Takes note of a directory whose descriptors have just been opened; it counts as pinned once.
  void add(Directory& directory);
  // Makes sure that the descriptors are open, and keeps them so until unpin(). The anchor is always open.
  [[nodiscard]] Result<void> pin(Directory& directory);
  void unpin(Directory& directory) noexcept;
  // The directory is finished: its descriptors are closed as soon as nobody has it pinned. (It may be pinned again, for
  // hard links to what it holds.)
  void close(Directory& directory) noexcept;

  // After EMFILE or ENFILE: lowers the budget and closes what nobody works on, or waits a little for others to let go.
  // False once waiting has become hopeless; `attempt` counts the calls for one open, from 0.
  [[nodiscard]] bool make_room(unsigned attempt);
  // Opens with `open` (returning a descriptor or -errno) until it works or fails for another reason.
  template <typename Open>
  [[nodiscard]] int open_within_budget(Open open) {
    for (unsigned attempt = 0;; ++attempt) {
      const int fd = open();
      if ((fd != -EMFILE && fd != -ENFILE) || !make_room(attempt)) {
        return fd;
      }
    }
  }

 private:
  [[nodiscard]] Result<void> open_again(Directory& directory);
  [[nodiscard]] int open_child(const Directory& child, int parent_fd, bool destination);
  bool close_one_idle();
  void forget(Directory& directory) noexcept;
  static unsigned held_by(const Directory& directory) noexcept;

  std::mutex mutex_;
  std::condition_variable released_;
  std::list<Directory*> open_;  // oldest first
  unsigned in_use_ = 0;
  unsigned limit_;
};

// Keeps a directory pinned for a scope.
class Pin {
 public:
  Pin(Descriptors& descriptors, Directory& directory) noexcept : descriptors_(&descriptors), directory_(&directory) {}
  Pin(Pin&& other) noexcept : descriptors_(other.descriptors_), directory_(std::exchange(other.directory_, nullptr)) {}
  Pin& operator=(Pin&&) = delete;
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  ~Pin() {
    if (directory_ != nullptr) {
      descriptors_->unpin(*directory_);
    }
  }

 private:
  Descriptors* descriptors_;
  Directory* directory_;
};

}  // namespace ferry
