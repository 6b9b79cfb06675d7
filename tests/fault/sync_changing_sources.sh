#!/usr/bin/env bash
# Sources that change while they are synced: strace holds one system call for a second, and meanwhile the tree is changed.
# What vanished gives exit status 24, what changed 23; neither is called good, the job goes on, and nothing is deleted because
# of it. And what cannot be read keeps what the destination has of it.
# shellcheck disable=SC2317  # the changes are called by name
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
need strace
strace -f -o /dev/null true 2>/dev/null || skip "strace cannot trace here"
source=$SCRATCH/source
target=$SCRATCH/target

fill_source() {
  rm -rf "$source" "$target"
  mkdir -p "$source/directory" "$source/other"
  local name
  for name in vanishes replaced stays directory/inside other/file; do
    echo "content of $name" >"$source/$name"
  done
  head -c 16M /dev/urandom >"$source/large"
}

# sync_while CALL CHANGE OPTION...: runs ferry with the first CALL held for a second; CHANGE happens during it. CALL is any
# one, or, where `only` names a file, one on that file.
status=0
only=()
sync_while() {
  local call=$1 change=$2
  shift 2
  rm -f "$SCRATCH/trace"
  strace -f -qq "${only[@]}" -o "$SCRATCH/trace" -e "trace=$call" -e "inject=$call:delay_exit=1000000:when=1" \
    "$FERRY" sync -a --jobs=1 "$@" "$source/" "$target" >"$SCRATCH/lines" 2>"$SCRATCH/errors" &
  local tracer=$!
  # strace writes the call's line before it holds it.
  until [[ -s $SCRATCH/trace ]] || ! kill -0 "$tracer" 2>/dev/null; do
    sleep 0.01
  done
  "$change"
  wait "$tracer"
  status=$?
}
old_target() { cp -aT "$source" "$target" && touch -d 2001-01-01 "$target"/{vanishes,replaced,stays,other/file} && echo x >"$target/gone"; }

vanish_and_replace() {
  rm "$source/vanishes"
  echo "another file" >"$source/new" && mv "$source/new" "$source/replaced"
}
say "a file vanishes after the directory was read"
fill_source
old_target
# The first getdents64 is the destination's or the source's: both names are known from before.
sync_while getdents64 vanish_and_replace --delete-after
((status == 24 || status == 0)) || fail "a vanished file gives exit status $status instead of 24: $(cat "$SCRATCH/errors")"
if ((status == 24)); then
  grep -q "vanished.*source/vanishes" "$SCRATCH/errors" || fail "the vanished file is not named: $(cat "$SCRATCH/errors")"
fi
[[ $(cat "$target/replaced") == "another file" ]] || fail "the replaced file is not there as it is now"
same_files "$source/large" "$target/large" "$source/other/file" "$target/other/file" || fail "the job did not go on"
[[ ! -e $target/gone ]] || fail "a vanished file kept deletions from being made"
expect_no_temporaries "$target"

say "all files vanish between reading the directory and opening them"
fill_source
vanish_all() { rm "$source"/{vanishes,replaced,stays}; }
sync_while getdents64 vanish_all
((status == 24)) || fail "vanished files give exit status $status instead of 24: $(cat "$SCRATCH/errors")"
(($(grep -c "vanished" "$SCRATCH/errors") >= 3)) || fail "not each vanished file is told: $(cat "$SCRATCH/errors")"

rename_directory() { mv "$source/directory" "$source/elsewhere" && mv "$source/other" "$source/directory"; }
say "directories are renamed"
fill_source
sync_while getdents64 rename_directory
((status == 0 || status == 23 || status == 24)) || fail "renamed directories give exit status $status"
((status != 0)) || expect "renamed directories: success, but not the tree" tree_compare --ignore=directory_mtime "$source" "$target"
for file in "$target/directory/inside" "$target/directory/file" "$target/other/file"; do
  [[ ! -e $file || $(cat "$file") == "content of "* ]] || fail "a torn file: $file"
