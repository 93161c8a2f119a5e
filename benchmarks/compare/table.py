# SPDX-License-Identifier: MIT
"""Tables in Markdown."""
import math

from contenders import REFERENCE
from summary import EVEN, Spread


def number(value, digits=3):
    """Three digits, or all before the point; five after it at most; a dash if it is not known."""
    if value is None or math.isnan(value):
        return "–"
    if value == 0:
        return "0"
    before_point = math.floor(math.log10(abs(value))) + 1
    return f"{value:,.{min(max(digits - before_point, 0), 5)}f}"


def ratio(value, loses=False):
    if value is None or math.isnan(value):
        return "–"
    text = f"{value:,.2f}" if 0.1 <= value < 10 else number(value)
    return f"**{text}**" if loses else text


def spread(values):
    return f"{number(values.least)} – {number(values.most)}" if values.known else "–"


def memory(kib):
    if math.isnan(kib):
        return "–"
    return f"{kib / 1024:,.1f} MiB" if kib >= 1024 else f"{kib:,.0f} KiB"


def switches(row):
    return "–" if math.isnan(row.voluntary) else f"{number(row.voluntary)} + {number(row.involuntary)}"


def markdown(head, lines):
    """Text to the left in the first column, and in the last if that is for remarks; numbers to the right."""
    rule = ["---"] + ["---:"] * (len(head) - 2) + ["---" if head[-1] == "" else "---:"]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *lines]) + "\n"


def name_of(row):
    return f"**{row.contender}**" if row.contender == REFERENCE else row.contender


def scaled(values, scale):
    return Spread(values.median * scale, values.least * scale, values.most * scale)


def times(rows, with_ideal=True, tasks=None):
    """The table of a point: what a task costs, in time and otherwise; seconds in all if all have so many tasks."""
    scale = tasks / 1e9 if tasks else 1
    head = ["", "seconds" if tasks else "ns per task", "min – max", "times slower", "times the ideal", "CPU s per 10^6",
            "peak memory", "switches per 1000", "tasks by thread, %", "runs", ""]
    lines = [[name_of(row), number(row.nanoseconds.median * scale), spread(scaled(row.nanoseconds, scale)),
              ratio(row.ratio, row.loses), ratio(row.of_ideal), number(row.cpu), memory(row.memory_kib), switches(row),
              row.shares or "–", str(row.runs), "; ".join(row.notes)] for row in rows]
    if not with_ideal:
        at = head.index("times the ideal")
        head, lines = (head[:at] + head[at + 1:], [line[:at] + line[at + 1:] for line in lines])
    return markdown(head, lines)


def overview(points):
    """Every contender's median at every point, given as (label, rows); in bold where penstock loses to it."""
    names = list(dict.fromkeys(row.contender for _, rows in points for row in rows))
    lines = []
    for name in names:
        mine = [next((row for row in rows if row.contender == name), None) for _, rows in points]
        lines.append([f"**{name}**" if name == REFERENCE else name,
                      *("–" if row is None else f"**{number(row.nanoseconds.median)}**" if row.loses
                        else number(row.nanoseconds.median) for row in mine)])
    return markdown(["ns per task", *(label for label, _ in points)], lines)


def peaks(rows, found, labels):
    """Peak memory of each row at each point."""
    lines = []
    for row in rows:
        mine = found.get(row.contender, {})
        lines.append([name_of(row), *(memory(mine[label].median) if label in mine else "–" for label in labels),
                      ratio(row.ratio, row.loses), str(row.runs), "; ".join(row.notes)])
    return markdown(["", *labels, "times as much", "runs", ""], lines)


def latencies(rows):
    """The table of a point whose workload measures the time from a task's end to its delivery."""
    names = next((list(row.latencies) for row in rows if row.latencies), [])
    head = [""]
    for name in names:
        head += [f"{name}, µs", "min – max", "times slower"]
    lines = []
    for row in rows:
        line = [name_of(row)]
        for name in names:
            values = row.latencies.get(name)
            against = row.latency_ratios.get(name, math.nan)
            line += ["–"] * 3 if not values else [
                number(values.median / 1e3), f"{number(values.least / 1e3)} – {number(values.most / 1e3)}",
                ratio(against, row.loses and against < EVEN)]
        lines.append([*line, number(row.nanoseconds.median), ratio(row.of_ideal), switches(row), str(row.runs),
                      "; ".join(row.notes)])
    return markdown([*head, "ns per task", "times the ideal", "switches per 1000", "runs", ""], lines)
