#include "bench/runner.hpp"

#include <cassert>

#include <fmt/format.h>

namespace ferry::bench {
namespace {

Outcome<Cost> take_steps(const Contender& contender, const Turn& turn) {
  if (contender.set_up) {
    if (auto ready = contender.set_up(turn); !ready) {
      return std::unexpected(ready.error());
    }
  }
  auto cost = contender.run(turn);
  if (!cost) {
    return cost;
  }
  if (auto right = contender.check(turn); !right) {
    return std::unexpected(right.error());
  }
  return cost;
}

std::string progress_line(const Job& job, const Turn& turn, const Contender& contender) {
  return turn.warm_up
             ? fmt::format("{}: warm-up: {}", job.name, contender.name)
             : fmt::format("{}: round {}/{}: {}", job.name, turn.round - job.warm_ups + 1, job.rounds, contender.name);
}

}  // namespace

Outcome<Cost> take_turn(const Contender& contender, const Turn& turn) {
  auto cost = take_steps(contender, turn);
  if (contender.clean_up) {
    contender.clean_up(turn);
  }
  return cost;
}

JobResult run_job(const Job& job, const std::function<void(std::string_view)>& tell,
                  const std::atomic<bool>& interrupted) {
  JobResult result{.contenders = {}, .missing = job.missing, .interrupted = false};
  for (const Contender& contender : job.contenders) {
    assert(contender.run && contender.check);
    result.contenders.push_back({.name = contender.name,
                                 .version = contender.version,
                                 .command = contender.command,
                                 .runs = {},
                                 .failure = {},
                                 .counts = {}});
  }
  for (unsigned round = 0; round < job.warm_ups + job.rounds; ++round) {
    for (std::size_t i = 0; i < job.contenders.size(); ++i) {
      ContenderResult& so_far = result.contenders[i];
      if (!so_far.failure.empty()) {
        continue;
      }
      const Turn turn{.round = round,
                      .warm_up = round < job.warm_ups,
                      .target = job.target_directory / fmt::format("round{}-{}", round, i),
                      .repetitions = job.repetitions,
                      .control = {.stop = &interrupted}};
      tell(progress_line(job, turn, job.contenders[i]));
      auto cost = take_turn(job.contenders[i], turn);
      if (interrupted) {
        result.interrupted = true;
        return result;
      }
      if (!cost) {
        so_far.failure = cost.error().empty() ? "failed" : cost.error();
        so_far.runs.clear();
      } else if (!turn.warm_up) {
        so_far.runs.push_back(*cost);
      }
    }
  }
  return result;
}

}  // namespace ferry::bench
