#!/usr/bin/env bash
# README.md, docs/PERFORMANCE.md and docs/charts are what docs/performance/generate.sh makes of the saved runs.
# Argument: the bundled program that draws the charts; empty if it was not built.
set -euo pipefail
: "${FERRY:?}"
charts=${1-}
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

mkdir "$scratch/docs"
cp -r "$root/README.md" "$scratch"
cp -r "$root/docs/PERFORMANCE.md" "$root/docs/performance" "$scratch/docs"
[[ -n $charts ]] || { echo "not checked: docs/charts, because npm's packages were missing"; cp -r "$root/docs/charts" "$scratch/docs"; }
CHARTS=$charts "$root/docs/performance/generate.sh" "$scratch"

status=0
for each in README.md docs/PERFORMANCE.md docs/charts; do
  diff -ru "$root/$each" "$scratch/$each" || { echo "$each: please run ./dev bench --docs"; status=1; }
done
while read -r chart; do
  [[ -e $root/docs/$chart ]] || { echo "docs/PERFORMANCE.md shows docs/$chart, which is not there"; status=1; }
done < <(sed -n 's/^!\[.*](\(charts\/.*\))$/\1/p' "$root/docs/PERFORMANCE.md")

# The generator refuses a saved run that nothing shows, and a document without marks.
cp "$scratch/docs/performance/small-tree.json" "$scratch/docs/performance/stray.json"
! CHARTS="" "$root/docs/performance/generate.sh" "$scratch" 2>/dev/null || { echo "a stray run is not seen"; status=1; }
rm "$scratch/docs/performance/stray.json"
echo "no marks" >"$scratch/README.md"
! CHARTS="" "$root/docs/performance/generate.sh" "$scratch" 2>/dev/null || { echo "a lost mark is not seen"; status=1; }
[[ $status -eq 0 ]] && echo "the documentation is what the saved runs say"
exit $status
