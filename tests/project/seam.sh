#!/usr/bin/env bash
# The engine's rooms make no system call but through src/base/sys.hpp: a call around the seam is a call whose failure
# no test can bring about. And the copy engine maps no files. An optional argument is the project root to check.
set -euo pipefail
root=${1:-$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)}

# Qualified calls (::open) and the unqualified forms that nothing else is called.
calls='open|openat|openat2|creat|close|read|write|pread|pwrite|readv|writev|preadv2?|pwritev2?|lseek|copy_file_range|ioctl'
calls+='|splice|tee|vmsplice|sendfile|pipe2?|fcntl|statx?|fstat|lstat|fstatat|f?statfs|f?statvfs|getdents64|opendir'
calls+='|fdopendir|readdir|mkdir|mkdirat|unlink|unlinkat|rmdir|rename|renameat2?|link|linkat|symlink|symlinkat|readlink'
calls+='|readlinkat|mknod|mknodat|mkfifo|access|faccessat|f?chmod|fchmodat|[lf]?chown|fchownat|utimensat|futimens|dup[23]?'
calls+='|[lf]?(list|get|set|remove)xattr|f?truncate|posix_fallocate|fallocate|posix_fadvise|fsync|fdatasync|syncfs|sync'
calls+='|getrlimit|setrlimit|prlimit|unshare|syscall|mmap|munmap|mremap|msync|madvise|mincore|mlock|munlock|membarrier'
calls+='|sched_getaffinity|sysconf|uname|sysinfo|inotify_init1?|inotify_add_watch|sigaction|signal'
calls+='|eventfd|epoll_create1?|epoll_ctl|epoll_p?wait2?|p?poll'
unqualified='syscall|copy_file_range|openat2?|fstatat|unlinkat|renameat2?|linkat|symlinkat|readlinkat|mknodat|mkdirat|ioctl'
unqualified+='|fsetxattr|fgetxattr|flistxattr|utimensat|futimens|posix_fadvise|fallocate|ftruncate|fdatasync'
unqualified+='|io_uring_(setup|enter2?|register[a-z_]*|unregister[a-z_]*|submit[a-z_]*|queue_init[a-z_]*|wait_cqes?[a-z_]*)'

status=0
for room in base ring copy meta tree sync mpi map fuse; do
  [[ -d $root/src/$room ]] || continue
  while read -r file; do
    [[ $file == "$root/src/base/sys.cpp" || $file == "$root/src/base/sys.hpp" ]] && continue
    # Comments and string literals name calls freely.
    if sed -E 's@"([^"\\]|\\.)*"@""@g; s@//.*@@' "$file" |
      grep -nE "(^|[^A-Za-z0-9_>:.])(::($calls)|std::(fopen|ifstream|ofstream|fstream))[[:space:]]*[({]|(^|[^A-Za-z0-9_:.>])($unqualified)[[:space:]]*\(|std::[io]?fstream|std::filesystem::(copy|exists|status|symlink_status|remove|rename|create_directory|create_directories|file_size|canonical|weakly_canonical|absolute|current_path|equivalent|is_[a-z_]+|read_symlink|directory_iterator|recursive_directory_iterator|resize_file|permissions|space)\b" |
      sed "s@^@${file#"$root"/}:@"; then
      status=1
    fi
  done < <(find "$root/src/$room" -name '*.[ch]pp' | sort)
done
# The copy engine maps no files: a file that is truncated under a map is a SIGBUS.
for room in copy meta tree sync; do
  mapping=$(grep -rnE '\bsys::(mmap|munmap|msync|madvise)[[:space:]]*\(|ferry/map\.hpp' "$root/src/$room" 2>/dev/null || true)
  if [[ -n $mapping ]]; then
    printf '%s\n' "${mapping//"$root/"/}"
    status=1
    echo "src/$room must not map files"
  fi
done
[[ $status -eq 0 ]] && echo "no system call goes around src/base/sys.hpp" || echo "use the sys:: functions instead"
exit $status
