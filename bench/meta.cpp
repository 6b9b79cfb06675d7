// Carrying metadata from one open file to another.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <optional>

#include <ferry/meta.hpp>

#include "sources.hpp"

namespace ferry::micro {
namespace {

constexpr MetadataSelection everything{
    .mode = true, .owner = true, .times = true, .acls = true, .xattrs = true, .inode_flags = true};

/// Two open files, and the status of the first.
class MetadataBenchmark : public benchmark::Fixture {
 public:
  void SetUp(benchmark::State& state) override {
    auto made = bench::ScratchDirectory::create(place());
    if (!worked(state, made)) {
      return;
    }
    scratch_.emplace(std::move(*made));
    from_.reset(::open((scratch_->path() / "from").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
    to_.reset(::open((scratch_->path() / "to").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!from_ || !to_) {
      state.SkipWithError("cannot make the files");
    }
  }
  void TearDown(benchmark::State& /*state*/) override { scratch_.reset(); }

 protected:
  void copy(benchmark::State& state, const MetadataSelection& selection) {
    struct ::statx status = {};
    ::statx(from_.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status);
    const MetadataState fresh{.mode = 0600, .uid = status.stx_uid, .gid = status.stx_gid};
    for ([[maybe_unused]] auto _ : state) {
      const auto done = copy_metadata({.fd = from_.get()}, status, {.fd = to_.get()}, fresh, selection);
      if (!done) {
        state.SkipWithError(done.error().error.to_string().c_str());
        break;
      }
    }
  }
  [[nodiscard]] int from() const noexcept { return from_.get(); }

 private:
  std::optional<bench::ScratchDirectory> scratch_;
  UniqueFd from_;
  UniqueFd to_;
};

BENCHMARK_F(MetadataBenchmark, times_alone)(benchmark::State& state) { copy(state, {.times = true}); }

BENCHMARK_F(MetadataBenchmark, all_of_a_plain_file)(benchmark::State& state) { copy(state, everything); }

BENCHMARK_F(MetadataBenchmark, all_with_an_attribute)(benchmark::State& state) {
  if (::fsetxattr(from(), "user.key", "value", 5, 0) != 0) {
    state.SkipWithError("no user attributes here (tmpfs has them since Linux 6.6): set FERRY_MICRO_DIRECTORY");
    return;
  }
  copy(state, everything);
}

}  // namespace
}  // namespace ferry::micro
