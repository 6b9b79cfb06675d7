#include "cli/source_total.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <utility>

#include "cli/terminal.hpp"

namespace ferry::cli {
namespace {

// False if `stop` was requested meanwhile.
bool wait_for(std::chrono::milliseconds duration, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace

bool SourceTotal::is_meaningful(const TreeOptions& options) noexcept {
  return options.dereference != Dereference::always && options.overwrite == Overwrite::replace &&
         options.link_mode == LinkMode::copy && !options.attributes_only && !options.dry_run;
}

SourceTotal::SourceTotal(std::vector<std::string> sources, const TreeOptions& options)
    : counts_links_once_(options.preserve_hard_links),
      follows_operands_(options.dereference != Dereference::never),
      one_file_system_(options.one_file_system),
      thread_([this, sources = std::move(sources)](const std::stop_token& stop) {
        if (wait_for(progress_begins_after, stop)) {
          count(sources, stop);
        }
      }) {}

void SourceTotal::count(const std::vector<std::string>& sources, const std::stop_token& stop) {
  std::set<std::pair<dev_t, ino_t>> links;
  const auto add = [&](const struct stat& status) {
    entries_.fetch_add(1, std::memory_order_relaxed);
    const bool is_one_of_many = counts_links_once_ && status.st_nlink > 1;
    if (S_ISREG(status.st_mode) && (!is_one_of_many || links.emplace(status.st_dev, status.st_ino).second)) {
      bytes_.fetch_add(static_cast<std::uint64_t>(status.st_size), std::memory_order_relaxed);
    }
  };
  const auto add_entry = [&](const WalkEntry& entry) {
    struct stat status = {};
    const char* const name = entry.name.data();  // NOLINT(*-stringview-data-usage): NUL-terminated, as WalkEntry says
    if (fstatat(entry.dirfd, name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
      add(status);
    }
    return WalkAction::descend;
  };
  WalkOptions options;
  options.jobs = 1;  // the copy needs the processors
  options.stop = stop;
  options.one_file_system = one_file_system_;
  options.on_error = [](const Error&) {};  // likewise
  for (const std::string& source : sources) {
    struct stat status = {};
    if (fstatat(AT_FDCWD, source.c_str(), &status, follows_operands_ ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
      continue;  // the copy tells of it
    }
    add(status);
    if (S_ISDIR(status.st_mode)) {
      (void)walk(source, add_entry, options);
    }
  }
  is_complete_ = !stop.stop_requested();
}

TreeProgress SourceTotal::add_to(TreeProgress progress) const noexcept {
  if (is_complete_) {
    progress.bytes_found = bytes_;
    progress.entries_found = entries_;
    progress.walk_complete = true;
  }
  return progress;
}

}  // namespace ferry::cli
