// Node or Bun, started once and doing the same work in a loop whenever asked: start-up is not measured, and its
// compiler has warmed up before the first round that counts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <ferry/base.hpp>

#include "bench/child_process.hpp"
#include "bench/hardware_counters.hpp"
#include "bench/outcome.hpp"
#include "bench/process.hpp"
#include "bench/runner.hpp"

namespace ferry::bench {

/// What a script does with its source.
enum class ScriptWork : std::uint8_t {
  copy,  ///< fs.cpSync to the target.
  list,  ///< fs.readdirSync, recursive, with file types; the last list is written to the target (see Listing).
};

/// Whose functions a script calls.
enum class ScriptApi : std::uint8_t {
  fs,            ///< The runtime's own.
  ferry,         ///< Those of the package.
  ferry_atomic,  ///< The same, with the option `atomic`.
};

class ScriptPeer {
 public:
  /// Starts `program` (Node or Bun). `package`: the folder of the package ferry-native; empty if it is not used.
  [[nodiscard]] static Outcome<ScriptPeer> start(const std::string& program, ScriptWork work,
                                                 const std::filesystem::path& source,
                                                 const std::filesystem::path& package = {});

  /// Does the work turn.repetitions times; time and processor use are taken inside the script, around the loop. A
  /// script that was stopped can do nothing more.
  [[nodiscard]] Outcome<Cost> run(const Turn& turn, ScriptApi api = ScriptApi::fs);

 private:
  ScriptPeer(ChildProcess process, UniqueFd input, UniqueFd output);
  [[nodiscard]] Outcome<std::string> read_line(const RunControl& control);

  ChildProcess process_;  // killed with this object: it holds nothing that must be put away
  UniqueFd input_;        // of the process: written here
  UniqueFd output_;       // of the process: read here
  HardwareCounters counters_;
};

}  // namespace ferry::bench
