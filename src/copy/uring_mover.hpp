// The uring method for one pair of open files: what is needed around the pipeline, O_DIRECT above all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <ferry/base.hpp>

#include "copy/uring_pipeline.hpp"

namespace ferry::engine {

class UringMover {
 public:
  // `direct`: by O_DIRECT on each side that can; `shape.polls`: if both sides can, by polling.
  UringMover(int in, int out, const PipelineShape& shape, bool direct) noexcept
      : in_{in, -1, 0}, out_{out, -1, 0}, shape_(shape), direct_(direct), polls_(std::exchange(shape_.polls, false)) {}

  // Both files regular.
  [[nodiscard]] PipelineResult move(const PipelineRange& range);

 private:
  void open_direct();
  [[nodiscard]] PipelineResult poll_for(const PipelineRange& range);
  [[nodiscard]] PipelineResult copy(const PipelineRange& range);
  void reserve(const PipelineRange& range);
  void give_back(const PipelineRange& range, PipelineResult& result) const;

  PipelineFile in_;
  PipelineFile out_;
  UniqueFd own_in_;
  UniqueFd own_out_;
  PipelineShape shape_;
  bool direct_;
  bool polls_;
  std::uint64_t size_before_ = 0;  // of the destination, if it was made longer
  std::uint64_t reserved_to_ = 0;
  bool made_longer_ = false;
};

}  // namespace ferry::engine
