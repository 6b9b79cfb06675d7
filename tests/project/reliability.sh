#!/usr/bin/env bash
# Every test and every source that docs/RELIABILITY.md names exists.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
status=0 names=0
# shellcheck disable=SC2016  # backquotes of Markdown
while read -r name; do
  names=$((names + 1))
  case $name in
    src/* | tests/*) [[ -e ${name%/} || $name == */ROOM/ ]] || { echo "no such file: $name"; status=1; } ;;
    oracle_on_*) grep -qw "${name#oracle_on_}" tests/peers/CMakeLists.txt || { echo "no such test: $name"; status=1; } ;;
    *)
      grep -rqwF -- "$name" tests --include='*.cpp' --include=CMakeLists.txt || { echo "no such test: $name"; status=1; } ;;
  esac
done < <(grep -E '^\| [0-9]|^refused|^\(' docs/RELIABILITY.md | sed -E 's/^(\|[^|]*){3}//' | grep -oE '`[A-Za-z0-9_./]+`' | tr -d '`' | sort -u)
[[ $names -gt 20 ]] || { echo "only $names names found"; status=1; }
echo "$names names checked"
exit $status
