// The tree suite: a whole tree copied once to a fresh name, by whole processes, as a person would at a shell.
#include <filesystem>
#include <memory>
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
  TreeJob(const TreeSuite& suite, const SuiteOptions& options, fs::path source, fs::path target_directory)
      : suite_(suite),
        options_(options),
        source_(std::move(source)),
        target_directory_(std::move(target_directory)),
        fidelity_(suite.archive ? Fidelity::attributes : Fidelity::content) {}

  void enter_all() {
    const std::string flag = suite_.archive ? "-a" : "-r";
    enter("ferry cp " + flag, ferry_version(), fidelity_,
          [this, flag](const fs::path& target) { return std::vector{ferry_command({"cp", flag, source_, target})}; });
    enter_peer(cp_peer, "cp " + flag, true, fidelity_, {flag, source_});
    // -r alone leaves symlinks out, which cp -r does not.
    enter_peer(rsync_peer, suite_.archive ? "rsync -aW --inplace" : "rsync -rlW --inplace", true, fidelity_,
               {suite_.archive ? "-aW" : "-rlW", "--inplace", source_ / ""});
    for (const Peer& peer : {node_peer, bun_peer}) {
      enter_peer(peer, fmt::format("{} cpSync", peer.name) + (suite_.archive ? " (no owner, no times)" : ""), false,
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
      entrant.contender.set_up = [this](const Turn&) { return prepare_caches(options_, source_); };
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
    Job job{.name = suite_.title,
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

  void enter_peer(const Peer& peer, const std::string& name, bool usual, Fidelity fidelity,
                  std::vector<std::string> arguments) {
    if (!takes_part(options_, peer, usual)) {
      return;
    }
    const auto found = find_peer(peer);
    if (!found) {
      missing_.push_back({name, std::string(peer.package)});
      return;
    }
    const std::string version =
        found->version.starts_with(peer.name) ? found->version : fmt::format("{} {}", peer.name, found->version);
    arguments.insert(arguments.begin(), std::string(peer.name));
    enter(name, version, fidelity, [program = found->program, arguments](const fs::path& target) {
      std::vector<std::string> words = arguments;
      words.push_back(target);
      return std::vector{Command{.program = program, .words = words}};
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
    if (*free < one_copy) {
      return std::unexpected(fmt::format("not enough space in {}: {} needed, {} free",
                                         ferry::quoted(options_.to.native()), format_size(one_copy),
                                         format_size(*free)));
    }
    const std::uint64_t copies = std::uint64_t{options_.rounds + options_.warm_ups} * entrants_.size();
    delete_at_once_ = file_system_of(target_directory_) == "tmpfs" || *free / 2 < one_copy * copies;
    return {};
  }

  const TreeSuite& suite_;
  const SuiteOptions& options_;
  fs::path source_;
  fs::path target_directory_;
  Fidelity fidelity_;
  std::vector<Entrant> entrants_;
  std::vector<MissingContender> missing_;
  bool delete_at_once_ = true;
};

Outcome<fs::path> prepare_source(const TreeSuite& suite, const fs::path& scratch, const Session& session) {
  const fs::path made = scratch / "source";
  if (suite.generate) {
    session.tell(fmt::format("making {} files of {} bytes", suite.generate->files, suite.generate->file_bytes));
    const auto done = make_file_set(made, *suite.generate);
    return done ? Outcome<fs::path>(made) : std::unexpected(done.error());
  }
  std::error_code error;
  fs::path source = fs::canonical(suite.source, error);
  if (error || !fs::is_directory(source, error)) {
    return std::unexpected(ferry::quoted(suite.source.native()) + " is not a directory that can be read");
  }
  if (!suite.stage) {
    return source;
  }
  const auto cp = find_peer(cp_peer);
  if (!cp) {
    return std::unexpected("cp is needed to stage the source, and is not installed");
  }
  session.tell("staging " + ferry::quoted(source.native()));
  const auto staged = run_command({.program = cp->program, .words = {"cp", "-a", source, made}});
  return staged ? Outcome<fs::path>(made) : std::unexpected("cannot stage the source: " + staged.error());
}

bool is_inside(const fs::path& path, const fs::path& directory) {
  return (path.native() + '/').starts_with(directory.native() + '/');
}

}  // namespace

Outcome<Report> run_tree(const TreeSuite& suite, const SuiteOptions& options, const Session& session) {
  const auto from = ScratchDirectory::create(options.from);
  const auto to = from ? ScratchDirectory::create(options.to) : std::unexpected(from.error());
  const auto source = to ? prepare_source(suite, from->path(), session) : std::unexpected(to.error());
  if (!source) {
    return std::unexpected(source.error());
  }
  if (is_inside(to->path(), *source)) {
    return std::unexpected("the target " + ferry::quoted(options.to.native()) + " is inside the source");
  }
  TreeJob tree(suite, options, *source, to->path());
  tree.enter_all();
  session.tell("reading the source");
  const auto content = tree.arm();
  if (!content) {
    return std::unexpected(content.error());
  }
  Report report{.suite = "tree", .command = options.command_line, .machine = this_machine(), .facts = {}, .groups = {}};
  report.facts = {{"source", fmt::format("{}, {} directories, {} files, {} entries, {}", describe_place(*source),
                                         content->directories, content->regular_files, content->entries,
                                         format_size(content->bytes))},
                  {"target", describe_place(options.to) + ", a fresh name for every run"},
                  cache_fact(options),
                  {"times", fmt::format("whole processes; {} rounds after {} to warm up; not made durable",
                                        options.rounds, options.warm_ups)}};
  report.groups.push_back({.name = suite.title,
                           .result = run_job(tree.job(), session.tell, session.interrupted),
                           .units_per_run = static_cast<double>(content->entries),
                           .unit = "entries"});
  report.interrupted = report.groups.back().result.interrupted;
  return report;
}

}  // namespace ferry::bench
