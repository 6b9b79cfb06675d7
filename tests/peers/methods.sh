#!/usr/bin/env bash
# methods.sh: `ferry cp -a --method=M` for every method: the copy is right, or the method is impossible here and the
# command says so, names the file, and leaves nothing half done.
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
need_root "mounts"

methods=(reflink copy_file_range splice sendfile uring read_write)

copies_right() { # NAME SOURCE TARGET METHOD
  expect "$1: ferry cp -a --method=$4" "$FERRY" cp -aT "--method=$4" "$2" "$3" &&
    expect "$1, $4: differs from the source" tree_compare "$2" "$3"
}

fails_clearly() { # NAME SOURCE TARGET METHOD
  local errors status
  mkdir "$3" && echo "old content" >"$3/1048579"
  errors=$("$FERRY" cp -aT "--method=$4" "$2" "$3" 2>&1 >/dev/null)
  status=$?
  ((status == 1)) || fail "$1, $4: exit status $status instead of 1"
  grep -q "1048579" <<<"$errors" || fail "$1, $4: the file is not named: $(head -n 3 <<<"$errors")"
  [[ $(cat "$3/1048579") == "old content" ]] || fail "$1, $4: the old destination is gone"
  expect_no_temporaries "$3"
}

check_pair() { # FROM TO IMPOSSIBLE_METHOD...
  local from=$1 to=$2 method name="$1 to $2"
  shift 2
  say "$name"
  mount_fs "$from" "$from-from"
  mount_fs "$to" "$to-to"
  tree_generator 5 "$SCRATCH/$from-from/source" || exit 2
  sync -f "$SCRATCH/$from-from"
  for method in "${methods[@]}"; do
    local target=$SCRATCH/$to-to/$method
    if [[ " $* " == *" $method "* ]]; then
      fails_clearly "$name" "$SCRATCH/$from-from/source/sizes" "$target" "$method"
    else
      copies_right "$name" "$SCRATCH/$from-from/source" "$target" "$method"
    fi
    rm -rf "$target"
  done
}

# Reflink needs one file system; copy_file_range between two different kinds has been EXDEV since Linux 5.19.
check_pair tmpfs ext4 reflink copy_file_range

say "xfs"
mount_fs xfs xfs
tree_generator 6 "$SCRATCH/xfs/source" || exit 2
for method in "${methods[@]}"; do
  copies_right "xfs to xfs" "$SCRATCH/xfs/source" "$SCRATCH/xfs/$method" "$method"
  rm -rf "$SCRATCH/xfs/$method"
done

say "past the page cache"
for source in "$SCRATCH/tmpfs-from/source" "$SCRATCH/xfs/source"; do
  for depth in 1 64; do
    expect "--direct" "$FERRY" cp -aT --direct "--queue-depth=$depth" --chunk-size=64K "$source" "$SCRATCH/xfs/direct" &&
      expect "--direct: differs from the source" tree_compare "$source" "$SCRATCH/xfs/direct"
    rm -rf "$SCRATCH/xfs/direct"
  done
done

say "an unknown method"
if "$FERRY" cp --method=teleport /etc/passwd "$SCRATCH/x" 2>"$SCRATCH/errors"; then
  fail "--method=teleport was accepted"
fi
grep -q teleport "$SCRATCH/errors" || fail "the unknown method is not named"
[[ ! -e $SCRATCH/x ]] || fail "--method=teleport made a file"
finish
