#include "cli/sync_values.hpp"

#include <fmt/format.h>
#include <fnmatch.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <ctime>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include <ferry/base.hpp>

namespace ferry::cli {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

bool is_number(std::string_view text) noexcept { return !text.empty() && std::ranges::all_of(text, is_digit); }

template <typename Number>
std::optional<Number> whole_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

// Calls `use` for each part of the text between separators, the empty ones too, until it fails.
template <typename Use>
std::expected<void, ValueError> for_each_part(std::string_view text, char separator, Use use) {
  for (;;) {
    const std::size_t end = text.find(separator);
    if (std::expected<void, ValueError> used = use(text.substr(0, end)); !used) {
      return used;
    }
    if (end == std::string_view::npos) {
      return {};
    }
    text.remove_prefix(end + 1);
  }
}

}  // namespace

// ------------------------------------------------------------------------------------------ numbers

std::expected<std::uint64_t, ValueError> parse_rsync_size(std::string_view text, char default_unit) {
  const auto invalid = [] { return std::unexpected(ValueError("is invalid")); };
  if (text.starts_with('-')) {
    return std::unexpected(ValueError("is invalid: a size is not negative"));
  }
  const std::size_t number_size = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view number = text.substr(0, number_size);
  text.remove_prefix(number_size);
  if (std::ranges::count(number, '.') > 1 || (number.empty() && !text.empty())) {
    return invalid();
  }
  char unit = default_unit;
  if (!text.empty() && text.front() != '+' && text.front() != '-') {
    unit = text.front();
    text.remove_prefix(1);
  }
  constexpr std::string_view units = "bkmgtp";
  const std::size_t power = units.find(static_cast<char>(std::tolower(static_cast<unsigned char>(unit))));
  if (power == std::string_view::npos) {
    return invalid();
  }
  double base = 1024;
  const auto begins_with = [&](std::string_view word) {
    return text.size() >= word.size() && std::ranges::equal(text.substr(0, word.size()), word, [](char a, char b) {
             return std::tolower(static_cast<unsigned char>(a)) == b;
           });
  };
  if (power > 0 && begins_with("b")) {
    base = 1000;
    text.remove_prefix(1);
  } else if (power > 0 && begins_with("ib")) {
    text.remove_prefix(2);
  }
  if (!text.empty() && text != "+1" && text != "-1") {
    return invalid();
  }
  const double bytes = (number.empty() ? 0.0 : std::strtod(std::string(number).c_str(), nullptr)) *
                       std::pow(base, static_cast<double>(power));
  if (bytes >= 0x1p63) {
    return std::unexpected(ValueError("is too large"));
  }
  const auto size = static_cast<std::uint64_t>(bytes);
  if (text == "-1") {
    return size > 0 ? std::expected<std::uint64_t, ValueError>(size - 1) : invalid();
  }
  return size + (text == "+1" ? 1 : 0);
}

std::expected<std::int64_t, ValueError> parse_integer(std::string_view text) {
  const auto number = whole_number<std::int64_t>(text.starts_with('+') ? text.substr(1) : text);
  if (!number) {
    return std::unexpected(ValueError("is no whole number"));
  }
  return *number;
}

// ------------------------------------------------------------------------------------------ modes

namespace {

constexpr std::uint32_t execute_bits = 0111;

// One directive without its comma: [DF]*[ugoa]*[-+=][rwxXst]*, or [DF]*OCTAL.
class ModeDirective {
 public:
  ModeDirective(std::string_view text, std::uint32_t umask) : rest_(text), umask_(umask) {}

  std::optional<ModeChange> parse() {
    while (!rest_.empty() && (rest_.front() == 'D' || rest_.front() == 'F')) {
      (rest_.front() == 'D' ? directories_ : files_) = true;
      rest_.remove_prefix(1);
    }
    if (directories_ && files_) {
      return std::nullopt;
    }
    change_.directories = !files_;
    change_.files = !directories_;
    if (!rest_.empty() && is_digit(rest_.front())) {
      return octal();
    }
    return symbolic();
  }

