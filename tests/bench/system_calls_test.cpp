#include "bench/system_calls.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/peers.hpp"
#include "bench/process.hpp"

namespace ferry::bench {
namespace {

using ::testing::HasSubstr;

// As strace 6.1 prints it.
constexpr const char* strace_says =
    "% time     seconds  usecs/call     calls    errors syscall\n"
    "------ ----------- ----------- --------- --------- ----------------\n"
    " 67.55    0.002140         535         4         2 wait4\n"
    "  6.06    0.000192           6        30           mmap\n"
    "  5.18    0.000164           4        35        13 openat\n"
    "------ ----------- ----------- --------- --------- ----------------\n"
    "100.00    0.003168          22        69        15 total\n";

// As perf 6.1 prints it.
constexpr const char* perf_says =
    "# started on Wed Nov 25 02:29:48 2026\n"
    "\n"
    "39,,syscalls:sys_enter_mmap,2122913,100.00,,\n"
    "0,,syscalls:sys_enter_iopl,683208,100.00,,\n"
    "<not counted>,,syscalls:sys_enter_read,0,100.00,,\n"
    "7,,syscalls:sys_enter_openat,2122913,100.00,,\n";

TEST(SystemCalls, a_summary_of_strace_is_read) {
  EXPECT_EQ(parse_strace_summary(strace_says).value_or(SystemCalls{}),
            (SystemCalls{{"wait4", 4}, {"mmap", 30}, {"openat", 35}}));
}

TEST(SystemCalls, strace_says_nothing_of_a_process_that_called_nothing) {
  EXPECT_EQ(parse_strace_summary("").value_or(SystemCalls{{"wrong", 1}}), SystemCalls{});
}

TEST(SystemCalls, counts_of_perf_are_read) {
  EXPECT_EQ(parse_perf_counts(perf_says).value_or(SystemCalls{}), (SystemCalls{{"mmap", 39}, {"openat", 7}}));
}

TEST(SystemCalls, what_is_no_summary_is_an_error) {
  EXPECT_FALSE(parse_strace_summary("strace: attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted\n"));
  EXPECT_FALSE(parse_perf_counts("event syntax error\n"));
  EXPECT_FALSE(parse_perf_counts(""));
}

TEST(SystemCalls, only_what_a_repetition_more_costs_is_counted) {
  const auto counts = calls_per_unit({{"openat", 110}, {"execve", 1}, {"read", 10}},
                                     {{"openat", 210}, {"execve", 1}, {"read", 60}, {"close", 25}}, 50);
  ASSERT_EQ(counts.size(), 4U);
  EXPECT_EQ(counts[0].name, "all");
  EXPECT_DOUBLE_EQ(counts[0].per_unit, 3.5);
  EXPECT_EQ(counts[1].name, "openat");
  EXPECT_DOUBLE_EQ(counts[1].per_unit, 2.0);
  EXPECT_EQ(counts[2].name, "read");
  EXPECT_EQ(counts[3].name, "close");
  EXPECT_DOUBLE_EQ(counts[3].per_unit, 0.5);
}

TEST(SystemCalls, a_stray_call_does_not_count) {
  const auto counts = calls_per_unit({{"openat", 501}, {"futex", 3}, {"brk", 1}, {"close", 499}},
                                     {{"openat", 1000}, {"futex", 2}, {"brk", 3}, {"close", 1000}}, 500);
  ASSERT_EQ(counts.size(), 3U);
  EXPECT_EQ(counts[0].name, "all");
  EXPECT_DOUBLE_EQ(counts[0].per_unit, 2.0);
  EXPECT_DOUBLE_EQ(counts[1].per_unit, 1.0);
  EXPECT_DOUBLE_EQ(counts[2].per_unit, 1.0);
}

// A contender that opens and closes a file as often as it is told.
Contender opener() {
  Contender contender{.name = "opener", .version = {}, .command = {}, .run = {}, .check = {}};
  contender.run = [](const Turn& turn) {
    return run_in_child(
        [&turn]() -> Outcome<void> {
          for (std::uint64_t i = 0; i < turn.repetitions; ++i) {
            const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
          }
          return {};
        },
        turn.control);
  };
  contender.check = [](const Turn&) { return Outcome<void>{}; };
  return contender;
}

std::optional<Tracer> tracer_of(Tracer::Kind kind) {
  const bool strace = kind == Tracer::Kind::strace;
  const auto found = find_peer({strace ? "strace" : "perf", ""});
  if (!found) {
    return std::nullopt;
  }
  Tracer tracer{.kind = kind, .program = found->program, .version = found->version};
  tracer.events = "syscalls:sys_enter_openat,syscalls:sys_enter_close,syscalls:sys_enter_execve";  // few: quick
  const auto idle = ChildProcess::start([] { ::pause(); });
  auto trace = idle ? SystemCallTrace::attach(tracer, idle->id()) : std::unexpected(idle.error());
  return trace && trace->finish() ? std::optional(tracer) : std::nullopt;
}

class TracerTest : public ::testing::TestWithParam<Tracer::Kind> {};

TEST_P(TracerTest, each_repetition_is_counted_and_nothing_else) {
  const auto tracer = tracer_of(GetParam());
  if (!tracer) {
    GTEST_SKIP() << (GetParam() == Tracer::Kind::strace ? "strace" : "perf") << " is not installed or may not trace";
  }
  const auto counts = count_system_calls(*tracer, opener(), Turn{.target = "/nowhere/copy", .repetitions = 100});
  if (!counts && counts.error() == "perf cannot trace here") {
    GTEST_SKIP() << "perf ended before it had counted";  // some do so, some of the time
  }
  ASSERT_TRUE(counts) << counts.error();
  // One call in a hundred repetitions may be the tracer's or the machine's doing.
  constexpr double stray = 0.015;
  EXPECT_EQ(counts->front().name, "all");
  EXPECT_NEAR(counts->front().per_unit, 2.0, stray);
  for (const char* name : {"openat", "close"}) {
    const auto found = std::ranges::find(*counts, name, &Count::name);
    ASSERT_NE(found, counts->end()) << name;
    EXPECT_NEAR(found->per_unit, 1.0, stray) << name;
  }
}

TEST_P(TracerTest, a_program_and_what_it_starts_are_counted) {
  const auto tracer = tracer_of(GetParam());
  if (!tracer) {
    GTEST_SKIP() << (GetParam() == Tracer::Kind::strace ? "strace" : "perf") << " is not installed or may not trace";
  }
  Contender shell = opener();
  shell.run = [](const Turn& turn) {
    const std::string loop =
        "i=0; while [ $i -lt " + std::to_string(turn.repetitions) + " ]; do (exec /bin/true); i=$((i+1)); done";
    return run_command({.program = "/bin/sh", .words = {"sh", "-c", loop}}, turn.control);
  };
  const auto counts = count_system_calls(*tracer, shell, Turn{.target = "/nowhere/copy", .repetitions = 3});
  ASSERT_TRUE(counts) << counts.error();
  const auto execve = std::ranges::find(*counts, "execve", &Count::name);
  ASSERT_NE(execve, counts->end());
  EXPECT_DOUBLE_EQ(execve->per_unit, 1.0);
}

TEST_P(TracerTest, a_contender_whose_result_is_wrong_is_not_counted) {
  const auto tracer = tracer_of(GetParam());
  if (!tracer) {
    GTEST_SKIP() << (GetParam() == Tracer::Kind::strace ? "strace" : "perf") << " is not installed or may not trace";
  }
  Contender wrong = opener();
  wrong.check = [](const Turn&) -> Outcome<void> { return std::unexpected("wrong copy"); };
  const auto counts = count_system_calls(*tracer, wrong, Turn{.target = "/nowhere/copy", .repetitions = 3});
  ASSERT_FALSE(counts);
  EXPECT_EQ(counts.error(), "wrong copy");
}

INSTANTIATE_TEST_SUITE_P(Both, TracerTest, ::testing::Values(Tracer::Kind::strace, Tracer::Kind::perf),
                         [](const auto& kind) { return kind.param == Tracer::Kind::strace ? "strace" : "perf"; });

TEST(SystemCalls, a_tracer_that_cannot_attach_is_an_error) {
  const auto idle = ChildProcess::start([] { ::pause(); });
  ASSERT_TRUE(idle) << idle.error();
  const auto trace =
      SystemCallTrace::attach({.kind = Tracer::Kind::strace, .program = "/bin/false", .version = "false"}, idle->id());
  ASSERT_FALSE(trace);
  EXPECT_THAT(trace.error(), HasSubstr("cannot trace"));
}

}  // namespace
}  // namespace ferry::bench
