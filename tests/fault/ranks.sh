#!/usr/bin/env bash
# ranks.sh CASE: what goes wrong under mpirun.
# shellcheck disable=SC2317,SC2181  # the cases are called by name
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
# shellcheck source=../support/ranks.sh
source "$(dirname "$0")/../support/ranks.sh"

# fails_with TEXT COMMAND...: it must fail, and say this.
fails_with() {
  local text=$1 output status
  shift
  output=$("$@" 2>&1)
  status=$?
  ((status != 0)) || fail "succeeded: $*"
  [[ $output == *"$text"* ]] || fail "did not say \"$text\": $output"
}

small_tree() {
  mkdir -p "$SCRATCH/s/a/b"
  for i in $(seq 60); do
    echo "$i" >"$SCRATCH/s/a/$i"
    echo "$i" >"$SCRATCH/s/a/b/$i"
  done
}

# At random moments one rank of four is killed. Every name holds its old or its new content, and the next run repairs all.
a_killed_rank_ends_the_job_and_leaves_no_half_file() {
  local files=400 target=$SCRATCH/target version started duration_us job victim found in_the_middle=0 failed=0 i status
  RANDOM=1
  for version in 1 2; do
    versioned_tree make "$SCRATCH/version$version" "$version" "$files" || exit 2
  done
  cp -aT "$SCRATCH/version1" "$target"
  started=$(date +%s%N)
  with_ranks 4 cp -aT --jobs=1 "$SCRATCH/version2" "$target" || fail "the undisturbed run failed"
  duration_us=$((($(date +%s%N) - started) / 1000))
  for ((i = 0; i < $(by_form 6 60); i++)); do
    local old=$((i % 2 == 0 ? 2 : 1)) new=$((i % 2 == 0 ? 1 : 2))
    mpirun -n 4 "$FERRY" cp -aT --jobs=1 "$SCRATCH/version$new" "$target" 2>/dev/null &
    job=$!
    sleep "$(printf '0.%06d' $((duration_us / 3 + RANDOM * 32 % (duration_us * 2 / 3) )))"
    victim=$(pgrep -P "$job" -f "cp -aT" | sed -n "$((i % 4 + 1))p")
    [[ -n $victim ]] && kill -KILL "$victim" 2>/dev/null
    { wait "$job"; } 2>/dev/null
    status=$?
    found=$(versioned_tree check "$target" "$old" "$new" "$files") || fail "kill $i: $(head -n 5 <<<"$found")"
    ((status != 0)) && failed=$((failed + 1))
    [[ $found =~ new\ ([0-9]+)\ missing ]]
    if ((BASH_REMATCH[1] < files)); then
      in_the_middle=$((in_the_middle + 1))
      ((status != 0)) || fail "kill $i: the job ended with status 0 and was not done"
    fi
    expect "kill $i: the next run" "$FERRY" cp -aT "$SCRATCH/version$new" "$target"
    expect "kill $i: after the next run the tree is not the source's" tree_compare "$SCRATCH/version$new" "$target"
    expect_no_temporaries "$target"
  done
  say "$failed jobs ended by a kill, $in_the_middle of them with files left to copy"
  ((failed > 0)) || fail "no kill met a running job"
}

# By ranges, of which one of the killed rank is missing.
a_large_file_keeps_its_old_content_when_a_rank_is_killed() {
  local job victim old new i killed=0
  mkdir "$SCRATCH/s" "$SCRATCH/d"
  head -c 700M /dev/urandom >"$SCRATCH/s/large"
  echo old >"$SCRATCH/d/large"
  new=$(md5sum <"$SCRATCH/s/large")
  old=$(md5sum <"$SCRATCH/d/large")
  for ((i = 0; i < $(by_form 4 20); i++)); do
    mpirun -n 3 "$FERRY" cp -aT --jobs=1 --method=read_write "$SCRATCH/s" "$SCRATCH/d" 2>/dev/null &
    job=$!
    sleep "0.$((45 + 12 * i % 50))"
    victim=$(pgrep -P "$job" -f "cp -aT" | sed -n "$((i % 3 + 1))p")
    [[ -n $victim ]] && kill -KILL "$victim" 2>/dev/null
    if ! { wait "$job"; } 2>/dev/null; then
      killed=$((killed + 1))
    fi
    case $(md5sum <"$SCRATCH/d/large") in
      "$old") ;;
      "$new") break ;;
      *) fail "kill $i: neither the old nor the new content" ;;
    esac
  done
  say "$killed jobs killed"
  expect "the next run" with_ranks 3 cp -aT "$SCRATCH/s" "$SCRATCH/d"
  expect "the copy" cmp "$SCRATCH/s/large" "$SCRATCH/d/large"
  expect_no_temporaries "$SCRATCH/d"
}

