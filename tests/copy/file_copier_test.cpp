// FileCopier: the hot path's system calls, fallbacks, failures, changing sources, holes.
#include <ferry/copy.hpp>

#include <gtest/gtest.h>

#include <ostream>
#include <utility>

#include "copy/capabilities.hpp"
#include "support/fault_plan.hpp"
#include "support/scratch.hpp"

namespace ferry::testing {
namespace {

using sys::Call;

constexpr std::size_t large = 3'000'007;

CopyOptions only(CopyMethod method) {
  CopyOptions options;
  options.methods = method;
  return options;
}

// Between files splice is used only where sendfile is ruled out.
CopyOptions without_sendfile() {
  CopyOptions options;
  options.methods.erase(CopyMethod::sendfile);
  return options;
}

std::uint64_t moved_by(const CopyReport& report, CopyMethod method) {
  return report.bytes_by_method[static_cast<std::size_t>(method)];
}
int refused(const CopyReport& report, CopyMethod method) {
  return report.refused_errno[static_cast<std::size_t>(method)];
}

class FileCopierTest : public ::testing::Test {
 protected:
  void SetUp() override { engine::forget_refused(); }

  // Copies source to destination (created, or opened as it is) with a FileCopier.
  static Result<CopyReport> copy(const std::string& from, const std::string& to, const CopyOptions& options = {}) {
    const UniqueFd in = open_file(from, O_RDONLY);
    const UniqueFd out = open_file(to, O_WRONLY | O_CREAT);
    const struct statx in_status = status_of(in.get());
    const struct statx out_status = status_of(out.get());
    FileCopier copier(options);
    return copier.copy(in.get(), in_status, out.get(), out_status.stx_size, device_of(out_status));
  }

  void expect_copied(const Result<CopyReport>& report, const std::string& content) {
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(report->size_bytes, content.size());
    EXPECT_TRUE(read_file(destination_) == content);
  }

  Scratch scratch_;
  std::string source_ = scratch_.path("source");
  std::string destination_ = scratch_.path("destination");
};

TEST_F(FileCopierTest, a_small_file_takes_one_read_and_one_write_and_nothing_else) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{4096}, std::size_t{100'001}, small_file_bytes}) {
    const std::string content = some_bytes(size);
    write_file(source_, content);
    const UniqueFd in = open_file(source_, O_RDONLY);
    const UniqueFd out = open_file(destination_, O_WRONLY | O_CREAT | O_TRUNC);
    const struct statx in_status = status_of(in.get());
    FileCopier copier({});
    const FaultPlan plan;
    const auto report = copier.copy(in.get(), in_status, out.get(), 0, 1);
    EXPECT_EQ(plan.total(), 2U);
    EXPECT_EQ(plan.count(Call::read), 1U);
    EXPECT_EQ(plan.count(Call::write), 1U);
    expect_copied(report, content);
    EXPECT_EQ(report->bytes_copied, size);
    EXPECT_EQ(report->method(), CopyMethod::read_write);
    EXPECT_FALSE(report->source_changed);
  }
}

TEST_F(FileCopierTest, one_byte_over_the_small_limit_goes_by_the_kernel) {
  write_file(source_, some_bytes(small_file_bytes + 1));
  const auto report = copy(source_, destination_);
  expect_copied(report, some_bytes(small_file_bytes + 1));
  EXPECT_EQ(report->method(), CopyMethod::copy_file_range);
}

TEST_F(FileCopierTest, an_empty_file_takes_one_read) {
  write_file(source_, "");
  const UniqueFd in = open_file(source_, O_RDONLY);
  const UniqueFd out = open_file(destination_, O_WRONLY | O_CREAT);
  const struct statx in_status = status_of(in.get());
  FileCopier copier({});
  const FaultPlan plan;
  ASSERT_TRUE(copier.copy(in.get(), in_status, out.get(), 0, 1));
  EXPECT_EQ(plan.total(), 1U);
}

TEST_F(FileCopierTest, a_longer_old_destination_is_trimmed) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{10}, std::size_t{300'000}, std::size_t{1'000'000}}) {
    write_file(source_, some_bytes(size));
    write_file(destination_, some_bytes(2'000'000, 2));
    expect_copied(copy(source_, destination_), some_bytes(size));
  }
}

