#include "bench/report_json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "bench/sample_report.hpp"
#include "bench/scratch.hpp"
#include "bench/table.hpp"

namespace ferry::bench {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(ReportJson, holds_runs_summaries_failures_and_the_missing) {
  const auto document = json::parse(to_json(sample_report()));
  EXPECT_EQ(document.at("schema"), 2);
  EXPECT_EQ(document.at("machine").at("cores"), 2);
  const auto& group = document.at("groups").at(0);
  const auto& contenders = group.at("contenders");
  EXPECT_EQ(contenders.at(0).at("status"), "ok");
  EXPECT_EQ(contenders.at(0).at("runs").size(), 3U);
  EXPECT_DOUBLE_EQ(contenders.at(0).at("wall_seconds").at("median").get<double>(), 0.011);
  EXPECT_DOUBLE_EQ(contenders.at(1).at("time_ratio_to_ferry").at("value").get<double>(), 2.0);
  EXPECT_EQ(contenders.at(2).at("status"), "failed");
  EXPECT_FALSE(contenders.at(2).contains("wall_seconds"));
  EXPECT_EQ(group.at("missing").at(0).at("name"), "bun cpSync");
}

TEST(ReportJson, stays_valid_with_paths_that_are_not_utf8) {
  Report report = sample_report();
  report.facts.push_back({"target", "/tmp/\xff\xfe"});
  EXPECT_TRUE(json::accept(to_json(report)));
  EXPECT_TRUE(report_from_json(to_json(report)));
}

// Everything there is, so that a field forgotten by the writer or the reader is found.
Report full_report() {
  Report report = sample_report();
  report.title = "a title";
  report.interrupted = true;
  Group& group = report.groups[0];
  group.facts = {{"size", "1.0 MiB"}, {"method", "reflink"}};
  group.units_per_run = 12.5;
  group.unit = "MiB";
  group.time_per_unit = true;
  group.size_bytes = 1U << 20U;
  group.counted = "system calls per copy";
  group.result.interrupted = true;
  group.result.contenders[0].counts = {{"read", 1.25}, {"openat", 1.0 / 3}};
  Cost& run = group.result.contenders[1].runs[2];
  run.tree_rss_bytes = 11;
  run.device_bytes_written = 12;
  run.voluntary_switches = 13;
  run.involuntary_switches = 14;
  run.cache = {.loads = 15, .stores = 16, .misses = 17};
  group.published = {{.name = "somebody", .least_seconds = 1e-9, .most_seconds = 2.5e-9}};
  Group counts = sample_counts(4).groups[0];
  report.groups.push_back(counts);
  return report;
}

TEST(ReportJson, comes_back_as_it_was_written) {
  const std::string written = to_json(full_report());
  const auto report = report_from_json(written);
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ(to_json(*report), written);
  EXPECT_EQ(to_table(*report), to_table(full_report()));
  const Cost& run = report->groups[0].result.contenders[1].runs[2];
  EXPECT_EQ(run.wall, std::chrono::milliseconds(21));
  EXPECT_EQ(run.cache.misses, 17U);
  EXPECT_EQ(report->groups[0].result.contenders[0].counts[1].per_unit, 1.0 / 3);
  EXPECT_EQ(report->groups[1].deterministic, true);
}

TEST(ReportJson, every_truncation_is_refused) {
  const std::string whole = to_json(full_report());
  for (std::size_t size = 0; size < whole.size() - 2; size += 7) {
    EXPECT_FALSE(report_from_json(whole.substr(0, size))) << size;
  }
  EXPECT_EQ(report_from_json(whole.substr(0, 500)).error(), "not JSON, or cut off");
}

TEST(ReportJson, what_ferry_bench_has_not_written_is_refused) {
  for (const char* text : {"[]", "{}", "12", "null", R"({"schema": 2})", R"({"groups": []})", R"({"type":"entry"})"}) {
    const auto report = report_from_json(text);
    ASSERT_FALSE(report) << text;
    EXPECT_EQ(report.error(), "this JSON was not written by ferry bench --json") << text;
  }
}

TEST(ReportJson, another_version_is_refused_and_named) {
  for (const char* schema : {"1", "3", "\"2\"", "2.5", "null", "-1", "99999999999999999999"}) {
    const auto report = report_from_json(R"({"ferry_version": "9", "schema": )" + std::string(schema) + "}");
    ASSERT_FALSE(report) << schema;
    EXPECT_THAT(report.error(), HasSubstr("this ferry reads 2")) << schema;
  }
  EXPECT_THAT(report_from_json(R"({"ferry_version": "0.1.0", "schema": 1})").error(), StartsWith("its schema is 1,"));
}

struct Damage {
  const char* pointer;  ///< JSON pointer (RFC 6901)
  json value;           ///< What is put there; a discarded value removes it.
  const char* error;
};

TEST(ReportJson, what_cannot_be_is_refused_with_its_place) {
  const json none(json::value_t::discarded);
  const char* const run = "groups[0].contenders[1].runs[2].";
  const std::vector<Damage> all = {
      {"/groups", none, "groups is missing"},
      {"/groups", 1, "groups is not an array"},
      {"/groups/0", 1, "groups[0] is not an object"},
      {"/machine", none, "machine is missing"},
      {"/machine/cores", 0, "machine.cores is not a whole number from 1"},
      {"/machine/cores", 1.5, "machine.cores is not a whole number"},
      {"/machine/load_1_minute", -1, "machine.load_1_minute is not a number from 0"},
      {"/suite", 7, "suite is not a text"},
      {"/interrupted", "no", "interrupted is neither true nor false"},
      {"/facts", json::array(), "facts is not an object"},
      {"/facts/source", 1, "facts.source is not a text"},
      {"/groups/0/units_per_run", 0, "groups[0].units_per_run is not over 0"},
      {"/groups/0/units_per_run", -3, "groups[0].units_per_run is not a number from 0"},
      {"/groups/0/size_bytes", 0, "groups[0].size_bytes is not a whole number from 1"},
      {"/groups/0/contenders", json::array(), "groups[0].contenders is empty"},
      {"/groups/0/contenders/1/name", "ferry cp", "groups[0].contenders holds twice: 'ferry cp'"},
      {"/groups/0/contenders/1/name", "", "groups[0].contenders holds one without a name"},
      {"/groups/1/name", "job", "groups holds twice: 'job'"},
      {"/groups/0/contenders/0/status", "fine", "status is none of ok, failed, not measured"},
      {"/groups/0/contenders/1/runs", json::array(), "status contradicts the runs"},
      {"/groups/0/contenders/2/error", none, "groups[0].contenders[2].error is missing"},
      {"/groups/0/contenders/0/counts/read", -1, "counts.read is not a number from 0"},
      {"/groups/0/contenders/1/runs/2/wall_ns", 0, "wall_ns is not a whole number from 1"},
      {"/groups/0/contenders/1/runs/2/wall_ns", -5, "wall_ns is not a whole number"},
      {"/groups/0/contenders/1/runs/2/wall_ns", 1e300, "wall_ns is not a whole number"},
      {"/groups/0/contenders/1/runs/2/wall_ns", 9'000'000'000'000'000'000U, "wall_ns is not a whole number"},
      {"/groups/0/contenders/1/runs/2/wall_ns", none, "wall_ns is missing"},
      {"/groups/0/contenders/1/runs/2/max_rss_bytes", 1e17, "max_rss_bytes is not a whole number"},
      {"/groups/0/contenders/1/runs/2/cache_misses", "17", "cache_misses is not a whole number"},
      {"/groups/0/missing/0/package", none, "groups[0].missing[0].package is missing"}};
  for (const Damage& damage : all) {
    json document = json::parse(to_json(full_report()));
    const json::json_pointer place(damage.pointer);
    if (damage.value.is_discarded()) {
      document.at(place.parent_pointer()).erase(place.back());
    } else {
      document.at(place) = damage.value;
    }
    const auto report = report_from_json(document.dump());
    ASSERT_FALSE(report) << damage.pointer;
    EXPECT_THAT(report.error(), HasSubstr(damage.error)) << damage.pointer;
    if (std::string(damage.pointer).find("/runs/2/") != std::string::npos) {
      EXPECT_THAT(report.error(), StartsWith(run)) << damage.pointer;
    }
  }
}

TEST(ReportJson, numbers_beyond_floating_point_are_refused) {
  std::string document = to_json(sample_report());
  document.replace(document.find("\"load_1_minute\": 0.5"), 20, "\"load_1_minute\": 1e999");
  EXPECT_FALSE(report_from_json(document));
}

TEST(ReportJson, deep_nesting_is_refused_without_a_crash) {
  EXPECT_FALSE(report_from_json(std::string(1'000'000, '[')));
  EXPECT_FALSE(report_from_json(std::string(100'000, '[') + std::string(100'000, ']')));
}

class ReportFileTest : public ScratchTest {};

TEST_F(ReportFileTest, failures_name_the_file) {
  EXPECT_THAT(read_report(path("none")).error(), HasSubstr("none': No such file or directory"));
  write(path("text.json"), "hello");
  EXPECT_THAT(read_report(path("text.json")).error(), HasSubstr("text.json': not JSON, or cut off"));
  write(path("empty.json"), "");
  EXPECT_THAT(read_report(path("empty.json")).error(), HasSubstr("empty.json': not JSON, or cut off"));
  EXPECT_THAT(read_report(path("")).error(), HasSubstr("Is a directory"));
}

TEST_F(ReportFileTest, endless_files_are_refused) {
  EXPECT_THAT(read_report("/dev/zero").error(), HasSubstr("too large for a report"));
}

TEST_F(ReportFileTest, a_directory_stands_for_its_documents_in_the_order_of_their_names) {
  for (const char* name : {"b.json", "a.json", "notes.txt"}) {
    write(path("runs") / name, to_json(sample_report()));
  }
  const auto files = report_files(path("runs"));
  ASSERT_TRUE(files) << files.error();
  EXPECT_EQ(*files, (std::vector{path("runs") / "a.json", path("runs") / "b.json"}));
  std::filesystem::create_directory(path("empty"));
  EXPECT_THAT(report_files(path("empty")).error(), StartsWith("no *.json in"));
}

}  // namespace
}  // namespace ferry::bench
