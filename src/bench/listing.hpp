// A list of a tree's entries with their types: what a recursive readdir has to find. Written against plain system
// calls, so that it shares nothing with the walk it judges.
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "bench/outcome.hpp"

namespace ferry::bench {

/// Entries below a root, each as "f path/from/root" with f for files, d for directories, l for symlinks, ? for others.
using Listing = std::set<std::string>;

/// Reads the tree; symlinks are not followed.
[[nodiscard]] Outcome<Listing> listing_of(const std::filesystem::path& root);

/// Success if the file holds exactly the `expected` entries, each ended by NUL, in any order; else a line naming the
/// first that is missing, too much, or there twice.
[[nodiscard]] Outcome<void> check_listing(const Listing& expected, const std::filesystem::path& file);

}  // namespace ferry::bench
