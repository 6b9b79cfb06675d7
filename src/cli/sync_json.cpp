// The JSON half of sync_output.hpp.
#include <array>
#include <utility>

#include "cli/json_fields.hpp"
#include "cli/sync_output.hpp"

namespace ferry::cli {
namespace {

constexpr auto change_names = std::to_array<std::pair<SyncChange, std::string_view>>({
    {SyncChange::content, "content"},
    {SyncChange::size, "size"},
    {SyncChange::time, "time"},
    {SyncChange::time_now, "time_now"},
    {SyncChange::mode, "mode"},
    {SyncChange::owner, "owner"},
    {SyncChange::group, "group"},
    {SyncChange::atime, "atime"},
    {SyncChange::acl, "acl"},
    {SyncChange::xattr, "xattr"},
});

void add_error(Json& to, const Error& error) {
  to["message"] = error.to_string();
  to["errno"] = errno_word(error.errno_value());
  to["operation"] = error.operation;
  add_name(to, "path", error.path);
}

Json counts(const SyncReport::Counts& of) {
  return {{"regular", of.regular},
          {"directories", of.directories},
          {"symlinks", of.symlinks},
          {"devices", of.devices},
          {"specials", of.specials}};
}

}  // namespace

std::string json_event(const SyncEvent& event) {
  const bool is_attributes = event.action == SyncAction::none && event.changes != 0;
  Json line = {{"event", is_attributes ? "attributes" : to_string(event.action)}};
  add_name(line, "path", event.path);
  line["type"] = ferry::to_string(event.type);
  line["itemized"] = itemized(event);
  line["new"] = event.is_new;
  Json changes = Json::array();
  for (const auto& [change, name] : change_names) {
    if (event.has(change)) {
      changes.push_back(name);
    }
  }
  line["changes"] = changes;
  if (!event.link_target.empty()) {
    add_name(line, "link_target", event.link_target);
  }
  if (!event.source_path.empty()) {
    add_name(line, "source", event.source_path);
  }
  if (event.action == SyncAction::transferred) {
    line["file_size_bytes"] = event.size_bytes;
    line["bytes_written"] = event.bytes_written;
    if (event.report != nullptr) {
      add_report(line, *event.report);
    }
  }
  return one_line(line);
}

std::string json_error(const SyncError& error) {
  Json line = {{"event", "error"}, {"problem", to_string(error.problem)}};
  add_error(line, error.error);
  return one_line(line);
}

std::string json_failure(const SyncFailure& failure) {
  Json line = {{"event", "failure"}, {"exit_status", static_cast<int>(failure.exit)}};
  add_error(line, failure.error);
  return one_line(line);
}

std::string json_summary(const SyncReport& report, bool dry_run) {
  Json line = {{"event", "summary"},
               {"exit_status", static_cast<int>(report.exit)},
               {"dry_run", dry_run},
               {"found", counts(report.found)},
               {"created", counts(report.created)},
               {"deleted", counts(report.deleted)},
               {"transferred_files", report.transferred_files},
               {"total_size_bytes", report.total_size_bytes},
               {"transferred_size_bytes", report.transferred_size_bytes},
               {"literal_bytes", report.literal_bytes},
               {"matched_bytes", report.matched_bytes},
               {"deletions_skipped", report.deletions_skipped},
               {"errors", report.errors},
               {"seconds", std::chrono::duration<double>(report.elapsed).count()}};
  Json data = Json::object();
  add_report(data, report.data);
  line["data"] = data;
  return one_line(line);
}

}  // namespace ferry::cli
