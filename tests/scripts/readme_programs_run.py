# SPDX-License-Identifier: MIT
"""Each whole program in the README, a ```cpp block with a main, compiles against an install tree and runs."""
import pathlib
import re
import tempfile

from build_under_test import SOURCE, installed, link_program, run, skip

blocks = re.findall(r"^```cpp\n(.*?)^```", (SOURCE / "README.md").read_text(), re.DOTALL | re.MULTILINE)
programs = [block for block in blocks if "int main" in block]
if not programs:
    skip("no programs")
with installed() as prefix, tempfile.TemporaryDirectory() as folder:
    for number, text in enumerate(programs, start=1):
        source = pathlib.Path(folder, f"readme_{number}.cpp")
        source.write_text(text)
        link_program(prefix, source, source.with_suffix(""))
        run(source.with_suffix(""), cwd=folder)
