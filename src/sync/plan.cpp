#include "sync/plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fcntl.h>
#include <linux/openat2.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "base/sys.hpp"

namespace ferry {
namespace {

// "dir/", "dir/.", "." and "..": the contents of a directory.
bool means_contents(std::string_view path) noexcept {
  return path.ends_with('/') || path == "." || path == ".." || path.ends_with("/.") || path.ends_with("/..");
}

std::vector<std::string> components_of(std::string_view path) {
  std::vector<std::string> components;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view component = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (!component.empty() && component != ".") {
      components.emplace_back(component);
    }
  }
  return components;
}

class PlanMaker {
 public:
  PlanMaker(SyncJob& job, const DirectoryRef& anchor, const FilterRules& rules, Plan& plan)
      : job_(job), anchor_(anchor), rules_(rules), plan_(plan) {}

  Result<void> add(const std::string& source) {
    const SyncOptions& options = job_.options;
    if (options.files) {
      const std::string base = source.empty() ? "." : source;
      for (const std::string& name : *options.files) {
        if (auto added = add_listed(base, name); !added) {
          return added;
        }
      }
      return {};
    }
    if (options.relative) {
      const std::size_t marker = source.find("/./");
      if (marker != std::string::npos) {
        return add_relative(marker == 0 ? "/" : source.substr(0, marker), source.substr(marker + 3));
      }
      if (source.starts_with("./")) {
        add_attributes_of(".");
      }
      return source.starts_with('/') ? add_relative("/", source) : add_relative(".", source);
    }
    if (means_contents(source)) {
      add_contents(source);
    } else {
      add_entry(source);
    }
    return {};
  }

 private:
  // Each directory is opened once.
  DirectoryRef open(const std::string& path) {
    const auto known = opened_.find(path);
    if (known != opened_.end()) {
      return known->second;
    }
    auto directory = open_operand(job_, anchor_, path);
    if (!directory) {
      job_.fail(SyncProblem::cannot_stat_source, directory.error());
      return {};
    }
    plan_.opened.push_back(*directory);
    opened_[path] = *directory;
    return *directory;
  }

  // "./a" with --relative names the directory "." as one on the way, with its attributes.
  void add_attributes_of(const std::string& path) {
    const SyncOptions& options = job_.options;
    if (!options.recursive && !options.dirs) {
      tell_skipped(".");
      return;
    }
    if (!plan_.contents.empty() || !options.implied_dirs) {
      return;
    }
    if (DirectoryRef directory = open(path)) {
      plan_.contents.push_back(std::move(directory));
    }
  }

  void tell_skipped(std::string_view directory) {
    SyncEvent event;
    event.action = SyncAction::skipped_directory;
    event.type = FileType::directory;
    event.path = directory;
    job_.event(event);
  }

  // A name of --files-from. "a/./b": the path begins after the "/./"; "./a": the attributes of the source itself count.
  Result<void> add_listed(const std::string& base, const std::string& name) {
    if (!job_.options.relative) {
      return add_listed_flat(base, name);
    }
    const std::size_t marker = name.find("/./");
    if (marker == std::string::npos) {
      if (name.starts_with("./")) {
        add_attributes_of(base);
      }
      return add_relative(base, name);
    }
    const DirectoryRef directory = open(base);
    const std::string within = name.substr(0, marker);
    if (!directory || !open_within(*directory, joined(base, within), within)) {
      return {};
    }
    return add_relative(joined(base, within), name.substr(marker + 3));
  }

  // With --no-relative: as if it were an operand, but inside the source.
  Result<void> add_listed_flat(const std::string& base, const std::string& name) {
    const std::string path = joined(base, name);
    const std::size_t slash = name.find_last_of('/');
    const std::string within = slash == std::string::npos ? "" : name.substr(0, slash);
    const DirectoryRef directory = open(base);
    if (!directory || (!within.empty() && !open_within(*directory, joined(base, within), within))) {
      return {};
    }
    if (means_contents(name)) {
      add_contents(joined(base, within));
    } else {
      add_entry(path);
    }
    return {};
  }

  // Opens what the list names inside the source: no symlink in it is followed.
  bool open_within(const Directory& base, const std::string& path, const std::string& within) {
    if (opened_.contains(path)) {
      return true;
    }
    open_how how = {};
    how.flags = O_RDONLY | O_DIRECTORY;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    auto directory =
        open_operand(job_, anchor_, path, [&] { return sys::openat2(base.source_fd(), within.c_str(), how); });
    if (!directory) {
      job_.fail(SyncProblem::cannot_stat_source, directory.error());
      return false;
    }
    plan_.opened.push_back(*directory);
    opened_[path] = *directory;
    return true;
  }

