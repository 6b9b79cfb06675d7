// No rules at all. What reads rules comes with the grammar (branch sync-rules), which replaces this file.
#include "sync/filter_rules.hpp"

#include <cerrno>

namespace ferry {
namespace {

class NoRules final : public FilterRules {
 public:
  [[nodiscard]] bool empty() const noexcept override { return true; }
  [[nodiscard]] bool has_directory_files() const noexcept override { return false; }
  [[nodiscard]] FilterVerdict verdict(std::string_view /*path*/, bool /*is_directory*/,
                                      FilterSide /*side*/) const override {
    return FilterVerdict::none;
  }
  [[nodiscard]] Result<std::shared_ptr<const FilterRules>> enter_directory(int /*dirfd*/,
                                                                           std::string_view /*path*/) const override {
    return nullptr;
  }
};

}  // namespace

Result<std::shared_ptr<const FilterRules>> FilterRules::parse(std::span<const FilterArgument> arguments,
                                                              bool /*delete_excluded*/) {
  if (!arguments.empty()) {
    return fail(ENOTSUP, "filter rules", arguments.front().text);
  }
  return std::make_shared<const NoRules>();
}

}  // namespace ferry
