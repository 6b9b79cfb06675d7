// What is copied: generated sources, and the directories the benchmark works in.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>

#include "bench/outcome.hpp"

namespace ferry::bench {

/// A new directory "ferry-bench-XXXXXX" in `parent`, removed with everything below it when destroyed.
class ScratchDirectory {
 public:
  [[nodiscard]] static Outcome<ScratchDirectory> create(const std::filesystem::path& parent);
  ScratchDirectory(ScratchDirectory&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;
  ~ScratchDirectory();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  /// It is not removed; gives its name.
  [[nodiscard]] std::filesystem::path keep() noexcept { return std::exchange(path_, {}); }

 private:
  explicit ScratchDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

/// An existing tree without symlinks in its name, or the small tree, made below `scratch`.
[[nodiscard]] Outcome<std::filesystem::path> small_or_given_tree(const std::optional<std::filesystem::path>& given,
                                                                 const std::filesystem::path& scratch);

/// A failure if `target` is `source` or below it: a copy must not become part of what is copied.
[[nodiscard]] Outcome<void> require_outside(const std::filesystem::path& target, const std::filesystem::path& source);

/// About the space that a copy of the tree takes: its files' sizes in whole blocks, and a block for each entry.
[[nodiscard]] Outcome<std::uint64_t> size_of_tree(const std::filesystem::path& root);

/// 5 directories (the root among them) and 9 files of 8 to 48 bytes.
[[nodiscard]] Outcome<void> make_small_tree(const std::filesystem::path& root);

/// A set of equal files.
struct FileSet {
  std::uint64_t files = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t directories = 1;  ///< 1: all in the root itself; else that many directories below it.

  /// As size_of_tree() would say.
  [[nodiscard]] std::uint64_t size_bytes() const noexcept;
  /// Where the file of that number, from 0, is below `root`.
  [[nodiscard]] std::filesystem::path path_of(const std::filesystem::path& root, std::uint64_t number) const;
};
/// Makes `set` below the new directory `root`; contents are pseudo-random (incompressible), the same on every call.
/// Ends with "interrupted" when `stop` becomes true.
[[nodiscard]] Outcome<void> make_file_set(const std::filesystem::path& root, const FileSet& set,
                                          const std::atomic<bool>* stop = nullptr);

/// Makes one file of pseudo-random bytes; if `sparse`, 1 MiB of data in every 16 MiB, the rest holes. Ends with
/// "interrupted" when `stop` becomes true.
[[nodiscard]] Outcome<void> make_file(const std::filesystem::path& path, std::uint64_t size_bytes, bool sparse,
                                      const std::atomic<bool>* stop = nullptr);

/// Makes `destination` a tree with the names of `source` but other, longer contents: what a copy that overwrites must
/// replace.
[[nodiscard]] Outcome<void> make_stale_copy(const std::filesystem::path& source,
                                            const std::filesystem::path& destination);

}  // namespace ferry::bench
