// The mmap suite: memory-mapped files, each row beside its floor and beside what mmap-io publishes. A module of its
// own: see suite_mmap.cpp.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "bench/contenders.hpp"
#include "bench/machine.hpp"
#include "bench/mmap/rows.hpp"
#include "bench/suites.hpp"

namespace ferry::bench {
namespace {

// Contenders repeat their work as often as it takes them to be timed well; costs are given for as many as this, so that
// runs can be compared.
constexpr std::uint64_t repetitions_told = 1000;

Outcome<Job> job_of(const std::string& name, const std::vector<MmapWay>& ways, std::chrono::milliseconds at_least,
                    const std::filesystem::path& directory, const SuiteOptions& options, const Session& session) {
  Job job{.name = name,
          .contenders = {},
          .target_directory = directory,
          .warm_ups = options.warm_ups,
          .rounds = options.rounds,
          .repetitions = repetitions_told};
  for (const MmapWay& way : ways) {
    session.tell(fmt::format("{}: how often: {}", name, way.name));
    const auto repetitions = repetitions_for(way.loop, at_least);
    if (!repetitions) {
      return std::unexpected(fmt::format("{}: {}: {}", name, way.name, repetitions.error()));
    }
    const auto run = [loop = way.loop, taken = *repetitions](const Turn& turn) -> Outcome<Cost> {
      auto cost = time_loop(loop, taken);
      return cost ? cost->repeated(static_cast<double>(turn.repetitions) / static_cast<double>(taken)) : cost;
    };
    job.contenders.push_back({.name = way.name,
                              .version = way.own ? ferry_version() : "",
                              .command = way.call,
                              .run = run,
                              .check = [](const Turn&) -> Outcome<void> { return {}; }});  // the loop did
  }
  return job;
}

Outcome<Group> measure(const MmapRow& row, const MmapSuite& suite, const SuiteOptions& options,
                       const Session& session) {
  const auto scratch = ScratchDirectory::create(options.to);
  if (!scratch) {
    return std::unexpected(scratch.error());
  }
  session.tell(fmt::format("{}: making files", row.name));
  const auto ways = row.prepare(scratch->path());
  if (!ways) {
    return std::unexpected(ways.error());
  }
  const auto job = job_of(row.name, *ways, suite.at_least, scratch->path(), options, session);
  if (!job) {
    return std::unexpected(job.error());
  }
  return Group{.name = row.name,
               .result = run_job(*job, session.tell, session.interrupted),
               .units_per_run = static_cast<double>(repetitions_told),
               .unit = "repetitions",
               .time_per_unit = true,
               .published = row.published};
}

}  // namespace

extern "C" void ferry_plan_mmap(const MmapSuite& suite, const SuiteOptions& options, Plan& plan) {
  plan = {.report = begin_report("mmap", options), .groups = {}};
  const std::vector<Fact> facts = {
      {"files", describe_place(options.to) + ", in the page cache"},
      {"times", fmt::format("of one repetition, by {}, in one process; at least {} ms in each round; {}",
                            timed_loop_version(), suite.at_least.count(), describe_rounds(options))},
      {"reading", "where a row says view, chunks, pages or touch, one byte of each chunk or page is read"},
      {"memory", "of the whole process, with the maps of all contenders"},
      {"published",
       "by the authors' own benchmark on another machine of 2 cores, ext4: of use as an order of magnitude"}};
  plan.report.facts.insert(plan.report.facts.begin(), facts.begin(), facts.end());
  for (const MmapRow& row : mmap_rows()) {
    plan.groups.push_back({.name = row.name,
                           .can_run = [=] { return require_space(options.to, row.file_bytes); },
                           .measure = [=](const Session& session) { return measure(row, suite, options, session); }});
  }
}

}  // namespace ferry::bench
