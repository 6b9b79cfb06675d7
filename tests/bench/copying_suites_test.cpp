// `ferry bench zero-copy` and `ferry bench concurrent`, by the real program on files that are small.
#include <cstdlib>
#include <optional>
#include <set>

#include <gmock/gmock.h>

#include <ferry/ring.hpp>

#include "bench/command_fixture.hpp"
#include "bench/peers.hpp"

namespace ferry::bench {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

// Sets a variable of the environment for its lifetime.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) {
    const char* const old = std::getenv(name);
    old_ = old == nullptr ? std::nullopt : std::optional<std::string>(old);
    ::setenv(name, value.c_str(), 1);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

std::vector<std::string> names_of(const nlohmann::json& list) {
  std::vector<std::string> names;
  for (const auto& each : list) {
    names.push_back(each.at("name"));
  }
  return names;
}

// ---------------------------------------------------------------------------------------------- zero-copy

class ZeroCopySuiteTest : public BenchCommandTest {
 protected:
  static constexpr std::uint64_t size = 3'000'001;  // chunks, and an end that is no whole block
  static constexpr const char* counted = "fills and copies";

  // Bytes filled or copied in user space for each one moved; empty where the way is not possible, which a fact must
  // say.
  static std::optional<double> touched(const nlohmann::json& report, const std::string& way) {
    const auto found = contender(report, way);
    if (found.is_null()) {
      const auto& facts = report.at("groups").at(0).at("facts");
      EXPECT_TRUE(facts.contains("not possible here: " + way)) << facts.dump();
      return std::nullopt;
    }
    EXPECT_EQ(found.at("status"), "ok") << found.dump();
    EXPECT_EQ(found.at("runs").size(), 2U);
    return found.at("counts").at(counted).get<double>();
  }
  static void expect_touched(const nlohmann::json& report, const std::string& way, double bytes) {
    if (const auto found = touched(report, way)) {
      EXPECT_DOUBLE_EQ(*found, bytes / static_cast<double>(size)) << way;
    }
  }
};

TEST_F(ZeroCopySuiteTest, managed_ways_touch_nothing_in_user_space_and_vectors_every_byte) {
  fs::create_directories(path("from"));
  const auto report = bench_json({"zero-copy", "--size", std::to_string(size), "--rounds", "2", "--warm-up", "0",
                                  "--peers", "cp,dd", "--from", path("from"), "--json"});
  ASSERT_EQ(report.at("groups").size(), 1U);
  const auto& group = report.at("groups").at(0);
  EXPECT_EQ(group.at("size_bytes"), size);
  EXPECT_EQ(group.at("unit"), "MiB");
  EXPECT_EQ(group.at("counted"), "bytes written in user space per byte moved");
  EXPECT_EQ(touched(report, "managed read, managed write"), 0.0);
  expect_touched(report, "fresh vector per chunk", size);
  expect_touched(report, "managed read, copying write", size);
  EXPECT_EQ(touched(report, "engine, splice"), 0.0);
  EXPECT_EQ(touched(report, "engine, copy_file_range"), 0.0);
  // Past the page cache whole pages are moved, where that is possible at all.
  constexpr auto whole_pages = static_cast<double>((size + 4095) / 4096 * 4096);  // NOLINT(bugprone-integer-division)
  expect_touched(report, "managed read, managed write, O_DIRECT", 0);
  expect_touched(report, "fresh vector per chunk, O_DIRECT", whole_pages);
  expect_touched(report, "managed read, copying write, O_DIRECT", whole_pages);
  expect_touched(report, "engine, uring, O_DIRECT", 0);
  // tmpfs cannot share blocks, and no memory can be polled.
  EXPECT_EQ(touched(report, "engine, reflink"), std::nullopt);
  EXPECT_EQ(touched(report, "engine, uring, O_DIRECT, IOPOLL"), std::nullopt);
  for (const char* rival : {"cp", "dd bs=1M status=none"}) {
    EXPECT_EQ(contender(report, rival).value("status", ""), "ok") << rival << group.dump();
  }
  EXPECT_TRUE(fs::is_empty(path("from")));
}

TEST_F(ZeroCopySuiteTest, ways_past_the_page_cache_of_a_disk_are_measured_or_said_to_be_impossible) {
  const auto report = bench_json({"zero-copy", "--size", std::to_string(size), "--rounds", "2", "--warm-up", "0",
                                  "--peers", "none", "--from", "/var/tmp", "--to", "/var/tmp", "--fsync", "--json"});
  EXPECT_EQ(report.at("groups").at(0).at("name"), "zero-copy: 2.9 MiB, made durable");
  expect_touched(report, "managed read, managed write, O_DIRECT", 0);
  expect_touched(report, "fresh vector per chunk, O_DIRECT",
                 static_cast<double>((size + 4095) / 4096 * 4096));  // NOLINT(bugprone-integer-division)
  expect_touched(report, "engine, uring, O_DIRECT, IOPOLL", 0);
}

TEST_F(ZeroCopySuiteTest, standard_sizes_up_to_the_largest_asked_for) {
  const auto shown = bench({"zero-copy", "--max-size", "10G", "--grep", "teleport"});
  ASSERT_FALSE(shown);
  for (const char* name : {"1.0 MiB", "10.0 MiB", "100.0 MiB", "1.0 GiB", "10.0 GiB"}) {
    EXPECT_THAT(shown.error(), HasSubstr(std::string("zero-copy: ") + name));
  }
  const auto usual = bench({"zero-copy", "--grep", "teleport"});
  ASSERT_FALSE(usual);
  EXPECT_THAT(usual.error(), AllOf(HasSubstr("1.0 GiB"), ::testing::Not(HasSubstr("10.0 GiB"))));
}

TEST_F(ZeroCopySuiteTest, a_rival_that_is_not_here_is_listed_with_what_brings_it) {
  fs::create_directories(path("bin"));
  const auto cp = find_peer(cp_peer);
  ASSERT_TRUE(cp);
  fs::create_symlink(cp->program, path("bin") / "cp");
  const Environment only_cp("PATH", path("bin"));
  const auto report =
      bench_json({"zero-copy", "--size", "64K", "--rounds", "1", "--warm-up", "0", "--peers", "cp,rsync", "--json"});
  EXPECT_EQ(contender(report, "cp").value("status", ""), "ok");
  const auto& missing = report.at("groups").at(0).at("missing");
  ASSERT_THAT(names_of(missing), ElementsAre("rsync"));
  EXPECT_EQ(missing.at(0).at("package"), "rsync (apt)");
}

TEST_F(BenchCommandTest, wrong_arguments_of_the_copying_suites_are_refused_with_status_2) {
  const std::vector<std::vector<std::string>> wrong = {{"zero-copy", "--size", "0"},
                                                       {"zero-copy", "--size", "1M,much"},
                                                       {"zero-copy", "--max-size", "large"},
                                                       {"zero-copy", "--max-size", "1M", "--size", "1M"},
                                                       {"zero-copy", "--peers", "go"},
                                                       {"zero-copy", "--rounds", "0"},
                                                       {"zero-copy", "--cold", "--from", "/dev/shm"},
                                                       {"concurrent", "--files", "0"},
                                                       {"concurrent", "--files", "few"},
                                                       {"concurrent", "--size", "0"},
                                                       {"concurrent", "--workers", "257"},
                                                       {"concurrent", "--workers", "-1"},
                                                       {"concurrent", "--mode", "fast"},
                                                       {"concurrent", "--peers", "cp"},
                                                       {"concurrent", "--to", "/nowhere"}};
  for (const auto& words : wrong) {
    const auto output = bench(words);
    ASSERT_FALSE(output) << words.back();
    EXPECT_THAT(output.error(), HasSubstr("exit status 2")) << words.back();
  }
}

// ---------------------------------------------------------------------------------------------- concurrent

class ConcurrentSuiteTest : public BenchCommandTest {
 protected:
  void SetUp() override {
    BenchCommandTest::SetUp();
    fs::create_directories(path("to"));
    has_ring_ = Ring::create().has_value();
  }
  [[nodiscard]] nlohmann::json measure(std::vector<std::string> words) const {
    words.insert(words.begin(), "concurrent");
    words.insert(words.end(), {"--rounds", "2", "--warm-up", "0", "--to", path("to"), "--json"});
    return bench_json(words);
  }
  void expect_all_ok(const nlohmann::json& report) const {
    for (const auto& group : report.at("groups")) {
      for (const auto& each : group.at("contenders")) {
        const bool refused = !has_ring_ && each.at("name") == "ferry, uring";
        EXPECT_EQ(each.at("status"), refused ? "failed" : "ok") << each.dump();
        EXPECT_TRUE(refused || each.at("runs").size() == 2U) << each.dump();
      }
    }
  }

