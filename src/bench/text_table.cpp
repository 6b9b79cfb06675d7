#include "bench/text_table.hpp"

#include <algorithm>
#include <cassert>
#include <string_view>

#include <fmt/format.h>

#include "bench/quantities.hpp"

namespace ferry::bench {
namespace {

constexpr std::size_t gap = 2;

std::string_view sequence_of(Emphasis emphasis) {
  switch (emphasis) {
    case Emphasis::none: return "";
    case Emphasis::strong: return "\x1b[1m";
    case Emphasis::good: return "\x1b[32m";
    case Emphasis::bad: return "\x1b[31m";
    case Emphasis::faint: return "\x1b[2m";
  }
  return "";
}

}  // namespace

std::string emphasized(std::string text, Emphasis emphasis, const TableStyle& style) {
  if (!style.colour || emphasis == Emphasis::none || text.empty()) {
    return text;
  }
  return fmt::format("{}{}\x1b[m", sequence_of(emphasis), text);
}

void TextTable::add_heading(std::string_view text) {
  rows_.push_back({.cells = {one_line(text)}, .emphasis = Emphasis::strong});
}

void TextTable::add(std::vector<std::string> cells, Emphasis emphasis) {
  assert(columns_.size() >= 2 && (cells.size() == columns_.size() || cells.size() == 2));
  std::ranges::transform(cells, cells.begin(), [](const std::string& cell) { return one_line(cell); });
  rows_.push_back({.cells = std::move(cells), .emphasis = emphasis});
}

std::vector<std::size_t> TextTable::widths() const {
  std::vector<std::size_t> widths;
  widths.reserve(columns_.size());
  for (const Column& column : columns_) {
    widths.push_back(column.title.size());
  }
  for (const Row& row : rows_) {
    const bool whole = row.cells.size() == columns_.size();
    const std::size_t aligned = whole ? row.cells.size() : row.cells.size() - 1;
    for (std::size_t i = 0; i < aligned; ++i) {
      widths[i] = std::max(widths[i], row.cells[i].size());
    }
  }
  return widths;
}

std::string TextTable::line_of(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths,
                               unsigned highest_rank) const {
  if (cells.size() == 1) {
    return cells[0];
  }
  if (cells.size() != columns_.size()) {
    return fmt::format("{:<{}}{:{}}{}", cells[0], widths[0], "", gap, cells[1]);
  }
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (columns_[i].rank <= highest_rank) {
      line += columns_[i].left ? fmt::format("{:<{}}", cells[i], widths[i] + gap)
                               : fmt::format("{:>{}}{:{}}", cells[i], widths[i], "", gap);
    }
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

std::string TextTable::to_string(const TableStyle& style) const {
  const std::vector<std::size_t> widths = this->widths();
  const auto width_up_to = [&](unsigned rank) {
    std::size_t width = 0;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      width += columns_[i].rank <= rank ? widths[i] + gap : 0;
    }
    return width - gap;
  };
  unsigned rank = std::ranges::max_element(columns_, {}, &Column::rank)->rank;
  while (style.columns > 0 && rank > 0 && width_up_to(rank) > style.columns) {
    --rank;
  }
  std::vector<std::string> titles;
  titles.reserve(columns_.size());
  for (const Column& column : columns_) {
    titles.push_back(column.title);
  }
  std::string text = emphasized(line_of(titles, widths, rank), Emphasis::faint, style) + '\n';
  for (const Row& row : rows_) {
    text += emphasized(line_of(row.cells, widths, rank), row.emphasis, style) + '\n';
  }
  return text;
}

}  // namespace ferry::bench
