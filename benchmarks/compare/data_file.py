# SPDX-License-Identifier: MIT
"""Every single run, as comma-separated values, written when it is over."""
import csv
import math

COLUMNS = ("workload", "point", "contender", "round", "status", "tasks", "seconds", "ns_per_task", "cpu_seconds", "peak_kib",
           "empty_kib", "voluntary_switches", "involuntary_switches", "p50_ns", "p99_ns", "p99.9_ns", "tasks_by_thread",
           "settings")


class DataFile:
    """Round 0 are the runs that find how many tasks to give."""

    def __init__(self, path):
        self.file = open(path, "w", newline="", encoding="utf-8")
        self.writer = csv.writer(self.file, lineterminator="\n")
        self.writer.writerow(COLUMNS)

    def add(self, run):
        known = {**vars(run), "ns_per_task": run.nanoseconds,
                 "tasks_by_thread": " ".join(map(str, run.tasks_by_thread)),
                 **{f"{name}_ns": value for name, value in run.latency_ns.items()}}
        values = (known.get(column, "") for column in COLUMNS)
        self.writer.writerow(["" if isinstance(value, float) and math.isnan(value) else value for value in values])
        self.file.flush()

    def close(self):
        self.file.close()
