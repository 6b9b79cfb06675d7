#!/usr/bin/env python3
"""clang-tidy over the project's sources: tidy.py [JOBS]; run from the project's root, after build/release is configured.

A file found clean is not looked at again until it, a header of the project that it includes, how it is compiled or what
is checked has changed. What was clean is remembered in build/tidy/; remove that to check everything.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

CLANG_TIDY = "clang-tidy-19"
ROOT = pathlib.Path.cwd()
DATABASE = ROOT / "build/release"
CLEAN = ROOT / "build/tidy"
INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', re.MULTILINE)


def with_headers(file, seen):
    """Adds the file and the project's headers it includes, directly or not, to `seen`."""
    if file in seen:
        return
    seen.add(file)
    for name in INCLUDE.findall(file.read_bytes()):
        for folder in (file.parent, ROOT / "include", ROOT / "src", ROOT / "tests", ROOT / "node/src"):
            header = folder / os.fsdecode(name)
            if header.is_file():
                with_headers(header.resolve(), seen)
                break


def fingerprint(file, commands, version):
    """Changes whenever clang-tidy might say something else about the file."""
    looked_at = set()
    with_headers(file, looked_at)
    looked_at.update(folder / ".clang-tidy" for folder in file.parents if (folder / ".clang-tidy").is_file())
    digest = hashlib.sha256(json.dumps([version, sorted(commands)]).encode())
    for path in sorted(looked_at):
        digest.update(f"{path}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def check(file, expected):
    """Returns what clang-tidy found, or nothing for a clean file."""
    stamp = CLEAN / file.relative_to(ROOT)
    result = subprocess.run([CLANG_TIDY, f"-p={DATABASE}", "-quiet", file], capture_output=True, text=True, check=False)
    if result.returncode == 0:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(expected)
        return ""
    return result.stdout or result.stderr or f"{file}: clang-tidy ended with {result.returncode}\n"


def main():
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else os.cpu_count()
    version = subprocess.run([CLANG_TIDY, "--version"], capture_output=True, text=True, check=True).stdout
    commands = {}
    for entry in json.loads((DATABASE / "compile_commands.json").read_text()):
        commands.setdefault(pathlib.Path(entry["file"]), []).append(entry["command"])
    rooms = tuple(ROOT / name for name in ("src", "tests", "fuzz", "bench", "node"))
    waiting = {}
    known = 0
    for file, how in commands.items():
        if any(file.is_relative_to(room) for room in rooms) and file.exists():
            expected = fingerprint(file, how, version)
            stamp = CLEAN / file.relative_to(ROOT)
            if stamp.exists() and stamp.read_text() == expected:
                known += 1
            else:
                waiting[file] = expected
    print(f"{len(waiting)} files to check, {known} known to be clean", flush=True)

    found = 0
    largest_first = sorted(waiting, key=lambda file: -file.stat().st_size)  # so that no core is left waiting at the end
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        checks = [pool.submit(check, file, waiting[file]) for file in largest_first]
        for done in concurrent.futures.as_completed(checks):
            if findings := done.result():
                found += 1
                print(findings, end="", flush=True)
    print(f"{found} files with findings")
    return 0 if commands and not found else 1


sys.exit(main())
