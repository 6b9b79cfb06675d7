// Logging by spdlog. Levels below FERRY_LOG_ACTIVE_LEVEL are compiled out (arguments are not evaluated); of the rest,
// the environment variable FERRY_LOG (trace, debug, info, warn, error, off; default off) chooses at run time.
#pragma once

#ifndef FERRY_LOG_ACTIVE_LEVEL
#define FERRY_LOG_ACTIVE_LEVEL 1  // debug
#endif
#define SPDLOG_ACTIVE_LEVEL FERRY_LOG_ACTIVE_LEVEL
#include <spdlog/spdlog.h>

namespace ferry::log {
// The library's logger: standard error, thread-safe. Created at first use.
spdlog::logger& logger();
}  // namespace ferry::log

#define FERRY_LOG_TRACE(...) SPDLOG_LOGGER_TRACE((&::ferry::log::logger()), __VA_ARGS__)
#define FERRY_LOG_DEBUG(...) SPDLOG_LOGGER_DEBUG((&::ferry::log::logger()), __VA_ARGS__)
#define FERRY_LOG_WARN(...) SPDLOG_LOGGER_WARN((&::ferry::log::logger()), __VA_ARGS__)
