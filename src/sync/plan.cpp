#include "sync/plan.hpp"

#include <fcntl.h>

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
  PlanMaker(SyncJob& job, const DirectoryRef& anchor, Plan& plan) : job_(job), anchor_(anchor), plan_(plan) {}

  Result<void> add(const std::string& source) {
    const SyncOptions& options = job_.options;
    if (options.files) {
      const std::string base = source.empty() ? "." : source;
      for (const std::string& name : *options.files) {
        if (auto added = add_relative(base, name); !added) {
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

  void add_contents(const std::string& source) {
    if (!job_.options.recursive && !job_.options.dirs) {
      SyncEvent event;
      event.action = SyncAction::skipped_directory;
      event.type = FileType::directory;
      event.path = ".";
      job_.event(event);
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
    const std::string parent = slash == std::string::npos ? "." : source.substr(0, slash + 1);
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
    const int result = sys::statx(directory.source_fd(), name.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, status);
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
    if (!directory || !is_there(*directory, path, joined(base, path))) {
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
  Plan& plan_;
  std::map<std::string, DirectoryRef> opened_;
};

}  // namespace

Result<DirectoryRef> open_operand(SyncJob& job, const DirectoryRef& anchor, const std::string& path) {
  DirectoryRef directory(new Directory(anchor, path));
  directory->source_operand = path;
  directory->follow_source = true;
  directory->source.reset(
      job.descriptors.open_within_budget([&] { return sys::openat(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY); }));
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

Result<Plan> make_plan(SyncJob& job, const DirectoryRef& anchor, std::span<const std::string> sources) {
  Plan plan;
  PlanMaker maker(job, anchor, plan);
  for (const std::string& source : sources) {
    if (auto added = maker.add(source); !added) {
      return std::unexpected(added.error());
    }
  }
  return plan;
}

}  // namespace ferry
