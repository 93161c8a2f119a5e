# SPDX-License-Identifier: MIT
"""A program is compiled with what pkg-config says of the installed library."""
import pathlib
import tempfile

from build_under_test import SOURCE, installed, link_program, run

with installed() as prefix, tempfile.TemporaryDirectory() as folder:
    program = pathlib.Path(folder, "consumer")
    link_program(prefix, SOURCE / "tests/consumers/main.cpp", program)
    run(program)
