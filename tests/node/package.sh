#!/usr/bin/env bash
# What npm packs installs into an empty project, without a network, and works there from both kinds of modules.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
skip() { echo "skipped: $*"; exit 77; }
[[ -n ${FERRY_NATIVE_ADDON-} ]] || skip "the addon is not built (./dev build node)"
command -v npm >/dev/null || skip "npm is not installed"
# Whoever installs the package needs no library of ferry's.
needed=$(readelf --dynamic --wide "$FERRY_NATIVE_ADDON" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
if [[ ${FERRY_SELF_CONTAINED-} == ON ]] && others=$(grep -vxE 'lib[cm]\.so\.6|ld-linux.*' <<<"$needed"); then
  echo "the addon needs more than the C library: ${others//$'\n'/ }"
  exit 1
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A copy, so that what ./dev build node made is left alone.
mkdir "$scratch/package" "$scratch/project"
(cd "$root/node" && cp -r lib examples scripts package.json index.d.ts index.d.mts README.md "$scratch/package")
platform=$(node -p 'process.platform + "-" + process.arch')
mkdir -p "$scratch/package/prebuilt/$platform"
cp "$FERRY_NATIVE_ADDON" "$scratch/package/prebuilt/$platform/ferry.node"
unset FERRY_NATIVE_ADDON
export npm_config_cache=$scratch/cache npm_config_offline=true npm_config_update_notifier=false
archive=$(cd "$scratch/package" && npm pack --silent --pack-destination "$scratch")

cd "$scratch/project"
echo '{"name": "empty", "version": "1.0.0", "private": true}' >package.json
npm install --silent --no-fund --no-audit "$scratch/$archive"
mkdir tree && echo content >tree/file
node -e "require('ferry-native').cpSync('tree', 'by-require', {recursive: true})"
node --input-type=module -e "import { cp } from 'ferry-native'; await cp('tree', 'by-import', {recursive: true})"
diff -r tree by-require
diff -r tree by-import
node node_modules/ferry-native/examples/progress.mjs tree by-example 2>progress
diff -r tree by-example
grep -q '100%' progress

# Without the addon, packing is refused: such a package would not work.
rm -r "$scratch/package/prebuilt"
if (cd "$scratch/package" && npm pack --silent --pack-destination "$scratch" >/dev/null 2>&1); then
  echo "a package without its addon is packed"
  exit 1
fi
echo "the package works"
