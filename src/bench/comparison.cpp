#include "bench/comparison.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include <fmt/format.h>
#include <ferry/base.hpp>
#include <nlohmann/json.hpp>

#include "bench/quantities.hpp"
#include "bench/statistics.hpp"

namespace ferry::bench {
namespace {

template <typename List>
const typename List::value_type* find_named(const List& list, const std::string& name) {
  const auto found = std::ranges::find_if(list, [&](const auto& each) { return each.name == name; });
  return found == list.end() ? nullptr : &*found;
}

std::optional<double> shown_median(const Group& group, const ContenderResult& contender) {
  if (contender.runs.empty()) {
    return std::nullopt;
  }
  return median(wall_seconds(contender)) / shown_units(group);
}

Verdict verdict_on(const Ratio& ratio, double threshold) {
  if (!ratio.confidence) {
    return Verdict::undecided;
  }
  if (ratio.value > 1 + threshold && ratio.confidence->low > 1) {
    return Verdict::regressed;
  }
  if (ratio.value < 1 / (1 + threshold) && ratio.confidence->high < 1) {
    return Verdict::improved;
  }
  return Verdict::unchanged;
}

/// One group of both sides.
struct Pair {
  const Group& base;
  const Group& head;
  double threshold;
};

Change times_change(const Pair& pair, const ContenderResult& base, const ContenderResult& head, Change change) {
  change.base = shown_median(pair.base, base);
  change.head = shown_median(pair.head, head);
  change.ratio = ratio_of_medians(wall_seconds(head), wall_seconds(base));
  if (!change.ratio) {
    change.verdict = Verdict::absent;
    change.remark = "not measured";
  } else {
    change.verdict = verdict_on(*change.ratio, pair.threshold);
  }
  return change;
}

// A process makes a few calls now and then that are of no one file, as when an allocator gives memory back: less than
// one in a hundred files is no change.
constexpr double count_noise = 0.01;

bool same_count(double a, double b) { return std::abs(a - b) < count_noise; }

Change count_change(const Count* base, const Count* head, Change change) {
  change.counted = base != nullptr ? base->name : head->name;
  change.base = base != nullptr ? base->per_unit : 0;  // what is not listed did not happen
  change.head = head != nullptr ? head->per_unit : 0;
  if (*change.base > 0) {
    change.ratio = Ratio{.value = *change.head / *change.base};
  }
  if (same_count(*change.base, *change.head)) {
    change.verdict = Verdict::unchanged;
  } else {
    change.verdict = *change.head > *change.base ? Verdict::regressed : Verdict::improved;
  }
  return change;
}

// Where all calls are counted, one kind of call for another is no regression.
void let_the_sum_decide(std::span<Change> counts) {
  if (std::ranges::find(counts, "all", &Change::counted) == counts.end()) {
    return;
  }
  for (Change& change : counts) {
    if (change.counted != "all") {
      change.verdict = Verdict::part;
    }
  }
}

void add_counts(const ContenderResult& base, const ContenderResult& head, const Change& named,
                std::vector<Change>& changes) {
  const std::size_t first = changes.size();
  for (const Count& count : base.counts) {
    changes.push_back(count_change(&count, find_named(head.counts, count.name), named));
  }
  for (const Count& count : head.counts) {
    if (find_named(base.counts, count.name) == nullptr) {
      changes.push_back(count_change(nullptr, &count, named));
    }
  }
  let_the_sum_decide(std::span(changes).subspan(first));
}

bool is_measured(const ContenderResult& contender) {
  return contender.failure.empty() && (!contender.runs.empty() || !contender.counts.empty());
}

void add_contender(const Pair& pair, const ContenderResult& base, const ContenderResult& head, Change named,
                   std::vector<Change>& changes) {
  if (!base.failure.empty() || !head.failure.empty()) {
    const bool newly = base.failure.empty() && is_measured(base);
    named.verdict = newly ? Verdict::broken : Verdict::absent;
    named.remark = (newly ? "fails now: " : "failed before: ") + (newly ? head.failure : base.failure);
    changes.push_back(named);
  } else if (pair.base.deterministic) {
    add_counts(base, head, named, changes);
  } else {
    changes.push_back(times_change(pair, base, head, named));
  }
}

// Empty if a run of one is the same work as a run of the other.
std::string inequality(const Group& base, const Group& head) {
  if (base.deterministic != head.deterministic || base.counted != head.counted) {
    return "not the same measurement";
  }
  if (base.unit != head.unit || base.units_per_run != head.units_per_run || base.time_per_unit != head.time_per_unit ||
      base.size_bytes != head.size_bytes) {
    return fmt::format("not the same work: {} {} a run, now {} {}", base.units_per_run, base.unit, head.units_per_run,
                       head.unit);
  }
  return {};
}

void add_group(const Pair& pair, std::vector<Change>& changes) {
  const std::string wrong = inequality(pair.base, pair.head);
  const auto& before = pair.base.result.contenders;
  const auto& after = pair.head.result.contenders;
  for (std::size_t i = 0; i < before.size(); ++i) {
    Change named{.group = pair.base.name, .contender = before[i].name, .of_ferry = is_ferry(pair.base, i)};
    const ContenderResult* const head = find_named(after, before[i].name);
    if (head == nullptr || !wrong.empty()) {
      named.verdict = head == nullptr ? Verdict::absent : Verdict::unequal;
      named.remark = head == nullptr ? "only in base" : wrong;
      changes.push_back(named);
    } else {
      add_contender(pair, before[i], *head, named, changes);
    }
  }
  for (const ContenderResult& contender : after) {
    if (find_named(before, contender.name) == nullptr) {
      changes.push_back({.group = pair.base.name, .contender = contender.name, .remark = "only in head"});
    }
  }
}

void add_facts(const std::vector<Fact>& base, const std::vector<Fact>& head, const std::string& where,
               std::vector<std::string>& notes) {
  for (const Fact& fact : base) {
    const Fact* const other = find_named(head, fact.name);
    if (other != nullptr && other->value != fact.value) {
      notes.push_back(fmt::format("{}{} differs: {}; now {}", where, fact.name, fact.value, other->value));
    }
  }
}

std::vector<std::string> notes_on(const Report& base, const Report& head) {
  std::vector<std::string> notes;
  if (describe(base.machine) != describe(head.machine)) {
    notes.push_back(fmt::format("not the same machine, times mean little: {}; now {}", describe(base.machine),
                                describe(head.machine)));
  }
  add_facts(base.facts, head.facts, "", notes);
  for (const Group& group : base.groups) {
    if (const Group* const other = find_named(head.groups, group.name)) {
      add_facts(group.facts, other->facts, group.name + ": ", notes);
    }
  }
  if (base.interrupted || head.interrupted) {
    notes.push_back(fmt::format("{} was interrupted: fewer rounds than asked for", base.interrupted ? "base" : "head"));
  }
  return notes;
}

// When the rivals, which did not change, got slower or faster, it was the machine.
void note_rivals(Comparison& comparison) {
  const auto moved = std::ranges::find_if(comparison.changes, [](const Change& change) {
    return !change.of_ferry && change.counted.empty() &&
           (change.verdict == Verdict::regressed || change.verdict == Verdict::improved);
  });
  if (moved != comparison.changes.end()) {
    comparison.notes.push_back(
        fmt::format("{} changed too: it may be the machine, not ferry", ferry::quoted(moved->contender)));
  }
}

bool is_comparison(const Change& change) {
  return change.verdict == Verdict::broken || (change.base && change.head && change.verdict != Verdict::absent);
}

// The name of a count that is not the same in both; empty if there is none.
std::string changing_count(const std::vector<Count>& some, const std::vector<Count>& others) {
  const auto value_in = [](const std::vector<Count>& counts, const std::string& name) {
    const Count* const count = find_named(counts, name);
    return count != nullptr ? count->per_unit : 0;
  };
  for (const auto* const counts : {&some, &others}) {
    for (const Count& count : *counts) {
      if (!same_count(value_in(some, count.name), value_in(others, count.name))) {
        return count.name;
      }
    }
  }
  return {};
}

// Appends the runs of `more` to those of `so_far`; of counts, which must be the same every time, keeps one. Counts that
// are not are an error.
Outcome<void> append(const ContenderResult& more, const Group& group, ContenderResult& so_far) {
  if (!so_far.failure.empty()) {
    return {};
  }
  if (!more.failure.empty()) {
    so_far.failure = more.failure;
    so_far.runs.clear();
    so_far.counts.clear();
    return {};
  }
  so_far.runs.insert(so_far.runs.end(), more.runs.begin(), more.runs.end());
  const std::string changing = group.deterministic ? changing_count(so_far.counts, more.counts) : "";
  if (!changing.empty()) {
    return std::unexpected(fmt::format("{}: {}: {}: counts that should not change differ from run to run",
                                       ferry::quoted(group.name), ferry::quoted(more.name), ferry::quoted(changing)));
  }
  return {};
}

Outcome<void> append(const Group& more, Group& so_far) {
  if (const std::string wrong = inequality(so_far, more); !wrong.empty()) {
    return std::unexpected(ferry::quoted(more.name) + ": " + wrong);
  }
  for (const ContenderResult& contender : more.result.contenders) {
    const auto own = std::ranges::find(so_far.result.contenders, contender.name, &ContenderResult::name);
    if (own == so_far.result.contenders.end()) {
      return std::unexpected(
          fmt::format("{}: {} is not in every run", ferry::quoted(more.name), ferry::quoted(contender.name)));
    }
    if (auto done = append(contender, so_far, *own); !done) {
      return done;
    }
  }
  so_far.result.interrupted = so_far.result.interrupted || more.result.interrupted;
  return {};
}

Outcome<void> append(const Report& more, Report& so_far) {
  if (more.suite != so_far.suite || more.groups.size() != so_far.groups.size()) {
    return std::unexpected(fmt::format("runs of different measurements: {}; and {}", so_far.command, more.command));
  }
  for (const Group& group : more.groups) {
    const auto own = std::ranges::find(so_far.groups, group.name, &Group::name);
    if (own == so_far.groups.end()) {
      return std::unexpected(ferry::quoted(group.name) + " is not in every run");
    }
    if (auto done = append(group, *own); !done) {
      return done;
    }
  }
  so_far.interrupted = so_far.interrupted || more.interrupted;
  return {};
}

// ---------------------------------------------------------------------------------------------- output

std::string figure_text(const Change& change, const std::optional<double>& value) {
  if (!value) {
    return "-";
  }
  return change.counted.empty() ? format_time(*value) : fmt::format("{:g}", *value);
}

std::string percent_text(const Change& change) {
  return change.ratio ? fmt::format("{:+.1f}%", 100 * (change.ratio->value - 1)) : "-";
}

std::string interval_text(const Change& change) {
  if (!change.ratio || !change.ratio->confidence) {
    return "";
  }
  return fmt::format("{:+.1f}% to {:+.1f}%", 100 * (change.ratio->confidence->low - 1),
                     100 * (change.ratio->confidence->high - 1));
}

std::string verdict_text(const Change& change) {
  switch (change.verdict) {
    case Verdict::regressed: return change.of_ferry ? "REGRESSED" : "slower";
    case Verdict::improved: return change.of_ferry ? "improved" : "faster";
    case Verdict::unchanged:
      return change.ratio && change.ratio->confidence && !change.ratio->shows_difference() ? "no difference shown" : "";
    case Verdict::part: return "";
    case Verdict::undecided: return "fewer than 5 runs, nothing shown";
    case Verdict::broken:
    case Verdict::unequal:
    case Verdict::absent: return change.remark;
  }
  return "";
}

Emphasis emphasis_of(const Change& change) {
  if (!change.of_ferry) {
    return Emphasis::faint;
  }
  switch (change.verdict) {
    case Verdict::regressed:
    case Verdict::broken: return Emphasis::bad;
    case Verdict::improved: return Emphasis::good;
    default: return Emphasis::none;
  }
}

nlohmann::ordered_json known(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json change_json(const Change& change) {
  nlohmann::ordered_json json = {
      {"group", change.group},      {"contender", change.contender},
      {"counted", change.counted},  {"base", known(change.base)},
      {"head", known(change.head)}, {"ratio", change.ratio ? known(change.ratio->value) : nullptr}};
  json["confidence_95"] = nullptr;
  if (change.ratio && change.ratio->confidence) {
    json["confidence_95"] = {change.ratio->confidence->low, change.ratio->confidence->high};
  }
  json["verdict"] = to_string(change.verdict);
  json["remark"] = change.remark;
  json["of_ferry"] = change.of_ferry;
  return json;
}

}  // namespace

const char* to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::regressed: return "regressed";
    case Verdict::improved: return "improved";
    case Verdict::unchanged: return "unchanged";
    case Verdict::part: return "part";
    case Verdict::undecided: return "undecided";
    case Verdict::broken: return "broken";
    case Verdict::unequal: return "unequal";
    case Verdict::absent: return "absent";
  }
  return "";
}