  void add_contents(const std::string& source) {
    if (!job_.options.recursive && !job_.options.dirs) {
      tell_skipped(".");
      return;
    }
    if (DirectoryRef directory = open(source)) {
      plan_.contents.push_back(std::move(directory));
      plan_.root.contents = true;
      plan_.root.recursive = job_.options.recursive;
    }
  }

  void add_entry(const std::string& source) {
    const std::size_t slash = source.rfind('/');
    const std::string parent = slash == std::string::npos ? "." : source.substr(0, std::max<std::size_t>(slash, 1));
    const std::string name = slash == std::string::npos ? source : source.substr(slash + 1);
    DirectoryRef directory = open(parent);
    if (!directory || !is_there(*directory, name, source)) {
      return;
    }
    auto& node = plan_.root.children[name];
    if (!node) {
      node = std::make_unique<PlanNode>();
    }
    node->locations.push_back({std::move(directory), name});
    node->contents = job_.options.recursive;
    node->recursive = job_.options.recursive;
  }

  bool is_there(const Directory& directory, const std::string& name, const std::string& operand) {
    struct statx status = {};
    return looks_at(directory, name, operand, status);
  }

  bool looks_at(const Directory& directory, const std::string& name, const std::string& operand, struct statx& status) {
    const int flags = job_.options.symlinks == SymlinkMode::dereference ? 0 : AT_SYMLINK_NOFOLLOW;
    const int result = sys::statx(directory.source_fd(), name.c_str(), flags, STATX_TYPE, status);
    if (result < 0) {
      job_.fail(SyncProblem::cannot_stat_source, -result, "statx", operand);
    }
    return result == 0;
  }

  // The path below `base` is kept in the destination.
  Result<void> add_relative(const std::string& base, const std::string& path) {
    const std::vector<std::string> components = components_of(path);
    const bool is_contents = means_contents(path);
    if (std::ranges::find(components, "..") != components.end()) {
      return ferry::fail(EINVAL, "'..' in the relative path", path);
    }
    if (components.empty()) {
      add_contents(base);
      return {};
    }
    DirectoryRef directory = open(base);
    const std::string_view bare = std::string_view(path).substr(0, path.find_last_not_of('/') + 1);
    struct statx status = {};
    if (!directory || !looks_at(*directory, std::string(bare), joined(base, path), status)) {
      return {};
    }
    if (S_ISDIR(status.stx_mode) && !job_.options.recursive && !job_.options.dirs) {
      tell_skipped(bare);
      return {};
    }
    const auto shown = fmt::format("{}", fmt::join(components, "/"));
    if (!rules_.empty() && hides(rules_.verdict(shown, S_ISDIR(status.stx_mode), FilterSide::sender))) {
      return {};
    }
    PlanNode* node = &plan_.root;
    for (std::size_t i = 0; i < components.size(); ++i) {
      auto& child = node->children[components[i]];
      const bool is_last = i + 1 == components.size();
      if (!child) {
        child = std::make_unique<PlanNode>();
        child->is_implied = !is_last;
      }
      if (i == 0) {
        child->locations.push_back({directory, components[i]});
      }
      node = child.get();
    }
    node->is_implied = false;
    node->recursive = job_.options.recursive;
    node->contents = job_.options.recursive || (job_.options.dirs && is_contents);
    return {};
  }

  SyncJob& job_;
  const DirectoryRef& anchor_;
  const FilterRules& rules_;
  Plan& plan_;
  std::map<std::string, DirectoryRef> opened_;
};

}  // namespace

Result<DirectoryRef> open_operand(SyncJob& job, const DirectoryRef& anchor, const std::string& path) {
  return open_operand(job, anchor, path, [&] { return sys::openat(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY); });
}

Result<DirectoryRef> open_operand(SyncJob& job, const DirectoryRef& anchor, const std::string& path,
                                  const std::function<int()>& open) {
  DirectoryRef directory(new Directory(anchor, path));
  directory->source_operand = path;
  directory->follow_source = true;
  directory->source.reset(job.descriptors.open_within_budget([&] { return open(); }));
  if (!directory->source) {
    return fail(-directory->source.get(), "openat", path);
  }
  if (const int result =
          sys::statx(directory->source.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, directory->source_status);
      result < 0) {
    return fail(-result, "statx", path);
  }
  directory->source_identity = identity_of(directory->source_status);
  directory->root_device = directory->source_identity.device;
  job.descriptors.add(*directory);  // pinned: it stays open
  return directory;
}

Result<Plan> make_plan(SyncJob& job, const DirectoryRef& anchor, const FilterRules& rules,
                       std::span<const std::string> sources) {
  Plan plan;
  PlanMaker maker(job, anchor, rules, plan);
  for (const std::string& source : sources) {
    if (auto added = maker.add(source); !added) {
      return std::unexpected(added.error());
    }
  }
  return plan;
}

}  // namespace ferry
