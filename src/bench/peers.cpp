#include "bench/peers.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <vector>

#include <fmt/format.h>

#include "bench/process.hpp"

namespace ferry::bench {
namespace {

std::vector<std::string> places_of(const Peer& peer) {
  std::vector<std::string> places;
  const char* const chosen = std::getenv("FERRY_BENCH_BUN");
  if (peer.name == bun_peer.name && chosen != nullptr && *chosen != '\0') {
    places.emplace_back(chosen);
  }
  const char* const path = std::getenv("PATH");
  std::istringstream directories(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin");
  for (std::string directory; std::getline(directories, directory, ':');) {
    if (!directory.empty()) {
      places.push_back(fmt::format("{}/{}", directory, peer.name));
    }
  }
  const char* const home = std::getenv("HOME");
  if (home != nullptr) {
    places.push_back(fmt::format("{}/.cache/ferry/peers/node_modules/.bin/{}", home, peer.name));
  }
  return places;
}

bool is_program(const std::string& path) {
  struct ::stat status = {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

std::optional<FoundPeer> find_peer(const Peer& peer) {
  for (const std::string& place : places_of(peer)) {
    if (!is_program(place)) {
      continue;
    }
    const auto said = output_of({.program = place, .words = {std::string(peer.name), "--version"}});
    if (said) {
      return FoundPeer{.program = place, .version = said->substr(0, said->find('\n'))};
    }
  }
  return std::nullopt;
}

std::string standard_library_version() {
#if defined(_GLIBCXX_RELEASE)
  return fmt::format("libstdc++ {}", _GLIBCXX_RELEASE);
#elif defined(_LIBCPP_VERSION)
  return fmt::format("libc++ {}", _LIBCPP_VERSION / 10000);
#else
  return "unknown C++ library";
#endif
}

}  // namespace ferry::bench
