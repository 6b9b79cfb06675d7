# Build options and the warnings and sanitizers every target of ferry is built with.
option(FERRY_BUILD_TESTS "Build the tests" ON)
option(FERRY_BUILD_BENCHMARKS "Build the micro-benchmarks in bench/ (Google Benchmark)" OFF)
option(FERRY_BUILD_NODE "Build the addon of the Node.js package in node/ (needs its npm packages)" OFF)
set(FERRY_SANITIZE "" CACHE STRING "Value for -fsanitize= (address,undefined or thread); empty for none")
set(FERRY_LOG_ACTIVE_LEVEL 1 CACHE STRING "Log levels below this are compiled out (spdlog numbers: 0 trace ... 6 off)")

add_library(ferry_warnings INTERFACE)
target_compile_options(ferry_warnings INTERFACE -Wall -Wextra -Wpedantic -Werror)
# GCC 12 warns of overlapping copies in its own std::string (GCC bug 105329).
target_compile_options(ferry_warnings INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
target_compile_definitions(ferry_warnings INTERFACE FERRY_LOG_ACTIVE_LEVEL=${FERRY_LOG_ACTIVE_LEVEL})
if(FERRY_SANITIZE)
  add_compile_options(-fsanitize=${FERRY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${FERRY_SANITIZE})
endif()
