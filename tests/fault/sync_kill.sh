#!/usr/bin/env bash
# sync_kill.sh [KIND]: SIGKILL at random moments while `ferry sync --delete` makes an old tree new, on a file system of this
# kind: afterwards every name holds its old or its new content in full; the next run finishes the job, and leaves no temporary
# names and nothing that was to be deleted.
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
files=240
kills=$(by_form 16 200)
(($# == 0)) || on_fs "$1"
RANDOM=1

target=$SCRATCH/target
for version in 1 2; do
  versioned_tree make "$SCRATCH/version$version" "$version" "$files" || exit 2
  # A group of hard links, and a symlink.
  ln "$SCRATCH/version$version/d0/file0" "$SCRATCH/version$version/d1/second name"
  ln -s "version $version" "$SCRATCH/version$version/d2/symlink"
  # Of equal size and time otherwise, for a quick check.
  find "$SCRATCH/version$version" -depth -exec touch -hd "2020-01-0$version" {} +
done
fill_target() {
  rm -rf "$target"
  [[ $1 == none ]] && return
  cp -aT "$SCRATCH/version$1" "$target"
  mkdir -p "$target/gone/deep" && echo x | tee "$target/gone/deep/file" "$target/d1/gone.txt" >"$target/gone/file"
}

# How long one run takes, so that the kills fall everywhere within it.
fill_target 1
started=$(date +%s%N)
"$FERRY" sync -aH --delete "$SCRATCH/version2/" "$target" || { fail "the undisturbed run failed"; finish; }
duration_us=$((($(date +%s%N) - started) / 1000))
say "a run takes $duration_us us; $kills kills"

killed=0
in_the_middle=0
forms=("-aH --delete" "-a --delete-before --jobs=1" "-rl --delete-after --copy-method=read_write" "-aH --delete -b --backup-dir=../backups"
  "-aHc --delete --fsync")
for ((i = 0; i < kills; i++)); do
  old=$((i % 3))
  ((old == 0)) && old=none
  new=$([[ $old == 2 ]] && echo 1 || echo 2)
  read -ra words <<<"${forms[i % ${#forms[@]}]}"
  describe="kill $i (${words[*]}, over $old)"
  fill_target "$old"
  delay_us=$(((RANDOM * 32768 + RANDOM) % (duration_us * 12 / 10)))
  "$FERRY" sync "${words[@]}" "$SCRATCH/version$new/" "$target" 2>/dev/null &
  pid=$!
  sleep "$(printf '0.%06d' "$delay_us")"
  kill -KILL "$pid" 2>/dev/null
  { wait "$pid"; } 2>/dev/null
  (($? == 137)) && killed=$((killed + 1))

  if [[ -d $target ]]; then
    found=$(versioned_tree check "$target" "$old" "$new" "$files") || fail "$describe: $(head -n 5 <<<"$found")"
    [[ $found =~ new\ ([0-9]+)\ missing ]]
    ((BASH_REMATCH[1] > 0 && BASH_REMATCH[1] < files)) && in_the_middle=$((in_the_middle + 1))
  fi
  expect "$describe: the next run" "$FERRY" sync -aH --delete "$SCRATCH/version$new/" "$target"
  expect "$describe: after the next run the tree is not the source's" tree_compare "$SCRATCH/version$new" "$target"
  expect_no_temporaries "$target"
  [[ -z $("$FERRY" sync -aHi --delete "$SCRATCH/version$new/" "$target") ]] || fail "$describe: a third run finds something to do"
  rm -rf "$SCRATCH/backups"
  ((failures < 10)) || finish
done
say "$killed of $kills runs were killed before their end, $in_the_middle with part of the files done"
((in_the_middle > 0)) || fail "no kill fell between the first and the last file: the test showed nothing"
finish
