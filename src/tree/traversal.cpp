#include "tree/traversal.hpp"

#include "base/sys.hpp"
#include "tree/splitting.hpp"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

namespace ferry {
namespace {

// The record getdents64 writes (getdents(2)); glibc's dirent64 is laid out the same.
struct Record {
  static constexpr std::size_t inode = offsetof(dirent64, d_ino);
  static constexpr std::size_t next_position = offsetof(dirent64, d_off);
  static constexpr std::size_t length = offsetof(dirent64, d_reclen);
  static constexpr std::size_t type = offsetof(dirent64, d_type);
  static constexpr std::size_t name = offsetof(dirent64, d_name);

  template <typename T>
  static T field(const char* record, std::size_t offset) noexcept {
    T value;
    std::memcpy(&value, record + offset, sizeof value);
    return value;
  }
};

FileType file_type_of_dirent(unsigned char d_type) noexcept {
  return d_type == DT_UNKNOWN ? FileType::unknown : file_type_of_mode(DTTOIF(d_type));
}

unsigned char dirent_of_file_type(FileType type) noexcept {
  switch (type) {
    case FileType::regular: return DT_REG;
    case FileType::directory: return DT_DIR;
    case FileType::symlink: return DT_LNK;
    case FileType::fifo: return DT_FIFO;
    case FileType::socket: return DT_SOCK;
    case FileType::character_device: return DT_CHR;
    case FileType::block_device: return DT_BLK;
    case FileType::unknown: break;
  }
  return DT_UNKNOWN;
}

bool is_dot_or_dot_dot(const char* name) noexcept {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

// More threads are started after this much work: starting one costs as much as copying about five small files.
constexpr std::uint64_t cost_worth_a_thread = 48;

// A directory is shared after so many entries at the latest: should the process be killed, they are copied again.
constexpr std::size_t most_unshared_entries = 4096;

}  // namespace

FileType file_type_of_mode(std::uint32_t mode) noexcept {
  switch (mode & S_IFMT) {
    case S_IFREG: return FileType::regular;
    case S_IFDIR: return FileType::directory;
    case S_IFLNK: return FileType::symlink;
    case S_IFIFO: return FileType::fifo;
    case S_IFSOCK: return FileType::socket;
    case S_IFCHR: return FileType::character_device;
    case S_IFBLK: return FileType::block_device;
    default: return FileType::unknown;
  }
}

std::string_view to_string(FileType type) noexcept {
  switch (type) {
    case FileType::regular: return "regular file";
    case FileType::directory: return "directory";
    case FileType::symlink: return "symbolic link";
    case FileType::fifo: return "fifo";
    case FileType::socket: return "socket";
    case FileType::character_device: return "character device";
    case FileType::block_device: return "block device";
    case FileType::unknown: break;
  }
  return "unknown";
}

ssize_t EntryBatch::read(int directory) {
  const ssize_t filled = sys::getdents64(directory, buffer.data(), buffer.size());
  offsets.clear();
  for (std::size_t offset = 0; filled > 0 && offset < static_cast<std::size_t>(filled);) {
    const char* const record = buffer.data() + offset;
    if (!is_dot_or_dot_dot(record + Record::name)) {
      offsets.push_back(static_cast<std::uint32_t>(offset));
    }
    next_position_ = Record::field<off_t>(record, Record::next_position);
    offset += Record::field<std::uint16_t>(record, Record::length);
  }
  return filled;
}

bool EntryBatch::append(std::string_view name, FileType type, std::size_t& used) {
  const std::size_t length = (Record::name + name.size() + 1 + 7) / 8 * 8;
  if (length > buffer.size() - used) {
    return false;
  }
  char* const record = buffer.data() + used;
  std::memset(record, 0, length);
  record[Record::type] = static_cast<char>(dirent_of_file_type(type));
  std::memcpy(record + Record::name, name.data(), name.size());
  offsets.push_back(static_cast<std::uint32_t>(used));
  used += length;
  return true;
}

DirectoryEntry EntryBatch::entry(std::size_t index) const noexcept {
  const char* const record = buffer.data() + offsets[index];
  return {record + Record::name, file_type_of_dirent(Record::field<unsigned char>(record, Record::type)),
          Record::field<std::uint64_t>(record, Record::inode)};
}

Traversal::Traversal(unsigned workers, Descriptors& descriptors)
    : descriptors_(descriptors),
      scheduler_(workers, [this](unsigned worker, Task&& task) { work(worker, std::move(task)); }) {}

void Traversal::run_operands(std::size_t count) {
  scheduler_.run(Task{.kind = Task::Kind::operands, .begin = 0, .end = count});
}

void Traversal::start(unsigned worker, DirectoryRef root) {
  scheduler_.push(worker, Task{.kind = Task::Kind::read, .directory = std::move(root)});
}

void Traversal::work_on_operands(unsigned worker, std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end && !stopped(); ++i) {
    if (end - i > 1 && scheduler_.has_idle_worker()) {
      const std::size_t middle = i + (end - i + 1) / 2;
      scheduler_.push(worker, Task{.kind = Task::Kind::operands, .begin = middle, .end = end});
      note_cost(0);
      end = middle;
    }
    operand(worker, i);
  }
}

void Traversal::note_cost(std::uint64_t units) noexcept {
  if (cost_.fetch_add(units, std::memory_order_relaxed) + units >= cost_worth_a_thread) {
    scheduler_.note_heavy();
  }
}

void Traversal::let_go(unsigned worker, Directory& directory) {
  DirectoryRef current(&directory);
  while (!current->is_anchor() && current->pending.fetch_sub(1) == 1) {
    const bool is_open = descriptors_.pin(*current).has_value();
    leave(worker, *current);
    if (is_open) {
      descriptors_.unpin(*current);
    }
    const bool is_own = current->receipt == 0;
    if (is_own && current->parent->is_anchor()) {
      descriptors_.unpin(*current);  // see start()
    }
    descriptors_.close(*current);
    if (!is_own) {
      return;  // what is above it is held by who gave it
    }
    current = current->parent;
  }
}

void Traversal::work(unsigned worker, Task&& task) {
  if (task.kind == Task::Kind::operands) {
    work_on_operands(worker, task.begin, task.end);
    return;
  }
  if (task.kind == Task::Kind::call) {
    task.call(worker);
    return;
  }
  if (task.is_splittable()) {
    for_others_.fetch_sub(1);
  }
  if (task.kind == Task::Kind::enter) {
    DirectoryRef child;
    if (!stopped()) {
      if (auto pinned = descriptors_.pin(*task.directory); pinned) {
        const Pin pin(descriptors_, *task.directory);
        child = enter(worker, *task.directory, task.name);
      } else {
        read_failed(*task.directory, pinned.error());
      }
    }
    if (!child) {
      let_go(worker, *task.directory);
      return;
    }
    // The hold on the parent that this task had is from now on the child's, until it is left.
    const Pin pin(descriptors_, *child);
    read(worker, child);
    return;
  }
  if (auto pinned = descriptors_.pin(*task.directory); !pinned) {
    read_failed(*task.directory, pinned.error());
    let_go(worker, *task.directory);
    return;
  }
  const Pin pin(descriptors_, *task.directory);
  if (task.kind == Task::Kind::read) {
    read(worker, task.directory);
  } else {
    visit_all(worker, task.directory, task.batch, task.begin, task.end);
    let_go(worker, *task.directory);
  }
}

// Reads one batch, leaves the rest of the directory as a task for whoever is free, and visits the batch.
void Traversal::read(unsigned worker, const DirectoryRef& directory) {
  for (std::size_t visited = 0;;) {
    if (stopped()) {
      break;
    }
    auto batch = std::make_shared_for_overwrite<EntryBatch>();
    const std::size_t filled = read_batch(*directory, *batch);
    if (filled == 0) {
      break;
    }
    const std::size_t entries = batch->offsets.size();
    if (reads_ahead(wanted_, ready_for_others())) {
      share(worker, *directory);
      push_visit(worker, directory, std::move(batch), 0, entries);
      continue;
    }
    // A buffer left half empty means that the directory is at its end: the call that says so is made at once, on the
    // descriptor that is open anyway. Otherwise reading on is a task of its own, below those of this batch's
    // directories, unless the directory is better kept to this worker.
    const bool nearly_done = filled < EntryBatch::buffer_bytes / 2;
    const bool keeps_it =
        is_unshared(*directory) && visited < most_unshared_entries && !scheduler_.has_idle_worker() && !wanted_;
    const bool reads_on = nearly_done || keeps_it;
    if (!reads_on) {
      share(worker, *directory);
      hold(*directory);
      scheduler_.push(worker, Task{.kind = Task::Kind::read, .directory = directory});
    }
    visit_all(worker, directory, batch, 0, entries);
    visited += entries;
    if (!reads_on) {
      break;
    }
  }
  share(worker, *directory);
  let_go(worker, *directory);
}

// Bytes of the batch; 0 at the end, or after an error, which is reported.
std::size_t Traversal::read_batch(Directory& directory, EntryBatch& batch) {
  if (std::exchange(directory.read_elsewhere, false)) {
    (void)sys::lseek(directory.source_fd(), directory.read_position, SEEK_SET);
  }
  const ssize_t filled = batch.read(directory.source_fd());
  if (filled < 0) {
    read_failed(directory,
                Error{std::error_code(static_cast<int>(-filled), std::generic_category()), "getdents64", {}});
    return 0;
  }
  directory.read_position = batch.next_position();
  return static_cast<std::size_t>(filled);
}

void Traversal::visit_all(unsigned worker, const DirectoryRef& directory, const std::shared_ptr<EntryBatch>& batch,
                          std::size_t begin, std::size_t end) {
  std::vector<std::size_t> entered_later;  // tasks for everybody: not before the directory is shared
  for (std::size_t i = begin; i < end && !stopped(); ++i) {
    const bool is_one_here_idle = scheduler_.has_idle_worker();
    const bool is_wanted_elsewhere = wanted_ && for_others_ <= 0 && !read_for_others(worker);
    const bool is_another_idle = is_one_here_idle || is_wanted_elsewhere;
    if (splits(end - i, is_one_here_idle, is_wanted_elsewhere)) {
      share(worker, *directory);
      const std::size_t middle = i + (end - i + 1) / 2;
      push_visit(worker, directory, batch, middle, end);
      note_cost(0);
      end = middle;
    }
    const DirectoryEntry entry = batch->entry(i);
    if (!visit(worker, *directory, entry)) {
      continue;
    }
    if (is_unshared(*directory) && !is_another_idle) {
      entered_later.push_back(i);
    } else {
      push_enter(worker, directory, entry.name);
    }
  }
  for (const std::size_t i : entered_later) {
    push_enter(worker, directory, batch->entry(i).name);
  }
}

void Traversal::push_enter(unsigned worker, const DirectoryRef& directory, const char* name) {
  share(worker, *directory);
  hold(*directory);
  push_splittable(worker, Task{.kind = Task::Kind::enter, .directory = directory, .name = name});
}

void Traversal::push_visit(unsigned worker, const DirectoryRef& directory, std::shared_ptr<EntryBatch> batch,
                           std::size_t begin, std::size_t end) {
  hold(*directory);
  push_splittable(worker, Task{.kind = Task::Kind::visit,
                               .directory = directory,
                               .name = {},
                               .batch = std::move(batch),
                               .begin = begin,
                               .end = end});
}

void Traversal::push_splittable(unsigned worker, Task&& task) {
  for_others_.fetch_add(1);  // first: it may be taken at once
  scheduler_.push(worker, std::move(task));
  if (wanted_) {
    has_for_others();
  }
}

// --------------------------------------------------------------------------------------------- other processes

// Others wait, and nothing is queued for them: what is not read yet comes before halves of what is, being cheap to get
// and more. False if there is no such thing.
bool Traversal::read_for_others(unsigned worker) {
  std::vector<Task> unread = scheduler_.take_oldest(1, [](const Task& each) { return each.kind == Task::Kind::read; });
  if (unread.empty()) {
    return false;
  }
  const DirectoryRef directory = unread.front().directory;
  bool is_at_end = false;
  if (auto pinned = descriptors_.pin(*directory); pinned) {
    const Pin pin(descriptors_, *directory);
    while (!is_at_end && !stopped() && reads_ahead(wanted_, ready_for_others())) {
      auto batch = std::make_shared_for_overwrite<EntryBatch>();
      is_at_end = read_batch(*directory, *batch) == 0;
      if (!is_at_end) {
        const std::size_t end = batch->offsets.size();
        push_visit(worker, directory, std::move(batch), 0, end);
      }
    }
  }
  if (is_at_end) {
    let_go(worker, *directory);
  } else {
    scheduler_.push(worker, std::move(unread.front()));  // who takes it deals with what is wrong, too
  }
  scheduler_.finished_outside(1);
  return for_others_ > 0;
}

std::vector<Traversal::Departing> Traversal::take_for_others(std::size_t most) {
  std::vector<Departing> departing;
  for (Task& task : scheduler_.take_oldest(most, [](const Task& each) { return each.is_splittable(); })) {
    for_others_.fetch_sub(1);
    auto found = std::ranges::find_if(
        departing, [&](const Departing& each) { return each.directory.get() == task.directory.get(); });
    if (found == departing.end()) {
      found = departing.insert(found, Departing{.directory = std::move(task.directory), .entries = {}, .count = 0});
    }
    ++found->count;
    if (task.kind == Task::Kind::enter) {
      found->entries.push_back({std::move(task.name), FileType::directory, true});
    }
    for (std::size_t i = task.begin; task.kind == Task::Kind::visit && i < task.end; ++i) {
      const DirectoryEntry entry = task.batch->entry(i);
      found->entries.push_back({entry.name, entry.type, false});
    }
  }
  return departing;
}

// The holds are let go of by a worker: it may have to give a directory its attributes.
void Traversal::come_back(const Departing& departed) {
  call_later([this, directory = departed.directory, count = departed.count](unsigned worker) {
    for (std::uint32_t i = 0; i < count; ++i) {
      let_go(worker, *directory);
    }
  });
  scheduler_.finished_outside(departed.count);
}

void Traversal::visit_entries(unsigned worker, const DirectoryRef& directory,
                              const std::vector<Departing::Entry>& entries) {
  auto batch = std::make_shared_for_overwrite<EntryBatch>();
  std::size_t used = 0;
  for (const Departing::Entry& entry : entries) {
    if (entry.is_entered) {
      push_enter(worker, directory, entry.name.c_str());
    } else if (!batch->append(entry.name, entry.type, used)) {
      const std::size_t end = batch->offsets.size();
      push_visit(worker, directory, std::move(batch), 0, end);
      batch = std::make_shared_for_overwrite<EntryBatch>();
      used = 0;
      (void)batch->append(entry.name, entry.type, used);
    }
  }
  visit_all(worker, directory, batch, 0, batch->offsets.size());
  let_go(worker, *directory);
}

void Traversal::call_later(std::function<void(unsigned worker)> call) {
  Task task;
  task.kind = Task::Kind::call;
  task.call = std::move(call);
  scheduler_.push_from_outside(std::move(task));
}

}  // namespace ferry
