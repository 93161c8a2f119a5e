# SPDX-License-Identifier: MIT
"""What a workload would take without any overhead, in nanoseconds of a task."""


def ideal_nanoseconds(program, settings, turn, best_turns=None):
    """From the length of a turn; None where nothing is known. `best_turns` is the best makespan of heavy_tailed."""
    threads = settings["threads"]
    work = settings.get("turns", 0) * turn
    if program == "short_tasks" or program == "many_streams":
        return work / threads or None
    if program == "heavy_tailed":
        return best_turns * turn / settings["tasks"]
    if program == "sleeping":
        waves = -(-settings["tasks"] // settings["in_flight"])
        return waves * settings["milliseconds"] * 1e6 / settings["tasks"]
    if program == "mixed":
        blocking = 1 / settings["blocking_every"]
        computing = (1 - blocking) * work
        return max(computing / threads, (computing + blocking * settings["milliseconds"] * 1e6) / settings["in_flight"])
    if program in ("slow_consumer", "slow_producer", "latency"):
        sequential = (settings.get("sink_turns", 0) + settings.get("source_turns", 0)) * turn
        return max(sequential, (work + sequential) / threads)
    return None
