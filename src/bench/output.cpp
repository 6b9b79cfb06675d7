#include "bench/output.hpp"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <ferry/base.hpp>

#include "bench/page.hpp"
#include "bench/report_json.hpp"
#include "bench/table.hpp"

namespace ferry::bench {
namespace {

Outcome<void> check_writable(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return failed("cannot write " + ferry::quoted(path.native()), EISDIR);
  }
  const bool exists = std::filesystem::exists(path, error);
  const auto parent = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  if (::access(exists ? path.c_str() : parent.c_str(), W_OK) != 0) {
    return failed("cannot write " + ferry::quoted(path.native()), errno);
  }
  return {};
}

}  // namespace

void add_output(CLI::App& suite, OutputOptions& options) {
  suite
      .add_option("--json", options.json_file,
                  "Print JSON instead of the table; with a FILE, write it there besides the table")
      ->expected(0, 1)
      ->type_name("[FILE]");
  suite.add_option("--html", options.html_file, "Write a page with charts to FILE, besides")->type_name("FILE");
  suite.add_option("--title", options.title, "What the report calls the measurement")->type_name("TEXT");
}

Outcome<void> check_output(const OutputOptions& options) {
  if (!options.html_file.empty()) {
    if (auto page = to_page({}); !page) {
      return std::unexpected("--html: " + page.error());
    }
  }
  for (const std::string& file : {options.json_file, options.html_file}) {
    if (!file.empty()) {
      if (auto writable = check_writable(file); !writable) {
        return writable;
      }
    }
  }
  return {};
}

Outcome<void> write_report(const Report& report, const OutputOptions& options) {
  if (options.json && options.json_file.empty()) {
    fmt::print("{}", to_json(report));
  } else {
    fmt::print("{}", to_table(report, options.style));
  }
  if (!options.json_file.empty()) {
    if (auto written = write_file(options.json_file, to_json(report)); !written) {
      return written;
    }
  }
  if (!options.html_file.empty()) {
    const auto page = to_page({&report, 1});
    return page ? write_file(options.html_file, *page) : std::unexpected(page.error());
  }
  return {};
}

Outcome<void> write_file(const std::string& path, const std::string& text) {
  errno = 0;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) {
    return failed("cannot write " + ferry::quoted(path), errno);
  }
  return {};
}

}  // namespace ferry::bench
