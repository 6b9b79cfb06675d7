// ferry_scaling: simulates copies by 1 to 1024 ranks and prints a table; --svg FILE draws efficiency over ranks.
// ferry_scaling check ...: one job, for comparison with a measured one.
#include "scaling/simulation.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace {

using namespace ferry::scaling;  // NOLINT(google-build-using-namespace): a program about nothing else

struct Scenario {
  std::string name;
  Shape shape;
  World world;
  unsigned threads = 8;
};

World world_with(double server_per_s, double per_directory_s) {
  World world;
  world.server_per_s = server_per_s;
  world.per_directory_s = per_directory_s;
  return world;
}

std::vector<Scenario> scenarios() {
  const Shape broad{.name = "1 010 000 files in 10 100 directories", .depth = 2, .directories = 100, .files = 100};
  const Shape flat{.name = "one directory of 10 million files", .depth = 0, .directories = 0, .files = 10'000'000};
  return {{"broad tree, servers without limit", broad, world_with(0, 0)},
          {"flat directory, servers without limit", flat, world_with(0, 0)},
          {"broad tree, servers of 500 000 operations/s", broad, world_with(500'000, 20e-6)},
          {"flat directory, the same, 50 000 creates/s in one directory", flat, world_with(500'000, 20e-6)}};
}

struct Point {
  int ranks;
  double efficiency;
};

struct Curve {
  std::string name;
  std::vector<Point> points;
};

std::string svg(const std::vector<Curve>& curves) {
  constexpr double left = 60;
  constexpr double top = 20;
  constexpr double width = 620;
  constexpr double height = 300;
  static constexpr const char* colours[] = {"#1f6feb", "#d1242f", "#1a7f37", "#9a6700"};
  std::string out = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {}" font-family="sans-serif" font-size="12">)"
      "\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      static_cast<int>(height + 80 + 18 * static_cast<double>(curves.size())));
  const auto x = [&](int ranks) { return left + width * std::log2(ranks) / 10; };
  const auto y = [&](double efficiency) { return top + height * (1 - efficiency); };
  for (int percent = 0; percent <= 100; percent += 20) {
    out += fmt::format(
        R"(<line x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}" stroke="#ddd"/><text x="{3}" y="{4:.1f}" text-anchor="end">{5}%</text>)"
        "\n",
        left, left + width, y(percent / 100.0), left - 6, y(percent / 100.0) + 4, percent);
  }
  for (int ranks = 1; ranks <= 1024; ranks *= 2) {
    out += fmt::format(R"(<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>)"
                       "\n",
                       x(ranks), top + height + 18, ranks);
  }
  out += fmt::format(
      R"(<text x="{}" y="{}" text-anchor="middle">ranks of 8 threads (efficiency: time of one rank / (ranks x time))</text>)"
      "\n",
      left + width / 2, top + height + 38);
  for (std::size_t i = 0; i < curves.size(); ++i) {
    std::string line;
    for (const Point& point : curves[i].points) {
      line += fmt::format("{:.1f},{:.1f} ", x(point.ranks), y(point.efficiency));
    }
    const double row = top + height + 60 + 18 * static_cast<double>(i);
    out += fmt::format(
        R"(<polyline points="{0}" fill="none" stroke="{1}" stroke-width="2"/><line x1="{2}" x2="{3}" y1="{4}" y2="{4}" stroke="{1}" stroke-width="3"/><text x="{5}" y="{6}">{7}</text>)"
        "\n",
        line, colours[i % 4], left, left + 24, row, left + 32, row + 4, curves[i].name);
  }
  return out + "</svg>\n";
}

int run_all(const char* svg_file) {
  std::vector<Curve> curves;
  for (const Scenario& scenario : scenarios()) {
    fmt::print("{}: {}, {} threads a rank\n", scenario.name, scenario.shape.name, scenario.threads);
    fmt::print("{:>6} {:>12} {:>11} {:>10} {:>10} {:>12}\n", "ranks", "seconds", "efficiency", "messages", "pieces",
               "most queued");
    Curve curve{scenario.name, {}};
    double alone = 0;
    for (int ranks = 1; ranks <= 1024; ranks *= scenario.shape.depth == 0 ? 4 : 2) {
      const Outcome outcome = simulate(scenario.shape, scenario.world, ranks, scenario.threads);
      if (outcome.left_at_the_end != 0) {
        fmt::print(stderr, "the job ended with {} entries left\n", outcome.left_at_the_end);
        return 1;
      }
      alone = ranks == 1 ? outcome.seconds : alone;
      const double efficiency = alone / (ranks * outcome.seconds);
      fmt::print("{:>6} {:>12.2f} {:>10.1f}% {:>10} {:>10} {:>12}\n", ranks, outcome.seconds, 100 * efficiency,
                 outcome.messages, outcome.pieces, outcome.most_queued);
      std::fflush(stdout);
      curve.points.push_back({ranks, std::min(efficiency, 1.0)});
    }
    curves.push_back(std::move(curve));
  }
  if (svg_file != nullptr) {
    std::FILE* const file = std::fopen(svg_file, "w");
    if (file == nullptr || std::fputs(svg(curves).c_str(), file) < 0 || std::fclose(file) != 0) {
      std::perror(svg_file);
      return 1;
    }
  }
  return 0;
}

// check RANKS THREADS DEPTH DIRECTORIES FILES LATENCY_US [OPERATIONS_PER_FILE OPERATIONS_PER_DIRECTORY SERVER_PER_S]
int check(const std::vector<std::string>& words) {
  std::vector<double> numbers;
  for (const std::string& word : words) {
    char* end = nullptr;
    numbers.push_back(std::strtod(word.c_str(), &end));
    if (end == word.c_str() || *end != '\0' || numbers.back() < 0) {
      fmt::print(stderr, "not a number: {}\n", word);
      return 2;
    }
  }
  if (numbers.size() < 6 || numbers.size() > 9 || numbers[0] < 1 || numbers[1] < 1) {
    fmt::print(stderr,
               "usage: ferry_scaling check RANKS THREADS DEPTH DIRECTORIES FILES LATENCY_US "
               "[OPERATIONS_PER_FILE [OPERATIONS_PER_DIRECTORY [SERVER_PER_S]]]\n");
    return 2;
  }
  World world;
  world.latency_s = numbers[5] * 1e-6;
  world.operations_per_file = numbers.size() > 6 ? numbers[6] : world.operations_per_file;
  world.operations_per_directory = numbers.size() > 7 ? numbers[7] : world.operations_per_directory;
  world.server_per_s = numbers.size() > 8 ? numbers[8] : world.server_per_s;
  const Shape shape{.name = "",
                    .depth = static_cast<unsigned>(numbers[2]),
                    .directories = static_cast<unsigned>(numbers[3]),
                    .files = static_cast<std::uint64_t>(numbers[4])};
  const Outcome outcome = simulate(shape, world, static_cast<int>(numbers[0]), static_cast<unsigned>(numbers[1]));
  fmt::print("{:.3f} s, {} messages, {} pieces, threads busy {:.0f}%\n", outcome.seconds, outcome.messages,
             outcome.pieces, 100 * outcome.busy);
  return outcome.left_at_the_end == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words[0] == "check") {
    return check({words.begin() + 1, words.end()});
  }
  if (words.empty() || (words.size() == 2 && words[0] == "--svg")) {
    return run_all(words.empty() ? nullptr : words[1].c_str());
  }
  fmt::print(stderr, "usage: ferry_scaling [--svg FILE] | check ...\n");
  return 2;
}
