# SPDX-License-Identifier: MIT
"""What is compared: the workloads, and the points of each at which every contender is measured."""
import dataclasses

TURN_OF_CALIBRATION = 10_000  # nanoseconds


@dataclasses.dataclass(frozen=True)
class Point:
    label: str
    position: float  # on the axis of a plot
    program: str     # the workload's name in the programs
    settings: dict   # KEY: VALUE for them; without "tasks" the number is found for each contender
    lengths: dict = dataclasses.field(default_factory=dict)  # KEY: nanoseconds, to be given as so many turns


@dataclasses.dataclass(frozen=True)
class Workload:
    key: str
    name: str
    title: str
    text: str
    points: tuple = ()
    run_seconds: float = 0.12   # about so long is a run whose number of tasks is not fixed
    limit_seconds: float = 30   # no further round begins when it would be over later than this
    timeout: float = 15
    most_rounds: int = 100
    variants: tuple = ("penstock help=false",)  # of penstock, which take part beside it
    without: str = ""           # a word in the names of those that do not take part
    with_ideal: bool = False    # the ideal contender takes part: it does what the tasks alone would take
    calibrated: bool = False    # the ideal is computed, from the length of a turn measured in the same rounds


def short(nanoseconds):
    return f"{nanoseconds} ns" if nanoseconds < 1000 else f"{nanoseconds // 1000} µs"


def empty_tasks(quick):
    limits = (1, 16, 256) if quick else (1, 2, 4, 16, 64, 256, 4096)
    return Workload(
        "w1", "empty_tasks", "Empty tasks, by the number in flight",
        "What a hand-over costs: the task does nothing, its result is 8 bytes. The ideal, a loop over the same numbers split "
        "in advance, hands nothing over, and is shown for scale only.",
        tuple(Point(f"{limit:,} in flight", limit, "short_tasks", {"turns": 0, "in_flight": limit}) for limit in limits),
        limit_seconds=70, variants=("penstock help=false", "penstock in order", "penstock shared gate"), with_ideal=True)


def task_lengths(quick):
    lengths = (300, 10_000) if quick else (100, 300, 1_000, 10_000, 100_000)
    return Workload(
        "w2", "task_lengths", "Tasks alike, by their length, 64 in flight",
        "From which length on a task is worth handing over. The ideal is the same work split in advance, measured in the "
        "same rounds.",
        tuple(Point(short(length), length, "short_tasks", {"in_flight": 64}, {"turns": length}) for length in lengths),
        limit_seconds=60, variants=("penstock help=false", "penstock in order", "penstock shared gate"), with_ideal=True)


def heavy_tailed(quick):
    return Workload(
        "w3", "heavy_tailed", "One task in a thousand is a thousand times as long, 64 in flight",
        "The ideal is the best possible makespan of whoever takes the inputs in their order, at the length of a turn that "
        "was measured in the same rounds.",
        (Point("10 µs, or 10 ms", 1, "heavy_tailed",
               {"in_flight": 64, "heavy_every": 1000, "heavy_times": 1000, "tasks": 4_000 if quick else 20_000},
               {"turns": 10_000}),),
        limit_seconds=30, calibrated=True)


def sleeping(quick):
    tasks, in_flight, milliseconds = (20_000, 10_000, 500) if quick else (1_000_000, 100_000, 1000)
    return Workload(
        "w4", "sleeping", f"{tasks:,} tasks that sleep {milliseconds / 1000:g} s, {in_flight:,} in flight",
        "Only those that need no thread for a task that sleeps: so many threads are more than most machines allow. The "
        "ideal is what the sleeping alone takes.",
        (Point(f"{in_flight:,} in flight", 1, "sleeping",
               {"tasks": tasks, "in_flight": in_flight, "milliseconds": milliseconds}),),
        limit_seconds=50, timeout=60, most_rounds=2, variants=(), without="concurrent")


def mixed(quick):
    return Workload(
        "w5", "mixed", "Tasks of 10 µs, one in ten blocks for 1 ms instead, 64 in flight",
        "Each in the way in which its community tells tasks that block from those that compute, if it has one. The ideal is "
        "bound by the cores, or by the number in flight.",
        (Point("10 µs, or 1 ms blocked", 1, "mixed", {"in_flight": 64, "milliseconds": 1, "blocking_every": 10},
               {"turns": 10_000}),),
        limit_seconds=25, calibrated=True)


def slow_ends(quick):
    return Workload(
        "w6", "slow_ends", "A consumer, or a producer, that takes 2 µs for tasks of 1 µs, 64 in flight",
        "The ideal is bound by the slow end, which is sequential, or by the cores.",
        (Point("slow consumer", 1, "slow_consumer", {"in_flight": 64}, {"turns": 1_000, "sink_turns": 2_000}),
         Point("slow producer", 2, "slow_producer", {"in_flight": 64}, {"turns": 1_000, "source_turns": 2_000})),
        limit_seconds=30, calibrated=True)


def many_streams(quick):
    return Workload(
        "w7", "many_streams", "Many streams of tasks of 1 µs at a time, 16 in flight in each",
        "Each stream has a consumer with a thread of its own; all of them share the threads that compute.",
        tuple(Point(f"{streams} streams", streams, "many_streams", {"in_flight": 16, "streams": streams}, {"turns": 1_000})
              for streams in (16, 64)),
        limit_seconds=30, calibrated=True)


def large_results(quick):
    return Workload(
        "w8", "large_results", "Large results, 64 in flight",
        "A task fills a vector of so many bytes, which goes to the consumer.",
        (Point("1 KiB", 1 << 10, "large_results", {"in_flight": 64, "bytes": 1 << 10}),
         Point("1 MiB", 1 << 20, "large_results", {"in_flight": 64, "bytes": 1 << 20})),
        limit_seconds=30)


def digest(quick):
    return Workload(
        "w9", "digest", "SHA-256 of every file below a folder",
        "The program `penstock digest` beside what people use instead. The files are in the page cache; every program must "
        "write what `sha256sum` writes.",
        limit_seconds=40, most_rounds=5)


def latency(quick):
    point = {"in_flight": 64}
    return Workload(
        "w10", "latency", "From a task's end to its delivery: tasks of 100 µs, 64 in flight",
        "The consumer is idle, or busy for 50 µs with each result.",
        (Point("idle consumer", 1, "latency", point, {"turns": 100_000}),
         Point("busy consumer", 2, "latency", point, {"turns": 100_000, "sink_turns": 50_000})),
        run_seconds=0.25, limit_seconds=35, calibrated=True)


def memory(quick):
    counts = [10 ** power for power in range(3, 6 if quick else 8)]
    return Workload(
        "memory", "memory", "Peak memory, by the number of tasks",
        "Empty tasks with 8-byte results, 256 in flight. The peak is that of the resident set beyond that of the same "
        "program when it does nothing. A contender that would take more than some seconds for a number of tasks is left out there.",
        tuple(Point(f"{count:,} tasks", count, "short_tasks", {"turns": 0, "in_flight": 256, "tasks": count})
              for count in counts),
        limit_seconds=25, most_rounds=3, variants=())


MAKERS = (empty_tasks, task_lengths, heavy_tailed, sleeping, mixed, slow_ends, many_streams, large_results, digest, latency,
          memory)


def all_workloads(quick=False):
    found = [make(quick) for make in MAKERS]
    if not quick:
        return found
    return [dataclasses.replace(each, run_seconds=each.run_seconds / 4, limit_seconds=each.limit_seconds / 8)
            for each in found]
