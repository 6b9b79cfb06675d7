// What ranks tell each other, and how it becomes bytes. Both sides are the same version of ferry, which is checked by
// the first message; so the bytes are as the machine has them. Reading trusts nothing: a message that is cut off or has
// bytes left is none.
#pragma once

#include <ferry/mpi.hpp>
#include <ferry/tree.hpp>

#include "tree/partners.hpp"

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace ferry::mpi {

// ------------------------------------------------------------------------------------------------- the messages

// The beginning: every rank to rank 0.
struct Hello {
  RankFacts facts = {};
};
// Rank 0 to all: the job does not begin.
struct Refusal {};

// What an operand is, as one rank sees it.
struct OperandView {
  TreeOperand operand = {};
  struct Side {
    int error = 0;  // why it cannot be seen
    std::uint32_t type = 0;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t born_ns = 0;  // 0: the file system does not tell
  };
  Side source = {};
  Side destination = {};  // or, where it does not exist yet, its parent
};
struct Operands {
  std::vector<OperandView> views = {};
  bool several_machines = false;
  std::string machine = {};  // rank 0's
  std::string probe = {};    // a file that rank 0 made in the destination for ranks of other machines to find; or empty
};
// To rank 0: what is wrong; empty: nothing.
struct Verdict {
  std::string trouble = {};
};
struct Go {};

// Work.
struct Ask {
  bool waits = false;
};
struct Refuse {};
struct Work {
  std::vector<Piece> pieces = {};
};
struct Done {
  std::uint64_t piece = 0;
  std::optional<RangeResult> result = {};
};

// Hard links: to the home of the inode, and its answer.
struct Claim {
  InodeIdentity inode = {};
  std::uint32_t links = 0;
  std::uint64_t claim = 0;
};
struct ClaimReply {
  std::uint64_t claim = 0;
  LinkAnswer answer = LinkAnswer::make;
  Place copy = {};
  std::string name = {};
};
struct LinkMade {
  InodeIdentity inode = {};
  Place copy = {};
  std::string name = {};
};
struct LinkFailed {
  InodeIdentity inode = {};
};

// To rank 0.
struct Event {
  TreeEventKind kind = TreeEventKind::copied;
  std::string source = {};
  std::string destination = {};
  std::string backup = {};
  std::optional<CopyReport> report = {};
};
struct Problem {
  TreeError error = {};
};
struct Progress {
  TreeProgress progress = {};
};
struct Report {
  TreeReport report = {};
  bool failed = false;
};
// By anybody, to all.
struct Stop {};
// Rank 0 to all: nothing is left to do.
struct EndWork {};

using Message = std::variant<Hello, Refusal, Operands, Verdict, Go, Ask, Refuse, Work, Done, Claim, ClaimReply,
                             LinkMade, LinkFailed, Event, Problem, Progress, Report, Stop, EndWork>;

[[nodiscard]] std::string encode(const Message& message);
// Empty: this is no message.
[[nodiscard]] std::optional<Message> decode(std::string_view bytes);

}  // namespace ferry::mpi
