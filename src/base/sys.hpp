// The syscall seam: every system call ferry makes goes through here and nowhere else.
//
// Each function returns what the kernel returns: a value >= 0, or -errno. EINTR is retried here (except by
// close, which must not be: close(2)). The library links definitions that are one line each; the test library
// (ferry_testing) compiles the same file with FERRY_SYS_FAULTS, so that each call first consults the fault
// plan in tests/support/fault_plan.hpp. That is how every error path has a test.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

struct file_clone_range;
struct pollfd;
struct sigaction;
struct open_how;
struct fiemap;
struct io_uring_params;
struct io_uring_sqe;
struct io_uring_cqe;
struct epoll_event;
struct iovec;
struct utsname;

namespace ferry::sys {

/// The calls of the seam, for fault plans, counters and messages. Order is irrelevant.
enum class Call : std::uint8_t {
  openat,
  openat2,
  close,
  read,
  write,
  pread,
  pwrite,
  preadv,
  pwritev,
  lseek,
  copy_file_range,
  ficlone,
  ficlonerange,
  splice,
  sendfile,
  pipe2,
  set_pipe_size,
  statx,
  statfs,
  getdents64,
  mkdirat,
  unlinkat,
  renameat2,
  linkat,
  symlinkat,
  readlinkat,
  mknodat,
  faccessat,
  fchmod,
  fchmodat,
  fchown,
  fchownat,
  utimensat,
  listxattr,
  getxattr,
  listxattrat,
  getxattrat,
  setxattr,
  removexattr,
  get_inode_flags,
  set_inode_flags,
  ftruncate,
  fallocate,
  fadvise,
  fsync,
  fdatasync,
  syncfs,
  fiemap,
  get_descriptor_limit,
  unshare_files,
  io_uring_setup,
  io_uring_enter,
  io_uring_register,
  io_uring_nop,
  io_uring_poll,
  io_uring_cancel,
  map_memory,
  advise_memory,
  eventfd,
  epoll_create,
  epoll_ctl,
  epoll_wait,
  poll,
  flock,
  get_file_flags,
  uname,
  mmap,
  munmap,
  msync,
  madvise,
  mincore,
  mlock,
  munlock,
  membarrier,
  inotify_init,
  inotify_add_watch,
  set_signal_action,
  count_,
};

/// The call's name as its man page spells it.
const char* name(Call call) noexcept;

// Opening and closing. O_CLOEXEC is always added.
int openat(int dirfd, const char* path, int flags, mode_t mode = 0) noexcept;
int openat2(int dirfd, const char* path, const open_how& how) noexcept;
int close(int fd) noexcept;

// Moving bytes. Short results are normal; 0 from a read is end of file.
ssize_t read(int fd, void* buffer, std::size_t length) noexcept;
ssize_t write(int fd, const void* buffer, std::size_t length) noexcept;
ssize_t pread(int fd, void* buffer, std::size_t length, off_t offset) noexcept;
ssize_t pwrite(int fd, const void* buffer, std::size_t length, off_t offset) noexcept;
ssize_t preadv(int fd, const iovec* vectors, int count, off_t offset) noexcept;
ssize_t pwritev(int fd, const iovec* vectors, int count, off_t offset) noexcept;
off_t lseek(int fd, off_t offset, int whence) noexcept;
ssize_t copy_file_range(int in, off_t* in_offset, int out, off_t* out_offset, std::size_t length) noexcept;
int ficlone(int out, int in) noexcept;
int ficlonerange(int out, const file_clone_range& range) noexcept;
ssize_t splice(int in, off_t* in_offset, int out, off_t* out_offset, std::size_t length, unsigned flags) noexcept;
ssize_t sendfile(int out, int in, off_t* in_offset, std::size_t length) noexcept;
int pipe2(int fds[2], int flags) noexcept;
/// poll(2) on one descriptor; returns the events that arrived, 0 after `timeout_ms` without any (-1: no limit).
int poll(int fd, short events, int timeout_ms) noexcept;
/// F_SETPIPE_SZ; returns the capacity set, in bytes.
int set_pipe_size(int fd, int bytes) noexcept;

// Looking.
int statx(int dirfd, const char* path, int flags, unsigned mask, struct statx& out) noexcept;
int fstatfs(int fd, struct statfs& out) noexcept;
/// Fills `buffer` with linux_dirent64 records; returns the bytes filled, 0 at the end.
ssize_t getdents64(int fd, void* buffer, std::size_t length) noexcept;
ssize_t readlinkat(int dirfd, const char* path, char* buffer, std::size_t length) noexcept;
/// Checks access with the effective ids (AT_EACCESS).
int faccessat(int dirfd, const char* path, int mode, int flags) noexcept;

// Names.
int mkdirat(int dirfd, const char* path, mode_t mode) noexcept;
int unlinkat(int dirfd, const char* path, int flags) noexcept;
int renameat2(int old_dirfd, const char* old_path, int new_dirfd, const char* new_path, unsigned flags) noexcept;
int linkat(int old_dirfd, const char* old_path, int new_dirfd, const char* new_path, int flags) noexcept;
int symlinkat(const char* target, int dirfd, const char* path) noexcept;
int mknodat(int dirfd, const char* path, mode_t mode, dev_t device) noexcept;

// Attributes.
int fchmod(int fd, mode_t mode) noexcept;
/// Follows symlinks (there is no flag for it before Linux 6.6): only for /proc/self/fd magic links.
int fchmodat(int dirfd, const char* path, mode_t mode) noexcept;
int fchown(int fd, uid_t uid, gid_t gid) noexcept;
int fchownat(int dirfd, const char* path, uid_t uid, gid_t gid, int flags) noexcept;
/// `path` may be null: then `dirfd` itself is the file (futimens).
int utimensat(int dirfd, const char* path, const struct timespec times[2], int flags) noexcept;
// Extended attributes by descriptor, and by path (following: only for /proc/self/fd magic links).
ssize_t flistxattr(int fd, char* list, std::size_t size) noexcept;
ssize_t fgetxattr(int fd, const char* attribute, void* value, std::size_t size) noexcept;
int fsetxattr(int fd, const char* attribute, const void* value, std::size_t size) noexcept;
int fremovexattr(int fd, const char* attribute) noexcept;
ssize_t listxattr(const char* path, char* list, std::size_t size) noexcept;
/// Does not follow a symlink in the last component.
ssize_t llistxattr(const char* path, char* list, std::size_t size) noexcept;
ssize_t getxattr(const char* path, const char* attribute, void* value, std::size_t size) noexcept;
/// Does not follow a symlink in the last component.
ssize_t lgetxattr(const char* path, const char* attribute, void* value, std::size_t size) noexcept;
/// By a name in an open directory; `flags`: AT_SYMLINK_NOFOLLOW. Since Linux 6.13: ENOSYS before, EPERM in containers
/// whose seccomp filter does not know them.
ssize_t listxattrat(int dirfd, const char* path, unsigned flags, char* list, std::size_t size) noexcept;
ssize_t getxattrat(int dirfd, const char* path, unsigned flags, const char* attribute, void* value,
                   std::size_t size) noexcept;
int setxattr(const char* path, const char* attribute, const void* value, std::size_t size) noexcept;
int removexattr(const char* path, const char* attribute) noexcept;
/// FS_IOC_GETFLAGS / FS_IOC_SETFLAGS (ioctl_iflags(2)).
int get_inode_flags(int fd, unsigned& flags) noexcept;
int set_inode_flags(int fd, unsigned flags) noexcept;

// Space and durability.
int ftruncate(int fd, off_t length) noexcept;
int fallocate(int fd, int mode, off_t offset, off_t length) noexcept;
int fadvise(int fd, off_t offset, off_t length, int advice) noexcept;
int fsync(int fd) noexcept;
int fdatasync(int fd) noexcept;
int syncfs(int fd) noexcept;
/// flock(2); `operation` as there. EWOULDBLOCK with LOCK_NB when another open file holds the lock.
int flock(int fd, int operation) noexcept;
/// FS_IOC_FIEMAP; `map` has room for map.fm_extent_count extents.
int fiemap(int fd, struct fiemap& map) noexcept;

// Memory. For src/map only: the copy engine maps no files (tests/project/seam.sh).
/// The address, or -errno: user space ends far below the sign bit.
std::intptr_t mmap(void* address, std::size_t length, int protection, int flags, int fd, off_t offset) noexcept;
int munmap(void* address, std::size_t length) noexcept;
int msync(void* address, std::size_t length, int flags) noexcept;
int madvise(void* address, std::size_t length, int advice) noexcept;
int mincore(void* address, std::size_t length, unsigned char* pages) noexcept;
int mlock(const void* address, std::size_t length) noexcept;
int munlock(const void* address, std::size_t length) noexcept;
/// membarrier(2) with flags 0.
int membarrier(int command) noexcept;

// Watching.
/// IN_CLOEXEC is always added.
int inotify_init(int flags) noexcept;
int inotify_add_watch(int fd, const char* path, std::uint32_t events) noexcept;

// The process.
/// sigaction(2); async-signal-safe.
int set_signal_action(int signal, const struct sigaction* action, struct sigaction* old) noexcept;
/// F_GETFL: access mode and status flags of an open file.
int get_file_flags(int fd) noexcept;
int uname(struct utsname& out) noexcept;
int get_descriptor_limit(rlimit& out) noexcept;
/// unshare(CLONE_FILES): gives the calling thread its own copy of the descriptor table.
int unshare_files() noexcept;
/// Anonymous private memory of `bytes` (a multiple of the page); `flags` besides MAP_PRIVATE | MAP_ANONYMOUS.
int map_memory(std::size_t bytes, int flags, void*& out) noexcept;
void unmap_memory(void* memory, std::size_t bytes) noexcept;
int advise_memory(void* memory, std::size_t bytes, int advice) noexcept;

// Waiting.
/// EFD_CLOEXEC is always added.
int eventfd(unsigned value, int flags) noexcept;
int poll(pollfd* fds, unsigned count, int timeout_ms) noexcept;
int epoll_create() noexcept;
int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept;
int epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms) noexcept;

// io_uring. The queues are shared memory: what goes into and comes out of them passes through the two functions below
// the calls. They do nothing in the library; the test build's let a fault plan refuse, answer or shorten a submission
// as it does the system call that the submission stands for (a READ_FIXED is a pread).
int io_uring_setup(unsigned entries, io_uring_params& parameters) noexcept;
int io_uring_enter(int ring, unsigned submit, unsigned wait_for, unsigned flags, const void* argument,
                   std::size_t argument_bytes) noexcept;
int io_uring_register(int ring, unsigned opcode, const void* argument, unsigned count) noexcept;
/// For each submission, complete, before the kernel may see it.
void submitting(int ring, io_uring_sqe& submission) noexcept;
/// The result of a completion.
int result_of(int ring, const io_uring_cqe& completion) noexcept;

}  // namespace ferry::sys
