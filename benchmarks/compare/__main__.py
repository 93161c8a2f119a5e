# SPDX-License-Identifier: MIT
"""Measures penstock beside its peers. Started by tools/compare.sh, which has built the programs."""
import os
import pathlib
import sys
import time

import arguments
import contenders
import data_file
import digest
import machine
import measure
import plots
import report


def main(words):
    given = arguments.parse_or_exit(words)
    build, output = pathlib.Path(given.build).resolve(), pathlib.Path(given.output).resolve()
    output.mkdir(parents=True, exist_ok=True)
    program = build / "benchmarks" / "contenders"
    started = time.monotonic()

    def tell(line):
        print(f"[{time.monotonic() - started:4.0f} s] {line}", file=sys.stderr, flush=True)

    described = machine.describe(build)
    found, missing = contenders.discover(program, output)
    turn = min(float(contenders.output_of(program, "turn")) for _ in range(3))
    described.append(("a turn of work", f"{turn:.3f} ns"))

    def best_makespan(settings):
        return float(contenders.output_of(program, "best", *(f"{key}={value}" for key, value in settings.items())))

    data = data_file.DataFile(output / "comparison.csv")
    bench = measure.Bench(found, machine.usable_cores(), turn, given.rounds, best_makespan, tell, data.add)
    everything, pictures = [], {}
    status = 0
    try:
        for workload in given.chosen:
            if workload.key == "w9":
                measured = digest.measure(workload, bench, build / "tools/cli/penstock", given.quick, given.tree)
                missing += [note for note in measured.notes if note.endswith("not installed")]
            else:
                measured = measure.measure(workload, bench)
            everything.append(measured)
            picture, wrong = plots.draw(measured, output)
            if picture:
                pictures[workload.key] = picture
            if wrong and wrong not in missing:
                missing.append(wrong)
    except KeyboardInterrupt:
        missing.append("the end: interrupted")
        status = 130
    data.close()
    described.append(("load", " ".join(f"{load:.2f}" for load in os.getloadavg()) + " after"))
    described.append(("took", f"{time.monotonic() - started:.0f} s, on {time.strftime('%Y-%m-%d')}"))
    command = " ".join(["tools/compare.sh", *shown(words)])
    (output / "comparison.md").write_text(report.write(described, missing, everything, pictures, command), encoding="utf-8")
    tell(f"see {output / 'comparison.md'}, comparison.csv" + "".join(f", {picture}" for picture in pictures.values()))
    return status


def shown(words):
    """What the user wrote, without what tools/compare.sh adds."""
    return [word for word in words if not word.startswith(("--build=", "--output="))]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
