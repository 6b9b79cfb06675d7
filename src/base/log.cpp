#include "base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>

#include <cstdlib>
#include <memory>

namespace ferry::log {

spdlog::logger& logger() {
  // Never destroyed: worker threads may still log while the process exits. Not registered with spdlog, so a program's
  // own loggers are untouched.
  static spdlog::logger* const instance = [] {
    auto* made = new spdlog::logger("ferry", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    const char* level = std::getenv("FERRY_LOG");
    made->set_level(level == nullptr ? spdlog::level::off : spdlog::level::from_str(level));
    made->set_pattern("%H:%M:%S.%f %n %l [%t] %v");
    return made;
  }();
  return *instance;
}

}  // namespace ferry::log
