// `ferry bench` as people run it: the real program.
#include <cstdlib>

#include <gmock/gmock.h>

#include "bench/command_fixture.hpp"
#include "bench/system_calls.hpp"

namespace ferry::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(BenchCommandTest, tree_in_a_loop_measures_ferry_and_the_standard_library) {
  const auto report = bench_json({"tree", "--copies", "50", "--rounds", "2", "--json"});
  for (const char* name : {"ferry::copy_tree in place", "ferry::copy_tree default (atomic)", "std::filesystem::copy"}) {
    const auto found = contender(report, name);
    ASSERT_FALSE(found.is_null()) << name;
    EXPECT_EQ(found.at("status"), "ok") << found.dump();
    EXPECT_EQ(found.at("runs").size(), 2U);
  }
  EXPECT_EQ(report.at("groups").at(0).at("units_per_run"), 50);
}

TEST_F(BenchCommandTest, a_rival_that_copies_wrongly_is_failed_and_not_timed) {
  write(path("source") / "a", "first");
  write(path("source") / "b", "second");
  const auto report = bench_json({"trees", "--source", path("source"), "--flags", "-r", "--rounds", "2", "--peers",
                                  "cp", "--rival", "wrong=cp -r {src} {dst} && rm {dst}/b", "--json"});
  EXPECT_EQ(contender(report, "ferry cp -r").at("status"), "ok");
  const auto wrong = contender(report, "wrong");
  EXPECT_EQ(wrong.at("status"), "failed");
  EXPECT_THAT(wrong.at("error"), HasSubstr("'b' is missing"));
  EXPECT_FALSE(wrong.contains("runs"));
}

TEST_F(BenchCommandTest, a_rival_that_loses_times_is_wrong_under_archive_mode) {
  write(path("source") / "a", "first");
  const auto report = bench_json({"trees", "--source", path("source"), "--flags", "-a", "--rounds", "1", "--peers",
                                  "cp", "--rival", "plain=cp -r {src} {dst}", "--json"});
  EXPECT_EQ(contender(report, "ferry cp -a").at("status"), "ok");
  EXPECT_EQ(contender(report, "cp -a").at("status"), "ok");
  EXPECT_EQ(contender(report, "plain").at("status"), "failed");
}

TEST_F(BenchCommandTest, file_is_copied_by_everyone_and_nothing_is_left_behind) {
  std::filesystem::create_directories(path("from"));
  std::filesystem::create_directories(path("to"));
  const auto report = bench_json({"file", "--size", "3M", "--from", path("from"), "--to", path("to"), "--rounds", "1",
                                  "--peers", "cp,dd", "--fsync", "--json"});
  for (const char* name : {"ferry cp --fsync", "cp && sync", "dd bs=1M && sync"}) {
    const auto found = contender(report, name);
    ASSERT_FALSE(found.is_null()) << name;
    EXPECT_EQ(found.at("status"), "ok") << found.dump();
  }
  EXPECT_TRUE(std::filesystem::is_empty(path("from")));
  EXPECT_TRUE(std::filesystem::is_empty(path("to")));
}

TEST_F(BenchCommandTest, wrong_arguments_are_refused_with_status_2) {
  const std::vector<std::vector<std::string>> wrong = {{},
                                                       {"nothing"},
                                                       {"tree", "--rounds", "0"},
                                                       {"trees", "--preset", "unknown"},
                                                       {"tree", "--source", "/nowhere"},
                                                       {"trees", "--preset", "flat", "--cold", "--from", "/dev/shm"},
                                                       {"trees", "--preset", "flat", "--rival", "no-command"},
                                                       {"file", "--size", "0"},
                                                       {"file", "--size", "9T"},
                                                       {"file", "--size", "1M,much"},
                                                       {"file", "--method", "teleport"},
                                                       {"file", "--grep", "("},
                                                       {"tree", "--copies", "0"},
                                                       {"copy-range", "--iterations", "1001"},
                                                       {"mmap", "--min-time", "0"},
                                                       {"mmap", "--to", "/nowhere"},
                                                       {"mmap", "--filter", "("},
                                                       {"tree", "--peers", "xcp"}};
  for (const auto& words : wrong) {
    const auto output = bench(words);
    ASSERT_FALSE(output);
    EXPECT_THAT(output.error(), HasSubstr("exit status 2"));
  }
}

