# SPDX-License-Identifier: MIT
"""A CMake project finds the installed package."""
import tempfile
import pathlib

from build_under_test import SOURCE, cmake_build, installed, run

with installed() as prefix, tempfile.TemporaryDirectory() as folder:
    build = pathlib.Path(folder)
    cmake_build(SOURCE / "tests/consumers/find_package", build, f"-DCMAKE_PREFIX_PATH={prefix}")
    run(build / "consumer")
    run(build / "with_asio")
