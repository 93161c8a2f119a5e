# SPDX-License-Identifier: MIT
"""Each program in tests/compile_fail is refused with the message that its first line, `// expect: regex`, asks for."""
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from build_under_test import DEFINITIONS, SOURCE, finish, skip


def complaint(program):
    compiler = os.environ["CXX"]
    expected = re.match(r"// expect: (.+)", program.read_text())
    if not expected:
        return f"{program.name}: the first line must be `// expect: regex`"
    command = [compiler, "-std=c++20", "-fsyntax-only", *DEFINITIONS, f"-I{SOURCE / 'include'}", str(program)]
    # In other languages an error may not be called one.
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "LC_ALL": "C"})
    if result.returncode == 0:
        return f"{compiler}: {program.name} compiles"
    errors = "\n".join(line for line in result.stderr.splitlines() if "error:" in line)
    if not re.search(expected[1], errors):
        return f"{compiler}: {program.name} is refused, but not with /{expected[1]}/:\n{errors}"
    return ""


programs = sorted((SOURCE / "tests/compile_fail").glob("*.cpp"))
if not programs:
    skip("no programs")
with ThreadPoolExecutor(os.cpu_count()) as pool:
    finish(list(filter(None, pool.map(complaint, programs))))
