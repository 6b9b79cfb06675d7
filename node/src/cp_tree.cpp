#include "cp_tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "file_placement.hpp"
#include "file_team.hpp"
#include "paths.hpp"

namespace ferry_node {
namespace {

using ferry::UniqueFd;

constexpr std::size_t directory_buffer_bytes = std::size_t{32} << 10U;
// Trees of more files are copied by several threads from here on: a thread takes as long to start as ten files to copy.
constexpr std::uint64_t files_before_threads = 256;
constexpr std::size_t files_of_a_batch = 16;

// What getdents64(2) gives.
struct DirectoryEntry {
  std::uint64_t inode;
  std::int64_t offset;
  std::uint16_t length;
  std::uint8_t type;
  char name[1];  // longer
};

// One entry: its name in the two directories.
struct Place {
  int source_dirfd = -1;
  const char* source = "";
  TargetDirectory* directory = nullptr;
  const char* destination = "";
};

// A path that grows and shrinks by names while directories are entered and left.
class GrowingPath {
 public:
  explicit GrowingPath(std::string root) : path_(std::move(root)) {}
  [[nodiscard]] const std::string& value() const noexcept { return path_; }
  [[nodiscard]] std::size_t push(const char* name) {
    const std::size_t before = path_.size();
    if (!path_.empty() && !path_.ends_with('/')) {
      path_ += '/';
    }
    path_ += name;
    return before;
  }
  void pop(std::size_t before) { path_.resize(before); }

 private:
  std::string path_;
};

class Copier {
 public:
  Copier(const std::string& source, const std::string& destination, const CpOptions& options)
      : options_(options),
        placement_(placement_options(), copy_options(options)),
        source_(source),
        destination_(destination) {}

  [[nodiscard]] Outcome<CpReport> run();

 private:
  ferry::CopyOptions copy_options(const CpOptions& options);
  [[nodiscard]] PlacementOptions placement_options() const {
    return {
        .atomic = options_.atomic, .preserve_timestamps = options_.preserve_timestamps, .verify = options_.copy.verify};
  }

  // The roots.
  [[nodiscard]] Outcome<void> copy_roots();
  [[nodiscard]] Outcome<void> check_not_inside(const struct ::statx& source) const;
  [[nodiscard]] Outcome<UniqueFd> open_destination_parent() const;

  // Entries.
  [[nodiscard]] Outcome<void> copy_entry(const Place& place, std::uint8_t type);
  [[nodiscard]] Outcome<void> copy_looked_at(const Place& place);
  [[nodiscard]] Outcome<void> copy_by_type(const Place& place, const struct ::statx& source,
                                           const std::optional<struct ::statx>& destination);
  [[nodiscard]] Outcome<void> check_pair(const struct ::statx& source, const struct ::statx& destination) const;
  [[nodiscard]] Outcome<void> copy_file(const Place& place);
  [[nodiscard]] Outcome<void> copy_link(const Place& place, const std::optional<struct ::statx>& destination);
  [[nodiscard]] Outcome<void> check_link(const Place& place, const std::string& target) const;
  [[nodiscard]] Outcome<void> put_link(const Place& place, const std::string& target, bool replace) const;
  [[nodiscard]] Outcome<void> copy_directory(const Place& place);
  [[nodiscard]] Outcome<UniqueFd> open_target(const Place& place, TargetDirectory& directory) const;
  [[nodiscard]] Outcome<void> copy_contents(const std::shared_ptr<DirectoryPair>& pair);

  // Files that other threads copy.
  [[nodiscard]] bool may_be_handed_over(std::uint8_t type) const noexcept;
  [[nodiscard]] Outcome<void> add_to(FileBatch& batch, const char* name);
  void hand_over(FileBatch& batch);