TEST_F(BenchCommandTest, a_target_inside_the_source_is_refused) {
  write(path("source") / "below" / "a", "first");
  for (const char* suite : {"tree", "trees"}) {
    const auto output = bench({suite, "--source", path("source"), "--to", path("source") / "below"});
    ASSERT_FALSE(output) << suite;
    EXPECT_THAT(output.error(), HasSubstr("is inside the source"));
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path("source") / "below"), {}), 1);
}

TEST_F(BenchCommandTest, an_unknown_filter_is_answered_by_what_there_is) {
  const auto output = bench({"copy-range", "--grep", "teleport"});
  ASSERT_FALSE(output);
  EXPECT_THAT(output.error(), AllOf(HasSubstr("exit status 2"), HasSubstr("nothing to measure matches 'teleport'"),
                                    HasSubstr("copy-range: 1 GB, kernel against fallback"),
                                    HasSubstr("copy-range: 100 MB, fallback by chunk size")));
}

TEST_F(BenchCommandTest, too_little_space_is_said_before_anything_is_written) {
  const auto output = bench({"file", "--size", "8T"});
  ASSERT_FALSE(output);
  EXPECT_THAT(output.error(), HasSubstr("not enough space"));
  // A tree that claims to be larger than any memory.
  write(path("source") / "huge", "");
  std::filesystem::resize_file(path("source") / "huge", std::uint64_t{1} << 42U);
  for (const char* suite : {"tree", "trees"}) {
    const auto refused = bench({suite, "--source", path("source")});
    ASSERT_FALSE(refused) << suite;
    EXPECT_THAT(refused.error(), HasSubstr("not enough space"));
  }
}

// A script that claims to be Bun, and to have done everything at once.
class BragBench : public BenchCommandTest {
 protected:
  void SetUp() override {
    BenchCommandTest::SetUp();
    write(path("bun"),
          "#!/bin/sh\n[ \"$1\" = --version ] && echo 9.9 && exit\n"
          "while read -r line; do echo ok 1000 1 1; done\n");
    std::filesystem::permissions(path("bun"), std::filesystem::perms::owner_all);
    ::setenv("FERRY_BENCH_BUN", path("bun").c_str(), 1);
  }
  void TearDown() override { ::unsetenv("FERRY_BENCH_BUN"); }
};

TEST_F(BragBench, who_claims_copies_that_were_not_made_is_failed) {
  const auto report = bench_json({"tree", "--copies", "3", "--rounds", "1", "--peers", "bun", "--json"});
  const auto found = contender(report, "bun cpSync");
  ASSERT_FALSE(found.is_null());
  EXPECT_EQ(found.at("status"), "failed");
  EXPECT_EQ(found.at("version"), "bun 9.9");
  EXPECT_THAT(found.at("error"), HasSubstr("wrong copy: "));
  EXPECT_EQ(contender(report, "ferry::copy_tree in place").at("status"), "ok");
}

TEST_F(BragBench, who_claims_lists_that_were_not_made_is_failed) {
  const auto report = bench_json({"tree", "--readdir", "--copies", "3", "--rounds", "1", "--peers", "bun", "--json"});
  const auto found = contender(report, "bun readdirSync");
  ASSERT_FALSE(found.is_null());
  EXPECT_EQ(found.at("error"), "wrong list: none was made");
}

TEST_F(BenchCommandTest, a_tree_is_listed_by_everyone_who_is_here) {
  write(path("source") / "dir" / "file", "first");
  std::filesystem::create_symlink("dir", path("source") / "link");
  const auto report = bench_json({"tree", "--readdir", "--source", path("source"), "--copies", "5", "--rounds", "1",
                                  "--peers", "std,node,find", "--json"});
  for (const char* name : {"ferry::walk", "ferry::walk, 1 job", "std::filesystem::recursive_directory_iterator",
                           "find (a process each time)"}) {
    const auto found = contender(report, name);
    ASSERT_FALSE(found.is_null()) << name;
    EXPECT_EQ(found.at("status"), "ok") << found.dump();
  }
  const auto node = contender(report, "node readdirSync");
  EXPECT_TRUE(node.is_null() || node.at("status") == "ok") << node.dump();
}

