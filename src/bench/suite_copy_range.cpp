// The copy-range suite: what the kernel offers for moving bytes between two open files, against the chunked fallback.
#include <fcntl.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <ferry/base.hpp>
#include <ferry/copy.hpp>

#include "bench/contenders.hpp"
#include "bench/fingerprint.hpp"
#include "bench/suites.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;

/// One way of copying, and what it is called.
struct Way {
  std::string name;
  std::string options;  // as one would write them
  CopyOptions copy;
};

Outcome<CopyReport> copy_between(const fs::path& source, const fs::path& target, std::uint64_t size_bytes,
                                 const CopyOptions& options) {
  const UniqueFd in(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in) {
    return failed("cannot open " + ferry::quoted(source.native()), errno);
  }
  const UniqueFd out(::open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!out) {
    return failed("cannot create " + ferry::quoted(target.native()), errno);
  }
  const auto report = ferry::copy_range(in.get(), 0, out.get(), 0, size_bytes, options);
  return report ? Outcome<CopyReport>(*report) : std::unexpected(report.error().to_string());
}

Contender contender_of(const Way& way, const fs::path& source, std::uint64_t size_bytes) {
  const auto run = [way, source, size_bytes](const Turn& turn) {
    return run_in_child(
        [&]() -> Outcome<void> {
          const auto report = copy_between(source, turn.target, size_bytes, way.copy);
          return report ? Outcome<void>{} : std::unexpected(report.error());
        },
        turn.control);
  };
  return {.name = way.name,
          .version = ferry_version(),
          .command = fmt::format("ferry::copy_range(in, 0, out, 0, {}{})", size_bytes,
                                 way.options.empty() ? "" : ", {" + way.options + "}"),
          .run = run,
          .check = {}};
}

Way fallback(std::size_t chunk_bytes) {
  Way way{.name = "fallback: read_write", .options = ".methods = CopyMethod::read_write", .copy = {}};
  way.copy.methods = CopyMethod::read_write;
  way.copy.chunk_size_bytes = chunk_bytes;
  if (chunk_bytes != 0) {
    way.name += ", chunks of " + format_size(chunk_bytes);
    way.options += fmt::format(", .chunk_size_bytes = {}", chunk_bytes);
  }
  return way;
}

std::vector<Way> kernel_and_fallback() { return {{.name = "kernel", .options = {}, .copy = {}}, fallback(0)}; }

std::vector<Way> all_chunk_sizes() {
  std::vector<Way> ways = kernel_and_fallback();
  for (std::size_t chunk = min_copy_chunk_size_bytes; chunk <= max_copy_chunk_size_bytes; chunk *= 4) {
    ways.push_back(fallback(chunk));
  }
  if (ways.back().copy.chunk_size_bytes != max_copy_chunk_size_bytes) {
    ways.push_back(fallback(max_copy_chunk_size_bytes));
  }
  return ways;
}

// The method that the kernel path takes between these places, found by taking it.
std::string method_taken(const fs::path& source, const fs::path& target, std::uint64_t size_bytes) {
  const auto report = copy_between(source, target, size_bytes, {});
  std::error_code ignored;
  fs::remove(target, ignored);
  if (!report || !report->method()) {
    return report ? "none: no byte was moved" : report.error();
  }
  const bool none = *report->method() == CopyMethod::read_write;
  return std::string(to_string(*report->method())) + (none ? ": there is no kernel path between these places" : "");
}

Outcome<Group> measure(const std::string& name, std::uint64_t size_bytes, const std::vector<Way>& ways,
                       const SuiteOptions& options, const Session& session) {
  const auto from = ScratchDirectory::create(options.from);
  const auto to = from ? ScratchDirectory::create(options.to) : std::unexpected(from.error());
  if (!to) {
    return std::unexpected(to.error());
  }
  const fs::path source = from->path() / "source";
  session.tell(fmt::format("{}: making the source", name));
  if (const auto made = make_file(source, size_bytes, false, &session.interrupted); !made) {
    return std::unexpected(made.error());
  }
  const auto expected = fingerprint_of(source, Fidelity::content);
  if (!expected) {
    return std::unexpected(expected.error());
  }
  Job job{.name = name,
          .contenders = {},
          .target_directory = to->path(),
          .warm_ups = options.warm_ups,
          .rounds = options.rounds};
  for (const Way& way : ways) {
    Contender contender = contender_of(way, source, size_bytes);
    contender.set_up = [&](const Turn&) { return prepare_caches(Caches::warm, source, to->path()); };
    contender.check = [&](const Turn& turn) { return check_copy(source, *expected, turn.target, Fidelity::content); };
    contender.clean_up = [](const Turn& turn) {
      std::error_code ignored;
      fs::remove(turn.target, ignored);
    };
    job.contenders.push_back(std::move(contender));
  }
  Group group{.name = name,
              .facts = {{"kernel", method_taken(source, to->path() / "probe", size_bytes)}},
              .units_per_run = static_cast<double>(size_bytes) / (1U << 20U),
              .unit = "MiB",
              .size_bytes = size_bytes};
  group.result = run_job(job, session.tell, session.interrupted);
  return group;
}

}  // namespace

Plan plan_copy_range(const CopyRangeSuite& suite, const SuiteOptions& options) {
  Plan plan{.report = begin_report("copy-range", options), .groups = {}};
  const std::vector<Fact> facts = {
      {"source", describe_place(options.from) + ", pseudo-random bytes, in the page cache"},
      {"target", describe_place(options.to) + ", a fresh name for every run"},
      {"times",
       fmt::format("opening, copying and closing, in one process; {}; not made durable", describe_rounds(options))}};
  plan.report.facts.insert(plan.report.facts.begin(), facts.begin(), facts.end());
  const auto add = [&](const std::string& name, std::uint64_t size, const std::vector<Way>& ways) {
    plan.groups.push_back(
        {.name = name,
         .can_run = [=] { return require_space_for(size, options.from, size, options.to); },
         .measure = [=](const Session& session) { return measure(name, size, ways, options, session); }});
  };
  for (const std::uint64_t size : suite.sizes_bytes) {
    add(fmt::format("copy-range: {}, kernel against fallback", size_label(size)), size, kernel_and_fallback());
  }
  add(fmt::format("copy-range: {}, fallback by chunk size", size_label(suite.chunks_size_bytes)),
      suite.chunks_size_bytes, all_chunk_sizes());
  return plan;
}

}  // namespace ferry::bench
