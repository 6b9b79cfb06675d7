#include "bench/workload.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <ferry/base.hpp>

namespace ferry::bench {
namespace {

namespace fs = std::filesystem;

/// SplitMix64: enough to defeat compression and deduplication, and quick enough for gigabytes.
class Noise {
 public:
  explicit Noise(std::uint64_t seed) : state_(seed) {}

  void fill(std::vector<char>& buffer) {
    for (std::size_t at = 0; at < buffer.size(); at += sizeof(std::uint64_t)) {
      const auto bytes = std::bit_cast<std::array<char, sizeof(std::uint64_t)>>(next());
      std::copy_n(bytes.begin(), std::min(bytes.size(), buffer.size() - at),
                  buffer.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }

 private:
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }
  std::uint64_t state_;
};

Outcome<void> write_all(int fd, const fs::path& path, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno != EINTR) {
      return failed("cannot write " + ferry::quoted(path.native()), errno);
    }
    if (put > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
  }
  return {};
}

Outcome<UniqueFd> create_file(const fs::path& path) {
  UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) {
    return failed("cannot create " + ferry::quoted(path.native()), errno);
  }
  return file;
}

Outcome<void> write_file(const fs::path& path, std::string_view bytes) {
  const auto file = create_file(path);
  return file ? write_all(file->get(), path, bytes, 0) : Outcome<void>(std::unexpected(file.error()));
}

constexpr std::uint64_t block_bytes = 4096;

constexpr std::uint64_t in_blocks(std::uint64_t bytes) { return (bytes + block_bytes - 1) / block_bytes * block_bytes; }

bool is_true(const std::atomic<bool>* flag) { return flag != nullptr && *flag; }

Outcome<void> make_directories(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error
             ? Outcome<void>(std::unexpected("cannot create " + ferry::quoted(path.native()) + ": " + error.message()))
             : Outcome<void>{};
}

}  // namespace

Outcome<ScratchDirectory> ScratchDirectory::create(const fs::path& parent) {
  std::error_code error;
  const fs::path absolute = fs::canonical(parent, error);
  if (error) {
    return std::unexpected("cannot use " + ferry::quoted(parent.native()) + ": " + error.message());
  }
  std::string name = absolute / "ferry-bench-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) {
    return failed("cannot create a directory in " + ferry::quoted(parent.native()), errno);
  }
  return ScratchDirectory(name);
}

ScratchDirectory::~ScratchDirectory() {
  if (!path_.empty()) {
    std::error_code ignored;  // nothing can be done about it, and the report matters more
    fs::remove_all(path_, ignored);
  }
}

Outcome<fs::path> small_or_given_tree(const std::optional<fs::path>& given, const fs::path& scratch) {
  if (!given) {
    const fs::path made = scratch / "source";
    const auto done = make_small_tree(made);
    return done ? Outcome<fs::path>(made) : std::unexpected(done.error());
  }
  std::error_code error;
  fs::path source = fs::canonical(*given, error);
  if (error || !fs::is_directory(source, error)) {
    return std::unexpected(ferry::quoted(given->native()) + " is not a directory that can be read");
  }
  return source;
}

Outcome<void> require_outside(const fs::path& target, const fs::path& source) {
  std::error_code error;
  const std::string inner = fs::weakly_canonical(target, error).native() + '/';
  const std::string outer = fs::weakly_canonical(source, error).native() + '/';
  return inner.starts_with(outer)
             ? std::unexpected("the target " + ferry::quoted(target.native()) + " is inside the source")
             : Outcome<void>{};
}

Outcome<std::uint64_t> size_of_tree(const fs::path& root) {
  std::uint64_t size = block_bytes;
  std::error_code error;
  fs::recursive_directory_iterator at(root, error);
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    std::error_code vanished;
    size += block_bytes;
    if (at->is_regular_file(vanished) && !at->is_symlink(vanished)) {
      const std::uint64_t bytes = at->file_size(vanished);
      size += vanished ? 0 : in_blocks(bytes);
    }
  }
  return error ? Outcome<std::uint64_t>(
                     std::unexpected("cannot read " + ferry::quoted(root.native()) + ": " + error.message()))
               : size;
}

