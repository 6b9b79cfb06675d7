/// \file
/// The fields that lines of JSON of several commands have in common.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

#include <ferry/copy.hpp>

namespace ferry::cli {

using Json = nlohmann::ordered_json;

/// The value on one line. Never throws: bytes that are not UTF-8 become U+FFFD (see add_name() for the exact name).
[[nodiscard]] std::string one_line(const Json& value);
/// The name as `field`; if it is not UTF-8, exactly, in base64, as `field`_base64, too.
void add_name(Json& to, const char* field, std::string_view name);
/// "ENOENT"; the number if it has no name.
[[nodiscard]] std::string errno_word(int value);
/// How data was moved.
void add_report(Json& to, const CopyReport& report);

}  // namespace ferry::cli
