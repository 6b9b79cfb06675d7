#!/usr/bin/env bash
# The reference in docs/node.md is what node/scripts/reference.cjs makes of the declarations.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
command -v node >/dev/null || { echo "skipped: node is not installed"; exit 77; }
node "$root/node/scripts/reference.cjs" --check
