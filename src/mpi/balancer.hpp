// Which rank asks which for work, and who is given how much: decided from what this rank alone knows, without a clock
// and without a network, so that tests and the simulator of bench/ run the same code as a job does.
//
// An idle rank asks a few others at random. If they have nothing to give, it leaves its name with its lifelines, the
// ranks whose numbers differ from its own in one bit, and asks no more: whoever of them has work next sends it some.
// All ranks are connected by lifelines, so work reaches all of them within log2(ranks) steps, and an idle job is
// silent. (Saraswat et al., Lifeline-based Global Load Balancing, PPoPP 2011.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

namespace ferry::mpi {

class Balancer {
 public:
  static constexpr std::size_t most_at_once = 64;  // tasks in one answer

  Balancer(int rank, int size, std::uint64_t seed);

  struct Load {
    bool is_idle = false;
    std::size_t to_give = 0;  // tasks that could be done elsewhere
  };
  struct Order {
    enum class Kind : std::uint8_t {
      ask,         // Ask `rank` for work; it answers with some, or refuses.
      leave_name,  // Leave our name there: it answers once it has some.
      refuse,      // Tell `rank`, which asked, that there is none.
      give,        // Send `rank` at most `most` tasks. If there are none after all: asked() anew.
    };
    Kind kind = Kind::ask;
    int rank = 0;
    std::size_t most = 0;
    bool was_waiting = false;  // give: it had left its name
  };

  // What to do now.
  [[nodiscard]] std::vector<Order> step(Load load);

  // What arrived.
  void asked(int from, bool waits);
  void refused(int from);
  void received(int from);  // work

  // Ranks wait for work from here: what is being done should be split.
  [[nodiscard]] bool is_wanted() const noexcept { return !waiting_.empty(); }
  [[nodiscard]] const std::vector<int>& lifelines() const noexcept { return lifelines_; }

 private:
  int rank_;
  int size_;
  std::minstd_rand random_;
  std::vector<int> lifelines_;
  std::vector<bool> is_registered_;  // by lifeline
  int asking_ = -1;
  unsigned attempts_ = 0;
  std::deque<int> asking_here_;  // to be answered at once
  std::deque<int> waiting_;      // have left their names
};

}  // namespace ferry::mpi
