#!/usr/bin/env bash
# Installs ferry to a fresh prefix, moves the prefix, and builds and runs a five-line program against it: with
# find_package(ferry) and with pkg-config. Arguments: static|shared SOURCE_DIR BUILD_DIR.
set -euo pipefail
kind=$1 source=$2 build=$3
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [[ $kind == shared ]]; then
  if [[ -z ${FERRY_TEST_LONG-} ]]; then
    echo "skipped: the shared library needs a build of its own; FERRY_TEST_LONG=1 (./dev test long) asks for it"
    exit 77
  fi
  build=$scratch/build
  launcher=()
  command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DFERRY_BUILD_TESTS=OFF \
    "${launcher[@]}" >/dev/null
  ninja --quiet -C "$build"
fi

cmake --install "$build" --prefix "$scratch/first" >/dev/null
mv "$scratch/first" "$scratch/prefix"  # nothing installed may remember where it was put
libdir=$(dirname "$(find "$scratch/prefix" -name 'libferry.*' | head -n 1)")

for file in include/ferry/copy.hpp share/man/man1/ferry.1 share/bash-completion/completions/ferry \
  share/zsh/site-functions/_ferry share/fish/vendor_completions.d/ferry.fish share/doc/ferry/LICENSE; do
  [[ -f $scratch/prefix/$file ]] || { echo "not installed: $file"; exit 1; }
done
if [[ $kind == shared ]]; then
  [[ -L $libdir/libferry.so && ! -e $libdir/libferry.a ]] || { echo "no libferry.so: $(ls "$libdir")"; exit 1; }
fi
env -u LD_LIBRARY_PATH "$scratch/prefix/bin/ferry" --version
if [[ -e $build/ferry-mpi.so ]]; then
  env -u LD_LIBRARY_PATH "$scratch/prefix/bin/ferry" --version | grep -q '^MPI: [^n]' ||
    { echo "the installed command does not find its module for mpirun"; exit 1; }
fi

run() {
  local got
  got=$(cd "$scratch" && LD_LIBRARY_PATH=$libdir "$@")
  [[ $got == "copied 6 bytes" && $(<"$scratch/copy") == hello ]] || { echo "wrong output of $*: $got"; exit 1; }
  rm "$scratch/copy"
}
echo hello >"$scratch/original"

cmake -S "$here/consumer" -B "$scratch/by-cmake" -G Ninja -DCMAKE_PREFIX_PATH="$scratch/prefix" >/dev/null
ninja --quiet -C "$scratch/by-cmake"
run "$scratch/by-cmake/consumer"

export PKG_CONFIG_PATH=$libdir/pkgconfig
read -ra flags < <(pkg-config --cflags --libs ferry)
c++ -std=c++23 "$here/consumer/main.cpp" "${flags[@]}" -o "$scratch/by-pkg-config"
run "$scratch/by-pkg-config"
echo "both programs ran against the $kind library"
