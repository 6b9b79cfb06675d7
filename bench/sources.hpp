// What the micro-benchmarks work on: a directory of their own on tmpfs, or in $FERRY_MICRO_DIRECTORY.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include <benchmark/benchmark.h>
#include <ferry/base.hpp>

#include "bench/workload.hpp"

namespace ferry::micro {

/// Where the benchmarks make their files.
inline std::filesystem::path place() {
  const char* const chosen = std::getenv("FERRY_MICRO_DIRECTORY");
  return chosen != nullptr ? chosen : "/dev/shm";
}

/// True if `result` holds a value; else the benchmark is marked as failed, with the reason, and must end.
template <typename Result>
bool worked(benchmark::State& state, const Result& result) {
  if (result) {
    return true;
  }
  if constexpr (requires { result.error().to_string(); }) {
    state.SkipWithError(result.error().to_string().c_str());
  } else {
    state.SkipWithError(result.error().c_str());
  }
  return false;
}

}  // namespace ferry::micro
