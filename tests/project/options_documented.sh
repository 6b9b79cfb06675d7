#!/usr/bin/env bash
# Every long option that a command's --help shows is in its man page and in the completions of all three shells, and
# none of these knows options that the command does not have. Arguments: the command's words, as in "bench tree".
set -euo pipefail
: "${FERRY:?}"
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
command=$1
man=$root/man/ferry-$command.1
problems=0
complain() {
  echo "ferry $*"
  problems=$((problems + 1))
}

# shellcheck source=/dev/null
source "$root/completions/ferry.bash"
in_bash=$(_ferry_options "${*// /-}" | tr ' ' '\n')
[[ $# -eq 2 ]] && in_bash=$(_ferry_options "$1-$2" | tr ' ' '\n')
# The part of the zsh completion that is about this command.
in_zsh=$(sed -n "/^_ferry_$command()/,/^}/p" "$root/completions/_ferry")
if [[ $command == bench ]]; then
  condition="'__ferry_suite $2'"
else
  condition="__fish_seen_subcommand_from $command"
fi
in_fish=$(grep -F -- "$condition" "$root/completions/ferry.fish")

help=$("$FERRY" "$@" --help)
mapfile -t options < <(grep -E '^ +(-|or)' <<<"$help" | grep -oE '(^|[ ,])--[a-z0-9][a-z0-9-]+' | grep -oE '[a-z0-9].*' | sort -u)
[[ ${#options[@]} -gt 1 ]] || complain "$*: no options found in --help"
for option in "${options[@]}"; do
  grep -qE "^\.It Fl (.* )?-$option( |$)" "$man" || complain "$* --$option: not in man/$(basename "$man")"
  grep -qE "^ *--$option=?$" <<<"$in_bash" || complain "$* --$option: not in completions/ferry.bash"
  grep -qE -- "--$option(=|\[|\}|')" <<<"$in_zsh" || complain "$* --$option: not in completions/_ferry"
  grep -qE -- "-l $option( |$)" <<<"$in_fish" || complain "$* --$option: not in completions/ferry.fish"
done
while read -r known; do
  known=${known#--}
  grep -qFx -- "${known%=}" <<<"$(printf '%s\n' "${options[@]}")" ||
    complain "$*: completions/ferry.bash knows --$known, --help does not"
done < <(grep -- '^ *--' <<<"$in_bash")
echo "ferry $*: ${#options[@]} options, $problems problems"
[[ $problems -eq 0 ]]
