#!/usr/bin/env bash
# The tests of the Node.js package by one runtime: run.sh node|bun.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
runtime=$1
skip() { echo "skipped: $*"; exit 77; }
[[ -n ${FERRY_NATIVE_ADDON-} ]] || skip "the addon is not built (./dev build node)"

command=("$runtime")
if [[ $runtime == bun ]]; then
  command -v bun >/dev/null || command=("$HOME/.cache/ferry/peers/node_modules/.bin/bun")
  command -v "${command[0]}" >/dev/null || skip "bun is not installed (./dev bench --install-rivals)"
  [[ -z ${FERRY_SANITIZE-} ]] || skip "bun has its own allocator, which AddressSanitizer does not see"
else
  command -v node >/dev/null || skip "node is not installed"
fi
if [[ ${FERRY_SANITIZE-} == *address* ]]; then
  # The runtime is not built with it: its own memory is not checked, and V8 leaks by design at exit.
  LD_PRELOAD=$(g++ -print-file-name=libasan.so):$(g++ -print-file-name=libubsan.so)
  export LD_PRELOAD ASAN_OPTIONS=detect_leaks=0:alloc_dealloc_mismatch=0:${ASAN_OPTIONS-}
fi
status=0
for file in "$root"/node/test/*.test.cjs; do
  name=$(basename "$file")
  case $runtime in
    node) "${command[@]}" --expose-gc --test-reporter=spec "$file" || status=1 ;;
    bun) "${command[@]}" test "$file" || status=1 ;;
  esac
  [[ $status -eq 0 ]] || { echo "failed: $name"; exit 1; }
done
