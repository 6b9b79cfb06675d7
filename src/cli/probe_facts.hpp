// What `ferry probe` finds out. Every answer about a file system is tried on files made for it, which are unnamed
// (O_TMPFILE) or lose their name at once; where nothing may be written, what can be read is told and the rest is
// "unknown" with the reason.
#pragma once

#include <ferry/base.hpp>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ferry::cli::probe {

// A yes/no question and how it was answered.
struct Finding {
  enum class Answer : std::uint8_t { yes, no, unknown };
  Answer answer = Answer::unknown;
  int errno_value = 0;  // what the kernel said, if it refused
  std::string note;     // the reason in words, or a detail of a yes
};

// One line of the table (none if the label is empty), one member of the JSON object.
struct Entry {
  std::string key;
  std::string label;
  nlohmann::ordered_json json;
  std::string text;
};
using Entries = std::vector<Entry>;

Entry entry(std::string key, std::string label, const Finding& finding);
Entry entry(std::string key, std::string label, nlohmann::ordered_json json, std::string text);

// A directory to be examined, and files in it for trying things on.
class Place {
 public:
  // `path` may also name a file: then the directory that holds it is examined, and the file is a source to copy from
  // where none can be made.
  static Result<Place> open(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }
  // Which directory is meant, if `path` is not one.
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] int dirfd() const { return directory_fd_.get(); }
  [[nodiscard]] bool is_directory() const { return path_ == directory_; }
  // A new empty file without a name, or why there can be none.
  [[nodiscard]] Result<UniqueFd> make_file() const;
  // A readable file of `bytes` non-zero bytes; where none can be made, the file `path` if it is a regular one.
  [[nodiscard]] Result<UniqueFd> source_file(std::size_t bytes) const;

 private:
  Place() = default;
  std::string path_;
  std::string directory_;
  UniqueFd directory_fd_;
};

// File system, space, attributes: of one place.
Entries examine(const Place& place);
// What moves bytes from one to the other.
Entries examine_pair(const Place& from, const Place& to);
// Kernel, limits, io_uring, FUSE.
Entries examine_machine();

}  // namespace ferry::cli::probe
