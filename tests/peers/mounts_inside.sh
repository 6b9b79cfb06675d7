#!/usr/bin/env bash
# Trees with mounts and loops inside: -x stays on one file system, a directory mounted into itself is reported and not
# entered for ever, and so is a loop of followed symlinks.
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
need_root "mounts"
mount_fs tmpfs base
base=$SCRATCH/base
within() { timeout 60 "$@"; }

say "-x leaves a mounted directory empty"
mkdir -p "$base/source/mounted" "$base/source/ordinary"
echo content | tee "$base/source/file" "$base/source/ordinary/file" >/dev/null
mount_fs tmpfs base/source/mounted
chmod 2751 "$base/source/mounted"
echo hidden >"$base/source/mounted/file"
within cp -ax "$base/source" "$base/by-cp"
expect "ferry cp -ax" within "$FERRY" cp -ax "$base/source" "$base/by-ferry"
expect "-x: differs from cp -ax" tree_compare "$base/by-cp" "$base/by-ferry"
[[ ! -e $base/by-ferry/mounted/file ]] || fail "-x copied from another file system"
expect "ferry cp -a" within "$FERRY" cp -a "$base/source" "$base/with-mounts"
[[ $(cat "$base/with-mounts/mounted/file" 2>&1) == hidden ]] || fail "without -x the mounted directory is not copied"

say "a directory mounted into itself"
mkdir -p "$base/loop/a/b/again"
echo content | tee "$base/loop/file" "$base/loop/a/b/file" >/dev/null
mount --bind "$base/loop" "$base/loop/a/b/again"
mounts+=("$base/loop/a/b/again")
within "$FERRY" cp -a "$base/loop" "$base/loop-copy" 2>"$SCRATCH/errors"
status=$?
((status == 1)) || fail "a directory loop gives exit status $status instead of 1"
grep -q "loop/a/b/again" "$SCRATCH/errors" || fail "the directory loop is not named: $(head -n 3 "$SCRATCH/errors")"
same_files "$base/loop/file" "$base/loop-copy/file" "$base/loop/a/b/file" "$base/loop-copy/a/b/file" ||
  fail "the rest of the tree was not copied"

say "a loop of followed symlinks"
mkdir -p "$base/links/below"
echo content >"$base/links/below/file"
ln -s .. "$base/links/below/up"
within "$FERRY" cp -rL "$base/links" "$base/links-copy" 2>"$SCRATCH/errors"
status=$?
((status == 1)) || fail "a symlink loop gives exit status $status instead of 1"
grep -q "links/below/up" "$SCRATCH/errors" || fail "the symlink loop is not named: $(head -n 3 "$SCRATCH/errors")"
cmp "$base/links/below/file" "$base/links-copy/below/file" || fail "the rest of the tree was not copied"

say "a file system as the destination's subdirectory"
mkdir -p "$base/target/mounted"
mount_fs tmpfs base/target/mounted
echo old >"$base/target/mounted/file"
expect "ferry cp -aT over a mounted directory" within "$FERRY" cp -aT "$base/source" "$base/target"
[[ $(cat "$base/target/mounted/file") == hidden ]] || fail "the mounted destination directory was not merged into"
expect_no_temporaries "$base"

say "a mounted file as the destination"
echo old >"$base/old" && echo new >"$base/new" && touch "$base/place"
mount --bind "$base/old" "$base/place"
mounts+=("$base/place")
expect "ferry cp onto a mount point" within "$FERRY" cp "$base/new" "$base/place"
[[ $(cat "$base/old") == new ]] || fail "the file behind the mount point was not written"
finish
