// The subcommands of `ferry`. Each takes the arguments that follow its name (argv[0] is "ferry NAME", for messages)
// and returns the exit status.
#pragma once

namespace ferry::cli {

int cp_main(int argc, char** argv);
int sync_main(int argc, char** argv);
int probe_main(int argc, char** argv);
int bench_main(int argc, char** argv);

}  // namespace ferry::cli
