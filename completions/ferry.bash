# bash completion for ferry                                -*- shell-script -*-

# Every option in the form that is completed; those that end in = take a value.
_ferry_options() {
  case $1 in
    cp)
      echo "--archive --attributes-only --backup --backup= --chunk-size= --context --copy-contents --debug --dereference
        --direct --dry-run --explain --force --fsync --help --inplace --interactive --iopoll --jobs= --json --keep-directory-symlink
        --link --method= --no-clobber --no-dereference --no-preserve= --no-target-directory --one-file-system --parents
        --preallocate --preserve --preserve= --progress --progress= --queue-depth= --recursive --reflink --reflink=
        --remove-destination --sparse= --strip-trailing-slashes --suffix= --symbolic-link --target-directory= --update
        --update= --verbose --verify --version -a -b -d -f -H -i -L -l -n -P -p -R -r -S -s -T -t -u -v -x -Z"
      ;;
    sync)
      echo "--8-bit-output --acls --append --append-verify --archive --atimes --backup --backup-dir=
        --buffer-size-kb= --bwlimit= --checksum --checksum-choice= --chmod= --chown= --compare-dest= --copy-dest=
        --copy-dirlinks --copy-links --copy-method= --copy-unsafe-links --cpu-count= --crtimes --cvs-exclude
        --delay-updates --delete --delete-after --delete-before --delete-delay --delete-during --delete-excluded
        --devices --dirs --dry-run --exclude-from= --exclude= --executability --existing --explain --files-from=
        --filter= --force --from0 --fsync --group --groupmap= --hard-links --help --human-readable --ignore-errors
        --ignore-existing --ignore-times --include-from= --include= --info= --inplace --itemize-changes --jobs=
        --json --keep-dirlinks --link-dest= --links --log-file-format= --log-file= --max-delete=
        --max-files-in-flight= --max-size= --min-size= --mkpath --modify-window= --no-adaptive-concurrency
        --no-implied-dirs --numeric-ids --omit-dir-times --omit-link-times --one-file-system --open-noatime
        --out-format= --owner --partial --partial-dir= --perms --preallocate --progress --prune-empty-dirs
        --queue-depth= --quiet --recursive --reflink --reflink-dest= --reflink= --relative --remove-source-files
        --resume= --retry-failed= --safe-links --size-only --sparse --specials --stats --stop-after= --stop-at=
        --suffix= --temp-dir= --timeout= --times --update --usermap= --verbose --verify --version --whole-file
        --xattrs -0 -8 -@ -A -a -b -C -c -D -d -E -F -f -g -H -h -I -i -J -K -k -L -l -m -N -n -O -o -P -p -q -R -r
        -S -T -t -U -u -V -v -W -X -x"
      ;;
    probe) echo "--help --json" ;;
    bench) echo "--help" ;;
    bench-tree)
      echo "--copies --from --grep --help --html --json --peers --readdir --rounds --source --syscalls --title --to --warm-up"
      ;;
    bench-trees)
      echo "--cold --flags --from --grep --help --html --json --peers --preset --rival --rounds --source --stage --title --to
        --warm --warm-up"
      ;;
    bench-file)
      echo "--cold --from --fsync --grep --help --html --json --method --peers --rival --rounds --size --sparse --title --to
        --warm --warm-up"
      ;;
    bench-node) echo "--copies --from --grep --help --html --json --package --peers --rounds --title --to --warm-up" ;;
    bench-copy-range) echo "--from --grep --help --html --iterations --json --rounds --size --title --to --warm-up" ;;
    bench-zero-copy)
      echo "--cold --from --fsync --grep --help --html --json --max-size --peers --rounds --size --title --to --warm --warm-up"
      ;;
    bench-concurrent)
      echo "--choose --files --from --grep --help --html --json --keep --mode --peers --rounds --size --title --to --warm-up --workers"
      ;;
    bench-sync)
      echo "--cold --files --from --grep --help --html --json --large-size --many-files --peers --rounds --size --title --to --warm --warm-up --xfs"
      ;;
    bench-mmap) echo "--filter --grep --help --html --json --min-time --rounds --title --to --warm-up" ;;
    bench-counts) echo "--grep --help --html --json --title --to" ;;
    bench-compare) echo "--fail-on --help --json --threshold" ;;
    bench-report) echo "--charts --help --html --markdown --summary" ;;
    *) echo "--help --version" ;;
  esac
}

# The words that may follow an option; empty for file names, sizes and numbers.
_ferry_values() {
  case $1 in
    --reflink | --progress | --sparse) echo "auto always never" ;;
    --update) echo "all none none-fail older" ;;
    --backup) echo "none off numbered t existing nil simple never" ;;
    --preserve | --no-preserve) echo "mode ownership timestamps links xattr all" ;;
    --method | --copy-method) echo "reflink copy_file_range splice sendfile uring read_write" ;;
    --info) echo "all del flist misc name none nonreg progress progress2 remove skip stats stats2 symsafe" ;;
    --checksum-choice) echo "auto md4 md5 none sha1 xxh128 xxh3 xxh64" ;;
    --preset) echo "share small-files medium-files flat" ;;
    --flags) echo "-a -r" ;;
    --fail-on) echo "any counts" ;;
    --mode) echo "auto uring threads both" ;;
    --peers) echo "cp rsync tar dd find node bun std go all none" ;;
  esac
}

_ferry() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local command=${COMP_WORDS[1]-}
  COMPREPLY=()

  if [[ $COMP_CWORD -eq 1 ]]; then
    mapfile -t COMPREPLY < <(compgen -W "cp sync probe bench --help --version" -- "$current")
    return
  fi
  if [[ $command == bench ]]; then
    if [[ $COMP_CWORD -eq 2 ]]; then
      mapfile -t COMPREPLY < <(compgen -W "tree trees file copy-range zero-copy concurrent sync mmap node counts compare report --help" -- "$current")
      return
    fi
    command=bench-${COMP_WORDS[2]}
  fi

  # "--option=value" comes as three words, because = separates words.
  local option=$previous
  if [[ $current == = ]]; then
    current=""
  elif [[ $previous == = && $COMP_CWORD -ge 2 ]]; then
    option=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  local takes_value=no
  if [[ $previous == = || ${COMP_WORDS[COMP_CWORD]} == = || $command == bench-* ]]; then
    takes_value=yes
  fi

  local values=""
  if [[ $takes_value == yes && $option == --* ]]; then
    values=$(_ferry_values "$option")
  fi
  if [[ -n $values ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current")
  elif [[ $option == --target-directory || $previous == -t || $option == --from || $option == --to ]]; then
    mapfile -t COMPREPLY < <(compgen -d -- "$current")
    compopt -o filenames
  elif [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_ferry_options "$command")" -- "$current")
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
      compopt -o nospace
    fi
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    compopt -o filenames
  fi
}

complete -F _ferry ferry
