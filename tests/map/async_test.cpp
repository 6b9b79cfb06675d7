// Flushing on an event loop, on both of its backends.
#include "map/bytes.hpp"
#include "support/fault_plan.hpp"

namespace ferry::testing {
namespace {

using sys::Call;

class MapAsync : public ::testing::TestWithParam<LoopBackend> {
 protected:
  void SetUp() override {
    auto made = Loop::create({.backend = GetParam()});
    if (!made && GetParam() == LoopBackend::uring) {
      GTEST_SKIP() << "no io_uring here: " << made.error().to_string();
    }
    loop = must(std::move(made));
    map = must(MappedFile::create(scratch.path("file"), 16 * page, read_write));
  }
  Result<void> wait_for(Task<Result<void>> task) {
    auto ended = run(*loop, std::move(task));
    return ended ? *ended : std::unexpected(ended.error());
  }
  Scratch scratch;
  std::optional<Loop> loop;
  std::optional<MappedFile> map;
};

INSTANTIATE_TEST_SUITE_P(Backends, MapAsync, ::testing::Values(LoopBackend::uring, LoopBackend::threads),
                         [](const auto& backend) { return std::string(to_string(backend.param)); });

TEST_P(MapAsync, a_flush_leaves_nothing_pending) {
  must(map->update(0, bytes_of("hello")));
  must(wait_for(map->flush_async(*loop)));
  EXPECT_EQ(map->pending_bytes(), 0U);
  const FaultPlan plan;
  must(wait_for(map->flush_async(*loop)));  // clean
  must(map->flush());
  EXPECT_EQ(plan.count(Call::fdatasync) + plan.count(Call::fsync) + plan.count(Call::msync), 0U);
}

TEST_P(MapAsync, an_update_is_written_and_flushed) {
  must(wait_for(map->update_async(*loop, 3, bytes_of("hello"), Durability::data_and_metadata)));
  EXPECT_EQ(map->pending_bytes(), 0U);
  EXPECT_EQ(must(map->view(3, 5)).text(), "hello");
  EXPECT_EQ(errno_of(wait_for(map->update_async(*loop, 16 * page, bytes_of("x")))), ERANGE);
}

TEST_P(MapAsync, a_failed_flush_leaves_everything_pending) {
  must(map->update(0, bytes_of("hello")));
  {
    FaultPlan plan;
    plan.fail(Call::fdatasync, EIO);
    plan.fail(Call::fsync, EIO);
    const auto flushed = wait_for(map->flush_async(*loop));
    EXPECT_EQ(errno_of(flushed), EIO);
    EXPECT_EQ(flushed.error().path, scratch.path("file"));
    EXPECT_GE(plan.injected(), 1U);
  }
  EXPECT_EQ(map->pending_bytes(), page);
  {
    FaultPlan plan;
    plan.fail(Call::membarrier, ENOMEM);
    EXPECT_EQ(errno_of(wait_for(map->flush_async(*loop))), ENOMEM);
  }
  EXPECT_EQ(map->pending_bytes(), page);
  must(wait_for(map->flush_async(*loop)));
  EXPECT_EQ(map->pending_bytes(), 0U);
}

TEST_P(MapAsync, a_flush_meanwhile_does_not_take_it_for_done) {
  must(map->update(0, bytes_of("hello")));
  const auto both = [this]() -> Task<Result<void>> {
    auto first = map->flush_async(*loop);
    const auto overtaking = [this]() -> Task<Result<void>> {
      const FaultPlan plan;
      auto flushed = map->flush();
      EXPECT_EQ(plan.count(Call::msync), 1U);  // asks the kernel, though no page is marked
      EXPECT_EQ(errno_of(map->unmap()), EBUSY);
      co_return flushed;
    };
    auto [one, two] = co_await when_all(std::move(first), overtaking());
    co_return one ? two : one;
  };
  must(wait_for(both()));
  EXPECT_TRUE(map->unmap());
}

TEST_P(MapAsync, what_has_nothing_to_flush_says_so_at_once) {
  auto copy = must(MappedFile::open_copy_on_write(scratch.path("file")));
  EXPECT_EQ(errno_of(wait_for(copy.flush_async(*loop))), ENOTSUP);
  must(map->update(0, bytes_of("x")));
  must(wait_for(map->flush_async(*loop, Durability::visible)));
  EXPECT_EQ(map->pending_bytes(), page);
}

}  // namespace
}  // namespace ferry::testing
