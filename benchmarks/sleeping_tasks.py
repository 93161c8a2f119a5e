#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Times a million tasks that sleep for a second, in penstock and in what people use instead.

usage: sleeping_tasks.py SLEEPING_TASKS [ROUNDS [TASKS]]

SLEEPING_TASKS is the benchmark of that name, built. Runs every contender once a round, in turn, each in a process of its
own: a tenth of the TASKS (1,000,000 unless said otherwise) at a time, then all of them at once. Each must deliver every
result. Then runs CPU jobs beside blocking ones that sleep. Contenders whose toolchain is not here, or can not build them
(tokio has to be fetched), are named and left out. Prints Markdown tables of medians.

"seconds" is what a contender measures from the first task to the last result; the peak is the process's resident set as the
kernel reports it, which for a small one includes this script's when it was started.
"""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent / "peers"


def build_go(work):
    subprocess.run(["go", "build", "-o", work / "go", HERE / "sleeping_tasks.go"], check=True, capture_output=True,
                   timeout=300, env=os.environ | {"GOCACHE": str(work / "cache"), "GOFLAGS": "-mod=mod"})
    return [work / "go"]


def build_tokio(work):
    shutil.copytree(HERE / "tokio", work / "tokio")
    subprocess.run(["cargo", "build", "--release"], cwd=work / "tokio", check=True, capture_output=True, timeout=300)
    return [work / "tokio" / "target" / "release" / "sleeping_tasks"]


def contenders(penstock, work):
    found = {
        "penstock": [penstock, "asleep"],
        f"asyncio, Python {sys.version.split()[0]}": [sys.executable, HERE / "sleeping_tasks_asyncio.py"],
    }
    for name, build in {"Go": build_go, "tokio": build_tokio}.items():
        try:
            found[name] = build(work)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"{name}: not on this machine ({type(error).__name__})", file=sys.stderr)
    return found


def run(command, tasks, limit):
    """Seconds, and MB of memory."""
    command = [str(word) for word in (*command, tasks, limit)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    words = output.split()
    if process.returncode != 0 or len(words) != 2 or int(words[1]) != tasks * (tasks - 1):
        sys.exit(f"{command} failed, or lost or doubled a task: {output!r}")
    return float(words[0]), usage.ru_maxrss * 1024 / 1e6


def compare(title, found, rounds, tasks, limit):
    measured = {name: [] for name in found}
    for _ in range(rounds):
        for name, command in found.items():
            measured[name].append(run(command, tasks, limit))
    ideal = -(-tasks // limit)
    print(f"{title}: {tasks:,} tasks, {limit:,} at a time; ideal {ideal} s\n")
    print("| | seconds | spread | times the ideal | peak MB | spread |")
    print("|---|---|---|---|---|---|")
    for name, runs in measured.items():
        walls, peaks = zip(*runs)
        print(f"| {name} | {statistics.median(walls):.3f} | {min(walls):.3f} - {max(walls):.3f} | "
              f"{statistics.median(walls) / ideal:.3f} | {statistics.median(peaks):.1f} | "
              f"{min(peaks):.1f} - {max(peaks):.1f} |")
    print(flush=True)


def main(arguments):
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    penstock = os.path.abspath(arguments[0])
    rounds = int(arguments[1]) if len(arguments) > 1 else 5
    tasks = int(arguments[2]) if len(arguments) > 2 else 1_000_000
    work = pathlib.Path(tempfile.mkdtemp(prefix="penstock-sleeping-"))
    try:
        found = contenders(penstock, work)
        print(f"{os.cpu_count()} cores, {rounds} rounds\n")
        compare("A tenth at a time", found, rounds, tasks, max(tasks // 10, 1))
        compare("All at once", found, rounds, tasks, tasks)
    finally:
        shutil.rmtree(work)
    subprocess.run([penstock, "beside", str(rounds)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
