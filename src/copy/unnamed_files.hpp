// Files without a name (O_TMPFILE): where they work, and giving them one.
#pragma once

namespace ferry::engine {

// False when the file system of `dirfd` is known not to have them. Costs a system call only after some file system was
// found without. Thread-safe, like all of these.
[[nodiscard]] bool unnamed_files_expected(int dirfd) noexcept;
void note_unnamed_files_missing(int dirfd) noexcept;

// Whether `error` (-errno of openat) may mean that O_TMPFILE is not supported: EOPNOTSUPP, on old kernels EISDIR, on
// some file systems EINVAL or ENOENT (openat(2)).
[[nodiscard]] bool says_no_unnamed_files(int error) noexcept;

// Links the unnamed file `fd` to `name` in `dirfd`; 0 or -errno. One linkat(2).
[[nodiscard]] int link_unnamed(int fd, int dirfd, const char* name) noexcept;

// For tests: as if nothing had been learned.
void forget_unnamed_files() noexcept;

}  // namespace ferry::engine