done
same_files "$source/large" "$target/large" || fail "the job did not go on"

become_other_types() {
  rm -r "$source/directory" && echo "a file now" >"$source/directory"
  rm "$source/replaced" && mkdir "$source/replaced" && echo inside >"$source/replaced/file"
  rm "$source/vanishes" && ln -s /etc/passwd "$source/vanishes"
}
say "types change after the directory was read"
fill_source
sync_while getdents64 become_other_types
((status == 0 || status == 23 || status == 24)) || fail "changed types give exit status $status"
((status != 0)) || expect "changed types: success, but not the tree" tree_compare --ignore=directory_mtime "$source" "$target"
cmp -s /etc/passwd "$target/vanishes" && [[ ! -L $target/vanishes ]] && fail "a symlink in a file's place was followed"
same_files "$source/large" "$target/large" "$source/stays" "$target/stays" || fail "the job did not go on"

shrink() { truncate -s 1M "$source/large"; }
grow() { head -c 1M /dev/urandom >>"$source/large"; }
rewrite() { printf 'new words' | dd of="$source/large" bs=1 conv=notrunc status=none; }
for way in "copy_file_range --copy-method=copy_file_range" "sendfile --copy-method=sendfile" \
  "copy_file_range --inplace --copy-method=copy_file_range" "pread64 --inplace --no-whole-file"; do
  read -ra words <<<"$way"
  for change in shrink grow rewrite; do
    say "the source: $change, during $way"
    fill_source
    mv "$source"/{vanishes,replaced,stays} "$source/directory" # so that the large file is the first
    [[ $way != *inplace* ]] || { mkdir "$target" && head -c 16M /dev/zero >"$target/large" && touch -d 2001-01-01 "$target/large"; }
    [[ $way != pread64* ]] || only=(-P "$source/large") # the dynamic loader makes such calls, too
    sync_while "${words[0]}" "$change" "${words[@]:1}"
    only=()
    ((status == 23)) || fail "$change during $way: exit status $status instead of 23"
    grep -q "source/large" "$SCRATCH/errors" || fail "$change during $way: the file is not named: $(cat "$SCRATCH/errors")"
    same_files "$source/directory/stays" "$target/directory/stays" "$source/other/file" "$target/other/file" ||
      fail "$change during $way: the job did not go on"
    expect_no_temporaries "$target"
    # The next run sees that it is not what the source has.
    expect "$change during $way: the next run" "$FERRY" sync -a "$source/" "$target"
    same_files "$source/large" "$target/large" || fail "$change during $way: called good by the next run"
  done
done

say "what cannot be read is not deleted"
if [[ $(id -u) == 0 ]]; then
  install -d -o 65534 "$SCRATCH/mine" "$SCRATCH/mine/source" "$SCRATCH/mine/source/closed" "$SCRATCH/mine/target" "$SCRATCH/mine/target/closed"
  for mode in delete delete-before delete-after delete-delay; do
    echo precious | tee "$SCRATCH/mine/target/precious" >"$SCRATCH/mine/target/closed/precious"
    chown 65534 "$SCRATCH"/mine/target/{precious,closed/precious} && chmod 000 "$SCRATCH/mine/source/closed"
    setpriv --reuid=65534 --regid=65534 --clear-groups "$FERRY" sync -r "--$mode" "$SCRATCH/mine/source/" "$SCRATCH/mine/target" 2>"$SCRATCH/errors"
    status=$?
    ((status == 23)) || fail "--$mode with a closed directory: exit status $status: $(cat "$SCRATCH/errors")"
    [[ -e $SCRATCH/mine/target/closed/precious ]] || fail "--$mode deleted in what could not be read"
    [[ $mode != delete-[bad]* || $mode == delete-before ]] || [[ -e $SCRATCH/mine/target/precious ]] || fail "--$mode deleted after a read error"
  done
fi
finish
