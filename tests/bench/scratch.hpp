// A directory of the test's own on tmpfs, and files in it.
#pragma once

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include <gtest/gtest.h>
#include "bench/workload.hpp"

namespace ferry::bench {

class ScratchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = ScratchDirectory::create("/dev/shm");
    ASSERT_TRUE(made) << made.error();
    scratch_.emplace(std::move(*made));
  }

  [[nodiscard]] std::filesystem::path path(const std::string& name) const { return scratch_->path() / name; }

  static void write(const std::filesystem::path& file, const std::string& text) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
  }

 private:
  std::optional<ScratchDirectory> scratch_;
};

}  // namespace ferry::bench
