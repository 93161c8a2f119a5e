# SPDX-License-Identifier: MIT
"""Runs a workload: every contender at every point once a round, in turn, so that what the machine does meanwhile hits
all of them."""
import dataclasses
import re
import statistics
import time

import contenders as contender_list
import runs as run_list
from ideal import ideal_nanoseconds
from noise import Noise
from workloads import TURN_OF_CALIBRATION, Point

CALIBRATION = "calibration"
LONG_RUN = 3.0   # seconds, beyond which memory is not measured
# Who takes part where memory is measured: the first contender whose name has the word.
FEW = ("penstock", "parallel_pipeline", "asio", "std::async", "go", "asyncio")


@dataclasses.dataclass
class Measured:
    workload: object
    runs: list = dataclasses.field(default_factory=list)
    ideals: dict = dataclasses.field(default_factory=dict)  # label of a point: nanoseconds of a task
    rounds: int = 0
    notes: list = dataclasses.field(default_factory=list)
    noise: Noise = None


@dataclasses.dataclass
class Bench:
    """What all workloads have in common."""
    contenders: list
    threads: int
    turn: float           # nanoseconds, of one core that has nothing else to do
    rounds: int           # exactly so many; None: as many as there is time for
    best_makespan: object  # settings to turns
    tell: object          # progress, a line
    record: object        # is given each run when it is over


def settings_of(point, bench):
    turns = {key: max(round(length / bench.turn), 1) for key, length in point.lengths.items()}
    return {"threads": bench.threads, **point.settings, **turns}


class Rounds:
    """A workload while it is run."""

    def __init__(self, workload, bench):
        self.workload = workload
        self.bench = bench
        self.measured = Measured(workload)
        self.settings = {}   # (point, contender): of its runs; absent if it is not run there
        self.hung = set()

    def run(self, point, contender, settings, number, timeout=None):
        run = run_list.run_once(self.workload.key, point, contender, settings, number, timeout or self.workload.timeout)
        self.bench.record(run)
        if run.status.startswith("timed out"):
            self.hung.add(contender.name)
        return run

    def prepare(self, point, contender):
        """Finds how many tasks the contender can do in the time of a run."""
        settings = settings_of(point, self.bench)
        if "tasks" not in settings:
            least = 2 * settings["in_flight"] * settings.get("streams", 1)
            tasks, failed = run_list.find_tasks(
                lambda tasks: self.run(point, contender, {**settings, "tasks": tasks}, 0), least, self.workload.run_seconds)
            if failed:
                self.measured.runs.append(failed)
                return
            settings["tasks"] = tasks
        self.settings[point.label, contender.name] = settings

    def one_round(self, number, calibrate):
        calibrate(number)
        for point in self.workload.points:
            for contender in contender_list.who_runs(self.workload, self.bench.contenders):
                settings = self.settings.get((point.label, contender.name))
                if not settings or contender.name in self.hung or point.program not in contender.workloads:
                    continue
                run = self.run(point, contender, settings, number)
                self.measured.runs.append(run)
                if not run.right:
                    del self.settings[point.label, contender.name]  # it has shown what it can

    def repeat(self, calibrate, begin):
        """`begin`: since when the time of the workload is counted."""
        limit = self.workload.limit_seconds
        while True:
            round_began = time.monotonic()
            self.measured.rounds += 1
            self.one_round(self.measured.rounds, calibrate)
            now = time.monotonic()
            if self.measured.rounds == (self.bench.rounds or min(5, self.workload.most_rounds)):
                return
            if not self.bench.rounds and now - begin + (now - round_began) > limit:
                return

    def prepare_all(self):
        for point in self.workload.points:
            for contender in contender_list.who_runs(self.workload, self.bench.contenders):
                if point.program not in contender.workloads:
                    continue
                if contender.name in self.hung:
                    self.measured.notes.append(f"{contender.name} was not run at {point.label}: it had hung before")
                    continue
                self.prepare(point, contender)


def calibration(rounds, lengths):
    """What measures the length of a turn while all cores are busy: the ideal contender, beside the others of a round."""
    ideal = next((each for each in rounds.bench.contenders if each.name == contender_list.IDEAL), None)
    if not rounds.workload.calibrated or not ideal:
        return lambda number: None
    bench = rounds.bench
    turns = round(TURN_OF_CALIBRATION / bench.turn)
    tasks = max(round(0.1e9 * bench.threads / TURN_OF_CALIBRATION), bench.threads)
    point = Point(CALIBRATION, 0, "short_tasks", {})

    def calibrate(number):
        run = rounds.run(point, ideal, {"threads": bench.threads, "in_flight": 64, "turns": turns, "tasks": tasks}, number)
        if run.right:
            lengths.append(run.seconds * 1e9 * bench.threads / (tasks * turns))
    return calibrate


def ideals(measured, bench, turn):
    """The ideal of each point: what the ideal contender took there, or what can be computed."""
    found = {}
    for point in measured.workload.points:
        settings = {"tasks": 1, **settings_of(point, bench)}
        took = [run.nanoseconds for run in measured.runs
                if run.contender == contender_list.IDEAL and run.point == point.label and run.right]
        if took and not measured.workload.calibrated:
            found[point.label] = statistics.median(took)
            continue
        best = bench.best_makespan(settings) if point.program == "heavy_tailed" else None
        computed = ideal_nanoseconds(point.program, settings, turn, best)
        if computed:
            found[point.label] = computed
    return found


def few(contenders):
    found = []
    for word in FEW:
        for each in contenders:
            if each not in found and re.search(rf"(?<!\w){word}(?!\w)", each.name.lower()):
                found.append(each)
                break
    return found


class MemoryRounds(Rounds):
    """Leaves out numbers of tasks that would take too long, which is known from the number before."""

    def one_round(self, number, calibrate):
        took = {}
        for point in self.workload.points:
            for contender in few(contender_list.who_runs(self.workload, self.bench.contenders)):
                settings = settings_of(point, self.bench)
                before = took.get(contender.name)
                if before and (not before.right or before.nanoseconds * settings["tasks"] > LONG_RUN * 1e9):
                    continue
                took[contender.name] = self.run(point, contender, settings, number)
                self.measured.runs.append(took[contender.name])

    def prepare_all(self):
        pass


def measure(workload, bench):
    rounds = (MemoryRounds if workload.key == "memory" else Rounds)(workload, bench)
    measured = rounds.measured
    before, begin = Noise.counters(), time.monotonic()
    bench.tell(f"{workload.key} {workload.name}: how many tasks each can do")
    rounds.prepare_all()
    bench.tell(f"{workload.key} {workload.name}: rounds")
    lengths = []
    rounds.repeat(calibration(rounds, lengths), begin)
    measured.noise = Noise.since(before)
    measured.noise.note_calibration(lengths)
    measured.ideals = {} if workload.key == "memory" else ideals(measured, bench, statistics.median(lengths or [bench.turn]))
    return measured
