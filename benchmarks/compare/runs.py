# SPDX-License-Identifier: MIT
"""One run of one contender, in a process of its own; and how many tasks a run should have."""
import contextlib
import dataclasses
import json
import math
import os
import signal
import subprocess

RIGHT = "right"


@dataclasses.dataclass
class Run:
    workload: str
    point: str
    contender: str
    round: int
    status: str = RIGHT    # or what went wrong
    tasks: int = 0
    seconds: float = math.nan
    cpu_seconds: float = math.nan
    peak_kib: float = math.nan
    empty_kib: float = math.nan
    voluntary_switches: float = math.nan
    involuntary_switches: float = math.nan
    latency_ns: dict = dataclasses.field(default_factory=dict)
    tasks_by_thread: list = dataclasses.field(default_factory=list)
    settings: str = ""

    @property
    def right(self):
        return self.status == RIGHT

    @property
    def nanoseconds(self):
        """Of a task."""
        return self.seconds / self.tasks * 1e9 if self.tasks else math.nan


MEASURED = ("seconds", "cpu_seconds", "peak_kib", "voluntary_switches", "involuntary_switches", "latency_ns",
            "tasks_by_thread")


def kill(process):
    """With all that it started; it may be over, but not yet waited for."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def execute(command, timeout):
    """Exit status, output and messages; the status is None if it took too long, and was killed with all that it started."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          start_new_session=True) as process:
        try:
            output, messages = process.communicate(timeout=timeout)
        except BaseException as stopped:
            kill(process)
            output, messages = process.communicate()
            if not isinstance(stopped, subprocess.TimeoutExpired):
                raise
            return None, output, messages
    return process.returncode, output, messages


def judge(run, status, output, messages, timeout):
    """Fills in what a process left behind."""
    if status is None:
        run.status = f"timed out after {timeout:g} s"
        return
    if status < 0:
        run.status = f"crashed: {signal.Signals(-status).name}"
        return
    try:
        found = json.loads(output)
        right = found["right"]
    except (ValueError, KeyError, TypeError):
        last = (messages.strip().splitlines() or ["it printed no result"])[-1]
        run.status = f"failed, exit status {status}: {last}"
        return
    for key in MEASURED:
        if key in found:
            setattr(run, key, found[key])
    if not right:
        run.status = "wrong result"
    elif status != 0:
        run.status = f"failed, exit status {status}"


def run_once(workload, point, contender, settings, number, timeout):
    words = [f"{key}={value}" for key, value in settings.items()]
    run = Run(workload, point.label, contender.name, number, tasks=settings["tasks"], empty_kib=contender.empty_kib,
              settings=f"{point.program} {' '.join(words)}")
    judge(run, *execute([*contender.command, point.program, *words], timeout), timeout)
    return run


def round_off(number):
    """To two digits, at least 1."""
    scale = 10 ** max(len(str(int(number))) - 2, 0)
    return max(int(number) // scale * scale, 1)


def find_tasks(try_run, at_least, seconds):
    """So many tasks that a run takes about so long, but never fewer than `at_least`. Also the failed run, if one failed.

    A run of few tasks tells little about one of many, so the number grows by steps.
    """
    tasks = max(at_least, 100)
    while True:
        run = try_run(tasks)
        if not run.right:
            return tasks, run
        taken = max(run.seconds, 1e-6)
        if taken > seconds / 4 or tasks >= 10 ** 9:
            return max(round_off(tasks * seconds / taken), at_least), None
        tasks = round_off(tasks * min(seconds / 2 / taken, 50))