  // What is told.
  [[nodiscard]] Outcome<void> done(CpEventKind kind, const ferry::CopyReport* report = nullptr);
  [[nodiscard]] std::unexpected<Failure> refuse(const char* code, int errno_value, std::string message) const;
  [[nodiscard]] std::unexpected<Failure> refuse_same_file() const {
    return refuse("ERR_FS_CP_EINVAL", EINVAL, "src and dest cannot be the same");
  }
  [[nodiscard]] std::unexpected<Failure> refuse_directory_over_file() const {
    return refuse("ERR_FS_CP_DIR_TO_NON_DIR", EISDIR,
                  "cannot overwrite non-directory " + destination_.value() + " with directory " + source_.value());
  }
  [[nodiscard]] std::unexpected<Failure> refuse_file_over_directory() const {
    return refuse("ERR_FS_CP_NON_DIR_TO_DIR", ENOTDIR,
                  "cannot overwrite directory " + destination_.value() + " with non-directory " + source_.value());
  }
  [[nodiscard]] std::unexpected<Failure> refuse_into_itself(const std::string& source,
                                                            const std::string& destination) const {
    return refuse("ERR_FS_CP_EINVAL", EINVAL, "cannot copy " + source + " to a subdirectory of self " + destination);
  }

  [[nodiscard]] int follow_flag() const noexcept { return options_.dereference ? 0 : AT_SYMLINK_NOFOLLOW; }
  [[nodiscard]] const char* stat_name() const noexcept { return options_.dereference ? "stat" : "lstat"; }

