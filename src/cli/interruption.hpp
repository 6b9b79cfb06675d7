/// \file
/// Ctrl-C and its relatives as a stop request, so that a copy ends tidily instead of in the middle of a file.
#pragma once

#include <csignal>

#include <atomic>
#include <stop_token>
#include <thread>

#include <ferry/base.hpp>

namespace ferry::cli {

/// While it lives, the first SIGINT, SIGTERM or SIGHUP becomes a stop request. A second one, or a job that has not
/// ended one second after the first (a call may hang in the kernel, as on a dead network mount), ends the process at
/// once. Signals that were ignored when the program started stay ignored (nohup(1), background jobs of sh).
///
/// Create it before any other thread: threads inherit the signal mask. One at a time.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  [[nodiscard]] std::stop_token token() const noexcept { return source_.get_token(); }
  /// The signal that asked to stop; 0 if none did.
  [[nodiscard]] int signal_number() const noexcept { return signal_.load(); }
  /// Becomes readable when a stop was requested: for poll(2) next to a descriptor that may block for ever.
  [[nodiscard]] int descriptor() const noexcept { return requested_.get(); }

  /// Ends the process by `signal_number`, so that the parent sees what happened: a shell reports 128 + the number
  /// (130 for SIGINT, 143 for SIGTERM) and a script's loop ends as its user meant.
  [[noreturn]] static void die_by(int signal_number);

 private:
  void serve();

  std::stop_source source_;
  std::atomic<int> signal_{0};
  sigset_t watched_ = {};
  sigset_t old_mask_ = {};
  UniqueFd signals_;
  UniqueFd requested_;
  UniqueFd done_;
  std::thread thread_;
};

}  // namespace ferry::cli
