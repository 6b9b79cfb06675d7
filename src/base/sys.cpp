#include "base/sys.hpp"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#ifdef FERRY_SYS_FAULTS
#include "support/fault_plan.hpp"
#endif

namespace ferry::sys {
namespace {

// Newer than Debian 12's headers: Linux 6.13, <asm-generic/unistd.h>, <linux/xattr.h>; the same on every architecture
// but alpha.
constexpr long call_getxattrat = 464;
constexpr long call_listxattrat = 465;
struct XattrArguments {
  alignas(8) std::uint64_t value;
  std::uint32_t size;
  std::uint32_t flags;
};

// Calls the kernel until it is not interrupted, and turns -1 and errno into -errno.
template <typename Function>
auto kernel_call([[maybe_unused]] Call call, Function function) noexcept -> decltype(function()) {
  for (;;) {
#ifdef FERRY_SYS_FAULTS
    const auto result = testing::with_fault(call, function);
#else
    const auto result = function();
#endif
    if (result >= 0) [[likely]] {
      return result;
    }
    if (errno != EINTR) {
      return static_cast<decltype(function())>(-errno);
    }
  }
}

// The same for calls that move up to `length` bytes: a fault plan may shorten them.
template <typename Function>
ssize_t transfer_call([[maybe_unused]] Call call, std::size_t length, Function function) noexcept {
#ifdef FERRY_SYS_FAULTS
  length = testing::limited_length(call, length);
#endif
  return kernel_call(call, [&] { return function(length); });
}

// The same for vectors: a plan that shortens leaves a part of the first one.
template <typename All, typename First>
ssize_t vector_call(Call call, [[maybe_unused]] const iovec* vectors, int count, All all,
                    [[maybe_unused]] First first) noexcept {
#ifdef FERRY_SYS_FAULTS
  if (count > 0) {
    if (const std::size_t limit = testing::limited_length(call, vectors->iov_len); limit < vectors->iov_len) {
      return kernel_call(call, [&] { return first(limit); });
    }
  }
#endif
  return kernel_call(call, [&] { return all(count); });
}

}  // namespace

const char* name(Call call) noexcept {
  switch (call) {
    case Call::openat: return "openat";
    case Call::openat2: return "openat2";
    case Call::close: return "close";
    case Call::read: return "read";
    case Call::write: return "write";
    case Call::pread: return "pread";
    case Call::pwrite: return "pwrite";
    case Call::preadv: return "preadv";
    case Call::pwritev: return "pwritev";
    case Call::lseek: return "lseek";
    case Call::copy_file_range: return "copy_file_range";
    case Call::ficlone: return "FICLONE";
    case Call::ficlonerange: return "FICLONERANGE";
    case Call::splice: return "splice";
    case Call::sendfile: return "sendfile";
    case Call::pipe2: return "pipe2";
    case Call::set_pipe_size: return "F_SETPIPE_SZ";
    case Call::statx: return "statx";
    case Call::statfs: return "fstatfs";
    case Call::getdents64: return "getdents64";
    case Call::mkdirat: return "mkdirat";
    case Call::unlinkat: return "unlinkat";
    case Call::renameat2: return "renameat2";
    case Call::linkat: return "linkat";
    case Call::symlinkat: return "symlinkat";
    case Call::readlinkat: return "readlinkat";
    case Call::mknodat: return "mknodat";
    case Call::faccessat: return "faccessat";
    case Call::fchmod: return "fchmod";
    case Call::fchmodat: return "fchmodat";
    case Call::fchown: return "fchown";
    case Call::fchownat: return "fchownat";
    case Call::utimensat: return "utimensat";
    case Call::listxattr: return "listxattr";
    case Call::getxattr: return "getxattr";
    case Call::listxattrat: return "listxattrat";
    case Call::getxattrat: return "getxattrat";
    case Call::setxattr: return "setxattr";
    case Call::removexattr: return "removexattr";
    case Call::get_inode_flags: return "FS_IOC_GETFLAGS";
    case Call::set_inode_flags: return "FS_IOC_SETFLAGS";
    case Call::ftruncate: return "ftruncate";
    case Call::fallocate: return "fallocate";
    case Call::fadvise: return "posix_fadvise";
    case Call::fsync: return "fsync";
    case Call::fdatasync: return "fdatasync";
    case Call::syncfs: return "syncfs";
    case Call::fiemap: return "FS_IOC_FIEMAP";
    case Call::get_descriptor_limit: return "getrlimit";
    case Call::unshare_files: return "unshare";
    case Call::io_uring_setup: return "io_uring_setup";
    case Call::io_uring_enter: return "io_uring_enter";
    case Call::io_uring_register: return "io_uring_register";
    case Call::io_uring_nop: return "IORING_OP_NOP";
    case Call::io_uring_poll: return "IORING_OP_POLL_ADD";
    case Call::io_uring_cancel: return "IORING_OP_ASYNC_CANCEL";
    case Call::map_memory: return "mmap";
    case Call::advise_memory: return "madvise";
    case Call::eventfd: return "eventfd";
    case Call::epoll_create: return "epoll_create1";
    case Call::epoll_ctl: return "epoll_ctl";
    case Call::epoll_wait: return "epoll_wait";
    case Call::poll: return "poll";
    case Call::flock: return "flock";
    case Call::get_file_flags: return "F_GETFL";
    case Call::uname: return "uname";
    case Call::mmap: return "mmap";
    case Call::munmap: return "munmap";
    case Call::msync: return "msync";
    case Call::madvise: return "madvise";
    case Call::mincore: return "mincore";
    case Call::mlock: return "mlock";
    case Call::munlock: return "munlock";
    case Call::membarrier: return "membarrier";
    case Call::inotify_init: return "inotify_init1";
    case Call::inotify_add_watch: return "inotify_add_watch";
    case Call::set_signal_action: return "sigaction";
    case Call::count_: break;
  }
  return "unknown";
}

// clang-format off
int openat(int dirfd, const char* path, int flags, mode_t mode) noexcept { return kernel_call(Call::openat, [&] { return ::openat(dirfd, path, flags | O_CLOEXEC, mode); }); }
int openat2(int dirfd, const char* path, const open_how& how) noexcept { return kernel_call(Call::openat2, [&] { return static_cast<int>(::syscall(SYS_openat2, dirfd, path, &how, sizeof how)); }); }
ssize_t read(int fd, void* buffer, std::size_t length) noexcept { return transfer_call(Call::read, length, [&](std::size_t n) { return ::read(fd, buffer, n); }); }
ssize_t write(int fd, const void* buffer, std::size_t length) noexcept { return transfer_call(Call::write, length, [&](std::size_t n) { return ::write(fd, buffer, n); }); }
ssize_t pread(int fd, void* buffer, std::size_t length, off_t offset) noexcept { return transfer_call(Call::pread, length, [&](std::size_t n) { return ::pread(fd, buffer, n, offset); }); }
ssize_t pwrite(int fd, const void* buffer, std::size_t length, off_t offset) noexcept { return transfer_call(Call::pwrite, length, [&](std::size_t n) { return ::pwrite(fd, buffer, n, offset); }); }
ssize_t preadv(int fd, const iovec* vectors, int count, off_t offset) noexcept { return vector_call(Call::preadv, vectors, count, [&](int n) { return ::preadv(fd, vectors, n, offset); }, [&](std::size_t n) { return ::pread(fd, vectors->iov_base, n, offset); }); }
ssize_t pwritev(int fd, const iovec* vectors, int count, off_t offset) noexcept { return vector_call(Call::pwritev, vectors, count, [&](int n) { return ::pwritev(fd, vectors, n, offset); }, [&](std::size_t n) { return ::pwrite(fd, vectors->iov_base, n, offset); }); }
off_t lseek(int fd, off_t offset, int whence) noexcept { return kernel_call(Call::lseek, [&] { return ::lseek(fd, offset, whence); }); }
ssize_t copy_file_range(int in, off_t* in_offset, int out, off_t* out_offset, std::size_t length) noexcept { return transfer_call(Call::copy_file_range, length, [&](std::size_t n) { return ::copy_file_range(in, in_offset, out, out_offset, n, 0); }); }
int ficlone(int out, int in) noexcept { return kernel_call(Call::ficlone, [&] { return ::ioctl(out, FICLONE, in); }); }
int ficlonerange(int out, const file_clone_range& range) noexcept { return kernel_call(Call::ficlonerange, [&] { return ::ioctl(out, FICLONERANGE, &range); }); }
ssize_t splice(int in, off_t* in_offset, int out, off_t* out_offset, std::size_t length, unsigned flags) noexcept { return transfer_call(Call::splice, length, [&](std::size_t n) { return ::splice(in, in_offset, out, out_offset, n, flags); }); }
ssize_t sendfile(int out, int in, off_t* in_offset, std::size_t length) noexcept { return transfer_call(Call::sendfile, length, [&](std::size_t n) { return ::sendfile(out, in, in_offset, n); }); }
int pipe2(int fds[2], int flags) noexcept { return kernel_call(Call::pipe2, [&] { return ::pipe2(fds, flags | O_CLOEXEC); }); }
int poll(int fd, short events, int timeout_ms) noexcept { pollfd waits{fd, events, 0}; const int ready = kernel_call(Call::poll, [&] { return ::poll(&waits, 1, timeout_ms); }); return ready > 0 ? waits.revents : ready; }
int set_pipe_size(int fd, int bytes) noexcept { return kernel_call(Call::set_pipe_size, [&] { return ::fcntl(fd, F_SETPIPE_SZ, bytes); }); }

int statx(int dirfd, const char* path, int flags, unsigned mask, struct statx& out) noexcept { return kernel_call(Call::statx, [&] { return ::statx(dirfd, path, flags, mask, &out); }); }
int fstatfs(int fd, struct statfs& out) noexcept { return kernel_call(Call::statfs, [&] { return ::fstatfs(fd, &out); }); }
ssize_t getdents64(int fd, void* buffer, std::size_t length) noexcept {
  const ssize_t filled = kernel_call(Call::getdents64, [&] { return static_cast<ssize_t>(::syscall(SYS_getdents64, fd, buffer, length)); });
#ifdef FERRY_SYS_FAULTS
  testing::alter_entries(buffer, filled);
#endif
  return filled;
}
ssize_t readlinkat(int dirfd, const char* path, char* buffer, std::size_t length) noexcept { return kernel_call(Call::readlinkat, [&] { return ::readlinkat(dirfd, path, buffer, length); }); }
int faccessat(int dirfd, const char* path, int mode, int flags) noexcept { return kernel_call(Call::faccessat, [&] { return ::faccessat(dirfd, path, mode, flags | AT_EACCESS); }); }

int mkdirat(int dirfd, const char* path, mode_t mode) noexcept { return kernel_call(Call::mkdirat, [&] { return ::mkdirat(dirfd, path, mode); }); }
int unlinkat(int dirfd, const char* path, int flags) noexcept { return kernel_call(Call::unlinkat, [&] { return ::unlinkat(dirfd, path, flags); }); }
int renameat2(int old_dirfd, const char* old_path, int new_dirfd, const char* new_path, unsigned flags) noexcept { return kernel_call(Call::renameat2, [&] { return ::renameat2(old_dirfd, old_path, new_dirfd, new_path, flags); }); }
int linkat(int old_dirfd, const char* old_path, int new_dirfd, const char* new_path, int flags) noexcept { return kernel_call(Call::linkat, [&] { return ::linkat(old_dirfd, old_path, new_dirfd, new_path, flags); }); }
int symlinkat(const char* target, int dirfd, const char* path) noexcept { return kernel_call(Call::symlinkat, [&] { return ::symlinkat(target, dirfd, path); }); }
int mknodat(int dirfd, const char* path, mode_t mode, dev_t device) noexcept { return kernel_call(Call::mknodat, [&] { return ::mknodat(dirfd, path, mode, device); }); }

int fchmod(int fd, mode_t mode) noexcept { return kernel_call(Call::fchmod, [&] { return ::fchmod(fd, mode); }); }
int fchmodat(int dirfd, const char* path, mode_t mode) noexcept { return kernel_call(Call::fchmodat, [&] { return ::fchmodat(dirfd, path, mode, 0); }); }
int fchown(int fd, uid_t uid, gid_t gid) noexcept { return kernel_call(Call::fchown, [&] { return ::fchown(fd, uid, gid); }); }
int fchownat(int dirfd, const char* path, uid_t uid, gid_t gid, int flags) noexcept { return kernel_call(Call::fchownat, [&] { return ::fchownat(dirfd, path, uid, gid, flags); }); }
// The raw call: glibc's wrapper refuses a null path.
int utimensat(int dirfd, const char* path, const struct timespec times[2], int flags) noexcept { return kernel_call(Call::utimensat, [&] { return static_cast<int>(::syscall(SYS_utimensat, dirfd, path, times, flags)); }); }
ssize_t flistxattr(int fd, char* list, std::size_t size) noexcept { return kernel_call(Call::listxattr, [&] { return ::flistxattr(fd, list, size); }); }
ssize_t fgetxattr(int fd, const char* attribute, void* value, std::size_t size) noexcept { return kernel_call(Call::getxattr, [&] { return ::fgetxattr(fd, attribute, value, size); }); }
int fsetxattr(int fd, const char* attribute, const void* value, std::size_t size) noexcept { return kernel_call(Call::setxattr, [&] { return ::fsetxattr(fd, attribute, value, size, 0); }); }
int fremovexattr(int fd, const char* attribute) noexcept { return kernel_call(Call::removexattr, [&] { return ::fremovexattr(fd, attribute); }); }
ssize_t listxattr(const char* path, char* list, std::size_t size) noexcept { return kernel_call(Call::listxattr, [&] { return ::listxattr(path, list, size); }); }
ssize_t llistxattr(const char* path, char* list, std::size_t size) noexcept { return kernel_call(Call::listxattr, [&] { return ::llistxattr(path, list, size); }); }
ssize_t getxattr(const char* path, const char* attribute, void* value, std::size_t size) noexcept { return kernel_call(Call::getxattr, [&] { return ::getxattr(path, attribute, value, size); }); }
ssize_t lgetxattr(const char* path, const char* attribute, void* value, std::size_t size) noexcept { return kernel_call(Call::getxattr, [&] { return ::lgetxattr(path, attribute, value, size); }); }
ssize_t listxattrat(int dirfd, const char* path, unsigned flags, char* list, std::size_t size) noexcept { return kernel_call(Call::listxattrat, [&] { return static_cast<ssize_t>(::syscall(call_listxattrat, dirfd, path, flags, list, size)); }); }
ssize_t getxattrat(int dirfd, const char* path, unsigned flags, const char* attribute, void* value, std::size_t size) noexcept {
  XattrArguments arguments{reinterpret_cast<std::uint64_t>(value), static_cast<std::uint32_t>(size), 0};
  return kernel_call(Call::getxattrat, [&] { return static_cast<ssize_t>(::syscall(call_getxattrat, dirfd, path, flags, attribute, &arguments, sizeof arguments)); });
}
int setxattr(const char* path, const char* attribute, const void* value, std::size_t size) noexcept { return kernel_call(Call::setxattr, [&] { return ::setxattr(path, attribute, value, size, 0); }); }
int removexattr(const char* path, const char* attribute) noexcept { return kernel_call(Call::removexattr, [&] { return ::removexattr(path, attribute); }); }
int get_inode_flags(int fd, unsigned& flags) noexcept { return kernel_call(Call::get_inode_flags, [&] { return ::ioctl(fd, FS_IOC_GETFLAGS, &flags); }); }
int set_inode_flags(int fd, unsigned flags) noexcept { return kernel_call(Call::set_inode_flags, [&] { return ::ioctl(fd, FS_IOC_SETFLAGS, &flags); }); }

int ftruncate(int fd, off_t length) noexcept { return kernel_call(Call::ftruncate, [&] { return ::ftruncate(fd, length); }); }
int fallocate(int fd, int mode, off_t offset, off_t length) noexcept { return kernel_call(Call::fallocate, [&] { return ::fallocate(fd, mode, offset, length); }); }
// posix_fadvise returns the error instead of setting errno: the raw call has one convention for all.
int fadvise(int fd, off_t offset, off_t length, int advice) noexcept { return kernel_call(Call::fadvise, [&] { return static_cast<int>(::syscall(SYS_fadvise64, fd, offset, length, advice)); }); }
int fsync(int fd) noexcept { return kernel_call(Call::fsync, [&] { return ::fsync(fd); }); }
int fdatasync(int fd) noexcept { return kernel_call(Call::fdatasync, [&] { return ::fdatasync(fd); }); }
int syncfs(int fd) noexcept { return kernel_call(Call::syncfs, [&] { return ::syncfs(fd); }); }
int flock(int fd, int operation) noexcept { return kernel_call(Call::flock, [&] { return ::flock(fd, operation); }); }
int get_file_flags(int fd) noexcept { return kernel_call(Call::get_file_flags, [&] { return ::fcntl(fd, F_GETFL); }); }
int uname(struct utsname& out) noexcept { return kernel_call(Call::uname, [&] { return ::uname(&out); }); }
int fiemap(int fd, struct fiemap& map) noexcept { return kernel_call(Call::fiemap, [&] { return ::ioctl(fd, FS_IOC_FIEMAP, &map); }); }

std::intptr_t mmap(void* address, std::size_t length, int protection, int flags, int fd, off_t offset) noexcept { return kernel_call(Call::mmap, [&] { return reinterpret_cast<std::intptr_t>(::mmap(address, length, protection, flags, fd, offset)); }); }
int munmap(void* address, std::size_t length) noexcept { return kernel_call(Call::munmap, [&] { return ::munmap(address, length); }); }
int msync(void* address, std::size_t length, int flags) noexcept { return kernel_call(Call::msync, [&] { return ::msync(address, length, flags); }); }
int madvise(void* address, std::size_t length, int advice) noexcept { return kernel_call(Call::madvise, [&] { return ::madvise(address, length, advice); }); }
int mincore(void* address, std::size_t length, unsigned char* pages) noexcept { return kernel_call(Call::mincore, [&] { return ::mincore(address, length, pages); }); }
int mlock(const void* address, std::size_t length) noexcept { return kernel_call(Call::mlock, [&] { return ::mlock(address, length); }); }
int munlock(const void* address, std::size_t length) noexcept { return kernel_call(Call::munlock, [&] { return ::munlock(address, length); }); }
int membarrier(int command) noexcept { return kernel_call(Call::membarrier, [&] { return static_cast<int>(::syscall(SYS_membarrier, command, 0, 0)); }); }

int inotify_init(int flags) noexcept { return kernel_call(Call::inotify_init, [&] { return ::inotify_init1(flags | IN_CLOEXEC); }); }
int inotify_add_watch(int fd, const char* path, std::uint32_t events) noexcept { return kernel_call(Call::inotify_add_watch, [&] { return ::inotify_add_watch(fd, path, events); }); }
int poll(pollfd* fds, unsigned count, int timeout_ms) noexcept { return kernel_call(Call::poll, [&] { return ::poll(fds, count, timeout_ms); }); }
int eventfd(unsigned value, int flags) noexcept { return kernel_call(Call::eventfd, [&] { return ::eventfd(value, flags | EFD_CLOEXEC); }); }
int set_signal_action(int signal, const struct sigaction* action, struct sigaction* old) noexcept { return kernel_call(Call::set_signal_action, [&] { return ::sigaction(signal, action, old); }); }

int get_descriptor_limit(rlimit& out) noexcept { return kernel_call(Call::get_descriptor_limit, [&] { return ::getrlimit(RLIMIT_NOFILE, &out); }); }
int unshare_files() noexcept { return kernel_call(Call::unshare_files, [&] { return ::unshare(CLONE_FILES); }); }
int io_uring_setup(unsigned entries, io_uring_params& parameters) noexcept {
#ifdef FERRY_SYS_FAULTS
  parameters.flags = testing::altered_ring_flags(parameters.flags);
#endif
  return kernel_call(Call::io_uring_setup, [&] { return static_cast<int>(::syscall(SYS_io_uring_setup, entries, &parameters)); });
}
int io_uring_enter(int ring, unsigned submit, unsigned wait_for, unsigned flags, const void* argument, std::size_t argument_bytes) noexcept { return kernel_call(Call::io_uring_enter, [&] { return static_cast<int>(::syscall(SYS_io_uring_enter, ring, submit, wait_for, flags, argument, argument_bytes)); }); }
int io_uring_register(int ring, unsigned opcode, const void* argument, unsigned count) noexcept { return kernel_call(Call::io_uring_register, [&] { return static_cast<int>(::syscall(SYS_io_uring_register, ring, opcode, argument, count)); }); }
#ifdef FERRY_SYS_FAULTS
void submitting(int ring, io_uring_sqe& submission) noexcept { testing::alter_submission(ring, submission); }
int result_of(int ring, const io_uring_cqe& completion) noexcept { return testing::altered_result(ring, completion); }
#else
void submitting([[maybe_unused]] int ring, [[maybe_unused]] io_uring_sqe& submission) noexcept {}
int result_of([[maybe_unused]] int ring, const io_uring_cqe& completion) noexcept { return completion.res; }
#endif

int map_memory(std::size_t bytes, int flags, void*& out) noexcept { return kernel_call(Call::map_memory, [&] { out = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0); return out == MAP_FAILED ? -1 : 0; }); }
void unmap_memory(void* memory, std::size_t bytes) noexcept { (void)::munmap(memory, bytes); }
int advise_memory(void* memory, std::size_t bytes, int advice) noexcept { return kernel_call(Call::advise_memory, [&] { return ::madvise(memory, bytes, advice); }); }
int epoll_create() noexcept { return kernel_call(Call::epoll_create, [&] { return ::epoll_create1(EPOLL_CLOEXEC); }); }
int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept { return kernel_call(Call::epoll_ctl, [&] { return ::epoll_ctl(epoll, operation, fd, event); }); }
int epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms) noexcept { return kernel_call(Call::epoll_wait, [&] { return ::epoll_wait(epoll, events, count, timeout_ms); }); }
// clang-format on

// Not retried: on Linux the descriptor is gone even when close says EINTR (close(2)).
int close(int fd) noexcept {
#ifdef FERRY_SYS_FAULTS
  const int result = testing::with_fault(Call::close, [&] { return ::close(fd); });
#else
  const int result = ::close(fd);
#endif
  return result < 0 && errno != EINTR ? -errno : 0;
}

}  // namespace ferry::sys
