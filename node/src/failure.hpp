// Why something failed, as JavaScript is to be told.
#pragma once

#include <expected>
#include <string>
#include <utility>

#include <ferry/base.hpp>

namespace ferry_node {

/// A failure on its way to JavaScript, which makes an Error of it (lib/errors.cjs).
struct Failure {
  std::string code = {};       ///< One of Node's own codes ("ERR_FS_CP_EINVAL"); empty: the errno's name is the code.
  int errno_value = 0;         ///< Positive.
  const char* syscall = "cp";  ///< As Node calls it. Static storage.
  std::string message = {};    ///< Of Node's own codes; empty for errno errors.
  std::string path = {};       ///< Raw bytes; empty: none.
  std::string destination = {};
};

template <typename T>
using Outcome = std::expected<T, Failure>;

/// An errno error as the functions of `fs` have it.
[[nodiscard]] inline std::unexpected<Failure> failed(int errno_value, const char* syscall, std::string path = {},
                                                     std::string destination = {}) {
  return std::unexpected(Failure{
      .errno_value = errno_value, .syscall = syscall, .path = std::move(path), .destination = std::move(destination)});
}
/// The engine's error; its own path is a description of a range and is not used.
[[nodiscard]] inline std::unexpected<Failure> failed(const ferry::Error& error, std::string path = {},
                                                     std::string destination = {}) {
  return failed(error.errno_value(), error.operation, std::move(path), std::move(destination));
}

}  // namespace ferry_node
