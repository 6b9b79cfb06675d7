#include "cli/cp_operands.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>

namespace ferry::cli {
namespace {

void complain(std::string_view message) { fmt::print(stderr, "{}: {}\n", cp_name, message); }

std::unexpected<CpExit> refuse(std::string_view message) {
  complain(message);
  return std::unexpected(CpExit{1});
}

std::unexpected<CpExit> refuse_usage(std::string_view message) {
  complain(message);
  return std::unexpected(wrong_usage());
}

// 0 if the name leads to a directory, else the errno that says why not.
int why_not_a_directory(const std::string& name) {
  const UniqueFd directory(open(name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  return directory ? 0 : errno;
}

CpJob job_into(const CpCommand& command, std::string source, const std::string& directory) {
  CpJob job;
  if (command.strip_trailing_slashes) {
    source = without_trailing_slashes(source);
  }
  if (command.parents) {
    std::string_view relative = without_trailing_slashes(source);
    relative.remove_prefix(std::min(relative.find_first_not_of('/'), relative.size()));
    job.destination = join_name(directory, relative);
    job.parents_begin = job.destination.size() - relative.size();
  } else {
    std::string_view name = last_component(source);
    if (name == "..") {
      name = ".";  // the contents of SOURCE/.. go into the directory, not into its parent
    }
    job.destination = join_name(directory, name);
  }
  job.source = std::move(source);
  return job;
}

}  // namespace

std::string_view without_trailing_slashes(std::string_view name) {
  while (name.size() > 1 && name.ends_with('/')) {
    name.remove_suffix(1);
  }
  return name;
}

std::string_view last_component(std::string_view name) {
  name = without_trailing_slashes(name);
  return name.substr(name.rfind('/') + 1);
}

std::string join_name(std::string_view directory, std::string_view name) {
  return fmt::format("{}{}{}", directory, directory.ends_with('/') || directory.empty() ? "" : "/", name);
}

std::expected<CpJobs, CpExit> resolve_operands(const CpCommand& command) {
  std::vector<std::string> operands = command.operands;
  if (operands.empty()) {
    return refuse_usage("missing file operand");
  }
  if (operands.size() == 1 && !command.target_directory) {
    return refuse_usage(fmt::format("missing destination file operand after {}", ferry::quoted(operands[0])));
  }
  std::optional<std::string> directory = command.target_directory;
  if (command.no_target_directory) {
    if (directory) {
      return refuse("cannot combine --target-directory (-t) and --no-target-directory (-T)");
    }
    if (operands.size() > 2) {
      return refuse_usage(fmt::format("extra operand {}", ferry::quoted(operands[2])));
    }
  } else if (directory) {
    if (const int reason = why_not_a_directory(*directory); reason != 0) {
      return refuse(fmt::format("target directory {}: {}", ferry::quoted(*directory), std::strerror(reason)));
    }
  } else if (const int reason = why_not_a_directory(operands.back()); reason == 0) {
    directory = operands.back();
    operands.pop_back();
  } else if (operands.size() > 2) {
    return refuse(fmt::format("target {}: {}", ferry::quoted(operands.back()), std::strerror(reason)));
  }

  CpJobs result;
  if (directory) {
    result.into_directory = operands.size() > 1;
    for (std::string& source : operands) {
      result.jobs.push_back(job_into(command, std::move(source), *directory));
    }
    return result;
  }
  if (command.parents) {
    return refuse_usage("with --parents, the destination must be a directory");
  }
  std::string source =
      command.strip_trailing_slashes ? std::string(without_trailing_slashes(operands[0])) : operands[0];
  result.jobs.push_back({std::move(source), operands[1], 0});
  return result;
}

std::string backup_name(const std::string& destination, Backup backup, std::string_view suffix) {
  const std::filesystem::path path(destination);
  const std::string prefix = path.filename().string() + ".~";
  std::uint64_t highest = 0;
  std::error_code ignored;
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with('~') || name.size() <= prefix.size() + 1) {
      continue;
    }
    std::uint64_t number = 0;
    const char* const end = name.data() + name.size() - 1;
    const auto [stopped, status] = std::from_chars(name.data() + prefix.size(), end, number);
    if (status == std::errc{} && stopped == end) {
      highest = std::max(highest, number);
    }
  }
  if (backup == Backup::numbered || (backup == Backup::existing && highest > 0)) {
    return fmt::format("{}.~{}~", destination, highest + 1);
  }
  return destination + std::string(suffix);
}

}  // namespace ferry::cli
