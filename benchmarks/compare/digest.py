# SPDX-License-Identifier: MIT
"""Times `penstock digest` beside what people use instead, on one tree, interleaved.

All write their lines to a file, and all must write the same; but processes that share a file tear each other's lines, and
openssl writes another character before the name, so of those only the number of each byte is compared.
"""
import collections
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from contenders import REFERENCE
from measure import Measured
from noise import Noise
from runs import Run, kill
from summary import rows_of
from table import markdown, name_of, number, ratio, scaled, spread, switches

CANDIDATES = ("/usr/share", "/usr/include", "/usr/share/doc", "/usr/lib/python3")
FILES_AT_A_TIME = 64


def survey(root):
    """Number of files, and their bytes; nothing if one can not be read."""
    files = size = 0
    for folder, folders, names in os.walk(root, onerror=lambda error: None):
        if not all(os.access(os.path.join(folder, name), os.R_OK | os.X_OK) or os.path.islink(os.path.join(folder, name))
                   for name in folders):
            return 0, 0
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path) or not os.path.isfile(path):
                continue
            if not os.access(path, os.R_OK):
                return 0, 0
            files += 1
            size += os.path.getsize(path)
    return files, size


def choose_tree(quick):
    """The first that does not take long, or a source tree that is there anyway."""
    most = (64 << 20) if quick else (3 << 29)
    for candidate in CANDIDATES:
        files, size = survey(candidate)
        if files >= 100 and size <= most:
            return pathlib.Path(candidate), files, size
    own = pathlib.Path(__file__).resolve().parents[2] / "include"
    return own, *survey(own)


def shell(command, *arguments):
    return ["sh", "-c", command, "sh", *map(str, arguments)]


def commands(penstock, root, threads):
    """What is run, and what was missing."""
    names = 'find "$1" -type f -print0'
    every = {
        REFERENCE: [penstock, "digest", str(root)],
        "penstock --unordered": [penstock, "digest", "--unordered", str(root)],
        f"find, xargs -P{threads} -n{FILES_AT_A_TIME} sha256sum":
            shell(f"{names} | xargs -0 -P{threads} -n{FILES_AT_A_TIME} sha256sum", root),
        f"find, xargs -P{threads} -n{FILES_AT_A_TIME} openssl dgst":
            shell(f"{names} | xargs -0 -P{threads} -n{FILES_AT_A_TIME} openssl dgst -sha256 -r", root),
        f"find, GNU parallel -j{threads} -n{FILES_AT_A_TIME} sha256sum":
            shell(f"{names} | parallel --will-cite -0 -j{threads} -n{FILES_AT_A_TIME} sha256sum", root),
    }
    missing = []
    for program, present in (("openssl", shutil.which("openssl")), ("GNU parallel", is_gnu_parallel())):
        if not present:
            missing.append(f"{program} is not installed")
            every = {name: command for name, command in every.items() if program not in name}
    return every, missing


def is_gnu_parallel():
    """The moreutils have another program of that name."""
    if not shutil.which("parallel"):
        return False
    version = subprocess.run(["parallel", "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return "GNU parallel" in version.stdout


def time_one(command, output, run, timeout):
    begin = time.perf_counter()
    with open(output, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            usage, status = wait_for(process, begin + timeout)
        except BaseException:
            kill(process)
            process.wait()
            raise
    run.seconds = time.perf_counter() - begin
    if status is None:
        run.status = f"timed out after {timeout:g} s"
        return
    run.cpu_seconds = usage.ru_utime + usage.ru_stime
    run.voluntary_switches, run.involuntary_switches = usage.ru_nvcsw, usage.ru_nivcsw
    if status:
        run.status = f"failed, exit status {status}"


def wait_for(process, until):
    """What it used, with all that it started and waited for; no status if it had to be killed."""
    killed = False
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage, None if killed else process.returncode
        if time.perf_counter() > until and not killed:
            kill(process)
            killed = True
        time.sleep(0.001)


def count_bytes(output):
    return collections.Counter(output.translate(None, b" *"))


def same(name, output, lines, counted):
    if name.startswith(REFERENCE):
        return sorted(output.splitlines()) == lines
    return count_bytes(output) == counted


def measure(workload, bench, penstock, quick, tree):
    measured = Measured(workload)
    root, files, size = (pathlib.Path(tree), *survey(tree)) if tree else choose_tree(quick)
    if not files:
        measured.notes.append(f"{root} has no files, or some that can not be read: nothing was measured")
        measured.noise = Noise()
        return measured
    every, missing = commands(str(penstock), root, bench.threads)
    measured.notes += [f"{root}: {files:,} files, {size / 2**30:.2f} GiB", *missing]
    measured.bytes = size
    point = f"{root}"
    before = Noise.counters()
    bench.tell(f"{workload.key} {workload.name}: {root}, {files:,} files")
    with tempfile.TemporaryDirectory(prefix="penstock-digest-") as work:
        output = pathlib.Path(work) / "output"
        # What must come out; it also brings the files into the page cache.
        found = subprocess.run(shell('find "$1" -type f -print0 | xargs -0 sha256sum', root), stdout=subprocess.PIPE)
        lines, counted = sorted(found.stdout.splitlines()), count_bytes(found.stdout)
        begin = time.monotonic()
        while True:
            round_began = time.monotonic()
            measured.rounds += 1
            for name, command in every.items():
                run = Run(workload.key, point, name, measured.rounds, tasks=files, settings=" ".join(command))
                time_one(command, output, run, 120)
                if run.right and not same(name, output.read_bytes(), lines, counted):
                    run.status = "wrong result"
                bench.record(run)
                measured.runs.append(run)
            now = time.monotonic()
            if measured.rounds >= (bench.rounds or workload.most_rounds):
                break
            if not bench.rounds and now - begin + (now - round_began) > workload.limit_seconds:
                break
    measured.noise = Noise.since(before)
    return measured


def table(measured):
    point = measured.runs[0].point
    rows = rows_of(measured.runs, point)
    files = measured.runs[0].tasks
    lines = []
    for row in rows:
        seconds = scaled(row.nanoseconds, files / 1e9)
        lines.append([name_of(row), number(seconds.median), spread(seconds), ratio(row.ratio, row.loses),
                      number(row.cpu * files / 1e6), number(measured.bytes / seconds.median / 1e9), switches(row),
                      str(row.runs), "; ".join(row.notes)])
    head = ["", "seconds", "min – max", "times slower", "CPU seconds", "GB/s", "switches per 1000 files", "runs", ""]
    return markdown(head, lines)