 private:
  std::optional<ModeChange> octal() {
    unsigned bits = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), bits, 8);
    if (error != std::errc() || end != rest_.data() + rest_.size() || bits > 07777) {
      return std::nullopt;
    }
    change_.and_bits = 0;
    change_.or_bits = bits;
    return change_;
  }

  std::optional<ModeChange> symbolic() {
    std::uint32_t where = 0;
    std::uint32_t special_of_where = 0;
    for (; !rest_.empty() && std::string_view("ugoa").contains(rest_.front()); rest_.remove_prefix(1)) {
      switch (rest_.front()) {
        case 'u':
          where |= 0100;
          special_of_where |= S_ISUID;
          break;
        case 'g':
          where |= 0010;
          special_of_where |= S_ISGID;
          break;
        case 'o': where |= 0001; break;
        default:
          where |= 0111;
          special_of_where |= S_ISUID | S_ISGID;
          break;
      }
    }
    if (rest_.empty() || !std::string_view("+-=").contains(rest_.front())) {
      return std::nullopt;
    }
    const char operation = rest_.front();
    rest_.remove_prefix(1);
    std::uint32_t what = 0;
    std::uint32_t special = 0;
    for (const char c : rest_) {
      switch (c) {
        case 'r': what |= 4U; break;
        case 'w': what |= 2U; break;
        case 'X': change_.keep_x = true; [[fallthrough]];
        case 'x': what |= 1U; break;
        case 's':  // without u, g or a it takes back a 't' before it, as in rsync
          special = special_of_where != 0 ? special | special_of_where : static_cast<std::uint32_t>(S_ISUID);
          break;
        case 't': special |= S_ISVTX; break;
        default: return std::nullopt;
      }
    }
    const std::uint32_t all_of_where = (where != 0 ? where : 0111U) * 7U;
    const std::uint32_t bits = where != 0 ? where * what : (0111U * what) & ~umask_;
    switch (operation) {
      case '+': change_.or_bits = bits | special; break;
      case '-': change_.and_bits = 07777U & ~(bits | special); break;
      default:
        change_.and_bits = 07777U & ~all_of_where & ~(special != 0 ? special_of_where : 0U);
        change_.or_bits = bits | special;
        break;
    }
    return change_;
  }

  std::string_view rest_;
  std::uint32_t umask_;
  bool directories_ = false;
  bool files_ = false;
  ModeChange change_;
};

}  // namespace

std::expected<std::vector<ModeChange>, ValueError> parse_mode_changes(std::string_view text, std::uint32_t umask) {
  std::vector<ModeChange> changes;
  const auto parsed = for_each_part(text, ',', [&](std::string_view part) -> std::expected<void, ValueError> {
    const auto change = ModeDirective(part, umask).parse();
    if (!change) {
      return std::unexpected(fmt::format("is invalid: {} is no mode", ferry::quoted(part)));
    }
    changes.push_back(*change);
    return {};
  });
  if (!parsed) {
    return std::unexpected(parsed.error());
  }
  return changes;
}

std::uint32_t apply(const std::vector<ModeChange>& changes, std::uint32_t mode, bool is_directory) noexcept {
  const bool had_x = (mode & execute_bits) != 0;
  const std::uint32_t type = mode & ~07777U;
  mode &= 07777U;
  for (const ModeChange& change : changes) {
    if (is_directory ? !change.directories : !change.files) {
      continue;
    }
    mode &= change.and_bits;
    mode |= change.keep_x && !had_x && !is_directory ? change.or_bits & ~execute_bits : change.or_bits;
  }
  return type | mode;
}

// ------------------------------------------------------------------------------------------ owners

namespace {

std::optional<std::uint32_t> id_of_name(const std::string& name, IdKind kind) {
  if (kind == IdKind::user) {
    const passwd* entry = getpwnam(name.c_str());
    return entry != nullptr ? std::optional<std::uint32_t>(entry->pw_uid) : std::nullopt;
  }
  const group* entry = getgrnam(name.c_str());
  return entry != nullptr ? std::optional<std::uint32_t>(entry->gr_gid) : std::nullopt;
}

std::string name_of_id(std::uint32_t id, IdKind kind) {
  if (kind == IdKind::user) {
    const passwd* entry = getpwuid(id);
    return entry != nullptr ? entry->pw_name : "";
  }
  const group* entry = getgrgid(id);
  return entry != nullptr ? entry->gr_name : "";
}

class IdMap {
 public:
  IdMap(IdKind kind, bool numeric_ids) : kind_(kind), numeric_ids_(numeric_ids) {}

  std::expected<void, ValueError> add(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) {
      return std::unexpected(fmt::format("is invalid: no colon in {}", ferry::quoted(text)));
    }
    const std::string_view to = text.substr(colon + 1);
    Rule rule;
    if (const auto number = whole_number<std::uint32_t>(to)) {
      rule.to = *number;
    } else if (const auto id = id_of_name(std::string(to), kind_)) {
      rule.to = *id;
    } else {
      return std::unexpected(
          fmt::format("names an unknown {}: {}", kind_ == IdKind::user ? "user" : "group", ferry::quoted(to)));
    }
    if (!set_from(rule, text.substr(0, colon))) {
      return std::unexpected(fmt::format("is invalid: {} is no range of numbers", ferry::quoted(text)));
    }
    rules_.push_back(std::move(rule));
    return {};
  }

  std::uint32_t map(std::uint32_t id) {
    const std::lock_guard lock(mutex_);  // getpwuid(3) is not thread-safe
    const auto [known, is_new] = known_.try_emplace(id, id);
    if (is_new) {
      known->second = look_up(id);
    }
    return known->second;
  }

