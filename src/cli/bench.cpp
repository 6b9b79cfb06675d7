// `ferry bench`: see src/bench.
#include "bench/bench.hpp"

#include "cli/commands.hpp"

namespace ferry::cli {

int bench_main(int argc, char** argv) { return bench::run_bench(argc, argv); }

}  // namespace ferry::cli