TEST_F(FileCopierTest, every_method_that_works_here_copies_alone) {
  const Scratch on_ext4("/tmp");
  const std::string content = some_bytes(20'000'003);
  write_file(source_, content);
  for (const CopyMethod method :
       {CopyMethod::splice, CopyMethod::sendfile, CopyMethod::uring, CopyMethod::read_write}) {
    for (const std::string& to : {scratch_.path("same"), on_ext4.path("other")}) {
      const auto report = copy(source_, to, only(method));
      ASSERT_TRUE(report) << to_string(method) << ": " << report.error().to_string();
      EXPECT_EQ(moved_by(*report, method), content.size());
      EXPECT_EQ(report->method(), method);
      EXPECT_TRUE(read_file(to) == content) << to_string(method);
      ::unlink(to.c_str());
    }
  }
  expect_copied(copy(source_, destination_, only(CopyMethod::copy_file_range)), content);
}

TEST_F(FileCopierTest, methods_that_do_not_work_alone_fail_with_their_own_error) {
  write_file(source_, some_bytes(large));
  const auto cloned = copy(source_, destination_, only(CopyMethod::reflink));
  ASSERT_FALSE(cloned);
  EXPECT_EQ(cloned.error().errno_value(), EOPNOTSUPP);  // tmpfs
  EXPECT_STREQ(cloned.error().operation, "FICLONE");
  FaultPlan plan;
  plan.fail(Call::io_uring_setup, ENOSYS);
  CopyOptions by_ring = only(CopyMethod::uring);
  by_ring.queue_depth = 99;  // no ring of this shape is kept from other tests
  const auto uring = copy(source_, destination_, by_ring);
  ASSERT_FALSE(uring);
  EXPECT_EQ(uring.error().errno_value(), ENOSYS);
}

TEST_F(FileCopierTest, between_file_systems_the_refusal_is_reported_and_remembered) {
  const Scratch on_ext4("/tmp");
  write_file(source_, some_bytes(large));
  const FaultPlan plan;
  const auto first = copy(source_, on_ext4.path("a"));
  ASSERT_TRUE(first);
  EXPECT_EQ(refused(*first, CopyMethod::reflink), EXDEV);
  EXPECT_EQ(refused(*first, CopyMethod::copy_file_range), EXDEV);
  const std::uint64_t asked = plan.count(Call::copy_file_range) + plan.count(Call::ficlone);
  const auto second = copy(source_, on_ext4.path("b"));
  ASSERT_TRUE(second);
  EXPECT_EQ(plan.count(Call::copy_file_range) + plan.count(Call::ficlone), asked);
  EXPECT_EQ(refused(*second, CopyMethod::copy_file_range), EXDEV);
  EXPECT_TRUE(read_file(on_ext4.path("b")) == some_bytes(large));
}

// --- fallback ------------------------------------------------------------------------------------------------------

TEST_F(FileCopierTest, copy_file_range_falls_back_on_every_errno_that_says_not_here) {
  write_file(source_, some_bytes(large));
  for (const int error :
       {ENOSYS, EOPNOTSUPP, ENOTTY, EINVAL, EBADF, EXDEV, ETXTBSY, EPERM, EACCES, ENOENT, EIO, EAGAIN, EFBIG}) {
    engine::forget_refused();
    FaultPlan plan;
    plan.fail(Call::copy_file_range, error);
    const auto report = copy(source_, destination_);
    expect_copied(report, some_bytes(large));
    EXPECT_EQ(refused(*report, CopyMethod::copy_file_range), error);
    EXPECT_EQ(moved_by(*report, CopyMethod::copy_file_range), 0U);
    EXPECT_EQ(plan.count(Call::copy_file_range), 1U);
    EXPECT_GT(plan.injected(), 0U);
  }
}

TEST_F(FileCopierTest, copy_file_range_that_fails_for_good_is_not_retried_otherwise) {
  write_file(source_, some_bytes(large));
  for (const int error : {ENOSPC, EDQUOT, ENOMEM}) {
    FaultPlan plan;
    plan.fail(Call::copy_file_range, error);
    const auto report = copy(source_, destination_);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().errno_value(), error);
    EXPECT_STREQ(report.error().operation, "copy_file_range");
    EXPECT_EQ(plan.count(Call::splice) + plan.count(Call::pwrite), 0U);
  }
}

