#include "bench/mmap/rows.hpp"

#include <iterator>

#include "bench/mmap/mapped_twice.hpp"

namespace ferry::bench {

std::vector<MmapRow> mmap_rows() {
  std::vector<MmapRow> rows = mmap_reading_rows();
  for (std::vector<MmapRow> more : {mmap_writing_rows(), mmap_opening_rows()}) {
    rows.insert(rows.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  return rows;
}

}  // namespace ferry::bench
