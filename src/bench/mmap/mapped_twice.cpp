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
                                                        MapMode mode, bool filled) {
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
  std::shared_ptr<MappedTwice> both(new MappedTwice(file, size, mode));
  for (const std::string& wrong : {both->map_by_ferry({}), both->map_by_mmap()}) {
    if (!wrong.empty()) {
      return std::unexpected(wrong);
    }
  }
  return both;
}

MappedTwice::~MappedTwice() { unmap_raw(); }

std::string MappedTwice::map_by_ferry_only(const FlushPolicy& policy) {
  unmap_raw();
  return ferry_ && ferry_->flush_policy() == policy ? "" : map_by_ferry(policy);
}

std::string MappedTwice::map_by_mmap_only() {
  ferry_.reset();
  return raw_ != nullptr ? "" : map_by_mmap();
}

std::string MappedTwice::map_by_ferry(const FlushPolicy& policy) {
  ferry_.reset();
  auto map = MappedFile::open(path_, {.mode = mode_, .flush = policy});
  if (!map) {
    return map.error().to_string();
  }
  ferry_.emplace(std::move(*map));
  const auto touched = ferry_->touch_pages();
  return touched ? "" : touched.error().to_string();
}

std::string MappedTwice::map_by_mmap() {
  const bool writes = mode_ != MapMode::read_only;
  const UniqueFd file(::open(path_.c_str(), (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC));
  if (!file) {
    return "open: " + std::generic_category().message(errno);
  }
  const int protection = writes ? PROT_READ | PROT_WRITE : PROT_READ;
  void* const memory = ::mmap(nullptr, size_, protection, MAP_SHARED | MAP_POPULATE, file.get(), 0);
  if (memory == MAP_FAILED) {  // NOLINT(performance-no-int-to-ptr): the macro's own cast
    return "mmap: " + std::generic_category().message(errno);
  }
  raw_ = static_cast<std::byte*>(memory);
  return {};
}

void MappedTwice::unmap_raw() noexcept {
  if (raw_ != nullptr) {
    ::munmap(raw_, size_);
    raw_ = nullptr;
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

std::string MappedTwice::clear(std::uint64_t length) const {
  const UniqueFd file(::open(path_.c_str(), O_WRONLY | O_CLOEXEC));
  const std::vector<std::byte> zeros(length);
  const bool cleared = file && ::pwrite(file.get(), zeros.data(), length, 0) == static_cast<ssize_t>(length);
  return cleared ? "" : "cannot clear the file";
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
