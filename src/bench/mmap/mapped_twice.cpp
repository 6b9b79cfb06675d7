#include "bench/mmap/mapped_twice.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <ferry/base.hpp>

namespace ferry::bench {
namespace {

Outcome<void> write_content(int file, std::uint64_t size) {
  std::vector<std::byte> piece(mebibyte);
  for (std::uint64_t offset = 0; offset < size; offset += piece.size()) {
    const std::uint64_t length = std::min<std::uint64_t>(piece.size(), size - offset);
    for (std::uint64_t i = 0; i < length; ++i) {
      piece[i] = static_cast<std::byte>(content_at(offset + i));
    }
    if (::pwrite(file, piece.data(), length, static_cast<off_t>(offset)) != static_cast<ssize_t>(length)) {
      return failed("pwrite", errno);
    }
  }
  return ::fsync(file) == 0 ? Outcome<void>{} : failed("fsync", errno);
}

}  // namespace

std::uint64_t sum_of_content(std::uint64_t size, std::uint64_t step) noexcept {
  std::uint64_t sum = 0;
  for (std::uint64_t offset = 0; offset < size; offset += step) {
    sum += content_at(offset);
  }
  return sum;
}

Outcome<std::shared_ptr<MappedTwice>> MappedTwice::make(const std::filesystem::path& file, std::uint64_t size,
                                                        MapMode mode, const FlushPolicy& policy, bool filled) {
  const UniqueFd made(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!made) {
    return failed("cannot create " + ferry::quoted(file.native()), errno);
  }
  if (::ftruncate(made.get(), static_cast<off_t>(size)) != 0) {
    return failed("ftruncate", errno);
  }
  if (auto written = filled ? write_content(made.get(), size) : Outcome<void>{}; !written) {
    return std::unexpected(written.error());
  }
  auto map = MappedFile::open(file, {.mode = mode, .flush = policy});
  if (!map) {
    return std::unexpected(map.error().to_string());
  }
  const std::shared_ptr<MappedTwice> both(new MappedTwice(file, std::move(*map), size));
  const int protection = mode == MapMode::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
  void* const memory = ::mmap(nullptr, size, protection, MAP_SHARED | MAP_POPULATE, made.get(), 0);
  if (memory == MAP_FAILED) {  // NOLINT(performance-no-int-to-ptr): the macro's own cast
    return failed("mmap", errno);
  }
  both->raw_ = static_cast<std::byte*>(memory);
  if (const auto touched = both->ferry_.touch_pages(); !touched) {
    return std::unexpected(touched.error().to_string());
  }
  return both;
}

MappedTwice::~MappedTwice() {
  if (raw_ != nullptr) {
    ::munmap(raw_, size_);
  }
}

std::uint64_t MappedTwice::worked(const char* call, int result) {
  if (result != -1) [[likely]] {
    return 1;
  }
  keep_failure(std::string(call) + ": " + std::generic_category().message(errno));
  return 0;
}

void MappedTwice::keep_failure(std::string text) {
  if (failure_.empty()) {
    failure_ = std::move(text);
  }
}

std::string MappedTwice::verdict(std::uint64_t found, std::uint64_t expected) const {
  if (!failure_.empty()) {
    return failure_;
  }
  return found == expected ? "" : fmt::format("wrong result: {}, not {}", found, expected);
}

std::string MappedTwice::verdict_on_file(std::uint64_t length, std::byte value) const {
  if (!failure_.empty()) {
    return failure_;
  }
  const UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  std::vector<std::byte> found(length);
  if (!file || ::pread(file.get(), found.data(), length, 0) != static_cast<ssize_t>(length)) {
    return "cannot read what was written";
  }
  return std::ranges::all_of(found, [value](std::byte each) { return each == value; }) ? "" : "wrong bytes in the file";
}

}  // namespace ferry::bench
