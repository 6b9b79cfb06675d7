#!/usr/bin/env bash
# tree_compare and versioned_tree judge the other scenarios: each single difference must be seen.
# shellcheck disable=SC2016,SC2317  # small programs for another shell, functions called by name
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
need_root "devices and owners"
need setfattr setfacl

original=$SCRATCH/original
copy=$SCRATCH/copy
tree_generator 3 "$original" --past-path-max || exit 2
cp -aT "$original/sparse" "$copy" && expect "a copy by cp" tree_compare "$original/sparse" "$copy"
rm -rf "$copy"

mkdir -p "$SCRATCH/plain/directory" && cd "$SCRATCH/plain" || exit 2
head -c 3M /dev/urandom >file
truncate -s 2M sparse
ln file directory/link
ln -s target symlink
mknod device c 1 3
setfattr -n user.key -v value file
setfacl -m u:1001:r directory

# sees NAME COMMAND...: after the command changed the copy, the judge must object.
sees() {
  local name=$1
  shift
  rm -rf "$copy"
  cp -aT "$SCRATCH/plain" "$copy"
  (cd "$copy" && "$@") || fail "cannot make the difference: $name"
  tree_compare "$SCRATCH/plain" "$copy" >"$SCRATCH/output" && fail "not seen: $name"
  (($(wc -l <"$SCRATCH/output") <= 4)) || fail "more differences than made: $name: $(cat "$SCRATCH/output")"
}
keeping_times() { # COMMAND...
  cp -a --attributes-only --no-preserve=links file ../reference
  "$@"
  touch -hr ../reference file
}
sees "one byte" keeping_times sh -c 'printf x | dd of=file bs=1 seek=2500000 conv=notrunc status=none'
sees "a byte more" keeping_times sh -c 'printf x >>file'
sees "a hole filled with zeros" sh -c 'touch -r sparse ../when; dd if=/dev/zero of=sparse bs=1M count=2 conv=notrunc status=none; touch -r ../when sparse'
sees "mode" chmod u+s file
sees "owner" chown 12345 device
sees "group" chgrp -h 12345 symlink
sees "nanoseconds" touch -hd '@1500000000.000000001' symlink
sees "an attribute's value" setfattr -n user.key -v other file
sees "an attribute gone" setfattr -x user.key file
sees "an attribute more" setfattr -n user.other -v value directory
sees "an access list" setfacl -m u:1001:w directory
sees "a link broken" sh -c 'cp -a file new && mv new file; touch -r "$0" .' "$SCRATCH/plain"
sees "a link more" keeping_times sh -c 'rm device && ln sparse device && touch -r "$0" .' "$SCRATCH/plain"
sees "a symlink's target" sh -c 'touch -hr symlink ../when; ln -sfn sleeve symlink; touch -hr ../when symlink; touch -r "$0" .' "$SCRATCH/plain"
sees "a device number" sh -c 'touch -r device ../when; rm device; mknod device c 1 5; touch -r ../when device; touch -r "$0" .' "$SCRATCH/plain"
sees "a name missing" sh -c 'rm sparse; touch -r "$0" .' "$SCRATCH/plain"
sees "a name more" sh -c 'touch more; touch -r "$0" .' "$SCRATCH/plain"

versioned_tree make "$SCRATCH/versions" 1 30
expect "the version itself" versioned_tree check "$SCRATCH/versions" 2 1 30
truncate -s -1 "$SCRATCH/versions/d0/file0"
versioned_tree check "$SCRATCH/versions" 2 1 30 >/dev/null && fail "not seen: a file one byte short"
finish
