#!/usr/bin/env bash
# Tests of `ferry sync` as a program, one function each; the argument names the one to run. FERRY is the binary.
set -euo pipefail
: "${FERRY:?}"
unset NO_COLOR FERRY_LOG RSYNC_OLD_ARGS RSYNC_PROTECT_ARGS
export LC_ALL=C.UTF-8 TERM=xterm TZ=UTC
scratch=$(mktemp -d "$([[ -d /dev/shm ]] && echo /dev/shm || echo /tmp)/ferry-sync-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
umask 022

skip() { echo "skipped: $*"; exit 77; }
die() { echo "failed: $*"; exit 1; }
need() { command -v "$1" >/dev/null || skip "no $1"; }
expect() { [[ $2 == "$3" ]] || die "$1: expected '$3', got '$2'"; }

# What rsync 3.5 says in these words; others may differ.
need_rsync_3_5() {
  need rsync
  [[ $(rsync --version) == *"version 3.5."* ]] || skip "the rsync here is not 3.5"
}

# A source with one of everything, and a destination that holds some of it, some of it changed, and more.
make_trees() {
  rm -rf src dst
  mkdir -p src/sub/deep dst/gone/deep dst/sub
  echo hello >src/file
  ln -s file src/link
  mkfifo src/pipe
  head -c 300000 /dev/zero >src/big
  printf x >src/$'new\nline\\#123\e[m\xff'
  echo same >src/sub/same
  touch -d 2010-01-01 src/sub/same src/sub/deep
  cp -p src/sub/same dst/sub
  chmod 600 dst/sub/same
  touch -d 2012-01-01 src/sub src
  echo old >dst/file
  touch -d 2001-01-01 dst/file
  ln -s elsewhere dst/link
  echo x >dst/gone/deep/file
  touch -d "${root_time:-2011-01-01}" dst
}

# The lines of both programs under the same options, as sets, and their exit statuses, must be the same.
compare() {
  local status_rsync=0 status_ferry=0
  make_trees
  cp -a src src.rsync
  cp -a dst dst.rsync
  (mv src src.ferry && mv src.rsync src && mv dst dst.ferry && mv dst.rsync dst)
  rsync "$@" src/ dst/ >lines.rsync 2>errors.rsync || status_rsync=$?
  rm -rf src dst
  mv src.ferry src
  mv dst.ferry dst
  "$FERRY" sync "$@" src/ dst/ >lines.ferry 2>errors.ferry || status_ferry=$?
  expect "exit status with $*: $(<errors.ferry)" "$status_ferry" "$status_rsync"
  # What -vv tells about rsync's algorithm, no option of --info takes away.
  sed -i '/^delta-transmission disabled/d; /^total: matches=/d' lines.rsync
  diff -a <(LC_ALL=C sort lines.rsync) <(LC_ALL=C sort lines.ferry) || die "the lines differ with $*"
  compared=$((compared + 1))
}
compared=0

itemized_lines_are_rsyncs() {
  need_rsync_3_5
  compare -ai --delete
  [[ -s lines.ferry ]] || die "nothing was told"
  compare -aii
  compare -ain --delete
  compare -aHi
  compare -rti
  compare -rlDi
  compare -aic
  compare -ai --existing
  compare -ai --ignore-existing --info=skip
  compare -aiu --max-size=10 --info=skip
  compare -ai --chmod=Dg+s,F-w,u=rwX
  compare -aiO --size-only
  compare -ai8
  compare -ai --no-o --no-g --no-p --no-t
  compare -aiR
  compare -ai --delete --max-delete=1
  compare -ai --remove-source-files --info=remove
  compare -ai -f '- /sub' --exclude='*.o' --delete-excluded
  compare -aiC -FF --delete
  LC_ALL=C compare -ai
  [[ $EUID -ne 0 ]] || compare -ai --chown=1:2
  echo "$compared option sets"
}

plain_lines_are_rsyncs() {
  need_rsync_3_5
  compare -r
  compare -rq
  compare -rv --info=flist0,stats0
  compare -avv --info=flist0,stats0,misc0,copy0
  compare -a --info=name,del --delete
  root_time=2012-01-01  # the root itself is as it should be
  compare -a --out-format='[%o] %n%L|%i|%l|%f|%B|%M|%U|%G|%10l|%-8l|%'"'"'l%%' --delete
  root_time=''
  compare -an --out-format='%i %n%L %b'
  compare -a --out-format=%n --delete
  compare -r --out-format='%G %n'
  compare -dv --info=flist0,stats0
  compare -ai --delete -b --suffix=.o
  echo "$compared option sets"
}

statistics_are_rsyncs_but_for_what_its_processes_say() {
  need_rsync_3_5
  local options filter='^(File list|Total bytes|sent )'
  for options in "-a --delete --stats" "-an --stats" "-ah --stats" "-ahh --info=stats2" "-a --no-h --stats"; do
    make_trees
    cp -a dst dst.rsync
    # shellcheck disable=SC2086  # several options
    rsync $options src/ dst.rsync/ >lines.rsync
    # shellcheck disable=SC2086
    "$FERRY" sync $options src/ dst/ >lines.ferry
    diff <(grep -vE "$filter|^total size" lines.rsync) <(grep -vE "$filter|^total size" lines.ferry) ||
      die "the statistics differ with $options"
    expect "total size" "$(grep -oE '^total size is [^ ]+' lines.ferry)" "$(grep -oE '^total size is [^ ]+' lines.rsync)"
    rm -rf dst.rsync
  done
}

the_tree_is_the_sources() {
  make_trees
  "$FERRY" sync -aHAX --delete src/ dst/
  [[ -z $("$FERRY" sync -aHAXi --delete src/ dst/) ]] || die "a second run found differences"
  expect "the link" "$(readlink dst/link)" file
  expect "the mode" "$(stat -c %a dst/sub/same)" "$(stat -c %a src/sub/same)"
  [[ ! -e dst/gone ]] || die "what the source has not is still there"
  cmp src/big dst/big
}

names_do_not_reach_the_terminal_raw() {
  make_trees
  "$FERRY" sync -ai src/ dst/ >out
  if grep -qP '\e' out; then die "an escape character was printed"; fi
  grep -qF 'new\#012line\#134#123\#033[m\#377' out || die "the name is not as rsync shows it: $(cat -v out)"
}

json_is_one_object_a_line() {
  need jq
  make_trees
  chmod 600 src/big
  "$FERRY" sync -a --delete --json src/ dst/ >out
  expect "objects" "$(jq -r .event out | sort -u | paste -sd ' ')" "attributes created deleted summary transferred"
  expect "lines" "$(wc -l <out)" "$(jq -s length out)"
  expect "the last" "$(tail -n 1 out | jq -c '[.event, .exit_status, .deleted.regular, .transferred_files]')" \
    '["summary",0,1,3]'
  expect "the name that is not UTF-8" "$(jq -r 'select(.path_base64).path_base64' out | base64 -d | od -An -tx1 | tail -c 3)" ff
  local status=0
  "$FERRY" sync -a --json missing dst/ >out 2>err || status=$?
  expect "status" "$status" 23
  expect "the error" "$(jq -r 'select(.event == "error") | .problem + " " + .errno' out)" "cannot_stat_source ENOENT"
}

explain_tells_the_method_of_each_file() {
  make_trees
  "$FERRY" sync -a --explain --copy-method=read_write src/ dst/ >out
  grep -q "^'big': .*read_write 293.0 KiB" out || die "no method: $(<out)"
}

the_log_file_has_time_and_process_on_each_line() {
  make_trees
  "$FERRY" sync -a --delete --log-file=log src/ dst/ >out
  expect "standard output" "$(<out)" ""
  if grep -vE '^[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9:]{8} \[[0-9]+\] ' log; then die "a line without time and process"; fi
  grep -qF '*deleting   gone/' log || die "the deletion is missing: $(<log)"
  grep -qF '>f.st' log || die "the transfer is missing"
  local status=0
  "$FERRY" sync -a --log-file=/nonexistent/log src/ other 2>err || status=$?
  expect "status" "$status" 11
  [[ ! -e other ]] || die "it began without its log"
}

what_is_not_supported_is_refused_before_anything_is_done() {
  make_trees
  local option status
  for option in -az -essh --rsync-path=x --list-only --write-batch=b -N --timeout=5 --temp-dir=t --resume=j; do
    status=0
    "$FERRY" sync -a "$option" src/ other >out 2>err || status=$?
    expect "status of $option" "$status" 4
    expect "lines about $option" "$(wc -l <err)" 1
    grep -q '^ferry sync: .*not supported by ferry sync' err || die "$option: $(<err)"
    [[ ! -e other && ! -s out ]] || die "$option: something was done"
  done
  status=0
  "$FERRY" sync -a host:src other 2>err || status=$?
  expect "status of a remote source" "$status" 4
  status=0
  "$FERRY" sync -a --bogus src/ other 2>err || status=$?
  expect "status of an unknown option" "$status" 1
}

exit_statuses_are_rsyncs() {
  make_trees
  local status=0
  "$FERRY" sync -a missing src/ dst/ 2>err || status=$?
  expect "a missing source" "$status" 23
  grep -q "^ferry sync: .*'missing': No such file or directory" err || die "$(<err)"
  [[ -e dst/big ]] || die "the other source was not copied"
  status=0
  "$FERRY" sync -r --delete --max-delete=0 src/ dst/ 2>err || status=$?
  expect "--max-delete" "$status" 25
  status=0
  "$FERRY" sync -r --stop-after=0.000001 src/ stopped 2>err || status=$?
  expect "--stop-after" "$status" 30
  status=0
  "$FERRY" sync -r src/big src/file dst/file 2>err || status=$?
  expect "several sources into a file" "$status" 3
  if [[ -c /dev/full ]]; then
    status=0
    "$FERRY" sync -ri src/ again >/dev/full 2>err || status=$?
    expect "a full standard output" "$status" 11
  fi
}

# Shells start background jobs with SIGINT ignored, unless they do job control.
set -m

ctrl_c_stops_it_with_status_20() {
  mkdir src
  head -c 64M /dev/zero | tr '\0' n >src/large
  "$FERRY" sync -a --bwlimit=1m --copy-method=read_write src/ dst 2>err &
  local pid=$! status=0 start took_ms
  sleep 0.5
  kill -0 $pid || die "it ended before it could be interrupted: $(<err)"
  start=$(date +%s%N)
  kill -s INT $pid
  wait $pid || status=$?
  took_ms=$((($(date +%s%N) - start) / 1000000))
  echo "ended $took_ms ms after SIGINT"
  expect "status" "$status" 20
  [[ $took_ms -lt 1000 ]] || die "took too long"
  [[ ! -e dst/large ]] || die "a half-written file was left"
  expect "what is left in the destination" "$(ls -A dst)" ""
}

progress_is_shown_on_a_terminal_only() {
  need script
  mkdir src
  local i
  for ((i = 0; i < 20; i++)); do head -c 200K /dev/zero | tr '\0' n >src/$i; done
  "$FERRY" sync -r --bwlimit=2m --progress src/ piped >out 2>err
  expect "standard error in a pipe" "$(<err)" ""
  script -qec "'$FERRY' sync -r --bwlimit=2m --jobs=1 --progress src/ shown" /dev/null >shown.txt
  grep -qE '[1-9][0-9.]* [KM]iB +[0-9]+ of' shown.txt || die "no progress: $(cat -v shown.txt)"
}

"$1"