  // What stands for the Go program: a script in a home directory of its own.
  void install_rival(const std::string& script) const {
    const fs::path program = path("home") / ".cache/ferry/peers/goroutine-copy";
    write(program, "#!/bin/sh\n[ \"$1\" = --version ] && echo go9.9 && exit\n" + script);
    fs::permissions(program, fs::perms::owner_all);
  }

  bool has_ring_ = false;
};

TEST_F(ConcurrentSuiteTest, files_are_copied_by_each_engine_and_nothing_is_left) {
  const auto report = measure({"--files", "7", "--size", "5000,70000", "--peers", "none"});
  ASSERT_EQ(report.at("groups").size(), 2U);
  EXPECT_EQ(report.at("groups").at(0).at("name"), "concurrent: 7 files of 4.9 KiB");
  EXPECT_EQ(report.at("groups").at(0).at("units_per_run"), 7);
  EXPECT_EQ(report.at("groups").at(1).at("size_bytes"), 70000);
  EXPECT_THAT(names_of(report.at("groups").at(0).at("contenders")),
              ElementsAre("ferry, auto", "ferry, auto, in place", "ferry, threads", "ferry, uring"));
  EXPECT_TRUE(report.at("facts").contains("equal work"));
  expect_all_ok(report);
  EXPECT_TRUE(fs::is_empty(path("to")));
}

TEST_F(ConcurrentSuiteTest, a_mode_names_the_engines_and_workers_are_passed_on) {
  const std::vector<std::string> few = {"--files", "2", "--size", "4K", "--peers", "none", "--workers", "3", "--mode"};
  const auto by = [&](const char* mode) {
    std::vector<std::string> words = few;
    words.emplace_back(mode);
    auto report = measure(words);
    expect_all_ok(report);
    return report;
  };
  const auto threads = by("threads");
  EXPECT_THAT(names_of(threads.at("groups").at(0).at("contenders")), ElementsAre("ferry, threads"));
  EXPECT_THAT(contender(threads, "ferry, threads").at("command").get<std::string>(), HasSubstr(".workers = 3"));
  const auto both = by("both");
  EXPECT_THAT(names_of(both.at("groups").at(0).at("contenders")), ElementsAre("ferry, threads", "ferry, uring"));
  if (has_ring_) {
    const auto uring = by("uring");
    EXPECT_THAT(names_of(uring.at("groups").at(0).at("contenders")), ElementsAre("ferry, uring"));
  }
}

TEST_F(ConcurrentSuiteTest, seven_scenarios_are_the_standard_and_an_option_means_another) {
  const auto standard = bench({"concurrent", "--grep", "teleport"});
  ASSERT_FALSE(standard);
  for (const char* name :
       {"1000 files of 4.0 KiB", "200 files of 64.0 KiB", "100 files of 256.0 KiB", "50 files of 1.0 MiB",
        "20 files of 5.0 MiB", "10 files of 10.0 MiB", "5 files of 50.0 MiB"}) {
    EXPECT_THAT(standard.error(), HasSubstr(std::string("concurrent: ") + name));
  }
  const auto by_files = bench({"concurrent", "--files", "3", "--grep", "teleport"});
  ASSERT_FALSE(by_files);
  EXPECT_THAT(by_files.error(), AllOf(HasSubstr("3 files of 1.0 MiB"), ::testing::Not(HasSubstr("1000 files"))));
  const auto by_size = bench({"concurrent", "--size", "4K", "--grep", "teleport"});
  ASSERT_FALSE(by_size);
  EXPECT_THAT(by_size.error(), HasSubstr("50 files of 4.0 KiB"));
}

TEST_F(ConcurrentSuiteTest, a_person_is_asked_at_a_terminal_and_nowhere_else) {
  const auto piped = bench({"concurrent", "--choose"});
  ASSERT_FALSE(piped);
  EXPECT_THAT(piped.error(), AllOf(HasSubstr("exit status 2"), HasSubstr("there is no terminal to ask at")));
  if (std::system("command -v script >/dev/null") != 0) {
    GTEST_SKIP() << "script(1), which gives a program a terminal, is not installed";
  }
  const std::string report = path("report.json");
  const std::string command = std::string(FERRY_BINARY) +
                              " bench concurrent --size 4K,8K,16K --files 2 --choose --rounds 1 --warm-up 0 --peers "
                              "none --mode threads --json " +
                              report;
  const std::string typed = "printf '9\n2\n' | script -qec '" + command + "' " + path("shown").native() + " >/dev/null";
  ASSERT_EQ(std::system(typed.c_str()), 0);
  const auto measured = nlohmann::json::parse(std::ifstream(report), nullptr, false);
  ASSERT_FALSE(measured.is_discarded());
  EXPECT_THAT(names_of(measured.at("groups")), ElementsAre("concurrent: 2 files of 8.0 KiB"));
}

TEST_F(ConcurrentSuiteTest, the_copies_of_the_last_round_are_kept_on_request) {
  const auto report = measure({"--files", "3", "--size", "5000", "--peers", "none", "--mode", "threads", "--keep"});
  expect_all_ok(report);
  const fs::path kept = report.at("groups").at(0).at("facts").at("kept").get<std::string>();
  EXPECT_EQ(kept.parent_path(), path("to"));
  std::set<std::string> rounds;
  std::size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kept)) {
    if (entry.is_directory()) {
      rounds.insert(entry.path().filename());
    } else {
      EXPECT_EQ(entry.file_size(), 5000U);
      ++files;
    }
  }
  EXPECT_THAT(rounds, ElementsAre("round1-0"));
  EXPECT_EQ(files, 3U);
}

