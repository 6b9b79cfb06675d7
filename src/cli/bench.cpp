// `ferry bench`: see src/bench.
#include "bench/bench.hpp"

#include "cli/commands.hpp"
#include "cli/terminal.hpp"

namespace ferry::cli {

int bench_main(int argc, char** argv) {
  return bench::run_bench(
      argc, argv, {.colour = may_colour(stdout), .columns = is_terminal(stdout) ? terminal_columns(stdout) : 0});
}

}  // namespace ferry::cli
