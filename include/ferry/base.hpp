/// \file
/// The vocabulary every room of ferry shares: errors as values, owned file descriptors, byte sizes.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace ferry {

/// Why an operation failed: the system's error, the operation, and what it was working on.
///
/// Copyable and cheap to move. Library functions report I/O failures only this way: they do not throw for
/// I/O, print, exit or abort.
struct Error {
  /// The errno value in the generic category ("No space left on device").
  std::error_code code;
  /// The failing operation as its man page calls it ("openat", "copy_file_range"). Static storage.
  const char* operation = "";
  /// The path, or a description of the range, that it failed on. Raw bytes: may hold any byte but NUL.
  std::string path;

  /// The errno value (1..4095).
  [[nodiscard]] int errno_value() const noexcept { return code.value(); }
  /// One clear line, "copy_file_range 'dir/name': No space left on device". Control characters and invalid
  /// UTF-8 in the path are escaped, so the line is safe on a terminal.
  [[nodiscard]] std::string to_string() const;
};

/// The result of an operation that can fail.
template <typename T>
using Result = std::expected<T, Error>;

/// Makes the error alternative of a Result from an errno value (positive).
[[nodiscard]] std::unexpected<Error> fail(int errno_value, const char* operation, std::string path = {});

/// Quotes a path for a message as GNU tools do: 'plain', 'it'\''s' and $'with\nnewline' forms, so that the
/// output is one line, safe on a terminal, and can be pasted into a shell. Any bytes are accepted.
[[nodiscard]] std::string quoted(std::string_view path);

/// Owns one file descriptor; closes it when destroyed. Move-only, not thread-safe.
class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  /// Takes ownership of `fd`; a negative value means "none".
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset(other.release());
    }
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Gives up ownership without closing.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  /// Closes what is owned (errors ignored: use close() where they matter) and owns `fd` instead.
  void reset(int fd = -1) noexcept;
  /// Closes and returns 0 or the positive errno of close(2): the last chance to hear of a write-back error
  /// on file systems that report there (NFS, FUSE). The descriptor is gone in either case.
  [[nodiscard]] int close() noexcept;

 private:
  int fd_ = -1;
};

/// Parses a size in bytes: "4096", "64K", "4M", "1G", "2T", "1P" (powers of 1024; also "KiB", "MiB", ...) and
/// "kB", "MB", "GB", "TB", "PB" (powers of 1000), as GNU tools do. Errors: EINVAL when malformed, ERANGE when over
/// 2^63-1.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);

/// Formats bytes for people: "0 B", "512 B", "4.0 KiB", "1.5 GiB".
[[nodiscard]] std::string format_size(std::uint64_t bytes);

/// ferry's version, "MAJOR.MINOR.PATCH".
[[nodiscard]] std::string_view version() noexcept;

}  // namespace ferry