errors_and_status_are_those_of_one_process() {
  local alone together i
  small_tree
  for i in $(seq 0 7 59); do
    mkdir -p "$SCRATCH/d1/a/$i" "$SCRATCH/d2/a/$i"
  done
  alone=$("$FERRY" cp -aT "$SCRATCH/s" "$SCRATCH/d1" 2>&1)
  (($? == 1)) || fail "one process: no status 1"
  together=$(with_ranks 3 cp -aT "$SCRATCH/s" "$SCRATCH/d2" 2>&1)
  (($? == 1)) || fail "three ranks: no status 1"
  alone=$(grep '^ferry cp:' <<<"$alone" | sed 's@/d1/@/d/@g' | sort)
  together=$(grep '^ferry cp:' <<<"$together" | sed 's@/d2/@/d/@g' | sort)
  [[ -n $alone && $alone == "$together" ]] || fail "one process says: $alone
three ranks: $together"
}

json_sums_up_all_ranks() {
  local alone together
  need jq
  small_tree
  alone=$("$FERRY" cp -aT --json "$SCRATCH/s" "$SCRATCH/d1" | jq -cS 'del(.seconds, .elapsed_ns, .elapsed_seconds, .bytes_per_second)')
  together=$(with_ranks 4 cp -aT --json "$SCRATCH/s" "$SCRATCH/d2" | jq -cS 'del(.seconds, .elapsed_ns, .elapsed_seconds, .bytes_per_second)')
  [[ -n $alone && $alone == "$together" ]] || fail "one process: $alone, four ranks: $together"
  [[ $(with_ranks 4 cp -aTv "$SCRATCH/s" "$SCRATCH/d3" | sort) == $("$FERRY" cp -aTv "$SCRATCH/s" "$SCRATCH/d4" | sed 's@/d4@/d3@g' | sort) ]] ||
    fail "-v prints other lines"
}

ranks_that_see_other_files_are_refused() {
  small_tree
  mkdir "$SCRATCH/elsewhere"
  cp -a "$SCRATCH/s" "$SCRATCH/elsewhere/s"
  fails_with "rank 1" mpirun -n 1 -wdir "$SCRATCH" "$FERRY" cp -aT s d : -n 1 -wdir "$SCRATCH/elsewhere" "$FERRY" cp -aT s d
  fails_with "other arguments" mpirun -n 1 "$FERRY" cp -aT "$SCRATCH/s" "$SCRATCH/d" : -n 1 "$FERRY" cp -rT "$SCRATCH/s" "$SCRATCH/d"
  [[ ! -e $SCRATCH/d && ! -e $SCRATCH/elsewhere/d ]] || fail "something was written"
}

a_destination_that_is_not_shared_is_refused() {
  need_root "mounts file systems"
  small_tree
  mkdir "$SCRATCH/t"
  # Rank 1 in a mount namespace of its own has another file system there.
  # shellcheck disable=SC2016  # for the inner shell
  fails_with "is in another place" mpirun -n 2 bash -c '
    target=$1; shift
    if [[ $OMPI_COMM_WORLD_RANK == 1 ]]; then
      exec unshare --mount --propagation private bash -c "mount -t tmpfs none \"\$0\" && exec \"\$@\"" "$target" "$@"
    fi
    exec "$@"' bash "$SCRATCH/t" "$FERRY" cp -a "$SCRATCH/s" "$SCRATCH/t/"
  [[ -z $(ls "$SCRATCH/t") ]] || fail "something was written"
}

bad_arguments_are_told_once() {
  local output
  output=$(with_ranks 3 cp --no-such-option a b 2>&1)
  (($? != 0)) || fail "succeeded"
  (($(grep -c "no-such-option" <<<"$output") == 1)) || fail "said it more than once: $output"
  fails_with "--parents" with_ranks 2 cp --parents a b
  fails_with "-i (--interactive)" with_ranks 2 cp -i a b
  fails_with "cannot stat" with_ranks 2 cp "$SCRATCH/nothing" "$SCRATCH/d"
}

sync_refuses_to_be_several() {
  small_tree
  fails_with "ferry sync: cannot share its work" with_ranks 2 sync -a "$SCRATCH/s/" "$SCRATCH/d/"
  [[ ! -e $SCRATCH/d ]] || fail "something was written"
}

# A program that mpirun has started and that calls ferry.
ferry_mpi_off_is_a_process_on_its_own() {
  small_tree
  OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2 FERRY_MPI=off expect "alone" "$FERRY" cp -aT "$SCRATCH/s" "$SCRATCH/d"
  expect "the copy" tree_compare "$SCRATCH/s" "$SCRATCH/d"
}

ctrl_c_stops_all_ranks() {
  local job status files=400
  versioned_tree make "$SCRATCH/version1" 1 "$files" || exit 2
  for ((i = 0; i < 4; i++)); do
    mpirun -n 3 "$FERRY" cp -aT --jobs=1 "$SCRATCH/version1" "$SCRATCH/d$i" 2>/dev/null &
    job=$!
    sleep "0.$((2 + i))"
    kill -INT "$job" 2>/dev/null
    { wait "$job"; } 2>/dev/null
    status=$?
    if [[ -e $SCRATCH/d$i ]]; then
      versioned_tree check "$SCRATCH/d$i" 1 1 "$files" >"$SCRATCH/found" || fail "half files: $(head -n 3 "$SCRATCH/found")"
    fi
    ((status != 0)) || expect "status 0, but" tree_compare "$SCRATCH/version1" "$SCRATCH/d$i"
  done
  ! pgrep -f "$SCRATCH/version1" >/dev/null || fail "a rank is left"
}

"$1"
finish
