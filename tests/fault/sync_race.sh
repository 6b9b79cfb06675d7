#!/usr/bin/env bash
# Somebody swaps directories and files of the source, the destination, the backups and the other trees for symlinks that
# lead outside, while root syncs in every way: scanning, copying, attributes, deleting, backups, --link-dest. Nothing outside
# may be read (access times, kept strictly; content never arrives) or written (content, names, owner, mode and all times
# stay, ctime included); and nothing outside is deleted.
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
need_root "the danger is root's"
seconds=$(by_form 6 90)

# The whole of it in one tmpfs with strict access times.
mkdir "$SCRATCH/base"
mount -t tmpfs -o strictatime,mode=755 ferry-test "$SCRATCH/base" || skip "cannot mount tmpfs here"
mounts+=("$SCRATCH/base")
cd "$SCRATCH/base" || exit 2
mkdir source target backup basis outside swap pairs temporary
directories=5
files=9

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

# add_pair NAME_IN_TREE SYMLINK_TARGET: an exchange partner under swap/ that is a symlink.
partners=0
add_pair() {
  ln -s "$2" "swap/$partners"
  printf '%s\t%s\n' "$1" "swap/$partners" >>pairs/all
  partners=$((partners + 1))
}
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

# Access times only of files: looking at a directory changes its own.
state_outside() { find outside -printf '%p type %y mode %m owner %U:%G size %s links %n m %T@ c %C@\n' | sort; }
reads_outside() { find outside -type f -printf '%p %A@\n' | sort; }
content_outside() { find outside -type f -exec cat {} + | cksum; }
content_before=$(content_outside)
state_outside >pairs/state-before
reads_outside >pairs/reads-before

swapper "$seconds" pairs/all >pairs/log-1 2>&1 &
one=$!
swapper "$seconds" pairs/all >pairs/log-2 2>&1 &
other=$!
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
while kill -0 "$one" 2>/dev/null; do
  form=${forms[runs % ${#forms[@]}]}
  read -ra words <<<"$form"
  timeout 60 "$FERRY" sync "${words[@]}" source/ target >/dev/null 2>pairs/errors
  status=$?
  [[ $exit_statuses == *" $status "* ]] || { fail "ferry sync $form: exit status $status: $(head -n 2 pairs/errors)"; break; }
  ((runs % 5 == 4)) && timeout 60 "$FERRY" sync "${words[@]}" source/ "fresh$((runs % 3))" >/dev/null 2>pairs/errors
  # grep can be raced as well: the swappers rest meanwhile.
  kill -STOP "$one" "$other" 2>/dev/null
  found=$(grep -rIl SECRET-CANARY target backup fresh* swap temporary 2>/dev/null | head -n 3)
  # What was deleted, and what --remove-source-files took, is put back, in what is a directory at the moment.
  for ((d = 0; d < directories; d++)); do
    [[ -d target/d$d && ! -L target/d$d ]] && cp -rn --no-dereference "saved/target/d$d/gone" "saved/target/d$d/gone.txt" "target/d$d" 2>/dev/null
    for ((f = 0; f < files; f++)); do
      [[ -d source/d$d && ! -L source/d$d && ! -e source/d$d/f$f && ! -L source/d$d/f$f ]] && echo "ordinary $d $f" >"source/d$d/f$f"
    done
  done
  kill -CONT "$one" "$other" 2>/dev/null
  if [[ -n $found ]]; then
    echo "$found"
    fail "ferry sync $form copied what a symlink leads to"
    break
  fi
  runs=$((runs + 1))
done
kill "$one" "$other" 2>/dev/null
wait "$one" "$other" 2>/dev/null
say "$runs runs of ${#forms[@]} forms; $(cat pairs/log-1 pairs/log-2 | tr '\n' ' ')"
grep -q "swaps" pairs/log-1 || ((failures > 0)) || fail "the swapper ended early: $(cat pairs/log-1)"

reads_outside | diff pairs/reads-before - >pairs/diff ||
  fail "files outside were read: $(grep -c '^>' pairs/diff), such as $(grep -m 1 '^>' pairs/diff)"
state_outside | diff pairs/state-before - >pairs/diff || fail "something outside was changed: $(head -n 6 pairs/diff)"
[[ $(content_outside) == "$content_before" ]] || fail "content outside was changed"
((runs >= ${#forms[@]})) || ((failures > 0)) || fail "only $runs runs in $seconds s: the test showed little"
cd / && finish
