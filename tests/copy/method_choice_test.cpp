#include "copy/method_choice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <ostream>
#include <string>
#include <vector>

namespace ferry::engine {
namespace {

using enum CopyMethod;
using ::testing::ElementsAreArray;

CopyMethodSet set_of(std::initializer_list<CopyMethod> methods) {
  CopyMethodSet set;
  for (const CopyMethod method : methods) {
    set.insert(method);
  }
  return set;
}

// A megabyte between two regular files of a kernel that can do everything.
CopyFacts ordinary() {
  CopyFacts facts;
  facts.size_bytes = 1 << 20;
  facts.kernel = {6, 1};
  return facts;
}

struct Row {
  const char* name;
  CopyFacts facts;
  std::vector<CopyMethod> expected;
};

// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest looks for this name
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

template <typename Change>
CopyFacts with(Change change) {
  CopyFacts facts = ordinary();
  change(facts);
  return facts;
}

class MethodChoice : public ::testing::TestWithParam<Row> {};

TEST_P(MethodChoice, is) {
  const MethodOrder order = choose_methods(GetParam().facts);
  EXPECT_THAT(std::vector<CopyMethod>(order.begin(), order.end()), ElementsAreArray(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    Table, MethodChoice,
    ::testing::Values(
        Row{"two_regular_files", ordinary(), {reflink, copy_file_range, sendfile, read_write}},
        Row{"size_unknown_as_in_procfs_is_read", with([](auto& f) { f.size_bytes = 0; }), {read_write}},
        Row{"kernel_5_2_has_no_safe_copy_file_range",
            with([](auto& f) { f.kernel = {5, 2}; }),
            {reflink, sendfile, read_write}},
        Row{"kernel_5_3_has",
            with([](auto& f) { f.kernel = {5, 3}; }),
            {reflink, copy_file_range, sendfile, read_write}},
        Row{"kernel_unknown_has_not", with([](auto& f) { f.kernel = {}; }), {reflink, sendfile, read_write}},
        Row{"reflink_never_excludes_copy_file_range",
            with([](auto& f) { f.reflink = ReflinkMode::never; }),
            {sendfile, read_write}},
        Row{"reflink_always_is_reflink_or_nothing", with([](auto& f) { f.reflink = ReflinkMode::always; }), {reflink}},
        Row{"reflink_always_asks_even_where_refused",
            with([](auto& f) {
              f.reflink = ReflinkMode::always;
              f.refused = reflink;
            }),
            {reflink}},
        Row{"verify_reads_and_hashes", with([](auto& f) { f.verify = true; }), {reflink, read_write}},
        Row{"verify_without_read_write_reads_again_but_never_copy_file_range",
            with([](auto& f) {
              f.verify = true;
              f.allowed = set_of({copy_file_range, splice});
            }),
            {splice}},
        Row{"sparse_always_must_see_zeros", with([](auto& f) { f.sparse = SparseMode::always; }), {read_write}},
        Row{"sparse_never_fills_holes",
            with([](auto& f) {
              f.sparse = SparseMode::never;
              f.has_holes = true;
            }),
            {sendfile, read_write}},
        Row{"sparse_never_without_holes_is_ordinary",
            with([](auto& f) { f.sparse = SparseMode::never; }),
            {reflink, copy_file_range, sendfile, read_write}},
        Row{"refused_ones_are_left_out",
            with([](auto& f) { f.refused = set_of({reflink, copy_file_range}); }),
            {sendfile, read_write}},
        Row{"only_allowed_ones", with([](auto& f) { f.allowed = set_of({copy_file_range}); }), {copy_file_range}},
        Row{"sendfile_alone", with([](auto& f) { f.allowed = sendfile; }), {sendfile}},
        Row{"splice_for_who_rules_sendfile_out",
            with([](auto& f) { f.allowed = set_of({splice, read_write}); }),
            {splice, read_write}},
        Row{"uring_alone", with([](auto& f) { f.allowed = uring; }), {uring}},
        Row{"uring_for_who_rules_sendfile_and_splice_out",
            with([](auto& f) { f.allowed = set_of({uring, read_write}); }),
            {uring, read_write}},
        Row{"uring_first_of_those_that_move_bytes_past_the_page_cache",
            with([](auto& f) { f.direct = true; }),
            {reflink, uring, copy_file_range, sendfile, read_write}},
        Row{"uring_not_where_it_was_refused",
            with([](auto& f) {
              f.direct = true;
              f.refused = uring;
            }),
            {reflink, copy_file_range, sendfile, read_write}},
        Row{"uring_not_for_pipes",
            with([](auto& f) {
              f.direct = true;
              f.destination = FileKind::pipe;
            }),
            {splice, read_write}},
        Row{"from_a_pipe",
            with(
                [](auto& f) {
                  f.source = FileKind::pipe;
                  f.size_bytes = 0;
                }),
            {splice, read_write}},
        Row{"to_a_pipe", with([](auto& f) { f.destination = FileKind::pipe; }), {splice, read_write}},
        Row{"to_a_socket", with([](auto& f) { f.destination = FileKind::socket; }), {sendfile, read_write}},
        Row{"to_a_device", with([](auto& f) { f.destination = FileKind::other; }), {read_write}},
        Row{"from_a_device",
            with(
                [](auto& f) {
                  f.source = FileKind::other;
                  f.size_bytes = 0;
                }),
            {read_write}}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(MethodRefusal, copy_file_range_has_its_own_list_of_not_here) {
  for (const int error :
       {ENOSYS, EOPNOTSUPP, ENOTTY, EINVAL, EBADF, EXDEV, ETXTBSY, EPERM, EACCES, ENOENT, EIO, EAGAIN, EFBIG}) {
    EXPECT_EQ(classify_refusal(copy_file_range, error), Refusal::unsupported) << error;
  }
  for (const int error : {ENOSPC, EDQUOT, ENOMEM, EFAULT, EOVERFLOW}) {
    EXPECT_EQ(classify_refusal(copy_file_range, error), Refusal::final) << error;
  }
}

TEST(MethodRefusal, reflink_tells_unsupported_from_failed) {
  for (const int error : {EPERM, EACCES, ENOTTY, EOPNOTSUPP, EXDEV, EINVAL, ENOSYS, ETXTBSY}) {
    EXPECT_EQ(classify_refusal(reflink, error), Refusal::unsupported) << error;
  }
  for (const int error : {ENOSPC, EIO, EDQUOT, ENOMEM, EAGAIN, EFBIG, ENOENT}) {
    EXPECT_EQ(classify_refusal(reflink, error), Refusal::final) << error;
  }
}

TEST(MethodRefusal, what_one_file_is_to_blame_for_is_not_remembered_for_all) {
  for (const int error : {EINVAL, EPERM, EACCES, ETXTBSY, EBADF, EIO, EAGAIN, EFBIG, ENODATA}) {
    EXPECT_FALSE(refusal_is_lasting(error)) << error;
  }
  for (const int error : {ENOSYS, EOPNOTSUPP, ENOTTY, EXDEV}) {
    EXPECT_TRUE(refusal_is_lasting(error)) << error;
  }
}

}  // namespace
}  // namespace ferry::engine
