// What the suites have in common: contenders made of commands, and the conditions every run begins under.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bench/peers.hpp"
#include "bench/runner.hpp"
#include "bench/script_peer.hpp"
#include "bench/suites.hpp"

namespace ferry::bench {

/// Whether `peer` takes part: named by the user, or none is named.
[[nodiscard]] bool takes_part(const SuiteOptions& options, const Peer& peer);
/// "cp (GNU coreutils) 9.1", "node v18.19.0": the version, and of what.
[[nodiscard]] std::string version_of(const Peer& peer, const FoundPeer& found);

/// The steps, in order, that copy to `target`; timed together.
using Steps = std::function<std::vector<Command>(const std::filesystem::path& target)>;
/// A contender that runs commands. Its set_up and check are the suite's to fill.
[[nodiscard]] Contender command_contender(std::string name, std::string version, const Steps& steps,
                                          const std::filesystem::path& target_for_show);

/// This very program, as a command of whole words: {"cp", "-a", ...}.
[[nodiscard]] Command ferry_command(std::vector<std::string> words);
/// The rival's command with the paths quoted for the shell and put in place.
[[nodiscard]] Command custom_command(const CustomRival& rival, const std::filesystem::path& source,
                                     const std::filesystem::path& target);

/// Adds Node or Bun (`peer`) to the job, in a process that is started now; if it is not here, or does not start, it is
/// missing.
void add_script_peer(Job& job, const Peer& peer, const SuiteOptions& options, ScriptWork work,
                     const std::filesystem::path& source);

/// What is done, untimed, before every run: the target's file system is quiet, the source in or out of the cache.
[[nodiscard]] Outcome<void> prepare_caches(Caches caches, const std::filesystem::path& source,
                                           const std::filesystem::path& target_directory);
[[nodiscard]] Fact cache_fact(Caches caches);
/// Whether traffic between cache and memory can be counted here, or why not.
[[nodiscard]] Fact counters_fact();
/// "5 rounds after 1 to warm up".
[[nodiscard]] std::string describe_rounds(const SuiteOptions& options);

/// A report with everything but its groups.
[[nodiscard]] Report begin_report(std::string suite, const SuiteOptions& options);

/// Counts what each contender that did not fail asks of the kernel for one repetition of its work, and adds it to the
/// group. A fact says by what, or why not.
void add_system_calls(Group& group, const Job& job, std::uint64_t repetitions, const Session& session);

/// "100 MB" if it is a whole number of these, else as format_size().
[[nodiscard]] std::string size_label(std::uint64_t bytes);
/// "/dev/shm (tmpfs)".
[[nodiscard]] std::string describe_place(const std::filesystem::path& path);
[[nodiscard]] std::string ferry_version();

}  // namespace ferry::bench
