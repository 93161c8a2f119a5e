# SPDX-License-Identifier: MIT
"""Plots by gnuplot, as SVG. Every line is named at its end; penstock's is the thick one."""
import dataclasses
import math
import shutil
import subprocess

from contenders import IDEAL, REFERENCE
from labels import spread_out
from summary import rows_of

# Told apart by who does not see red or green as others do (Okabe and Ito); blue is penstock's alone.
BLUE = "#0072B2"
COLOURS = ("#D55E00", "#009E73", "#B0578D", "#C58A00", "#4D4D4D", "#7A4B1E")
FONT = "DejaVu Sans,Helvetica,Arial,sans-serif"
LEAST_MEMORY = 16.0  # KiB, below which it is all the same
SHAPES = (7, 5, 9, 13, 11, 6, 4, 8)
WIDTH, HEIGHT = 980, 600
TOP, BOTTOM, LEFT = 0.88, 0.12, 0.11


@dataclasses.dataclass
class Line:
    name: str
    points: list  # (x, y)


@dataclasses.dataclass
class Axis:
    title: str
    logarithmic: bool
    tics: list         # (position, text)
    least: float
    most: float

    def share(self, value):
        """Where a value lies, from 0 to 1."""
        if self.logarithmic:
            value, least, most = math.log(value), math.log(self.least), math.log(self.most)
        else:
            least, most = self.least, self.most
        return (value - least) / (most - least)


