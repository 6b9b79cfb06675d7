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
  FileJob(const FileSuite& suite, const SuiteOptions& options, fs::path source, fs::path target_directory)
      : suite_(suite), options_(options), source_(std::move(source)) {
    job_.target_directory = std::move(target_directory);
    job_.warm_ups = options.warm_ups;
    job_.rounds = options.rounds;
    job_.name = fmt::format("file: {}{}{}", format_size(suite.size_bytes), suite.sparse ? ", sparse" : "",
                            suite.durable ? ", made durable" : "");
  }

  void enter_all() {
    enter_ferry();
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
      contender.set_up = [this](const Turn&) { return prepare_caches(options_, source_); };
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

  void enter_ferry() {
    std::vector<std::string> words = {"cp"};
    if (!suite_.method.empty()) {
      words.insert(words.end(), {"--method", suite_.method});
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
    if (!takes_part(options_, peer, true)) {
      return;
    }
    const auto found = find_peer(peer);
    if (!found) {
      job_.missing.push_back({name, std::string(peer.package)});
      return;
    }
    arguments.insert(arguments.begin(), std::string(peer.name));
    enter(suite_.durable ? name + " && sync" : name, found->version,
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
  const SuiteOptions& options_;
  fs::path source_;
  Job job_;
};

Outcome<void> require_space(const fs::path& place, std::uint64_t bytes) {
  const auto free = free_bytes(place);
  if (!free) {
    return std::unexpected(free.error());
  }
  return *free >= bytes
             ? Outcome<void>{}
             : std::unexpected(fmt::format("not enough space in {}: {} needed, {} free", ferry::quoted(place.native()),
                                           format_size(bytes), format_size(*free)));
}

}  // namespace

Outcome<Report> run_file(const FileSuite& suite, const SuiteOptions& options, const Session& session) {
  const auto from = ScratchDirectory::create(options.from);
  const auto to = from ? ScratchDirectory::create(options.to) : std::unexpected(from.error());
  if (!to) {
    return std::unexpected(to.error());
  }
  const bool one_place = file_system_of(options.from) == file_system_of(options.to);
  for (const fs::path& place : {options.from, options.to}) {
    if (auto enough = require_space(place, one_place ? 2 * suite.size_bytes : suite.size_bytes); !enough) {
      return std::unexpected(enough.error());
    }
  }
  const fs::path source = from->path() / "source";
  session.tell(fmt::format("making a file of {}", format_size(suite.size_bytes)));
  if (const auto made = make_file(source, suite.size_bytes, suite.sparse); !made) {
    return std::unexpected(made.error());
  }
  FileJob file(suite, options, source, to->path());
  file.enter_all();
  if (const auto armed = file.arm(); !armed) {
    return std::unexpected(armed.error());
  }
  Report report{.suite = "file", .command = options.command_line, .machine = this_machine(), .facts = {}, .groups = {}};
  report.facts = {{"source", describe_place(options.from) + ", pseudo-random bytes"},
                  {"target", describe_place(options.to) + ", a fresh name for every run"},
                  cache_fact(options),
                  {"times", fmt::format("whole processes; {} rounds after {} to warm up; {}", options.rounds,
                                        options.warm_ups, suite.durable ? "made durable" : "not made durable")}};
  report.groups.push_back({.name = file.job().name,
                           .result = run_job(file.job(), session.tell, session.interrupted),
                           .units_per_run = static_cast<double>(suite.size_bytes) / (1U << 20U),
                           .unit = "MiB"});
  report.interrupted = report.groups.back().result.interrupted;
  return report;
}

}  // namespace ferry::bench
