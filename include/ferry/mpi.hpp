/// \file
/// One tree copy by many processes, on one machine or on many that share the file systems: `mpirun -n 64 ferry cp -a`.
///
/// Names travel, file data never does. Each process (rank) runs a TreeCopier with its threads; rank 0 is given the
/// operands and reports, the others serve it: who has nothing to do asks others for directories to enter and batches of
/// names, and is sent some as soon as there are some.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include <ferry/tree.hpp>

namespace ferry {

/// Messages between ranks: each arrives once, and those from one rank to another in the order they were sent in. Used
/// by the thread that made it only.
class Transport {
 public:
  struct Received {
    int from = 0;
    std::string message;
  };
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  /// Waits until what was sent has been taken over by the system, and for the other ranks to get here, too.
  virtual ~Transport() = default;
  [[nodiscard]] virtual int rank() const noexcept = 0;
  [[nodiscard]] virtual int size() const noexcept = 0;
  /// Does not wait for the receiver.
  virtual void send(int to, std::string message) = 0;
  /// The next message, if one has arrived.
  [[nodiscard]] virtual std::optional<Received> try_receive() = 0;
  /// Bytes that were sent and not yet taken over.
  [[nodiscard]] virtual std::size_t unsent_bytes() = 0;
  /// Ends all ranks of the job at once, this one included.
  [[noreturn]] virtual void abort(int status) = 0;
};

/// What must be the same for all ranks, besides what the operands name.
struct RankFacts {
  std::string version;       ///< ferry's.
  std::string command_line;  ///< The arguments.
  std::string identity;      ///< Who runs it, and with which umask: "uid 0, gid 0, umask 0022".
  std::string machine;       ///< Same for ranks under one kernel: device numbers mean the same there.
  std::string host;          ///< For messages.
};
/// Of this process. `command_line` and `umask` are the caller's to know.
[[nodiscard]] RankFacts rank_facts(std::string command_line, unsigned umask);

/// All ranks of a job, as one of them sees them. Calls its transport from a thread of its own.
class Ranks {
 public:
  /// Makes the transport; called on the thread that will use it.
  using Connect = std::function<std::expected<std::unique_ptr<Transport>, std::string>()>;
  /// For rank 0: what other ranks report. Called from the thread of the transport, one at a time.
  struct Handlers {
    std::function<void(const TreeEvent&)> on_event = {};
    std::function<void(const TreeError&)> on_error = {};
  };

  /// Connects; on failure a message for people.
  [[nodiscard]] static std::expected<std::unique_ptr<Ranks>, std::string> join(const Connect& connect);
  /// Leaves: waits for all others to do so.
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  [[nodiscard]] int rank() const noexcept;
  [[nodiscard]] int size() const noexcept;

  /// What every rank does first, together, before anything is written. Rank 0 learns what is wrong with whom; the
  /// others get an empty message, and end. `operands` are rank 0's: the others look whether they see the same files.
  /// Rank 0 gives none at all (std::nullopt) if it has refused them itself.
  [[nodiscard]] std::expected<void, std::string> check(const RankFacts& facts,
                                                       const std::optional<std::vector<TreeOperand>>& operands);

  /// For TreeOptions::partners.
  [[nodiscard]] TreePartners& partners() noexcept;
  /// Before the copier is made. `stop`: of this rank; it stops all. stop_token() is what the copier is to use.
  void begin(Handlers handlers, const std::stop_token& stop);
  [[nodiscard]] std::stop_token stop_token() const noexcept;
  /// For the callbacks of the other ranks' copiers: tells rank 0. Waits while too much is under way.
  void forward(const TreeEvent& event);
  void forward(const TreeError& error);
  /// What this rank tells of its progress, to be called now and then by the thread of the transport.
  void tell_progress(std::function<TreeProgress()> own);
  /// For rank 0: the sum of the others'.
  [[nodiscard]] TreeProgress progress_of_others() const;

  /// For rank 0, when nothing is left to do: the others end serving.
  void end_work();
  /// After that (for the others: after serving). `own` is this rank's report, and `failed` whether something went wrong
  /// that is not in it. For rank 0: both, of all ranks.
  struct Outcome {
    TreeReport report;
    bool failed = false;
  };
  [[nodiscard]] Outcome finish(const TreeReport& own, bool failed);

 private:
  class Impl;
  explicit Ranks(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ferry