@dataclasses.dataclass
class Plot:
    name: str   # of the file
    title: str
    x: Axis
    y: Axis
    lines: list


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def styles(lines):
    """Each line's (colour, width, shape, dashes)."""
    found = []
    variants = others = 0
    for line in lines:
        if line.name == REFERENCE:
            found.append((BLUE, 4.5, 7, 1))
        elif line.name.startswith(REFERENCE):
            variants += 1
            found.append((BLUE, 1.6, SHAPES[variants % len(SHAPES)], variants + 1))
        elif line.name == IDEAL:
            found.append(("#999999", 1.6, 1, 3))
        else:
            found.append((COLOURS[others % len(COLOURS)], 1.8, SHAPES[others % len(SHAPES)], 1 + others // len(COLOURS)))
            others += 1
    return found


def axis_commands(which, axis):
    tics = ", ".join(f"{quoted(text)} {position!r}" for position, text in axis.tics)
    return [*([f"set logscale {which}"] if axis.logarithmic else []),
            f"set {which}label {quoted(axis.title)} textcolor rgb '#333333'",
            f"set {which}range [{axis.least!r}:{axis.most!r}]",
            f"set {which}tics nomirror scale 0.5 ({tics}) textcolor rgb '#333333'"]


def script(plot, output):
    """The commands for gnuplot, data included."""
    right = 1 - min(0.36, (7.6 * max(len(line.name) for line in plot.lines) + 50) / WIDTH)
    commands = [f"set terminal svg size {WIDTH},{HEIGHT} font '{FONT},13' background rgb 'white' noenhanced",
                f"set output {quoted(str(output))}",
                f"set label 1000 {quoted(plot.title)} at screen {LEFT}, screen 0.945 left font ',16'",
                f"set lmargin at screen {LEFT}", f"set rmargin at screen {right}",
                f"set tmargin at screen {TOP}", f"set bmargin at screen {BOTTOM}",
                "set border 3 linecolor rgb '#999999'", "unset key",
                "set grid linetype 1 linecolor rgb '#E8E8E8' linewidth 1",
                *axis_commands("x", plot.x), *axis_commands("y", plot.y)]
    looks = styles(plot.lines)
    wanted = [plot.y.share(line.points[-1][1]) for line in plot.lines]
    heights = spread_out(wanted, 17 / (HEIGHT * (TOP - BOTTOM)))
    for at, (line, (colour, width, _, _), height) in enumerate(zip(plot.lines, looks, heights)):
        x, y = line.points[-1]
        font = f"'{FONT.replace(',', ' Bold,', 1)},14'" if line.name == REFERENCE else "',13'"
        commands.append(f"set arrow from first {x!r}, first {y!r} to graph 1.03, graph {height:.4f} nohead back "
                        f"linecolor rgb '{colour}' linewidth 0.7 dashtype 3")
        commands.append(f"set label {at + 1} {quoted(line.name)} at graph 1.037, graph {height:.4f} left "
                        f"textcolor rgb '{colour}' font {font}")
    for at, line in enumerate(plot.lines):
        commands += [f"$line{at} << END", *(f"{x!r} {y!r}" for x, y in line.points), "END"]
    order = sorted(range(len(plot.lines)), key=lambda at: plot.lines[at].name == REFERENCE)  # the last is on top
    drawn = []
    for at in order:
        colour, width, shape, dashes = looks[at]
        size = 0.8 if plot.lines[at].name == REFERENCE else 0.55
        drawn.append(f"$line{at} using 1:2 with linespoints linecolor rgb '{colour}' linewidth {width} "
                     f"pointtype {shape} pointsize {size} dashtype {dashes}")
    commands.append("plot " + ", \\\n     ".join(drawn))
    return "\n".join(commands) + "\n"


def decades(least, most, text):
    """Tics of a logarithmic axis; and its ends, a decade apart from nothing."""
    first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
    last = max(last, first + 1)
    return [(10.0 ** power, text(10 ** power if power >= 0 else 10.0 ** power)) for power in range(first, last + 1)]


def time_text(nanoseconds):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:g} {unit}"
    return f"{nanoseconds:g} ns"


def memory_text(kib):
    return f"{kib / 2**20:g} GiB" if kib >= 2**20 else f"{kib / 1024:g} MiB" if kib >= 1024 else f"{kib:g} KiB"


def lines_of(measured, value, without=()):
    """A line for each contender that was right somewhere; value(row, point) may be not known."""
    found = {}
    for point in measured.workload.points:
        for row in rows_of(measured.runs, point.label, measured.ideals.get(point.label)):
            y = value(row, point)
            if row.contender not in without and not row.status and not math.isnan(y):
                found.setdefault(row.contender, Line(row.contender, [])).points.append((point.position, y))
    return list(found.values())


def x_axis(title, measured, text):
    positions = [point.position for point in measured.workload.points]
    tics = [(position, text(position)) for position in positions]
    return Axis(title, True, tics, min(positions) / 1.15, max(positions) * 1.15)


def cost_plot(measured):
    lines = lines_of(measured, lambda row, point: row.nanoseconds.median, without=(IDEAL,))
    if not lines:
        return None
    values = [y for line in lines for _, y in line.points]
    tics = decades(min(values), max(values), time_text)
    return Plot("cost", "What an empty task costs, by the number of tasks in flight (less is better)",
                x_axis("tasks in flight", measured, lambda limit: f"{limit:g}"),
                Axis("time per task", True, tics, tics[0][0], tics[-1][0]), lines)


def efficiency_plot(measured):
    lines = lines_of(measured, lambda row, point: 100 / row.of_ideal, without=(IDEAL,))
    if not lines:
        return None
    most = max([100] + [y for line in lines for _, y in line.points])
    return Plot("efficiency", "Share of the cores that the tasks get, by the length of a task (more is better)",
                x_axis("length of a task", measured, time_text),
                Axis("ideal time / time", False, [(share, f"{share} %%") for share in range(0, 101, 20)], 0.0, most * 1.03),
                lines)


def memory_plot(measured):
    lines = lines_of(measured, lambda row, point: max(row.memory_kib, LEAST_MEMORY))
    if not lines:
        return None
    values = [y for line in lines for _, y in line.points]
    least, most = min(values) / 1.5, max(max(values) * 1.5, min(values) * 16)
    tics = [(2.0 ** power, ("≤ " if 2 ** power == LEAST_MEMORY else "") + memory_text(2 ** power))
            for power in range(4, 31, 2) if least <= 2 ** power <= most]
    return Plot("memory", "Peak memory beyond the empty program, by the number of tasks, 256 in flight",
                x_axis("number of tasks", measured, lambda count: f"{count:,.0f}"),
                Axis("peak memory", True, tics, least, most), lines)


PLOTS = {"w1": cost_plot, "w2": efficiency_plot, "memory": memory_plot}


def draw(measured, folder):
    """Name of the SVG file that shows a workload, if there is one; a message if it could not be drawn."""
    make = PLOTS.get(measured.workload.key)
    plot = make(measured) if make else None
    if not plot:
        return None, None
    if not shutil.which("gnuplot"):
        return None, "gnuplot is not installed: no plots"
    commands = folder / f"{plot.name}.gnuplot"
    commands.write_text(script(plot, folder / f"{plot.name}.svg"), encoding="utf-8")
    result = subprocess.run(["gnuplot", str(commands)], capture_output=True, text=True)
    if result.returncode != 0:
        return None, f"gnuplot failed: {(result.stderr.strip().splitlines() or ['no message'])[-1]}"
    return f"{plot.name}.svg", None
