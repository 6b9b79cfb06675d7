// `ferry bench` as people run it: the real program.
#include <cstdio>
#include <memory>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "bench/process.hpp"
#include "bench/scratch.hpp"

namespace ferry::bench {
namespace {

using ::testing::HasSubstr;

class BenchCommandTest : public ScratchTest {
 protected:
  static Outcome<std::string> bench(std::vector<std::string> words) {
    words.insert(words.begin(), {"ferry", "bench"});
    return output_of({.program = FERRY_BINARY, .words = words});
  }

  // The JSON is checked to be JSON before anything is asked of it.
  static nlohmann::json bench_json(const std::vector<std::string>& words) {
    const auto output = bench(words);
    EXPECT_TRUE(output) << output.error();
    auto json = nlohmann::json::parse(output.value_or(""), nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << output.value_or("");
    return json;
  }

  static nlohmann::json contender(const nlohmann::json& report, const std::string& name) {
    for (const auto& candidate : report.at("groups").at(0).at("contenders")) {
      if (candidate.at("name") == name) {
        return candidate;
      }
    }
    return nullptr;
  }
};

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
                                                       {"file", "--size", "much"}};
  for (const auto& words : wrong) {
    const auto output = bench(words);
    ASSERT_FALSE(output);
    EXPECT_THAT(output.error(), HasSubstr("exit status 2"));
  }
}

TEST_F(BenchCommandTest, a_target_inside_the_source_is_refused) {
  write(path("source") / "a", "first");
  const auto output = bench({"trees", "--source", path("source"), "--to", path("source")});
  ASSERT_FALSE(output);
  EXPECT_THAT(output.error(), HasSubstr("is inside the source"));
}

TEST_F(BenchCommandTest, too_little_space_is_said_before_anything_is_written) {
  const auto output = bench({"file", "--size", "8T"});
  ASSERT_FALSE(output);
  EXPECT_THAT(output.error(), HasSubstr("not enough space"));
}

}  // namespace
}  // namespace ferry::bench