 private:
  struct Rule {
    std::optional<std::string> pattern;  // of names; else the range
    std::uint32_t low = 0;
    std::uint32_t high = std::numeric_limits<std::uint32_t>::max();
    std::uint32_t to = 0;
  };

  static bool set_from(Rule& rule, std::string_view from) {
    if (from == "*") {
      return true;
    }
    if (from.empty() || !is_digit(from.front())) {
      rule.pattern = std::string(from);
      return true;
    }
    const std::size_t dash = from.find('-');
    const auto low = whole_number<std::uint32_t>(from.substr(0, dash));
    const auto high = dash == std::string_view::npos ? low : whole_number<std::uint32_t>(from.substr(dash + 1));
    rule.low = low.value_or(0);
    rule.high = high.value_or(0);
    return low && high && *low <= *high;
  }

  [[nodiscard]] std::uint32_t look_up(std::uint32_t id) const {
    const bool needs_name = std::ranges::any_of(rules_, [](const Rule& rule) { return rule.pattern.has_value(); });
    const std::string name = needs_name && !numeric_ids_ ? name_of_id(id, kind_) : std::string();
    for (const Rule& rule : rules_) {
      const bool matches = rule.pattern ? matches_name(*rule.pattern, name) : id >= rule.low && id <= rule.high;
      if (matches) {
        return rule.to;
      }
    }
    return id;
  }

  static bool matches_name(const std::string& pattern, const std::string& name) {
    if (pattern.empty() || name.empty()) {
      return pattern.empty() && name.empty();
    }
    return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
  }

  const IdKind kind_;
  const bool numeric_ids_;
  std::vector<Rule> rules_;
  std::mutex mutex_;
  std::map<std::uint32_t, std::uint32_t> known_;
};

}  // namespace

std::expected<std::function<std::uint32_t(std::uint32_t)>, ValueError> parse_id_map(std::string_view text, IdKind kind,
                                                                                    bool numeric_ids) {
  auto map = std::make_shared<IdMap>(kind, numeric_ids);
  const auto parsed = for_each_part(text, ',', [&](std::string_view part) { return map->add(part); });
  if (!parsed) {
    return std::unexpected(parsed.error());
  }
  return [map](std::uint32_t id) { return map->map(id); };
}

// ------------------------------------------------------------------------------------------ times and places

std::expected<std::chrono::system_clock::time_point, ValueError> parse_stop_time(
    std::string_view text, std::chrono::system_clock::time_point now) {
  const auto malformed = [] {
    return std::unexpected(ValueError("is invalid: give a date and a time as in 2030-12-31T23:59, or a time: 23:59"));
  };
  const std::time_t now_seconds = std::chrono::system_clock::to_time_t(now);
  std::tm moment = {};
  localtime_r(&now_seconds, &moment);
  moment.tm_sec = 0;
  const std::size_t separator = text.find_first_of("Tt ");
  const bool has_date = separator != std::string_view::npos;
  const std::string_view clock = has_date ? text.substr(separator + 1) : text;
  if (has_date) {
    std::vector<int> parts;
    std::string date(text.substr(0, separator));
    std::ranges::replace(date, '/', '-');
    (void)for_each_part(date, '-', [&](std::string_view part) -> std::expected<void, ValueError> {
      parts.push_back(is_number(part) ? whole_number<int>(part).value_or(-1) : -1);
      return {};
    });
    if (parts.size() != 3 || parts[0] < 1970 || parts[1] < 1 || parts[1] > 12 || parts[2] < 1 || parts[2] > 31) {
      return malformed();
    }
    moment.tm_year = parts[0] - 1900;
    moment.tm_mon = parts[1] - 1;
    moment.tm_mday = parts[2];
  }
  const std::size_t colon = clock.find(':');
  const auto hour = whole_number<unsigned>(clock.substr(0, colon));
  const auto minute =
      colon == std::string_view::npos ? std::optional<unsigned>() : whole_number<unsigned>(clock.substr(colon + 1));
  if (!hour || !minute || *hour > 23 || *minute > 59) {
    return malformed();
  }
  moment.tm_hour = static_cast<int>(*hour);
  moment.tm_min = static_cast<int>(*minute);
  moment.tm_isdst = -1;
  std::tm tomorrow = moment;
  ++tomorrow.tm_mday;
  std::time_t when = std::mktime(&moment);
  if (when <= now_seconds && !has_date) {
    when = std::mktime(&tomorrow);
  }
  if (when <= now_seconds) {
    return std::unexpected(ValueError("is in the past"));
  }
  return std::chrono::system_clock::from_time_t(when);
}

bool is_remote(std::string_view operand) noexcept {
  if (operand.starts_with("rsync://")) {
    return true;
  }
  if (operand.starts_with('[')) {  // [fe80::1]:path
    const std::size_t end = operand.find("]:");
    return end != std::string_view::npos && operand.find('/') > end;
  }
  return operand.find(':') < operand.find('/');
}

}  // namespace ferry::cli
