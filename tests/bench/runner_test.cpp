#include "bench/runner.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ferry::bench {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Contender make_contender(const std::string& name, std::vector<std::string>& diary) {
  const auto note = [&diary, name](const char* step, const Turn& turn) {
    diary.push_back(name + ' ' + step + ' ' + std::to_string(turn.round));
  };
  Contender contender{.name = name, .version = {}, .command = {}, .run = {}, .check = {}};
  contender.set_up = [note](const Turn& turn) -> Outcome<void> {
    note("set-up", turn);
    return {};
  };
  contender.run = [note](const Turn& turn) -> Outcome<Cost> {
    note("run", turn);
    Cost cost;
    cost.wall = milliseconds(turn.round + 1);
    return cost;
  };
  contender.check = [note](const Turn& turn) -> Outcome<void> {
    note("check", turn);
    return {};
  };
  contender.clean_up = [note](const Turn& turn) { note("clean-up", turn); };
  return contender;
}

JobResult run(const Job& job) {
  const std::atomic<bool> interrupted{false};
  return run_job(job, [](std::string_view) {}, interrupted);
}

Job job_of(std::vector<Contender> contenders, unsigned warm_ups, unsigned rounds) {
  return {.name = "job",
          .contenders = std::move(contenders),
          .missing = {},
          .target_directory = "/nowhere",
          .warm_ups = warm_ups,
          .rounds = rounds};
}

TEST(Runner, contenders_take_turns_and_every_turn_is_checked) {
  std::vector<std::string> diary;
  const JobResult result = run(job_of({make_contender("A", diary), make_contender("B", diary)}, 0, 2));
  EXPECT_THAT(diary, ElementsAre("A set-up 0", "A run 0", "A check 0", "A clean-up 0", "B set-up 0", "B run 0",
                                 "B check 0", "B clean-up 0", "A set-up 1", "A run 1", "A check 1", "A clean-up 1",
                                 "B set-up 1", "B run 1", "B check 1", "B clean-up 1"));
  EXPECT_FALSE(result.interrupted);
}

TEST(Runner, warm_ups_are_run_but_do_not_count) {
  std::vector<std::string> diary;
  const JobResult result = run(job_of({make_contender("A", diary)}, 2, 1));
  ASSERT_EQ(result.contenders.front().runs.size(), 1U);
  EXPECT_EQ(result.contenders.front().runs.front().wall, milliseconds(3));
}

TEST(Runner, every_turn_has_a_target_of_its_own) {
  std::vector<std::string> diary;
  std::set<std::filesystem::path> targets;
  Job job = job_of({make_contender("A", diary), make_contender("B", diary)}, 1, 3);
  for (Contender& contender : job.contenders) {
    contender.set_up = [&targets](const Turn& turn) -> Outcome<void> {
      EXPECT_TRUE(targets.insert(turn.target).second) << turn.target;
      return {};
    };
  }
  EXPECT_EQ(run(job).contenders.size(), 2U);
  EXPECT_EQ(targets.size(), 8U);
}

TEST(Runner, a_wrong_copy_is_reported_as_failed_and_none_of_its_times_are_kept) {
  std::vector<std::string> diary;
  Job job = job_of({make_contender("A", diary), make_contender("wrong", diary)}, 0, 4);
  job.contenders[1].check = [](const Turn& turn) -> Outcome<void> {
    return turn.round < 2 ? Outcome<void>{} : std::unexpected("wrong copy: 'x' differs");
  };
  const JobResult result = run(job);
  EXPECT_EQ(result.contenders[0].runs.size(), 4U);
  EXPECT_EQ(result.contenders[1].failure, "wrong copy: 'x' differs");
  EXPECT_TRUE(result.contenders[1].runs.empty());
  EXPECT_EQ(std::ranges::count(diary, "wrong clean-up 2"), 1) << "a failed turn is cleaned up, too";
  EXPECT_EQ(std::ranges::count(diary, "wrong run 3"), 0) << "and is the last";
}

TEST(Runner, a_failing_run_is_not_checked) {
  std::vector<std::string> diary;
  Job job = job_of({make_contender("A", diary)}, 0, 2);
  job.contenders[0].run = [](const Turn&) -> Outcome<Cost> { return std::unexpected("exit status 1"); };
  EXPECT_EQ(run(job).contenders[0].failure, "exit status 1");
  EXPECT_THAT(diary, ElementsAre("A set-up 0", "A clean-up 0"));
}

