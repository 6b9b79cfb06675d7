// Backups of what a copy replaces, named as GNU tools name them.
#pragma once

#include <ferry/tree.hpp>

#include <string>

namespace ferry {

// The name for a backup of `name` in the directory: name + suffix, or name.~N~ with the next free N. Reads the
// directory for numbered ones.
Result<std::string> backup_name(int dirfd, const char* name, Backup kind, const std::string& suffix);

// Gives the file `name` the further name `backup`, replacing one there, so that `name` itself never goes missing; where
// the file system has no hard links it is renamed. 0 or -errno.
int keep_as_backup(int dirfd, const char* name, const char* backup);

}  // namespace ferry