TEST_F(FileCopierTest, copy_file_range_that_moves_nothing_is_not_believed) {
  write_file(source_, some_bytes(large));
  FaultPlan plan;
  plan.answer(Call::copy_file_range, 0);
  const auto report = copy(source_, destination_);
  expect_copied(report, some_bytes(large));
  EXPECT_EQ(refused(*report, CopyMethod::copy_file_range), ENODATA);
  EXPECT_EQ(moved_by(*report, CopyMethod::read_write), large);
  EXPECT_EQ(plan.injected(), 1U);
}

TEST_F(FileCopierTest, copy_file_range_that_stops_early_is_continued_by_reading) {
  write_file(source_, some_bytes(large));
  FaultPlan plan;
  plan.limit(Call::copy_file_range, 1'000'000);
  plan.answer(Call::copy_file_range, 0, {.first = 3});
  const auto report = copy(source_, destination_);
  expect_copied(report, some_bytes(large));
  EXPECT_EQ(moved_by(*report, CopyMethod::copy_file_range), 2'000'000U);
  EXPECT_EQ(moved_by(*report, CopyMethod::read_write), large - 2'000'000);
}

TEST_F(FileCopierTest, copy_file_range_alone_that_stops_early_is_an_error_not_a_short_copy) {
  write_file(source_, some_bytes(large));
  for (const std::uint64_t first : {1U, 3U}) {
    FaultPlan plan;
    plan.limit(Call::copy_file_range, 1'000'000);
    plan.answer(Call::copy_file_range, 0, {.first = first});
    const auto report = copy(source_, destination_, only(CopyMethod::copy_file_range));
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().errno_value(), ENODATA);
    EXPECT_GT(plan.injected(), 0U);
  }
}

TEST_F(FileCopierTest, an_error_after_bytes_moved_is_overcome_by_reading_from_there) {
  write_file(source_, some_bytes(large));
  for (const int error : {EIO, ENOSPC, EINVAL}) {
    FaultPlan plan;
    plan.limit(Call::copy_file_range, 1'000'000);
    plan.fail(Call::copy_file_range, error, {.first = 2});
    const auto report = copy(source_, destination_);
    expect_copied(report, some_bytes(large));
    EXPECT_EQ(moved_by(*report, CopyMethod::copy_file_range), 1'000'000U);
    EXPECT_EQ(moved_by(*report, CopyMethod::read_write), large - 1'000'000);
    EXPECT_EQ(plan.count(Call::splice), 0U);
  }
}

TEST_F(FileCopierTest, an_error_after_bytes_moved_stands_when_reading_or_writing_says_the_same) {
  write_file(source_, some_bytes(large));
  FaultPlan plan;
  plan.limit(Call::copy_file_range, 1'000'000);
  plan.fail(Call::copy_file_range, EIO, {.first = 2});
  plan.fail(Call::pread, EIO);
  const auto report = copy(source_, destination_);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().errno_value(), EIO);
  EXPECT_STREQ(report.error().operation, "pread");
}

TEST_F(FileCopierTest, a_reflink_that_is_unsupported_is_replaced_and_one_that_failed_is_final) {
  write_file(source_, some_bytes(large));
  for (const int error : {EPERM, EACCES, ENOTTY, EOPNOTSUPP, EXDEV, EINVAL, ENOSYS, ETXTBSY}) {
    engine::forget_refused();
    FaultPlan plan;
    plan.fail(Call::ficlone, error);
    const auto report = copy(source_, destination_);
    expect_copied(report, some_bytes(large));
    EXPECT_EQ(refused(*report, CopyMethod::reflink), error);
  }
  for (const int error : {ENOSPC, EIO, EDQUOT, ENOMEM}) {
    engine::forget_refused();
    FaultPlan plan;
    plan.fail(Call::ficlone, error);
    const auto report = copy(source_, destination_);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().errno_value(), error);
    EXPECT_STREQ(report.error().operation, "FICLONE");
    EXPECT_EQ(plan.count(Call::copy_file_range), 0U);
  }
}

TEST_F(FileCopierTest, splice_whose_second_half_fails_loses_nothing) {
  const Scratch on_ext4("/tmp");
  write_file(source_, some_bytes(large));
  const std::string to = on_ext4.path("a");
  for (const std::uint64_t first : {2U, 4U}) {  // calls with even numbers empty the pipe
    engine::forget_refused();
    FaultPlan plan;
    plan.fail(Call::splice, EINVAL, {.first = first});
    const auto report = copy(source_, to, without_sendfile());
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_TRUE(read_file(to) == some_bytes(large));
    EXPECT_GT(moved_by(*report, CopyMethod::read_write), 0U);
    EXPECT_GT(plan.injected(), 0U);
    ::unlink(to.c_str());
  }
}

