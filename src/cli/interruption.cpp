#include "cli/interruption.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>

namespace ferry::cli {
namespace {

constexpr int grace_milliseconds = 1000;

// A blocked signal is queued even if it is ignored (signal(7)), so those have to be left out.
sigset_t signals_not_ignored() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action = {};
    if (sigaction(number, nullptr, &action) == 0 && action.sa_handler != SIG_IGN) {
      sigaddset(&set, number);
    }
  }
  return set;
}

void raise_flag(const UniqueFd& event) {
  const std::uint64_t one = 1;
  (void)!write(event.get(), &one, sizeof one);
}

}  // namespace

Interruption::Interruption()
    : watched_(signals_not_ignored()),
      signals_(signalfd(-1, &watched_, SFD_CLOEXEC | SFD_NONBLOCK)),
      requested_(eventfd(0, EFD_CLOEXEC)),
      done_(eventfd(0, EFD_CLOEXEC)) {
  if (signals_ && requested_ && done_) {  // else (no descriptors left) signals keep their default action
    (void)pthread_sigmask(SIG_BLOCK, &watched_, &old_mask_);
    thread_ = std::thread([this] { serve(); });
  }
}

Interruption::~Interruption() {
  if (thread_.joinable()) {
    raise_flag(done_);
    thread_.join();
    (void)pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr);
  }
}

void Interruption::serve() {
  std::array<pollfd, 2> waits = {pollfd{signals_.get(), POLLIN, 0}, pollfd{done_.get(), POLLIN, 0}};
  for (;;) {
    const bool asked = signal_.load() != 0;
    const int ready = poll(waits.data(), waits.size(), asked ? grace_milliseconds : -1);
    if (ready < 0) {
      continue;
    }
    if (waits[1].revents != 0) {
      return;
    }
    signalfd_siginfo info = {};
    const bool arrived = ready > 0 && read(signals_.get(), &info, sizeof info) == sizeof info;
    if (asked && (arrived || ready == 0)) {
      die_by(signal_.load());
    }
    if (arrived) {
      signal_.store(static_cast<int>(info.ssi_signo));
      source_.request_stop();
      raise_flag(requested_);
    }
  }
}

void Interruption::die_by(int signal_number) {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  (void)sigaction(signal_number, &action, nullptr);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal_number);
  (void)pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  (void)kill(getpid(), signal_number);
  _exit(128 + signal_number);  // not reached, unless something holds the signal back (init of a container)
}

}  // namespace ferry::cli
