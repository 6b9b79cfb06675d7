// Node or Bun, started once and copying a tree in a loop whenever asked: start-up is not measured, and its compiler has
// warmed up before the first round that counts.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include <ferry/base.hpp>

#include "bench/outcome.hpp"
#include "bench/process.hpp"

namespace ferry::bench {

class ScriptPeer {
 public:
  /// Starts `program` (Node or Bun), to copy `source` with cpSync `copies` times per call of run().
  [[nodiscard]] static Outcome<ScriptPeer> start(const std::string& program, const std::filesystem::path& source,
                                                 std::uint64_t copies);
  ScriptPeer(ScriptPeer&& other) noexcept;
  ScriptPeer(const ScriptPeer&) = delete;
  ScriptPeer& operator=(const ScriptPeer&) = delete;
  ScriptPeer& operator=(ScriptPeer&&) = delete;
  /// Ends the process and waits for it.
  ~ScriptPeer();

  /// Copies to `target`; time and processor use are taken inside the script, around the loop.
  [[nodiscard]] Outcome<Cost> run(const std::filesystem::path& target);

 private:
  ScriptPeer(pid_t process, UniqueFd input, UniqueFd output)
      : process_(process), input_(std::move(input)), output_(std::move(output)) {}
  [[nodiscard]] Outcome<std::string> read_line();

  pid_t process_ = -1;
  UniqueFd input_;   // of the process: written here
  UniqueFd output_;  // of the process: read here
};

}  // namespace ferry::bench
