# SPDX-License-Identifier: MIT
"""A CMake project builds penstock as a part of itself, and gets the library alone."""
from build_under_test import BACKEND, SCRATCH, SOURCE, cmake_build, finish, run

build = SCRATCH / "add_subdirectory"
cmake_build(SOURCE / "tests/consumers/add_subdirectory", build, f"-DPENSTOCK_SOURCE_DIR={SOURCE}",
            f"-DPENSTOCK_BACKEND={BACKEND}")
run(build / "consumer")
run(build / "with_asio")
cache = (build / "CMakeCache.txt").read_text()
finish([f"a guest finds {package}" for package in ("GTest", "benchmark", "CLI11") if f"{package}_DIR" in cache])
