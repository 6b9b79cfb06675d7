// Whether a copy is right: asked after every run, before its time counts. Written against plain system calls, so that
// it shares nothing with the engine it judges.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>

#include "bench/outcome.hpp"

namespace ferry::bench {

/// What of an entry is compared.
enum class Fidelity : std::uint8_t {
  content,     ///< Names, types, sizes, every byte, symlink targets: what `cp -r` promises.
  attributes,  ///< Besides, mode, owner, group and modification time in nanoseconds: what `cp -a` promises of these.
  everything,  ///< Besides, extended attributes, ACLs, and which names are one file: what `rsync -aHAX` promises.
};

/// A file or a whole tree in a fixed size: the sum of the XXH3-128 hashes of its entries' records, so the order in
/// which directories are read does not matter, and memory does not grow with the tree.
struct Fingerprint {
  std::uint64_t entries = 0;  ///< The root included.
  std::uint64_t directories = 0;
  std::uint64_t regular_files = 0;
  std::uint64_t bytes = 0;            ///< Sum of the regular files' sizes.
  std::uint64_t allocated_bytes = 0;  ///< Not part of the comparison.
  std::array<std::uint64_t, 2> digest = {};

  [[nodiscard]] bool same_content(const Fingerprint& other) const noexcept {
    return entries == other.entries && bytes == other.bytes && digest == other.digest;
  }
};

/// Reads the whole tree (or file) at `root`. Symlinks are not followed.
[[nodiscard]] Outcome<Fingerprint> fingerprint_of(const std::filesystem::path& root, Fidelity fidelity);

/// Success if `copy` has the fingerprint `expected`, taken of `source`; else a line naming the first entry that
/// differs.
[[nodiscard]] Outcome<void> check_copy(const std::filesystem::path& source, const Fingerprint& expected,
                                       const std::filesystem::path& copy, Fidelity fidelity);

}  // namespace ferry::bench
