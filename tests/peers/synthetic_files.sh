#!/usr/bin/env bash
# Files whose size is not known before they are read: what `cat` reads is what must arrive. cp and copy_file_range(2)
# see zero bytes in many of them.
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"

sleep 1000 &
sleeper=$!
trap 'kill $sleeper; clean_up' EXIT

files=(/proc/cpuinfo /proc/version /proc/filesystems /proc/cmdline "/proc/$sleeper/maps" "/proc/$sleeper/environ"
  /sys/kernel/mm/transparent_hugepage/enabled /sys/devices/system/cpu/online /sys/kernel/notes)
[[ -r /proc/config.gz ]] && files+=(/proc/config.gz)
# Megabytes, and stable as long as no module is loaded.
[[ $(id -u) == 0 && -r /proc/kallsyms ]] && files+=(/proc/kallsyms)

check_copies() { # OPTION...
  local file
  for file in "${files[@]}"; do
    [[ -r $file ]] || { echo "not here: $file"; continue; }
    rm -f "$SCRATCH/copy" "$SCRATCH/expected"
    cat "$file" >"$SCRATCH/expected"
    expect "ferry cp $* $file" "$FERRY" cp "$@" "$file" "$SCRATCH/copy" || continue
    cmp "$SCRATCH/expected" "$SCRATCH/copy" || fail "$file is not copied in full by ferry cp $*"
  done
}

say "the default choice"
check_copies
say "-a"
check_copies -a
for method in copy_file_range sendfile splice uring read_write; do
  # A method that cannot copy such a file may say so; what it may not do is to succeed with less.
  for file in "${files[@]}"; do
    [[ -r $file ]] || continue
    rm -f "$SCRATCH/copy"
    if "$FERRY" cp "--method=$method" "$file" "$SCRATCH/copy" 2>"$SCRATCH/errors"; then
      cat "$file" >"$SCRATCH/expected"
      cmp "$SCRATCH/expected" "$SCRATCH/copy" || fail "--method=$method says success for a part of $file"
    else
      grep -qF -e "$file" -e "$SCRATCH/copy" "$SCRATCH/errors" || fail "--method=$method fails without naming $file"
      [[ ! -e $SCRATCH/copy ]] || fail "--method=$method failed and left a part of $file"
    fi
  done
done

say "a whole directory"
expect "ferry cp -r /sys/kernel/mm/transparent_hugepage" "$FERRY" cp -r /sys/kernel/mm/transparent_hugepage "$SCRATCH/thp"
for file in /sys/kernel/mm/transparent_hugepage/*; do
  [[ -f $file ]] || continue
  cmp "$file" "$SCRATCH/thp/${file##*/}" || fail "$file was not copied in full with its directory"
done
finish
