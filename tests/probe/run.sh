#!/usr/bin/env bash
# Tests of `ferry probe`, one function each; the argument names the one to run. FERRY is the binary.
set -euo pipefail
: "${FERRY:?}"
disk=$(mktemp -d)                  # on the file system of $TMPDIR
shm=$(mktemp -d -p /dev/shm)       # on tmpfs
trap 'umount -q "$shm"/mnt* 2>/dev/null || true; rm -rf "$disk" "$shm"' EXIT

skip() { echo "skipped: $*"; exit 77; }
die() { echo "failed: $*"; exit 1; }
expect() { [[ $2 == "$3" ]] || die "$1: expected '$3', got '$2'"; }
json() { "$FERRY" probe --json "$@"; }
# is FILTER VALUE < JSON
is() {
  local got
  got=$(jq -r "$1")
  expect "$1" "$got" "$2"
}
need_root() { [[ $EUID -eq 0 ]] || skip "mounting needs root"; }
# mount_image TYPE SIZE: a file system of that type in an image on tmpfs, mounted at $shm/mnt.
mount_image() {
  need_root
  command -v "mkfs.$1" >/dev/null || skip "no mkfs.$1"
  grep -qw "$1" /proc/filesystems || modprobe -q "$1" 2>/dev/null || skip "this kernel has no $1"
  mkdir "$shm/mnt"
  truncate -s "$2" "$shm/image"
  "mkfs.$1" "$shm/image" >/dev/null 2>&1 || die "mkfs.$1"
  mount -o loop "$shm/image" "$shm/mnt" 2>"$shm/why" || skip "no loop mount: $(<"$shm/why")"
}
mount_tmpfs() {
  need_root
  mkdir "$shm/mnt"
  mount -t tmpfs none "$shm/mnt" 2>"$shm/why" || skip "no mount: $(<"$shm/why")"
}

tells_the_file_system_that_df_tells() {
  local out
  out=$(json "$disk")
  is '.places[0].file_system' "$(df --output=fstype "$disk" | tail -n 1)" <<<"$out"
  is '.places[0].mount_point' "$(df --output=target "$disk" | tail -n 1)" <<<"$out"
  is '.places[0].total_bytes' $(($(stat -f -c '%b * %S' "$disk"))) <<<"$out"
  is '.machine.kernel' "$(uname -r)" <<<"$out"
  is '.machine.cores' "$(nproc)" <<<"$out"
}

says_that_tmpfs_cannot_reflink_but_keeps_holes() {
  local out
  out=$(json "$shm")
  is '.places[0].file_system' tmpfs <<<"$out"
  is '.places[0].holes.works' true <<<"$out"
  is '.places[0].unnamed_files.works' true <<<"$out"
  is '.copying.reflink.works' false <<<"$out"
  is '.copying.reflink.errno' 95 <<<"$out"  # EOPNOTSUPP
  is '.copying.sendfile.works' true <<<"$out"
}

names_the_file_system_where_the_mount_is_not_told() {
  command -v strace >/dev/null || skip "no strace"
  strace -qq -o /dev/null true 2>/dev/null || skip "strace may not trace here"
  local out
  out=$(strace -f -qq -o /dev/null -P /proc/self/mountinfo -e inject=openat:error=ENOENT "$FERRY" probe --json "$shm")
  is '.places[0].file_system' tmpfs <<<"$out"
  is '.places[0].mount_point' null <<<"$out"
}

says_why_two_file_systems_cannot_reflink() {
  [[ $(stat -c %d "$disk") != $(stat -c %d "$shm") ]] || skip "$disk is on the file system of /dev/shm"
  local out
  out=$(json "$shm" "$disk")
  is '.copying.one_file_system.works' false <<<"$out"
  is '.copying.reflink.errno' 18 <<<"$out"  # EXDEV
  is '.copying.large_files.refused.reflink' 18 <<<"$out"
  is '.copying.splice.works' true <<<"$out"
  is '.places | length' 2 <<<"$out"
  "$FERRY" probe "$shm" "$disk" | grep -q 'reflink  *no: Invalid cross-device link' || die "not in the table"
}

