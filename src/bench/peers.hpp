// The tools ferry is compared with: where they are, which version, and what to install when they are not there.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ferry::bench {

/// A program ferry is compared with.
struct Peer {
  std::string_view name;     ///< What it is called on the command line: "cp".
  std::string_view package;  ///< What brings it, for people: "coreutils (apt)".
};

inline constexpr Peer cp_peer = {"cp", "coreutils (apt)"};
inline constexpr Peer rsync_peer = {"rsync", "rsync (apt)"};
inline constexpr Peer dd_peer = {"dd", "coreutils (apt)"};
inline constexpr Peer tar_peer = {"tar", "tar (apt)"};
inline constexpr Peer findutils_peer = {"find", "findutils (apt)"};
inline constexpr Peer node_peer = {"node", "nodejs (apt)"};
inline constexpr Peer bun_peer = {"bun", "bun (npm; or FERRY_BENCH_BUN=PATH)"};

/// A peer that is installed.
struct FoundPeer {
  std::string program;  ///< Absolute path.
  std::string version;  ///< First line of `PROGRAM --version`.
};
/// Looks for the program on PATH; Bun also at $FERRY_BENCH_BUN, which goes first, and where `./dev bench
/// --install-rivals` puts it: ~/.cache/ferry/peers. Empty if it is nowhere or does not start.
[[nodiscard]] std::optional<FoundPeer> find_peer(const Peer& peer);

/// The version of the C++ library that std::filesystem comes from: "libstdc++ 12".
[[nodiscard]] std::string standard_library_version();

}  // namespace ferry::bench
