// A new directory is filled under a temporary name and gets its own once the files in it are whole: so they can be
// created at their names, which is cheaper than giving each its name when it is complete, and still no name in the
// destination ever holds half a file.
//
// Only the worker that made it works in such a directory, and puts nothing but files, symlinks and special files there.
// The owner holds an flock(2) on it, so that it is told from what a killed process left; that is removed by the next
// one that makes the same name.
#pragma once

#include <ferry/base.hpp>

#include <sys/types.h>

#include <functional>
#include <string>

namespace ferry {

// ".ferry-*.dir.tmp", made from the final name.
std::string staged_directory_name(const char* final_name);

// Makes and locks the directory `staged_name` in `parent`, opening it by `open(name)`; a leftover is removed first.
// Returns the descriptor, or -errno: then do without (-EEXIST: somebody else is at it).
int make_staged_directory(int parent, const std::string& staged_name, mode_t mode,
                          const std::function<int(const char* name)>& open);

// Renames the directory to `name`, which must be free, and unlocks it. 0 or -errno.
int publish_staged_directory(int parent, const std::string& staged_name, int staged, const char* name) noexcept;

// Removes the directory with what is in it: for one that can get no name.
void discard_staged_directory(int parent, const std::string& staged_name, int staged);

// Moves what is in the open directory `from` into `to`, and removes it when empty: for when somebody else took the name
// meanwhile. `replaces`: whether it replaces what has the same name there. Calls `failed(name, errno)` for what could
// not be moved, and is removed. 0 or -errno.
int move_staged_entries(int parent, const std::string& staged_name, int from, int to, bool replaces,
                        const std::function<void(const char* name, int error)>& failed);

}  // namespace ferry
