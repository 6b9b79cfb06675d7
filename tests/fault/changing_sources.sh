#!/usr/bin/env bash
# changing_sources.sh [KIND OPTION...]: sources that change while they are copied, by the methods of the kernel or, on a
# file system of this kind, by io_uring with these options. strace holds one system call for a second, and meanwhile the tree is
# changed: what exists is copied, what vanished or changed is reported, the exit status says so, and the job goes on.
# shellcheck disable=SC2317  # the changes are called by name
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
need strace
strace -f -o /dev/null true 2>/dev/null || skip "strace cannot trace here"
(($# == 0)) || on_fs "$1"
options=("${@:2}")
large=64M # more than the kernel is asked to copy at once
((${#options[@]} == 0)) || large=16M
source=$SCRATCH/source
target=$SCRATCH/target

fill_source() {
  rm -rf "$source" "$target"
  mkdir -p "$source/directory" "$source/other"
  local name
  for name in vanishes replaced stays directory/inside other/file; do
    echo "content of $name" >"$source/$name"
  done
  head -c "$large" /dev/urandom >"$source/large"
}

# copy_while CALL CHANGE OPTION...: runs ferry with the first CALL held for a second; CHANGE happens during it.
status=0
copy_while() {
  local call=$1 change=$2
  shift 2
  rm -f "$SCRATCH/trace"
  strace -f -qq -o "$SCRATCH/trace" -e "trace=$call" -e "inject=$call:delay_exit=1000000:when=1" \
    "$FERRY" cp -aT "${options[@]}" "$@" "$source" "$target" 2>"$SCRATCH/errors" &
  local tracer=$!
  # strace writes the call's line before it holds it.
  until [[ -s $SCRATCH/trace ]] || ! kill -0 "$tracer" 2>/dev/null; do
    sleep 0.01
  done
  "$change"
  wait "$tracer"
  status=$?
}

vanish_and_replace() {
  rm "$source/vanishes"
  echo "another file" >"$source/new" && mv "$source/new" "$source/replaced"
}
say "a file vanishes after the directory was read"
fill_source
copy_while getdents64 vanish_and_replace
((status == 1)) || fail "a vanished file gives exit status $status instead of 1"
grep -q "source/vanishes.*No such file" "$SCRATCH/errors" || fail "the vanished file is not named: $(cat "$SCRATCH/errors")"
[[ ! -e $target/vanishes ]] || fail "the vanished file was copied"
[[ $(cat "$target/replaced") == "another file" ]] || fail "the replaced file is not there as it is now"
same_files "$source/large" "$target/large" "$source/other/file" "$target/other/file" || fail "the job did not go on"

become_other_types() {
  rm -r "$source/directory" && echo "a file now" >"$source/directory"
  rm "$source/replaced" && mkdir "$source/replaced" && echo inside >"$source/replaced/file"
  rm "$source/vanishes" && ln -s /etc/passwd "$source/vanishes"
}
say "types change after the directory was read"
fill_source
copy_while getdents64 become_other_types
((status == 0 || status == 1)) || fail "changed types give exit status $status"
((status == 1)) || expect "changed types: success, but not the tree" tree_compare --ignore=directory_mtime "$source" "$target"
cmp -s /etc/passwd "$target/vanishes" && [[ ! -L $target/vanishes ]] && fail "a symlink in a file's place was followed"
same_files "$source/large" "$target/large" "$source/stays" "$target/stays" || fail "the job did not go on"

check_changed() { # NAME
  ((status == 1)) || fail "$1: exit status $status instead of 1"
  grep -q "source/large" "$SCRATCH/errors" || fail "$1: the file is not named: $(cat "$SCRATCH/errors")"
  same_files "$source/directory/stays" "$target/directory/stays" "$source/other/file" "$target/other/file" ||
    fail "$1: the job did not go on"
  expect_no_temporaries "$target"
}
shrink() { truncate -s 1M "$source/large"; }
grow() { head -c 1M /dev/urandom >>"$source/large"; }
rewrite() { printf 'new words' | dd of="$source/large" bs=1 conv=notrunc status=none; }
change_during() { # CALL OPTION...
  local change
  for change in shrink grow rewrite; do
    say "the source: $change, during $*"
    fill_source
    mv "$source"/{vanishes,replaced,stays} "$source/directory" # so that the large file is the first
    copy_while "$1" "$change" "${@:2}"
    check_changed "$change during $*"
  done
}
if ((${#options[@]} > 0)); then
  change_during io_uring_enter
  finish
fi
# tmpfs: within one file system these methods are used as asked.
for method in copy_file_range splice sendfile; do
  change_during "$method" "--method=$method"
done
change_during io_uring_enter --method=uring
finish
