#!/usr/bin/env bash
# How many system calls one more regular file costs: (calls for 2000 files - calls for 1000 files) / 1000, so that the
# start of the process does not count, nor do the calls that read the directory and those by which threads wait for each
# other, which depend on the machine's load. At most 10 with -a into a fresh destination; cp's number stands beside it.
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
need strace

make_files() { # DIR COUNT
  mkdir "$1"
  local i
  for ((i = 0; i < $2; i++)); do
    echo "content of file $i" >"$1/file$i"
  done
}
make_files "$SCRATCH/1000" 1000
make_files "$SCRATCH/2000" 2000

calls_of() { # COMMAND...
  strace -f -c -o "$SCRATCH/counts" "$@" || return 1
  awk '$NF == "getdents64" || $NF == "futex" { others += $4 } $NF == "total" { print $4 - others }' "$SCRATCH/counts"
}
strace -f -c -o /dev/null true 2>/dev/null || skip "strace cannot trace here"

per_file=0
measure() { # PROGRAM... : sets per_file, in thousandths
  local fewer more
  fewer=$(calls_of "$@" "$SCRATCH/1000" "$SCRATCH/copy-of-1000") || { fail "$* failed"; return 1; }
  more=$(calls_of "$@" "$SCRATCH/2000" "$SCRATCH/copy-of-2000") || { fail "$* failed"; return 1; }
  rm -rf "$SCRATCH/copy-of-1000" "$SCRATCH/copy-of-2000"
  per_file=$((more - fewer))
  printf '%-28s %d.%03d calls per file (%d of 1000 files, %d of 2000)\n' "${*##*/}" $((per_file / 1000)) \
    $((per_file % 1000)) "$fewer" "$more"
}

# A thousandth is one call in 1000 files: memory that the allocator asks for now and then is no call of the copy.
limit=10010
for option in -a -r; do
  measure cp $option
  by_cp=$per_file
  measure "$FERRY" cp $option || continue
  ((per_file <= limit)) || fail "ferry cp $option makes more than 10 system calls per file"
  ((per_file < by_cp)) || fail "ferry cp $option makes more system calls per file than cp"
  measure "$FERRY" cp $option --jobs=1 || continue
  ((per_file <= limit)) || fail "ferry cp $option --jobs=1 makes more than 10 system calls per file"
done
finish
