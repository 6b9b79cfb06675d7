// Reports as JSON documents: written, and read back. docs/bench-json.md describes every field.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "bench/outcome.hpp"
#include "bench/report.hpp"

namespace ferry::bench {

/// Version of the JSON document; raised when a field changes its meaning or goes away.
inline constexpr int json_schema_version = 2;

/// All raw figures, and the statistics that follow from them, for readers that have none of their own.
[[nodiscard]] std::string to_json(const Report& report);

/// The report in the document; the statistics in it are not read, since the raw figures give them again. Fails with a
/// line that names the place ("groups[0].contenders[1].runs[2].wall_ns") on what is no such document, another version,
/// a missing field, or a figure that cannot be.
[[nodiscard]] Outcome<Report> report_from_json(std::string_view text);

/// Reads the file; failures name it. A document of more than 64 MiB is refused.
[[nodiscard]] Outcome<Report> read_report(const std::filesystem::path& path);

/// The files as they are; of a directory, its *.json files in the order of their names. Fails if there is none.
[[nodiscard]] Outcome<std::vector<std::filesystem::path>> report_files(const std::filesystem::path& path);

}  // namespace ferry::bench