TEST_F(ConcurrentSuiteTest, without_the_go_program_goroutines_are_listed_as_missing) {
  fs::create_directories(path("home"));
  const Environment home("HOME", path("home"));
  const auto report = measure({"--files", "2", "--size", "4K", "--mode", "threads"});
  const auto& missing = report.at("groups").at(0).at("missing");
  ASSERT_THAT(names_of(missing), ElementsAre("goroutines"));
  EXPECT_THAT(missing.at(0).at("package").get<std::string>(), HasSubstr("--install-rivals"));
}

TEST_F(ConcurrentSuiteTest, the_time_of_goroutines_is_what_their_program_says) {
  install_rival("cp \"$1\"/* \"$2\" && echo 123456789\n");
  const Environment home("HOME", path("home"));
  const auto report = measure({"--files", "2", "--size", "4K", "--mode", "threads"});
  const auto found = contender(report, "goroutines, 64 KB buffers");
  ASSERT_FALSE(found.is_null());
  EXPECT_EQ(found.at("status"), "ok") << found.dump();
  EXPECT_EQ(found.at("version"), "go9.9");
  EXPECT_EQ(found.at("runs").at(0).at("wall_ns"), 123456789);
}

TEST_F(ConcurrentSuiteTest, results_are_compared_byte_for_byte) {
  const Environment home("HOME", path("home"));
  const auto complaint_about = [&](const std::string& script) -> std::string {
    install_rival(script);
    const auto report = measure({"--files", "2", "--size", "4K", "--mode", "threads"});
    expect_all_ok({{"groups", {{{"contenders", {contender(report, "ferry, threads")}}}}}});
    const auto found = contender(report, "goroutines, 64 KB buffers");
    return found.is_null() || found.at("status") != "failed" ? found.dump() : found.at("error").get<std::string>();
  };
  EXPECT_THAT(complaint_about("echo 5\n"), HasSubstr("missing"));
  EXPECT_THAT(complaint_about("cp \"$1\"/* \"$2\" && for f in \"$2\"/*; do printf x | dd of=\"$f\" bs=1 seek=99 "
                              "conv=notrunc status=none; done; echo 5\n"),
              HasSubstr("wrong copy: "));
  EXPECT_THAT(complaint_about("cp \"$1\"/* \"$2\"; echo soon\n"), HasSubstr("did not say how long it took"));
  EXPECT_THAT(complaint_about("echo 'disk on fire' >&2; exit 1\n"), HasSubstr("disk on fire"));
}

