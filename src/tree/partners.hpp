// A tree copy that several processes do together: what they give each other to do, and what each asks of the other.
//
// All of them see the same source and destination. One, the first, is given the operands; the others serve. Work
// travels as names: a piece is some entries of one directory. Who gives a piece away keeps a hold on the directory, as
// for a task of its own, until the piece comes back as done with all that came of it; so a directory gets its
// attributes from the process that entered it, after everything below, and the first process knows that the job is over
// when nothing of its own is left. (This is the termination detection of Dijkstra and Scholten, the tree being that of
// the directories.)
#pragma once

#include <ferry/copy.hpp>
#include <ferry/meta.hpp>
#include <ferry/tree.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

inline bool operator==(const TreeOperand& a, const TreeOperand& b) {
  return a.source == b.source && a.destination == b.destination;
}

// How a process that has not entered a directory finds it: by the operands and the names below them.
struct Place {
  TreeOperand operand = {};
  bool is_operand = false;  // the operands themselves, which need not be directories; else:
  std::string path = {};    // the components below them, joined by '/'; empty: the directory that the operands name
  // Those of the directory; checked when it is opened. 0: it has no destination (a dry run).
  std::uint64_t source_inode = 0;
  std::uint64_t destination_inode = 0;
  bool destination_is_new = false;
  bool has_default_acl = false;
  friend bool operator==(const Place&, const Place&) = default;
};

struct PieceEntry {
  std::string name = {};
  FileType type = FileType::unknown;
  bool is_entered = false;  // a directory that was looked at already and is only to be entered
  friend bool operator==(const PieceEntry&, const PieceEntry&) = default;
};

// A range of a large file that is being copied into a file with a temporary name.
struct PieceRange {
  std::string temporary_name = {};  // in the place's destination
  std::uint64_t destination_inode = 0;
  std::uint64_t source_inode = 0;
  std::uint64_t source_size_bytes = 0;
  std::int64_t source_modified_ns = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  friend bool operator==(const PieceRange&, const PieceRange&) = default;
};

// Work that travels: either entries of the directory, or a range of the one entry.
struct Piece {
  std::uint64_t id = 0;  // chosen by who gives it
  Place directory = {};
  std::vector<PieceEntry> entries = {};
  std::optional<PieceRange> range = {};
  friend bool operator==(const Piece&, const Piece&) = default;
};

// What came of a range.
struct RangeResult {
  CopyReport report = {};
  int error = 0;
  std::string operation = {};
};

struct WorkLoad {
  bool is_idle = false;     // threads wait, and nothing is queued for them
  std::size_t to_give = 0;  // tasks that could be done elsewhere
};

// What a name with others that stand for the same inode is to become.
enum class LinkAnswer : std::uint8_t {
  make,   // It is copied here; link_made() or link_failed() is told to the partners.
  link,   // A link to the copy that is there.
  again,  // Whoever was to copy it failed: it asks anew.
};

// The copier, as the partners see it. Thread-safe; none of these waits for files.
class PieceWorker {
 public:
  PieceWorker() = default;
  PieceWorker(const PieceWorker&) = delete;
  PieceWorker& operator=(const PieceWorker&) = delete;
  virtual ~PieceWorker() = default;

  [[nodiscard]] virtual WorkLoad load() const = 0;
  // Others wait for work: what is being done is split so that there is some.
  virtual void set_wanted(bool wanted) = 0;
  // At most `most` pieces, the largest first; each is to be returned.
  [[nodiscard]] virtual std::vector<Piece> give(std::size_t most) = 0;
  virtual void returned(std::uint64_t piece, std::optional<RangeResult> result) = 0;
  // Begins with a piece of somebody else's; when it is done, TreePartners::done(receipt) is called.
  virtual void take(Piece piece, std::uint64_t receipt) = 0;
  // To claim_link(). `copy`: the directory and the name of the copy, for `link`.
  virtual void answered(std::uint64_t claim, LinkAnswer answer, Place copy, std::string name) = 0;
  // Ends serve_partners().
  virtual void end_serving() = 0;
};

// The partners, as the copier sees them. Thread-safe; none of these waits for an answer.
class TreePartners {
 public:
  TreePartners() = default;
  TreePartners(const TreePartners&) = delete;
  TreePartners& operator=(const TreePartners&) = delete;
  virtual ~TreePartners() = default;

  // Called once, when the copier begins; null when it ends: then its functions are called no more.
  virtual void attach(PieceWorker* worker) = 0;
  // A thread has become idle, or there is something to give and it is wanted.
  virtual void load_changed() = 0;
  virtual void done(std::uint64_t receipt, std::optional<RangeResult> result) = 0;
  // Asks what is to be done about one of `links` names of an inode: answered(claim).
  virtual void claim_link(InodeIdentity inode, std::uint32_t links, std::uint64_t claim) = 0;
  virtual void link_made(InodeIdentity inode, Place copy, std::string name) = 0;
  virtual void link_failed(InodeIdentity inode) = 0;
};

}  // namespace ferry
