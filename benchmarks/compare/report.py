# SPDX-License-Identifier: MIT
"""comparison.md: the machine, how it was measured, where penstock loses, and a table for each point."""
import digest
import table
from summary import EVEN, memory_rows, rows_of

HOW = """Each line is the median of a number of runs, each in a process of its own with a warm-up before it, taken in turn
with those of the others: every contender once, then every contender again. A run has so many tasks that it takes about as long
as the others', and time is compared for one task; where the table is in seconds, all have as many. Every run's result is
checked.

- *times slower*: this one's time divided by penstock's. Below 1, penstock loses, and the row says so.
- *times the ideal*: its time divided by what the tasks alone would take on these cores.
- *CPU s per 10^6*: seconds of CPU time that a million tasks take, on all cores.
- *peak memory*: of the process, beyond that of the same program when it does nothing.
- *switches per 1000*: context switches per 1000 tasks, voluntary + involuntary.
- *tasks by thread*: the share that the consuming thread ran, then those of the others.
"""


def tables(measured):
    """(Heading, rows, text) for each point."""
    if measured.workload.key == "w9":
        if measured.runs:
            rows = rows_of(measured.runs, measured.runs[0].point)
            yield measured.runs[0].point, rows, digest.table(measured)
        return
    if measured.workload.key == "memory":
        rows, peaks = memory_rows(measured)
        labels = [point.label for point in measured.workload.points]
        yield "beyond the empty program", rows, table.peaks(rows, peaks, labels)
        return
    for point in measured.workload.points:
        rows = rows_of(measured.runs, point.label, measured.ideals.get(point.label))
        if not rows:
            continue
        if measured.workload.key == "w10":
            text = table.latencies(rows)
        else:
            text = table.times(rows, with_ideal=point.label in measured.ideals, tasks=point.settings.get("tasks"))
        yield point.label, rows, text


def losses(everything):
    """A line for each point: to whom, and by how much."""
    for measured in everything:
        for heading, rows, _ in tables(measured):
            to = [f"**{row.contender}** ({loss(row)})" for row in rows if row.loses]
            if to:
                yield f"- {measured.workload.name}, {heading}: {', '.join(to)}"


def loss(row):
    within = ", within the spread" if "within the spread" in " ".join(row.notes) else ""
    if row.latency_ratios:
        lost = {name: ratio for name, ratio in row.latency_ratios.items() if ratio < EVEN}
        return ", ".join(f"{name} {table.ratio(ratio)}" for name, ratio in lost.items()) + within
    return table.ratio(row.ratio) + within


def failures(everything):
    for measured in everything:
        for heading, rows, _ in tables(measured):
            yield from (f"- {measured.workload.name}, {heading}: **{row.contender}**: {row.status}"
                        for row in rows if row.status)


def bullets(lines, nothing):
    return [*lines] or [nothing]


def section(measured, picture):
    workload = measured.workload
    number = "" if workload.key == workload.name else f"{workload.key.upper()}: "
    yield from (f"## {number}{workload.title}", "", workload.text, "")
    rounds = f"{measured.rounds} round{'s' if measured.rounds != 1 else ''}"
    yield from (" ".join([f"{rounds}.", *(f"{note}." for note in measured.notes)]), "")
    complaints = measured.noise.complaints() if measured.noise else []
    if complaints:
        yield from (f"**The machine was noisy**: {'; '.join(complaints)}.", "")
    if picture:
        yield from (f"![{workload.title}]({picture})", "")
    found = [*tables(measured)]
    if len(found) > 2 and workload.key not in ("w9", "w10", "memory"):
        yield from ("Medians; in bold, besides penstock, what beats it.", "",
                    table.overview([(heading, rows) for heading, rows, _ in found]))
    for heading, _, text in found:
        yield from (f"### {heading}", "", text)


def write(machine, missing, everything, pictures, command):
    """The whole text. `pictures`: the file that shows a workload, by its key."""
    noisy = [f"- {measured.workload.name}: {complaint}" for measured in everything if measured.noise
             for complaint in measured.noise.complaints()]
    lines = ["# penstock and its peers", "", f"`{command}`", "",
             "| | |", "| --- | --- |", *(f"| {what} | {text} |" for what, text in machine), "",
             "Missing:", "", *bullets([f"- {each}" for each in missing], "- nothing"), "",
             "Noise of the machine while it was measured:", "", *bullets(noisy, "- none to speak of"), "",
             "## How", "", HOW,
             "## Where penstock loses", "", *bullets(losses(everything), "Nowhere in what was measured."), "",
             "## What went wrong", "", *bullets(failures(everything), "Nothing."), ""]
    for measured in everything:
        lines += section(measured, pictures.get(measured.workload.key))
    return "\n".join(lines).rstrip() + "\n"