TEST_F(ConcurrentSuiteTest, goroutines_are_measured_where_go_is) {
  const char* const old_home = std::getenv("HOME");
  const fs::path built = fs::path(old_home != nullptr ? old_home : "") / ".cache/ferry/peers/goroutine-copy";
  std::optional<Environment> home;
  if (!fs::exists(built)) {
    if (std::system("command -v go >/dev/null") != 0) {
      GTEST_SKIP() << "go is not installed";
    }
    const fs::path program = path("home") / ".cache/ferry/peers/goroutine-copy";
    fs::create_directories(program.parent_path());
    const std::string build = "GO111MODULE=off GOCACHE=" + path("go-cache").native() + " go build -o " +
                              program.native() + " " + FERRY_SOURCE_DIR "/bench/rivals/goroutine_copy.go";
    ASSERT_EQ(std::system(build.c_str()), 0) << build;
    home.emplace("HOME", path("home"));
  }
  const auto report = measure({"--files", "5", "--size", "1,70000", "--mode", "threads"});
  for (const std::size_t group : {0U, 1U}) {
    const auto found = contender(report, "goroutines, 64 KB buffers", group);
    ASSERT_FALSE(found.is_null());
    EXPECT_EQ(found.at("status"), "ok") << found.dump();
    EXPECT_THAT(found.at("version").get<std::string>(), HasSubstr("go1"));
    EXPECT_TRUE(found.at("time_ratio_to_ferry").is_object());
  }
}