TEST_F(BenchCommandTest, whole_trees_are_copied_rightly_by_tar_too) {
  write(path("source") / "dir" / "with 'quotes'", "first");
  std::filesystem::create_symlink("dir", path("source") / "link");
  const auto report = bench_json(
      {"trees", "--source", path("source"), "--flags", "-a", "--rounds", "1", "--peers", "tar,rsync", "--json"});
  EXPECT_EQ(contender(report, "tar | tar").at("status"), "ok") << contender(report, "tar | tar").dump();
  EXPECT_EQ(contender(report, "ferry cp -a").at("status"), "ok");
}

TEST_F(BenchCommandTest, every_size_and_method_of_a_file_is_measured) {
  const auto report = bench_json({"file", "--size", "2MB,64K", "--method", "read_write,copy_file_range", "--rounds",
                                  "1", "--peers", "none", "--json"});
  ASSERT_EQ(report.at("groups").size(), 2U);
  EXPECT_EQ(report.at("groups").at(0).at("name"), "file: 64.0 KiB");
  EXPECT_EQ(report.at("groups").at(1).at("name"), "file: 2 MB");
  for (const std::size_t group : {0U, 1U}) {
    for (const char* name : {"ferry cp --method=read_write", "ferry cp --method=copy_file_range"}) {
      const auto found = contender(report, name, group);
      ASSERT_FALSE(found.is_null()) << name;
      EXPECT_EQ(found.at("status"), "ok") << found.dump();
    }
  }
}

TEST_F(BenchCommandTest, ranges_are_copied_by_the_kernel_and_in_chunks_of_every_size) {
  const auto report = bench_json({"copy-range", "--size=300kB", "--iterations=2", "--json"});
  ASSERT_EQ(report.at("groups").size(), 2U);
  EXPECT_EQ(contender(report, "kernel").at("runs").size(), 2U);
  EXPECT_EQ(contender(report, "fallback: read_write").at("status"), "ok");
  for (const char* chunk : {"64.0 KiB", "256.0 KiB", "1.0 MiB", "4.0 MiB", "16.0 MiB", "64.0 MiB"}) {
    const auto found = contender(report, std::string("fallback: read_write, chunks of ") + chunk, 1);
    ASSERT_FALSE(found.is_null()) << chunk;
    EXPECT_EQ(found.at("status"), "ok") << found.dump();
  }
  const auto chosen = bench_json({"copy-range", "--size=300kB", "--iterations=1", "--grep", "chunk", "--json"});
  EXPECT_EQ(chosen.at("groups").size(), 1U);
}

// A row of each kind, on tmpfs.
TEST_F(BenchCommandTest, operations_on_maps_are_measured_beside_their_floors) {
  std::filesystem::create_directories(path("to"));
  const std::vector<std::string> words = {
      "mmap",
      "--to",
      path("to"),
      "--min-time",
      "1",
      "--rounds",
      "2",
      "--warm-up",
      "0",
      "--filter",
      " (view of 64 B|pages|update of 4.0 KiB|flush_range of 64 B|atomic.* 2 threads, one|create of 4.0 KiB|resize)",
      "--json"};
  const auto output = bench(words);
  if (!output && output.error().find("built without Google Benchmark") != std::string::npos) {
    GTEST_SKIP() << "this ferry was built without Google Benchmark";
  }
  ASSERT_TRUE(output) << output.error();
  const auto report = nlohmann::json::parse(*output, nullptr, false);
  ASSERT_FALSE(report.is_discarded()) << *output;
  ASSERT_EQ(report.at("groups").size(), 10U) << *output;
  for (const auto& group : report.at("groups")) {
    EXPECT_EQ(group.at("units_per_run"), 1000);
    for (const auto& each : group.at("contenders")) {
      EXPECT_EQ(each.at("status"), "ok") << each.dump();
      EXPECT_EQ(each.at("runs").size(), 2U);
    }
  }
  const auto view = report.at("groups").at(0);
  EXPECT_EQ(view.at("name"), "mmap: view of 64 B");
  EXPECT_EQ(view.at("published").at(0).at("name"), "mmap-io 0.9.11");
  EXPECT_EQ(view.at("published").at(0).at("least_seconds"), 23e-9);
  EXPECT_TRUE(std::filesystem::is_empty(path("to")));

  const auto unknown = bench({"mmap", "--filter", "teleport"});
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error(), AllOf(HasSubstr("exit status 2"), HasSubstr("mmap: resize, 1 to 8 MiB and back")));
}

