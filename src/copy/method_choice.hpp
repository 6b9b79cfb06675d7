// Which methods to try for a copy, and in what order: a pure function of what is known beforehand.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <ferry/copy.hpp>

#include "copy/kernel_version.hpp"

namespace ferry::engine {

enum class FileKind : std::uint8_t { regular, pipe, socket, other };
[[nodiscard]] FileKind file_kind(unsigned mode) noexcept;

// What the choice depends on.
struct CopyFacts {
  FileKind source = FileKind::regular;
  FileKind destination = FileKind::regular;
  std::uint64_t size_bytes = 0;  // 0: unknown, or not to be trusted (procfs, sysfs)
  bool has_holes = false;
  CopyMethodSet refused;  // known not to work for this pair of file systems
  KernelVersion kernel;
  CopyMethodSet allowed = CopyMethodSet::all();
  ReflinkMode reflink = ReflinkMode::automatic;
  SparseMode sparse = SparseMode::automatic;
  bool verify = false;
  bool direct = false;
};

// Methods in the order they are to be tried. Empty: nothing allowed can work.
class MethodOrder {
 public:
  void add(CopyMethod method) noexcept { methods_[count_++] = method; }
  // Precondition: not empty.
  void drop_first() noexcept {
    --count_;
    for (std::size_t i = 0; i < count_; ++i) {
      methods_[i] = methods_[i + 1];
    }
    methods_[count_] = {};
  }
  [[nodiscard]] const CopyMethod* begin() const noexcept { return methods_.data(); }
  [[nodiscard]] const CopyMethod* end() const noexcept { return methods_.data() + count_; }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  [[nodiscard]] CopyMethod operator[](std::size_t i) const noexcept { return methods_[i]; }
  friend bool operator==(const MethodOrder& a, const MethodOrder& b) noexcept {
    return a.count_ == b.count_ && a.methods_ == b.methods_;
  }

 private:
  std::array<CopyMethod, copy_method_count> methods_ = {};
  std::size_t count_ = 0;
};

[[nodiscard]] MethodOrder choose_methods(const CopyFacts& facts) noexcept;

// What a method's error means. `unsupported`: the method cannot do this here, another may. `final`: the copy itself
// failed (no space, I/O error) and trying another way would hide it.
enum class Refusal : std::uint8_t { final, unsupported };
[[nodiscard]] Refusal classify_refusal(CopyMethod method, int errno_value) noexcept;
// Whether an unsupported method will be so for every file of this pair of file systems, so that it need not be asked
// again. EINVAL, EPERM, ETXTBSY and the like are about one file (nodatacow, append-only, swap file).
[[nodiscard]] bool refusal_is_lasting(int errno_value) noexcept;

}  // namespace ferry::engine
