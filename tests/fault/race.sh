#!/usr/bin/env bash
# Somebody swaps directories and files for symlinks that lead outside, in the source and in the destination, while root
# copies. Nothing outside may be read (its access times stay, on a file system that keeps them strictly; its content never
# arrives) and nothing outside may be written (content, names, owner, mode and all times stay, ctime included).
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
need_root "the danger is root's"
seconds=$(by_form 5 60)

# The whole of it in one tmpfs with strict access times.
mkdir "$SCRATCH/base"
mount -t tmpfs -o strictatime,mode=755 ferry-test "$SCRATCH/base" || skip "cannot mount tmpfs here"
mounts+=("$SCRATCH/base")
cd "$SCRATCH/base" || exit 2
mkdir source target outside swap pairs
directories=6
files=12

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
fill source "ordinary"
fill target "old"
fill outside/read "SECRET-CANARY"   # source symlinks lead here
fill outside/write "victim"         # destination symlinks lead here

# add_pair NAME_IN_TREE SYMLINK_TARGET: an exchange partner under swap/ that is a symlink.
partners=0
add_pair() {
  ln -s "$2" "swap/$partners"
  printf '%s\t%s\n' "$1" "swap/$partners" >>pairs/all
  partners=$((partners + 1))
}
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
forms=(-a -r "-a --jobs=4" "-r --remove-destination" "-a --inplace" "-a -f" "-r --keep-directory-symlink" "-r --method=read_write"
  "-a --method=uring")
while kill -0 "$one" 2>/dev/null; do
  form=${forms[runs % ${#forms[@]}]}
  read -ra words <<<"$form"
  timeout 60 "$FERRY" cp "${words[@]}" -T source target >/dev/null 2>pairs/errors
  status=$?
  ((status == 0 || status == 1)) || { fail "ferry cp $form: exit status $status: $(head -n 2 pairs/errors)"; break; }
  ((runs % 5 == 4)) && timeout 60 "$FERRY" cp "${words[@]}" -T source "fresh$((runs % 3))" >/dev/null 2>pairs/errors
  # grep can be raced as well: the swappers rest meanwhile.
  kill -STOP "$one" "$other" 2>/dev/null
  found=$(grep -rIl SECRET-CANARY target fresh* swap 2>/dev/null | head -n 3)
  kill -CONT "$one" "$other" 2>/dev/null
  if [[ -n $found ]]; then
    echo "$found"
    fail "ferry cp $form copied what a symlink of the source leads to"
    break
  fi
  runs=$((runs + 1))
done
kill "$one" "$other" 2>/dev/null
wait "$one" "$other" 2>/dev/null
say "$runs runs; $(cat pairs/log-1 pairs/log-2 | tr '\n' ' ')"
grep -q "swaps" pairs/log-1 || ((failures > 0)) || fail "the swapper ended early: $(cat pairs/log-1)"

reads_outside | diff pairs/reads-before - >pairs/diff ||
  fail "files outside were read: $(grep -c '^>' pairs/diff), such as $(grep -m 1 '^>' pairs/diff)"
state_outside | diff pairs/state-before - >pairs/diff || fail "something outside was changed: $(head -n 6 pairs/diff)"
[[ $(content_outside) == "$content_before" ]] || fail "content outside was changed"
((runs >= 5)) || ((failures > 0)) || fail "only $runs runs in $seconds s: the test showed little"
cd / && finish
