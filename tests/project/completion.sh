#!/usr/bin/env bash
# The bash completion completes; those for zsh and fish are accepted by their shells, where installed.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
mkdir directory
touch file
# shellcheck source=/dev/null
source "$root/completions/ferry.bash"
compopt() { :; }  # only allowed while readline completes

# expect WANTED WORD...: completing the last of the words gives WANTED.
expect() {
  local wanted=$1 got
  shift
  COMP_WORDS=("$@")
  COMP_CWORD=$(($# - 1))
  _ferry
  got=$(printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | paste -sd ' ')
  [[ $got == "$wanted" ]] || { echo "failed: '$*' completes to '$got', not '$wanted'"; exit 1; }
}
expect '--help --version bench cp probe sync' ferry ''
expect 'cp' ferry c
expect '--reflink --reflink=' ferry cp --refl
expect 'always auto never' ferry cp --reflink =
expect 'always auto' ferry cp --reflink = a
expect 'directory file' ferry cp --reflink ''
expect 'directory' ferry cp -t ''
expect 'file' ferry cp -a f
expect '--link-dest=' ferry sync --link-d
expect 'uring' ferry sync --copy-method = u
expect '--json' ferry probe --j
expect 'file' ferry bench f
expect 'tree trees' ferry bench tr
expect '--min-time' ferry bench mmap --m
expect '--preset' ferry bench trees --pre
expect 'small-files' ferry bench trees --preset sm
expect '--iterations' ferry bench copy-range --it
expect '--sparse' ferry bench file --sp
expect 'compare concurrent copy-range counts' ferry bench c
expect 'any counts' ferry bench compare --fail-on ''
expect '--markdown' ferry bench report --m

for check in "zsh -n $root/completions/_ferry" "fish -n $root/completions/ferry.fish"; do
  if command -v "${check%% *}" >/dev/null; then
    $check
  else
    echo "not checked, not installed: ${check%% *}"
  fi
done
echo "the completions work"
