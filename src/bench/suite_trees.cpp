// The trees suite: a whole tree copied once to a fresh name, by whole processes, as a person would at a shell.
#include <filesystem>
#include <map>
#include <system_error>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/contenders.hpp"
#include "bench/fingerprint.hpp"
#include "bench/suites.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* copy_sync_script =
    "const [s, d] = process.argv.slice(-2); "
    "require('fs').cpSync(s, d, {recursive: true, force: true, verbatimSymlinks: true})";

/// A contender and what of its copies may be expected to be right.
struct Entrant {
  Contender contender;
  Fidelity fidelity;
};

class TreeJob {
 public:
  TreeJob(std::string name, const WholeTree& tree, Caches caches, const SuiteOptions& options, fs::path source,
          fs::path target_directory)
      : name_(std::move(name)),
        tree_(tree),
        caches_(caches),
        options_(options),
        source_(std::move(source)),
        target_directory_(std::move(target_directory)),
        fidelity_(tree.archive ? Fidelity::attributes : Fidelity::content) {}

  void enter_all() {
    const std::string flag = tree_.archive ? "-a" : "-r";
    enter("ferry cp " + flag, ferry_version(), fidelity_,
          [this, flag](const fs::path& target) { return std::vector{ferry_command({"cp", flag, source_, target})}; });
    enter_peer(cp_peer, "cp " + flag, fidelity_, {flag, source_});
    // -r alone leaves symlinks out, which cp -r does not.
    enter_peer(rsync_peer, tree_.archive ? "rsync -aW --inplace" : "rsync -rlW --inplace", fidelity_,
               {tree_.archive ? "-aW" : "-rlW", "--inplace", source_ / ""});
    enter_tar();
    for (const Peer& peer : {node_peer, bun_peer}) {
      enter_peer(peer, fmt::format("{} cpSync", peer.name) + (tree_.archive ? " (no owner, no times)" : ""),
                 Fidelity::content, {"-e", copy_sync_script, "--", source_});
    }
    for (const CustomRival& rival : options_.rivals) {
      enter(rival.name, "", fidelity_,
            [this, rival](const fs::path& target) { return std::vector{custom_command(rival, source_, target)}; });
    }
  }

  // Reads the whole source: afterwards it is cached.
  Outcome<Fingerprint> arm() {
    auto content = fingerprint_of(source_, Fidelity::content);
    const auto attributes = content ? fingerprint_of(source_, Fidelity::attributes) : content;
    if (!attributes) {
      return std::unexpected(attributes.error());
    }
    if (auto room = choose_clean_up(*content); !room) {
      return std::unexpected(room.error());
    }
    for (Entrant& entrant : entrants_) {
      const Fidelity fidelity = entrant.fidelity;
      const Fingerprint expected = fidelity == Fidelity::content ? *content : *attributes;
      entrant.contender.set_up = [this](const Turn&) { return prepare_caches(caches_, source_, target_directory_); };
      entrant.contender.check = [this, expected, fidelity](const Turn& turn) {
        return check_copy(source_, expected, turn.target, fidelity);
      };
      entrant.contender.clean_up = [this](const Turn& turn) {
        if (delete_at_once_) {
          std::error_code ignored;
          fs::remove_all(turn.target, ignored);
        }
      };
    }
    return content;
  }

  [[nodiscard]] Job job() const {
    Job job{.name = name_,
            .contenders = {},
            .missing = missing_,
            .target_directory = target_directory_,
            .warm_ups = options_.warm_ups,
            .rounds = options_.rounds};
    for (const Entrant& entrant : entrants_) {
      job.contenders.push_back(entrant.contender);
    }
    return job;
  }

 private:
  void enter(const std::string& name, std::string version, Fidelity fidelity, const Steps& steps) {
    entrants_.push_back({command_contender(name, std::move(version), steps, target_directory_ / "copy"), fidelity});
  }

  void enter_peer(const Peer& peer, const std::string& name, Fidelity fidelity, std::vector<std::string> arguments) {
    if (!takes_part(options_, peer)) {
      return;
    }
    const auto found = find_peer(peer);
    if (!found) {
      missing_.push_back({name, std::string(peer.package)});
      return;
    }
    arguments.insert(arguments.begin(), std::string(peer.name));
    enter(name, version_of(peer, *found), fidelity, [program = found->program, arguments](const fs::path& target) {
      std::vector<std::string> words = arguments;
      words.push_back(target);
      return std::vector{Command{.program = program, .words = words}};
    });
  }

  // The format that keeps nanoseconds (tar(5), pax). The target must be there before: its making is timed, too.
  void enter_tar() {
    if (!takes_part(options_, tar_peer)) {
      return;
    }
    const auto found = find_peer(tar_peer);
    if (!found) {
      missing_.push_back({"tar | tar", std::string(tar_peer.package)});
      return;
    }
    enter("tar | tar", version_of(tar_peer, *found), fidelity_, [this, tar = found->program](const fs::path& target) {
      const std::string to = ferry::quoted(target.native());
      const std::string line = fmt::format("mkdir {0} && {1} --format=posix -C {2} -cf - . | {1} -C {0} -xpf -", to,
                                           tar, ferry::quoted(source_.native()));
      return std::vector{Command{.program = "/bin/sh", .words = {"sh", "-c", line}}};
    });
  }

