#!/usr/bin/env bash
# Tests of `ferry cp` as a program, one function each; the argument names the one to run. FERRY is the binary.
set -euo pipefail
: "${FERRY:?}"
unset NO_COLOR FERRY_LOG VERSION_CONTROL SIMPLE_BACKUP_SUFFIX POSIXLY_CORRECT
export LC_ALL=C.UTF-8 TERM=xterm
scratch=$(mktemp -d "$([[ -d /dev/shm ]] && echo /dev/shm || echo /tmp)/ferry-cp-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

skip() { echo "skipped: $*"; exit 77; }
die() { echo "failed: $*"; exit 1; }
need() { command -v "$1" >/dev/null || skip "no $1"; }
expect() { [[ $2 == "$3" ]] || die "$1: expected '$3', got '$2'"; }
# Commands that have to fail; a plain ! would not end the test.
fails() { if "$@"; then die "succeeded: $*"; fi; }
never() { if "$@"; then die "it did: $*: $(cat -v out err shown 2>/dev/null)"; fi; }
ferry_cp() { "$FERRY" cp "$@"; }
milliseconds() { echo $(($(date +%s%N) / 1000000)); }

# ------------------------------------------------------------------------------------------- signals

# Shells start background jobs with SIGINT ignored, unless they do job control.
set -m

# Starts a copy that takes long, sends it a signal once `sign` succeeds; sets $status and $took_ms.
interrupt_a_long_copy() {
  local signal=$1 sign=$2
  shift 2
  "$FERRY" cp "$@" 2>err &
  local pid=$! i
  for ((i = 0; i < 500; i++)); do
    eval "$sign" && break
    kill -0 $pid 2>/dev/null || die "the copy ended before it could be interrupted: $(<err)"
    sleep 0.01
  done
  local start
  start=$(milliseconds)
  kill -s "$signal" $pid
  status=0
  wait $pid || status=$?
  took_ms=$(($(milliseconds) - start))
  echo "ended $took_ms ms after SIG$signal with status $status"
  [[ $took_ms -lt 2000 ]] || die "took too long"
}

# strace makes every write slow, so that the copy is certainly under way; -D keeps ferry our own child.
a_signal_leaves_the_old_file() {  # SIGNAL STATUS
  need strace
  head -c 16M /dev/zero | tr '\0' n >new
  echo old >dst
  strace -D -qq -f -o trace -e trace=pwrite64 -e inject=pwrite64:delay_enter=20000 \
    "$FERRY" cp --method=read_write --chunk-size=64K new dst 2>err &
  local pid=$! start status=0
  for ((i = 0; i < 500; i++)); do [[ -s trace ]] && break; sleep 0.01; done
  [[ -s trace ]] || die "the copy did not begin: $(<err)"
  start=$(milliseconds)
  kill -s "$1" $pid
  wait $pid || status=$?
  took_ms=$(($(milliseconds) - start))
  echo "ended $took_ms ms after SIG$1"
  [[ $took_ms -lt 2000 ]] || die "took too long"
  expect "status" "$status" "$2"
  expect "old content" "$(<dst)" old
  expect "files left" "$(find . -name '.ferry-*' | wc -l)" 0
}
ctrl_c_leaves_the_old_file_and_exits_130() { a_signal_leaves_the_old_file INT 130; }
sigterm_leaves_the_old_file_and_exits_143() { a_signal_leaves_the_old_file TERM 143; }
sighup_leaves_the_old_file_and_exits_129() { a_signal_leaves_the_old_file HUP 129; }

a_tree_is_left_without_half_files_by_ctrl_c() {
  mkdir src
  for i in {1..40}; do head -c 4M /dev/zero | tr '\0' x >"src/$i"; done
  # shellcheck disable=SC2016
  interrupt_a_long_copy INT '[[ -d dst ]]' -r --method=read_write --fsync src dst
  [[ $status -eq 130 || $status -eq 0 ]] || die "status $status"
  [[ $status -eq 0 ]] && echo "note: the copy was done before the signal was"
  local file
  for file in dst/*; do
    [[ -e $file ]] || continue
    expect "size of $file" "$(stat -c %s "$file")" $((4 << 20))
  done
  expect "files left" "$(find dst -name '.ferry-*' | wc -l)" 0
}

an_ignored_signal_stays_ignored() {
  mkfifo pipe
  (
    trap '' HUP
    exec "$FERRY" cp pipe dst
  ) &
  local pid=$! status=0
  sleep 0.2
  kill -HUP $pid
  sleep 0.1
  echo data >pipe
  wait $pid || status=$?
  expect status $status 0
  expect content "$(<dst)" data
}

a_read_that_never_ends_is_interrupted() {
  mkfifo pipe
  sleep 100 >pipe & # holds the pipe open and silent
  local sleeper=$!
  echo old >dst
  "$FERRY" cp pipe dst &
  local pid=$! status=0 start
  sleep 0.2
  start=$(milliseconds)
  kill -INT $pid
  wait $pid || status=$?
  kill $sleeper
  echo "ended $(($(milliseconds) - start)) ms after SIGINT"
  expect status $status 130
  expect content "$(<dst)" old
}

a_waiting_question_is_interrupted() {
  echo a >a; echo b >b; mkfifo answers
  sleep 100 >answers &
  local sleeper=$!
  "$FERRY" cp -i a b <answers 2>err &
  local pid=$! status=0
  for ((i = 0; i < 200; i++)); do [[ -s err ]] && break; sleep 0.01; done
  kill -INT $pid
  wait $pid || status=$?
  kill $sleeper
  expect status $status 130
  expect content "$(<b)" b
  expect question "$(<err)" "ferry cp: overwrite 'b'? "
}

# ------------------------------------------------------------------------------------------- terminal

# Runs a shell command on a terminal of its own; what it would have shown is in the file "shown".
on_a_terminal() {
  need script
  rm -f shown
  script -qec "$1" shown >/dev/null 2>&1 </dev/null || [[ $? -eq 1 ]] || die "script: $(<shown)"
  [[ -s shown ]] || die "script(1) recorded nothing"
}

progress_is_one_line_on_a_terminal_and_is_cleared() {
  need strace
  head -c 2M /dev/zero | tr '\0' x >big
  on_a_terminal "strace -D -qq -f -o trace -e trace=pwrite64 -e inject=pwrite64:delay_enter=50000 '$FERRY' cp --method=read_write --chunk-size=64K big copy"
  grep -q 'MiB.*files.*/s' shown || die "no progress line: $(cat -v shown)"
  grep -q $'\r' shown || die "the line is not redrawn"
  # The last thing written is the clearing of the line.
  tail -c 200 shown | grep -v '^Script' | grep -q $'\r\x1b\\[K' || die "not cleared: $(tail -c 100 shown | cat -v)"
  cmp big copy
}

progress_of_a_tree_tells_the_total_and_the_time_left() {
  need strace
  mkdir tree
  for i in {1..60}; do head -c 100K /dev/zero | tr '\0' x >"tree/$i"; done
  ln tree/1 tree/linked
  on_a_terminal "strace -D -qq -f -o trace -e trace=linkat -e inject=linkat:delay_enter=50000 '$FERRY' cp -a --jobs=1 tree copy"
  # 60 files of 100 KiB, the second name of one counted once; 61 names and the directory.
  grep -qE ' of 5\.9 MiB \([0-9]+%\)  [0-9]+ of 62 files  .*/s  0:0[0-9] left' shown || die "no total: $(cat -v shown)"
  diff -r tree copy
}

progress_is_absent_in_a_pipe_and_on_request() {
  need strace
  head -c 1M /dev/zero | tr '\0' x >big
  strace -qq -f -o trace -e trace=pwrite64 -e inject=pwrite64:delay_enter=50000 \
    "$FERRY" cp --method=read_write --chunk-size=64K big copy >out 2>&1 || die "status $?"
  expect "output in a pipe" "$(cat -v out)" ''
  rm copy
  on_a_terminal "strace -qq -f -o trace -e trace=pwrite64 -e inject=pwrite64:delay_enter=50000 '$FERRY' cp --progress=never --method=read_write --chunk-size=64K big copy"
  never grep -q files shown
}

progress_in_a_pipe_on_request_is_whole_lines() {
  need strace
  head -c 2M /dev/zero | tr '\0' x >big
  strace -qq -f -o trace -e trace=pwrite64 -e inject=pwrite64:delay_enter=80000 \
    "$FERRY" cp --progress --method=read_write --chunk-size=64K big copy 2>err >out || die "status $?"
  expect "standard output" "$(<out)" ''
  grep -qE '^[0-9.]+ [KM]?i?B.* files .*/s' err || die "no line: $(cat -v err)"
  never grep -q $'[\r\x1b]' err
}

colours_only_on_a_terminal_and_not_with_no_color() {
  on_a_terminal "'$FERRY' cp nope x"
  grep -q $'\x1b\\[31m' shown || die "no colour on a terminal: $(cat -v shown)"
  on_a_terminal "NO_COLOR=1 '$FERRY' cp nope x"
  never grep -q $'\x1b\\[31m' shown
  on_a_terminal "TERM=dumb '$FERRY' cp nope x"
  never grep -q $'\x1b' shown
  fails "$FERRY" cp nope x 2>err
  expect "in a pipe" "$(cat -v err)" "ferry cp: cannot stat 'nope': No such file or directory"
}

control_characters_in_names_do_not_reach_the_terminal() {
  local name=$'\x1b]0;title\a\nx'
  echo 1 >"$name"
  ferry_cp -v "$name" copy >out
  never grep -q $'[\x1b\a]' out
  expect "lines" "$(wc -l <out)" 1
}

# ------------------------------------------------------------------------------------------- JSON and explanations

json_is_one_object_with_the_sums() {
  need jq
  mkdir src; printf 12345 >src/a; printf 678 >src/b; ln -s a src/l; ln src/a src/h; mkfifo src/p
  ferry_cp -a --json src dst >out
  expect "lines" "$(wc -l <out)" 1
  expect "sums" "$(jq -c '[.event, .exit_status, .regular_files, .symlinks, .hard_links, .special_files, .errors, .bytes_copied]' out)" \
    '["summary",0,2,1,1,1,0,8]'
}

json_with_explain_has_a_line_for_each_file_and_error() {
  need jq
  mkdir src; printf 12345 >src/a; printf x >src/$'bad\xff'; ln -s nope src/l
  fails ferry_cp -rL --json --explain src dst >out 2>err
  jq -e . out >/dev/null || die "not JSON: $(<out)"
  expect "a" "$(jq -c 'select(.source == "src/a") | [.event, .destination, .size_bytes, .bytes_copied, ([.bytes_by_method[]] | add)]' out)" \
    '["copied","dst/a",5,5,5]'
  expect "the exact name" "$(jq -r 'select(.source_base64) | .source_base64' out | base64 -d)" $'src/bad\xff'
  expect "the error" "$(jq -r 'select(.event == "error") | .problem + " " + .errno' out)" "cannot_stat_source ENOENT"
  expect "the last line" "$(tail -n 1 out | jq -r '.event, .errors, .exit_status' | paste -sd ' ')" "summary 1 1"
  grep -q '^ferry cp: cannot stat' err || die "no message on standard error"
}

explain_names_the_method_and_what_was_refused() {
  printf 12345 >a
  expect "one method" "$(ferry_cp --explain --method=read_write a b)" "'a' -> 'b': read_write 5 B"
  : >empty
  expect "no bytes" "$(ferry_cp --explain --method=read_write empty b2)" "'empty' -> 'b2': empty"
}

debug_prints_the_line_of_newer_gnu_cp() {
  printf 12345 >a
  ferry_cp --debug a b >out
  expect "first line" "$(head -n 1 out)" "'a' -> 'b'"
  grep -qE '^copy offload: [a-z]+, reflink: [a-z]+, sparse detection: [a-zA-Z_+ ]+$' out || die "$(<out)"
}

# ------------------------------------------------------------------------------------------- options of our own, and newer than 9.1

dry_run_changes_nothing_and_lists_what_it_would_do() {
  mkdir -p src/sub dst; echo new >src/a; echo x >src/sub/b; mkdir -p dst/src; echo old >dst/src/a
  local before
  before=$(find . -printf '%p %T@ %s\n' | sort)
  ferry_cp -r --dry-run src dst >out
  expect "the tree" "$(find . -path ./out -prune -o -printf '%p %T@ %s\n' | grep -v '^\. ' | sort)" "$(grep -v '^\. ' <<<"$before")"
  grep -qF "'src/sub/b' -> 'dst/src/sub/b'" out || die "$(<out)"
}

every_method_copies_the_same_bytes() {
  seq 200000 >src
  truncate -s 3M src; echo end >>src
  local method
  for method in copy_file_range splice sendfile read_write copy_file_range,read_write; do
    rm -f dst
    ferry_cp --method=$method src dst || die "$method"
    cmp src dst || die "$method"
  done
}

verify_and_fsync_and_preallocate_and_inplace_copy_as_usual() {
  seq 100000 >src
  local option
  for option in --verify --fsync --preallocate --inplace --jobs=1 --jobs=8 --chunk-size=64K; do
    rm -f dst; ferry_cp $option src dst; cmp src dst || die "$option, new"
    echo old >dst; ferry_cp $option src dst; cmp src dst || die "$option, existing"
  done
}

inplace_keeps_the_inode_and_the_default_does_not() {
  echo new >src; echo old >dst
  local inode
  inode=$(stat -c %i dst)
  ferry_cp --inplace src dst
  expect "inode" "$(stat -c %i dst)" "$inode"
  echo newer >src
  exec 3<dst
  ferry_cp src dst
  expect "what an open file shows" "$(cat <&3)" new
  expect "content" "$(<dst)" newer
}

update_forms_of_coreutils_9_5() {
  echo new >src; echo old >dst; touch -d 2030-01-01 dst
  ferry_cp --update=none src dst; expect none "$(<dst)" old
  ferry_cp --update=older src dst; expect older "$(<dst)" old
  fails ferry_cp --update=none-fail src dst 2>err; expect none-fail "$(<dst)" old
  expect message "$(<err)" "ferry cp: not replacing 'dst'"
  ferry_cp -n --update=all src dst; expect "-n first" "$(<dst)" old
  expect "skipped" "$(ferry_cp --debug --update=none src dst)" "skipped 'dst'"
  ferry_cp -u --update=all src dst; expect all "$(<dst)" new
}

keep_directory_symlink_follows_it_inside_the_destination() {
  mkdir -p src/d dst/real; echo 1 >src/d/f; ln -s real dst/d
  fails ferry_cp -rT src dst 2>err
  expect "without" "$(<err)" "ferry cp: cannot overwrite non-directory 'dst/d' with directory 'src/d'"
  ferry_cp -rT --keep-directory-symlink src dst
  expect "content" "$(<dst/real/f)" 1
  expect "link" "$(readlink dst/d)" real
}

a_symlink_in_the_destination_that_leads_outside_is_not_followed() {
  mkdir -p src dst outside; echo mine >src/f; echo theirs >outside/f; ln -s ../outside/f dst/f
  fails ferry_cp -rT src dst 2>err
  expect "outside" "$(<outside/f)" theirs
  grep -q "dst/f" err || die "$(<err)"
}

errors_name_the_file_and_the_rest_is_copied() {
  mkdir src; echo 1 >src/a; ln -s nope src/b; echo 3 >src/c
  fails ferry_cp -rL src dst 2>err
  expect "message" "$(<err)" "ferry cp: cannot stat 'src/b': No such file or directory"
  expect "others" "$(cat dst/a dst/c | paste -sd ' ')" "1 3"
}

a_full_standard_output_is_an_error() {
  [[ -c /dev/full ]] || skip "no /dev/full"
  echo 1 >a
  fails ferry_cp -v a b >/dev/full 2>err
  expect "message" "$(<err)" "ferry cp: write error: No space left on device"
  expect "content" "$(<b)" 1
}

a_failed_reflink_leaves_the_old_file() {
  echo new >a; echo old >b
  if ferry_cp --reflink=always a b 2>err; then skip "reflinks work here"; fi
  expect "message" "$(<err)" "ferry cp: failed to clone 'b' from 'a': Operation not supported"
  expect "old content" "$(<b)" old
  fails ferry_cp --reflink=always a fresh 2>/dev/null
  [[ ! -e fresh ]] || die "an empty file was left"
}

"$1"
