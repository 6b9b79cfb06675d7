// `ferry bench compare` and `ferry bench report`: what is done with saved measurements.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "bench/text_table.hpp"

namespace ferry::bench {

struct CompareArguments {
  std::string base;
  std::string head;
  std::string threshold = "15%";
  std::string fail_on = "any";
  bool json = false;  ///< --json was given.
  std::string json_file;
};
CLI::App* add_compare(CLI::App& app, CompareArguments& arguments);
/// Prints the changes. The exit status: 0; 1 if ferry regressed; 2 if the two cannot be compared.
[[nodiscard]] int run_compare(const CompareArguments& arguments, const TableStyle& style);

struct ReportArguments {
  std::vector<std::string> files;
  std::string html_file;
  bool markdown = false;
  bool summary = false;
  std::string charts;  ///< With markdown: where the image FILE.svg of FILE.json is; empty for no images.
};
CLI::App* add_report(CLI::App& app, ReportArguments& arguments);
/// Prints the saved reports in the form asked for. The exit status: 0, or 2 if one cannot be read or written.
[[nodiscard]] int run_report(const ReportArguments& arguments, const TableStyle& style);

}  // namespace ferry::bench
