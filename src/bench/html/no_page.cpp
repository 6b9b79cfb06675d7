// In place of the page where npm's packages were missing when ferry was built.
#include "bench/page.hpp"

namespace ferry::bench {
constinit const std::string_view page_template;
}  // namespace ferry::bench