std::uint64_t FileSet::size_bytes() const noexcept {
  return files * (in_blocks(file_bytes) + block_bytes) + (directories + 1) * block_bytes;
}

Outcome<void> make_small_tree(const fs::path& root) {
  for (const char* directory : {"include/detail", "src/tests"}) {
    if (auto done = make_directories(root / directory); !done) {
      return done;
    }
  }
  constexpr std::array<const char*, 9> names = {
      "README",     "LICENSE",   "include/api.h",        "include/version.h", "include/detail/impl.h",
      "src/main.c", "src/api.c", "src/tests/test_api.c", "src/tests/data"};
  Noise noise(1);
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::vector<char> bytes(8 + 5 * i);  // 8, 13, ... 48
    noise.fill(bytes);
    if (auto done = write_file(root / names[i], {bytes.data(), bytes.size()}); !done) {
      return done;
    }
  }
  return {};
}

fs::path FileSet::path_of(const fs::path& root, std::uint64_t number) const {
  const std::uint64_t per_directory = (files + directories - 1) / directories;
  const fs::path directory = directories > 1 ? root / fmt::format("dir{:04}", number / per_directory) : root;
  return directory / fmt::format("file{:07}", number);
}

Outcome<void> make_file_set(const fs::path& root, const FileSet& set, const std::atomic<bool>* stop) {
  Noise noise(set.files ^ (set.file_bytes << 32U));
  std::vector<char> bytes(set.file_bytes);
  fs::path directory;
  for (std::uint64_t i = 0; i < set.files; ++i) {
    if (is_true(stop)) {
      return std::unexpected("interrupted");
    }
    const fs::path path = set.path_of(root, i);
    if (path.parent_path() != directory) {
      directory = path.parent_path();
      if (auto done = make_directories(directory); !done) {
        return done;
      }
    }
    noise.fill(bytes);
    if (auto done = write_file(path, {bytes.data(), bytes.size()}); !done) {
      return done;
    }
  }
  return {};
}

Outcome<void> make_file(const fs::path& path, std::uint64_t size_bytes, bool sparse, const std::atomic<bool>* stop) {
  constexpr std::uint64_t piece = std::uint64_t{1} << 20U;
  const std::uint64_t stride = sparse ? 16 * piece : piece;
  const auto file = create_file(path);
  if (!file) {
    return std::unexpected(file.error());
  }
  Noise noise(size_bytes);
  std::vector<char> bytes(piece);
  for (std::uint64_t at = 0; at < size_bytes; at += stride) {
    if (is_true(stop)) {
      return std::unexpected("interrupted");
    }
    noise.fill(bytes);
    const std::string_view data(bytes.data(), std::min(piece, size_bytes - at));
    if (auto done = write_all(file->get(), path, data, at); !done) {
      return done;
    }
  }
  if (::ftruncate(file->get(), static_cast<off_t>(size_bytes)) != 0) {
    return failed("cannot set the size of " + ferry::quoted(path.native()), errno);
  }
  return {};
}

Outcome<void> make_stale_copy(const fs::path& source, const fs::path& destination) {
  std::error_code error;
  fs::copy(source, destination, fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
  if (error) {
    return std::unexpected("cannot prepare " + ferry::quoted(destination.native()) + ": " + error.message());
  }
  for (const auto& entry : fs::recursive_directory_iterator(destination, error)) {
    if (entry.is_regular_file() && !entry.is_symlink()) {
      const std::string stale(entry.file_size() + 3, '#');
      if (auto done = write_file(entry.path(), stale); !done) {
        return done;
      }
    }
  }
  return {};
}

}  // namespace ferry::bench
