#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs one workload of benchmarks/workloads.hpp with concurrent.futures, and prints what it took as a line of JSON, like
`contenders`.

    concurrent_futures_peer.py list                         the workloads
    concurrent_futures_peer.py turn                         nanoseconds of a turn of work
    concurrent_futures_peer.py nothing                      the program alone
    concurrent_futures_peer.py run WORKLOAD KEY=VALUE...    a warm-up with a tenth of the tasks, then the run

Keys and exit status are those of `contenders`; 2 also if there can not be as many threads as shall sleep. Only the standard
library.

The bounded as_completed is a window of futures: each puts itself into a queue when it is done, and the next input is submitted
when one was taken out. wait(FIRST_COMPLETED) has to visit every future of the window each time, which costs up to twice as
much. Tasks are not sent in chunks: a result would wait for the others of its chunk.

Threads compute one at a time, but a task costs a process some ten times as much. Which to use depends on how long a task is.
"""
import concurrent.futures
import json
import multiprocessing
import os
import queue
import resource
import sys
import threading
import time

# --- what a task does

# A loop in Python takes some 80 times as long for a turn of the same arithmetic, and no program that minds would have one. The
# hash of a tuple is the nearest to it that runs in C: one multiplication and addition modulo 2**64 for each item, each waiting
# for the one before. One item takes as long as 2.8 turns in C++; `turn` shows whether that is so here. Like a loop in Python,
# and unlike the hashes of hashlib, it keeps the interpreter's lock.
TURNS_OF_AN_ITEM = 2.8

# From here on, some 150 us, two processes are faster than threads.
TURNS_WORTH_A_PROCESS = 150_000

# Global, so that processes inherit it and do not get it anew with every task.
operands = ()


def operand(turns):
    """What to hash for so many turns. Nested, so that it stays small: the hash of a tuple is not kept."""
    items = max(round(turns / TURNS_OF_AN_ITEM), 1)
    block = (1,) * 256
    return (block,) * (items // 256) + (block[: items % 256],)


def nothing(value):
    return value


def compute(value):
    hash(operands)
    return value


def set_operands(turns):
    global operands
    operands = operand(turns)


def short_tasks(settings):
    turns, threads = settings["turns"], settings["threads"]
    if turns >= TURNS_WORTH_A_PROCESS and threads > 1:
        return concurrent.futures.ProcessPoolExecutor(threads, initializer=set_operands, initargs=(turns,)), compute
    set_operands(turns)
    return concurrent.futures.ThreadPoolExecutor(threads), compute if turns else nothing


def sleeping(settings):
    seconds = settings["milliseconds"] / 1000
    # Before thousands were made in vain.
    for limit in ("pid_max", "threads-max"):
        with open(f"/proc/sys/kernel/{limit}") as file:
            if settings["in_flight"] >= int(file.read()):
                sys.exit(refuse(f"a thread for each sleeper: in_flight={settings['in_flight']} is more than kernel.{limit}"))

    def sleep(value):
        time.sleep(seconds)
        return value

    threading.stack_size(256 * 1024)  # there will be many
    return concurrent.futures.ThreadPoolExecutor(settings["in_flight"]), sleep


# --- as_completed


def as_completed(executor, function, inputs, limit):
    """Yields function(input) as they end, at most `limit` of them submitted and not yet taken."""
    done = queue.SimpleQueue()
    submit, put, get = executor.submit, done.put, done.get
    submitted = 0
    for value in inputs:
        if submitted == limit:
            yield get().result()
        else:
            submitted += 1
        submit(function, value).add_done_callback(put)
    for _ in range(submitted):
        yield get().result()


# --- the program

WORKLOADS = {"short_tasks": short_tasks, "sleeping": sleeping}
DEFAULTS = {
    "threads": 2, "tasks": 1_000_000, "in_flight": 64, "turns": 0, "heavy_every": 0, "heavy_times": 1_000, "sink_turns": 0,
    "source_turns": 0, "bytes": 0, "streams": 1, "milliseconds": 0, "blocking_every": 10,
}  # fmt: skip


def refuse(message):
    print("concurrent_futures_peer:", message, file=sys.stderr)
    return 2


def read_settings(words):
    settings = dict(DEFAULTS)
    for word in words:
        key, _, value = word.partition("=")
        if key not in settings or not value.isdecimal():
            sys.exit(refuse(f"no such setting: {word}"))
        settings[key] = int(value)
    if settings["in_flight"] == 0 or settings["threads"] == 0:
        sys.exit(refuse("in_flight and threads are at least 1"))
    return settings


def status_of(process):
    with open(f"/proc/{process}/status") as status:
        return dict(line.rstrip().split(":", 1) for line in status)


def peak_memory():
    """Kibibytes; of the processes of a pool too, where each counts what it shares with the others."""
    processes = ["self", *(child.pid for child in multiprocessing.active_children())]
    return sum(int(status_of(process)["VmHWM"].split()[0]) for process in processes)


def usage():
    """Seconds of processor time, voluntary switches, involuntary switches. getrusage() knows children only when they ended;
    those of a pool are alive, and have one thread each."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    seconds, voluntary, involuntary = own.ru_utime + own.ru_stime, own.ru_nvcsw, own.ru_nivcsw
    for child in multiprocessing.active_children():
        with open(f"/proc/{child.pid}/stat") as stat:
            user, system = stat.read().rpartition(")")[2].split()[11:13]
        seconds += (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
        status = status_of(child.pid)
        voluntary += int(status["voluntary_ctxt_switches"])
        involuntary += int(status["nonvoluntary_ctxt_switches"])
    return seconds, voluntary, involuntary


def consume(executor, task, tasks, in_flight):
    results = total = 0
    for value in as_completed(executor, task, range(tasks), in_flight):
        results += 1
        total += value
    return results, total


def run(executor, task, tasks, in_flight):
    consume(executor, task, max(tasks // 10, 1), in_flight)
    before, wall = usage(), time.perf_counter()
    results, total = consume(executor, task, tasks, in_flight)
    wall, after = time.perf_counter() - wall, usage()
    right = results == tasks and total == tasks * (tasks - 1) // 2
    seconds, voluntary, involuntary = (now - then for now, then in zip(after, before))
    found = {
        "seconds": round(wall, 9),
        "cpu_seconds": round(seconds, 6),
        "peak_kib": peak_memory(),
        "voluntary_switches": voluntary,
        "involuntary_switches": involuntary,
        "right": right,
    }
    print(json.dumps(found))
    return 0 if right else 1


def length_of_a_turn(probe=2_000_000):
    set_operands(probe)
    lengths = []
    for _ in range(5):
        begin = time.perf_counter_ns()
        compute(1)
        lengths.append(time.perf_counter_ns() - begin)
    return min(lengths) / probe


def main(words):
    match words:
        case ["list"]:
            print("concurrent_futures:", *WORKLOADS)
        case ["turn"]:
            print(f"{length_of_a_turn():.4f}")
        case ["nothing"]:
            print(json.dumps({"peak_kib": peak_memory()}))
        case ["run", workload, *rest]:
            if workload not in WORKLOADS:
                return refuse(f"no workload {workload}")
            settings = read_settings(rest)
            executor, task = WORKLOADS[workload](settings)
            with executor:
                try:
                    return run(executor, task, settings["tasks"], settings["in_flight"])
                except RuntimeError as wrong:  # can't start new thread
                    executor.shutdown(wait=False, cancel_futures=True)
                    return refuse(f"{workload} in_flight={settings['in_flight']}: {wrong}")
        case _:
            return refuse("usage: concurrent_futures_peer.py list | turn | nothing | run WORKLOAD KEY=VALUE...")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
