#!/usr/bin/env bash
# Runs /bin/cp and `ferry cp` with the same arguments in two copies of one small tree and compares what they print, their
# exit status, and the trees they leave: types, modes, owners, sizes, blocks, link counts and targets, contents,
# modification times, extended attributes and ACLs.
#
#   FERRY=build/release/ferry tests/cli/cp_conformance.sh [REGEX of cases]
#
# KEEP=1000 prints 1000 lines of each difference, FERRY_TEST_LONG=1 runs every case, FERRY_TEST_JOBS=4 that many at a time.
set -u
export LC_ALL=C.UTF-8
unset VERSION_CONTROL SIMPLE_BACKUP_SUFFIX POSIXLY_CORRECT NO_COLOR FERRY_LOG
umask 022

only=${1-}
case $(/bin/cp --version 2>/dev/null | head -n 1) in
  *'(GNU coreutils) 9.1') ;;
  *) echo "skipped: the oracle is cp of coreutils 9.1; here is: $(/bin/cp --version 2>&1 | head -n 1)"; exit 77 ;;
esac

: "${FERRY:?}"
base=$(mktemp -d "$([[ -d /dev/shm ]] && echo /dev/shm || echo /tmp)/ferry-cp-XXXXXX") || exit 1
trap 'chmod -R u+rwX "$base" 2>/dev/null; rm -rf "$base"' EXIT
chmod 755 "$base"
# An ordinary user has to be able to run it, wherever the build directory is.
mkdir "$base/bin" && /bin/cp "$FERRY" "$base/bin/ferry" && ferry=$base/bin/ferry || exit 1
is_root=0; [[ $EUID -eq 0 ]] && is_root=1
have() { command -v "$1" >/dev/null 2>&1; }

# ------------------------------------------------------------------------------------------- the tree
make_template() (
  mkdir "$base/template" && cd "$base/template" || exit 1
  printf 'a\n' >a; printf 'bbbb\n' >b; printf 'older\n' >old; printf 'newer than all\n' >new
  printf 'read only\n' >ro; printf '#!/bin/sh\n' >exe; : >empty; printf 'set-id\n' >suid
  mkdir -p d/sub e tgt/d tgt/e deep/p/q hl/one hl/two
  printf 'd/a\n' >d/a; printf 'd/b\n' >d/b; printf 'd/sub/c\n' >d/sub/c
  ln -s a d/link; ln -s nope d/dangling; ln -s sub d/dirlink; mkfifo d/fifo
  printf 'target a\n' >tgt/a; printf 'target d/a\n' >tgt/d/a; printf 'extra\n' >tgt/d/extra; printf 'plain\n' >tgt/plain
  mkdir -p tgt/deep; printf 'z\n' >deep/p/q/z
  ln -s a la; ln -s d ld; ln -s nope dangling; ln -s loop loop; ln -s tgt ltgt; ln -s b tgt/lb; ln -s ../b tgt/lup
  printf 'hard\n' >h1; ln h1 h2; printf 'x\n' >hl/one/x; ln hl/one/x hl/two/y; ln hl/one/x hl/z
  mkfifo fifo
  printf 'space\n' >'with space'; printf 'newline\n' >$'new\nline'; printf 'quote\n' >"it's"; printf 'x\n' >$'bad\xff'
  printf 'dash\n' >-; printf 'dashed\n' >./-x
  truncate -s 1M sparse; printf 'end' >>sparse
  head -c 300000 /dev/zero >zeros; seq 100000 >long
  [[ $is_root -eq 1 ]] && mknod null c 1 3 && mknod whiteout c 0 0
  have setfattr && setfattr -n user.note -v hello b 2>/dev/null
  have setfacl && setfacl -m u:65534:rw old 2>/dev/null
  chmod 640 a; chmod 444 ro; chmod 755 exe; chmod 4755 suid; chmod 1777 e; chmod 700 d/sub; chmod 2755 deep
  touch -h -d '2020-01-02 03:04:05.123456789' a d/a d/link la ld; touch -d '2021-01-01' b d/b h1; touch -d '2001-01-01' old
  touch -d '2019-01-01' d/sub/c d/sub d deep/p/q/z deep/p/q deep/p deep hl tgt e; touch -d '2018-05-05' tgt/a tgt/d/a
)
make_template
started=$(date +%s)
work=$base  # where the cases of this process run

