# SPDX-License-Identifier: MIT
"""From runs to the rows of a table: medians, spread, ratios, and what is to be said about a row."""
import dataclasses
import math
import statistics

from contenders import IDEAL, REFERENCE

NOISY = 0.5    # a spread of so much of the median is told
EVEN = 0.995  # a ratio from here to 1 reads 1.00, and is nobody's win


@dataclasses.dataclass(frozen=True)
class Spread:
    median: float = math.nan
    least: float = math.nan
    most: float = math.nan

    @classmethod
    def of(cls, values):
        values = [value for value in values if not math.isnan(value)]
        return cls(statistics.median(values), min(values), max(values)) if values else cls()

    @property
    def known(self):
        return not math.isnan(self.median)

    def overlaps(self, other):
        return self.least <= other.most and other.least <= self.most


@dataclasses.dataclass
class Row:
    contender: str
    runs: int = 0
    status: str = ""                 # what went wrong, if anything did
    nanoseconds: Spread = Spread()   # of a task
    ratio: float = math.nan          # how many times slower than penstock
    of_ideal: float = math.nan       # how many times the ideal
    cpu: float = math.nan            # seconds for a million tasks
    memory_kib: float = math.nan     # peak, beyond the empty program
    voluntary: float = math.nan      # switches for 1000 tasks
    involuntary: float = math.nan
    shares: str = ""                 # of the tasks, by thread, in percent
    latencies: dict = dataclasses.field(default_factory=dict)  # "p99": Spread, in nanoseconds
    latency_ratios: dict = dataclasses.field(default_factory=dict)
    notes: list = dataclasses.field(default_factory=list)
    loses: bool = False              # penstock does, against this one


def share_text(counts):
    """The consumer's share first, then that of each other thread; summed up if they are many."""
    total = sum(counts)
    if not total:
        return ""
    shares = [100 * count / total for count in counts]
    if len(shares) <= 5:
        return " / ".join(f"{share:.0f}" for share in shares)
    return f"{shares[0]:.0f} / {len(shares) - 1:,} others, {min(shares[1:]):.2g} to {max(shares[1:]):.2g}"


def median_of(runs, value):
    return Spread.of([value(run) for run in runs]).median


def row_of(contender, runs, ideal):
    right = [run for run in runs if run.right]
    row = Row(contender, len(right))
    row.status = next((run.status for run in runs if not run.right), "")
    if not right or row.status:
        return row
    row.nanoseconds = Spread.of([run.nanoseconds for run in right])
    row.of_ideal = row.nanoseconds.median / ideal if ideal else math.nan
    row.cpu = median_of(right, lambda run: run.cpu_seconds / run.tasks * 1e6)
    row.memory_kib = median_of(right, lambda run: max(run.peak_kib - run.empty_kib, 0))
    row.voluntary = median_of(right, lambda run: run.voluntary_switches / run.tasks * 1e3)
    row.involuntary = median_of(right, lambda run: run.involuntary_switches / run.tasks * 1e3)
    typical = sorted(right, key=lambda run: run.nanoseconds)[len(right) // 2]
    row.shares = share_text(typical.tasks_by_thread)
    for name in typical.latency_ns:
        row.latencies[name] = Spread.of([run.latency_ns.get(name, math.nan) for run in right])
    return row


def within(mine, its):
    return " (within the spread)" if mine.overlaps(its) else ""


def compare(row, reference):
    """Sets the ratios of a row to penstock, and says where penstock loses."""
    lost = []
    if reference.latencies and row.latencies:
        row.latency_ratios = {name: spread.median / max(reference.latencies[name].median, 1)
                              for name, spread in row.latencies.items() if name in reference.latencies}
        lost = [(f" at {name}", row.latencies[name], reference.latencies[name])
                for name, ratio in row.latency_ratios.items() if ratio < EVEN]
    row.ratio = row.nanoseconds.median / reference.nanoseconds.median
    if row.ratio < EVEN and not row.latencies:
        lost = [("", row.nanoseconds, reference.nanoseconds)]
    if row.contender in (REFERENCE, IDEAL) or not lost:
        return
    row.loses = True
    loser = "the default" if row.contender.startswith(REFERENCE) else "penstock"
    row.notes += [f"**{loser} loses{where}**{within(mine, its)}" for where, mine, its in lost]


def memory_rows(measured):
    """A row for each contender, and its peak at each point; the ratio is that of the largest number of tasks."""
    peaks = {}   # contender: label of a point: Spread of KiB beyond the empty program
    rows = {}
    for point in measured.workload.points:
        for row in rows_of(measured.runs, point.label):
            mine = rows.setdefault(row.contender, Row(row.contender))
            mine.runs = max(mine.runs, row.runs)
            mine.status = mine.status or row.status
            if not row.status:
                peaks.setdefault(row.contender, {})[point.label] = Spread.of(
                    [max(run.peak_kib - run.empty_kib, 0) for run in measured.runs
                     if run.contender == row.contender and run.point == point.label])
    reference = peaks.get(REFERENCE, {})
    for name, row in rows.items():
        if row.status:
            row.notes.append(f"**{row.status}**")
        common = [label for label in peaks.get(name, {}) if label in reference]
        if not common:
            continue
        mine, its = peaks[name][common[-1]], reference[common[-1]]
        row.ratio = mine.median / max(its.median, 1)
        if row.ratio < EVEN and name != REFERENCE:
            row.loses = True
            row.notes.append(f"**penstock loses**{within(mine, its)}")
    return list(rows.values()), peaks


def rows_of(runs, point, ideal=None):
    """One row for each contender that was run at a point, in the order in which they first were."""
    here = {}
    for run in runs:
        if run.point == point:
            here.setdefault(run.contender, []).append(run)
    rows = [row_of(contender, its, ideal) for contender, its in here.items()]
    reference = next((row for row in rows if row.contender == REFERENCE), None)
    for row in rows:
        if row.status:
            row.notes.append(f"**{row.status}**")
            continue
        if row.contender == IDEAL:
            row.notes.append("a bound")
        if reference and reference.nanoseconds.known:
            compare(row, reference)
        if row.nanoseconds.most - row.nanoseconds.least > NOISY * row.nanoseconds.median:
            row.notes.append("spread over half the median")
    return rows
