#!/usr/bin/env bash
# ./dev bench --against, in a repository whose "ferry" is a script that reports as many system calls as a file says.
set -euo pipefail
: "${FERRY:?}"
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
command -v git >/dev/null || { echo "skipped: git is not installed"; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export GIT_CONFIG_GLOBAL=$scratch/gitconfig GIT_CONFIG_SYSTEM=/dev/null
git config --global user.name "A Tester"
git config --global user.email tester@example.invalid

mkdir "$scratch/project"
cd "$scratch/project"
git init --quiet
mkdir -p src/bench/html/node_modules
echo '{}' | tee src/bench/html/package-lock.json >src/bench/html/node_modules/.installed
cp "$root/dev" "$root/CMakePresets.json" .
echo 'build/' >.gitignore
cat >CMakeLists.txt <<'TEXT'
cmake_minimum_required(VERSION 3.25)
project(pretended NONE)
add_custom_target(ferry_cli ALL COMMAND cp ${CMAKE_SOURCE_DIR}/ferry ${CMAKE_BINARY_DIR}/ferry)
TEXT
cat >ferry <<'TEXT'
#!/usr/bin/env bash
# ferry bench counts --json FILE: a report of CALLS calls. Comparing is done by the real one.
calls=CALLS schema=SCHEMA
case $2 in
  compare) exec "$FERRY" "$@" ;;
  counts) ;;
  *) echo "no such suite: $2" >&2; exit 2 ;;
esac
[[ $* == *--help* ]] && exit
[[ $calls != refuse ]] || { echo "what is counts?" >&2; exit 2; }
[[ $calls != random ]] || calls=$RANDOM$RANDOM
sed "s/\"schema\": 2/\"schema\": $schema/; s/\"openat\": 4/\"openat\": $calls/" "$COUNTS" >"${@: -1}"
TEXT
export FERRY COUNTS=$root/tests/bench/saved/counts.json

# commit CALLS [SCHEMA]: a version of the command that makes so many calls.
commit() {
  sed -i "s/^calls=.*/calls=$1 schema=${2:-2}/" ferry
  git add -f .
  git commit --quiet -m "$1 calls"
}

# expect STATUS TEXT ARGUMENTS...: ./dev bench --against ARGUMENTS ends so, says the text, and leaves no checkout.
expect() {
  local wanted=$1 text=$2 status=0 output
  shift 2
  output=$(./dev bench --against "$@" 2>&1) || status=$?
  if [[ $status -ne $wanted ]] || ! grep -qF -- "$text" <<<"$output"; then
    echo "failed: --against $*: exit status $status, wanted $wanted and '$text': $output"
    exit 1
  fi
  [[ $(git worktree list | wc -l) -eq 1 && ! -e build/against/checkout ]] || { echo "failed: the checkout stays"; exit 1; }
}

chmod +x ferry
commit refuse && git tag refuses
commit 4 1 && git tag schema_1
commit random && git tag random
commit 4 && git tag four
echo 'message(FATAL_ERROR "broken")' >>CMakeLists.txt
commit 4 && git tag broken
sed -i '$d' CMakeLists.txt
commit 5

expect 1 'REGRESSED' four counts
expect 1 'REGRESSED' four --times 1 --fail-on counts counts
expect 77 'skipped: the base does not know these arguments' refuses counts
expect 77 'skipped: the JSON of schema_1 has schema 1, that of now 2' schema_1 counts
expect 2 'counts that should not change differ from run to run' random counts
expect 2 'broken does not build' broken counts
expect 2 'no such revision: nowhere' nowhere counts
expect 2 'no such suite: nothing' four nothing
expect 2 '--against needs a revision'
expect 2 '--against needs a suite' four
expect 2 'unknown option before the suite: --no' four --no 1 counts
expect 2 '--times needs a value' four --times
expect 2 '--times is a number from 1 to 999: 0' four --times 0 counts

echo >>ferry
expect 1 'head is the working tree with what is not committed' four counts
git checkout --quiet ferry
commit 4
expect 0 'improved' HEAD^ counts
expect 0 '+0.0%' four counts
commit refuse
expect 2 'what is counts?' four counts

git clone --quiet --depth 1 "file://$scratch/project" "$scratch/shallow"
cd "$scratch/shallow"
expect 77 'skipped: the clone is shallow and has no HEAD^' HEAD^ counts
echo "bench --against works"