  const CpOptions& options_;
  FilePlacement placement_;
  GrowingPath source_;
  GrowingPath destination_;
  std::vector<struct ::statx> ancestors_;  // the source directories that are being copied
  std::optional<struct ::statx> target_root_;
  CpReport report_;
  std::unique_ptr<FileTeam> team_;  // once the tree is known to be large
};

ferry::CopyOptions Copier::copy_options(const CpOptions& options) {
  ferry::CopyOptions copy = options.copy;
  copy.on_progress = {};
  if (options.on_progress) {
    copy.on_progress = [this](const ferry::CopyProgress& file) {
      options_.on_progress({.bytes_done = report_.data.bytes_copied + file.bytes_done,
                            .entries_done = report_.files + report_.directories + report_.symlinks});
    };
  }
  return copy;
}

std::unexpected<Failure> Copier::refuse(const char* code, int errno_value, std::string message) const {
  return std::unexpected(
      Failure{.code = code, .errno_value = errno_value, .message = std::move(message), .path = destination_.value()});
}

Outcome<void> Copier::done(CpEventKind kind, const ferry::CopyReport* report) {
  switch (kind) {
    case CpEventKind::file: ++report_.files; break;
    case CpEventKind::directory: ++report_.directories; break;
    case CpEventKind::symlink: ++report_.symlinks; break;
    case CpEventKind::skipped: ++report_.skipped; break;
  }
  if (report != nullptr) {
    report_.data.merge(*report);
    if (report->source_changed) {
      report_.changed_sources.push_back(source_.value());
    }
  }
  if (options_.on_progress) {
    options_.on_progress({.bytes_done = report_.data.bytes_copied,
                          .entries_done = report_.files + report_.directories + report_.symlinks});
  }
  if (options_.on_event) {
    return options_.on_event(
        {.kind = kind, .source = source_.value(), .destination = destination_.value(), .report = report});
  }
  return {};
}

// ------------------------------------------------------------------------------------------- roots

Outcome<CpReport> Copier::run() {
  report_.data.verified = options_.copy.verify;
  const auto copied = copy_roots();
  if (team_) {
    if (auto finished = team_->finish(report_); !finished) {
      return std::unexpected(finished.error());
    }
  }
  if (!copied) {
    return std::unexpected(copied.error());
  }
  return std::move(report_);
}

Outcome<void> Copier::copy_roots() {
  if (options_.filter) {
    const auto wanted = options_.filter(source_.value(), destination_.value());
    if (!wanted || !*wanted) {
      return wanted ? Outcome<void>{} : std::unexpected(wanted.error());
    }
  }
  struct ::statx source = {};
  if (const int error = status_of(AT_FDCWD, source_.value().c_str(), follow_flag(), source); error != 0) {
    return failed(error, stat_name(), source_.value());
  }
  std::optional<struct ::statx> destination;
  struct ::statx status = {};
  if (const int error = status_of(AT_FDCWD, destination_.value().c_str(), follow_flag(), status); error == 0) {
    destination = status;
    if (auto checked = check_pair(source, status); !checked) {
      return checked;
    }
  } else if (error != ENOENT && error != ENOTDIR) {
    return failed(error, stat_name(), destination_.value());
  }
  if (S_ISDIR(source.stx_mode)) {
    if (auto checked = check_not_inside(source); !checked) {
      return checked;
    }
  }
  const auto parent = open_destination_parent();
  if (!parent) {
    return std::unexpected(parent.error());
  }
  TargetDirectory directory{.fd = parent->get()};
  const std::string root_name = resolved("", destination_.value());
  const std::string name = root_name == "/" ? "." : root_name.substr(root_name.rfind('/') + 1);
  const std::string source_name = source_.value();
  const Place place{
      .source_dirfd = AT_FDCWD, .source = source_name.c_str(), .directory = &directory, .destination = name.c_str()};
  if (S_ISDIR(source.stx_mode) && !options_.recursive) {
    auto refused = refuse("ERR_FS_EISDIR", EISDIR, source_.value() + " is a directory (not copied)");
    refused.error().path = source_.value();
    return refused;
  }
  if (S_ISDIR(source.stx_mode)) {
    source_ = GrowingPath(joinable(source_.value()));
    destination_ = GrowingPath(joinable(destination_.value()));
  }
  return copy_by_type(place, source, destination);
}

// A directory into itself: by its names, and by what the destination's parents are.
Outcome<void> Copier::check_not_inside(const struct ::statx& source) const {
  const std::string from = resolved("", source_.value());
  std::string to = resolved("", destination_.value());
  if (is_within(from, to)) {
    return refuse_into_itself(source_.value(), destination_.value());
  }
  const std::string source_parent(parent_of(from));
  for (to = parent_of(to); to != source_parent && to != "/"; to = parent_of(to)) {
    struct ::statx parent = {};
    if (const int error = status_of(AT_FDCWD, to.c_str(), 0, parent); error == 0 && same_inode(source, parent)) {
      return refuse_into_itself(source_.value(), destination_.value());
    }
  }
  return {};
}

// Opens the directory the destination is in, which is made if it is missing.
Outcome<UniqueFd> Copier::open_destination_parent() const {
  const std::string parent(parent_of(resolved("", destination_.value())));
  const auto open = [&] { return UniqueFd(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)); };
  UniqueFd opened = open();
  if (!opened && errno == ENOENT) {
    for (std::size_t slash = parent.find('/', 1);; slash = parent.find('/', slash + 1)) {
      const std::string each = parent.substr(0, slash);
      if (::mkdir(each.c_str(), 0777) != 0 && errno != EEXIST) {
        return failed(errno, "mkdir", each);
      }
      if (slash == std::string::npos) {
        break;
      }
    }
    opened = open();
  }
  return opened ? Outcome<UniqueFd>(std::move(opened)) : failed(errno, "mkdir", parent);
}

// ------------------------------------------------------------------------------------------- entries

Outcome<void> Copier::copy_entry(const Place& place, std::uint8_t type) {
  if (options_.copy.stop.stop_requested()) {
    return failed(ECANCELED, "cp", source_.value(), destination_.value());
  }
  if (source_.value().size() >= PATH_MAX || destination_.value().size() >= PATH_MAX) {
    return failed(ENAMETOOLONG, stat_name(), source_.value());  // as for Node; and the depth is bounded
  }
  if (options_.filter) {
    const auto wanted = options_.filter(source_.value(), destination_.value());
    if (!wanted || !*wanted) {
      return wanted ? Outcome<void>{} : std::unexpected(wanted.error());
    }
  }
  // What opening says needs no stat before it.
  if (!options_.dereference && type == DT_DIR) {
    return copy_directory(place);
  }
  if (!options_.dereference && type == DT_REG && options_.force) {
    return copy_file(place);
  }
  return copy_looked_at(place);
}

Outcome<void> Copier::copy_looked_at(const Place& place) {
  struct ::statx source = {};
  if (const int error = status_of(place.source_dirfd, place.source, follow_flag(), source); error != 0) {
    return failed(error, stat_name(), source_.value());
  }
  struct ::statx destination = {};
  const int error = status_of(place.directory->fd, place.destination, follow_flag(), destination);
  if (error == ENOENT || error == ENOTDIR) {
    return copy_by_type(place, source, std::nullopt);
  }
  if (error != 0) {
    return failed(error, stat_name(), destination_.value());
  }
  if (auto checked = check_pair(source, destination); !checked) {
    return checked;
  }
  return copy_by_type(place, source, destination);
}

Outcome<void> Copier::check_pair(const struct ::statx& source, const struct ::statx& destination) const {
  if (same_inode(source, destination)) {
    return refuse_same_file();
  }
  if (S_ISDIR(source.stx_mode) && !S_ISDIR(destination.stx_mode)) {
    return refuse_directory_over_file();
  }
  if (!S_ISDIR(source.stx_mode) && S_ISDIR(destination.stx_mode)) {
    return refuse_file_over_directory();
  }
  return {};
}

Outcome<void> Copier::copy_by_type(const Place& place, const struct ::statx& source,
                                   const std::optional<struct ::statx>& destination) {
  switch (source.stx_mode & S_IFMT) {
    case S_IFDIR: return copy_directory(place);
    case S_IFLNK: return copy_link(place, destination);
    case S_IFREG:
    case S_IFCHR:
    case S_IFBLK:
      if (!destination || options_.force) {
        return copy_file(place);
      }
      if (options_.error_on_exist) {
        return refuse("ERR_FS_CP_EEXIST", EEXIST, destination_.value() + " already exists");
      }
      return done(CpEventKind::skipped);
    case S_IFSOCK: return refuse("ERR_FS_CP_SOCKET", EINVAL, "cannot copy a socket file: " + destination_.value());
    case S_IFIFO: return refuse("ERR_FS_CP_FIFO_PIPE", EINVAL, "cannot copy a FIFO pipe: " + destination_.value());
    default: return refuse("ERR_FS_CP_UNKNOWN", EINVAL, "cannot copy an unknown file type: " + destination_.value());
  }
}

Outcome<void> Copier::copy_file(const Place& place) {
  const auto copied = copy_file_at(placement_, place.source_dirfd, place.source, options_.dereference, *place.directory,
                                   place.destination);
  if (!copied) {
    return std::unexpected(file_failure(copied.error(), source_.value(), destination_.value()));
  }
  return done(CpEventKind::file, &*copied);
}

// ------------------------------------------------------------------------------------------- symlinks

std::optional<std::string> target_of_link(int dirfd, const char* name) {
  std::array<char, PATH_MAX> target = {};
  const ssize_t length = ::readlinkat(dirfd, name, target.data(), target.size());
  return length < 0 ? std::nullopt : std::optional(std::string(target.data(), static_cast<std::size_t>(length)));
}

Outcome<void> Copier::copy_link(const Place& place, const std::optional<struct ::statx>& destination) {
  auto target = target_of_link(place.source_dirfd, place.source);
  if (!target) {
    return failed(errno, "readlink", source_.value());
  }
  if (!options_.verbatim_symlinks && !target->starts_with('/')) {
    target = resolved(parent_of(source_.value()), *target);
  }
  const bool replaces_link = destination && S_ISLNK(destination->stx_mode);
  if (replaces_link) {
    if (auto checked = check_link(place, *target); !checked) {
      return checked;
    }
  }
  if (auto put = put_link(place, *target, replaces_link); !put) {
    return put;
  }
  return done(CpEventKind::symlink);
}

// A link to a directory must not be replaced by one that leads into it, nor the other way round. Links that lead to the
// same place may: that is copying again.
Outcome<void> Copier::check_link(const Place& place, const std::string& target) const {
  const auto old = target_of_link(place.directory->fd, place.destination);
  if (!old) {
    return failed(errno, "readlink", destination_.value());
  }
  const std::string old_target = resolved(parent_of(destination_.value()), *old);
  const std::string new_target = resolved(parent_of(source_.value()), target);
  struct ::statx status = {};
  if (old_target == new_target || status_of(place.directory->fd, place.destination, 0, status) != 0 ||
      !S_ISDIR(status.stx_mode)) {
    return {};
  }
  if (is_within(new_target, old_target)) {
    return refuse_into_itself(new_target, old_target);
  }
  if (is_within(old_target, new_target)) {
    return refuse("ERR_FS_CP_SYMLINK_TO_SUBDIRECTORY", EINVAL,
                  "cannot overwrite " + old_target + " with " + new_target);
  }
  return {};
}

// An old link is replaced at once: under another name first, which is then renamed.
Outcome<void> Copier::put_link(const Place& place, const std::string& target, bool replace) const {
  if (!replace) {
    if (::symlinkat(target.c_str(), place.directory->fd, place.destination) != 0) {
      return failed(errno, "symlink", target, destination_.value());
    }
    return {};
  }
  constexpr int most_attempts = 100;  // names that others left, or are using
  std::string temporary;
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    temporary = ".ferry-" + std::to_string(::getpid()) + '-' + std::to_string(attempt) + ".link.tmp";
    if (::symlinkat(target.c_str(), place.directory->fd, temporary.c_str()) == 0) {
      if (::renameat(place.directory->fd, temporary.c_str(), place.directory->fd, place.destination) == 0) {
        return {};
      }
      const int error = errno;
      ::unlinkat(place.directory->fd, temporary.c_str(), 0);
      return failed(error, "symlink", target, destination_.value());
    }
    if (errno != EEXIST) {
      break;
    }
  }
  return failed(errno, "symlink", target, destination_.value());
}