TEST(Runner, an_interrupted_job_keeps_the_rounds_before) {
  std::vector<std::string> diary;
  std::atomic<bool> interrupted{false};
  Job job = job_of({make_contender("A", diary)}, 0, 5);
  job.contenders[0].check = [&interrupted](const Turn& turn) -> Outcome<void> {
    interrupted = turn.round == 2;
    return {};
  };
  const JobResult result = run_job(job, [](std::string_view) {}, interrupted);
  EXPECT_TRUE(result.interrupted);
  EXPECT_EQ(result.contenders[0].runs.size(), 2U);
}

TEST(Process, a_command_that_fails_says_why) {
  const auto cost = run_command({.program = "/bin/sh", .words = {"sh", "-c", "echo oh no >&2; exit 3"}});
  ASSERT_FALSE(cost);
  EXPECT_EQ(cost.error(), "exit status 3: oh no");
}

TEST(Process, a_killed_command_is_a_failure) {
  const auto cost = run_command({.program = "/bin/sh", .words = {"sh", "-c", "kill -9 $$"}});
  ASSERT_FALSE(cost);
  EXPECT_THAT(cost.error(), HasSubstr("killed by signal 9"));
}

TEST(Process, a_program_that_is_not_there_is_a_failure) {
  const auto cost = run_command({.program = "/nowhere/program", .words = {"program"}});
  ASSERT_FALSE(cost);
  EXPECT_THAT(cost.error(), HasSubstr("No such file"));
}

TEST(Process, processor_time_of_grandchildren_counts) {
  const auto busy = run_command(
      {.program = "/bin/sh", .words = {"sh", "-c", "(i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done); true"}});
  ASSERT_TRUE(busy) << busy.error();
  EXPECT_GT((busy->user + busy->system).count(), milliseconds(10).count());
  EXPECT_GT(busy->max_rss_bytes, 0U);
}

TEST(Process, work_in_a_child_does_not_touch_this_process) {
  int value = 1;
  const auto cost = run_in_child([&value]() -> Outcome<void> {
    value = 2;
    return {};
  });
  ASSERT_TRUE(cost) << cost.error();
  EXPECT_EQ(value, 1);
}

TEST(Process, failing_and_crashing_work_is_a_failure) {
  const auto failed = run_in_child([]() -> Outcome<void> { return std::unexpected("no luck"); });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error(), "no luck");
  const auto crashed = run_in_child([]() -> Outcome<void> { ::_exit(7); });
  ASSERT_FALSE(crashed);
  EXPECT_EQ(crashed.error(), "exit status 7");
}

TEST(Process, memory_of_a_run_is_that_of_all_its_processes_together) {
  // Two processes hold 30 MB each until both do, and a second longer.
  constexpr const char* script = R"sh(
    d=$(mktemp -d) || exit 1
    hold() {
      { head -c 30000000 /dev/zero; touch "$d/$1"; until [ -e "$d/$2" ]; do sleep 0.02; done; sleep 1; } |
        tail -c 30000000 >/dev/null
    }
    hold a b & hold b a; wait; rm -r "$d")sh";
  const auto cost = run_command({.program = "/bin/sh", .words = {"sh", "-c", script}});
  ASSERT_TRUE(cost) << cost.error();
  if (!cost->tree_rss_bytes) {
    GTEST_SKIP() << "this kernel does not list children (CONFIG_PROC_CHILDREN)";
  }
  EXPECT_GE(cost->max_rss_bytes, 29'000'000U);
  EXPECT_GE(*cost->tree_rss_bytes, 58'000'000U) << "two processes hold more than the larger one";
}

TEST(Process, a_run_that_nobody_wants_any_more_is_killed_with_all_it_started) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  static std::atomic<bool> stop{false};
  stop = false;
  ::signal(SIGUSR1, [](int) { stop = true; });
  RunControl control{.stop = &stop};
  pid_t process = -1;
  control.before_it_begins = [&](pid_t child) -> Outcome<void> {
    process = child;
    return {};
  };
  const auto cost =
      run_command({.program = "/bin/sh", .words = {"sh", "-c", "sleep 1000 & kill -USR1 $PPID; sleep 1000"}}, control);
  ASSERT_FALSE(cost);
  EXPECT_THAT(cost.error(), HasSubstr("killed by signal 9"));
  ASSERT_GT(process, 0);
  // What was orphaned comes to this process, and has been killed, too.
  int orphans = 0;
  for (int status = 0; ::waitpid(-process, &status, 0) > 0; ++orphans) {
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  }
  EXPECT_GE(orphans, 1);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  ::signal(SIGUSR1, SIG_DFL);
}

