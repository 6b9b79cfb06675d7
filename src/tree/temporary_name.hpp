// Names for what must exist for a moment beside the name it is going to take.
#pragma once

#include <xxhash.h>

#include <string>

#include <fmt/format.h>

namespace ferry {

// ".ferry-*.tmp", made from the final name: what a killed process left is found, and removed, by the next one that
// makes the same name.
inline std::string temporary_name_for(const char* final_name) {
  return fmt::format(".ferry-{:016x}.tmp",
                     static_cast<unsigned long long>(XXH64(final_name, std::char_traits<char>::length(final_name), 1)));
}

}  // namespace ferry
