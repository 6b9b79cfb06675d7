#!/usr/bin/env bash
# The declarations compile, and say of each function what node/test/types claims.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
tsc=$root/node/node_modules/typescript/bin/tsc
command -v node >/dev/null || { echo "skipped: node is not installed"; exit 77; }
[[ -e $tsc ]] || { echo "skipped: npm's packages are not installed (./dev build node)"; exit 77; }
node "$tsc" --project "$root/node/test/types"
# What is exported is what is declared.
node - "$root/node" <<'JS'
const fs = require('node:fs');
const [root] = process.argv.slice(2);
const declared = new Set([...fs.readFileSync(`${root}/index.d.ts`, 'utf8').matchAll(/^export (?:declare )?(?:function\*?|class|const) (\w+)/gm)].map((match) => match[1]));
const module = fs.readFileSync(`${root}/lib/index.mjs`, 'utf8');
const exported = new Set(module.slice(module.indexOf('{') + 1, module.indexOf('}')).split(',').map((name) => name.trim()).filter(Boolean));
exported.add('FileMap');
const missing = [...declared].filter((name) => !exported.has(name)).concat([...exported].filter((name) => !declared.has(name)));
if (missing.length > 0 || declared.size < 30) {
  console.error(`declared or exported, but not both: ${missing.join(', ')}`);
  process.exit(1);
}
console.log(`${declared.size} declarations checked`);
JS
