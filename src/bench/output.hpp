// Where a report goes: the options that all suites share, and what follows from them.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "bench/outcome.hpp"
#include "bench/report.hpp"
#include "bench/text_table.hpp"

namespace ferry::bench {

struct OutputOptions {
  bool json = false;      ///< --json was given.
  std::string json_file;  ///< Empty: standard output, instead of the table.
  std::string html_file;  ///< Empty: none.
  std::string title;      ///< Report::title
  TableStyle style;       ///< Of standard output.
};

/// Adds --json, --html and --title to the suite.
void add_output(CLI::App& suite, OutputOptions& options);

/// What is wrong with the options and should not come out after an hour of measuring: a file that cannot be written, or
/// a page that this ferry does not have.
[[nodiscard]] Outcome<void> check_output(const OutputOptions& options);

/// Writes the report to every place asked for.
[[nodiscard]] Outcome<void> write_report(const Report& report, const OutputOptions& options);

/// Writes the text to the file; nothing of an old one is left.
[[nodiscard]] Outcome<void> write_file(const std::string& path, const std::string& text);

}  // namespace ferry::bench
