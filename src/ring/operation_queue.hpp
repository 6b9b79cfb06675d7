// A first-in-first-out queue of operations, linked through them: no allocation.
#pragma once

#include <cstddef>

#include <ferry/loop.hpp>

namespace ferry::detail {

class OperationQueue {
 public:
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void push(Operation& operation) noexcept {
    operation.queue_next_ = nullptr;
    (last_ == nullptr ? first_ : last_->queue_next_) = &operation;
    last_ = &operation;
    ++size_;
  }
  // Null when empty.
  Operation* pop() noexcept {
    Operation* const operation = first_;
    if (operation != nullptr) {
      first_ = operation->queue_next_;
      last_ = first_ == nullptr ? nullptr : last_;
      --size_;
    }
    return operation;
  }
  // False if it is not in this queue. Looks through all of it.
  bool remove(const Operation& operation) noexcept {
    return pop_if([&](const Operation& each) { return &each == &operation; }) != nullptr;
  }
  // Takes out the first that `matches`; null when none does.
  template <typename Predicate>
  Operation* pop_if(Predicate matches) noexcept {
    Operation* before = nullptr;
    for (Operation* each = first_; each != nullptr; before = each, each = each->queue_next_) {
      if (matches(*each)) {
        (before == nullptr ? first_ : before->queue_next_) = each->queue_next_;
        last_ = last_ == each ? before : last_;
        --size_;
        return each;
      }
    }
    return nullptr;
  }
  template <typename Function>
  void for_each(Function function) const {
    for (const Operation* each = first_; each != nullptr; each = each->queue_next_) {
      function(*each);
    }
  }

 private:
  Operation* first_ = nullptr;
  Operation* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace ferry::detail
