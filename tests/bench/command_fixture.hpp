// `ferry bench` as people run it: the real program, and what it reports.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "bench/child_process.hpp"
#include "bench/process.hpp"
#include "bench/scratch.hpp"

namespace ferry::bench {

class BenchCommandTest : public ScratchTest {
 protected:
  static Outcome<std::string> bench(std::vector<std::string> words) {
    words.insert(words.begin(), {"ferry", "bench"});
    return output_of({.program = FERRY_BINARY, .words = words});
  }

  // The JSON is checked to be JSON before anything is asked of it.
  static nlohmann::json bench_json(const std::vector<std::string>& words) {
    const auto output = bench(words);
    EXPECT_TRUE(output) << output.error();
    auto json = nlohmann::json::parse(output.value_or(""), nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << output.value_or("");
    return json;
  }

  static nlohmann::json contender(const nlohmann::json& report, const std::string& name, std::size_t group = 0) {
    for (const auto& candidate : report.at("groups").at(group).at("contenders")) {
      if (candidate.at("name") == name) {
        return candidate;
      }
    }
    return nullptr;
  }
};

// What a person who has seen enough does: Ctrl-C.
class InterruptedBench : public BenchCommandTest {
 protected:
  void SetUp() override {
    BenchCommandTest::SetUp();
    std::filesystem::create_directories(path("work"));
  }

  // Starts `ferry bench WORDS` with its report in a file, interrupts it as soon as `ready`, and gives its exit status.
  int interrupt(std::vector<std::string> words, const std::function<bool()>& ready) {
    words.insert(words.begin(), {"ferry", "bench"});
    words.insert(words.end(), {"--from", path("work"), "--to", path("work"), "--json", path("report.json")});
    auto child = ChildProcess::start([&words] {
      std::vector<char*> argv;
      for (std::string& word : words) {
        argv.push_back(word.data());
      }
      argv.push_back(nullptr);
      const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
      ::dup2(null, STDOUT_FILENO);
      ::execv(FERRY_BINARY, argv.data());
    });
    if (!child) {
      ADD_FAILURE() << child.error();
      return -1;
    }
    while (!ready() && !child->has_ended()) {
      ::usleep(1000);
    }
    EXPECT_FALSE(child->has_ended()) << "it was to be interrupted";
    ::kill(child->id(), SIGINT);
    const auto ended = child->wait();
    return ended && WIFEXITED(ended->status) ? WEXITSTATUS(ended->status) : -1;
  }

  // Whether there is an entry of the name in a directory that the benchmark works in.
  [[nodiscard]] bool has_begun(const std::string& name) const {
    std::error_code error;
    for (const auto& scratch : std::filesystem::directory_iterator(path("work"), error)) {
      if (std::filesystem::exists(scratch.path() / name, error)) {
        return true;
      }
    }
    return false;
  }

  [[nodiscard]] nlohmann::json report() const {
    std::ifstream file(path("report.json"));
    return nlohmann::json::parse(file, nullptr, false);
  }
};

}  // namespace ferry::bench
