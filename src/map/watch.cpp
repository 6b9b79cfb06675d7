// Watching a file: a thread that waits for inotify, or for the word to stop, and reports changes some time after the
// first of their kind.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <thread>

#include <fmt/format.h>

#include "base/sys.hpp"
#include "map/map_state.hpp"

namespace ferry {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t change_kinds = 4;  // of FileChangeKind

// What a write through a map changes that can be seen without inotify.
struct Times {
  std::int64_t modified_s = 0;
  std::uint32_t modified_ns = 0;
  std::uint64_t size = 0;
  friend bool operator==(const Times&, const Times&) noexcept = default;
};

}  // namespace

struct Watch::State {
  std::shared_ptr<MapState> map;  // keeps the file open
  std::function<void(const FileChange&)> on_change;
  WatchOptions options;
  UniqueFd events;
  UniqueFd wake;  // becomes readable when the watch is to end
  std::atomic<bool> stopping = false;
  std::thread thread;

  void run();
  void ask_to_stop() noexcept {
    const std::uint64_t one = 1;
    stopping.store(true);
    static_cast<void>(sys::write(wake.get(), &one, sizeof one));
  }
  ~State() {
    if (thread.joinable()) {
      ask_to_stop();
      thread.join();
    }
  }

 private:
  void wait();
  void read_events();
  void note_events(std::uint32_t mask);
  void note(FileChangeKind kind) noexcept;
  void look_at_times() noexcept;
  void report();
  [[nodiscard]] std::optional<struct statx> status() const noexcept;

  std::array<std::uint64_t, change_kinds> waiting_ = {};  // events to be reported, by kind
  std::optional<Clock::time_point> report_at_;
  std::optional<Clock::time_point> look_at_;
  Times last_times_;
  bool ended_ = false;  // the file is gone, or events cannot be read
};

void Watch::State::run() {
  const std::stop_callback on_stop(options.stop, [this] { ask_to_stop(); });
  if (options.poll_interval.count() > 0) {
    look_at_times();
    waiting_ = {};
    report_at_.reset();
  }
  while (!stopping.load() && !ended_) {
    wait();
    if (stopping.load()) {
      return;
    }
    read_events();
    if (look_at_ && Clock::now() >= *look_at_) {
      look_at_times();
    }
    if (report_at_ && (ended_ || Clock::now() >= *report_at_)) {
      report();
    }
  }
}

// Until there are events, something is due, or it is to end.
void Watch::State::wait() {
  std::optional<Clock::time_point> due = report_at_;
  if (look_at_ && (!due || *look_at_ < *due)) {
    due = look_at_;
  }
  int timeout_ms = -1;
  if (due) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*due - Clock::now());
    timeout_ms = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
  }
  std::array<pollfd, 2> ready = {{{events.get(), POLLIN, 0}, {wake.get(), POLLIN, 0}}};
  if (sys::poll(ready.data(), ready.size(), timeout_ms) < 0) {
    std::this_thread::sleep_for(options.coalesce);  // no memory just now: events stay queued
  }
}

void Watch::State::read_events() {
  alignas(inotify_event) std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t got = sys::read(events.get(), buffer.data(), buffer.size());
    if (got <= 0) {
      ended_ = ended_ || (got != -EAGAIN && got != 0);
      return;
    }
    for (ssize_t at = 0; at < got;) {
      const auto* const event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      note_events(event->mask);
      at += static_cast<ssize_t>(sizeof *event + event->len);
    }
  }
}

void Watch::State::note_events(std::uint32_t mask) {
  if ((mask & (IN_MODIFY | IN_Q_OVERFLOW)) != 0) {
    note(FileChangeKind::modified);
  }
  if ((mask & IN_MOVE_SELF) != 0) {
    note(FileChangeKind::renamed);
  }
  // While the map keeps the inode, removing its last name only shows as a change of its link count.
  const auto now = (mask & IN_ATTRIB) != 0 ? status() : std::nullopt;
  const bool removed = (mask & (IN_DELETE_SELF | IN_UNMOUNT | IN_IGNORED)) != 0 || (now && now->stx_nlink == 0);
  if (removed && !ended_) {
    note(FileChangeKind::removed);
    ended_ = true;
  } else if ((mask & IN_ATTRIB) != 0) {
    note(FileChangeKind::metadata);
  }
}

void Watch::State::note(FileChangeKind kind) noexcept {
  ++waiting_.at(static_cast<std::size_t>(kind));
  if (!report_at_) {
    report_at_ = Clock::now() + options.coalesce;
  }
}

void Watch::State::look_at_times() noexcept {
  look_at_ = Clock::now() + options.poll_interval;
  if (const auto now = status()) {
    const Times times{now->stx_mtime.tv_sec, now->stx_mtime.tv_nsec, now->stx_size};
    if (times != last_times_ && waiting_.at(static_cast<std::size_t>(FileChangeKind::modified)) == 0) {
      note(FileChangeKind::modified);
    }
    last_times_ = times;
  }
}

void Watch::State::report() {
  report_at_.reset();
  const auto changes = std::exchange(waiting_, {});
  if (options.poll_interval.count() > 0) {
    look_at_times();  // what is reported now is not to be found again
    waiting_ = {};
    report_at_.reset();
  }
  // In the order of the enumeration, but a removal last.
  for (const FileChangeKind kind :
       {FileChangeKind::modified, FileChangeKind::metadata, FileChangeKind::renamed, FileChangeKind::removed}) {
    if (const std::uint64_t count = changes.at(static_cast<std::size_t>(kind)); count != 0) {
      on_change({.kind = kind, .events = count});
    }
  }
}

std::optional<struct statx> Watch::State::status() const noexcept {
  struct statx found = {};
  constexpr unsigned mask = STATX_NLINK | STATX_MTIME | STATX_SIZE;
  if (sys::statx(map->file.get(), "", AT_EMPTY_PATH, mask, found) < 0) {
    return {};
  }
  return found;
}

Watch::Watch(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Watch::Watch(Watch&&) noexcept = default;
Watch& Watch::operator=(Watch&&) noexcept = default;
Watch::~Watch() = default;

Result<Watch> MappedFile::watch(std::function<void(const FileChange&)> on_change, const WatchOptions& options) const {
  const MapState& map = state();
  if (!on_change || options.coalesce.count() < 0 || options.poll_interval.count() < 0) {
    return std::unexpected(map.error(EINVAL, "watch"));
  }
  auto watch = std::make_unique<Watch::State>();
  watch->map = state_;
  watch->on_change = std::move(on_change);
  watch->options = options;
  watch->events.reset(sys::inotify_init(IN_NONBLOCK));
  if (!watch->events) {
    return std::unexpected(map.error(-watch->events.get(), "inotify_init1"));
  }
  watch->wake.reset(sys::eventfd(0, 0));
  if (!watch->wake) {
    return std::unexpected(map.error(-watch->wake.get(), "eventfd"));
  }
  // By the open descriptor: the inode that is mapped, not what has its name by now.
  const std::string inode = fmt::format("/proc/self/fd/{}", map.file.get());
  const std::uint32_t events = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF;
  if (const int added = sys::inotify_add_watch(watch->events.get(), inode.c_str(), events); added < 0) {
    return std::unexpected(map.error(-added, "inotify_add_watch"));
  }
  try {
    watch->thread = std::thread([state = watch.get()] { state->run(); });
  } catch (const std::system_error& error) {
    return std::unexpected(map.error(error.code().value(), "pthread_create"));
  }
  return Watch(std::move(watch));
}

}  // namespace ferry
