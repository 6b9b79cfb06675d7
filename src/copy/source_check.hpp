// Whether a source changed while it was copied, and whether all of it was copied.
#pragma once

#include <cstdint>

#include <ferry/base.hpp>

struct statx;

namespace ferry::engine {

// After a copy that reached where read() says the source `in` ends, or `expected` bytes: true when size, mtime or ctime
// differ from `before`. EIO when nothing changed and yet only `copied` of the `expected` bytes came: a short copy is
// never a success. (Synthetic files, which have no blocks, have sizes that mean nothing and are not held to them.)
[[nodiscard]] Result<bool> source_changed(int in, const struct ::statx& before, std::uint64_t copied,
                                          std::uint64_t expected);

}  // namespace ferry::engine
