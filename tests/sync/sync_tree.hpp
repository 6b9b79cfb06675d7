// A source and a destination for the tests of syncing, and what a sync said.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <ferry/sync.hpp>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/scratch.hpp"

namespace ferry::testing {

struct Outcome {
  SyncExit exit = SyncExit::success;
  SyncReport report;
  std::vector<std::pair<SyncAction, std::string>> events;
  std::vector<std::pair<SyncProblem, Error>> errors;

  [[nodiscard]] bool has_event(SyncAction action, const std::string& path) const {
    return std::ranges::find(events, std::pair(action, path)) != events.end();
  }
  [[nodiscard]] bool has_error(SyncProblem problem) const {
    return std::ranges::any_of(errors, [&](const auto& error) { return error.first == problem; });
  }
};

inline SyncOptions archive() {
  SyncOptions options;
  options.recursive = true;
  options.symlinks = SymlinkMode::keep;
  options.permissions = true;
  options.times = true;
  options.owner = true;
  options.group = true;
  options.devices = true;
  options.specials = true;
  return options;
}

class SyncTree {
 public:
  SyncTree() { std::filesystem::create_directory(source("")); }

  [[nodiscard]] std::string source(const std::string& name) const { return scratch_.path("source/" + name); }
  [[nodiscard]] std::string destination(const std::string& name) const { return scratch_.path("destination/" + name); }
  [[nodiscard]] std::string path(const std::string& name) const { return scratch_.path(name); }

  // A file, its directories made, with a time of so many seconds after some day.
  static void put(const std::string& path, const std::string& content, int time = 0) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    write_file(path, content);
    set_time(path, time);
  }
  static void set_time(const std::string& path, int time) {
    const struct timespec times[2] = {{1'000'000'000 + time, 0}, {1'000'000'000 + time, 0}};
    EXPECT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
  }

  // Source's contents into the destination.
  [[nodiscard]] Outcome sync(SyncOptions options) const {
    return sync({source("")}, destination(""), std::move(options));
  }
  [[nodiscard]] static Outcome sync(const std::vector<std::string>& sources, const std::string& destination,
                                    SyncOptions options) {
    Outcome outcome;
    options.on_event = [&](const SyncEvent& event) { outcome.events.emplace_back(event.action, event.path); };
    options.on_error = [&](const SyncError& error) { outcome.errors.emplace_back(error.problem, error.error); };
    const auto report = sync_trees(sources, destination, options);
    if (report) {
      outcome.report = *report;
      outcome.exit = report->exit;
    } else {
      outcome.exit = report.error().exit;
      outcome.errors.emplace_back(SyncProblem::cannot_create, report.error().error);
    }
    return outcome;
  }

  // What is below a directory, by relative path.
  [[nodiscard]] static std::set<std::string> names_below(const std::string& root) {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      names.insert(std::filesystem::relative(entry.path(), root).native());
    }
    return names;
  }

 private:
  Scratch scratch_;
};

}  // namespace ferry::testing