// ------------------------------------------------------------------------------------------- directories

Outcome<void> Copier::copy_directory(const Place& place) {
  const int follow = options_.dereference ? 0 : O_NOFOLLOW;
  const auto pair = std::make_shared<DirectoryPair>();
  pair->source.reset(::openat(place.source_dirfd, place.source, O_RDONLY | O_DIRECTORY | O_CLOEXEC | follow));
  if (!pair->source) {
    return failed(errno, "opendir", source_.value());
  }
  struct ::statx status = {};
  if (const int error = status_of(pair->source.get(), "", 0, status); error != 0) {
    return failed(error, stat_name(), source_.value());
  }
  auto target = open_target(place, pair->directory);
  if (!target) {
    return std::unexpected(target.error());
  }
  pair->target = std::move(*target);
  pair->mode = status.stx_mode;
  pair->source_path = source_.value();
  pair->destination_path = destination_.value();
  // A followed symlink may lead to a directory that is being copied. By names, the kernel ends that with ELOOP, too.
  for (const auto& above : ancestors_) {
    if (options_.dereference && same_inode(above, status)) {
      return failed(ELOOP, "opendir", source_.value());
    }
  }
  if (target_root_ && same_inode(*target_root_, status)) {  // its names hid that the source contains the destination
    return refuse_into_itself(source_.value(), destination_.value());
  }
  if (struct ::statx of_target = {}; !target_root_ && status_of(pair->target.get(), "", 0, of_target) == 0) {
    target_root_ = of_target;
  }
  ancestors_.push_back(status);
  if (auto copied = copy_contents(pair); !copied) {
    return copied;
  }
  ancestors_.pop_back();
  if (auto finished = pair->finish_one(); !finished) {
    return finished;
  }
  return done(CpEventKind::directory);
}

