#!/usr/bin/env bash
# Somebody swaps directories and files for symlinks that lead outside, in the source and in the destination, while root
# copies. Nothing outside may be read (its access times stay, on a file system that keeps them strictly; its content never
# arrives) and nothing outside may be written (content, names, owner, mode and all times stay, ctime included).
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
# shellcheck source=../support/attack.sh
source "$(dirname "$0")/../support/attack.sh"
need_root "the danger is root's"
seconds=$(by_form 5 60)

attack_place source target
directories=6
files=12

fill source "ordinary"
fill target "old"
fill outside/read "SECRET-CANARY"   # source symlinks lead here
fill outside/write "victim"         # destination symlinks lead here

for ((d = 0; d < directories; d++)); do
  add_pair "source/d$d" "$PWD/outside/read/d$d"
  add_pair "source/d$d/below" "../../outside/read/d$d/below"
  add_pair "target/d$d" "$PWD/outside/write/d$d"
  add_pair "target/d$d/below" "../../outside/write/d$d/below"
  for ((f = 0; f < files; f += 3)); do
    add_pair "source/d$d/f$f" "$PWD/outside/read/d$d/f$f"
    add_pair "source/d$d/below/f$f" "../../../outside/read/d$d/below/f$f"
    add_pair "target/d$d/f$f" "$PWD/outside/write/d$d/f$f"
    add_pair "target/d$d/below/f$f" "$PWD/outside/write/new name $d $f" # would be created
  done
done

start_swappers "$seconds"
runs=0
forms=(-a -r "-a --jobs=4" "-r --remove-destination" "-a --inplace" "-a -f" "-r --keep-directory-symlink" "-r --method=read_write"
  "-a --method=uring")
while swapping; do
  form=${forms[runs % ${#forms[@]}]}
  read -ra words <<<"$form"
  timeout 60 "$FERRY" cp "${words[@]}" -T source target >/dev/null 2>pairs/errors
  status=$?
  ((status == 0 || status == 1)) || { fail "ferry cp $form: exit status $status: $(head -n 2 pairs/errors)"; break; }
  ((runs % 5 == 4)) && timeout 60 "$FERRY" cp "${words[@]}" -T source "fresh$((runs % 3))" >/dev/null 2>pairs/errors
  rest_swappers
  found=$(arrived_from_outside target fresh* swap)
  wake_swappers
  if [[ -n $found ]]; then
    echo "$found"
    fail "ferry cp $form copied what a symlink of the source leads to"
    break
  fi
  runs=$((runs + 1))
done
stop_swappers "$runs runs"
expect_outside_untouched
((runs >= 5)) || ((failures > 0)) || fail "only $runs runs in $seconds s: the test showed little"
cd / && finish