  // Copies are kept until the end, because after mass deletes the inode allocator of ext4 is slow for minutes and
  // would slow down whoever comes next. On tmpfs, or where all do not fit, they go at once.
  Outcome<void> choose_clean_up(const Fingerprint& source) {
    const auto free = free_bytes(target_directory_);
    if (!free) {
      return std::unexpected(free.error());
    }
    const std::uint64_t one_copy = source.bytes + source.entries * 4096;
    const std::uint64_t copies = std::uint64_t{options_.rounds + options_.warm_ups} * entrants_.size();
    delete_at_once_ = file_system_of(target_directory_) == "tmpfs" || *free / 2 < one_copy * copies;
    return {};
  }

  std::string name_;
  const WholeTree& tree_;
  Caches caches_;
  const SuiteOptions& options_;
  fs::path source_;
  fs::path target_directory_;
  Fidelity fidelity_;
  std::vector<Entrant> entrants_;
  std::vector<MissingContender> missing_;
  bool delete_at_once_ = true;
};

Outcome<fs::path> prepare_source(const std::string& name, const WholeTree& tree, const fs::path& scratch,
                                 const Session& session) {
  const fs::path made = scratch / "source";
  if (tree.generate) {
    session.tell(fmt::format("{}: making the source", name));
    const auto done = make_file_set(made, *tree.generate, &session.interrupted);
    return done ? Outcome<fs::path>(made) : std::unexpected(done.error());
  }
  auto source = small_or_given_tree(tree.source, scratch);
  if (!source || !tree.stage) {
    return source;
  }
  const auto cp = find_peer(cp_peer);
  if (!cp) {
    return std::unexpected("cp is needed to stage the source, and is not installed");
  }
  session.tell(fmt::format("{}: staging the source", name));
  const auto staged =
      run_command({.program = cp->program, .words = {"cp", "-a", *source, made}}, {.stop = &session.interrupted});
  return staged ? Outcome<fs::path>(made) : std::unexpected("cannot stage the source: " + staged.error());
}

Outcome<void> can_run(const WholeTree& tree, const SuiteOptions& options) {
  if (tree.generate) {
    return require_space_for(tree.generate->size_bytes(), options.from, tree.generate->size_bytes(), options.to);
  }
  if (auto outside = require_outside(options.to, tree.source); !outside) {
    return outside;
  }
  const auto size = size_of_tree(tree.source);
  if (!size) {
    return std::unexpected(size.error());
  }
  return tree.stage ? require_space_for(*size, options.from, *size, options.to) : require_space(options.to, *size);
}

Outcome<Group> measure(const std::string& name, const WholeTree& tree, Caches caches, const SuiteOptions& options,
                       const Session& session) {
  const auto from = ScratchDirectory::create(options.from);
  const auto to = from ? ScratchDirectory::create(options.to) : std::unexpected(from.error());
  const auto source = to ? prepare_source(name, tree, from->path(), session) : std::unexpected(to.error());
  if (!source) {
    return std::unexpected(source.error());
  }
  TreeJob job(name, tree, caches, options, *source, to->path());
  job.enter_all();
  session.tell(fmt::format("{}: reading the source", name));
  const auto content = job.arm();
  if (!content) {
    return std::unexpected(content.error());
  }
  return Group{
      .name = name,
      .result = run_job(job.job(), session.tell, session.interrupted),
      .facts = {{"source", fmt::format("{}, {} directories, {} files, {} entries, {}",
                                       describe_place(tree.stage || tree.generate ? options.from : tree.source),
                                       content->directories, content->regular_files, content->entries,
                                       format_size(content->bytes))},
                cache_fact(caches)},
      .units_per_run = static_cast<double>(content->entries),
      .unit = "entries"};
}

const std::map<std::string, WholeTree>& presets() {
  static const std::map<std::string, WholeTree> known = {
      {"share", {.title = "trees: /usr/share", .source = "/usr/share", .generate = {}, .stage = true}},
      {"small-files",
       {.title = "trees: 10 000 files of 4 KiB in 100 directories",
        .source = {},
        .generate = FileSet{.files = 10'000, .file_bytes = 4096, .directories = 100},
        .archive = false}},
      {"medium-files",
       {.title = "trees: 200 files of 1 MiB",
        .source = {},
        .generate = FileSet{.files = 200, .file_bytes = std::uint64_t{1} << 20U, .directories = 1},
        .archive = false}},
      {"flat",
       {.title = "trees: 100 000 files of 1 KiB in one directory",
        .source = {},
        .generate = FileSet{.files = 100'000, .file_bytes = 1024, .directories = 1}}}};
  return known;
}

}  // namespace

std::optional<WholeTree> preset_tree(const std::string& name) {
  const auto found = presets().find(name);
  return found == presets().end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const auto& [name, tree] : presets()) {
    names.push_back(name);
  }
  return names;
}

Plan plan_trees(const std::vector<WholeTree>& trees, const SuiteOptions& options) {
  Plan plan{.report = begin_report("trees", options), .groups = {}};
  const std::vector<Fact> facts = {
      {"target", describe_place(options.to) + ", a fresh name for every run"},
      {"times", fmt::format("whole processes; {}; not made durable", describe_rounds(options))}};
  plan.report.facts.insert(plan.report.facts.begin(), facts.begin(), facts.end());
  for (const WholeTree& tree : trees) {
    for (const Caches caches : options.caches) {
      const std::string name =
          fmt::format("{}, {}{}", tree.title, tree.archive ? "-a" : "-r", caches == Caches::cold ? ", cold" : "");
      plan.groups.push_back(
          {.name = name,
           .can_run = [=] { return can_run(tree, options); },
           .measure = [=](const Session& session) { return measure(name, tree, caches, options, session); }});
    }
  }
  return plan;
}

}  // namespace ferry::bench
