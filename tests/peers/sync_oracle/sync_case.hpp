/// \file
/// One question to both programs: trees, a command line, who asks.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tree_spec.hpp"

namespace oracle {

struct SyncCase {
  std::uint64_t seed = 0;
  /// Beside each other, by name: "src", "dst", other trees for --link-dest and the like, and "outside", where symlinks
  /// lead.
  std::map<std::string, TreeSpec> trees;
  std::map<std::string, std::string> files;  ///< Beside the trees: rules and lists that options name.
  /// Each group can be left out on its own.
  std::vector<std::vector<std::string>> options;
  std::vector<std::string> sources;
  std::string destination = "dst/";
  bool as_user = false;  ///< By somebody who is not root.

  [[nodiscard]] bool has(const std::string& option) const;
  [[nodiscard]] bool has_letter(char letter) const;
  [[nodiscard]] std::vector<std::string> arguments() const;
};

/// The same for the same seed, everywhere.
SyncCase make_case(std::uint64_t seed);

std::string describe(const SyncCase& asked);

}  // namespace oracle