TEST_F(FileCopierTest, without_pipes_there_is_no_splice_but_a_copy) {
  const Scratch on_ext4("/tmp");
  write_file(source_, some_bytes(large));
  FaultPlan plan;
  plan.fail(Call::set_pipe_size, EPERM);
  const auto small_pipe = copy(source_, on_ext4.path("a"), without_sendfile());
  ASSERT_TRUE(small_pipe);
  EXPECT_TRUE(read_file(on_ext4.path("a")) == some_bytes(large));
  EXPECT_GT(plan.injected(), 0U);
}

// --- failures of the calls that move bytes --------------------------------------------------------------------------

struct Failing {
  Call call;
  const char* operation;
  std::size_t size;
  CopyMethod method;
};

// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this name
void PrintTo(const Failing& failing, std::ostream* out) { *out << failing.operation; }

class FileCopierFailure : public FileCopierTest, public ::testing::WithParamInterface<Failing> {};

TEST_P(FileCopierFailure, of_the_first_second_and_last_call_is_reported_with_its_errno) {
  const Failing& failing = GetParam();
  const std::string content = some_bytes(failing.size);
  write_file(source_, content);
  CopyOptions options = only(failing.method);
  options.chunk_size_bytes = min_copy_chunk_size_bytes;
  std::uint64_t calls = 0;
  {
    const FaultPlan counting;
    ASSERT_TRUE(copy(source_, destination_, options));
    calls = counting.count(failing.call);
  }
  ASSERT_GT(calls, 0U);
  for (const std::uint64_t number : {std::uint64_t{1}, std::min<std::uint64_t>(2, calls), calls}) {
    for (const int error : {ENOSPC, EIO, EDQUOT, EROFS, ESTALE}) {
      FaultPlan plan;
      plan.fail(failing.call, error, {.first = number, .times = 1});
      const auto report = copy(source_, destination_, options);
      EXPECT_EQ(plan.injected(), 1U);
      ASSERT_FALSE(report) << failing.operation << " number " << number;
      EXPECT_EQ(report.error().errno_value(), error);
      EXPECT_STREQ(report.error().operation, failing.operation);
      EXPECT_TRUE(report.error().path.empty());
    }
  }
}