Outcome<UniqueFd> Copier::open_target(const Place& place, TargetDirectory& directory) const {
  const int follow = options_.dereference ? 0 : O_NOFOLLOW;
  const auto open = [&](int access) {
    return UniqueFd(::openat(place.directory->fd, place.destination, access | O_DIRECTORY | O_CLOEXEC | follow));
  };
  UniqueFd opened = place.directory->created ? UniqueFd() : open(O_PATH);
  if (!opened && (place.directory->created || errno == ENOENT)) {
    directory.created = ::mkdirat(place.directory->fd, place.destination, 0777) == 0;
    if (!directory.created && errno != EEXIST) {
      return failed(errno, "mkdir", destination_.value());
    }
    opened = open(directory.created ? O_RDONLY : O_PATH);
  }
  if (!opened) {
    return errno == ENOTDIR || errno == ELOOP ? Outcome<UniqueFd>(refuse_directory_over_file())
                                              : failed(errno, "mkdir", destination_.value());
  }
  directory.fd = opened.get();
  // That it is not the source itself (a bind mount) is seen at the first file.
  return opened;
}

Outcome<void> Copier::copy_contents(const std::shared_ptr<DirectoryPair>& pair) {
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(directory_buffer_bytes);
  FileBatch batch{.directory = pair, .names = {}};
  while (true) {
    const long length = ::syscall(SYS_getdents64, pair->source.get(), buffer.get(), directory_buffer_bytes);
    if (length < 0) {
      return failed(errno, "opendir", source_.value());
    }
    if (length == 0) {
      hand_over(batch);
      return {};
    }
    for (long at = 0; at < length;) {
      const auto* const entry = reinterpret_cast<const DirectoryEntry*>(buffer.get() + at);
      const auto* const name = static_cast<const char*>(entry->name);
      at += entry->length;
      if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) {
        continue;
      }
      const std::size_t source_before = source_.push(name);
      const std::size_t destination_before = destination_.push(name);
      auto copied = may_be_handed_over(entry->type) ? add_to(batch, name)
                                                    : copy_entry({.source_dirfd = pair->source.get(),
                                                                  .source = name,
                                                                  .directory = &pair->directory,
                                                                  .destination = name},
                                                                 entry->type);
      source_.pop(source_before);
      destination_.pop(destination_before);
      if (!copied) {
        hand_over(batch);  // what comes before a failure is copied
        return copied;
      }
    }
  }
}

