#!/usr/bin/env bash
# ranks.sh: generated trees are copied by `mpirun -n 1, 2 and 4 ferry cp -a` and by one process: the copies must agree with
# each other and with the source in everything but inode and ctime. Then the source changes and is copied again over the
# first copies.
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
# shellcheck source=../support/ranks.sh
source "$(dirname "$0")/../support/ranks.sh"
need_root "devices, owners and trusted attributes in the trees"

mount_fs tmpfs from
target=$SCRATCH/from

run_seed() {
  local seed=$1 profile=$2 ranks=$3 source=$SCRATCH/from/source alone=$target/alone together=$target/together
  say "$ranks ranks, seed $seed, $profile"
  tree_generator "$seed" "$source" "--profile=$profile" || exit 2
  expect "ferry cp -a" "$FERRY" cp -aT "$source" "$alone"
  expect "ferry cp -a by $ranks ranks" with_ranks "$ranks" cp -aT --jobs=1 "$source" "$together"
  expect "seed $seed, $ranks ranks: other than by one process" tree_compare "$alone" "$together"
  expect "seed $seed, $ranks ranks: other than the source" tree_compare "$source" "$together"

  tree_generator --change "$((seed + 1000))" "$source" || exit 2
  expect "ferry cp -a over an older copy" "$FERRY" cp -aT "$source" "$alone"
  expect "ferry cp -a by $ranks ranks over an older copy" with_ranks "$ranks" cp -aT --jobs=2 "$source" "$together"
  expect "seed $seed, $ranks ranks, merged: other than by one process" tree_compare "$alone" "$together"
  expect_no_temporaries "$together"
  rm -rf "$source" "$alone" "$together"
}

for ranks in 1 2 4; do
  for ((seed = 1; seed <= $(by_form 1 10); seed++)); do
    run_seed "$seed" small "$ranks"
  done
done
if is_long; then
  run_seed 777 full 4
fi
finish
