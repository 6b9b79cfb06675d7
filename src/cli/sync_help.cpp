// The text of `ferry sync --help`: what comes before and after, and between it the rows of the option table.
#include <fmt/format.h>

#include <array>
#include <string>
#include <utility>

#include "cli/sync_arguments.hpp"
#include "cli/sync_option_table.hpp"

namespace ferry::cli {
namespace {

using Section = SyncOption::Section;

constexpr std::string_view beginning = R"(Usage: ferry sync [OPTION]... SOURCE... DEST
Makes DEST hold what SOURCEs name, touching only what differs. Takes the options of rsync 3.5 and some more.
A SOURCE with a slash at its end stands for the contents of the directory.

)";

constexpr std::string_view examples = R"(
  ferry sync -aHAX --delete /srv/data/ /mnt/backup   a mirror
  ferry sync -ain --delete src/ dst                  what would that change?
  ferry sync -a --link-dest=../mon src/ /bak/tue     a snapshot that shares what did not change
  ferry sync -a --exclude='*.o' --exclude=/tmp/ . /mnt/work
  ferry sync -r --no-whole-file disk.img /mnt/       write only the blocks that changed
)";

constexpr std::string_view end = R"(
Options may be negated as in rsync, where that makes sense: -a --no-o --no-times. SIZE is a number of bytes, or one with
a unit: K, M, G, T, P (powers of 1024), KB, MB, ... (powers of 1000); 1.5m and 10K-1 are sizes, too.

)";

constexpr std::string_view exit_codes = R"(
  0 done   1 wrong command line   3 operands do not fit   4 not supported   11 input or output failed
  20 interrupted   23 some files or attributes failed   24 some files vanished   25 --max-delete held deletions back
  30 the time was over

What differs from rsync is listed in docs/sync.md.
)";

constexpr auto sections = std::to_array<std::pair<Section, std::string_view>>({
    {Section::selection, "What is copied"},
    {Section::comparison, "What counts as changed"},
    {Section::attributes, "Attributes"},
    {Section::deletion, "Deleting"},
    {Section::writing, "How it is written"},
    {Section::filters, "Filters and lists"},
    {Section::limits, "Limits"},
    {Section::output, "What is told"},
    {Section::own, "ferry's own"},
});

std::string names_of(const SyncOption& option) {
  std::string names = option.letter != '\0' ? fmt::format("-{}", option.letter) : "  ";
  if (!option.name.empty()) {
    names += fmt::format("{}--{}", option.letter != '\0' ? ", " : "  ", option.name);
    if (option.argument == SyncOption::Argument::required) {
      names += fmt::format("={}", option.placeholder);
    } else if (option.argument == SyncOption::Argument::optional) {
      names += fmt::format("[={}]", option.placeholder);
    }
  }
  return names;
}

}  // namespace

std::string sync_help(bool colour) {
  const auto heading = [&](std::string_view text) {
    return colour ? fmt::format("\x1b[1m{}\x1b[m:", text) : fmt::format("{}:", text);
  };
  std::string help(beginning);
  help += heading("Examples");
  help += examples;
  for (const auto& [section, title] : sections) {
    help += "\n" + heading(title) + "\n";
    for (const SyncOption& option : sync_options()) {
      if (option.section == section) {
        help += fmt::format("  {:<29} {}\n", names_of(option), option.help);
      }
    }
  }
  help += end;
  help += heading("Exit status");
  help += exit_codes;
  return help;
}

}  // namespace ferry::cli
