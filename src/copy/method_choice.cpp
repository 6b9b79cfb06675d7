#include "copy/method_choice.hpp"

#include <sys/stat.h>

#include <cerrno>

namespace ferry::engine {
namespace {

// copy_file_range before 5.3 corrupts in corner cases and misses checks (copy_file_range(2), BUGS).
constexpr KernelVersion first_safe_copy_file_range{5, 3};

bool both_regular(const CopyFacts& facts) noexcept {
  return facts.source == FileKind::regular && facts.destination == FileKind::regular;
}

bool may_share(const CopyFacts& facts) noexcept {
  const bool would_keep_unwanted_holes = facts.sparse == SparseMode::never && facts.has_holes;
  return facts.reflink != ReflinkMode::never && !would_keep_unwanted_holes && facts.sparse != SparseMode::always;
}

bool copies_in_kernel(const CopyFacts& facts) noexcept {
  // Zeros can only be found, and bytes only be hashed on the way, by looking at them. (Without read_write among the
  // allowed methods verify reads the source again.)
  const bool must_see_bytes =
      facts.sparse == SparseMode::always || (facts.verify && facts.allowed.contains(CopyMethod::read_write));
  const bool size_known = facts.size_bytes > 0 || !facts.allowed.contains(CopyMethod::read_write);
  return !must_see_bytes && size_known;
}

}  // namespace

FileKind file_kind(unsigned mode) noexcept {
  switch (mode & S_IFMT) {
    case S_IFREG: return FileKind::regular;
    case S_IFIFO: return FileKind::pipe;
    case S_IFSOCK: return FileKind::socket;
    default: return FileKind::other;
  }
}

MethodOrder choose_methods(const CopyFacts& facts) noexcept {
  MethodOrder order;
  const auto add = [&](CopyMethod method, bool applies) {
    if (applies && facts.allowed.contains(method)) {
      order.add(method);
    }
  };
  const auto known_good = [&](CopyMethod method) { return !facts.refused.contains(method); };

  if (facts.reflink == ReflinkMode::always) {
    add(CopyMethod::reflink,
        both_regular(facts) && may_share(facts));  // asked even if refused: its errno is the answer
    return order;
  }
  const bool in_kernel = copies_in_kernel(facts);
  const bool any_pipe = facts.source == FileKind::pipe || facts.destination == FileKind::pipe;
  // An empty file has nothing to share, and nothing else is asked of it unless sharing is all that is allowed.
  const bool worth_sharing = facts.size_bytes > 0 || facts.allowed == CopyMethodSet(CopyMethod::reflink);
  add(CopyMethod::reflink, both_regular(facts) && worth_sharing && may_share(facts) && known_good(CopyMethod::reflink));
  // The ring moves bytes past the page cache; through it, it is for who rules out the ways that copy in the kernel
  // (docs/PERFORMANCE.md).
  const bool by_ring = both_regular(facts) && in_kernel && known_good(CopyMethod::uring);
  add(CopyMethod::uring, by_ring && facts.direct);
  add(CopyMethod::copy_file_range, both_regular(facts) && in_kernel && may_share(facts) && !facts.verify &&
                                       facts.kernel >= first_safe_copy_file_range &&
                                       known_good(CopyMethod::copy_file_range));
  // Between two files sendfile saves one of the two copies of read_write. It is a splice inside the kernel, and
  // steadier than one of ours (docs/PERFORMANCE.md); splice is for pipes, and for who rules sendfile out.
  const bool both_in_kernel = both_regular(facts) && in_kernel;
  const bool sends_files = both_in_kernel && known_good(CopyMethod::sendfile);
  const bool sends_to_socket = facts.source == FileKind::regular && in_kernel && facts.destination == FileKind::socket;
  add(CopyMethod::sendfile, sends_files || sends_to_socket);
  const bool ruled_out = !facts.allowed.contains(CopyMethod::sendfile) && !facts.allowed.contains(CopyMethod::splice);
  add(CopyMethod::uring, by_ring && !facts.direct && ruled_out);
  const bool splices_files =
      both_in_kernel && known_good(CopyMethod::splice) && !facts.allowed.contains(CopyMethod::sendfile);
  const bool splices_pipe = any_pipe && !facts.verify && facts.sparse != SparseMode::always;
  add(CopyMethod::splice, splices_files || splices_pipe);
  add(CopyMethod::read_write, true);
  return order;
}

Refusal classify_refusal(CopyMethod method, int errno_value) noexcept {
  switch (errno_value) {
    case ENOSYS:
    case EOPNOTSUPP:
    case ENOTTY:
    case EINVAL:
    case EXDEV:
    case ETXTBSY:
    case EPERM:
    case EACCES:
    case EBADF:  // O_APPEND, or a file system's way to say no; a truly bad fd fails again by read
      return Refusal::unsupported;
    case ENOENT:  // CIFS
    case EIO:     // CIFS
    case EAGAIN:  // ZFS with dirty data (openzfs 15172)
    case EFBIG:   // at the very end of the offset range
      return method == CopyMethod::copy_file_range ? Refusal::unsupported : Refusal::final;
    case ENOMEM:  // of lockable memory (io_uring_setup(2) before 5.12)
    case EMFILE:  // a ring is a descriptor
    case ENFILE: return method == CopyMethod::uring ? Refusal::unsupported : Refusal::final;
    default: return Refusal::final;
  }
}

bool refusal_is_lasting(int errno_value) noexcept {
  return errno_value == ENOSYS || errno_value == EOPNOTSUPP || errno_value == ENOTTY || errno_value == EXDEV;
}

}  // namespace ferry::engine
