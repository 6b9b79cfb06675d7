#include <ferry/tree.hpp>

#include "base/sys.hpp"
#include "tree/traversal.hpp"
#include "tree/workers.hpp"

#include <cerrno>
#include <mutex>
#include <optional>
#include <utility>

namespace ferry {
namespace {

class Walk final : public Traversal {
 public:
  Walk(unsigned workers, Descriptors& descriptors, const std::function<WalkAction(const WalkEntry&)>& visitor,
       const WalkOptions& options)
      : Traversal(workers, descriptors),
        descriptors_(descriptors),
        visitor_(visitor),
        options_(options),
        paths_(workers) {}

  Result<WalkReport> run(const std::filesystem::path& root_path) {
    root_ = DirectoryRef(new Directory(DirectoryRef(new Directory(DirectoryRef(), "")), root_path.native()));
    root_->source_operand = root_path.native();
    if (auto opened = open(*root_, /*follow=*/true); !opened) {
      return std::unexpected(opened.error());
    }
    root_device_ = root_->source_identity.device;
    run_operands(1);
    if (options_.stop.stop_requested()) {
      return fail(ECANCELED, "walk", root_path.native());
    }
    const std::scoped_lock lock(mutex_);
    if (first_error_ && !options_.on_error) {
      return std::unexpected(*first_error_);
    }
    return WalkReport{entries_.load(), directories_.load(), errors_};
  }

 private:
  // A worker's path under construction: that of the directory it visited last, and room for an entry's name.
  struct alignas(64) PathBuffer {
    const Directory* directory = nullptr;
    std::string text;
    std::size_t prefix_length = 0;
  };

  Result<void> open(Directory& directory, bool follow) {
    const Directory& parent = *directory.parent;
    const int fd = descriptors_.open_within_budget([&] {
      return sys::openat(parent.source_fd(), directory.name.c_str(),
                         O_RDONLY | O_DIRECTORY | (follow ? 0 : O_NOFOLLOW));
    });
    if (fd < 0) {
      return fail(-fd, "openat", directory.source_path());
    }
    directory.source.reset(fd);
    if (const int result = sys::statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, directory.source_status); result < 0) {
      return fail(-result, "statx", directory.source_path());
    }
    directory.source_identity = identity_of(directory.source_status);
    descriptors_.add(directory);
    return {};
  }

  void operand(unsigned worker, std::size_t /*index*/) override { start(worker, root_); }

  DirectoryRef enter(unsigned worker, Directory& parent, std::string_view name) override {
    paths_[worker].directory = nullptr;
    DirectoryRef child(new Directory(DirectoryRef(&parent), name));
    if (auto opened = open(*child, /*follow=*/false); !opened) {
      note(opened.error());
      return {};
    }
    const bool elsewhere = child->source_identity.device != root_device_;
    bool loop = false;
    for (const Directory* d = &parent; !d->is_anchor() && !loop; d = d->parent.get()) {
      loop = d->source_identity == child->source_identity;
    }
    if (loop) {
      note(Error{std::error_code(ELOOP, std::generic_category()), "walk", child->source_path()});
    }
    if (loop || (elsewhere && options_.one_file_system)) {
      descriptors_.unpin(*child);
      descriptors_.close(*child);
      return {};
    }
    directories_.fetch_add(1, std::memory_order_relaxed);
    note_cost(4);
    return child;
  }

  bool visit(unsigned worker, Directory& directory, const DirectoryEntry& entry) override {
    PathBuffer& path = paths_[worker];
    if (path.directory != &directory) {
      path.directory = &directory;
      path.text = directory.relative_path();
      if (!path.text.empty()) {
        path.text += '/';
      }
      path.prefix_length = path.text.size();
    }
    path.text.resize(path.prefix_length);
    path.text += entry.name;

    WalkEntry seen{.path = path.text,
                   .name = std::string_view(path.text).substr(path.prefix_length),
                   .type = entry.type,
                   .inode = entry.inode,
                   .depth = directory.depth - 1,
                   .dirfd = directory.source_fd()};
    if (seen.type == FileType::unknown) {
      struct statx status = {};
      const int result = sys::statx(directory.source_fd(), entry.name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, status);
      if (result < 0) {
        if (result != -ENOENT) {  // gone since it was read: not an entry any more
          note(Error{std::error_code(-result, std::generic_category()), "statx",
                     joined(directory.source_path(), entry.name)});
        }
        return false;
      }
      seen.type = file_type_of_mode(status.stx_mode);
    }
    entries_.fetch_add(1, std::memory_order_relaxed);
    const WalkAction action = visitor_(seen);
    if (action == WalkAction::stop) {
      ended_ = true;
    }
    return action == WalkAction::descend && seen.type == FileType::directory;
  }

  void leave(unsigned worker, Directory& /*directory*/) override { paths_[worker].directory = nullptr; }

  void read_failed(Directory& directory, Error error) override {
    error.path = directory.source_path();
    note(std::move(error));
  }

  [[nodiscard]] bool stopped() const noexcept override {
    return ended_.load(std::memory_order_relaxed) || options_.stop.stop_requested();
  }

  void note(Error error) {
    const std::scoped_lock lock(mutex_);
    ++errors_;
    if (options_.on_error) {
      options_.on_error(error);
    } else {
      ended_ = true;
    }
    if (!first_error_) {
      first_error_ = std::move(error);
    }
  }

  Descriptors& descriptors_;
  const std::function<WalkAction(const WalkEntry&)>& visitor_;
  const WalkOptions& options_;
  std::vector<PathBuffer> paths_;
  DirectoryRef root_;
  std::uint64_t root_device_ = 0;
  std::atomic<std::uint64_t> entries_ = 0;
  std::atomic<std::uint64_t> directories_ = 0;
  std::atomic<bool> ended_ = false;
  std::mutex mutex_;
  std::uint64_t errors_ = 0;
  std::optional<Error> first_error_;
};

}  // namespace

Result<WalkReport> walk(const std::filesystem::path& root, const std::function<WalkAction(const WalkEntry&)>& visit,
                        const WalkOptions& options) {
  const unsigned workers = worker_count(options.jobs);
  Descriptors descriptors(0, workers);
  return Walk(workers, descriptors, visit, options).run(root);
}

}  // namespace ferry
