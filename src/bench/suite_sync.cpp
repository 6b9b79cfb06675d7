// The sync suite: what somebody who types rsync every night waits for, by whole processes.
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/backup_tree.hpp"
#include "bench/contenders.hpp"
#include "bench/fingerprint.hpp"
#include "bench/statistics.hpp"
#include "bench/suites.hpp"
#include "bench/xfs_image.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t files_per_directory = 100;

/// What is there before a run.
enum class Before : std::uint8_t {
  nothing,         ///< A fresh name.
  copy,            ///< A copy of the tree, which all runs of all contenders share.
  stale_copy,      ///< The same; one file in a hundred differs.
  extraneous_copy  ///< A copy under a fresh name, and nothing in the source.
};

/// One job on a tree.
struct TreeRow {
  std::string name;
  std::vector<std::string> flags;
  Before before = Before::nothing;
  FileSet set = {};
};

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

/// Where a measurement works: directories of its own in --from and --to, or both on a file system of its own.
class Workplace {
 public:
  static Outcome<std::unique_ptr<Workplace>> create(const SyncSuite& suite, const SuiteOptions& options,
                                                    std::uint64_t bytes) {
    auto place = std::unique_ptr<Workplace>(new Workplace);
    if (suite.on_xfs) {
      auto below = ScratchDirectory::create(options.to);
      auto image = below ? XfsImage::create(below->path(), bytes) : std::unexpected(below.error());
      if (!image) {
        return std::unexpected(image.error());
      }
      place->below_ = std::make_unique<ScratchDirectory>(std::move(*below));
      place->image_ = std::make_unique<XfsImage>(std::move(*image));
    }
    auto from = ScratchDirectory::create(suite.on_xfs ? place->image_->path() : options.from);
    auto to = from ? ScratchDirectory::create(suite.on_xfs ? place->image_->path() : options.to)
                   : std::unexpected(from.error());
    if (!to) {
      return std::unexpected(to.error());
    }
    place->from_ = std::make_unique<ScratchDirectory>(std::move(*from));
    place->to_ = std::make_unique<ScratchDirectory>(std::move(*to));
    return place;
  }
  [[nodiscard]] const fs::path& from() const noexcept { return from_->path(); }
  [[nodiscard]] const fs::path& to() const noexcept { return to_->path(); }
  [[nodiscard]] Fact fact(const SuiteOptions& options) const {
    return {"place", image_ ? "an XFS file system in a loop-mounted file in " + describe_place(options.to)
                            : fmt::format("from {} to {}", describe_place(options.from), describe_place(options.to))};
  }

 private:
  Workplace() = default;
  // Destroyed from the last to the first.
  std::unique_ptr<ScratchDirectory> below_;
  std::unique_ptr<XfsImage> image_;
  std::unique_ptr<ScratchDirectory> from_;
  std::unique_ptr<ScratchDirectory> to_;
};

/// Bytes written so far to the device that holds `path`; empty where there is none of its own, as on tmpfs.
std::optional<std::uint64_t> device_bytes_written(const fs::path& path) {
  struct ::stat status = {};
  if (::stat(path.c_str(), &status) != 0) {
    return std::nullopt;
  }
  // The kernel's Documentation/block/stat.rst: the seventh field, in sectors of 512 bytes.
  std::ifstream file(fmt::format("/sys/dev/block/{}:{}/stat", major(status.st_dev), minor(status.st_dev)));
  std::uint64_t field = 0;
  for (int i = 0; i < 7; ++i) {
    if (!(file >> field)) {
      return std::nullopt;
    }
  }
  return field * 512;
}

Command sync_command(const std::string& program, const std::string& shown, std::vector<std::string> flags,
                     const fs::path& source, const fs::path& target) {
  std::vector<std::string> words = std::move(flags);
  words.push_back(source);
  words.push_back(target);
  if (program.empty()) {
    words.insert(words.begin(), "sync");
    return ferry_command(words);
  }
  words.insert(words.begin(), shown);
  return {.program = program, .words = words};
}

