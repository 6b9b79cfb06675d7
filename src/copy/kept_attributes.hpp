// What a replaced file hands on to its replacement.
#pragma once

struct statx;

namespace ferry::engine {

// Gives `to` (a new file of this process) owner, extended attributes (ACLs among them) and mode of `from`, whose statx
// is `from_status`. Not security.capability: the kernel, too, takes it away when content changes. 0, or -errno where
// something could not be carried over.
[[nodiscard]] int keep_attributes(int from, const struct ::statx& from_status, int to);

}  // namespace ferry::engine
