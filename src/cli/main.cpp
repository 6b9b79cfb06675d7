// The `ferry` command: chooses the subcommand.
#include <ferry/base.hpp>

#include <fmt/format.h>

int main() {
  fmt::print("ferry {}\n", ferry::version());
  return 0;
}
