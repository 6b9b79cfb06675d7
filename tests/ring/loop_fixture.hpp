// Loops of each backend, and operations that remember how they ended.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include <ferry/loop.hpp>

#include "support/scratch.hpp"

namespace ferry::testing {

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }
inline std::span<std::byte> bytes_of(std::string& text) { return std::as_writable_bytes(std::span(text)); }

// Whether this machine has io_uring at all.
inline bool has_uring() { return Ring::create().has_value(); }

// A loop of the backend given; the test is skipped where the kernel has none.
class LoopTest : public ::testing::TestWithParam<LoopBackend> {
 protected:
  void SetUp() override {
    if (GetParam() == LoopBackend::uring && !has_uring()) {
      GTEST_SKIP() << "no io_uring here: " << Ring::create().error().to_string();
    }
    make_loop({});
  }
  void make_loop(LoopOptions options) {
    loop_.reset();
    options.backend = GetParam();
    auto made = Loop::create(options);
    ASSERT_TRUE(made) << made.error().to_string();
    ASSERT_EQ(made->backend(), GetParam());
    loop_ = std::make_unique<Loop>(std::move(*made));
  }
  Loop& loop() { return *loop_; }

  // Starts the request, runs the loop until nothing is left, and gives the result.
  std::int64_t result_of(Request request) {
    Operation operation;
    loop_->start(operation, std::move(request));
    EXPECT_TRUE(operation.in_flight());
    EXPECT_TRUE(loop_->run());
    EXPECT_FALSE(operation.in_flight());
    return operation.result();
  }
  std::int64_t read(int fd, std::string& into, std::uint64_t offset) {
    return result_of(request::Read{fd, Buffer::borrow(bytes_of(into)), offset});
  }
  std::int64_t write(int fd, const std::string& from, std::uint64_t offset) {
    return result_of(request::Write{fd, Buffer::borrow_const(bytes_of(from)), offset});
  }

  Scratch scratch_;
  std::unique_ptr<Loop> loop_;
};

inline std::string backend_name(const ::testing::TestParamInfo<LoopBackend>& info) {
  return std::string(to_string(info.param));
}

// NOLINTNEXTLINE(*-macro-usage): GoogleTest's own is a macro
#define FERRY_ON_BOTH_BACKENDS(suite)                                                                            \
  INSTANTIATE_TEST_SUITE_P(On, suite, ::testing::Values(ferry::LoopBackend::uring, ferry::LoopBackend::threads), \
                           ferry::testing::backend_name)

}  // namespace ferry::testing
