// `ferry probe PATH [PATH2]`: tells what works here, for people and as JSON.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <optional>

#include "cli/commands.hpp"
#include "cli/probe_facts.hpp"

namespace ferry::cli {
namespace {

constexpr int exit_failure = 1;  // a path could not be examined
constexpr int exit_usage = 2;

// Entries without a label are for the JSON form only.
std::string section(const std::string& title, const probe::Entries& entries) {
  std::size_t width = 0;
  for (const probe::Entry& line : entries) {
    width = std::max(width, line.label.size());
  }
  std::string out = title + "\n";
  for (const probe::Entry& line : entries) {
    if (!line.label.empty()) {
      out += fmt::format("  {:<{}}  {}\n", line.label, width, line.text);
    }
  }
  return out;
}

nlohmann::ordered_json to_json(const probe::Entries& entries) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (const probe::Entry& line : entries) {
    object[line.key] = line.json;
  }
  return object;
}

struct Examined {
  probe::Place place;
  probe::Entries entries;
};

std::string table(const std::vector<Examined>& places, const probe::Entries& pair, const probe::Entries& machine) {
  std::string out;
  for (const Examined& one : places) {
    const std::string& path = one.place.path();
    const std::string& directory = one.place.directory();
    const std::string title = one.place.is_directory()
                                  ? ferry::quoted(path)
                                  : fmt::format("{} (its directory {})", ferry::quoted(path), ferry::quoted(directory));
    out += section(title, one.entries);
  }
  const probe::Place& from = places.front().place;
  const probe::Place& to = places.back().place;
  const std::string title =
      places.size() == 1 ? fmt::format("copying within {}", ferry::quoted(from.directory()))
                         : fmt::format("copying from {} to {}", ferry::quoted(from.path()), ferry::quoted(to.path()));
  return out + section(title, pair) + section("this machine", machine);
}

std::string json_text(const std::vector<Examined>& places, const probe::Entries& pair, const probe::Entries& machine) {
  nlohmann::ordered_json root;
  root["ferry"] = version();
  for (const Examined& one : places) {
    nlohmann::ordered_json object = {{"path", one.place.path()}, {"directory", one.place.directory()}};
    object.update(to_json(one.entries));
    root["places"].push_back(std::move(object));
  }
  root["copying"] = to_json(pair);
  root["machine"] = to_json(machine);
  // Paths may hold any bytes; JSON only UTF-8.
  return root.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

int examine_and_print(const std::vector<std::string>& paths, bool json) {
  std::vector<Examined> places;
  for (const std::string& path : paths) {
    Result<probe::Place> place = probe::Place::open(path);
    if (!place) {
      fmt::print(stderr, "ferry probe: cannot examine {}: {}\n", ferry::quoted(path), place.error().code.message());
      return exit_failure;
    }
    probe::Entries entries = probe::examine(*place);
    places.push_back({std::move(*place), std::move(entries)});
  }
  const probe::Entries pair = probe::examine_pair(places.front().place, places.back().place);
  const probe::Entries machine = probe::examine_machine();
  const std::string text = (json ? json_text : table)(places, pair, machine);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    fmt::print(stderr, "ferry probe: write error: {}\n", std::generic_category().message(errno));
    return exit_failure;
  }
  return EXIT_SUCCESS;
}

}  // namespace

int probe_main(int argc, char** argv) {
  CLI::App app{"Tells what works between two places: file systems, ways to copy, attributes, io_uring, FUSE, limits.",
               "ferry probe"};
  std::vector<std::string> paths;
  bool json = false;
  app.add_option("PATH", paths, "One directory (or a file in it), or two: where to copy from and to")
      ->required()
      ->expected(1, 2);
  app.add_flag("--json", json, "Print one JSON object instead of a table");
  app.footer(
      "Things are tried on temporary files that have no name or lose it at once. In places that cannot be\n"
      "written the rest is told and says so. Exit status: 0 examined, 1 a path could not be, 2 wrong usage.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EXIT_SUCCESS : exit_usage;
  }
  return examine_and_print(paths, json);
}

}  // namespace ferry::cli
