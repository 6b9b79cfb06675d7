// Visiting every entry below a directory, in parallel: what walking and copying have in common.
#pragma once

#include "tree/directory.hpp"
#include "tree/scheduler.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ferry {

// One entry as readdir tells it.
struct DirectoryEntry {
  const char* name = "";
  FileType type = FileType::unknown;  // unknown where the file system does not tell
  std::uint64_t inode = 0;
};

FileType file_type_of_mode(std::uint32_t mode) noexcept;

// What one getdents64 call returned.
struct EntryBatch {  // NOLINT(*-member-init): the kernel fills `buffer`; 32 KiB of zeros would be wasted on it
  static constexpr std::size_t buffer_bytes = std::size_t{32} << 10U;
  alignas(8) std::array<char, buffer_bytes> buffer;
  std::vector<std::uint32_t> offsets;  // of the entries in `buffer`, "." and ".." left out

  // Reads the next entries of the open directory; returns the bytes filled, 0 at the end, or -errno.
  ssize_t read(int directory);
  [[nodiscard]] DirectoryEntry entry(std::size_t index) const noexcept;
  // Where reading goes on after this batch (lseek(2)).
  [[nodiscard]] off_t next_position() const noexcept { return next_position_; }

 private:
  off_t next_position_ = 0;
};

// Reads directories and hands their entries to the virtual functions, which are called from several workers at once,
// but for any one entry or directory only once.
class Traversal {
 public:
  Traversal(unsigned workers, Descriptors& descriptors);
  virtual ~Traversal() = default;
  Traversal(const Traversal&) = delete;
  Traversal& operator=(const Traversal&) = delete;

  // Work that an entry of `directory` caused and that is done later, then to be let_go(): keeps the directory from
  // being left.
  static void hold(Directory& directory) noexcept { directory.pending.fetch_add(1); }

 protected:
  // Opens the directory `name` in `parent` and makes it known to `descriptors` (pinned); null: do not enter it.
  virtual DirectoryRef enter(unsigned worker, Directory& parent, std::string_view name) = 0;
  // Deals with one entry; true: it is a directory to be entered.
  virtual bool visit(unsigned worker, Directory& directory, const DirectoryEntry& entry) = 0;
  // Until this is called, nobody but `worker` works in the directory that it has entered; afterwards others may.
  virtual void share(unsigned /*worker*/, Directory& /*directory*/) {}
  // Whether share() has yet to be called.
  [[nodiscard]] virtual bool is_unshared(const Directory& /*directory*/) const noexcept { return false; }
  // All below the directory is done; its descriptors are open if they could be opened. Followed by their closing.
  virtual void leave(unsigned worker, Directory& directory) = 0;
  // getdents64 failed, or the directory could not be opened again.
  virtual void read_failed(Directory& directory, Error error) = 0;
  // Whether to stop visiting (leave() is still called for what was entered).
  [[nodiscard]] virtual bool stopped() const noexcept = 0;

  // Calls operand() for 0 to `count` - 1, several at a time; returns when all that came of it is done.
  void run_operands(std::size_t count);
  // Deals with one operand; calls start() for a directory.
  virtual void operand(unsigned worker, std::size_t index) = 0;
  // Begins with a root directory, pinned once (by Descriptors::add()): it stays so until it is left. Then returns;
  // called from operand().
  void start(unsigned worker, DirectoryRef root);

  // Work that an entry of `directory` caused and that is done later (a task of its own): holds the directory open for
  // leave().
  void let_go(unsigned worker, Directory& directory);

  // Tells how much an entry cost, in units of about one small file: lets large jobs have more threads.
  void note_cost(std::uint64_t units) noexcept;

  [[nodiscard]] unsigned workers() const noexcept { return scheduler_.workers(); }

 private:
  struct Task {
    enum class Kind : std::uint8_t { operands, enter, read, visit };
    Kind kind = Kind::read;
    DirectoryRef directory = {};  // enter: the parent
    std::string name = {};        // enter
    std::shared_ptr<EntryBatch> batch = {};
    std::size_t begin = 0;
    std::size_t end = 0;
  };

  void work(unsigned worker, Task&& task);
  void work_on_operands(unsigned worker, std::size_t begin, std::size_t end);
  void read(unsigned worker, const DirectoryRef& directory);
  void visit_all(unsigned worker, const DirectoryRef& directory, const std::shared_ptr<EntryBatch>& batch,
                 std::size_t begin, std::size_t end);
  void push_enter(unsigned worker, const DirectoryRef& directory, const char* name);

  Descriptors& descriptors_;
  std::atomic<std::uint64_t> cost_ = 0;
  Scheduler<Task> scheduler_;
};

}  // namespace ferry
