/// \file
/// `ferry cp`: a drop-in for GNU cp on top of ferry's tree engine.
#pragma once

namespace ferry::cli {

/// Runs `ferry cp`; argv[0] is the subcommand's name. Returns the exit status: 0, or 1 if anything failed. Does not
/// return if a signal ended the job: the process then dies by that signal.
int run_cp(int argc, char** argv);

}  // namespace ferry::cli
