#include "cli/json_fields.hpp"

#include <cstring>

namespace ferry::cli {
namespace {

bool is_utf8(std::string_view text) {
  try {
    (void)Json(text).dump();  // strict: throws on anything that is not
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t at) -> unsigned {
      return i + at < bytes.size() ? static_cast<unsigned char>(bytes[i + at]) : 0U;
    };
    const unsigned group = byte(0) << 16U | byte(1) << 8U | byte(2);
    for (unsigned digit = 0; digit < 4; ++digit) {
      text += i + digit <= bytes.size() ? digits[group >> (18U - 6U * digit) & 63U] : '=';
    }
  }
  return text;
}

}  // namespace

std::string one_line(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

void add_name(Json& to, const char* field, std::string_view name) {
  to[field] = name;
  if (!is_utf8(name)) {
    to[std::string(field) + "_base64"] = base64(name);
  }
}

std::string errno_word(int value) {
  const char* name = strerrorname_np(value);  // glibc 2.32
  return name != nullptr ? name : std::to_string(value);
}

void add_report(Json& to, const CopyReport& report) {
  to["size_bytes"] = report.size_bytes;
  to["bytes_copied"] = report.bytes_copied;
  to["direct_bytes"] = report.direct_bytes;
  to["polled_bytes"] = report.polled_bytes;
  to["hole_bytes"] = report.hole_bytes;
  Json bytes = Json::object();
  Json refused = Json::object();
  for (std::size_t i = 0; i < copy_method_count; ++i) {
    const std::string name(ferry::to_string(static_cast<CopyMethod>(i)));
    if (report.bytes_by_method[i] > 0) {
      bytes[name] = report.bytes_by_method[i];
    }
    if (report.refused_errno[i] != 0) {
      refused[name] = errno_word(report.refused_errno[i]);
    }
  }
  to["bytes_by_method"] = bytes;
  if (report.polling_refused_errno != 0) {
    refused["polling"] = errno_word(report.polling_refused_errno);
  }
  to["refused"] = refused;
  to["verified"] = report.verified;
  to["source_changed"] = report.source_changed;
}

}  // namespace ferry::cli
