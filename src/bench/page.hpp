// Reports as one HTML file with charts, which needs nothing else: no network, no other file.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "bench/outcome.hpp"
#include "bench/report.hpp"

namespace ferry::bench {

/// The page without a report, made of src/bench/html when ferry was built; empty if npm's packages were missing then.
extern const std::string_view page_template;

/// The page with the reports. Fails, and says what to install, if this program was built without the page.
[[nodiscard]] Outcome<std::string> to_page(std::span<const Report> reports, std::string_view page = page_template);

}  // namespace ferry::bench
