#include "bench/saved.hpp"

#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/comparison.hpp"
#include "bench/markdown.hpp"
#include "bench/output.hpp"
#include "bench/overview.hpp"
#include "bench/page.hpp"
#include "bench/report_json.hpp"
#include "bench/table.hpp"

namespace ferry::bench {
namespace {

int refuse(const std::string& message) {
  fmt::print(stderr, "ferry bench: {}\n", message);
  return 2;
}

// "15%" and "15" are 0.15.
std::optional<double> parse_percent(std::string_view text) {
  if (text.ends_with('%')) {
    text.remove_suffix(1);
  }
  double percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
  const bool possible = percent >= 0 && percent <= 1000;  // NaN is not
  if (error != std::errc() || end != text.data() + text.size() || !possible) {
    return std::nullopt;
  }
  return percent / 100;
}

std::string check_percent(const std::string& text) {
  return parse_percent(text) ? "" : "a threshold is from 0% to 1000%: " + text;
}

// One report of the file, or of all the files in the directory.
Outcome<Report> read_side(const std::string& path) {
  const auto files = report_files(path);
  if (!files) {
    return std::unexpected(files.error());
  }
  std::vector<Report> reports;
  for (const std::filesystem::path& file : *files) {
    auto report = read_report(file);
    if (!report) {
      return report;
    }
    reports.push_back(std::move(*report));
  }
  auto all = joined(reports);
  if (!all) {
    return std::unexpected(ferry::quoted(path) + ": " + all.error());
  }
  return all;
}

/// A report, and the name of its file without folder and ".json".
struct Saved {
  std::string name;
  Report report;
};

Outcome<std::vector<Saved>> read_all(const std::vector<std::string>& paths) {
  std::vector<Saved> all;
  for (const std::string& path : paths) {
    const auto files = report_files(path);
    if (!files) {
      return std::unexpected(files.error());
    }
    for (const std::filesystem::path& file : *files) {
      auto report = read_report(file);
      if (!report) {
        return std::unexpected(report.error());
      }
      all.push_back({.name = file.stem(), .report = std::move(*report)});
    }
  }
  return all;
}

bool is_timed(const Report& report) {
  for (const Group& group : report.groups) {
    for (const ContenderResult& contender : group.result.contenders) {
      if (!group.deterministic && !contender.runs.empty()) {
        return true;
      }
    }
  }
  return false;
}

void print_reports(const std::vector<Saved>& all, const std::vector<Report>& reports, const ReportArguments& arguments,
                   const TableStyle& style) {
  if (arguments.summary) {
    fmt::print("{}", summary_markdown(reports));
  } else if (arguments.markdown) {
    for (const Saved& saved : all) {
      // An overview has a line for each job, and no picture of all.
      const bool charted = !arguments.charts.empty() && is_timed(saved.report) && published_by(saved.report).empty();
      const std::string chart = charted ? fmt::format("{}/{}.svg", arguments.charts, saved.name) : "";
      fmt::print("{}", to_markdown(saved.report, chart));
    }
  } else if (arguments.html_file.empty()) {
    for (const Saved& saved : all) {
      fmt::print("{}{}", &saved == &all.front() ? "" : "\n", to_table(saved.report, style));
    }
  }
}

}  // namespace

CLI::App* add_compare(CLI::App& app, CompareArguments& arguments) {
  CLI::App* const compare = app.add_subcommand(
      "compare",
      "Compare two saved measurements; exit status 1 if ferry got slower by more than the threshold and the "
      "noise, or a count that does not depend on the machine went up");
  compare
      ->add_option("BASE", arguments.base,
                   "JSON of --json before the change; or a directory of such files, whose "
                   "runs are put together")
      ->required()
      ->type_name("");
  compare->add_option("HEAD", arguments.head, "The same after the change")->required()->type_name("");
  compare->add_option("--threshold", arguments.threshold, "By how much a median may grow")
      ->check(CLI::Validator(check_percent, "PERCENT"))
      ->type_name("")
      ->capture_default_str();
  compare->add_option("--fail-on", arguments.fail_on, "What makes the exit status 1: any regression, or only counts")
      ->check(CLI::IsMember({"any", "counts"}))
      ->capture_default_str();
  compare
      ->add_option("--json", arguments.json_file,
                   "Print JSON instead of the table; with a FILE, write it there besides the table")
      ->expected(0, 1)
      ->type_name("[FILE]");
  return compare;
}

int run_compare(const CompareArguments& arguments, const TableStyle& style) {
  const auto base = read_side(arguments.base);
  if (!base) {
    return refuse(base.error());
  }
  const auto head = read_side(arguments.head);
  if (!head) {
    return refuse(head.error());
  }
  const auto comparison = compare(*base, *head, parse_percent(arguments.threshold).value_or(0));
  if (!comparison) {
    return refuse(comparison.error());
  }
  if (arguments.json && arguments.json_file.empty()) {
    fmt::print("{}", to_json(*comparison));
  } else {
    fmt::print("{}", to_table(*comparison, style));
  }
  if (!arguments.json_file.empty()) {
    if (const auto written = write_file(arguments.json_file, to_json(*comparison)); !written) {
      return refuse(written.error());
    }
  }
  return comparison->failed(arguments.fail_on == "counts" ? FailOn::counts : FailOn::any) ? 1 : 0;
}

CLI::App* add_report(CLI::App& app, ReportArguments& arguments) {
  CLI::App* const report = app.add_subcommand("report", "Show saved measurements as tables, as a page, as Markdown");
  report->add_option("FILE", arguments.files, "JSON of --json, or directories of such files")
      ->required()
      ->type_name("");
  report->add_option("--html", arguments.html_file, "Write a page with charts to FILE")->type_name("FILE");
  auto* const markdown = report->add_flag("--markdown", arguments.markdown, "Print a Markdown section for each");
  report->add_flag("--summary", arguments.summary, "Print one Markdown table of all: a line per job")
      ->excludes(markdown);
  report->add_option("--charts", arguments.charts, "With --markdown: show the image DIR/NAME.svg of NAME.json")
      ->needs(markdown)
      ->type_name("DIR");
  return report;
}

int run_report(const ReportArguments& arguments, const TableStyle& style) {
  const auto all = read_all(arguments.files);
  if (!all) {
    return refuse(all.error());
  }
  std::vector<Report> reports;
  reports.reserve(all->size());
  for (const Saved& saved : *all) {
    reports.push_back(saved.report);
  }
  print_reports(*all, reports, arguments, style);
  if (!arguments.html_file.empty()) {
    const auto page = to_page(reports);
    const auto written = page ? write_file(arguments.html_file, *page) : std::unexpected(page.error());
    if (!written) {
      return refuse(written.error());
    }
  }
  return 0;
}

}  // namespace ferry::bench
