#!/usr/bin/env bash
# kill.sh [KIND OPTION...]: SIGKILL at random moments while `ferry cp -a OPTION...`, on a file system of this kind, overwrites a tree or creates one: afterwards every name holds its old or
# its new content in full, and the next run that is left alone repairs everything and leaves no temporary names.
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
files=240
extra=("${@:2}")
kills=$(by_form $(($# > 0 ? 5 : 20)) 200)
(($# == 0)) || on_fs "$1"
RANDOM=1

target=$SCRATCH/target
for version in 1 2; do
  versioned_tree make "$SCRATCH/version$version" "$version" "$files" || exit 2
done
cp -aT "$SCRATCH/version1" "$target"

# How long one run takes, so that the kills fall everywhere within it.
started=$(date +%s%N)
"$FERRY" cp -aT "${extra[@]}" "$SCRATCH/version2" "$target" || { fail "the undisturbed run failed"; finish; }
duration_us=$((($(date +%s%N) - started) / 1000))
say "${extra[*]} a run takes $duration_us us; $kills kills over an old tree, $kills over none"

killed=0
in_the_middle=0
kill_one() { # SOURCE OPTION...
  local source=$1 delay_us pid
  shift
  delay_us=$(((RANDOM * 32768 + RANDOM) % (duration_us * 11 / 10)))
  "$FERRY" cp "$@" "${extra[@]}" -T "$source" "$target" 2>/dev/null &
  pid=$!
  sleep "$(printf '0.%06d' "$delay_us")"
  kill -KILL "$pid" 2>/dev/null
  { wait "$pid"; } 2>/dev/null
  (($? == 137)) && killed=$((killed + 1))
}

check_after() { # NAME OLD NEW
  local found
  if ! found=$(versioned_tree check "$target" "$2" "$3" "$files"); then
    fail "$1: $(head -n 5 <<<"$found")"
  fi
  [[ $found =~ new\ ([0-9]+)\ missing ]]
  ((BASH_REMATCH[1] > 0 && BASH_REMATCH[1] < files)) && in_the_middle=$((in_the_middle + 1))
}

repair() { # NAME SOURCE
  expect "$1: the next run" "$FERRY" cp -aT "$2" "$target"
  expect "$1: after the next run the tree is not the source's" tree_compare "$2" "$target"
  expect_no_temporaries "$target"
}

options=(-a "-a --jobs=1" -r "-a --method=read_write")
for ((i = 0; i < kills; i++)); do
  old=$((i % 2 == 0 ? 2 : 1))
  new=$((3 - old))
  form=${options[i / 2 % 4]}
  read -ra words <<<"$form"
  kill_one "$SCRATCH/version$new" "${words[@]}"
  check_after "kill $i ($form), overwriting" "$old" "$new"
  repair "kill $i ($form), overwriting" "$SCRATCH/version$new"
  ((failures < 10)) || finish
done
for ((i = 0; i < kills; i++)); do
  rm -rf "$target"
  form=${options[i % 4]}
  read -ra words <<<"$form"
  kill_one "$SCRATCH/version1" "${words[@]}"
  if [[ -d $target ]]; then
    check_after "kill $i ($form), creating" none 1
  fi
  repair "kill $i ($form), creating" "$SCRATCH/version1"
  ((failures < 10)) || finish
done
say "$killed of $((2 * kills)) runs were killed before their end, $in_the_middle with part of the files done"
((in_the_middle > 0)) || fail "no kill fell between the first and the last file: the test showed nothing"
finish
