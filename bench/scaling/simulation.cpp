#include "scaling/simulation.hpp"

#include "mpi/balancer.hpp"
#include "tree/splitting.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <deque>
#include <functional>
#include <limits>
#include <queue>
#include <random>

namespace ferry::scaling {
namespace {

using mpi::Balancer;

constexpr std::uint32_t nobody = std::numeric_limits<std::uint32_t>::max();

// A directory as one rank has it: entered by itself, or borrowed for a piece.
struct Node {
  std::uint32_t parent = nobody;  // on the same rank, held until this one is done
  std::uint32_t directory = 0;    // what lock it stands for
  unsigned level = 0;
  std::uint64_t pending = 1;
  bool is_borrowed = false;
  int lender = 0;
  std::uint32_t lenders_node = 0;  // its hold is given back when done
  std::uint64_t lenders_holds = 0;
};

struct Task {
  enum class Kind : std::uint8_t { enter, read, visit } kind = Kind::read;
  std::uint32_t node = 0;
  std::uint64_t begin = 0;  // visit, read: entries; the directories come first
  std::uint64_t end = 0;
  // Enough is left of it to be done elsewhere.
  [[nodiscard]] bool can_go() const noexcept { return kind == Kind::enter || (kind == Kind::visit && begin < end); }
};

struct Piece {
  std::uint32_t directory = 0;
  unsigned level = 0;
  std::uint32_t lenders_node = 0;
  std::vector<Task> tasks;
};

struct Letter {
  enum class Kind : std::uint8_t { ask, wait, refuse, work, done } kind = Kind::ask;
  int from = 0;
  std::vector<Piece> pieces;
  std::uint32_t node = 0;
  std::uint64_t holds = 0;
};

struct Event {
  enum class Kind : std::uint8_t { worker, letter, step } kind = Kind::worker;
  double time = 0;
  std::uint64_t order = 0;
  int rank = 0;
  std::uint32_t index = 0;  // of the worker or the letter
  friend bool operator>(const Event& a, const Event& b) noexcept {
    return a.time != b.time ? a.time > b.time : a.order > b.order;
  }
};

// A thing that serves one after the other.
class Station {
 public:
  // When work of `seconds` that arrives now is done.
  double serve(double now, double seconds) noexcept {
    free_at_ = std::max(free_at_, now) + seconds;
    return free_at_;
  }

 private:
  double free_at_ = 0;
};

struct Worker {
  bool is_idle = true;
  bool has_task = false;
  Task task;
};

struct Rank {
  Rank(int number, int ranks, unsigned threads, std::uint64_t seed)
      : balancer(number, ranks, seed * 1000003U + static_cast<std::uint64_t>(number)), workers(threads) {}
  Balancer balancer;
  std::vector<Worker> workers;
  std::deque<Task> queue;
  std::size_t for_others = 0;
  std::size_t idle = 0;
  std::vector<Node> nodes;
  Station network;
  bool step_is_due = false;
};

class Simulation {
 public:
  Simulation(const Shape& shape, const World& world, int ranks, unsigned threads, std::uint64_t seed)
      : shape_(shape), world_(world), random_(static_cast<std::minstd_rand::result_type>(seed)) {
    for (int i = 0; i < ranks; ++i) {
      ranks_.emplace_back(i, ranks, threads, seed);
    }
  }

  Outcome run();

 private:
  [[nodiscard]] std::uint64_t directories_in(unsigned level) const noexcept {
    return level < shape_.depth ? shape_.directories : 0;
  }
  [[nodiscard]] std::uint64_t entries_in(unsigned level) const noexcept { return directories_in(level) + shape_.files; }

  void at(double time, Event::Kind kind, int rank, std::uint32_t index) {
    events_.push({kind, time, ++order_, rank, index});
  }
  void work(int number, std::uint32_t index);
  void finish_task(Rank& rank, int number, Worker& worker);
  double visit_one(Rank& rank, int number, Task& task);
  double operations(double count, std::uint32_t directory, bool creates);
  double data(Rank& rank);
  void let_go(Rank& rank, int number, std::uint32_t node, std::uint64_t holds);
  void push(Rank& rank, int number, const Task& task, bool splittable);
  void wake_one(Rank& rank, int number);
  void step(int number);
  void step_soon(Rank& rank, int number, double after);
  void send(int from, int to, Letter&& letter);
  void receive(int number, Letter& letter);
  std::vector<Piece> give(Rank& rank, std::size_t most);
  std::uint32_t new_node(Rank& rank, const Node& node) {
    rank.nodes.push_back(node);
    return static_cast<std::uint32_t>(rank.nodes.size() - 1);
  }