/// Adds a program to the job. `target_of`: where it works in a turn.
using TargetOf = std::function<fs::path(const fs::path& fresh)>;
void enter(Job& job, const std::string& program, const std::string& shown, const std::string& version,
           const std::vector<std::string>& flags, const fs::path& source, const TargetOf& target_of) {
  job.contenders.push_back(command_contender(
      fmt::format("{} {}", shown, joined(flags)), version,
      [=](const fs::path& fresh) { return std::vector{sync_command(program, shown, flags, source, target_of(fresh))}; },
      job.target_directory / "copy"));
}

void enter_ferry(Job& job, const std::vector<std::string>& flags, const fs::path& source, const TargetOf& target_of) {
  enter(job, "", "ferry sync", ferry_version(), flags, source, target_of);
}

void enter_rsync(Job& job, const SuiteOptions& options, const std::vector<std::string>& flags, const fs::path& source,
                 const TargetOf& target_of) {
  if (!takes_part(options, rsync_peer)) {
    return;
  }
  if (const auto found = find_peer(rsync_peer)) {
    enter(job, found->program, "rsync", version_of(rsync_peer, *found), flags, source, target_of);
  } else {
    job.missing.push_back({"rsync " + joined(flags), std::string(rsync_peer.package)});
  }
}

Job begin_job(const std::string& name, const Workplace& place, const SuiteOptions& options) {
  return {.name = name,
          .contenders = {},
          .target_directory = place.to(),
          .warm_ups = options.warm_ups,
          .rounds = options.rounds};
}

// ---------------------------------------------------------------------------------------------- trees

/// Sets up and judges the runs of one job on a tree.
class TreeJob {
 public:
  TreeJob(const TreeRow& row, Caches caches, const SuiteOptions& options, const Workplace& place)
      : row_(row),
        caches_(caches),
        options_(options),
        place_(place),
        tree_(place.from() / "tree"),
        shared_copy_(place.to() / "copy") {}

  Outcome<Group> measure(const std::string& name, const Session& session) {
    session.tell(fmt::format("{}: making the source", name));
    if (auto made = make_backup_tree(tree_, row_.set, &session.interrupted); !made) {
      return std::unexpected(made.error());
    }
    const fs::path source = row_.before == Before::extraneous_copy ? place_.from() / "empty" : tree_;
    std::error_code ignored;
    fs::create_directory(source, ignored);
    if (auto aged = age_all_but_files(source); !aged) {
      return std::unexpected(aged.error());
    }
    session.tell(fmt::format("{}: reading the source", name));
    const auto tree = fingerprint_of(tree_, Fidelity::everything);
    const auto expected = tree ? fingerprint_of(source, Fidelity::everything) : tree;
    const auto room = expected ? choose_clean_up(*tree) : std::unexpected(expected.error());
    if (!room) {
      return std::unexpected(room.error());
    }
    Job job = begin_job(name, place_, options_);
    const bool is_fresh = row_.before == Before::nothing || row_.before == Before::extraneous_copy;
    const TargetOf target_of = [this, is_fresh](const fs::path& fresh) { return is_fresh ? fresh : shared_copy_; };
    enter_ferry(job, row_.flags, source / "", target_of);
    enter_rsync(job, options_, row_.flags, source / "", target_of);
    for (Contender& contender : job.contenders) {
      contender.set_up = [this, target_of](const Turn& turn) { return set_up(target_of(turn.target)); };
      contender.check = [=, expected = *expected](const Turn& turn) {
        return check_copy(source, expected, target_of(turn.target), Fidelity::everything);
      };
      contender.clean_up = [this, is_fresh](const Turn& turn) {
        if (is_fresh && deletes_at_once_) {
          std::error_code none;
          fs::remove_all(turn.target, none);
        }
      };
    }
    return Group{.name = name,
                 .result = run_job(job, session.tell, session.interrupted),
                 .facts = {place_.fact(options_),
                           {"tree", fmt::format("{} directories, {} files, {} entries, {}; hard links, symlinks, "
                                                "attributes and ACLs: 1 to 100 files of each",
                                                tree->directories, tree->regular_files, tree->entries,
                                                format_size(tree->bytes))},
                           cache_fact(caches_)},
                 .units_per_run = static_cast<double>(tree->entries),
                 .unit = "entries"};
  }

