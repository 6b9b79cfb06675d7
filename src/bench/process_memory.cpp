#include "bench/process_memory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <ferry/base.hpp>

namespace ferry::bench {
namespace {

// One read: files of /proc are made when they are read, and a list of children fits unless there are hundreds.
std::optional<std::string> read_at_once(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> text = {};
  const ssize_t got = file ? ::read(file.get(), text.data(), text.size()) : -1;
  return got < 0 ? std::nullopt : std::optional(std::string(text.data(), static_cast<std::size_t>(got)));
}

std::optional<std::uint64_t> resident_bytes(const std::string& process) {
  const auto text = read_at_once(process + "/statm");
  std::istringstream fields(text.value_or(""));
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  fields >> size >> resident;
  return fields ? std::optional(resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))) : std::nullopt;
}

// Children belong to the thread that forked them. False if there is no list at all.
bool add_children(const std::string& process, std::vector<pid_t>& children) {
  const std::unique_ptr<DIR, int (*)(DIR*)> threads(::opendir((process + "/task").c_str()), ::closedir);
  bool listed = false;
  while (const dirent* const thread = threads ? ::readdir(threads.get()) : nullptr) {
    if (thread->d_name[0] == '.') {
      continue;
    }
    const auto text = read_at_once(fmt::format("{}/task/{}/children", process, thread->d_name));
    listed = listed || text.has_value();
    std::istringstream words(text.value_or(""));
    for (pid_t child = 0; words >> child;) {
      children.push_back(child);
    }
  }
  return listed;
}

}  // namespace

std::optional<std::uint64_t> resident_bytes_of_tree(pid_t root, const std::filesystem::path& proc) {
  std::uint64_t sum = 0;
  std::vector<pid_t> waiting = {root};
  while (!waiting.empty()) {
    const pid_t next = waiting.back();
    waiting.pop_back();
    const std::string process = fmt::format("{}/{}", proc.native(), next);
    const auto resident = resident_bytes(process);
    const bool listed = add_children(process, waiting);
    if (next == root && (!resident || !listed)) {
      return std::nullopt;
    }
    sum += resident.value_or(0);  // a descendant that ended meanwhile holds nothing
  }
  return sum;
}

}  // namespace ferry::bench