finds_reflink() {
  mount_image "$1" 400M
  local out
  out=$(json "$shm/mnt")
  is '.places[0].file_system' "$1" <<<"$out"
  is '.copying.reflink.works' true <<<"$out"
  is '.copying.copy_file_range.works' true <<<"$out"
  is '.copying.large_files.method' reflink <<<"$out"
  is '.places[0].acls.works' true <<<"$out"
  is '.places[0].birth_time.works' true <<<"$out"
}
finds_reflink_on_xfs() { finds_reflink xfs; }
finds_reflink_on_btrfs() { finds_reflink btrfs; }

names_a_path_that_is_missing() {
  local status=0
  "$FERRY" probe "$disk/none" >"$disk/out" 2>"$disk/err" || status=$?
  expect status "$status" 1
  expect stdout "$(<"$disk/out")" ""
  expect stderr "$(<"$disk/err")" "ferry probe: cannot examine '$disk/none': No such file or directory"
  status=0
  "$FERRY" probe "$disk" "$disk/none" >"$disk/out" 2>"$disk/err" || status=$?
  expect 'status for the second path' "$status" 1
  expect stdout "$(<"$disk/out")" ""
}

refuses_wrong_arguments() {
  local status
  for arguments in "" "$disk $disk $disk" "--jso $disk"; do
    status=0
    # shellcheck disable=SC2086  # split on purpose
    "$FERRY" probe $arguments >"$disk/out" 2>"$disk/err" || status=$?
    expect "status of probe $arguments" "$status" 2
    [[ -s $disk/err ]] || die "nothing said about: probe $arguments"
  done
  "$FERRY" probe --help | grep -q -- --json || die "--help does not tell of --json"
}

examines_the_directory_of_a_file() {
  echo content >"$disk/file"
  ln -s "$disk/file" "$shm/link"
  local out
  out=$(json "$disk/file")
  is '.places[0].path' "$disk/file" <<<"$out"
  is '.places[0].directory' "$disk" <<<"$out"
  is '.places[0].writable.works' true <<<"$out"
  out=$(json "$shm/link")
  is '.places[0].directory' "$disk" <<<"$out"
  expect content "$(<"$disk/file")" content
}

leaves_nothing_behind() {
  echo content >"$shm/file"
  mkdir "$shm/directory"
  local before
  before=$(find "$shm" -printf '%p %s %m %i\n' | sort)
  json "$shm" "$shm/directory" >/dev/null
  json "$shm/file" "$disk" >/dev/null
  expect listing "$(find "$shm" -printf '%p %s %m %i\n' | sort)" "$before"
  expect 'other listing' "$(ls -A "$disk")" ""
}

tells_what_it_can_of_a_read_only_file_system() {
  mount_tmpfs
  mount -o remount,ro "$shm/mnt"
  local out
  out=$(json "$shm/mnt") || die "status $?"
  is '.places[0].read_only' true <<<"$out"
  is '.places[0].writable.errno' 30 <<<"$out"  # EROFS
  is '.places[0].holes.works' null <<<"$out"
  is '.places[0].acls.works' true <<<"$out"
  is '.copying.reflink.works' null <<<"$out"
  "$FERRY" probe "$shm/mnt" | grep -q 'holes  *unknown: nothing can be written there' || die "the table does not say so"
}

copies_from_a_file_on_a_read_only_file_system() {
  mount_tmpfs
  echo content >"$shm/mnt/file"
  mount -o remount,ro "$shm/mnt"
  local out
  out=$(json "$shm/mnt/file" "$shm")
  is '.copying.splice.works' true <<<"$out"
  is '.copying.sendfile.works' true <<<"$out"
}

says_what_an_ordinary_user_may_not() {
  need_root
  local as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
  "${as_nobody[@]}" test -x "$FERRY" || skip "the user nobody cannot reach $FERRY"
  mkdir "$shm/open"
  chmod 755 "$shm"
  chmod 777 "$shm/open"
  local out
  out=$("${as_nobody[@]}" "$FERRY" probe --json "$shm/open" "$shm")
  is '.places[0].trusted_attributes.works' false <<<"$out"
  is '.places[0].trusted_attributes.errno' 1 <<<"$out"  # EPERM
  is '.places[0].trusted_attributes.note | contains("CAP_SYS_ADMIN")' true <<<"$out"
  is '.places[1].writable.errno' 13 <<<"$out"  # EACCES
  is '.places[1].holes.works' null <<<"$out"
}