# What a tree looks like. Times of files made during the test are "now".
listing() (
  cd "$1" || exit
  find . -mindepth 1 -printf '%P\0%y %m %U:%G %n %s %b %l %T@\n' | awk -v start="$started" -F'\0' '
    { name = $1; split($2, f, " "); n = split($2, g, " "); time = g[n]; sub(/ [^ ]*$/, "", $2)
      time = time >= start - 2 ? "now" : time
      if (f[1] == "d") { print name ": directory time " time; print name ": d " f[2] " " f[3]; next }
      print name ": " $2 " " time }' | sort
  find . -type f -exec md5sum {} + 2>/dev/null | sort -k 2
  # One line for each file: the order in which these two walk is the directory's.
  { have getfattr && getfattr -R -h -d -m '^user' -- . 2>/dev/null
    have getfacl && getfacl -R -P -s -p -n . 2>/dev/null
  } | awk -v RS= -v FS='\n' -v OFS=' ' '{ $1 = $1; print }' | sort
)

# ------------------------------------------------------------------------------------------- one case
# A case is "[user |root ][env NAME=VALUE ]ARGUMENTS[ ;; PREPARATION[ ;; INPUT]]": arguments and preparation are shell
# words; "user" runs it as an unprivileged user who owns the tree, "root" only as root.
prefix_user=()
cases=()
ran=0; failed=0; skipped=0; different=0

