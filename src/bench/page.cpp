#include "bench/page.hpp"

#include "bench/report_json.hpp"

namespace ferry::bench {
namespace {

constexpr std::string_view reports_mark = "/*REPORTS*/";

// JSON for a <script> element: there only "<" could end it or begin a comment, and JSON has "<" in texts only.
std::string without_markup(std::string_view json) {
  std::string text;
  text.reserve(json.size());
  for (const char byte : json) {
    if (byte == '<') {
      text += "\\u003c";
    } else {
      text += byte;
    }
  }
  return text;
}

}  // namespace

Outcome<std::string> to_page(std::span<const Report> reports, std::string_view page) {
  const std::size_t mark = page.find(reports_mark);
  if (mark == std::string_view::npos) {
    return std::unexpected(
        "this ferry was built without the page: install npm (Debian: apt-get install nodejs npm) and build again with "
        "./dev build");
  }
  std::string list;
  for (const Report& report : reports) {
    list += (list.empty() ? "[" : ",") + to_json(report);
  }
  std::string text(page.substr(0, mark));
  text += without_markup(list.empty() ? "[" : list) + ']';
  text += page.substr(mark + reports_mark.size());
  return text;
}

}  // namespace ferry::bench
