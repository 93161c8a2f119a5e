# SPDX-License-Identifier: MIT
"""A task costs no more than tests/costs/recorded.txt says: in instructions, and in what is dear among them.

    ctest --preset release -R a_task_costs                            compares
    PENSTOCK_RECORD_COSTS=1 ctest --preset release -R a_task_costs    records what it finds

It counts, under callgrind, and measures no time: what the machine is and what else runs on it makes no difference. What is
counted, tests/costs/task_costs.cpp says.
"""
import collections
import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from build_under_test import BACKEND, BUILD_TYPE, FLAGS, LIBRARY, SOURCE, SYSTEM, finish, read_list, skip

PROGRAM = sys.argv[1]
RECORDS = os.environ.get("PENSTOCK_RECORD_COSTS", "0") != "0"
RECORDED = "tests/costs/recorded.txt"
HEADER = """\
# SPDX-License-Identifier: MIT
# What a task costs, as tests/scripts/a_task_costs_no_more_than_recorded.py found it; that says how to record it anew.
# First what the program was compiled with; then the streams, and for each task of theirs the
# instructions  locked ones, those with the effect of a full fence  system calls  readings of the clock
"""
FIGURES = ("instructions", "locked instructions", "system calls", "readings of the clock")

TASKS = 20_480        # whole batches and buffers, whatever the stream
MOST_CHANGE = 0.05    # of what is recorded
LEAST_CHANGE = 0.005  # per task; less is no batch's doing
PATIENCE = 60         # seconds, where one is enough

CLOCK = "clock_gettime"  # the program's own: how often it is called counts, not what it does


def output_of(*command):
    shown = " ".join(map(str, command))
    try:
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, timeout=PATIENCE).stdout
    except subprocess.TimeoutExpired:
        sys.exit(f"+ {shown}\nhas not ended after {PATIENCE} s: consumer and worker no longer take turns as it wants them to")
    except subprocess.CalledProcessError as error:
        if error.returncode == 77:
            skip(error.stdout.strip())
        sys.exit(f"+ {shown}\nexit status {error.returncode}")


def kind_of(instruction):
    """The figure, besides the first, for which an instruction counts."""
    if re.match(r"syscall\b", instruction):
        return "system calls"
    swaps_memory = re.match(r"xchg ", instruction) and not re.match(r"xchg +%\w+,%\w+", instruction)
    return "locked instructions" if swaps_memory or re.match(r"(\w+ )*lock |mfence", instruction) else None


@functools.cache
def dear_instructions(binary):
    """What counts for more than an instruction in an executable or a library, by address."""
    if not pathlib.Path(binary).is_file():  # the kernel's, or nobody's
        return {}
    listing = output_of("objdump", "--disassemble", "--wide", "--no-show-raw-insn", binary)
    lines = re.finditer(r"^ *([0-9a-f]+):\t(.*(?:lock|xchg|mfence|syscall).*)$", listing, re.MULTILINE)
    kinds = ((int(line[1], 16), kind_of(line[2])) for line in lines)
    return {address: kind for address, kind in kinds if kind}


def add_dump(counts, dump):
    """Adds up what a dump says. Its format is a chapter of Valgrind's manual."""
    binary = function = called = ""
    lines = iter(dump.splitlines())
    for line in lines:
        key, _, value = line.partition("=")
        if key == "ob":
            binary = value
        elif key == "fn":
            function = value
        elif key == "cfn":
            called = value
        elif key == "calls":
            if called == CLOCK:
                counts["readings of the clock"] += int(value.split()[0])
            next(lines)  # all that was executed meanwhile; it has lines of its own
        elif line.startswith("0x") and function != CLOCK:
            address, times = line.split()
            counts["instructions"] += int(times)
            if kind := dear_instructions(binary).get(int(address, 16)):
                counts[kind] += int(times)


def count(stream):
    """The figures of one stream, per task."""
    counts = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        tasks = int(output_of(
            "valgrind", "--quiet", "--fair-sched=try", "--tool=callgrind", f"--callgrind-out-file={scratch}/out",
            "--separate-threads=yes", "--dump-instr=yes", "--dump-line=no", "--compress-pos=no", "--compress-strings=no",
            PROGRAM, stream, str(TASKS)))
        for path in pathlib.Path(scratch).iterdir():
            dump = path.read_text()
            # The last dumps of all are of what comes before and after.
            if f"desc: Trigger: Client Request: {stream}\n" in dump:
                add_dump(counts, dump)
    if not counts:
        sys.exit(f"{stream}: callgrind has left no dump of that name")
    return [counts[figure] / tasks for figure in FIGURES]


def read_record():
    """What the program was compiled with, and the figures by stream; nothing before the first record."""
    if not (SOURCE / RECORDED).exists():
        return None, {}
    build, *lines = read_list(RECORDED)
    return build, {stream: list(map(float, figures)) for stream, *figures in map(str.split, lines)}


def write_record(build, found):
    width = max(map(len, found))
    lines = (f"{stream:{width}}" + "".join(f"  {figure:9.4f}" for figure in figures) for stream, figures in found.items())
    (SOURCE / RECORDED).write_text(HEADER + "\n".join([build, *lines]) + "\n")


def differs(before, after):
    return abs(after - before) > max(LEAST_CHANGE, MOST_CHANGE * before)


def compare(recorded, found):
    """Prints all figures; returns what to complain of."""
    complaints = []
    falls = []
    print(f"{'per task':39} {'recorded':>9} {'found':>9}   change")
    for stream, figures in found.items():
        for name, before, after in zip(FIGURES, recorded.get(stream, [0.0] * len(FIGURES)), figures):
            change = f"{100 * (after - before) / before:+.1f} %" if before else ""
            print(f"{stream:16} {name:22} {before:9.4f} {after:9.4f} {change:>8}")
            if stream in recorded and differs(before, after):
                rises = after > before
                sentence = f"{stream}: {name} per task {'rose' if rises else 'fell'} from {before:.4f} to {after:.4f}"
                (complaints if rises else falls).append(sentence)
    if falls:
        print("\nHint: the record is stale, and does not guard what was gained until it is made anew.", *falls, sep="\n")
    complaints += [f"{stream}: runs, but is not recorded" for stream in found if stream not in recorded]
    complaints += [f"{stream}: is recorded, but does not run" for stream in recorded if stream not in found]
    if complaints:
        complaints.append("If that has to be, record it: PENSTOCK_RECORD_COSTS=1 ctest --preset release -R a_task_costs")
    return complaints


# Meson compiles for shared libraries whatever it makes, which costs an instruction here and there.
if (SYSTEM, BUILD_TYPE, LIBRARY, BACKEND, FLAGS) != ("cmake", "Release", "static", "tbb", []):
    flags = f", with {' '.join(FLAGS)}" if FLAGS else ""
    skip("costs are recorded of what CMake makes of the static library, on oneTBB, in a release build without further flags; "
         f"this is {SYSTEM}, {LIBRARY}, {BACKEND}, {BUILD_TYPE}{flags}")
for tool in ("valgrind", "objdump"):
    if not shutil.which(tool):
        skip(f"{tool} is missing")

build, *streams = output_of(PROGRAM).splitlines()
recorded_build, recorded = read_record()
if build != recorded_build and not RECORDS:
    skip(f"costs are recorded of what {recorded_build} compiles; this is {build}")
found = {stream: count(stream) for stream in streams}
complaints = compare(recorded, found)
if RECORDS:
    write_record(build, found)
    print(f"\nrecorded in {RECORDED}")
    finish([])
finish(complaints)
