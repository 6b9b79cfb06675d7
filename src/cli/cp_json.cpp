// The JSON half of cp_messages.hpp.
#include "cli/cp_messages.hpp"
#include "cli/json_fields.hpp"

namespace ferry::cli {

std::string json_event(const TreeEvent& event) {
  Json line = {{"event", to_string(event.kind)}};
  add_name(line, "source", event.source);
  add_name(line, "destination", event.destination);
  if (!event.backup.empty()) {
    add_name(line, "backup", event.backup);
  }
  if (event.report != nullptr) {
    if (const auto method = event.report->method()) {
      line["method"] = ferry::to_string(*method);
    }
    add_report(line, *event.report);
  }
  return one_line(line);
}

std::string json_error(const TreeError& error, std::string_view message) {
  Json line = {{"event", "error"}, {"problem", to_string(error.problem)}, {"message", message}};
  if (error.error.errno_value() != 0) {
    line["errno"] = errno_word(error.error.errno_value());
    line["operation"] = error.error.operation;
  }
  add_name(line, "source", error.source);
  add_name(line, "destination", error.destination);
  return one_line(line);
}

std::string json_summary(const TreeReport& report, int status, int signal, bool dry_run) {
  Json line = {{"event", "summary"},
               {"exit_status", status},
               {"dry_run", dry_run},
               {"regular_files", report.regular_files},
               {"directories", report.directories},
               {"symlinks", report.symlinks},
               {"hard_links", report.hard_links},
               {"special_files", report.special_files},
               {"skipped", report.skipped},
               {"errors", report.errors},
               {"seconds", std::chrono::duration<double>(report.elapsed).count()}};
  if (signal != 0) {
    line["signal"] = signal;
  }
  add_report(line, report.data);
  return one_line(line);
}

}  // namespace ferry::cli
