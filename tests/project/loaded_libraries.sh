#!/usr/bin/env bash
# What the program loads when it starts: nothing from the current directory, which is what an empty name in its search
# path means; and where it is self-contained (argument 2 is ON) nothing but libc's own libraries. Argument 1: the program.
set -euo pipefail
program=$1 self_contained=${2-OFF}
dynamic=$(readelf --dynamic --wide "$program")

path=$(sed -n 's/.*(\(RUNPATH\|RPATH\)).*\[\(.*\)\]$/\2/p' <<<"$dynamic")
needed=$(sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' <<<"$dynamic")
echo "loads: ${needed//$'\n'/ }; search path: ${path:-none}"
grep -q '^libc\.so' <<<"$needed" || { echo "readelf's output was not understood"; exit 1; }

status=0
if [[ -n $path ]]; then
  IFS=: read -ra entries <<<"$path:end"
  for entry in "${entries[@]}"; do
    [[ $entry == end || $entry == /* || $entry == "\$ORIGIN"* ]] || { echo "relative search path: '$entry'"; status=1; }
  done
fi
if [[ $self_contained == ON ]] && grep -vE '^(libc|libm|ld-linux[^ ]*)\.so' <<<"$needed"; then
  echo "loads the above besides libc: starting takes as long as copying"
  status=1
fi

# The same by the loader's own account, in a directory where every library that it might look for is a trap.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
while read -r name; do
  echo trap >"$scratch/$name"
done < <(ldd "$program" | sed -n 's/^[[:space:]]*\([^ /]*\.so[^ ]*\) .*/\1/p'; printf '%s\n' "$needed" libstdc++.so.6)
program=$(realpath "$program")
(cd "$scratch" && env -u LD_LIBRARY_PATH "$program" --version >/dev/null) || { echo "loaded a library of the current directory"; status=1; }
exit $status
