// Messages between ranks, as bytes and back.
#include <gtest/gtest.h>

#include <cerrno>
#include <random>
#include <string>

#include "mpi/messages.hpp"

namespace ferry::mpi {
namespace {

Piece sample_piece() {
  Piece piece;
  piece.id = 7;
  piece.directory = {.operand = {"s", "d"},
                     .is_operand = false,
                     .path = "a\n/b",
                     .source_inode = 11,
                     .destination_inode = 12,
                     .destination_is_new = true,
                     .has_default_acl = true};
  piece.entries = {{"one", FileType::regular, false}, {std::string("\xff\x01", 2), FileType::directory, true}};
  return piece;
}

TEST(Messages, work_survives_the_way) {
  Piece ranged = sample_piece();
  ranged.range = PieceRange{".ferry-1.tmp", 1, 2, 3, 4, 5, 6};
  const auto back = decode(encode(Work{{sample_piece(), ranged}}));
  ASSERT_TRUE(back);
  const auto& work = std::get<Work>(*back);
  ASSERT_EQ(work.pieces.size(), 2);
  EXPECT_EQ(work.pieces[0], sample_piece());
  EXPECT_EQ(work.pieces[1], ranged);
}

TEST(Messages, errors_keep_all_they_say) {
  TreeError error{.problem = TreeProblem::cannot_create_file,
                  .error = {std::error_code(ENOSPC, std::generic_category()), "openat", "d/x"},
                  .source = "s/x",
                  .destination = "d/x",
                  .operand = {"s", "d"}};
  const auto back = decode(encode(Problem{error}));
  ASSERT_TRUE(back);
  const TreeError& read = std::get<Problem>(*back).error;
  EXPECT_EQ(read.problem, error.problem);
  EXPECT_EQ(read.error.to_string(), error.error.to_string());
  EXPECT_EQ(read.source, "s/x");
  EXPECT_EQ(read.destination, "d/x");
  EXPECT_EQ(read.operand, error.operand);
}

TEST(Messages, events_carry_the_report_of_the_copy) {
  CopyReport report;
  report.bytes_copied = 123456789012;
  const auto back = decode(encode(Event{TreeEventKind::copied, "a", "b", "b~", report}));
  ASSERT_TRUE(back);
  const auto& event = std::get<Event>(*back);
  EXPECT_EQ(event.kind, TreeEventKind::copied);
  EXPECT_EQ(event.backup, "b~");
  ASSERT_TRUE(event.report);
  EXPECT_EQ(event.report->bytes_copied, report.bytes_copied);
}

TEST(Messages, what_is_cut_off_or_has_too_much_is_no_message) {
  const std::string whole = encode(Work{{sample_piece()}});
  ASSERT_TRUE(decode(whole));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(decode(whole.substr(0, length))) << length;
  }
  EXPECT_FALSE(decode(whole + "x"));
  EXPECT_FALSE(decode("\xff"));
}

TEST(Messages, arbitrary_bytes_do_no_harm) {
  std::minstd_rand random(3);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(random() % 64, '\0');
    for (char& byte : bytes) {
      byte = static_cast<char>(random());
    }
    if (!bytes.empty()) {
      bytes[0] = static_cast<char>(random() % 20);
    }
    (void)decode(bytes);
  }
}

}  // namespace
}  // namespace ferry::mpi
