#!/usr/bin/env bash
# generate.sh ROOT: writes what ROOT/README.md and ROOT/docs/PERFORMANCE.md have between their marks, and ROOT/docs/charts,
# from the saved runs in ROOT/docs/performance. Called by ./dev bench --docs, and by a test that compares.
# Environment: FERRY, the program; CHARTS, the bundled src/bench/html/svg.js, or empty to leave the charts alone.
set -euo pipefail
: "${FERRY:?}"
root=$1
saved=$root/docs/performance

# Those of the list that were measured; with an argument, those that are to be shown there.
measured() {
  local name where rest
  while IFS='|' read -r name where rest; do
    [[ $name == \#* || ! -e $saved/$name.json || ( -n ${1-} && $where != "$1" ) ]] || printf '%s\n' "$saved/$name.json"
  done <"$saved/measurements"
}

# splice FILE: standard input takes the place of what is between the marks of the file.
splice() {
  local file=$1 new mark
  for mark in begin end; do
    grep -q "^<!-- measured: $mark" "$file" || { echo "$file has no line '<!-- measured: $mark'" >&2; exit 1; }
  done
  new=$(mktemp)
  {
    sed -n '1,/^<!-- measured: begin/p' "$file"
    echo
    cat
    sed -n '/^<!-- measured: end/,$p' "$file"
  } >"$new"
  cat "$new" >"$file"
  rm "$new"
}

for file in "$saved"/*.json; do
  name=$(basename "$file" .json)
  grep -q "^$name|" "$saved/measurements" || { echo "$file is not in $saved/measurements" >&2; exit 1; }
done
mapfile -t all < <(measured)
mapfile -t shown < <(measured README)
[[ ${#shown[@]} -gt 0 ]] || { echo "no saved runs in $saved" >&2; exit 1; }

"$FERRY" bench report --markdown --charts charts "${all[@]}" | splice "$root/docs/PERFORMANCE.md"
{ "$FERRY" bench report --summary "${shown[@]}"; echo; } | splice "$root/README.md"
if [[ -n ${CHARTS-} ]]; then
  mkdir -p "$root/docs/charts"
  rm -f "$root"/docs/charts/*.svg
  node "$CHARTS" "$root/docs/charts" "${all[@]}"
fi