class CountingTest : public BenchCommandTest {
 protected:
  void SetUp() override {
    BenchCommandTest::SetUp();
    ::setenv("ASAN_OPTIONS", "detect_leaks=0", 1);  // leaks cannot be looked for in a process that is traced
    const auto tracer = find_tracer();
    if (!tracer) {
      GTEST_SKIP() << tracer.error();
    }
    if (tracer->kind == Tracer::Kind::perf) {
      GTEST_SKIP() << "there is no strace, and perf takes 8 s for each contender";
    }
  }
  void TearDown() override { ::unsetenv("ASAN_OPTIONS"); }
};

TEST_F(CountingTest, system_calls_of_each_copy_are_counted_by_name) {
  const auto report = bench_json({"tree", "--copies", "5", "--rounds", "1", "--peers", "std", "--syscalls", "--json"});
  for (const char* name : {"ferry::copy_tree in place", "std::filesystem::copy"}) {
    const auto counts = contender(report, name).at("counts");
    // 9 files and 5 directories, opened on either side, at least by ferry; of std::filesystem at least the files.
    EXPECT_GE(counts.at("openat").get<double>(), 18) << counts.dump();
    double sum = 0;
    for (const auto& [call, number] : counts.items()) {
      sum += call == "all" ? 0 : number.get<double>();
    }
    EXPECT_NEAR(counts.at("all").get<double>(), sum, 1e-6) << counts.dump();
  }
}

TEST_F(CountingTest, counts_of_one_version_are_the_same_on_every_run) {
  const std::vector<std::string> words = {"counts", "--grep", "small tree|cp -a", "--json"};
  const auto first = bench_json(words);
  const auto second = bench_json(words);
  ASSERT_GE(first.at("groups").size(), 2U);
  ASSERT_EQ(first.at("groups").size(), second.at("groups").size());
  for (std::size_t i = 0; i < first.at("groups").size(); ++i) {
    const auto& group = first.at("groups").at(i);
    EXPECT_TRUE(group.at("deterministic").get<bool>());
    const auto& counts = group.at("contenders").at(0).at("counts");
    EXPECT_FALSE(counts.empty()) << group.dump();
    EXPECT_EQ(counts, second.at("groups").at(i).at("contenders").at(0).at("counts")) << group.at("name");
  }
}

TEST_F(InterruptedBench, rounds_until_then_are_kept_and_marked_and_nothing_is_left) {
  const int status = interrupt({"tree", "--copies", "20", "--rounds", "1000", "--warm-up", "0", "--peers", "none"},
                               [this] { return has_begun("round2-0"); });
  EXPECT_EQ(status, 130);
  const auto json = report();
  ASSERT_FALSE(json.is_discarded());
  EXPECT_TRUE(json.at("interrupted").get<bool>());
  const auto found = contender(json, "ferry::copy_tree in place");
  EXPECT_GE(found.at("runs").size(), 2U);
  EXPECT_LT(found.at("runs").size(), 1000U);
  EXPECT_TRUE(std::filesystem::is_empty(path("work")));
}

TEST_F(InterruptedBench, a_rival_that_would_run_for_hours_is_stopped) {
  const std::string rival = "slow=touch " + path("started").native() + "; sleep 10000; : {src} {dst}";
  const int status =
      interrupt({"file", "--size", "64K", "--rounds", "1", "--warm-up", "0", "--peers", "none", "--rival", rival},
                [this] { return std::filesystem::exists(path("started")); });
  EXPECT_EQ(status, 130);
  const auto json = report();
  ASSERT_FALSE(json.is_discarded());
  EXPECT_EQ(contender(json, "ferry cp").at("runs").size(), 1U);
  EXPECT_EQ(contender(json, "slow").at("status"), "not measured");
  EXPECT_TRUE(std::filesystem::is_empty(path("work")));
}

TEST_F(InterruptedBench, a_source_that_is_being_made_is_removed) {
  const int status = interrupt({"file", "--size", "3G"}, [this] { return has_begun("source"); });
  EXPECT_EQ(status, 130);
  const auto json = report();
  ASSERT_FALSE(json.is_discarded());
  EXPECT_TRUE(json.at("interrupted").get<bool>());
  EXPECT_TRUE(json.at("groups").empty());
  EXPECT_TRUE(std::filesystem::is_empty(path("work")));
}

}  // namespace
}  // namespace ferry::bench
