// The zero-copy suite: one file between two open descriptors, by ways that touch its bytes in user space and by ways
// that do not.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <ferry/copy.hpp>
#include <ferry/task.hpp>

#include "bench/contenders.hpp"
#include "bench/fingerprint.hpp"
#include "bench/machine.hpp"
#include "bench/suites.hpp"

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t chunk_bytes = std::size_t{1} << 20U;
constexpr std::size_t page_bytes = 4096;
constexpr std::size_t in_flight = 8;

// What a way moves between. `direct`: both open with O_DIRECT.
struct Ends {
  int in = -1;
  int out = -1;
  std::uint64_t size = 0;
  bool direct = false;
};

// Bytes that a way wrote in user space: fills and copies. The kernel's own are not counted.
using Ledger = std::uint64_t;

using Move = Outcome<void> (*)(const Ends& ends, Ledger& ledger);

std::size_t length_at(const Ends& ends, std::uint64_t offset) {
  const auto left = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_bytes, ends.size - offset));
  return ends.direct ? (left + page_bytes - 1) / page_bytes * page_bytes : left;  // the end is read past, and trimmed
}

// ---------------------------------------------------------------------------------------------- fresh vectors

struct PageAligned {
  void operator()(std::byte* memory) const noexcept { ::operator delete[](memory, std::align_val_t(page_bytes)); }
};

// What std::vector does for each chunk: allocate, fill with zeros, free; aligned, so that O_DIRECT can use it.
std::unique_ptr<std::byte[], PageAligned> fresh_chunk(std::size_t bytes, Ledger& ledger) {
  auto* const memory = static_cast<std::byte*>(::operator new[](bytes, std::align_val_t(page_bytes)));
  std::memset(memory, 0, bytes);
  ledger += bytes;
  return std::unique_ptr<std::byte[], PageAligned>(memory);
}

