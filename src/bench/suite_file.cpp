// The file suite: one file copied to a fresh name, by whole processes.
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/contenders.hpp"
#include "bench/fingerprint.hpp"
#include "bench/suites.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;

class FileJob {
 public:
  FileJob(std::string name, const FileSuite& suite, Caches caches, const SuiteOptions& options, fs::path source,
          fs::path target_directory)
      : suite_(suite), caches_(caches), options_(options), source_(std::move(source)) {
    job_.name = std::move(name);
    job_.target_directory = std::move(target_directory);
    job_.warm_ups = options.warm_ups;
    job_.rounds = options.rounds;
  }

  void enter_all() {
    if (suite_.methods.empty()) {
      enter_ferry({});
    }
    for (const std::string& method : suite_.methods) {
      enter_ferry(method);
    }
    enter_peer(cp_peer, "cp", {source_}, {});
    std::vector<std::string> rsync = {"-aW", "--inplace", source_};
    std::vector<std::string> plain_rsync = {"-a", source_};
    if (suite_.sparse) {
      rsync.insert(rsync.begin(), "-S");
      plain_rsync.insert(plain_rsync.begin(), "-S");
    }
    enter_peer(rsync_peer, "rsync -aW --inplace", rsync, {});
    enter_peer(rsync_peer, "rsync -a", plain_rsync, {});
    std::vector<std::string> dd = {"bs=1M", "status=none", "if=" + source_.native()};
    if (suite_.sparse) {
      dd.emplace_back("conv=sparse");
    }
    enter_peer(dd_peer, "dd bs=1M", dd, "of=");
    for (const CustomRival& rival : options_.rivals) {
      enter(rival.name, "", [this, rival](const fs::path& target) {
        return with_sync({custom_command(rival, source_, target)}, target);
      });
    }
  }

  Outcome<void> arm() {
    const auto expected = fingerprint_of(source_, Fidelity::content);
    if (!expected) {
      return std::unexpected(expected.error());
    }
    for (Contender& contender : job_.contenders) {
      contender.set_up = [this](const Turn&) { return prepare_caches(caches_, source_, job_.target_directory); };
      contender.check = [this, expected = *expected](const Turn& turn) { return check(expected, turn.target); };
      contender.clean_up = [](const Turn& turn) {
        std::error_code ignored;
        fs::remove(turn.target, ignored);
      };
    }
    return {};
  }

  [[nodiscard]] const Job& job() const { return job_; }

 private:
  void enter(const std::string& name, const std::string& version, const Steps& steps) {
    job_.contenders.push_back(command_contender(name, version, steps, job_.target_directory / "copy"));
  }

  void enter_ferry(const std::string& method) {
    std::vector<std::string> words = {"cp"};
    if (!method.empty()) {
      words.push_back("--method=" + method);
    }
    if (suite_.durable) {
      words.emplace_back("--fsync");
    }
    words.push_back(source_);
    std::string name = "ferry cp";
    for (std::size_t i = 1; i + 1 < words.size(); ++i) {
      name += ' ' + words[i];
    }
    enter(name, ferry_version(), [words](const fs::path& target) {
      std::vector<std::string> all = words;
      all.push_back(target);
      return std::vector{ferry_command(all)};
    });
  }

  void enter_peer(const Peer& peer, const std::string& name, std::vector<std::string> arguments,
                  const std::string& target_prefix) {
    if (!takes_part(options_, peer)) {
      return;
    }
    const auto found = find_peer(peer);
    if (!found) {
      job_.missing.push_back({name, std::string(peer.package)});
      return;
    }
    arguments.insert(arguments.begin(), std::string(peer.name));
    enter(suite_.durable ? name + " && sync" : name, version_of(peer, *found),
          [this, program = found->program, arguments, target_prefix](const fs::path& target) {
            std::vector<std::string> words = arguments;
            words.push_back(target_prefix + target.native());
            return with_sync({Command{.program = program, .words = words}}, target);
          });
  }

  // ferry cp --fsync makes the data and the name durable; sync(1) of both does the same for the others.
  [[nodiscard]] std::vector<Command> with_sync(std::vector<Command> steps, const fs::path& target) const {
    if (suite_.durable) {
      steps.push_back({.program = "/bin/sync", .words = {"sync", target, target.parent_path()}});
    }
    return steps;
  }

  [[nodiscard]] Outcome<void> check(const Fingerprint& expected, const fs::path& target) const {
    if (auto right = check_copy(source_, expected, target, Fidelity::content); !right) {
      return right;
    }
    const auto found = fingerprint_of(target, Fidelity::content);
    constexpr std::uint64_t slack = std::uint64_t{1} << 20U;  // extent trees, and blocks larger than the source's
    if (suite_.sparse && found && found->allocated_bytes > expected.allocated_bytes * 21 / 20 + slack) {
      return std::unexpected(fmt::format("holes lost: {} allocated, {} in the source",
                                         format_size(found->allocated_bytes), format_size(expected.allocated_bytes)));
    }
    return {};
  }

  const FileSuite& suite_;
  Caches caches_;
  const SuiteOptions& options_;
  fs::path source_;
  Job job_;
};

Outcome<Group> measure(const std::string& name, const FileSuite& suite, std::uint64_t size_bytes, Caches caches,
                       const SuiteOptions& options, const Session& session) {
  const auto from = ScratchDirectory::create(options.from);
  const auto to = from ? ScratchDirectory::create(options.to) : std::unexpected(from.error());
  if (!to) {
    return std::unexpected(to.error());
  }
  const fs::path source = from->path() / "source";
  session.tell(fmt::format("{}: making the source", name));
  if (const auto made = make_file(source, size_bytes, suite.sparse, &session.interrupted); !made) {
    return std::unexpected(made.error());
  }
  FileJob file(name, suite, caches, options, source, to->path());
  file.enter_all();
  if (const auto armed = file.arm(); !armed) {
    return std::unexpected(armed.error());
  }
  return Group{.name = name,
               .result = run_job(file.job(), session.tell, session.interrupted),
               .facts = {cache_fact(caches)},
               .units_per_run = static_cast<double>(size_bytes) / (1U << 20U),
               .unit = "MiB",
               .size_bytes = size_bytes};
}

}  // namespace

Plan plan_file(const FileSuite& suite, const SuiteOptions& options) {
  Plan plan{.report = begin_report("file", options), .groups = {}};
  const std::vector<Fact> facts = {{"source", describe_place(options.from) + ", pseudo-random bytes"},
                                   {"target", describe_place(options.to) + ", a fresh name for every run"},
                                   {"times", fmt::format("whole processes; {}; {}", describe_rounds(options),
                                                         suite.durable ? "made durable" : "not made durable")}};
  plan.report.facts.insert(plan.report.facts.begin(), facts.begin(), facts.end());
  for (const std::uint64_t size : suite.sizes_bytes) {
    for (const Caches caches : options.caches) {
      const std::string name =
          fmt::format("file: {}{}{}{}", size_label(size), suite.sparse ? ", sparse" : "",
                      suite.durable ? ", made durable" : "", caches == Caches::cold ? ", cold" : "");
      plan.groups.push_back(
          {.name = name,
           .can_run = [=] { return require_space_for(size, options.from, size, options.to); },
           .measure = [=](const Session& session) { return measure(name, suite, size, caches, options, session); }});
    }
  }
  return plan;
}

}  // namespace ferry::bench
