// `ferry bench`: measures ferry against the tools a person would otherwise have used, on this machine.
#pragma once

#include "bench/text_table.hpp"

namespace ferry::bench {

/// Runs `ferry bench ARGS`; argv[0] is the program's name. Prints the report to standard output, progress and errors to
/// standard error. Returns the exit status: 0, 1 (ferry's own run failed, or nothing could be measured), 2 (wrong
/// arguments), 130 (interrupted; what was measured until then is printed and marked). `style` is that of standard
/// output.
int run_bench(int argc, char** argv, const TableStyle& style);

}  // namespace ferry::bench