Outcome<void> by_fresh_vectors(const Ends& ends, Ledger& ledger) {
  for (std::uint64_t offset = 0; offset < ends.size;) {
    const std::size_t length = length_at(ends, offset);
    const auto chunk = fresh_chunk(length, ledger);
    const ssize_t got = ::pread(ends.in, chunk.get(), length, static_cast<off_t>(offset));
    if (got <= 0) {
      return failed("pread", got == 0 ? EIO : errno);
    }
    const std::size_t to_write = ends.direct ? length : static_cast<std::size_t>(got);
    if (::pwrite(ends.out, chunk.get(), to_write, static_cast<off_t>(offset)) != static_cast<ssize_t>(to_write)) {
      return failed("pwrite", errno);
    }
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

// ---------------------------------------------------------------------------------------------- pooled buffers

// Chunks are given out to the coroutines as they come for them.
struct Chunks {
  Loop& loop;
  const Ends& ends;
  Ledger& ledger;
  bool copies = false;
  std::uint64_t next = 0;
};

Task<Result<void>> move_chunks(Chunks& chunks) {
  auto own = Buffer::allocate(chunks.copies ? chunk_bytes : page_bytes);
  if (!own) {
    co_return std::unexpected(own.error());
  }
  while (chunks.next < chunks.ends.size) {
    const std::uint64_t offset = chunks.next;
    const std::size_t length = length_at(chunks.ends, offset);
    chunks.next += length;
    auto lease = co_await chunks.loop.read_managed(chunks.ends.in, length, offset);
    if (!lease) {
      co_return std::unexpected(lease.error());
    }
    if (chunks.ends.direct) {
      lease->resize(length);
    }
    auto written = Result<std::uint64_t>(0);
    if (chunks.copies) {
      std::memcpy(own->data(), lease->data(), lease->size());
      chunks.ledger += lease->size();
      written = co_await chunks.loop.write(chunks.ends.out, std::span(own->data(), lease->size()), offset);
    } else {
      written = co_await chunks.loop.write_managed(chunks.ends.out, std::move(*lease), offset);
    }
    if (!written) {
      co_return std::unexpected(written.error());
    }
  }
  co_return Result<void>{};
}

Outcome<void> by_pool(const Ends& ends, Ledger& ledger, bool copies) {
  auto loop = Loop::create({.pool_buffers = in_flight, .pool_buffer_bytes = chunk_bytes});
  if (!loop) {
    return std::unexpected(loop.error().to_string());
  }
  Chunks chunks{*loop, ends, ledger, copies};
  std::vector<Task<Result<void>>> tasks;
  tasks.reserve(in_flight);
  for (std::size_t i = 0; i < in_flight; ++i) {
    tasks.push_back(move_chunks(chunks));
  }
  const auto all = run(*loop, when_all(std::move(tasks)));
  if (!all) {
    return std::unexpected(all.error().to_string());
  }
  for (const Result<void>& each : *all) {
    if (!each) {
      return std::unexpected(each.error().to_string());
    }
  }
  return {};
}

Outcome<void> by_managed_reads_and_copies(const Ends& ends, Ledger& ledger) { return by_pool(ends, ledger, true); }
Outcome<void> by_managed_reads_and_writes(const Ends& ends, Ledger& ledger) { return by_pool(ends, ledger, false); }

// ---------------------------------------------------------------------------------------------- the engine's methods

template <CopyMethod Method>
Outcome<void> by_engine(const Ends& ends, Ledger& /*ledger*/) {
  CopyOptions options;
  options.methods = Method;
  options.reflink = Method == CopyMethod::reflink ? ReflinkMode::always : ReflinkMode::automatic;
  options.direct = ends.direct;
  const auto report = copy_range(ends.in, 0, ends.out, 0, ends.size, options);
  return report ? Outcome<void>{} : std::unexpected(report.error().to_string());
}

// The whole copy has to be polled for, but the last block.
Outcome<void> by_polling(const Ends& ends, Ledger& /*ledger*/) {
  CopyOptions options;
  options.methods = CopyMethod::uring;
  options.direct = options.poll_devices = true;
  const auto report = copy_range(ends.in, 0, ends.out, 0, ends.size, options);
  if (!report) {
    return std::unexpected(report.error().to_string());
  }
  return report->polling_refused_errno == 0 ? Outcome<void>{} : failed("IOPOLL", report->polling_refused_errno);
}

struct Way {
  const char* name;
  const char* call;  // for people
  Move move;
  bool opens_direct;  // the way itself needs descriptors with O_DIRECT, and both forms make sense
  bool asks_direct;   // the engine is asked for O_DIRECT
};

std::vector<Way> all_ways() {
  return {
      {"managed read, managed write", "loop.read_managed, loop.write_managed", by_managed_reads_and_writes, false,
       false},
      {"fresh vector per chunk", "pread and pwrite of a new vector each", by_fresh_vectors, false, false},
      {"managed read, copying write", "loop.read_managed, memcpy, loop.write", by_managed_reads_and_copies, false,
       false},
      {"engine, uring", "copy_range, uring", by_engine<CopyMethod::uring>, false, false},
      {"engine, splice", "copy_range, splice", by_engine<CopyMethod::splice>, false, false},
      {"engine, copy_file_range", "copy_range, copy_file_range", by_engine<CopyMethod::copy_file_range>, false, false},
      {"engine, reflink", "copy_range, reflink", by_engine<CopyMethod::reflink>, false, false},
      {"managed read, managed write, O_DIRECT", "the same, both O_DIRECT", by_managed_reads_and_writes, true, false},
      {"fresh vector per chunk, O_DIRECT", "the same, both O_DIRECT", by_fresh_vectors, true, false},
      {"managed read, copying write, O_DIRECT", "the same, both O_DIRECT", by_managed_reads_and_copies, true, false},
      {"engine, uring, O_DIRECT", "copy_range, uring, direct", by_engine<CopyMethod::uring>, false, true},
      {"engine, uring, O_DIRECT, IOPOLL", "copy_range, uring, direct, poll_devices", by_polling, false, true},
  };
}

Outcome<void> move_file(const Way& way, const fs::path& source, const fs::path& target, std::uint64_t size,
                        bool durable, Ledger& ledger) {
  const int direct = way.opens_direct ? O_DIRECT : 0;
  const UniqueFd in(::open(source.c_str(), O_RDONLY | O_CLOEXEC | direct));
  if (!in) {
    return failed("open for reading", errno);
  }
  const UniqueFd out(::open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | direct, 0644));
  if (!out) {
    return failed("open for writing", errno);
  }
  const Ends ends{in.get(), out.get(), size, way.opens_direct || way.asks_direct};
  if (way.opens_direct && ::fallocate(out.get(), 0, 0, static_cast<off_t>(size)) != 0 && errno != EOPNOTSUPP) {
    return failed("fallocate", errno);  // for all of these alike: direct writes beyond the end wait for one another
  }
  if (auto moved = way.move(ends, ledger); !moved) {
    return moved;
  }
  if (way.opens_direct && ::ftruncate(out.get(), static_cast<off_t>(size)) != 0) {
    return failed("ftruncate", errno);
  }
  return durable && ::fsync(out.get()) != 0 ? failed("fsync", errno) : Outcome<void>{};
}

Contender contender_of(const Way& way, const fs::path& source, std::uint64_t size, bool durable) {
  const auto run = [way, source, size, durable](const Turn& turn) {
    return run_in_child(
        [&]() -> Outcome<void> {
          Ledger ledger = 0;
          return move_file(way, source, turn.target, size, durable, ledger);
        },
        turn.control);
  };
  return {.name = way.name, .version = ferry_version(), .command = way.call, .run = run, .check = {}};
}

// Whether the way can be taken here at all, and how many bytes it writes in user space for each one of the file.
Outcome<double> try_out(const Way& way, const fs::path& source, const fs::path& scratch) {
  Ledger ledger = 0;
  const std::uint64_t size = fs::file_size(source);
  const std::uint64_t tried = std::min<std::uint64_t>(size, 16 * chunk_bytes);
  const fs::path target = scratch / "tried";
  const auto moved = move_file(way, source, target, tried, false, ledger);
  std::error_code ignored;
  fs::remove(target, ignored);
  return moved ? Outcome<double>(static_cast<double>(ledger) / static_cast<double>(tried))
               : std::unexpected(moved.error());
}

void enter_peer(Job& job, const Peer& peer, const SuiteOptions& options, const std::vector<std::string>& words,
                const std::string& target_prefix, bool durable) {
  if (!takes_part(options, peer)) {
    return;
  }
  const auto found = find_peer(peer);
  if (!found) {
    job.missing.push_back({std::string(peer.name), std::string(peer.package)});
    return;
  }
  std::string name = words.front();
  for (std::size_t i = 1; i + 1 < words.size(); ++i) {
    name += ' ' + words[i];
  }
  const auto steps = [=, program = found->program](const fs::path& target) {
    std::vector<std::string> all = words;
    all.push_back(target_prefix + target.native());
    std::vector<Command> commands = {{.program = program, .words = all}};
    if (durable) {
      commands.push_back({.program = "/bin/sync", .words = {"sync", target}});
    }
    return commands;
  };
  job.contenders.push_back(command_contender(durable ? name + " && sync" : name, version_of(peer, *found), steps,
                                             job.target_directory / "copy"));
}

Outcome<Group> measure(const std::string& name, std::uint64_t size, Caches caches, const ZeroCopySuite& suite,
                       const SuiteOptions& options, const Session& session) {
  const auto from = ScratchDirectory::create(options.from);
  const auto to = from ? ScratchDirectory::create(options.to) : std::unexpected(from.error());
  if (!to) {
    return std::unexpected(to.error());
  }
  const fs::path source = from->path() / "source";
  session.tell(fmt::format("{}: making the source", name));
  if (const auto made = make_file(source, size, false, &session.interrupted); !made) {
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
  Group group{.name = name,
              .facts = {cache_fact(caches)},
              .units_per_run = static_cast<double>(size) / (1U << 20U),
              .unit = "MiB",
              .counted = "bytes written in user space per byte moved",
              .size_bytes = size};
  std::vector<double> touched;
  for (const Way& way : all_ways()) {
    if (const auto tried = try_out(way, source, to->path())) {
      job.contenders.push_back(contender_of(way, source, size, suite.durable));
      touched.push_back(*tried);
    } else {
      group.facts.push_back({fmt::format("not possible here: {}", way.name), tried.error()});
    }
  }
  enter_peer(job, cp_peer, options, {"cp", source}, "", suite.durable);
  enter_peer(job, rsync_peer, options, {"rsync", "-a", "--no-perms", "--no-owner", "--no-group", source}, "",
             suite.durable);
  enter_peer(job, dd_peer, options, {"dd", "bs=1M", "status=none", "if=" + source.native()}, "of=", suite.durable);
  for (Contender& contender : job.contenders) {
    contender.set_up = [&](const Turn&) { return prepare_caches(caches, source, to->path()); };
    contender.check = [&](const Turn& turn) { return check_copy(source, *expected, turn.target, Fidelity::content); };
    contender.clean_up = [](const Turn& turn) {
      std::error_code ignored;
      fs::remove(turn.target, ignored);
    };
  }
  group.result = run_job(job, session.tell, session.interrupted);
  for (std::size_t i = 0; i < touched.size() && i < group.result.contenders.size(); ++i) {
    group.result.contenders[i].counts.push_back({"fills and copies", touched[i]});
  }
  return group;
}

}  // namespace

std::vector<std::uint64_t> zero_copy_sizes(std::uint64_t largest) {
  constexpr std::uint64_t megabyte = std::uint64_t{1} << 20U;
  std::vector<std::uint64_t> sizes;
  for (const std::uint64_t size : {megabyte, 10 * megabyte, 100 * megabyte, 1024 * megabyte, 10240 * megabyte}) {
    if (size <= largest || sizes.empty()) {
      sizes.push_back(size);
    }
  }
  return sizes;
}

Plan plan_zero_copy(const ZeroCopySuite& suite, const SuiteOptions& options) {
  Plan plan{.report = begin_report("zero-copy", options), .groups = {}};
  const std::vector<Fact> facts = {
      {"source", describe_place(options.from) + ", pseudo-random bytes"},
      {"target", describe_place(options.to) + ", a fresh name for every run"},
      {"times", fmt::format("opening, copying and closing in one process (rivals: whole processes); {}; {}",
                            describe_rounds(options), suite.durable ? "made durable" : "not made durable")},
      {"chunks", fmt::format("{}; of managed ways {} in flight", format_size(chunk_bytes), in_flight)},
      counters_fact()};
  plan.report.facts.insert(plan.report.facts.begin(), facts.begin(), facts.end());
  for (const std::uint64_t size : suite.sizes_bytes) {
    for (const Caches caches : options.caches) {
      const std::string name =
          fmt::format("zero-copy: {}{}{}", format_size(size), suite.durable ? ", made durable" : "",
                      caches == Caches::cold ? ", cold" : "");
      plan.groups.push_back(
          {.name = name,
           .can_run = [=] { return require_space_for(size, options.from, size, options.to); },
           .measure = [=](const Session& session) { return measure(name, size, caches, suite, options, session); }});
    }
  }
  return plan;
}

}  // namespace ferry::bench