  const Shape& shape_;
  const World& world_;
  std::minstd_rand random_;
  std::deque<Rank> ranks_;
  std::vector<Station> locks_;  // by directory
  Station server_;
  Station storage_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  std::vector<Letter> letters_;
  std::vector<std::uint32_t> free_letters_;
  double now_ = 0;
  bool is_over_ = false;
  double busy_s_ = 0;
  Outcome outcome_;
};

Outcome Simulation::run() {
  Rank& first = ranks_.front();
  locks_.emplace_back();
  new_node(first, Node{});
  for (Rank& rank : ranks_) {
    rank.idle = rank.workers.size();
  }
  push(first, 0, {Task::Kind::read, 0, 0, entries_in(0)}, false);
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    step_soon(ranks_[i], static_cast<int>(i), 0);
  }
  while (!events_.empty() && !is_over_) {
    const Event event = events_.top();
    events_.pop();
    now_ = event.time;
    switch (event.kind) {
      case Event::Kind::worker: work(event.rank, event.index); break;
      case Event::Kind::step: step(event.rank); break;
      case Event::Kind::letter: {
        Letter letter = std::move(letters_[event.index]);
        free_letters_.push_back(event.index);
        receive(event.rank, letter);
        break;
      }
    }
  }
  outcome_.seconds = now_;
  outcome_.left_at_the_end = shape_.total_files() - outcome_.files + shape_.total_directories() - outcome_.directories;
  outcome_.busy = busy_s_ / (now_ * static_cast<double>(ranks_.size() * first.workers.size()));
  return outcome_;
}

// ------------------------------------------------------------------------------------------------- workers

// Goes on with its task, or takes the newest of its rank.
void Simulation::work(int number, std::uint32_t index) {
  Rank& rank = ranks_[static_cast<std::size_t>(number)];
  Worker& worker = rank.workers[index];
  if (!worker.has_task) {
    if (rank.queue.empty()) {
      if (!worker.is_idle) {
        worker.is_idle = true;
        ++rank.idle;
      }
      step_soon(rank, number, 0);
      return;
    }
    worker.task = rank.queue.back();
    rank.queue.pop_back();
    rank.for_others -= worker.task.can_go() ? 1 : 0;
    worker.has_task = true;
  }
  if (worker.is_idle) {
    worker.is_idle = false;
    --rank.idle;
  }
  Task& task = worker.task;
  double end = now_;
  if (task.kind == Task::Kind::enter) {
    const Node parent = rank.nodes[task.node];
    locks_.emplace_back();
    const std::uint32_t node = new_node(
        rank,
        {.parent = task.node, .directory = static_cast<std::uint32_t>(locks_.size() - 1), .level = parent.level + 1});
    end = operations(world_.operations_per_directory, parent.directory, true);
    ++outcome_.directories;
    task = {Task::Kind::read, node, 0, entries_in(parent.level + 1)};
  } else if (task.kind == Task::Kind::read) {
    // One call: what is left is a task of its own, which comes before the directories of this batch.
    end = operations(1, nobody, false);
    const std::uint64_t middle = std::min(task.begin + world_.entries_per_read, task.end);
    if (middle < task.end && reads_ahead(rank.balancer.is_wanted(), rank.for_others)) {
      ++rank.nodes[task.node].pending;
      push(rank, number, {Task::Kind::visit, task.node, task.begin, middle}, true);
      task.begin = middle;
      busy_s_ += end - now_;
      at(end, Event::Kind::worker, number, index);
      return;
    }
    if (middle < task.end) {
      ++rank.nodes[task.node].pending;
      push(rank, number, {Task::Kind::read, task.node, middle, task.end}, false);
    }
    task = {Task::Kind::visit, task.node, task.begin, middle};
  } else if (task.begin < task.end) {
    end = visit_one(rank, number, task);
  } else {
    worker.has_task = false;
    let_go(rank, number, task.node, 1);
  }
  busy_s_ += end - now_;
  at(end, Event::Kind::worker, number, index);
}

double Simulation::visit_one(Rank& rank, int number, Task& task) {
  const bool idle_here = rank.queue.empty() && rank.idle > 0;
  const bool wanted_elsewhere = rank.balancer.is_wanted() && rank.for_others == 0;
  if (wanted_elsewhere) {
    // What is not read yet comes before halves of what is: it is cheap, and there is more of it.
    const auto unread = std::ranges::find(rank.queue, Task::Kind::read, &Task::kind);
    if (unread != rank.queue.end()) {
      Task reading = *unread;
      rank.queue.erase(unread);
      double calls = 0;
      while (reading.begin < reading.end && reads_ahead(true, rank.for_others)) {
        const std::uint64_t middle = std::min(reading.begin + world_.entries_per_read, reading.end);
        ++rank.nodes[reading.node].pending;
        push(rank, number, {Task::Kind::visit, reading.node, reading.begin, middle}, true);
        reading.begin = middle;
        ++calls;
      }
      reading.kind = reading.begin < reading.end ? Task::Kind::read : Task::Kind::visit;
      push(rank, number, reading, false);
      return operations(calls, nobody, false);
    }
  }
  if (splits(task.end - task.begin, idle_here, wanted_elsewhere)) {
    const std::uint64_t middle = task.begin + (task.end - task.begin + 1) / 2;
    ++rank.nodes[task.node].pending;
    push(rank, number, {Task::Kind::visit, task.node, middle, task.end}, true);
    task.end = middle;
  }
  const Node& node = rank.nodes[task.node];
  const std::uint64_t entry = task.begin++;
  if (entry < directories_in(node.level)) {
    ++rank.nodes[task.node].pending;
    push(rank, number, {Task::Kind::enter, task.node, 0, 0}, true);
    return now_;
  }
  ++outcome_.files;
  return std::max(operations(world_.operations_per_file, node.directory, true), data(rank));
}

double Simulation::operations(double count, std::uint32_t directory, bool creates) {
  double end = now_ + count * world_.latency_s;
  if (world_.server_per_s > 0) {
    end = std::max(end, server_.serve(now_, count / world_.server_per_s));
  }
  if (creates && directory != nobody && world_.per_directory_s > 0) {
    end = std::max(end, locks_[directory].serve(now_, world_.per_directory_s));
  }
  return end;
}

double Simulation::data(Rank& rank) {
  double end = now_;
  if (world_.node_bytes_per_s > 0) {
    end = std::max(end, rank.network.serve(now_, world_.bytes_per_file / world_.node_bytes_per_s));
  }
  if (world_.shared_bytes_per_s > 0) {
    end = std::max(end, storage_.serve(now_, world_.bytes_per_file / world_.shared_bytes_per_s));
  }
  return end;
}

// Gives back holds on a directory; what becomes done gives back that of its parent, or its lender's.
void Simulation::let_go(Rank& rank, int number, std::uint32_t node, std::uint64_t holds) {
  while (node != nobody) {
    Node& current = rank.nodes[node];
    assert(current.pending >= holds);
    current.pending -= holds;
    if (current.pending != 0) {
      break;
    }
    if (current.is_borrowed) {
      Letter letter{.kind = Letter::Kind::done,
                    .from = number,
                    .pieces = {},
                    .node = current.lenders_node,
                    .holds = current.lenders_holds};
      send(number, current.lender, std::move(letter));
      break;
    }
    if (current.parent == nobody) {
      is_over_ = true;  // the root, which rank 0 has entered
    }
    node = current.parent;
    holds = 1;
  }
}

void Simulation::push(Rank& rank, int number, const Task& task, bool splittable) {
  rank.queue.push_back(task);
  rank.for_others += splittable ? 1 : 0;
  outcome_.most_queued = std::max<std::uint64_t>(outcome_.most_queued, rank.queue.size());
  wake_one(rank, number);
  if (splittable && rank.balancer.is_wanted()) {
    step_soon(rank, number, 0);
  }
}

void Simulation::wake_one(Rank& rank, int number) {
  for (std::uint32_t i = 0; i < rank.workers.size(); ++i) {
    if (rank.workers[i].is_idle) {
      rank.workers[i].is_idle = false;
      --rank.idle;
      at(now_, Event::Kind::worker, number, i);
      return;
    }
  }
}

// ------------------------------------------------------------------------------------------------- ranks

void Simulation::step_soon(Rank& rank, int number, double after) {
  if (ranks_.size() > 1 && !rank.step_is_due) {
    rank.step_is_due = true;
    at(now_ + after, Event::Kind::step, number, 0);
  }
}

void Simulation::step(int number) {
  using Kind = Balancer::Order::Kind;
  Rank& rank = ranks_[static_cast<std::size_t>(number)];
  rank.step_is_due = false;
  const Balancer::Load load{.is_idle = rank.queue.empty() && rank.idle > 0, .to_give = rank.for_others};
  for (const Balancer::Order& order : rank.balancer.step(load)) {
    Letter letter{.kind = Letter::Kind::ask, .from = number, .pieces = {}};
    switch (order.kind) {
      case Kind::ask: break;
      case Kind::leave_name: letter.kind = Letter::Kind::wait; break;
      case Kind::refuse: letter.kind = Letter::Kind::refuse; break;
      case Kind::give:
        letter.kind = Letter::Kind::work;
        letter.pieces = give(rank, order.most);
        if (letter.pieces.empty()) {
          rank.balancer.asked(order.rank, order.was_waiting);
          continue;
        }
        outcome_.pieces += letter.pieces.size();
        break;
    }
    send(number, order.rank, std::move(letter));
  }
}

// The oldest tasks that can go, those of one directory together.
std::vector<Piece> Simulation::give(Rank& rank, std::size_t most) {
  std::vector<Piece> pieces;
  std::size_t taken = 0;
  for (auto task = rank.queue.begin(); task != rank.queue.end() && taken < most;) {
    if (!task->can_go()) {
      ++task;
      continue;
    }
    auto piece = std::ranges::find(pieces, task->node, &Piece::lenders_node);
    if (piece == pieces.end()) {
      const Node& node = rank.nodes[task->node];
      pieces.push_back({.directory = node.directory, .level = node.level, .lenders_node = task->node, .tasks = {}});
      piece = pieces.end() - 1;
    }
    piece->tasks.push_back(*task);
    task = rank.queue.erase(task);
    ++taken;
  }
  rank.for_others -= taken;
  return pieces;
}

void Simulation::send(int from, int to, Letter&& letter) {
  ++outcome_.messages;
  std::uint32_t index = 0;
  if (free_letters_.empty()) {
    index = static_cast<std::uint32_t>(letters_.size());
    letters_.emplace_back();
  } else {
    index = free_letters_.back();
    free_letters_.pop_back();
  }
  letters_[index] = std::move(letter);
  // The receiver sleeps between its looks, longer when nothing comes.
  const double asleep = std::uniform_real_distribution<double>(0, world_.longest_sleep_s)(random_);
  (void)from;
  at(now_ + world_.message_s + asleep, Event::Kind::letter, to, index);
}

void Simulation::receive(int number, Letter& letter) {
  Rank& rank = ranks_[static_cast<std::size_t>(number)];
  switch (letter.kind) {
    case Letter::Kind::ask: rank.balancer.asked(letter.from, false); break;
    case Letter::Kind::wait: rank.balancer.asked(letter.from, true); break;
    case Letter::Kind::refuse: rank.balancer.refused(letter.from); break;
    case Letter::Kind::done: let_go(rank, number, letter.node, letter.holds); break;
    case Letter::Kind::work:
      rank.balancer.received(letter.from);
      for (const Piece& piece : letter.pieces) {
        const std::uint32_t node = new_node(rank, {.parent = nobody,
                                                   .directory = piece.directory,
                                                   .level = piece.level,
                                                   .pending = piece.tasks.size(),
                                                   .is_borrowed = true,
                                                   .lender = letter.from,
                                                   .lenders_node = piece.lenders_node,
                                                   .lenders_holds = piece.tasks.size()});
        (void)operations(world_.operations_per_piece, nobody, false);
        for (Task task : piece.tasks) {
          task.node = node;
          push(rank, number, task, true);
        }
      }
      break;
  }
  step_soon(rank, number, 0);
}

}  // namespace

std::uint64_t Shape::total_directories() const noexcept {
  std::uint64_t level = 1;
  std::uint64_t total = 0;
  for (unsigned i = 0; i < depth; ++i) {
    level *= directories;
    total += level;
  }
  return total;
}

std::uint64_t Shape::total_files() const noexcept { return (total_directories() + 1) * files; }

Outcome simulate(const Shape& shape, const World& world, int ranks, unsigned threads, std::uint64_t seed) {
  return Simulation(shape, world, ranks, threads, seed).run();
}

}  // namespace ferry::scaling
