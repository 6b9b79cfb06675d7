/// \file
/// The command as one of several processes that mpirun or srun has started.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include <ferry/mpi.hpp>

namespace ferry::cli {

/// What the launcher says in the environment.
struct Launch {
  int rank = 0;
  int size = 1;
  [[nodiscard]] bool is_one_of_several() const noexcept { return size > 1; }
};
/// Open MPI, PMIx, and PMI (MPICH, Intel MPI, Slurm). FERRY_MPI=off in the environment: a process on its own, for
/// programs that were started by mpirun themselves and call ferry.
[[nodiscard]] Launch launched_as();

/// Loads the module and joins the others; the error is a message for people.
[[nodiscard]] std::expected<std::unique_ptr<Ranks>, std::string> join_ranks(const Launch& launch);

/// "MPI: Open MPI v4.1.4", or why there is none: a line of --version.
[[nodiscard]] std::string describe_mpi();

/// Who this process is, for the checks at the start.
[[nodiscard]] RankFacts facts_of_command(int argc, char* const* argv);

/// While it lives, nothing this process writes to its standard streams is seen: rank 0 says it. Does nothing for rank
/// 0.
class Silence {
 public:
  explicit Silence(const Launch& launch);
  ~Silence();
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

 private:
  UniqueFd output_;
  UniqueFd errors_;
};

/// For commands that do not know of ranks: complains, once for all of them, and is the exit status. 0: this process is
/// on its own.
[[nodiscard]] int refuse_several_ranks(const char* command);

}  // namespace ferry::cli