// Whether other threads may copy the entry: it is a file of a large tree, and nobody wants to be asked or told in
// order.
bool Copier::may_be_handed_over(std::uint8_t type) const noexcept {
  return type == DT_REG && report_.files >= files_before_threads && options_.force && !options_.dereference &&
         !options_.filter && !options_.on_event && !options_.on_progress && source_.value().size() < PATH_MAX &&
         destination_.value().size() < PATH_MAX;
}

Outcome<void> Copier::add_to(FileBatch& batch, const char* name) {
  batch.names.append(name).push_back('\0');
  if (++batch.count == files_of_a_batch) {
    hand_over(batch);
  }
  return team_ && team_->failed() ? failed(ECANCELED, "cp") : Outcome<void>{};  // the team knows why
}

void Copier::hand_over(FileBatch& batch) {
  if (batch.count == 0) {
    return;
  }
  if (!team_) {
    team_ = std::make_unique<FileTeam>(options_, placement_options());
  }
  team_->add(std::exchange(batch, FileBatch{.directory = batch.directory, .names = {}}));
}

}  // namespace

Outcome<CpReport> cp(const std::string& source, const std::string& destination, const CpOptions& options) {
  return Copier(source, destination, options).run();
}

Outcome<ferry::CopyReport> copy_file(const std::string& source, const std::string& destination,
                                     const CopyFileOptions& options) {
  const auto fail = [&](int errno_value) { return failed(errno_value, "copyfile", source, destination); };
  const UniqueFd in(::open(source.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!in) {
    return fail(errno);
  }
  struct ::statx status = {};
  if (const int error = status_of(in.get(), "", 0, status); error != 0) {
    return fail(error);
  }
  if (S_ISDIR(status.stx_mode)) {
    return fail(EISDIR);
  }
  FilePlacement placement({.atomic = options.atomic, .verify = options.copy.verify}, options.copy);
  const std::string name = destination.substr(destination.rfind('/') + 1);  // npos + 1 is 0
  const auto copied = [&]() -> Outcome<ferry::CopyReport> {
    UniqueFd out;
    if (!options.atomic && !options.exclusive) {
      out.reset(::open(destination.c_str(), placement.write_flags() & ~O_NONBLOCK));
      if (!out && errno != ENOENT) {
        return fail(errno);
      }
    }
    if (out) {
      struct ::statx old = {};
      if (const int error = status_of(out.get(), "", 0, old); error != 0) {
        return fail(error);
      }
      return same_inode(status, old) ? Outcome<ferry::CopyReport>(ferry::CopyReport{})
                                     : placement.overwrite(in.get(), status, std::move(out), old);
    }
    const UniqueFd parent(::open(std::string(parent_of(destination)).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!parent) {
      return fail(errno);
    }
    TargetDirectory directory{.fd = parent.get()};
    using Existing = ferry::StagedFile::Existing;
    return options.atomic ? placement.replace(in.get(), status, directory, name.c_str(),
                                              options.exclusive ? Existing::keep : Existing::replace)
                          : placement.create(in.get(), status, directory, name.c_str());
  }();
  if (!copied) {
    return fail(copied.error().errno_value);
  }
  return copied;
}

}  // namespace ferry_node