bool Comparison::failed(FailOn what) const {
  return std::ranges::any_of(changes, [what](const Change& change) {
    const bool regressed = change.verdict == Verdict::regressed && (what == FailOn::any || !change.counted.empty());
    return change.of_ferry && (regressed || change.verdict == Verdict::broken);
  });
}

Outcome<Report> joined(const std::vector<Report>& reports) {
  if (reports.empty()) {
    return std::unexpected("no runs");
  }
  Report all = reports.front();
  for (std::size_t i = 1; i < reports.size(); ++i) {
    if (auto done = append(reports[i], all); !done) {
      return std::unexpected(done.error());
    }
  }
  return all;
}

Outcome<Comparison> compare(const Report& base, const Report& head, double threshold) {
  Comparison comparison{.changes = {}, .notes = notes_on(base, head), .threshold = threshold};
  for (const Group& group : base.groups) {
    if (const Group* const other = find_named(head.groups, group.name)) {
      add_group({.base = group, .head = *other, .threshold = threshold}, comparison.changes);
    } else {
      comparison.changes.push_back({.group = group.name, .remark = "only in base"});
    }
  }
  for (const Group& group : head.groups) {
    if (find_named(base.groups, group.name) == nullptr) {
      comparison.changes.push_back({.group = group.name, .remark = "only in head"});
    }
  }
  if (std::ranges::none_of(comparison.changes, is_comparison)) {
    const std::string why = comparison.changes.empty() ? "no groups" : comparison.changes.front().remark;
    return std::unexpected(fmt::format("nothing to compare in {} and {}: {}", ferry::quoted(base.command),
                                       ferry::quoted(head.command), why));
  }
  note_rivals(comparison);
  return comparison;
}

