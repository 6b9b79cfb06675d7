// Ranks within one process: a network that delivers in order between any two ranks, each message after a random delay.
#pragma once

#include <ferry/mpi.hpp>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace ferry::testing {

class Network {
 public:
  Network(int ranks, std::chrono::microseconds longest_delay)
      : boxes_(static_cast<std::size_t>(ranks)), longest_delay_(longest_delay) {}

  [[nodiscard]] std::unique_ptr<Transport> connect(int rank) { return std::make_unique<Wire>(*this, rank); }
  [[nodiscard]] std::size_t messages() const {
    const std::scoped_lock lock(mutex_);
    return messages_;
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Letter {
    Clock::time_point due;
    Transport::Received content;
  };

  class Wire final : public Transport {
   public:
    Wire(Network& network, int rank) : network_(network), rank_(rank) {}
    [[nodiscard]] int rank() const noexcept override { return rank_; }
    [[nodiscard]] int size() const noexcept override { return static_cast<int>(network_.boxes_.size()); }
    void send(int to, std::string message) override { network_.send(rank_, to, std::move(message)); }
    [[nodiscard]] std::optional<Received> try_receive() override { return network_.receive(rank_); }
    [[nodiscard]] std::size_t unsent_bytes() override { return 0; }
    [[noreturn]] void abort(int /*status*/) override { std::abort(); }

   private:
    Network& network_;
    int rank_;
  };

  void send(int from, int to, std::string message) {
    const std::scoped_lock lock(mutex_);
    ++messages_;
    const auto delay =
        std::chrono::microseconds(std::uniform_int_distribution<std::int64_t>(0, longest_delay_.count())(random_));
    Clock::time_point& last = last_due_[{from, to}];
    last = std::max(last, Clock::now() + delay);
    boxes_[static_cast<std::size_t>(to)].push_back({last, {from, std::move(message)}});
  }

  std::optional<Transport::Received> receive(int rank) {
    const std::scoped_lock lock(mutex_);
    std::deque<Letter>& box = boxes_[static_cast<std::size_t>(rank)];
    const auto now = Clock::now();
    for (auto letter = box.begin(); letter != box.end(); ++letter) {
      if (letter->due <= now) {
        std::optional<Transport::Received> content(std::move(letter->content));
        box.erase(letter);
        return content;
      }
    }
    return std::nullopt;
  }

  mutable std::mutex mutex_;
  std::vector<std::deque<Letter>> boxes_;
  std::map<std::pair<int, int>, Clock::time_point> last_due_;
  std::chrono::microseconds longest_delay_;
  std::minstd_rand random_{1};
  std::size_t messages_ = 0;
};

}  // namespace ferry::testing
