#!/usr/bin/env bash
# Somebody swaps directories and files of the source, the destination, the backups and the other trees for symlinks that
# lead outside, while root syncs in every way: scanning, copying, attributes, deleting, backups, --link-dest. Nothing outside
# may be read (access times, kept strictly; content never arrives) or written (content, names, owner, mode and all times
# stay, ctime included); and nothing outside is deleted.
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
# shellcheck source=../support/attack.sh
source "$(dirname "$0")/../support/attack.sh"
need_root "the danger is root's"
seconds=$(by_form 6 90)

attack_place source target backup basis temporary
directories=5
files=9

# extraneous DIRECTORY: what a sync with --delete removes.
extraneous() {
  local d
  for ((d = 0; d < directories; d++)); do
    mkdir -p "$1/d$d/gone/deep"
    echo "to be deleted" | tee "$1/d$d/gone/f0" "$1/d$d/gone/deep/f0" >"$1/d$d/gone.txt"
  done
}
fill source "ordinary"
fill basis "ordinary"
fill target "old"
extraneous target
fill backup "backup"
fill temporary "temporary"
fill outside/read "SECRET-CANARY" # source symlinks lead here
fill outside/write "victim"       # destination symlinks lead here
extraneous outside/write
mkdir saved && cp -a target saved/target

for ((d = 0; d < directories; d++)); do
  for tree in source basis; do
    add_pair "$tree/d$d" "$PWD/outside/read/d$d"
    add_pair "$tree/d$d/below" "../../outside/read/d$d/below"
    for ((f = 0; f < files; f += 4)); do
      add_pair "$tree/d$d/f$f" "$PWD/outside/read/d$d/f$f"
      add_pair "$tree/d$d/below/f$f" "../../../outside/read/d$d/below/f$f"
    done
  done
  for tree in target backup; do
    add_pair "$tree/d$d" "$PWD/outside/write/d$d"
    add_pair "$tree/d$d/below" "../../outside/write/d$d/below"
    add_pair "$tree/d$d/gone" "$PWD/outside/write/d$d/gone"
    for ((f = 0; f < files; f += 4)); do
      add_pair "$tree/d$d/f$f" "$PWD/outside/write/d$d/f$f"
      add_pair "$tree/d$d/below/f$f" "$PWD/outside/write/new name $d $f" # would be created
    done
  done
done

start_swappers "$seconds"
runs=0
forms=("-a --delete" "-aHAX --delete-before" "-a --delete-after -b --suffix=.old" "-aI --inplace" "-ac --jobs=4 --delete-delay"
  "-aI -b --backup-dir=../backup --delete" "-aI --link-dest=../basis" "-aI --copy-dest=../basis --force" "-aK --delete"
  "-aI --chmod=go-w --chown=1:2" "-aI --compare-dest=../basis --delete-excluded --exclude=gone.txt" "-aS --append"
  "-rlI --no-whole-file" "-aI --remove-source-files")
# Options that come later, once they are there.
for option in "--temp-dir=../temporary" "--delay-updates" "--partial-dir=.part" "--reflink-dest=../basis"; do
  mkdir -p empty && "$FERRY" sync -a "$option" empty/ probe 2>/dev/null && forms+=("-aI --delete $option")
done
exit_statuses=" 0 23 24 " # partial, vanished
while swapping; do
  form=${forms[runs % ${#forms[@]}]}
  read -ra words <<<"$form"
  timeout 60 "$FERRY" sync "${words[@]}" source/ target >/dev/null 2>pairs/errors
  status=$?
  [[ $exit_statuses == *" $status "* ]] || { fail "ferry sync $form: exit status $status: $(head -n 2 pairs/errors)"; break; }
  ((runs % 5 == 4)) && timeout 60 "$FERRY" sync "${words[@]}" source/ "fresh$((runs % 3))" >/dev/null 2>pairs/errors
  rest_swappers
  found=$(arrived_from_outside target backup fresh* swap temporary)
  # What was deleted, and what --remove-source-files took, is put back, in what is a directory at the moment.
  for ((d = 0; d < directories; d++)); do
    [[ -d target/d$d && ! -L target/d$d ]] && cp -rn --no-dereference "saved/target/d$d/gone" "saved/target/d$d/gone.txt" "target/d$d" 2>/dev/null
    for ((f = 0; f < files; f++)); do
      [[ -d source/d$d && ! -L source/d$d && ! -e source/d$d/f$f && ! -L source/d$d/f$f ]] && echo "ordinary $d $f" >"source/d$d/f$f"
    done
  done
  wake_swappers
  if [[ -n $found ]]; then
    echo "$found"
    fail "ferry sync $form copied what a symlink leads to"
    break
  fi
  runs=$((runs + 1))
done
stop_swappers "$runs runs of ${#forms[@]} forms"
expect_outside_untouched
((runs >= ${#forms[@]})) || ((failures > 0)) || fail "only $runs runs in $seconds s: the test showed little"
cd / && finish
