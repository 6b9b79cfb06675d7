// Access that survives SIGBUS: a handler for the process, a list of guards for each thread.
//
// A guard is a place to jump back to, and the addresses it is for. The handler looks for the innermost guard of this
// thread that the faulting address belongs to, and jumps there; if there is none, the signal belongs to somebody else.
// Only async-signal-safe things happen in the handler (signal-safety(7)).
#include <ucontext.h>

#include <csetjmp>
#include <csignal>

#include <cerrno>
#include <mutex>

#include "base/sys.hpp"
#include "map/map_state.hpp"

namespace ferry {
namespace {

struct Guard {
  sigjmp_buf jump;
  const std::byte* begin;
  const std::byte* end;
  Guard* outer;
  const std::byte* fault;
};

constinit thread_local Guard* volatile innermost_guard = nullptr;

// However the guarded function ends.
class EndOfGuard {
 public:
  explicit EndOfGuard(const Guard& guard) noexcept : outer_(guard.outer) {}
  EndOfGuard(const EndOfGuard&) = delete;
  EndOfGuard& operator=(const EndOfGuard&) = delete;
  ~EndOfGuard() { innermost_guard = outer_; }

 private:
  Guard* outer_;
};

struct sigaction previous_action;  // written before the handler is installed, read by it

// The handler the program had before, or the default: which ends the process when the access is repeated.
void chain(int signal, siginfo_t* info, void* context) {
  const bool has_handler = previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN;
  if (!has_handler) {
    struct sigaction default_action = {};
    default_action.sa_handler = SIG_DFL;
    static_cast<void>(sys::set_signal_action(signal, &default_action, nullptr));
    if (info->si_code <= 0) {  // sent by a process: nothing will repeat it
      static_cast<void>(::raise(signal));
    }
    return;
  }
  // As if the kernel had called it: with the signals blocked that it wanted blocked. SIGBUS is blocked already.
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &previous_action.sa_mask, &before);
  if ((previous_action.sa_flags & SA_NODEFER) != 0) {
    sigset_t bus_error;
    sigemptyset(&bus_error);
    sigaddset(&bus_error, signal);
    pthread_sigmask(SIG_UNBLOCK, &bus_error, nullptr);
  }
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(signal, info, context);
  } else {
    previous_action.sa_handler(signal);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void handle_bus_error(int signal, siginfo_t* info, void* context) {
  if (info->si_code > 0) {  // by a fault, not sent by kill(2)
    const auto* const address = static_cast<const std::byte*>(info->si_addr);
    for (Guard* guard = innermost_guard; guard != nullptr; guard = guard->outer) {
      if (address >= guard->begin && address < guard->end) {
        guard->fault = address;
        innermost_guard = guard->outer;  // those inside are abandoned with what they guarded
        // The signals that were blocked at the access: so a guard need not ask for them, which is a system call.
        pthread_sigmask(SIG_SETMASK, &static_cast<ucontext_t*>(context)->uc_sigmask, nullptr);
        siglongjmp(guard->jump, 1);
      }
    }
  }
  chain(signal, info, context);
}

// Once for the process. 0, or the errno with which it failed; then the next guard tries again.
int install_handler() noexcept {
  static std::mutex mutex;
  static std::atomic<bool> installed = false;
  if (installed.load(std::memory_order_acquire)) {
    return 0;
  }
  const std::scoped_lock lock(mutex);
  if (installed) {
    return 0;
  }
  if (const int done = sys::set_signal_action(SIGBUS, nullptr, &previous_action); done < 0) {
    return -done;
  }
  struct sigaction action = {};
  action.sa_sigaction = handle_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  if (const int done = sys::set_signal_action(SIGBUS, &action, nullptr); done < 0) {
    return -done;
  }
  installed.store(true, std::memory_order_release);
  return 0;
}

// Why a page could not be had.
int reason_of_fault(const MapState& map, std::uint64_t offset) noexcept {
  struct statx status = {};
  if (sys::statx(map.file.get(), "", AT_EMPTY_PATH, STATX_SIZE, status) == 0 && offset >= page_ceil(status.stx_size)) {
    return ENXIO;
  }
  // Reading a hole gives zeros; so it was written, and there was no room for it.
  const off_t data = sys::lseek(map.file.get(), static_cast<off_t>(page_floor(offset)), SEEK_DATA);
  if (data == -ENXIO || data >= static_cast<off_t>(page_floor(offset) + map_page_bytes)) {
    return ENOSPC;
  }
  return EIO;
}

}  // namespace

Result<void> MapState::guard(void (*function)(void*), void* context) {
  if (const int failure = install_handler(); failure != 0) {
    return std::unexpected(error(failure, "sigaction"));
  }
  Guard guard{.jump = {}, .begin = base, .end = base + mapped_bytes, .outer = innermost_guard, .fault = nullptr};
  const EndOfGuard end_of_guard(guard);
  if (sigsetjmp(guard.jump, 0) == 0) {
    innermost_guard = &guard;
    function(context);
    return {};
  }
  const auto offset = static_cast<std::uint64_t>(guard.fault - base);
  return std::unexpected(error(reason_of_fault(*this, offset), "SIGBUS", page_floor(offset), map_page_bytes));
}

Result<void> MappedFile::call_guarded(void (*function)(void*), void* context) const {
  return state().guard(function, context);
}

Result<void> MappedFile::try_read(std::uint64_t offset, std::span<std::byte> bytes) const {
  const auto from = view(offset, bytes.size());
  if (!from) {
    return std::unexpected(from.error());
  }
  const std::byte* const source = from->data();
  return guarded([&] {
    if (!bytes.empty()) {
      std::memmove(bytes.data(), source, bytes.size());
    }
  });
}

Result<void> MappedFile::try_update(std::uint64_t offset, std::span<const std::byte> bytes) {
  const auto to = mutable_view(offset, bytes.size());
  if (!to) {
    return std::unexpected(to.error());
  }
  std::byte* const target = to->data();
  return guarded([&] {
    if (!bytes.empty()) {
      std::memmove(target, bytes.data(), bytes.size());
    }
  });
}

}  // namespace ferry