run_program() {  # NAME COMMAND... : runs in $work/NAME with the current case's arguments
  local name=$1; shift
  /bin/cp -a "$base/template" "$work/$name" || exit 1
  (
    cd "$work/$name" || exit 1
    eval "$preparation"
    [[ ${#prefix_user[@]} -gt 0 ]] && chown -R --no-dereference 65534:65534 .
    [[ $name == tested ]] && identities . >"$work/tested.before"
    eval "set -- \"\$@\" $arguments"
    printf '%b' "$input" | timeout 10 "${prefix_user[@]}" "${environment[@]}" "$@" >"$work/$name.out" 2>"$work/$name.err"
    echo "${PIPESTATUS[1]}" >"$work/$name.status"
  )
  listing "$work/$name" >"$work/$name.tree"
  [[ $name == tested ]] && identities "$work/tested" >"$work/tested.after"
  # The order in which a tree's entries are copied is nobody's promise.
  sort -o "$work/$name.out" "$work/$name.out"
  sed -i "s:$work/$name:HERE:g" "$work/$name.err" "$work/$name.out" "$work/$name.tree"
  # GNU cp quotes operands by '', but arguments of options by the locale's quotation marks; we always by ''.
  sed -e 's/ferry cp: /cp: /g' -e "s/'ferry cp --help'/'cp --help'/" -e "s/[‘’]/'/g" "$work/$name.err" |
    sort >"$work/$name.err.sorted"
  mv "$work/$name.err.sorted" "$work/$name.err"
  chmod -R u+rwX "$work/$name" 2>/dev/null; rm -rf "${work:?}/$name"
}

add_case() { [[ -n $only && ! $1 =~ $only ]] || cases+=("$1"); }

# Whether two trees differ only in the times of directories which cp left alone and in which ferry replaced a name.
only_touches_directories() {
  cmp -s <(grep -av ': directory time ' "$work/oracle.tree") <(grep -av ': directory time ' "$work/tested.tree") &&
    diff "$work/oracle.tree" "$work/tested.tree" | grep -a '^[<>]' |
    awk -v before="$work/tested.before" -v after="$work/tested.after" '
      BEGIN {
        while ((getline line < before) > 0) { split(line, f, "\t"); if (f[1] == "d") time[f[2]] = f[3]; else was[f[2]] = f[3] }
        while ((getline line < after) > 0) {
          split(line, f, "\t"); folder = f[2]; sub("/[^/]*$", "", folder)
          if (f[1] == "f" && f[2] in was && was[f[2]] != f[3] && folder != f[2]) replaced_in[folder] = 1
        }
      }
      { name = $0; sub(/^. /, "", name); sub(/: directory time .*/, "", name) }
      /^</ { if (time[name] != $NF) exit(bad = 1) }
      /^>/ { if (!(name in replaced_in) || $NF != "now") exit(bad = 1) }
      END { exit bad }'
}

# Times of directories and inodes of files, by name.
identities() {
  find "$1" -mindepth 1 \( -type d -printf 'd\t%P\t%T@\0' -o -type f -printf 'f\t%P\t%i\0' \) | tr '\n\0' '?\n'
}

compare() {
  local case=$1 rest part
  prefix_user=()
  environment=()
  rest=$case
  if [[ $rest == 'user '* ]]; then
    rest=${rest#user }
    if [[ $is_root -eq 1 ]]; then
      have setpriv || { skipped=$((skipped + 1)); return; }
      prefix_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    fi
  elif [[ $rest == 'root '* ]]; then
    rest=${rest#root }
    [[ $is_root -eq 1 ]] || { skipped=$((skipped + 1)); return; }
  fi
  if [[ $rest == 'env '* ]]; then
    rest=${rest#env }
    environment=(env "${rest%% *}")
    rest=${rest#* }
  fi
  arguments=${rest%% ;; *}; preparation=:; input=''
  if [[ $rest == *' ;; '* ]]; then
    rest=${rest#* ;; }; preparation=${rest%% ;; *}
    [[ $rest == *' ;; '* ]] && input=${rest#* ;; }
  fi
  run_program oracle cp &
  run_program tested "$ferry" cp
  wait $!
  ran=$((ran + 1))
  if [[ $(<"$work/oracle.status") -ne 0 ]]; then
    # GNU cp prints the line of -v before it tries, ferry when it is done: files that failed have none.
    comm -12 "$work/oracle.out" "$work/tested.out" >"$work/both.out"
    cmp -s "$work/both.out" "$work/tested.out" && cp "$work/tested.out" "$work/oracle.out"
  fi
  local differs=()
  for part in status err out tree; do
    cmp -s "$work/oracle.$part" "$work/tested.$part" && continue
    [[ $part == tree ]] && only_touches_directories && part=touched
    differs+=("$part")
  done
  [[ ${#differs[@]} -eq 0 ]] && return
  for part in "${!known_differences[@]}"; do
    if [[ "${differs[*]}: $case" =~ ^(${known_differences[$part]%% @@ *})$ ]]; then
      different=$((different + 1))
      return
    fi
  done
  failed=$((failed + 1))
  report "$case" "${differs[@]/touched/tree}" >"$work/report"
  cat "$work/report"  # at once: another part may be writing, too
}

report() {  # CASE PARTS...
  local part
  echo "FAILED: cp $1"
  shift
  for part in "$@"; do
    diff -U0 --label "cp: $part" --label "ferry cp: $part" "$work/oracle.$part" "$work/tested.$part" | sed 's/^/    /' |
      head -n "${KEEP:-12}"
  done
}

# Every SHARDS-th case, from the FIRST on, in a directory of its own.
run_shard() {  # FIRST SHARDS
  local at
  work=$base/shard$1
  mkdir "$work" || exit 1
  for ((at = $1; at < ${#cases[@]}; at += $2)); do
    compare "${cases[at]}"
  done
  echo "$ran $failed $different $skipped" >"$work/counts"
}

# Deliberate differences: "PARTS: CASE" as a regular expression, " @@ ", the reason. docs/cp.md tells them to users.
known_differences=(
  'touched: .* @@ an existing file is replaced by renaming, which touches its directory'
  '(err )?(out )?tree: .*(-r \. e|-r e/\.\. e|d d/sub|-ax \. tgt/all.*|d/\.\. e) @@ a tree copied into itself: how much was copied when that was found depends on the order'
  '(err tree|err|status err tree): --strip-trailing-slashes (-r )?(a|ld)/ fresh @@ GNU cp ignores the option when the destination is no directory, against its manual'
  'tree: --strip-trailing-slashes -r ld/ fresh @@ as above'
  'status err tree: .*e/d; ln -s ../../tgt/plain e/d/a @@ a symbolic link in the destination that leads out of it is not followed'
  'status err tree: -r d d/\. e @@ GNU cp says "will not create hard link" of directories; there is no such intention'
  'tree: .*--sparse=always .*zeros.* @@ zeros at the end of a file that do not fill a block are written'
  'err( tree)?: user .*(chmod 444 d|chmod 0 d/sub) @@ files are opened without a stat before, so that is what fails'
  'status err tree: env POSIXLY_CORRECT=1 a dangling @@ nothing is written through a dangling symbolic link'
)

# ------------------------------------------------------------------------------------------- the cases
# Every option against every kind of source and destination ...
options=('' -f -i -n -u -v -b -vb -l -s -P -d -L -p -a -av -r -rv -R -rL -rH -rT -ru -rn -rb -af -al -as -rf
  '--remove-destination' '-r --remove-destination' '-v --remove-destination' -T --attributes-only '-a --attributes-only'
  '--backup=numbered -v' '-S .bak' '-fb' '-fvb' '-d --remove-destination' '-sf' '-lf' '-lv' '-sv' '-x' '--preserve=all'
  '--preserve=mode' '--preserve=timestamps' '-r --no-preserve=mode' '-a --no-preserve=mode,timestamps' '--sparse=always'
  '--sparse=never' '--reflink=never' '--parents' '-r --parents' '-av --parents' '-dR --preserve=links')
pairs=('a b' 'a fresh' 'a tgt' 'a d' 'a ltgt' 'a ro' 'a la' 'la a' 'a a' 'a ./a' 'h1 h2' 'la fresh' 'la b' 'a la' 'a dangling'
  'dangling fresh' 'dangling a' 'dangling dangling' 'loop fresh' 'd fresh' 'd tgt' 'd a' 'd d' 'd d/x' 'd/. tgt' 'd/.. e'
  'd/ fresh' 'ld fresh' 'ld/ fresh' 'nope fresh' 'a nope/x' 'a fresh/' 'a b/' 'a/ fresh' 'a b tgt' 'a d/a tgt' 'a a e'
  'a d tgt' 'a b c' 'a b nope' 'd d e' 'old new' 'new old' 'suid fresh' 'ro b' 'empty b' 'b empty' 'sparse fresh'
  'zeros fresh' 'long b' 'hl fresh' 'hl/one/x hl/z e' 'deep/p/q/z e' 'deep/p tgt' 'a tgt/lb' 'a tgt/lup' "'with space' fresh"
  "\$'new\nline' tgt" "\"it's\" tgt/nope/x" "\$'bad\xff' tgt" '- e' '-- -x e' 'd e tgt')

# ... but for those that would never end or need more than this.
# All of them are a matter of minutes: FERRY_TEST_LONG=1. Else every eighth, each option meeting other pairs.
number=0; step=8; [[ -n ${FERRY_TEST_LONG-} || -n $only ]] && step=1
for option in "${options[@]}"; do
  number=$((number + 1))
  for pair in "${pairs[@]}"; do
    number=$((number + 1))
    [[ $((number % step)) -eq 0 ]] && add_case "$option $pair"
  done
done

# ... and cases of their own.
while IFS= read -r line; do
  [[ -z $line || $line == '#'* ]] || add_case "$line"
done <<'CASES'
# operands

a
-t
-t nope a
-t b a
-t tgt a b
-t tgt
-t tgt -t e a
-t tgt -T a
--target-directory=tgt a b
--target-directory tgt a
-T a b c
-T a tgt
-rT d tgt
-rT a tgt
-rT d a
a b c d
a b tgt/a
'' fresh
a ''
'' ''
a '' tgt
-t '' a
d/../a fresh
-r . e
-r .. e/x/.
-r . fresh
-r / e/x/y
-r e/.. e
-rT d/. fresh
--strip-trailing-slashes a/ fresh
--strip-trailing-slashes ld/ fresh
--strip-trailing-slashes -r ld/ fresh
-r d ./d e
-r d d/ e
-r d hl d e
a ./a d/../a e
-b a a e
h1 h2 e
-a h1 h2 e
a d/a e
-b a d/a e
-f a d/a e
--remove-destination a d/a e
-n a d/a e
-u a d/a e
-r d tgt/d e
-P la d/link e
-P la d/../la e
a e/ ;; ln -s ../b e/a
a e/ ;; ln -s nope e/a
a e/ ;; ln -s loop e/a
-P la e ;; ln -s nope e/la
-d dangling e ;; ln -s elsewhere e/dangling
# option grammar
-q
--foo
--foo=bar a b
--re a b
--recurs d fresh
--p a b
--pa d/a e
--path d/a e
--s a b
--sp=al a b
--v a b
--verb a fresh
--no-p=mode a fresh
--no-preserve a fresh
--force=1 a b
-S
--suffix
--sparse
--sparse=foo a b
--sparse= a b
--sparse=a a b
--reflink=foo a b
--reflink=n a fresh
--preserve= a fresh
--preserve=foo a b
--preserve=mode,foo a b
--preserve=mode,x a b
--preserve=m,t,o a fresh
--preserve=context a b
--preserve=links,xattr b fresh
--preserve=xattr b fresh
--no-preserve=xattr -a b fresh
-a --no-preserve=links hl fresh
-a --no-preserve=all d fresh
-p --no-preserve=ownership a fresh
--backup=foo a b
--backup=n a b
--backup= a b
--backup=off a b
--backup=none a b
--backup=simple a b
--backup=never a b
--backup=nil a b
--backup=existing a b
--backup=t a b
--backup=numbered a b ;; touch b.~7~
-b a b ;; touch b.~7~
-b a b ;; touch b~
-bv a b ;; touch b.~1~ b.~10~ b.~x~
-b -S .x a b
-b --suffix=.x a b
-b --suffix= a b
-b -S / a b
-b -S x/y a b
-bn a b
-nb a b
-nf a b
-in a b
-ni a b ;; : ;; y\n
-ni a b ;; : ;; n\n
-ls a b
--reflink --sparse=always a b
--reflink=always --sparse=never a b
--reflink=auto a fresh
-Z a fresh
--context a fresh
a -v fresh
a fresh -v
-- a fresh
-vf -- -x fresh
-vrt tgt d
-rvttgt d
# questions
-i a b ;; : ;; y\n
-i a b ;; : ;; Y\n
-i a b ;; : ;; yes please\n
-i a b ;; : ;; n\n
-i a b ;; : ;; \n
-i a b
-i a ro ;; : ;; y\n
-if a ro ;; : ;; y\n
-i a fresh
-i a b tgt ;; touch tgt/b ;; y\ny\n
-i a b tgt ;; touch tgt/b ;; n\ny\n
-i a b tgt ;; touch tgt/b ;; y\nn\n
-ri d tgt ;; : ;; y\n
-ri d tgt ;; : ;; n\n
-iu old new ;; : ;; y\n
-iu new old ;; : ;; y\n
-ib a b ;; : ;; y\n
-il a b ;; : ;; y\n
-is a b ;; : ;; y\n
-iP la b ;; : ;; y\n
-i a la ;; : ;; y\n
-i a tgt/lup ;; : ;; y\n
-i a dangling ;; : ;; y\n
-i --remove-destination a b ;; : ;; y\n
-iv --remove-destination a b ;; : ;; n\n
-i --attributes-only a b ;; : ;; y\n
user -i a ro ;; : ;; y\n
user -i a ro ;; : ;; n\n
user -if a ro ;; : ;; y\n
user -i --remove-destination a ro ;; : ;; y\n
user -if a suid ;; chmod 4000 suid ;; n\n
# links
-l a fresh
-l la fresh
-lP la fresh
-l d fresh
-rl d fresh
-rlL d fresh
-al hl fresh
-l a b
-lf a b
-ln a b
-lb a b
-lu a b
-l a a
-l h1 h2
-lf h1 h2
-lb h1 h2
-lfv a b
-rH d tgt ;; ln -s nope tgt/d/link
-rfH d tgt ;; ln -s nope tgt/d/link
-rL fifo b
-s a fresh
-s a e
-rs d/. .
-rs d/. tgt ;; rm -r tgt/*
-rsv --parents d/sub e
-s d/a e
-s "$PWD/a" e
-sv "$PWD/a" e
-rs "$PWD/d" e
-rs d fresh
-s a b
-sf a b
-sb a b
-sn a b
-s d fresh
-sf a la
-s a a
-sf a a
-lf a a
-fb a a
-fbv a a
-fb --backup=numbered a a
-fb a ./a
-b a a
-b a la
-b la a
-bd la a
-f a la
-f la a
--remove-destination a la
--remove-destination la a
--remove-destination a a
--remove-destination h1 h2
-f h1 h2
-b h1 h2
-d la la
-d la d/link
-P la ld
-Pf la ld
-rP la tgt/d
-a la tgt/lb
-a d/. tgt/d
# symbolic links in destinations
-r d e ;; ln -s ../tgt e/d
-a d e ;; mkdir e/d; ln -s ../../tgt/plain e/d/a
-a d e ;; mkdir e/d; ln -s other e/d/a; echo x >e/d/other
-r d e ;; mkdir e/d; ln -s other e/d/a; echo x >e/d/other
-r d e ;; mkdir e/d; ln -s nope e/d/a
-a d e ;; mkdir e/d; ln -s nope e/d/a
-rf d e ;; mkdir e/d; ln -s nope e/d/a
-r --remove-destination d e ;; mkdir e/d; ln -s nope e/d/a
-a d e ;; mkdir e/d e/d/other; ln -s other e/d/sub
-r d e ;; mkdir e/d e/d/link
-r d e ;; mkdir e/d; echo x >e/d/sub
-r d e ;; mkdir -p e/d/a
-a d e ;; mkdir -p e/d/fifo
-a d e ;; mkdir -p e/d; echo x >e/d/fifo
# special files
-r fifo fresh
-R fifo e
-a fifo e
-a fifo b
-af fifo b
-a --remove-destination fifo b
-rb fifo b
-rn fifo b
-ru fifo b
-l fifo fresh
-s fifo fresh
root -a null fresh
root -a whiteout fresh
root -a null whiteout e
root -r null b
root null fresh
root -p null fresh
/dev/null fresh
/dev/null b
root a null
root -f a null
root -r a null
/proc/self/mounts fresh
/proc/cpuinfo fresh
/proc/version b
-r /proc/version fresh
/dev/stdin fresh ;; : ;; hello
/dev/fd/0 fresh ;; : ;; hello
a out ;; ln -s /proc/self/fd/1 out
-v a out ;; ln -s /dev/stdout out
# attributes
-p suid fresh
-p a b
-p a b e
-p la fresh
-pP la fresh
-p d/sub fresh
-rp d fresh
-r d fresh ;; umask 077
-r d fresh ;; chmod 555 d
-rp d fresh ;; chmod 555 d
-a d fresh ;; chmod 555 d d/sub
-a d tgt ;; chmod 555 d
-r d tgt ;; chmod 2775 tgt
-r deep tgt
-a deep tgt
exe fresh ;; umask 027
suid fresh ;; umask 0
suid b
exe ro
-p old fresh
--preserve=mode old fresh
-a old b
old b
b old
-p b old
-a b ro
--attributes-only a b
--attributes-only -p a b
--attributes-only --preserve=all b fresh
--attributes-only -a d tgt
--attributes-only a fresh
--attributes-only suid fresh
--no-preserve=mode exe fresh
--no-preserve=mode -r d fresh
--preserve=mode --no-preserve=mode exe fresh
--preserve=timestamps a b fresh
--preserve=ownership a fresh
-a d fresh ;; chown -R 12:34 d 2>/dev/null || :
-r d fresh ;; chown -R 12:34 d 2>/dev/null || :
-a b fresh ;; setfacl -m u:12:rwx b 2>/dev/null || :
-r d fresh ;; setfacl -d -m u:12:rwx d 2>/dev/null || :
-a d fresh ;; setfacl -d -m u:12:rwx d 2>/dev/null || :
-r d e ;; setfacl -d -m u:12:rwx e 2>/dev/null || :
-a d e ;; setfacl -d -m u:12:rwx e 2>/dev/null || :
a e ;; setfacl -d -m u:12:rwx e 2>/dev/null || :
# update
-u a b
-u b a
-u a fresh
-u h1 b
-uv a b
-uv new old
-uv old new
-ur d tgt
-up new old
-ua d tgt
-u d tgt/a
-u a tgt/d ;; mkdir tgt/d/a.d
-u la tgt/lb
-uP la tgt/lb
# parents
--parents a e
--parents deep/p/q/z e
-v --parents deep/p/q/z e
-v --parents deep/p/q/z deep/p/q/z e
-p --parents deep/p/q/z e
-a --parents deep/p/q/z e
-a --parents deep/p/q/z e ;; mkdir -p e/deep/p
--parents deep/p/q/z e ;; mkdir -p e/deep; chmod 700 e/deep
-r --parents deep/p e
-rv --parents deep/p/ e
-rv --parents deep//p e
-rv --parents deep/p/../p e
--parents nope/x e
--parents deep/nope e
--parents deep/p/q/z e ;; echo x >e/deep
--parents deep/p/q/z e ;; ln -s nope e/deep
-a --parents deep/p/q/z e ;; ln -s ../tgt e/deep
-a --parents deep/p/q/z hl/one/x deep/p/q e
-r --parents deep/p e ;; ln -s ../tgt e/deep
--parents deep/p/q/z e ;; ln -s ../tgt e/deep
--parents deep/p/q/z e ;; mkdir e/tgt; ln -s tgt e/deep
-v --parents ld/a e
-av --parents ld/a e
--parents a fresh
--parents a b
--parents -t e a d/a d/sub/c
--parents d/a deep/p/q/z b e
--parents ./d/a e
--parents d/../d/a e
-T --parents a e
# one file system, recursion
-rx d fresh
-ax . tgt/all ;; rm -f null whiteout; rm -r tgt/d
-r d fresh ;; ln -s .. d/sub/up
-rL d fresh ;; ln -s .. d/sub/up
-rL d fresh
-rL hl d e ;; rm d/dangling
-rL d fresh ;; rm d/dangling
-rH ld fresh
-rH ld dangling e
-rP ld fresh
-r ld/. e
-r d/link fresh
-rL d/link fresh
-r d d/sub
-r d d
-rT d d
-r d d/. e
-r deep/p deep
-r deep deep/p
-rv d/sub/ e/
-r d/* e
-d la ld dangling e
-dR hl fresh
-a hl fresh
-a hl/one hl/two fresh ;; mkdir fresh
-r hl fresh
-a hl tgt ;; mkdir tgt/hl; cp -r hl/one tgt/hl
-a d fresh ;; mkdir d/empty d/empty2
-a --sparse=always zeros fresh
-a --sparse=never sparse fresh
--sparse=always sparse fresh
--sparse=auto sparse b
-a --reflink=never sparse e
--copy-contents -r a fresh
--copy-contents -r /dev/null fresh
# permissions, as an ordinary user
user a fresh
user a e/x ;; chmod 555 e
user a b ;; chmod 555 .
user a ro
user -f a ro
user -fv a ro
user --remove-destination a ro
user -v --remove-destination a ro
user -n a ro
user -b a ro
user a fresh ;; chmod 0 a
user a b ;; chmod 0 a
user -f a b ;; chmod 0 a
user -r d fresh ;; chmod 0 d/sub
user -a d fresh ;; chmod 0 d/sub
user -r d fresh ;; chmod 0 d
user -r d fresh ;; chmod 0 d/a
user -a d fresh ;; chmod 444 d
user -r d tgt ;; chmod 555 tgt
user -r d tgt ;; mkdir tgt/d/sub; chmod 555 tgt/d
user -rf d tgt ;; chmod 444 tgt/d/a
user -r d tgt ;; chmod 444 tgt/d/a
user -r --remove-destination d tgt ;; chmod 444 tgt/d/a
user a tgt/d/x ;; chmod 0 tgt/d
user a tgt/d ;; chmod 0 tgt/d
user a b tgt/d ;; chmod 0 tgt/d
user tgt/d/a fresh ;; chmod 0 tgt/d
user -l a fresh
user -l ro e
user -s a fresh
user -p a fresh
user -a d fresh
user -a suid fresh
user --preserve=ownership /etc/passwd fresh
user -p /etc/passwd fresh
user -a /etc/passwd fresh
user -b a b ;; chmod 555 .
user -a la e ;; chmod 555 e
user -a fifo e ;; chmod 555 e
user -r d e ;; chmod 555 e
user --parents d/a e ;; chmod 555 e
user --parents d/sub/c e ;; chmod 0 d/sub
user --attributes-only a ro
user -p a ro
user -u new ro
user -a d tgt ;; chmod 555 tgt/d
user -i a b ;; chmod 0 b ;; y\n
CASES

for variable in 'VERSION_CONTROL=numbered' 'VERSION_CONTROL=none' 'VERSION_CONTROL=bad' 'SIMPLE_BACKUP_SUFFIX=.env' \
  'SIMPLE_BACKUP_SUFFIX=a/b' 'POSIXLY_CORRECT=1'; do
  for line in '-b a b' '--backup=simple a b' 'a b' '-b -S .opt a b' 'a fresh -v' 'a dangling'; do
    add_case "env $variable $line"
  done
done

# ------------------------------------------------------------------------------------------- all of them
shards=${FERRY_TEST_JOBS:-2}
for ((shard = 0; shard < shards; ++shard)); do
  run_shard "$shard" "$shards" &
done
wait
for ((shard = 0; shard < shards; ++shard)); do
  read -r -a counts <"$base/shard$shard/counts" || { echo "a part of the cases was not run"; exit 1; }
  ran=$((ran + counts[0])); failed=$((failed + counts[1]))
  different=$((different + counts[2])); skipped=$((skipped + counts[3]))
done
echo "$ran cases against $(/bin/cp --version | head -n 1): $failed failed, $different differ deliberately, $skipped skipped"
[[ $ran -gt 0 && $failed -eq 0 ]]
