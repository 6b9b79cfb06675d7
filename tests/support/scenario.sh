# shellcheck shell=bash
# What the scenarios of tests/peers and tests/fault share. Source it first: it makes a private mount namespace (mounts
# and their loop devices vanish with the last process, however the test ends), a scratch directory, and says what fails.
#
# FERRY            the program under test (called "$FERRY" cp ...)
# TOOLS            folder of the built test programs
# FERRY_TEST_LONG  1: the full form, many seeds and long runs; else a short seeded form
set -u
: "${FERRY:=build/release/ferry}" "${TOOLS:=build/release/tests/tools}" "${FERRY_TEST_LONG:=0}"

skip() {
  echo "skipped: $*"
  exit 77
}

if [[ ${FERRY_TEST_NAMESPACE:-} != 1 && $(id -u) == 0 ]] && unshare --mount true 2>/dev/null; then
  FERRY_TEST_NAMESPACE=1 exec unshare --mount --propagation private "$BASH" "$0" "$@"
fi
[[ -x $FERRY ]] || skip "$FERRY is not built"
[[ -x $TOOLS/tree_compare ]] || skip "$TOOLS/tree_compare is not built"
FERRY=$(realpath "$FERRY")
TOOLS=$(realpath "$TOOLS")
export LC_ALL=C PATH="$TOOLS:$PATH"
umask 022

SCRATCH_PARENT=${FERRY_TEST_SCRATCH:-/dev/shm}
SCRATCH=$(mktemp -d "$SCRATCH_PARENT/ferry-test-XXXXXX") || exit 2
chmod 755 "$SCRATCH"
scratch_root=$SCRATCH
failures=0
mounts=()

clean_up() {
  local status=$? i
  for ((i = ${#mounts[@]} - 1; i >= 0; i--)); do
    umount "${mounts[i]}" 2>/dev/null || umount --lazy "${mounts[i]}"
  done
  if [[ ${FERRY_TEST_KEEP:-0} == 1 && $failures -gt 0 ]]; then
    echo "kept: $scratch_root (without its mounts)"
  else
    rm -rf "$scratch_root"
  fi
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

is_long() { [[ $FERRY_TEST_LONG == 1 ]]; }
# by_form SHORT LONG: the value for the form that runs.
by_form() { if is_long; then echo "$2"; else echo "$1"; fi; }

need_root() { [[ $(id -u) == 0 ]] || skip "needs root ($*)"; }
need() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
  done
}

say() { echo "== $*"; }
fail() {
  failures=$((failures + 1))
  echo "FAILED: $*"
}
# expect WHAT COMMAND...: the command must succeed; its output is shown when it does not.
expect() {
  local what=$1 output
  shift
  if ! output=$("$@" 2>&1); then
    fail "$what"
    head -n 40 <<<"$output" | cut -c 1-400
    return 1
  fi
}
finish() {
  if ((failures > 0)); then
    echo "$failures failed"
    exit 1
  fi
  exit 0
}

# mount_fs KIND NAME: makes and mounts an empty file system at $SCRATCH/NAME; the images are sparse files.
# KIND: tmpfs, ext4, xfs, btrfs, overlay (over tmpfs).
mount_fs() {
  local kind=$1 directory=$SCRATCH/$2
  need_root "mounts file systems"
  mkdir -p "$directory"
  case $kind in
    tmpfs) mount -t tmpfs -o mode=755 ferry-test "$directory" ;;
    overlay)
      mount_fs tmpfs "$2-layers" && mkdir "$directory-layers"/{lower,upper,work} &&
        mount -t overlay -o "lowerdir=$directory-layers/lower,upperdir=$directory-layers/upper,workdir=$directory-layers/work" \
          ferry-test "$directory"
      ;;
    ext4) make_image "$2" mkfs.ext4 -q -F -m 0 && mount -o loop "$SCRATCH/$2.image" "$directory" ;;
    xfs) make_image "$2" mkfs.xfs -q -m reflink=1 && mount -o loop "$SCRATCH/$2.image" "$directory" ;;
    btrfs) make_image "$2" mkfs.btrfs -q && mount -o loop "$SCRATCH/$2.image" "$directory" ;;
    *)
      echo "no such kind: $kind"
      exit 2
      ;;
  esac >"$SCRATCH/mount.log" 2>&1 || skip "cannot mount $kind here: $(tail -n 1 "$SCRATCH/mount.log")"
  mounts+=("$directory")
}

# on_fs KIND: from here on $SCRATCH is the root of an empty file system of this kind.
on_fs() {
  mount_fs "$1" scratch
  SCRATCH=$SCRATCH/scratch
}

make_image() {
  local image=$SCRATCH/$1.image
  shift
  command -v "$1" >/dev/null || { echo "$1 is not installed"; return 1; }
  truncate -s 6G "$image" && "$@" "$image"
}

# temporaries_in DIR...: the names that an interrupted run left behind.
temporaries_in() { find "$@" -name '.ferry-*' 2>/dev/null; }
# same_files A B [C D]...: byte for byte, each pair.
same_files() {
  while (($# > 0)); do
    cmp "$1" "$2" || return 1
    shift 2
  done
}
expect_no_temporaries() {
  local left
  left=$(temporaries_in "$@")
  [[ -z $left ]] || fail "temporaries left: $(head -n 5 <<<"$left")"
}
