#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs one workload of benchmarks/workloads.hpp with asyncio, and prints what it took as a line of JSON, like `contenders`.

    asyncio_peer.py list                         the workloads
    asyncio_peer.py turn                         nanoseconds of a turn of work
    asyncio_peer.py nothing                      the program alone
    asyncio_peer.py run WORKLOAD KEY=VALUE...    a warm-up with a tenth of the tasks, then the run

Keys and exit status are those of `contenders`. Only the standard library. There is one thread, whatever `threads` says: tasks
that compute do so in turns with the loop, which is what costs least until they are so long that processes pay
(concurrent_futures_peer.py).

The bounded as_completed is the fastest that asyncio has. Workers, as many as tasks may be in flight, take inputs from one
iterator, and leave results for one consumer. wait() for the first of many tasks costs as many steps each time it is called. A
task of its own for every input, with a callback or a semaphore, costs twice as much as going round a worker's loop.
"""
import asyncio
import collections
import gc
import json
import resource
import sys
import time
import types

# --- what a task does

# A loop in Python takes some 80 times as long for a turn of the same arithmetic, and no program that minds would have one. The
# hash of a tuple is the nearest to it that runs in C: one multiplication and addition modulo 2**64 for each item, each waiting
# for the one before. One item takes as long as 2.8 turns in C++; `turn` shows whether that is so here.
TURNS_OF_AN_ITEM = 2.8


def operand(turns):
    """What to hash for so many turns. Nested, so that it stays small: the hash of a tuple is not kept."""
    items = max(round(turns / TURNS_OF_AN_ITEM), 1)
    block = (1,) * 256
    return (block,) * (items // 256) + (block[: items % 256],)


@types.coroutine
def give_way():
    """What asyncio.sleep(0) does, without its look at the delay."""
    yield


# A coroutine that never suspends would keep the loop to itself, and nothing would be delivered meanwhile. So each task lets the
# others go first once, which is the least that makes it asynchronous.


async def nothing(value):
    await give_way()
    return value


def work(turns):
    if turns == 0:
        return nothing
    operands = operand(turns)

    async def task(value):
        await give_way()
        hash(operands)
        return value

    return task


def sleep(milliseconds):
    async def task(value):
        await asyncio.sleep(milliseconds / 1000)
        return value

    return task


# --- as_completed


async def as_completed(function, inputs, limit):
    """Yields function(input) as they end. At most `limit` run; when more than that wait to be taken, none begins."""
    inputs = iter(inputs)
    results = collections.deque()
    append = results.append
    new_future = asyncio.get_running_loop().create_future
    empty = None  # the consumer's wait
    room = asyncio.Event()

    async def worker():
        nonlocal empty
        for value in inputs:
            append(await function(value))
            if empty is not None:
                empty.set_result(None)
                empty = None
            while len(results) > limit:
                room.clear()
                await room.wait()

    def over(_):
        nonlocal empty
        if empty is not None:
            empty.set_result(None)
            empty = None

    workers = asyncio.gather(*[worker() for _ in range(limit)])
    workers.add_done_callback(over)
    while results or not workers.done():
        while results:
            yield results.popleft()
        room.set()
        if not workers.done():
            empty = new_future()
            await empty
    workers.result()  # an exception, if there was one


# --- the program


async def consume(task, tasks, in_flight):
    results = total = 0
    async for value in as_completed(task, range(tasks), in_flight):
        results += 1
        total += value
    return results, total


WORKLOADS = {
    "short_tasks": lambda settings: work(settings["turns"]),
    "sleeping": lambda settings: sleep(settings["milliseconds"]),
}
DEFAULTS = {
    "threads": 2, "tasks": 1_000_000, "in_flight": 64, "turns": 0, "heavy_every": 0, "heavy_times": 1_000, "sink_turns": 0,
    "source_turns": 0, "bytes": 0, "streams": 1, "milliseconds": 0, "blocking_every": 10,
}  # fmt: skip


def read_settings(words):
    settings = dict(DEFAULTS)
    for word in words:
        key, _, value = word.partition("=")
        if key not in settings or not value.isdecimal():
            sys.exit(refuse(f"no such setting: {word}"))
        settings[key] = int(value)
    if settings["in_flight"] == 0:
        sys.exit(refuse("in_flight is at least 1"))
    return settings


def refuse(message):
    print("asyncio_peer:", message, file=sys.stderr)
    return 2


def peak_memory():
    """Kibibytes; of this process alone, where getrusage() may show what it was forked from."""
    with open("/proc/self/status") as status:
        return next((int(line.split()[1]) for line in status if line.startswith("VmHWM:")), 0)


async def run(task, tasks, in_flight):
    # Nothing here needs the collector of cycles, which would look at all the workers again and again: at 100,000 in flight
    # that was a third of the time. The memory is the same without.
    gc.disable()
    await consume(task, max(tasks // 10, 1), in_flight)
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    results, total = await consume(task, tasks, in_flight)
    seconds, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_SELF)
    right = results == tasks and total == tasks * (tasks - 1) // 2
    found = {
        "seconds": round(seconds, 9),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 6),
        "peak_kib": peak_memory(),
        "voluntary_switches": after.ru_nvcsw - before.ru_nvcsw,
        "involuntary_switches": after.ru_nivcsw - before.ru_nivcsw,
        "right": right,
    }
    print(json.dumps(found))
    return 0 if right else 1


def length_of_a_turn(probe=2_000_000):
    operands, lengths = operand(probe), []
    for _ in range(5):
        begin = time.perf_counter_ns()
        hash(operands)
        lengths.append(time.perf_counter_ns() - begin)
    return min(lengths) / probe


def main(words):
    match words:
        case ["list"]:
            print("asyncio:", *WORKLOADS)
        case ["turn"]:
            print(f"{length_of_a_turn():.4f}")
        case ["nothing"]:
            print(json.dumps({"peak_kib": peak_memory()}))
        case ["run", workload, *rest]:
            if workload not in WORKLOADS:
                return refuse(f"no workload {workload}")
            settings = read_settings(rest)
            return asyncio.run(run(WORKLOADS[workload](settings), settings["tasks"], settings["in_flight"]))
        case _:
            return refuse("usage: asyncio_peer.py list | turn | nothing | run WORKLOAD KEY=VALUE...")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
