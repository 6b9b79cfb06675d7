// The ways in which one file is opened, moved and put in place.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include <ferry/copy.hpp>

#include "sources.hpp"

namespace ferry::micro {
namespace {

/// A source of state.range(0) bytes, and a directory to copy it to.
class FileBenchmark : public benchmark::Fixture {
 public:
  void SetUp(benchmark::State& state) override {
    auto made = bench::ScratchDirectory::create(place());
    if (!worked(state, made)) {
      return;
    }
    scratch_.emplace(std::move(*made));
    worked(state, bench::make_file(path("source"), static_cast<std::uint64_t>(state.range(0)), false));
  }
  void TearDown(benchmark::State& /*state*/) override { scratch_.reset(); }

 protected:
  [[nodiscard]] std::filesystem::path path(const char* name) const { return scratch_->path() / name; }

  static void count(benchmark::State& state) { state.SetBytesProcessed(state.iterations() * state.range(0)); }

 private:
  std::optional<bench::ScratchDirectory> scratch_;
};

constexpr std::int64_t kib = 1024;
constexpr std::int64_t mib = 1024 * kib;
void small_sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(100)->Arg(4 * kib)->Arg(64 * kib)->Arg(256 * kib);
}
void all_sizes(benchmark::internal::Benchmark* benchmark) {
  small_sizes(benchmark);
  benchmark->Arg(mib)->Arg(16 * mib);
}

// What every way of reading a file pays.
BENCHMARK_DEFINE_F(FileBenchmark, open_and_close)(benchmark::State& state) {
  const std::string source = path("source");
  for ([[maybe_unused]] auto _ : state) {
    const UniqueFd file(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
    benchmark::DoNotOptimize(file.get());
  }
}
BENCHMARK_REGISTER_F(FileBenchmark, open_and_close)->Arg(100);

// Where a new file may begin: at its name, or without one.
BENCHMARK_DEFINE_F(FileBenchmark, create_at_the_name)(benchmark::State& state) {
  const std::string target = path("target");
  for ([[maybe_unused]] auto _ : state) {
    const UniqueFd file(::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    benchmark::DoNotOptimize(file.get());
    state.PauseTiming();
    ::unlink(target.c_str());
    state.ResumeTiming();
  }
}
BENCHMARK_REGISTER_F(FileBenchmark, create_at_the_name)->Arg(100);

BENCHMARK_DEFINE_F(FileBenchmark, create_staged)(benchmark::State& state) {
  const std::string target = path("target");
  const UniqueFd directory(::open(path("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for ([[maybe_unused]] auto _ : state) {
    auto staged = StagedFile::create(directory.get(), "target", 0644);
    if (!worked(state, staged) || !worked(state, staged->commit(StagedFile::Existing::keep))) {
      break;
    }
    state.PauseTiming();
    ::unlink(target.c_str());
    state.ResumeTiming();
  }
}
BENCHMARK_REGISTER_F(FileBenchmark, create_staged)->Arg(100);

// By name: opening, creating or replacing, copying.
BENCHMARK_DEFINE_F(FileBenchmark, copy_file_to_a_new_name)(benchmark::State& state) {
  const auto source = path("source");
  const auto target = path("target");
  for ([[maybe_unused]] auto _ : state) {
    if (!worked(state, ferry::copy_file(source, target))) {
      break;
    }
    state.PauseTiming();
    ::unlink(target.c_str());
    state.ResumeTiming();
  }
  count(state);
}
BENCHMARK_REGISTER_F(FileBenchmark, copy_file_to_a_new_name)->Apply(all_sizes);

void copy_over(benchmark::State& state, const std::filesystem::path& source, const std::filesystem::path& target,
               const CopyOptions& options) {
  if (!worked(state, ferry::copy_file(source, target))) {
    return;
  }
  for ([[maybe_unused]] auto _ : state) {
    if (!worked(state, ferry::copy_file(source, target, options))) {
      break;
    }
  }
}

BENCHMARK_DEFINE_F(FileBenchmark, copy_file_replacing)(benchmark::State& state) {
  copy_over(state, path("source"), path("target"), {});
  count(state);
}
BENCHMARK_REGISTER_F(FileBenchmark, copy_file_replacing)->Apply(small_sizes);

BENCHMARK_DEFINE_F(FileBenchmark, copy_file_in_place)(benchmark::State& state) {
  CopyOptions options;
  options.inplace = true;
  copy_over(state, path("source"), path("target"), options);
  count(state);
}
BENCHMARK_REGISTER_F(FileBenchmark, copy_file_in_place)->Apply(small_sizes);

// Between two open files, by one method.
BENCHMARK_DEFINE_F(FileBenchmark, copy_range_by)(benchmark::State& state) {
  CopyOptions options;
  options.methods = static_cast<CopyMethod>(state.range(1));
  state.SetLabel(std::string(to_string(static_cast<CopyMethod>(state.range(1)))));
  const UniqueFd in(::open(path("source").c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd out(::open(path("target").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  const auto length = static_cast<std::uint64_t>(state.range(0));
  for ([[maybe_unused]] auto _ : state) {
    const auto report = copy_range(in.get(), 0, out.get(), 0, length, options);
    if (!worked(state, report)) {
      break;
    }
    benchmark::DoNotOptimize(report->bytes_copied);
  }
  count(state);
}
BENCHMARK_REGISTER_F(FileBenchmark, copy_range_by)
    ->ArgsProduct({{4 * kib, mib, 16 * mib},
                   {static_cast<int>(CopyMethod::copy_file_range), static_cast<int>(CopyMethod::splice),
                    static_cast<int>(CopyMethod::sendfile), static_cast<int>(CopyMethod::read_write)}});

// Many small files one after the other, as a tree is copied: one read and one write each.
BENCHMARK_DEFINE_F(FileBenchmark, file_copier)(benchmark::State& state) {
  FileCopier copier{CopyOptions{}};
  const UniqueFd in(::open(path("source").c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd out(::open(path("target").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (!in || !out) {
    state.SkipWithError("cannot open the files");
    return;
  }
  struct ::statx status = {};
  ::statx(in.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status);
  for ([[maybe_unused]] auto _ : state) {
    ::lseek(in.get(), 0, SEEK_SET);
    ::lseek(out.get(), 0, SEEK_SET);
    if (!worked(state, copier.copy(in.get(), status, out.get(), 0, 0))) {
      break;
    }
  }
  count(state);
}
BENCHMARK_REGISTER_F(FileBenchmark, file_copier)->Apply(small_sizes);

}  // namespace
}  // namespace ferry::micro
