/// \file
/// A tree as data: it can be made on disk any number of times, and made smaller entry by entry.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <map>
#include <string>

namespace oracle {

enum class Kind : std::uint8_t { file, directory, symlink, fifo, socket, device };

struct EntrySpec {
  Kind kind = Kind::file;
  mode_t mode = 0644;
  uid_t uid = 0;
  gid_t gid = 0;
  timespec mtime = {};
  /// A file's content is the first `size` bytes of the stream with this number, or, if not empty, `text`.
  std::uint64_t content = 0;
  std::uint64_t size = 0;
  bool has_zeros = false;  ///< Every other 16 KiB of the content are zeros.
  std::string text = {};   ///< A file's content, or a symlink's target.
  dev_t device = 0;
  std::map<std::string, std::string> attributes = {};
  /// Entries of one tree with the same number other than 0 are one file: the first, by name, says what it is.
  unsigned link_group = 0;
};

/// By path below the root; "" is the root itself. What lies below something that is no directory is not made.
using TreeSpec = std::map<std::string, EntrySpec>;

/// Makes the tree at `root`. Times are set last, so that making entries does not change them.
void make_tree(const TreeSpec& tree, const std::string& root);

/// The content that the entry says, as bytes.
std::string content_of(const EntrySpec& entry);

/// Removes an entry and what is below it.
void erase_entry(TreeSpec& tree, const std::string& path);

std::string parent_of(const std::string& path);
std::string name_of(const std::string& path);

/// For people: one line an entry.
std::string describe(const TreeSpec& tree);

}  // namespace oracle
