#!/usr/bin/env bash
# injected_errors.sh [KIND OPTION...]: with these options of ferry cp, on a file system of this kind; in the short form then
# only what the options add. A sample of failing system calls on the real binary (the syscall seam's unit tests try every call): strace makes the
# N-th call of a kind fail. `ferry cp -a` over an old tree must then say which operation failed on which path and why, exit
# with 1, keep every old file or replace it in full, copy the rest and leave no temporary names; or, where another way
# was legitimate, succeed with a complete copy.
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
need strace
strace -f -o /dev/null true 2>/dev/null || skip "strace cannot trace here"
(($# == 0)) || on_fs "$1"
options=("${@:2}")
files=30

# version 1 lies at the target; the source has version 2, and a symlink, a fifo and an attribute besides.
versioned_tree make "$SCRATCH/old" 1 "$files" && versioned_tree make "$SCRATCH/source" 2 "$files" || exit 2
ln -s d0/file0 "$SCRATCH/source/d1/symlink"
mkfifo "$SCRATCH/source/d1/fifo"
ln "$SCRATCH/source/d2/file2" "$SCRATCH/source/d2/second name"
setfattr -n user.test -v value "$SCRATCH/source/d3/below/file3" 2>/dev/null
chmod 600 "$SCRATCH/source/d4/file4"
mkdir "$SCRATCH/source/fresh" && cp "$SCRATCH"/source/d0/file* "$SCRATCH/source/fresh"
source=$SCRATCH/source
target=$SCRATCH/target

fresh_target() {
  rm -rf "$target"
  cp -a "$SCRATCH/old" "$target"
}

run_ferry() { # STRACE_OPTION...
  timeout 120 strace -f -qq -o "$SCRATCH/trace" "$@" "$FERRY" cp -aT --jobs=1 "${options[@]}" "$source" "$target" \
    >"$SCRATCH/output" 2>"$SCRATCH/errors"
}

# The numbers of the first, a middle and the last call of a kind after the program got to work on our trees: before that it
# is the dynamic loader's business. Counted as strace counts: per thread, in the thread that makes most of them.
calls_at_work() { # CALL
  fresh_target
  run_ferry -e "trace=$1,openat,openat2,statx,newfstatat"
  awk -v call="$1" -v root="$SCRATCH" '
    index($0, root) { at_work = 1 }
    $2 ~ "^" call "\\(" {
      ++count[$1]
      if (!at_work || $0 ~ /\(.*, "\\1(\\0)+", 8\)/) next # eight bytes wake a thread by eventfd(2): no I/O, cannot fail
      if (!($1 in first)) first[$1] = count[$1]
      last[$1] = count[$1]
    }
    END {
      for (thread in first) if (last[thread] > most) { most = last[thread]; busiest = thread }
      if (most) { print first[busiest]; print int((first[busiest] + most) / 2); print most }
    }' "$SCRATCH/trace" | uniq
}

describe=""
check_after_error() { # STATUS ERROR_TEXT
  local status=$1 text=$2 found lines lost
  ((status == 0 || status == 1)) || { fail "$describe: exit status $status"; return; }
  if ! found=$(versioned_tree check "$target" 1 2 "$files"); then
    fail "$describe: $(head -n 3 <<<"$found")"
  fi
  expect_no_temporaries "$target"
  if ((status == 0)); then
    expect "$describe: success, but the copy is not complete" tree_compare "$source" "$target"
    return
  fi
  lines=$(grep -c . "$SCRATCH/errors")
  ((lines >= 1)) || fail "$describe: failed without a word"
  grep -q "/\(source\|target\).*$text" "$SCRATCH/errors" ||
    fail "$describe: path or cause are not named: $(head -n 2 "$SCRATCH/errors")"
  # An error about a directory costs its content (6 files at most); one about a root costs everything.
  grep -qE "/(source|target)['/]?[:'. ]" "$SCRATCH/errors" && return
  [[ $found =~ old\ ([0-9]+) ]] && lost=${BASH_REMATCH[1]}
  ((lost <= 6 * lines)) || fail "$describe: $lost files were not copied: $(head -n 2 "$SCRATCH/errors")"
}

declare -A texts=([EIO]="Input/output error" [ENOSPC]="No space left on device" [EACCES]="Permission denied"
  [EPERM]="Operation not permitted" [ENOMEM]="Cannot allocate memory")
try_error() { # CALL ERROR N
  describe="$1 $3 fails with $2"
  fresh_target
  run_ferry -e "trace=$1" -e "inject=$1:error=$2:when=$3"
  local status=$? text=${texts[$2]}
  # A kernel that cannot tell what its rings can do is one before Linux 5.6, and its rings are of no use.
  [[ $1 == io_uring_register ]] && text="\\($text\\|Function not implemented\\)"
  check_after_error "$status" "$text"
}

calls=(openat openat2 read pread64 write pwrite64 copy_file_range linkat renameat renameat2 mkdirat symlinkat mknodat fchown
  fchownat fchmod fchmodat utimensat statx newfstatat getdents64 ftruncate fsetxattr flistxattr fgetxattr readlinkat unlinkat
  close)
interrupted_calls=(openat linkat renameat getdents64 write pwrite64 copy_file_range)
least_cases=20
if ((${#options[@]} > 0)); then
  is_long || calls=(openat statx ftruncate close) interrupted_calls=()
  calls+=(io_uring_setup io_uring_register io_uring_enter mmap fallocate)
  interrupted_calls+=(io_uring_enter)
  least_cases=10
fi

cases=0
for call in "${calls[@]}"; do
  mapfile -t numbers < <(calls_at_work "$call")
  [[ ${#numbers[@]} == 0 ]] && { echo "$call: not used"; continue; }
  is_long || numbers=("${numbers[@]:0:2}")
  case $call in
    write | pwrite64 | linkat | mkdirat | symlinkat | fsetxattr | copy_file_range | ftruncate) errors=(ENOSPC EIO) ;;
    openat | openat2 | renameat | renameat2 | fchmod | fchown | unlinkat) errors=(EACCES EIO) ;;
    io_uring_*) errors=(EPERM ENOMEM) ;;
    mmap) errors=(ENOMEM) ;;
    *) errors=(EIO) ;;
  esac
  is_long && [[ $call != mmap ]] && errors=(EIO ENOSPC EACCES)
  say "$call, numbers ${numbers[*]}: ${errors[*]}"
  for number in "${numbers[@]}"; do
    for error in "${errors[@]}"; do
      try_error "$call" "$error" "$number"
      cases=$((cases + 1))
    done
  done
done
say "$cases failing calls"
((cases >= least_cases)) || fail "only $cases cases: the trace was not understood"

# ------------------------------------------------------------------ Ctrl-C
say "SIGINT"
for call in "${interrupted_calls[@]}"; do
  mapfile -t numbers < <(calls_at_work "$call")
  for number in "${numbers[@]}"; do
    describe="SIGINT at $call $number"
    fresh_target
    run_ferry -e "trace=$call" -e "inject=$call:signal=SIGINT:when=$number"
    status=$?
    # How often is waited for the ring differs from run to run.
    [[ $call == io_uring_enter ]] && ! grep -q -e '--- SIGINT' "$SCRATCH/trace" && continue
    ((status == 130)) || fail "$describe: exit status $status instead of 130"
    found=$(versioned_tree check "$target" 1 2 "$files") || fail "$describe: $(head -n 3 <<<"$found")"
    expect_no_temporaries "$target"
  done
done
finish