 private:
  [[nodiscard]] Outcome<void> set_up(const fs::path& target) const {
    std::error_code error;
    if (row_.before != Before::nothing && !fs::exists(target, error)) {
      // Right or not: what the contender leaves is compared with the source.
      const auto made = run_command(sync_command("", "ferry sync", {"-aHAX"}, tree_ / "", target));
      if (!made) {
        return std::unexpected("cannot prepare the target: " + made.error());
      }
    }
    if (row_.before == Before::stale_copy) {
      if (auto made = make_one_percent_stale(target, row_.set); !made) {
        return made;
      }
    }
    return prepare_caches(caches_, tree_, place_.to());
  }

  // As for the trees suite: kept until the end where there is room, because ext4 is slow after mass deletes.
  Outcome<void> choose_clean_up(const Fingerprint& tree) {
    const auto free = free_bytes(place_.to());
    if (!free) {
      return std::unexpected(free.error());
    }
    const std::uint64_t one_copy = tree.bytes + tree.entries * 4096;
    const std::uint64_t copies = std::uint64_t{options_.rounds + options_.warm_ups} * 2;
    deletes_at_once_ = file_system_of(place_.to()) == "tmpfs" || *free / 2 < one_copy * copies;
    return {};
  }

  const TreeRow& row_;
  Caches caches_;
  const SuiteOptions& options_;
  const Workplace& place_;
  fs::path tree_;
  fs::path shared_copy_;
  bool deletes_at_once_ = true;
};

std::uint64_t directories_for(std::uint64_t files) { return std::max<std::uint64_t>(files / files_per_directory, 2); }

std::vector<TreeRow> tree_rows(const SyncSuite& suite) {
  const FileSet tree{
      .files = suite.files, .file_bytes = suite.bytes / suite.files, .directories = directories_for(suite.files)};
  const FileSet many{.files = suite.many_files, .file_bytes = 0, .directories = directories_for(suite.many_files)};
  const std::string size = size_label(suite.bytes);
  return {
      {fmt::format("first copy, {} files, {}, -aHAX", suite.files, size), {"-aHAX"}, Before::nothing, tree},
      {fmt::format("nothing changed, {} files, -aHAX", suite.files), {"-aHAX"}, Before::copy, tree},
      {fmt::format("1% changed, {} files, -aHAX", suite.files), {"-aHAX"}, Before::stale_copy, tree},
      {fmt::format("nothing changed, {} files, {}, -aHAX -c", suite.files, size), {"-aHAX", "-c"}, Before::copy, tree},
      {fmt::format("all deleted, {} files, -aHAX --delete", suite.files),
       {"-aHAX", "--delete"},
       Before::extraneous_copy,
       tree},
      {fmt::format("memory, nothing changed, {} empty files, -aHAX", suite.many_files), {"-aHAX"}, Before::copy, many}};
}

// ---------------------------------------------------------------------------------------------- one large file