// ---------------------------------------------------------------------------------------------- interrupted

TEST_F(InterruptedBench, ways_of_one_file_are_reported_as_far_as_they_came) {
  const int status = interrupt({"zero-copy", "--size", "1M", "--rounds", "1000", "--warm-up", "0", "--peers", "none"},
                               [this] { return has_begun("round2-0"); });
  EXPECT_EQ(status, 130);
  const auto json = report();
  ASSERT_FALSE(json.is_discarded());
  EXPECT_TRUE(json.at("interrupted").get<bool>());
  EXPECT_GE(contender(json, "managed read, managed write").at("runs").size(), 2U);
  EXPECT_TRUE(fs::is_empty(path("work")));
}

TEST_F(InterruptedBench, many_files_at_once_are_reported_and_leave_nothing) {
  const int status = interrupt({"concurrent", "--files", "20", "--size", "100K", "--rounds", "1000", "--warm-up", "0",
                                "--peers", "none", "--mode", "threads", "--keep"},
                               [this] { return has_begun("round2-0"); });
  EXPECT_EQ(status, 130);
  EXPECT_GE(contender(report(), "ferry, threads").at("runs").size(), 2U);
  EXPECT_TRUE(fs::is_empty(path("work")));
}

}  // namespace
}  // namespace ferry::bench
