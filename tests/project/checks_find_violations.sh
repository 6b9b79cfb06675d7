#!/usr/bin/env bash
# The two checks beside this file find what they are for.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# expect_violation CHECK FILE CONTENT: a project that holds just this file is refused, and the file is named.
expect_violation() {
  local check=$1 file=$2 content=$3 output
  rm -rf "$scratch/project"
  mkdir -p "$scratch/project/include/ferry" "$scratch/project/src/base" "$(dirname "$scratch/project/$file")"
  echo '#pragma once' >"$scratch/project/include/ferry/base.hpp"
  "$here/$check" "$scratch/project" >/dev/null || { echo "$check refuses a clean project"; exit 1; }
  printf '%s\n' "$content" >"$scratch/project/$file"
  if output=$("$here/$check" "$scratch/project"); then
    echo "$check does not see '$content' in $file"
    exit 1
  fi
  grep -qF "$file" <<<"$output" || { echo "$check does not name $file: $output"; exit 1; }
}

expect_violation rooms.sh src/copy/a.cpp '#include <ferry/tree.hpp>'
expect_violation rooms.sh src/tree/a.cpp '#include "copy/method.hpp"'
expect_violation rooms.sh src/base/a.cpp '# include  "meta/x.hpp"  // why'
expect_violation rooms.sh include/ferry/copy.hpp '#include <ferry/meta.hpp>'
expect_violation rooms.sh src/extra/a.cpp 'int x;'
expect_violation rooms.sh node/src/a.cpp '#include "copy/mover.hpp"'
expect_violation seam.sh src/copy/a.cpp 'int x = ::open("a", 0);'
expect_violation seam.sh src/tree/a.cpp '  return ::fstat (fd, &status);'
expect_violation seam.sh src/meta/a.cpp 'long r = syscall(SYS_statx, 0);'
expect_violation seam.sh src/base/a.cpp 'std::ifstream in("/proc/meminfo");'
expect_violation seam.sh src/ring/a.cpp 'int n = io_uring_submit(&ring);'
expect_violation seam.sh src/ring/b.cpp '  return ::epoll_wait(fd, events, 8, -1);'
expect_violation seam.sh src/ring/a.cpp 'if (std::filesystem::exists(path)) {}'
expect_violation seam.sh src/copy/a.cpp 'auto address = sys::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);'
expect_violation seam.sh src/tree/a.cpp '#include <ferry/map.hpp>'
expect_violation seam.sh src/map/a.cpp 'int r = ::msync(address, size, MS_SYNC);'