Outcome<Group> measure_blocks(const std::string& name, const SyncSuite& suite, Caches caches,
                              const SuiteOptions& options, const Session& session) {
  constexpr std::uint64_t gigabyte = std::uint64_t{1} << 30U;
  const auto place = Workplace::create(suite, options, 5 * suite.large_bytes + gigabyte);
  if (!place) {
    return std::unexpected(place.error());
  }
  const fs::path to = (*place)->to();
  const fs::path source = (*place)->from() / "large";
  session.tell(fmt::format("{}: making the source", name));
  if (auto made = make_file(source, suite.large_bytes, false, &session.interrupted); !made) {
    return std::unexpected(made.error());
  }
  const auto expected = fingerprint_of(source, Fidelity::attributes);
  if (!expected) {
    return std::unexpected(expected.error());
  }
  Job job = begin_job(name, **place, options);
  // Each contender has its own old file, which it keeps: only the blocks are made stale again.
  const auto old_file = [to](const char* of) { return [path = to / of](const fs::path&) { return path; }; };
  const std::vector<std::string> in_place = {"-a", "--inplace", "--no-whole-file"};
  const std::vector<TargetOf> targets = {old_file("ferry"), old_file("ferry-new"), old_file("rsync")};
  enter_ferry(job, in_place, source, targets[0]);
  enter_ferry(job, {"-a", "--no-whole-file"}, source, targets[1]);
  enter_rsync(job, options, in_place, source, targets[2]);
  std::vector<std::vector<double>> written(job.contenders.size());
  for (std::size_t i = 0; i < job.contenders.size(); ++i) {
    Contender& contender = job.contenders[i];
    const fs::path target = targets[i]({});
    contender.set_up = [=, size = suite.large_bytes, stop = &session.interrupted](const Turn&) {
      std::error_code error;
      auto made = fs::exists(target, error) ? Outcome<void>{} : make_file(target, size, false, stop);
      made = made ? make_one_percent_of_blocks_stale(target) : made;
      return made ? prepare_caches(caches, source, to) : made;
    };
    contender.run = [=, run = contender.run, &sum = written[i]](const Turn& turn) -> Outcome<Cost> {
      const auto before = device_bytes_written(to);
      auto cost = run(turn);
      settle(to);  // what was only in the cache is counted, too; not timed
      const auto after = device_bytes_written(to);
      if (cost && before && after && !turn.warm_up) {
        sum.push_back(static_cast<double>(*after - *before));
      }
      return cost;
    };
    contender.check = [=, expected = *expected](const Turn&) {
      return check_copy(source, expected, target, Fidelity::attributes);
    };
  }
  Group group{
      .name = name,
      .facts = {(*place)->fact(options),
                {"file", fmt::format("{}, every hundredth block of 4 KiB differs", size_label(suite.large_bytes))},
                cache_fact(caches)}};
  group.result = run_job(job, session.tell, session.interrupted);
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (!written[i].empty() && group.result.contenders[i].failure.empty()) {
      group.counted = "percent of the file written to the device";
      group.result.contenders[i].counts.push_back(
          {"written", 100 * median(written[i]) / static_cast<double>(suite.large_bytes)});
    }
  }
  if (group.counted.empty()) {
    group.facts.push_back({"bytes written", "not counted: the target is on no device of its own"});
  }
  return group;
}

Outcome<void> can_run(const SyncSuite& suite, const SuiteOptions& options, std::uint64_t source_bytes,
                      std::uint64_t target_bytes) {
  if (!suite.on_xfs) {
    return require_space_for(source_bytes, options.from, target_bytes, options.to);
  }
  const auto possible = XfsImage::is_possible();
  return possible ? require_space(options.to, source_bytes + target_bytes) : possible;
}

}  // namespace

Plan plan_sync(const SyncSuite& suite, const SuiteOptions& options) {
  Plan plan{.report = begin_report("sync", options), .groups = {}};
  plan.report.facts.insert(plan.report.facts.begin(),
                           {"times", fmt::format("whole processes; {}; not made durable", describe_rounds(options))});
  const auto add = [&](const std::string& title, std::uint64_t source_bytes, std::uint64_t target_bytes,
                       const std::function<Outcome<Group>(const std::string&, Caches, const Session&)>& measure) {
    for (const Caches caches : options.caches) {
      const std::string name = fmt::format("sync: {}{}", title, caches == Caches::cold ? ", cold" : "");
      plan.groups.push_back({.name = name,
                             .can_run = [=] { return can_run(suite, options, source_bytes, target_bytes); },
                             .measure = [=](const Session& session) { return measure(name, caches, session); }});
    }
  };
  for (const TreeRow& row : tree_rows(suite)) {
    const std::uint64_t bytes = row.set.size_bytes();
    add(row.name, bytes, bytes, [=](const std::string& name, Caches caches, const Session& session) -> Outcome<Group> {
      constexpr std::uint64_t copies = 20;  // those that may be kept until the end
      const auto place = Workplace::create(suite, options, copies * bytes);
      return place ? TreeJob(row, caches, options, **place).measure(name, session) : std::unexpected(place.error());
    });
  }
  add(fmt::format("1% of blocks changed, one file of {}, --no-whole-file", size_label(suite.large_bytes)),
      suite.large_bytes, 3 * suite.large_bytes, [=](const std::string& name, Caches caches, const Session& session) {
        return measure_blocks(name, suite, caches, options, session);
      });
  return plan;
}

}  // namespace ferry::bench
