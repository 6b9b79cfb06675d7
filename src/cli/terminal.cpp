#include "cli/terminal.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>

namespace ferry::cli {
namespace {

constexpr auto tick = std::chrono::milliseconds(100);
constexpr auto plain_interval = std::chrono::seconds(1);
constexpr auto rate_window = std::chrono::seconds(3);

// Bytes per second over the last few seconds: steadier than the last tick, livelier than the whole job.
class RateMeter {
 public:
  using Clock = std::chrono::steady_clock;

  double update(std::uint64_t bytes, Clock::time_point now) {
    samples_[next_ % samples_.size()] = {bytes, now};
    ++next_;
    const std::size_t kept = std::min(next_, samples_.size());
    const Sample oldest = samples_[(next_ - kept) % samples_.size()];
    const std::chrono::duration<double> span = now - oldest.time;
    return span.count() > 0 ? static_cast<double>(bytes - oldest.bytes) / span.count() : 0;
  }

 private:
  struct Sample {
    std::uint64_t bytes = 0;
    Clock::time_point time;
  };
  std::array<Sample, static_cast<std::size_t>(rate_window / tick)> samples_ = {};
  std::size_t next_ = 0;
};

}  // namespace

bool is_terminal(std::FILE* stream) {
  const char* term = std::getenv("TERM");
  return isatty(fileno(stream)) == 1 && term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
}

bool may_colour(std::FILE* stream) {
  const char* no_color = std::getenv("NO_COLOR");
  return (no_color == nullptr || *no_color == '\0') && is_terminal(stream);
}

unsigned terminal_columns(std::FILE* stream) {
  winsize size = {};
  return ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string format_duration(std::chrono::seconds duration) {
  const auto seconds = duration.count();
  if (seconds >= 3600) {
    return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  }
  return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
}

std::string format_progress(const TreeProgress& progress, double bytes_per_second, unsigned columns) {
  std::string line = format_size(progress.bytes_done);
  if (progress.walk_complete) {
    const std::uint64_t total = std::max(progress.bytes_found, progress.bytes_done);
    const double share = total > 0 ? static_cast<double>(progress.bytes_done) / static_cast<double>(total) : 1.0;
    line += fmt::format(" of {} ({:.0f}%)", format_size(total), std::floor(share * 100));
  }
  line += fmt::format("  {} of {}{} files", progress.entries_done, progress.entries_found,
                      progress.walk_complete ? "" : "+");
  line += fmt::format("  {}/s", format_size(static_cast<std::uint64_t>(std::max(bytes_per_second, 0.0))));
  if (progress.walk_complete && bytes_per_second >= 1 && progress.bytes_found > progress.bytes_done) {
    const double left = static_cast<double>(progress.bytes_found - progress.bytes_done) / bytes_per_second;
    constexpr double a_month = 30.0 * 24 * 3600;
    line += left < a_month ? fmt::format("  {} left", format_duration(std::chrono::seconds(std::llround(left))))
                           : std::string("  stalled");
  }
  if (line.size() > columns) {
    line.resize(columns);
  }
  return line;
}

Terminal::Terminal() : colour_(may_colour(stderr)) {}

Terminal::~Terminal() { stop_progress(); }

void Terminal::erase_line() {
  if (line_visible_) {
    std::fputs("\r\x1b[K", stderr);
    line_visible_ = false;
  }
}

void Terminal::print_line(std::string_view line) {
  const std::lock_guard lock(mutex_);
  erase_line();
  const bool written = std::fwrite(line.data(), 1, line.size(), stdout) == line.size() && std::fputc('\n', stdout) >= 0;
  if (!written && output_error_ == 0) {
    output_error_ = errno;
  }
}

void Terminal::complain(std::string_view prefix, std::string_view message) {
  const std::lock_guard lock(mutex_);
  erase_line();
  // Lines already printed come first, as they would if both streams went to one place.
  (void)std::fflush(stdout);
  const std::string line =
      colour_ ? fmt::format("\x1b[31m{}:\x1b[m {}\n", prefix, message) : fmt::format("{}: {}\n", prefix, message);
  (void)std::fwrite(line.data(), 1, line.size(), stderr);
}

void Terminal::ask(std::string_view prefix, std::string_view question) {
  const std::lock_guard lock(mutex_);
  erase_line();
  (void)std::fflush(stdout);
  const std::string line = fmt::format("{}: {}", prefix, question);
  (void)std::fwrite(line.data(), 1, line.size(), stderr);
}

bool Terminal::shows_progress(ProgressMode mode) {
  return mode == ProgressMode::always || (mode == ProgressMode::automatic && is_terminal(stderr));
}

void Terminal::start_progress(std::function<TreeProgress()> source) {
  stop_progress();
  stopping_ = false;
  const bool redraw = is_terminal(stderr);
  ticker_ = std::thread([this, source = std::move(source), redraw] { draw_until_stopped(source, redraw); });
}

void Terminal::draw_until_stopped(const std::function<TreeProgress()>& source, bool redraw) {
  RateMeter meter;
  std::unique_lock lock(mutex_);
  const auto start = RateMeter::Clock::now();
  auto next_line = start + (redraw ? progress_begins_after : std::chrono::milliseconds(plain_interval));
  while (!wake_.wait_for(lock, tick, [this] { return stopping_; })) {
    const TreeProgress progress = source();
    const auto now = RateMeter::Clock::now();
    const double rate = meter.update(progress.bytes_done, now);
    if (now < next_line) {
      continue;
    }
    const std::string line = format_progress(progress, rate, redraw ? terminal_columns(stderr) - 1 : 200);
    if (redraw) {
      fmt::print(stderr, "\r{}\x1b[K", line);
      line_visible_ = true;
    } else {
      fmt::print(stderr, "{}\n", line);
      next_line += plain_interval;
    }
    (void)std::fflush(stderr);
  }
}

void Terminal::stop_progress() {
  if (!ticker_.joinable()) {
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  ticker_.join();
  const std::lock_guard lock(mutex_);
  erase_line();
  (void)std::fflush(stderr);
}

int Terminal::flush() {
  const std::lock_guard lock(mutex_);
  if (std::fflush(stdout) != 0 && output_error_ == 0) {
    output_error_ = errno;
  }
  return output_error_;
}

}  // namespace ferry::cli
