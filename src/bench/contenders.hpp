// What the suites have in common: contenders made of commands, and the conditions every run begins under.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "bench/peers.hpp"
#include "bench/runner.hpp"
#include "bench/suites.hpp"

namespace ferry::bench {

/// Whether `peer` takes part: named by the user, or among the `usual` ones if none is named.
[[nodiscard]] bool takes_part(const SuiteOptions& options, const Peer& peer, bool usual);

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

/// What is done, untimed, before every run: the target's file system is quiet, the source in or out of the cache.
[[nodiscard]] Outcome<void> prepare_caches(const SuiteOptions& options, const std::filesystem::path& source);
[[nodiscard]] Fact cache_fact(const SuiteOptions& options);

/// "/dev/shm (tmpfs)".
[[nodiscard]] std::string describe_place(const std::filesystem::path& path);
[[nodiscard]] std::string ferry_version();

}  // namespace ferry::bench