# injected CALL ERROR PATH...: the report when that system call fails so.
injected() {
  local call=$1 error=$2
  shift 2
  command -v strace >/dev/null || skip "no strace"
  strace -qq -o /dev/null -e trace="$call" true 2>/dev/null || skip "strace may not trace here"
  strace -f -qq -o /dev/null -e trace="$call" -e inject="$call:error=$error" "$FERRY" probe --json "$@"
}

says_why_io_uring_is_refused() {
  local out
  out=$(injected io_uring_setup ENOMEM "$shm")
  is '.machine.io_uring.works' false <<<"$out"
  is '.machine.io_uring.errno' 12 <<<"$out"
  is '.machine.io_uring.note | contains("memlock")' true <<<"$out"
  out=$(injected io_uring_setup ENOSYS "$shm")
  is '.machine.io_uring.errno' 38 <<<"$out"
  out=$(injected io_uring_setup EPERM "$shm")
  is '.machine.io_uring.errno' 1 <<<"$out"
  local switch=0
  [[ -r /proc/sys/kernel/io_uring_disabled ]] && switch=$(</proc/sys/kernel/io_uring_disabled)
  if [[ $switch == 0 ]]; then
    is '.machine.io_uring.note | contains("seccomp")' true <<<"$out"
  else
    is '.machine.io_uring.note | contains("io_uring_disabled")' true <<<"$out"
  fi
}

says_why_fuse_is_missing() {
  command -v strace >/dev/null || skip "no strace"
  strace -qq -o /dev/null true 2>/dev/null || skip "strace may not trace here"
  [[ -e /dev/fuse ]] || skip "no /dev/fuse, whose opening could be made to fail"
  local out
  out=$(strace -f -qq -o /dev/null -P /dev/fuse -e inject=openat:error=EPERM "$FERRY" probe --json "$shm")
  is '.machine.fuse.works' false <<<"$out"
  is '.machine.fuse.errno' 1 <<<"$out"
  is '.machine.fuse.note | contains("container")' true <<<"$out"
}

tells_the_limits_of_the_process() {
  local out
  out=$(ulimit -S -n 32 && ulimit -S -l 64 && json "$shm")
  is '.machine.descriptors.soft' 32 <<<"$out"
  is '.machine.lockable_memory_bytes.soft' 65536 <<<"$out"
}

keeps_a_strange_name_on_one_line() {
  local name=$'new\nline \e[31m'
  mkdir "$shm/$name"
  "$FERRY" probe "$shm/$name" >"$disk/out"
  expect 'first line' "$(head -n 1 "$disk/out")" "'$shm/new'\$'\\n''line '\$'\\033''[31m'"
  [[ $(grep -c $'\e' "$disk/out") == 0 ]] || die "a control character reaches the terminal"
  is '.places[0].path' "$shm/$name" < <(json "$shm/$name")
  mkdir "$shm/"$'bad\xff'
  json "$shm/"$'bad\xff' | jq -e . >/dev/null || die "no JSON for a name that is not UTF-8"
}

reports_a_full_standard_output() {
  [[ -c /dev/full ]] || skip "no /dev/full"
  local status=0
  "$FERRY" probe "$shm" >/dev/full 2>"$disk/err" || status=$?
  expect status "$status" 1
  grep -q 'No space left on device' "$disk/err" || die "not said: $(<"$disk/err")"
}

finds_case_folding_on_vfat() {
  mount_image vfat 16M
  local out
  out=$(json "$shm/mnt")
  is '.places[0].case_folding.works' true <<<"$out"
  is '.places[0].acls.works' false <<<"$out"
  is '.places[0].holes.works' false <<<"$out"
  expect 'files left' "$(ls -A "$shm/mnt")" ""
}

"$1"
