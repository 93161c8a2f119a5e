#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Times `penstock digest` beside what people use instead, on one tree, interleaved.

usage: digest.py [--cold] PENSTOCK [ROUNDS [MIB]]

Makes a mixed tree of MIB mebibytes (2,560 unless said otherwise): a quarter of it small files of 1 byte to some hundred
kB, the rest files of 1 to 64 MiB. Reads it all once, then runs every contender once a round, in turn. All write their
lines to a file, and all must write the same; but processes that share a file tear each other's lines, so of those only
the number of each byte is compared. Prints a Markdown table of medians.

With --cold every run begins with an empty page cache, which takes root.
"""
import collections
import os
import pathlib
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def make_tree(root, mebibytes):
    chance = random.Random(1)
    block = chance.randbytes(64 << 20)
    files = 0

    def write(size):
        nonlocal files
        path = root / f"{files % 37:02d}" / f"{files % 101:03d}" / f"file {files}"
        path.parent.mkdir(parents=True, exist_ok=True)
        start = chance.randrange(len(block))
        with open(path, "wb") as file:
            while size > 0:
                size -= file.write(block[start:start + size])
                start = 0
        files += 1
        return path

    total = mebibytes << 20
    written = 0
    while written < total / 4:
        size = min(int(chance.lognormvariate(9, 1.5)) + 1, 1 << 20)
        write(size)
        written += size
    while written < total:
        size = int((1 << 20) * 2 ** (6 * chance.random()))
        write(size)
        written += size
    return files, written


def count_bytes(output):
    return collections.Counter(output.translate(None, b" *"))  # openssl writes another character before the name


def shell(command, *arguments):
    return ["sh", "-c", command, "sh", *map(str, arguments)]


def contenders(penstock, root):
    threads = str(os.cpu_count())
    names = 'find "$1" -type f -print0'
    return {
        "penstock digest": [penstock, "digest", str(root)],
        "penstock digest --unordered": [penstock, "digest", "--unordered", str(root)],
        f"find, xargs -P{threads} -n64 sha256sum": shell(f"{names} | xargs -0 -P{threads} -n64 sha256sum", root),
        f"find, xargs -P{threads} -n64 openssl dgst -r":
            shell(f"{names} | xargs -0 -P{threads} -n64 openssl dgst -sha256 -r", root),
    }


def run(command, output):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    with open(output, "wb") as file:
        subprocess.run(command, stdout=file, check=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def empty_page_cache():
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")


def main(arguments):
    cold = "--cold" in arguments
    arguments = [each for each in arguments if each != "--cold"]
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    rounds = int(arguments[1]) if len(arguments) > 1 else 5
    mebibytes = int(arguments[2]) if len(arguments) > 2 else 2560
    work = pathlib.Path(tempfile.mkdtemp(prefix="penstock-digest-"))
    try:
        root = work / "tree"
        files, written = make_tree(root, mebibytes)
        commands = contenders(os.path.abspath(arguments[0]), root)
        times = {name: [] for name in commands}
        reference = subprocess.run(shell("find \"$1\" -type f -print0 | xargs -0 sha256sum", root), check=True,
                                   stdout=subprocess.PIPE)
        lines = sorted(reference.stdout.splitlines())
        expected = count_bytes(reference.stdout)
        for number in range(rounds + 1):  # the first is the warm-up
            for name, command in commands.items():
                if cold:
                    empty_page_cache()
                measured = run(command, work / "output")
                content = (work / "output").read_bytes()
                found = count_bytes(content)
                if found != expected or (name.startswith("penstock") and sorted(content.splitlines()) != lines):
                    print(f"{name} printed other lines than sha256sum", file=sys.stderr)
                    return 1
                if number > 0:
                    times[name].append(measured)
        print(f"{files} files, {written / 2**30:.2f} GiB, {os.cpu_count()} cores, {rounds} rounds, "
              f"{'cold' if cold else 'warm'}\n")
        print("| | seconds | spread | CPU seconds | GB/s | times slower than the first |")
        print("|---|---|---|---|---|---|")
        first = None
        for name, measured in times.items():
            walls = [wall for wall, _ in measured]
            median = statistics.median(walls)
            first = first or median
            print(f"| {name} | {median:.3f} | {min(walls):.3f} - {max(walls):.3f} | "
                  f"{statistics.median(cpu for _, cpu in measured):.2f} | {written / median / 1e9:.2f} | "
                  f"{median / first:.2f} |")
    finally:
        shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
