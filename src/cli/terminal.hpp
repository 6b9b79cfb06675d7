/// \file
/// What the command writes and where: plain bytes into pipes and files; on a terminal also colours and one line of
/// progress that gets out of the way of everything else.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include <ferry/tree.hpp>

namespace ferry::cli {

enum class ProgressMode : std::uint8_t {
  automatic,  ///< Only if standard error is a terminal that can redraw a line.
  always,     ///< On a terminal a redrawn line, else a new line every second.
  never,
};

/// Copies that are done sooner show no progress.
inline constexpr std::chrono::milliseconds progress_begins_after{500};

/// Whether the stream is a terminal that obeys control sequences (TERM is set and not "dumb").
[[nodiscard]] bool is_terminal(std::FILE* stream);
/// is_terminal(), and the user did not opt out by a non-empty NO_COLOR (no-color.org).
[[nodiscard]] bool may_colour(std::FILE* stream);
/// Columns of the terminal behind the stream; 80 if unknown.
[[nodiscard]] unsigned terminal_columns(std::FILE* stream);

/// The progress line, without colours or control characters, at most `columns` long: bytes, percentage (once the walk
/// is complete, so that it never runs backwards), entries, rate and time left.
[[nodiscard]] std::string format_progress(const TreeProgress& progress, double bytes_per_second, unsigned columns);
/// "0:07", "12:34", "1:02:03".
[[nodiscard]] std::string format_duration(std::chrono::seconds duration);

/// Standard output and standard error of a command. All functions are thread-safe: lines never mix.
class Terminal {
 public:
  Terminal();
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// Writes `line` and a newline to standard output (buffered unless it is a terminal).
  void print_line(std::string_view line);
  /// Writes "PREFIX: message\n" to standard error.
  void complain(std::string_view prefix, std::string_view message);
  /// Writes a question to standard error, without newline.
  void ask(std::string_view prefix, std::string_view question);

  /// Starts drawing progress on standard error ten times a second, from half a second on. `source` is called from
  /// another thread until stop_progress().
  void start_progress(std::function<TreeProgress()> source);
  /// Whether standard error is a place where `mode` wants progress.
  [[nodiscard]] static bool shows_progress(ProgressMode mode);
  /// Ends drawing and clears the line. Harmless if nothing was started.
  void stop_progress();

  /// Flushes standard output; the errno of the first failure to write to it, or 0.
  [[nodiscard]] int flush();

 private:
  void draw_until_stopped(const std::function<TreeProgress()>& source, bool redraw);
  void erase_line();  // with mutex_ held

  const bool colour_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool line_visible_ = false;
  bool stopping_ = false;
  int output_error_ = 0;
  std::thread ticker_;
};

}  // namespace ferry::cli
