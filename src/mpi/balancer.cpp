#include "mpi/balancer.hpp"

#include <algorithm>

namespace ferry::mpi {
namespace {

// Asked at random before an idle rank relies on its lifelines.
constexpr unsigned most_attempts = 2;

}  // namespace

Balancer::Balancer(int rank, int size, std::uint64_t seed)
    : rank_(rank), size_(size), random_(static_cast<std::minstd_rand::result_type>(seed + 1)) {
  for (int bit = 1; bit < size; bit *= 2) {
    if (const int other = rank ^ bit; other < size) {
      lifelines_.push_back(other);
    }
  }
  is_registered_.resize(lifelines_.size());
}

std::vector<Balancer::Order> Balancer::step(Load load) {
  std::vector<Order> orders;
  const auto give = [&](std::deque<int>& to, bool was_waiting) {
    const std::size_t sharers = asking_here_.size() + waiting_.size() + 1;  // this rank keeps its part
    const std::size_t part = std::clamp<std::size_t>(load.to_give / sharers, 1, most_at_once);
    orders.push_back({Order::Kind::give, to.front(), part, was_waiting});
    to.pop_front();
    load.to_give -= part;
  };
  while (!waiting_.empty() && load.to_give > 0) {
    give(waiting_, true);
  }
  while (!asking_here_.empty()) {
    if (load.to_give > 0) {
      give(asking_here_, false);
    } else {
      orders.push_back({Order::Kind::refuse, asking_here_.front(), 0, false});
      asking_here_.pop_front();
    }
  }
  if (!load.is_idle || load.to_give > 0 || asking_ >= 0 || size_ == 1) {
    return orders;
  }
  if (attempts_ < most_attempts) {
    const int other = std::uniform_int_distribution<int>(0, size_ - 2)(random_);
    asking_ = other < rank_ ? other : other + 1;
    orders.push_back({Order::Kind::ask, asking_, 0, false});
    return orders;
  }
  for (std::size_t i = 0; i < lifelines_.size(); ++i) {
    if (!is_registered_[i]) {
      is_registered_[i] = true;
      orders.push_back({Order::Kind::leave_name, lifelines_[i], 0, false});
    }
  }
  return orders;
}

void Balancer::asked(int from, bool waits) { (waits ? waiting_ : asking_here_).push_back(from); }

void Balancer::refused(int from) {
  if (asking_ == from) {
    asking_ = -1;
    ++attempts_;
  }
}

void Balancer::received(int from) {
  if (asking_ == from) {
    asking_ = -1;
  } else if (const auto found = std::ranges::find(lifelines_, from); found != lifelines_.end()) {
    is_registered_[static_cast<std::size_t>(found - lifelines_.begin())] = false;
  }
  attempts_ = 0;
}

}  // namespace ferry::mpi
