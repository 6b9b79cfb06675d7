#include <ferry/copy.hpp>
#include <iostream>
int main() {
  const auto report = ferry::copy_file("original", "copy");
  std::cout << (report ? "copied " + std::to_string(report->bytes_copied) + " bytes" : report.error().to_string())
            << '\n';
}