TEST(Process, work_in_a_child_can_be_stopped) {
  const std::atomic<bool> stop{true};
  const auto cost = run_in_child(
      []() -> Outcome<void> {
        ::sleep(1000);
        return {};
      },
      {.stop = &stop});
  ASSERT_FALSE(cost);
  EXPECT_THAT(cost.error(), HasSubstr("killed by signal 9"));
}

TEST(Process, a_run_waits_until_its_watcher_is_ready_and_fails_with_it) {
  for (const bool in_child : {false, true}) {
    RunControl control;
    control.before_it_begins = [](pid_t) -> Outcome<void> { return std::unexpected("cannot watch"); };
    bool ran = false;
    const auto cost = in_child ? run_in_child(
                                     [&ran]() -> Outcome<void> {
                                       ran = true;
                                       return {};
                                     },
                                     control)
                               : run_command({.program = "/bin/true", .words = {"true"}}, control);
    ASSERT_FALSE(cost);
    EXPECT_EQ(cost.error(), "cannot watch");
    EXPECT_FALSE(ran);
  }
}

TEST(Process, what_is_done_afterwards_can_fail_the_work) {
  const auto cost = run_in_child([]() -> Outcome<void> { return {}; }, {},
                                 []() -> Outcome<void> { return std::unexpected("wrong result"); });
  ASSERT_FALSE(cost);
  EXPECT_EQ(cost.error(), "wrong result");
}

TEST(Process, variables_are_added_to_the_environment) {
  const auto said =
      output_of({.program = "/bin/sh", .words = {"sh", "-c", "echo $FERRY_A"}, .environment = {"FERRY_A=one=two"}});
  EXPECT_EQ(said.value_or(""), "one=two\n");
}

TEST(Process, the_cost_of_repetitions_is_a_multiple_but_for_the_memory) {
  Cost once;
  once.wall = milliseconds(3);
  once.user = milliseconds(2);
  once.system = milliseconds(1);
  once.max_rss_bytes = 10;
  once.tree_rss_bytes = 20;
  once.device_bytes_written = 4096;
  once.voluntary_switches = 7;
  once.cache.misses = 5;
  const Cost ten = once.repeated(10);
  EXPECT_EQ(ten.wall, milliseconds(30));
  EXPECT_EQ(ten.user, milliseconds(20));
  EXPECT_EQ(ten.system, milliseconds(10));
  EXPECT_EQ(ten.max_rss_bytes, 10U);
  EXPECT_EQ(ten.tree_rss_bytes, 20U);
  EXPECT_EQ(ten.device_bytes_written, 40'960U);
  EXPECT_EQ(ten.voluntary_switches, 70U);
  EXPECT_EQ(ten.cache.misses, 50U);
  EXPECT_FALSE(ten.cache.loads);
}

TEST(Process, steps_of_a_run_add_up) {
  Cost first;
  first.wall = milliseconds(1);
  first.max_rss_bytes = 10;
  first.tree_rss_bytes = 20;
  first.cache.misses = 5;
  Cost second;
  second.wall = milliseconds(2);
  second.max_rss_bytes = 30;
  second.cache.misses = 6;
  first += second;
  EXPECT_EQ(first.wall, milliseconds(3));
  EXPECT_EQ(first.max_rss_bytes, 30U);
  EXPECT_EQ(first.tree_rss_bytes, 20U);
  EXPECT_EQ(first.cache.misses, 11U);
  EXPECT_FALSE(first.cache.loads);
}

TEST(Process, a_command_is_shown_as_one_would_type_it) {
  const Command command{.program = "/bin/cp", .words = {"cp", "-a", "with space", "/plain/path"}};
  EXPECT_EQ(command.to_string(), "cp -a 'with space' /plain/path");
}

}  // namespace
}  // namespace ferry::bench
