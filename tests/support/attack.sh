# Somebody who swaps names of a tree for symlinks that lead outside, while root works on it: what the attacks on `ferry cp`
# and on `ferry sync` have in common. Sourced after scenario.sh; the tree is made in the working directory, with
# $directories directories of $files files, and what must not be touched in outside/.
# shellcheck shell=bash
# shellcheck disable=SC2154  # directories and files are the script's, failures is of scenario.sh

# attack_place DIRECTORY...: a tmpfs with strict access times as the working directory, with these in it.
attack_place() {
  mkdir "$SCRATCH/base"
  mount -t tmpfs -o strictatime,mode=755 ferry-test "$SCRATCH/base" || skip "cannot mount tmpfs here"
  mounts+=("$SCRATCH/base")
  cd "$SCRATCH/base" || exit 2
  mkdir outside swap pairs "$@"
}

fill() { # DIRECTORY TEXT
  local d f
  for ((d = 0; d < directories; d++)); do
    mkdir -p "$1/d$d/below"
    for ((f = 0; f < files; f++)); do
      echo "$2 $d $f" >"$1/d$d/f$f"
      echo "$2 $d $f" >"$1/d$d/below/f$f"
    done
  done
}

# add_pair NAME_IN_TREE SYMLINK_TARGET: an exchange partner under swap/ that is a symlink.
partners=0
add_pair() {
  ln -s "$2" "swap/$partners"
  printf '%s\t%s\n' "$1" "swap/$partners" >>pairs/all
  partners=$((partners + 1))
}

# Access times only of files: looking at a directory changes its own.
state_outside() { find outside -printf '%p type %y mode %m owner %U:%G size %s links %n m %T@ c %C@\n' | sort; }
reads_outside() { find outside -type f -printf '%p %A@\n' | sort; }
content_outside() { find outside -type f -exec cat {} + | cksum; }

# start_swappers SECONDS: two that swap the pairs, from what is outside now.
swappers=()
start_swappers() {
  content_before=$(content_outside)
  state_outside >pairs/state-before
  reads_outside >pairs/reads-before
  swapper "$1" pairs/all >pairs/log-1 2>&1 &
  swappers=($!)
  swapper "$1" pairs/all >pairs/log-2 2>&1 &
  swappers+=($!)
}
swapping() { kill -0 "${swappers[0]}" 2>/dev/null; }
# Looking at the tree can be raced as well: the swappers rest meanwhile.
rest_swappers() { kill -STOP "${swappers[@]}" 2>/dev/null; }
wake_swappers() { kill -CONT "${swappers[@]}" 2>/dev/null; }

# arrived_from_outside DIRECTORY...: files in these that have what only stands in outside/read.
arrived_from_outside() { grep -rIl SECRET-CANARY "$@" 2>/dev/null | head -n 3; }

# stop_swappers WHAT_RAN: and says how much was swapped meanwhile.
stop_swappers() {
  kill "${swappers[@]}" 2>/dev/null
  wait "${swappers[@]}" 2>/dev/null
  say "$1; $(cat pairs/log-1 pairs/log-2 | tr '\n' ' ')"
  grep -q "swaps" pairs/log-1 || ((failures > 0)) || fail "the swapper ended early: $(cat pairs/log-1)"
}

expect_outside_untouched() {
  reads_outside | diff pairs/reads-before - >pairs/diff ||
    fail "files outside were read: $(grep -c '^>' pairs/diff), such as $(grep -m 1 '^>' pairs/diff)"
  state_outside | diff pairs/state-before - >pairs/diff || fail "something outside was changed: $(head -n 6 pairs/diff)"
  [[ $(content_outside) == "$content_before" ]] || fail "content outside was changed"
}
