#!/usr/bin/env bash
# Peak memory of `ferry cp -a` of a tree of 1 000 000 entries (short form: 100 000), mostly empty files, a fifth of them in
# one flat directory: at most 64 MiB, because memory is bounded by the budget and not by the tree.
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
need_root "mounts a tmpfs of its own"
limit_kib=$((64 * 1024))
directories=$(by_form 80 800)
flat=$(by_form 20000 200000)

mount_fs tmpfs tree
mount -o remount,nr_inodes=0,size=90% "$SCRATCH/tree"
source=$SCRATCH/tree/source
mkdir -p "$source/flat"
(cd "$source/flat" && seq "$flat" | xargs touch)
for ((i = 0; i < directories; i++)); do
  mkdir "$source/$i" && (cd "$source/$i" && seq 999 | xargs touch)
done
say "$((flat + directories * 1000)) entries"

peak_of() { # NAME COMMAND...
  local name=$1
  shift
  expect "$name" peak_memory "$SCRATCH/peak" "$@" "$source" "$SCRATCH/tree/copy"
  echo "$name: $(cat "$SCRATCH/peak") KiB at most"
}
peak_of "cp -a" cp -a
rm -rf "$SCRATCH/tree/copy"
for jobs in "" --jobs=1 --jobs=8; do
  peak_of "ferry cp -a $jobs" "$FERRY" cp -a $jobs
  (($(cat "$SCRATCH/peak") <= limit_kib)) || fail "ferry cp -a $jobs took more than $limit_kib KiB"
  copied=$(find "$SCRATCH/tree/copy" | wc -l)
  ((copied == flat + directories * 1000 + 2)) || fail "ferry cp -a $jobs copied $copied entries"
  rm -rf "$SCRATCH/tree/copy"
done
finish
