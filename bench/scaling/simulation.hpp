// A job of many ranks, simulated: discrete events, with the decisions of src/mpi (who asks whom, who is given how much)
// and src/tree (what is split) made by their own code. What is modelled is the world around them: what an operation on
// a network file system takes, what its servers can do, and what a message takes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ferry::scaling {

// A tree: each directory has `files` files and, down to `depth` levels below the root, `directories` directories.
struct Shape {
  std::string name;
  unsigned depth = 0;
  unsigned directories = 0;
  std::uint64_t files = 0;

  [[nodiscard]] std::uint64_t total_files() const noexcept;
  [[nodiscard]] std::uint64_t total_directories() const noexcept;
};

struct World {
  double latency_s = 1e-3;        // of one metadata operation, there and back
  double server_per_s = 0;        // metadata operations that the servers can do in all; 0: any number
  double per_directory_s = 0;     // that creating one entry keeps its directory locked
  double message_s = 20e-6;       // of a message between two ranks
  double longest_sleep_s = 1e-3;  // of the thread that receives messages (ranks.cpp)
  double bytes_per_file = 0;
  double node_bytes_per_s = 0;    // of each rank; 0: any number
  double shared_bytes_per_s = 0;  // of the storage
  // Metadata operations: counted by strace for an archive copy.
  double operations_per_file = 10;
  double operations_per_directory = 14;  // entering, reading and leaving
  double operations_per_piece = 5;       // for who takes it
  std::uint64_t entries_per_read = 800;  // of one getdents64 call
};

struct Outcome {
  double seconds = 0;
  std::uint64_t files = 0;
  std::uint64_t directories = 0;
  std::uint64_t messages = 0;
  std::uint64_t pieces = 0;
  std::uint64_t most_queued = 0;  // tasks of one rank
  double busy = 0;                // part of the time that threads worked
  // When rank 0 knew that all was done, as it finds out itself; what was left then (0, or the job would have ended
  // early).
  std::uint64_t left_at_the_end = 0;
};

// The copy of the tree by so many ranks of so many threads. Deterministic.
[[nodiscard]] Outcome simulate(const Shape& shape, const World& world, int ranks, unsigned threads,
                               std::uint64_t seed = 1);

}  // namespace ferry::scaling
