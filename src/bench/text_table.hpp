// Tables of text: columns aligned, and as many of them as there is room for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::bench {

/// Where a table is shown.
struct TableStyle {
  bool colour = false;
  unsigned columns = 0;  ///< Characters in a line; 0: no limit.
};

/// How a line stands out where there are colours.
enum class Emphasis : std::uint8_t { none, strong, good, bad, faint };
/// The text in the colour of the emphasis; as it is if there are no colours.
[[nodiscard]] std::string emphasized(std::string text, Emphasis emphasis, const TableStyle& style);

class TextTable {
 public:
  struct Column {
    std::string title;
    /// When lines get too long, the columns of the highest rank are left out; 0 always stays.
    unsigned rank = 0;
    bool left = false;  ///< Text, to the left; else figures, to the right.
  };
  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// A line of its own, which takes no part in the widths.
  void add_heading(std::string_view text);
  /// One cell for each column; or a name and a remark for the rest of the line, which takes no part in the widths.
  void add(std::vector<std::string> cells, Emphasis emphasis = Emphasis::none);

  [[nodiscard]] std::string to_string(const TableStyle& style) const;

 private:
  struct Row {
    std::vector<std::string> cells;  // one if it is a heading
    Emphasis emphasis = Emphasis::none;
  };
  [[nodiscard]] std::vector<std::size_t> widths() const;
  [[nodiscard]] std::string line_of(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths,
                                    unsigned highest_rank) const;

  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

}  // namespace ferry::bench