std::string to_table(const Comparison& comparison, const TableStyle& style) {
  TextTable table({{.title = "", .left = true},
                   {.title = "base"},
                   {.title = "head"},
                   {.title = "change"},
                   {.title = "95% interval", .rank = 1},
                   {.title = "", .left = true}});
  std::string group;
  for (const Change& change : comparison.changes) {
    if (change.group != group) {
      table.add_heading(change.group + (change.contender.empty() ? ": " + change.remark : ""));
      group = change.group;
    }
    if (change.contender.empty() || (change.verdict == Verdict::part && same_count(*change.base, *change.head))) {
      continue;
    }
    const std::string name = "  " + change.contender + (change.counted.empty() ? "" : ": " + change.counted);
    table.add({name, figure_text(change, change.base), figure_text(change, change.head), percent_text(change),
               interval_text(change), verdict_text(change)},
              emphasis_of(change));
  }
  std::string text = table.to_string(style);
  for (const std::string& note : comparison.notes) {
    text += emphasized("note: " + one_line(note), Emphasis::faint, style) + '\n';
  }
  return text;
}

std::string to_json(const Comparison& comparison) {
  nlohmann::ordered_json json = {{"schema", 1},
                                 {"threshold", comparison.threshold},
                                 {"regressed", comparison.failed(FailOn::any)},
                                 {"regressed_counts", comparison.failed(FailOn::counts)},
                                 {"notes", comparison.notes}};
  json["changes"] = nlohmann::ordered_json::array();
  for (const Change& change : comparison.changes) {
    json["changes"].push_back(change_json(change));
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

}  // namespace ferry::bench