TEST_P(FileCopierFailure, eintr_and_short_results_are_carried_on_from) {
  const Failing& failing = GetParam();
  const std::string content = some_bytes(failing.size);
  write_file(source_, content);
  {
    FaultPlan plan;
    plan.fail(failing.call, EINTR, {.first = 1, .times = 3});
    expect_copied(copy(source_, destination_, only(failing.method)), content);
    EXPECT_EQ(plan.injected(), 3U);
  }
  FaultPlan plan;
  plan.limit(failing.call, 30'000);
  expect_copied(copy(source_, destination_, only(failing.method)), content);
  EXPECT_GT(plan.injected(), 3U);
}

INSTANTIATE_TEST_SUITE_P(Calls, FileCopierFailure,
                         ::testing::Values(Failing{Call::read, "read", 200'000, CopyMethod::read_write},
                                           Failing{Call::write, "write", 200'000, CopyMethod::read_write},
                                           Failing{Call::pread, "pread", 500'000, CopyMethod::read_write},
                                           Failing{Call::pwrite, "pwrite", 500'000, CopyMethod::read_write},
                                           Failing{Call::sendfile, "sendfile", 500'000, CopyMethod::sendfile}),
                         [](const auto& param) { return std::string(param.param.operation); });

TEST_F(FileCopierTest, a_write_that_takes_nothing_ends_with_no_space) {
  write_file(source_, some_bytes(1000));
  FaultPlan plan;
  plan.answer(Call::write, 0);
  const auto report = copy(source_, destination_);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().errno_value(), ENOSPC);
}

TEST_F(FileCopierTest, a_failing_ftruncate_or_statx_is_an_error) {
  write_file(source_, some_bytes(large));
  write_file(destination_, some_bytes(large + 1, 2));
  {
    FaultPlan plan;
    plan.fail(Call::ftruncate, EIO);
    const auto report = copy(source_, destination_);
    ASSERT_FALSE(report);
    EXPECT_STREQ(report.error().operation, "ftruncate");
  }
  FaultPlan plan;
  plan.fail(Call::statx, EIO);
  const auto report = copy(source_, destination_);
  ASSERT_FALSE(report);
  EXPECT_STREQ(report.error().operation, "statx");
}

TEST_F(FileCopierTest, space_is_reserved_first_if_asked) {
  write_file(source_, some_bytes(large));
  CopyOptions options;
  options.preallocate = true;
  {
    FaultPlan plan;
    plan.fail(Call::fallocate, ENOSPC);
    const auto report = copy(source_, destination_, options);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().errno_value(), ENOSPC);
    EXPECT_STREQ(report.error().operation, "fallocate");
    EXPECT_EQ(read_file(destination_), "");
  }
  {
    FaultPlan plan;
    plan.fail(Call::fallocate, EOPNOTSUPP);
    expect_copied(copy(source_, destination_, options), some_bytes(large));
    EXPECT_GT(plan.injected(), 0U);
  }
  expect_copied(copy(source_, destination_, options), some_bytes(large));
}

// --- options -------------------------------------------------------------------------------------------------------

TEST_F(FileCopierTest, a_chunk_size_outside_its_limits_is_an_error_of_copy) {
  write_file(source_, some_bytes(10));
  CopyOptions options;
  options.chunk_size_bytes = 1;
  const auto report = copy(source_, destination_, options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().errno_value(), ERANGE);
}

TEST_F(FileCopierTest, the_chunk_size_is_what_read_write_asks_for) {
  write_file(source_, some_bytes(1 << 20));
  CopyOptions options = only(CopyMethod::read_write);
  options.chunk_size_bytes = 128 << 10;
  const FaultPlan plan;
  expect_copied(copy(source_, destination_, options), some_bytes(1 << 20));
  EXPECT_EQ(plan.count(Call::pwrite), 8U);
}

TEST_F(FileCopierTest, a_small_memory_budget_makes_small_chunks) {
  write_file(source_, some_bytes(200'000));
  CopyOptions options = only(CopyMethod::read_write);
  options.memory_budget_bytes = 1;
  const FaultPlan plan;
  expect_copied(copy(source_, destination_, options), some_bytes(200'000));
  EXPECT_EQ(plan.count(Call::pwrite), 4U);  // of 64 KiB
}

TEST_F(FileCopierTest, progress_ends_at_the_total) {
  write_file(source_, some_bytes(large));
  CopyOptions options = only(CopyMethod::read_write);
  options.chunk_size_bytes = 1 << 20;
  std::vector<CopyProgress> seen;
  options.on_progress = [&](const CopyProgress& progress) { seen.push_back(progress); };
  expect_copied(copy(source_, destination_, options), some_bytes(large));
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen[0].bytes_done, 1U << 20U);
  EXPECT_EQ(seen.back().bytes_done, large);
  EXPECT_EQ(seen.back().bytes_total, large);
}

TEST_F(FileCopierTest, a_stop_request_ends_the_copy_at_the_next_chunk) {
  write_file(source_, some_bytes(large));
  std::stop_source stop;
  CopyOptions options = only(CopyMethod::read_write);
  options.chunk_size_bytes = 1 << 20;
  options.stop = stop.get_token();
  int chunks = 0;
  options.on_progress = [&](const CopyProgress&) {
    ++chunks;
    stop.request_stop();
  };
  const auto report = copy(source_, destination_, options);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().errno_value(), ECANCELED);
  EXPECT_EQ(chunks, 1);
  write_file(source_, "small");
  const auto small = copy(source_, destination_, options);
  ASSERT_FALSE(small);
  EXPECT_EQ(small.error().errno_value(), ECANCELED);
}

TEST_F(FileCopierTest, a_kernel_copy_comes_in_pieces_that_stop_and_progress_can_get_between) {
  write_file(source_, some_bytes(20 << 20));
  CopyOptions options = only(CopyMethod::copy_file_range);
  std::size_t calls = 0;
  options.on_progress = [&](const CopyProgress&) { ++calls; };
  expect_copied(copy(source_, destination_, options), some_bytes(20 << 20));
  EXPECT_GE(calls, 2U);
}

TEST_F(FileCopierTest, kept_state_copies_many_files) {
  FileCopier copier(only(CopyMethod::splice));
  for (unsigned i = 0; i < 5; ++i) {
    write_file(source_, some_bytes(500'000 + i, i));
    const UniqueFd in = open_file(source_, O_RDONLY);
    const UniqueFd out = open_file(destination_, O_WRONLY | O_CREAT | O_TRUNC);
    expect_copied(copier.copy(in.get(), status_of(in.get()), out.get(), 0, 1), some_bytes(500'000 + i, i));
  }
}

// --- sources that change -------------------------------------------------------------------------------------------

TEST_F(FileCopierTest, a_source_that_grew_since_it_was_looked_at_is_copied_whole_and_reported) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1000}, small_file_bytes}) {
    write_file(source_, some_bytes(size));
    const struct statx before = status_of(source_);
    write_file(source_, some_bytes(size + 300'000));
    const UniqueFd in = open_file(source_, O_RDONLY);
    const UniqueFd out = open_file(destination_, O_WRONLY | O_CREAT | O_TRUNC);
    FileCopier copier({});
    const auto report = copier.copy(in.get(), before, out.get(), 0, 1);
    expect_copied(report, some_bytes(size + 300'000));
    EXPECT_TRUE(report->source_changed);
  }
}

TEST_F(FileCopierTest, a_source_that_shrank_is_copied_as_far_as_it_goes_and_reported) {
  for (const std::size_t size : {std::size_t{200'000}, large}) {
    write_file(source_, some_bytes(size));
    const struct statx before = status_of(source_);
    ASSERT_EQ(::truncate(source_.c_str(), static_cast<off_t>(size / 2)), 0);
    const UniqueFd in = open_file(source_, O_RDONLY);
    const UniqueFd out = open_file(destination_, O_WRONLY | O_CREAT | O_TRUNC);
    FileCopier copier({});
    const auto report = copier.copy(in.get(), before, out.get(), 0, 1);
    expect_copied(report, some_bytes(size).substr(0, size / 2));
    EXPECT_TRUE(report->source_changed);
  }
}

TEST_F(FileCopierTest, an_unchanged_source_whose_end_comes_early_is_an_error) {
  for (const std::size_t size : {std::size_t{200'000}, large}) {
    write_file(source_, some_bytes(size));
    FaultPlan plan;
    plan.limit(Call::read, 1000, {.first = 1, .times = 1});
    plan.answer(Call::read, 0, {.first = 2});
    plan.limit(Call::pread, 1000, {.first = 1, .times = 1});
    plan.answer(Call::pread, 0, {.first = 2});
    const auto report = copy(source_, destination_, only(CopyMethod::read_write));
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().errno_value(), EIO);
    EXPECT_GT(plan.injected(), 0U);
  }
}

TEST_F(FileCopierTest, a_source_written_during_the_copy_is_reported) {
  write_file(source_, some_bytes(large));
  CopyOptions options;
  bool written = false;
  options.on_progress = [&](const CopyProgress&) {
    if (!std::exchange(written, true)) {
      const UniqueFd fd = open_file(source_, O_WRONLY);
      ASSERT_EQ(::pwrite(fd.get(), "changed", 7, 0), 7);
    }
  };
  const auto report = copy(source_, destination_, options);
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->source_changed);
}

// --- holes ---------------------------------------------------------------------------------------------------------

class FileCopierHoles : public FileCopierTest {
 protected:
  // Data, hole, data, hole at the end.
  void make_sparse(std::size_t size) {
    const UniqueFd fd = open_file(source_, O_WRONLY | O_CREAT | O_TRUNC);
    ASSERT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
    const std::string data = some_bytes(8192);
    ASSERT_EQ(::pwrite(fd.get(), data.data(), data.size(), 0), 8192);
    ASSERT_EQ(::pwrite(fd.get(), data.data(), data.size(), static_cast<off_t>(size / 2 / 4096 * 4096)), 8192);
  }
};

TEST_F(FileCopierHoles, stay_holes) {
  for (const std::size_t size : {std::size_t{65536}, std::size_t{5'000'000}}) {
    make_sparse(size);
    const auto report = copy(source_, destination_);
    expect_copied(report, read_file(source_));
    EXPECT_EQ(status_of(destination_).stx_blocks, status_of(source_).stx_blocks);
    EXPECT_EQ(report->bytes_copied, 16384U);
    EXPECT_EQ(report->hole_bytes, size - 16384);
    ::unlink(destination_.c_str());
  }
}

TEST_F(FileCopierHoles, a_file_that_is_one_hole_stays_one) {
  for (const off_t size : {off_t{4096}, off_t{65536}, off_t{3} << 30U}) {
    const UniqueFd fd = open_file(source_, O_WRONLY | O_CREAT | O_TRUNC);
    ASSERT_EQ(::ftruncate(fd.get(), size), 0);
    const auto report = copy(source_, destination_);
    ASSERT_TRUE(report);
    EXPECT_EQ(status_of(destination_).stx_size, static_cast<std::uint64_t>(size));
    EXPECT_EQ(status_of(destination_).stx_blocks, 0U);
    EXPECT_EQ(report->bytes_copied, 0U);
    ::unlink(destination_.c_str());
  }
}

TEST_F(FileCopierHoles, do_not_let_old_content_show_through) {
  make_sparse(5'000'000);
  for (const SparseMode sparse : {SparseMode::automatic, SparseMode::always, SparseMode::never}) {
    write_file(destination_, some_bytes(6'000'000, 9));
    CopyOptions options;
    options.sparse = sparse;
    expect_copied(copy(source_, destination_, options), read_file(source_));
  }
}

TEST_F(FileCopierHoles, are_not_asked_for_where_all_blocks_are_there) {
  write_file(source_, some_bytes(large));
  const FaultPlan plan;
  expect_copied(copy(source_, destination_), some_bytes(large));
  EXPECT_EQ(plan.count(Call::lseek), 0U);
}

TEST_F(FileCopierHoles, a_file_system_without_seek_data_gets_a_plain_copy) {
  make_sparse(5'000'000);
  for (const int error : {EINVAL, EOPNOTSUPP}) {
    FaultPlan plan;
    plan.fail(Call::lseek, error);
    expect_copied(copy(source_, destination_), read_file(source_));
    EXPECT_GT(plan.injected(), 0U);
    ::unlink(destination_.c_str());
  }
}

TEST_F(FileCopierHoles, sparse_never_writes_them) {
  make_sparse(5'000'000);
  CopyOptions options;
  options.sparse = SparseMode::never;
  const auto report = copy(source_, destination_, options);
  expect_copied(report, read_file(source_));
  EXPECT_GE(status_of(destination_).stx_blocks * 512, 5'000'000U);
  EXPECT_EQ(report->hole_bytes, 0U);
}

TEST_F(FileCopierHoles, sparse_always_makes_them_of_aligned_zeros) {
  std::string content = some_bytes(1'000'000);
  std::fill(content.begin() + 8192 + 1, content.begin() + 8L * 4096 + 10, '\0');
  content.append(100'000, '\0');
  write_file(source_, content);
  CopyOptions options;
  options.sparse = SparseMode::always;
  const auto report = copy(source_, destination_, options);
  expect_copied(report, content);
  EXPECT_LT(status_of(destination_).stx_blocks, status_of(source_).stx_blocks);
  EXPECT_GE(report->hole_bytes, 5 * 4096U);
  EXPECT_EQ(report->bytes_copied + report->hole_bytes, content.size());
}

// --- real synthetic files ------------------------------------------------------------------------------------------

TEST_F(FileCopierTest, synthetic_files_are_copied_in_full) {
  for (const char* const name : {"/proc/cpuinfo", "/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled",
                                 "/sys/class/net/lo/address", "/proc/version"}) {
    if (::access(name, R_OK) != 0) {
      continue;
    }
    const auto report = copy(name, destination_);
    ASSERT_TRUE(report) << name << ": " << report.error().to_string();
    const std::string copied = read_file(destination_);
    EXPECT_GT(copied.size(), 0U) << name;
    EXPECT_EQ(copied.size(), report->size_bytes);
    if (std::string_view(name) != "/proc/self/status" && std::string_view(name) != "/proc/cpuinfo") {
      EXPECT_EQ(copied, read_file(name));
    }
    ::unlink(destination_.c_str());
  }
}

TEST_F(FileCopierTest, a_synthetic_file_of_many_pages_is_copied_in_full) {
  // Too much for one read of seq_file: it comes in short pieces.
  const auto report = copy("/proc/self/maps", destination_);
  ASSERT_TRUE(report);
  const std::string maps = read_file(destination_);
  EXPECT_NE(maps.find("[stack]"), std::string::npos);
  EXPECT_EQ(maps.back(), '\n');
}

}  // namespace
}  // namespace ferry::testing
