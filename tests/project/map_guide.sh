#!/usr/bin/env bash
# The examples of docs/map.md are those that tests/map/guide_test.cpp compiles and runs.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)

# The examples of the test, without their indentation: each begins with a line "// NAME".
tested=$(awk '/\/\/ guide end/ {inside = 0; next}
  /\/\/ guide: / {inside = 1; indent = index($0, "/") - 1; print "// " substr($0, index($0, ": ") + 2); next}
  inside {print substr($0, 1, indent) ~ /^ *$/ ? substr($0, indent + 1) : $0}' "$root/tests/map/guide_test.cpp")
shown=$(awk '/^```$/ {inside = 0} inside {print} /^```cpp$/ {inside = 1}' "$root/docs/map.md")
if ! diff <(printf '%s\n' "$tested") <(printf '%s\n' "$shown"); then
  echo "docs/map.md (>) shows other examples than tests/map/guide_test.cpp (<) has"
  exit 1
fi
examples=$(grep -c '^```cpp$' "$root/docs/map.md")
echo "$examples examples compared"
[[ $examples -ge 10 ]]
