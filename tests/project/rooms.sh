#!/usr/bin/env bash
# Rooms include downwards only (docs/ARCHITECTURE.md), and a room's private headers stay in its folder: others see
# include/ferry/ROOM.hpp. Only src/base is open to all, tree to sync and mpi, and bench to cli. An optional argument is the project root to check.
set -euo pipefail
root=${1:-$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)}

# What each room may include, itself apart.
declare -A below=(
  [base]=""
  [ring]="base"
  [copy]="base ring"
  [meta]="base ring copy"
  [tree]="base ring copy meta"
  [sync]="base ring copy meta tree"
  [mpi]="base copy meta tree"
  [map]="base ring copy meta"
  [fuse]="base ring copy meta"
  [bench]="base ring copy meta tree sync map fuse"
  [cli]="base ring copy meta tree sync mpi map fuse bench"
)
# Public headers that are not called after their room.
declare -A room_of=([loop]=ring [task]=ring)
violations=0
complain() {
  printf '%s\n' "$*"
  violations=$((violations + 1))
}

# check FILE ROOM: every #include of FILE that names a room.
check() {
  local file=$1 room=$2 line target
  while read -r line; do
    case $line in
      '<ferry/'*) target=${line#<ferry/}; target=${target%.hpp*}; target=${room_of[$target]-$target} ;;
      '"'*/*)
        target=${line#\"}; target=${target%%/*}
        if [[ $target != "$room" && $target != base && ! ( $room == cli && ( $target == bench || ${line#\"} == mpi/module/interface.hpp* ) ) &&
            ! ( ( $room == sync || $room == mpi ) && $target == tree ) ]]; then
          complain "${file#"$root"/}: $line is private to src/$target; include <ferry/$target.hpp>"
        fi ;;
      *) continue ;;
    esac
    [[ -v below[$target] ]] || { complain "${file#"$root"/}: $line belongs to no room"; continue; }
    [[ $target == "$room" || " ${below[$room]} " == *" $target "* ]] ||
      complain "${file#"$root"/}: room $room must not include $line: $target is not below it"
  done < <(sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*([<"][^>"]+[>"]).*/\1/p' "$file" |
    grep -vF '"support/fault_plan.hpp"')  # the seam's own hook, compiled into the test library only
}

files=0
while read -r file; do
  room=${file#"$root"/src/}; room=${room%%/*}
  [[ -v below[$room] ]] || { complain "${file#"$root"/}: src/$room is no room of docs/ARCHITECTURE.md"; continue; }
  check "$file" "$room"
  files=$((files + 1))
done < <(find "$root/src" -name '*.[ch]pp' | sort)
while read -r file; do
  room=$(basename "$file" .hpp); room=${room_of[$room]-$room}
  check "$file" "$room"
  files=$((files + 1))
done < <(find "$root/include/ferry" -name '*.hpp' | sort)

# The Node.js package stands on the public headers alone.
while read -r file; do
  if grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"[^"]*/' "$file"; then
    complain "${file#"$root"/}: node/ sees include/ferry alone"
  fi
  files=$((files + 1))
done < <([[ ! -d $root/node/src ]] || find "$root/node/src" -name '*.[ch]pp' | sort)

[[ $files -gt 0 ]] || complain "no source files found below $root"
echo "$files files checked, $violations violations"
[[ $violations -eq 0 ]]
