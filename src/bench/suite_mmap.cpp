// Where the mmap suite comes from: a module that is built beside the command, and installed in lib/ferry, if Google
// Benchmark was there.
#include <dlfcn.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "bench/suites.hpp"

namespace ferry::bench {
namespace {

constexpr const char* module_name = "ferry-mmap-suite.so";

// Empty if there is none.
std::filesystem::path module_path() {
  std::error_code error;
  const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const std::filesystem::path& place : {here, (here / FERRY_BIN_TO_LIB / "ferry").lexically_normal()}) {
    if (std::filesystem::exists(place / module_name, error)) {
      return place / module_name;
    }
  }
  return {};
}

}  // namespace

Outcome<Plan> plan_mmap(const MmapSuite& suite, const SuiteOptions& options) {
  const std::filesystem::path path = module_path();
  if (path.empty()) {
    return std::unexpected(std::string("the mmap suite is not here: ferry was built without Google Benchmark (Debian's "
                                       "libbenchmark-dev), or ") +
                           module_name + " is not where it was installed");
  }
  // Stays loaded: the plan's functions are in it.
  void* const module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* const symbol = module == nullptr ? nullptr : ::dlsym(module, "ferry_plan_mmap");
  if (symbol == nullptr) {
    return std::unexpected(std::string("cannot load the mmap suite: ") + ::dlerror());
  }
  Plan plan;
  reinterpret_cast<decltype(&ferry_plan_mmap)>(symbol)(suite, options, plan);
  return plan;
}

}  // namespace ferry::bench
