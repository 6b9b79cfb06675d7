// A report as a suite would make it, for tests of what is made of reports.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "bench/report.hpp"

namespace ferry::bench {

inline ContenderResult timed(const std::string& name, const std::vector<int>& wall_milliseconds) {
  ContenderResult result{
      .name = name, .version = name + " 1.0", .command = name + " a b", .runs = {}, .failure = {}, .counts = {}};
  for (const int wall : wall_milliseconds) {
    Cost cost;
    cost.wall = std::chrono::milliseconds(wall);
    cost.user = std::chrono::milliseconds(wall / 2);
    cost.max_rss_bytes = std::uint64_t{2} << 20U;
    result.runs.push_back(cost);
  }
  return result;
}

inline ContenderResult counted(const std::string& name, std::vector<Count> counts) {
  ContenderResult result = timed(name, {});
  result.counts = std::move(counts);
  return result;
}

/// ferry takes 11 ms, cp 22 ms, one is wrong and one missing; three rounds.
inline Report sample_report() {
  Report report;
  report.suite = "tree";
  report.command = "ferry bench tree --rounds 3";
  report.machine = {.kernel = "Linux 6.1", .processor = "", .cores = 2, .memory_bytes = 1U << 30U, .load = 0.5};
  report.facts = {{"source", "/dev/shm (tmpfs)"}};
  report.taken = "2026-11-25T02:28:23Z";
  report.groups.push_back({.name = "job"});
  JobResult& result = report.groups.front().result;
  result.contenders = {timed("ferry cp", {10, 12, 11}), timed("cp", {30, 22, 21})};
  ContenderResult wrong = timed("wrong", {});
  wrong.failure = "wrong copy: 'x' differs";
  result.contenders.push_back(wrong);
  result.missing = {{"bun cpSync", "bun (npm)"}};
  return report;
}

/// Counts of system calls, which do not depend on the machine.
inline Report sample_counts(double opens) {
  Report report = sample_report();
  report.suite = "counts";
  report.groups = {{.name = "small file", .counted = "system calls per file", .deterministic = true}};
  report.groups[0].result.contenders = {counted("ferry cp", {{"openat", opens}, {"read", 1}})};
  return report;
}

}  // namespace ferry::bench
