# SPDX-License-Identifier: MIT
"""Who takes part: the contenders of the program `contenders`, and those that are programs of their own."""
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

REFERENCE = "penstock"
IDEAL = "split in advance (ideal)"
PEERS = pathlib.Path(__file__).resolve().parent.parent / "peers"


@dataclasses.dataclass(frozen=True)
class Contender:
    name: str
    command: tuple         # of a run, before the workload
    workloads: frozenset   # by their names in the programs
    empty_kib: int         # what the program takes when it does nothing


def output_of(*command, timeout=30):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=timeout).stdout


def parse_list(text):
    """NAME: WORKLOAD... in each line; names may contain colons, workloads do not."""
    found = {}
    for line in text.splitlines():
        name, _, workloads = line.rpartition(":")
        if name:
            found[name.strip()] = frozenset(workloads.split())
    return found


def empty_memory(program, one_run):
    """Kibibytes of the program alone; of one task, if it has no way to do nothing."""
    for command in ((*program, "nothing"), (*one_run, "tasks=1", "in_flight=1", "threads=1")):
        try:
            return json.loads(output_of(*command))["peak_kib"]
        except (subprocess.SubprocessError, ValueError, KeyError):
            continue
    return 0


def of_program(program, named):
    """The contenders of a program; `named` if it has several, and is told which one to run."""
    found = []
    for name, workloads in parse_list(output_of(*program, "list")).items():
        command = (*program, "run", name) if named else (*program, "run")
        found.append((name, command, workloads))
    if not found:
        raise ValueError("it lists no contender")
    empty = empty_memory(program, (*found[0][1], "short_tasks"))
    return [Contender(name, command, workloads, empty) for name, command, workloads in found]


def script(name):
    if not (PEERS / name).exists():
        raise FileNotFoundError(f"there is no {name}")
    return PEERS / name


def build_go(output):
    """The command of the peer in Go."""
    if not shutil.which("go"):
        raise FileNotFoundError("Go is not installed")
    program = output / "go_peer"
    environment = os.environ | {"GOCACHE": str(output / "go-cache"), "GO111MODULE": "off"}
    subprocess.run(["go", "build", "-o", str(program), script("go_peer.go").name], check=True, capture_output=True,
                   text=True, timeout=300, env=environment, cwd=PEERS)
    return (str(program),)


def reason_of(error):
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in (error.stderr or "").splitlines() if line and not line.startswith("#")]
        return lines[0] if lines else f"exit status {error.returncode}"
    return str(error)


def discover(contenders_program, output):
    """All that can take part, and what can not, with the reason."""
    found = of_program((str(contenders_program),), named=True)
    missing = []
    programs = {
        "asyncio": lambda: (sys.executable, "-B", str(script("asyncio_peer.py"))),
        "concurrent.futures": lambda: (sys.executable, "-B", str(script("concurrent_futures_peer.py"))),
        "Go": lambda: build_go(output),
    }
    for name, command in programs.items():
        try:
            found += of_program(command(), named=False)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            missing.append(f"{name}: {reason_of(error)}")
    missing += [f"{name}: not in the list of the program contenders" for name in (REFERENCE, IDEAL)
                if not any(each.name == name for each in found)]
    # Penstock first, then the others as they are listed, the ideal last.
    found.sort(key=lambda each: (each.name == IDEAL, not each.name.startswith(REFERENCE)))
    return found, missing


def who_runs(workload, contenders):
    """Those that take part in a workload: the ideal, and variants of penstock, only if it says so."""
    programs = {point.program for point in workload.points}
    return [each for each in contenders if programs & each.workloads
            and (each.name != IDEAL or workload.with_ideal)
            and not (workload.without and workload.without in each.name)
            and (each.name == REFERENCE or not each.name.startswith(REFERENCE) or each.name in workload.variants)]
