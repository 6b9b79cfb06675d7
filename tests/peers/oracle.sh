#!/usr/bin/env bash
# oracle.sh FROM [TO [OPTION...]]: generated trees on the file system FROM are copied to TO (the same if not given) by `cp -a` and by
# `ferry cp -a OPTION...`. The copies must agree with each other and with the source in everything but inode and ctime, and
# rsync must find nothing left to do. Then the source changes and is copied again over the first copies.
# shellcheck source=../support/scenario.sh
source "$(dirname "$0")/../support/scenario.sh"
need_root "devices, owners and trusted attributes in the trees"
need cp rsync

from=$1
to=${2:-$1}
options=("${@:3}")
generator_options=()
# overlayfs refuses to make a whiteout: it would mean "deleted" there.
[[ $to == overlay ]] && generator_options+=(--without=whiteout)

# What may differ between a source and its copy: st_blocks across file systems is each one's own accounting, but a lost
# hole is far beyond the tolerance of tree_compare.
compare_copies() { # WHAT SOURCE BY_CP BY_FERRY
  expect "$1: ferry's copy differs from cp's" tree_compare "$3" "$4"
  expect "$1: ferry's copy differs from the source" tree_compare "$2" "$4"
  expect_rsync_finds_nothing "$1" "$2" "$4"
}

# -i lists what rsync would do. Times of symlinks and nanoseconds are compared too by rsync 3.1.3 and later.
# trusted.SGI_ACL_* are the ACLs of XFS, listed a second time in its own format; a filter of attributes replaces rsync's
# default one, which leaves out system.*.
expect_rsync_finds_nothing() { # WHAT SOURCE COPY
  local found
  found=$(rsync -aHAXn --delete -i --filter='-x trusted.SGI_ACL_*' --filter='-x system.*' "$2/" "$3/" 2>&1) || fail "$1: rsync failed"
  [[ -z $found ]] || fail "$1: rsync would still do: $(head -n 10 <<<"$found")"
}

# A second `cp -a` over an older copy merges. Against cp's twin two things may differ, both where cp is the poorer one:
# it leaves set-user-ID, set-group-ID and sticky bits of the old destination (its chmod is skipped when the ACL was
# set), and attributes that the new source does not have, because it writes into the old inode.
compare_merged() { # WHAT SOURCE BY_CP BY_FERRY
  expect "$1: ferry's copy differs from cp's" tree_compare --ignore=mode,extra_xattrs "$3" "$4"
  expect "$1: ferry's copy differs from the source" tree_compare --ignore=new,extra_xattrs "$2" "$4"
}

mount_fs "$from" from
if [[ $to == "$from" ]]; then
  target=$SCRATCH/from
else
  mount_fs "$to" to
  target=$SCRATCH/to
fi

run_seed() {
  local seed=$1 profile=$2 source=$SCRATCH/from/source by_cp=$target/by-cp by_ferry=$target/by-ferry
  say "$from to $to, seed $seed, $profile ${options[*]}"
  tree_generator "$seed" "$source" "--profile=$profile" "${generator_options[@]}" || exit 2
  sync -f "$source" # delayed allocation would show other block counts a moment later
  expect "cp -a" cp -aT "$source" "$by_cp"
  expect "ferry cp -a" "$FERRY" cp -aT "${options[@]}" "$source" "$by_ferry"
  sync -f "$target"
  compare_copies "fresh, seed $seed" "$source" "$by_cp" "$by_ferry"

  tree_generator --change "$((seed + 1000))" "$source" || exit 2
  expect "cp -a over an older copy" cp -aT "$source" "$by_cp"
  expect "ferry cp -a over an older copy" "$FERRY" cp -aT "${options[@]}" "$source" "$by_ferry"
  sync -f "$target"
  compare_merged "merged, seed $seed" "$source" "$by_cp" "$by_ferry"
  expect_no_temporaries "$by_ferry"
  rm -rf "$source" "$by_cp" "$by_ferry"
}

for ((seed = 1; seed <= $(by_form $((${#options[@]} > 0 ? 1 : 2)) 20); seed++)); do
  run_seed "$seed" small
done
if is_long; then
  run_seed 777 full
fi
finish
