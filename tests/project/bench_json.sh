#!/usr/bin/env bash
# Every field of the JSON documents that ferry bench writes is in docs/bench-json.md.
set -euo pipefail
: "${FERRY:?}"
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
command -v jq >/dev/null || { echo "skipped: jq is not installed"; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$FERRY" bench tree --copies 2 --rounds 5 --json "$scratch/run.json" >/dev/null
"$FERRY" bench compare "$scratch/run.json" "$scratch/run.json" --fail-on counts --json "$scratch/changes.json" >/dev/null
# The names of facts and counts are no fields.
mapfile -t fields < <(jq -r 'del(.. | .facts?, .counts?) | .. | keys? // [] | .[] | strings' \
  "$scratch"/*.json "$root"/tests/bench/saved/*.json | sort -u)
[[ ${#fields[@]} -gt 50 ]] || { echo "only ${#fields[@]} fields found"; exit 1; }
status=0
for field in facts counts "${fields[@]}"; do
  grep -qF "\`$field\`" "$root/docs/bench-json.md" || { echo "docs/bench-json.md does not have $field"; status=1; }
done
echo "${#fields[@]} fields checked"
exit $status
