#!/usr/bin/env bash
# Peak memory of `ferry sync`: a directory's subdirectories wait in bounded number, so 20 000 of them take little more than
# 200. (What is remembered of each is its name; were all of them to wait, it would be half a kilobyte each.)
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
limit_kib=4096

make_wide() { # NAME COUNT
  mkdir "$SCRATCH/$1"
  (cd "$SCRATCH/$1" && seq "$2" | xargs mkdir)
}
make_wide narrow 200
make_wide wide 20000

peak=0
peak_of() { # COMMAND...
  expect "${*##*/}" peak_memory "$SCRATCH/peak" "$@"
  peak=$(cat "$SCRATCH/peak")
}
for jobs in 1 4; do
  for pass in "first copy" "nothing changed"; do
    peak_of "$FERRY" sync -a "--jobs=$jobs" "$SCRATCH/narrow/" "$SCRATCH/narrow-$jobs"
    narrow=$peak
    peak_of "$FERRY" sync -a "--jobs=$jobs" "$SCRATCH/wide/" "$SCRATCH/wide-$jobs"
    echo "$pass, --jobs=$jobs: $narrow KiB for 200 directories, $peak KiB for 20 000"
    ((peak - narrow <= limit_kib)) || fail "$pass, --jobs=$jobs: 20 000 directories take $((peak - narrow)) KiB more than 200"
  done
  made=$(find "$SCRATCH/wide-$jobs" -mindepth 1 | wc -l)
  ((made == 20000)) || fail "$made directories were made of 20 000"
done
finish
