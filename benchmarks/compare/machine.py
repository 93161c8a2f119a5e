# SPDX-License-Identifier: MIT
"""The machine on which something was measured, and the programs that were used."""
import os
import pathlib
import platform
import re
import shutil
import subprocess


def read(path):
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""


def first_line(*command):
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return ""
    lines = (result.stdout or result.stderr).strip().splitlines()
    return lines[0].strip() if lines else ""


def usable_cores():
    return len(os.sched_getaffinity(0))


def cpu_model():
    found = re.search(r"^(?:model name|Model|cpu model)\s*:\s*(.+)$", read("/proc/cpuinfo"), re.MULTILINE)
    return found[1] if found else platform.machine()


def virtual():
    if shutil.which("systemd-detect-virt"):
        machine, container = (first_line("systemd-detect-virt", kind) or "not known" for kind in ("--vm", "--container"))
        return f"machine: {machine}; container: {container}"
    if re.search(r"^flags\s*:.*\bhypervisor\b", read("/proc/cpuinfo"), re.MULTILINE):
        maker = read("/sys/class/dmi/id/sys_vendor").strip()
        return f"a virtual machine{f' ({maker})' if maker else ''}"
    return "not known"


def siblings():
    """Cores of one physical core, as the kernel knows them."""
    return read("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list").strip()


def compiler(build):
    """The version of the compiler of a CMake build, and its flags."""
    cache = read(build / "CMakeCache.txt")
    path = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.+)$", cache, re.MULTILINE)
    flags = [found[1] for kind in ("CMAKE_CXX_FLAGS", "CMAKE_CXX_FLAGS_RELEASE")
             if (found := re.search(rf"^{kind}:\w+=(.+)$", cache, re.MULTILINE))]
    return f"{first_line(path[1], '--version')} {' '.join(flags)}".strip() if path else "not known"


def system():
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)', read("/etc/os-release"), re.MULTILINE)
    return found[1] if found else platform.system()


def describe(build):
    """Lines of (what, what it is)."""
    memory = re.search(r"MemTotal:\s*(\d+)", read("/proc/meminfo"))
    governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip()
    lines = [
        ("CPU", cpu_model()),
        ("cores", f"{usable_cores()} usable of {os.cpu_count()}; core 0 shares a physical core with: "
                  f"{siblings() or 'not known'}" + (f"; governor {governor}" if governor else "")),
        ("memory", f"{int(memory[1]) / 2**20:.1f} GiB" if memory else "not known"),
        ("virtual", virtual()),
        ("system", f"{system()}, Linux {platform.release()}"),
        ("compiler", compiler(build)),
        ("others", ", ".join(filter(None, (f"Python {platform.python_version()}",
                                           first_line("go", "version").removeprefix("go version "),
                                           first_line("openssl", "version"))))),
        ("load", " ".join(f"{load:.2f}" for load in os.getloadavg()) + " before"),
    ]
    return lines
