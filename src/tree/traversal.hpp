// Visiting every entry below a directory, in parallel: what walking and copying have in common.
#pragma once

#include "tree/directory.hpp"
#include "tree/scheduler.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
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
  // Adds an entry that was read elsewhere, `used` bytes being filled; false if there is no room for it.
  bool append(std::string_view name, FileType type, std::size_t& used);

 private:
  off_t next_position_ = 0;
};

struct TraversalTask {
  enum class Kind : std::uint8_t { operands, enter, read, visit, call };
  Kind kind = Kind::read;
  DirectoryRef directory = {};  // enter: the parent
  std::string name = {};        // enter
  std::shared_ptr<EntryBatch> batch = {};
  std::size_t begin = 0;
  std::size_t end = 0;
  std::function<void(unsigned worker)> call = {};

  // Whether another process that sees the same files could do it.
  [[nodiscard]] bool is_splittable() const noexcept { return kind == Kind::enter || kind == Kind::visit; }
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

  // Work that is done by other processes (partners.hpp). Entries of one directory; `count` tasks' holds on it.
  struct Departing {
    DirectoryRef directory;
    struct Entry {
      std::string name;
      FileType type;
      bool is_entered;
    };
    std::vector<Entry> entries;
    std::uint32_t count = 0;
  };
  // Takes at most `most` tasks that can be done elsewhere; each directory occurs once. Their work is waited for until
  // come_back().
  std::vector<Departing> take_for_others(std::size_t most);
  void come_back(const Departing& departed);
  // Whether others wait for work: then what is being done is split for them, and has_for_others() is called.
  void set_wanted(bool wanted) noexcept { wanted_ = wanted; }
  [[nodiscard]] std::size_t ready_for_others() const noexcept {
    return static_cast<std::size_t>(std::max<std::int64_t>(0, for_others_.load()));
  }
  virtual void has_for_others() {}
  // Whether workers wait and nothing is queued for them.
  [[nodiscard]] bool has_idle_workers() const noexcept { return scheduler_.is_idle(); }
  // Visits entries of a directory that others have read; lets go of it.
  void visit_entries(unsigned worker, const DirectoryRef& directory, const std::vector<Departing::Entry>& entries);
  // Has `call` made by a worker; from any thread.
  void call_later(std::function<void(unsigned worker)> call);
  Scheduler<struct TraversalTask>& scheduler() noexcept { return scheduler_; }

  [[nodiscard]] unsigned workers() const noexcept { return scheduler_.workers(); }

 private:
  using Task = TraversalTask;

  void work(unsigned worker, Task&& task);
  void work_on_operands(unsigned worker, std::size_t begin, std::size_t end);
  void read(unsigned worker, const DirectoryRef& directory);
  void visit_all(unsigned worker, const DirectoryRef& directory, const std::shared_ptr<EntryBatch>& batch,
                 std::size_t begin, std::size_t end);
  void push_enter(unsigned worker, const DirectoryRef& directory, const char* name);
  std::size_t read_batch(Directory& directory, EntryBatch& batch);
  bool read_for_others(unsigned worker);
  void push_visit(unsigned worker, const DirectoryRef& directory, std::shared_ptr<EntryBatch> batch, std::size_t begin,
                  std::size_t end);
  void push_splittable(unsigned worker, Task&& task);

  Descriptors& descriptors_;
  std::atomic<std::uint64_t> cost_ = 0;
  std::atomic<bool> wanted_ = false;
  std::atomic<std::int64_t> for_others_ = 0;  // queued tasks that could be done elsewhere
  Scheduler<Task> scheduler_;
};

}  // namespace ferry
