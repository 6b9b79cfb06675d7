#!/usr/bin/env bash
# `ferry cp -a` with little to work with: 32 descriptors, no lockable memory, a kernel without copy_file_range, no
# privileges. Slower at most; the copy is the same.
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
need_root "devices, owners and trusted attributes in the tree"

source=$SCRATCH/source
tree_generator 11 "$source" --past-path-max || exit 2

options=()
check_copy() { # NAME COMMAND...
  local name=$1
  shift
  say "$name"
  expect "$name: ferry cp -a" "$@" "$FERRY" cp -aT "${options[@]}" "$source" "$SCRATCH/copy"
  expect "$name: differs from the source" tree_compare "$source" "$SCRATCH/copy"
  expect "$name: ferry cp -a over the copy" "$@" "$FERRY" cp -aT "${options[@]}" "$source" "$SCRATCH/copy"
  expect "$name: differs from the source when copied again" tree_compare "$source" "$SCRATCH/copy"
  expect_no_temporaries "$SCRATCH/copy"
  rm -rf "$SCRATCH/copy"
}

check_copy "as it is, with names past PATH_MAX" env
check_copy "32 descriptors" prlimit --nofile=32:32
check_copy "no lockable memory" prlimit --memlock=0:0
check_copy "a stack of 1 MiB" prlimit --stack=1048576:1048576
options=("--method=uring,read_write")
check_copy "io_uring with 32 descriptors" prlimit --nofile=32:32
check_copy "io_uring without lockable memory" prlimit --memlock=0:0
options=()

if command -v strace >/dev/null && strace -f -o /dev/null true 2>/dev/null; then
  for error in $(by_form ENOSYS "ENOSYS EPERM EXDEV EINVAL"); do
    check_copy "copy_file_range says $error" strace -f -qq -o /dev/null -e trace=copy_file_range \
      -e "inject=copy_file_range:error=$error"
  done
  check_copy "copy_file_range says 0 bytes" strace -f -qq -o /dev/null -e trace=copy_file_range \
    -e inject=copy_file_range:retval=0
  check_copy "no openat2" strace -f -qq -o /dev/null -e trace=openat2 \
    -e inject=openat2:error=ENOSYS
  options=("--method=uring,read_write")
  check_copy "io_uring takes no buffers" strace -f -qq -o /dev/null -e trace=io_uring_register \
    -e inject=io_uring_register:error=ENOMEM
  check_copy "io_uring is forbidden" strace -f -qq -o /dev/null -e trace=io_uring_setup \
    -e inject=io_uring_setup:error=EPERM
  options=()
else
  echo "not run: refusals by strace (not installed or not allowed)"
fi

# ---------------------------------------------------------------- a user who may not read everything
say "user nobody"
command -v setpriv >/dev/null || skip "setpriv is not installed; the rest passed"
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
users=$SCRATCH/users
mkdir -p "$users/readable" "$users/closed" "$users/unlisted"
echo content | tee "$users/one" "$users/readable/two" "$users/closed/three" "$users/unlisted/four" \
  "$users/unreadable" "$users/readable/unreadable too" "$users/readable/"$'evil\n\e[31mname' >/dev/null
ln -s one "$users/link"
chown -R 65534:65534 "$users/readable"
chmod 000 "$users/unreadable" "$users/closed" "$users/readable/unreadable too" "$users/readable/"$'evil\n\e[31mname'
chmod 311 "$users/unlisted"
chown 0 "$users/readable/unreadable too" "$users/readable/"$'evil\n\e[31mname'
mkdir -m 777 "$SCRATCH/by-nobody"
as_nobody cp -a "$users" "$SCRATCH/by-nobody/by-cp" 2>"$SCRATCH/cp-errors"
as_nobody "$FERRY" cp -a "$users" "$SCRATCH/by-nobody/by-ferry" 2>"$SCRATCH/errors"
status=$?
((status == 1)) || fail "files that cannot be read: exit status $status instead of 1"
expect "nobody's copy differs from cp's" tree_compare "$SCRATCH/by-nobody/by-cp" "$SCRATCH/by-nobody/by-ferry"
for name in users/unreadable users/closed users/unlisted "users/readable/unreadable too" evil; do
  grep -q "$name.*Permission denied" "$SCRATCH/errors" || fail "nobody is not told of $name"
done
(($(wc -l <"$SCRATCH/errors") == $(wc -l <"$SCRATCH/cp-errors"))) ||
  fail "not one line per error: $(cat -v "$SCRATCH/errors")"
grep -q $'\e' "$SCRATCH/errors" && fail "a control character of a name reached the terminal"
expect_no_temporaries "$SCRATCH/by-nobody"

say "a target that may not be written"
mkdir "$SCRATCH/locked" && echo old >"$SCRATCH/locked/one"
as_nobody "$FERRY" cp "$users/one" "$SCRATCH/locked/one" 2>"$SCRATCH/errors"
status=$?
((status == 1)) || fail "an unwritable target: exit status $status instead of 1"
grep -q "locked/one.*Permission denied" "$SCRATCH/errors" || fail "the unwritable target is not named: $(cat "$SCRATCH/errors")"
[[ $(cat "$SCRATCH/locked/one") == old ]] || fail "the unwritable target was changed"
finish
