# SPDX-License-Identifier: MIT
"""The build that a test script tests: where it is, how to install it, how to compile against it."""
import contextlib
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(os.environ["PENSTOCK_SOURCE_DIR"])
BUILD = pathlib.Path(os.environ["PENSTOCK_BUILD_DIR"])
SYSTEM = os.environ["PENSTOCK_BUILD_SYSTEM"]
BUILD_TYPE = os.environ["PENSTOCK_BUILD_TYPE"]
BACKEND = os.environ["PENSTOCK_BACKEND"]
LIBRARY = os.environ["PENSTOCK_LIBRARY"]
LIBDIR = os.environ["PENSTOCK_LIBDIR"]
TOOLS = os.environ["PENSTOCK_TOOLS"] == "1"
COMPILER = os.environ["CXX"]
FLAGS = shlex.split(os.environ["CXXFLAGS"])
SCRATCH = BUILD / "test-scratch"
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
DEFINITIONS = ["-DPENSTOCK_REFERENCE=1"] if BACKEND == "reference" else []


def run(*command, **keywords):
    """Runs a command, showing it; ends the test if it fails."""
    print("+", shlex.join(map(str, command)), flush=True)
    try:
        return subprocess.run(list(map(str, command)), check=True, **keywords)
    except subprocess.CalledProcessError as error:
        sys.exit(f"exit status {error.returncode}")


def finish(complaints):
    """Ends the test: passed if nothing was complained about."""
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    sys.exit(1 if complaints else 0)


def skip(reason):
    print("skipped:", reason)
    sys.exit(77)


def read_list(path):
    lines = (SOURCE / path).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def compilers():
    """The build's compiler, and the other one if it is there."""
    others = ["g++"] if "clang" in COMPILER else ["clang++-16"]
    return [COMPILER, *filter(shutil.which, others)]


def installed_prefix(root):
    """Where the install tree under `root` begins, whatever prefix the build was configured for."""
    return next(pathlib.Path(root).rglob("include/penstock/version.hpp")).parents[2]


def install(system, build, root):
    """Installs a finished build under `root`; returns the prefix."""
    if system == "cmake":
        run("cmake", "--install", build, "--prefix", root, stdout=subprocess.DEVNULL)
    else:
        run("meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", root)
    return installed_prefix(root)


@contextlib.contextmanager
def installed():
    """The prefix of a fresh install of the build under test."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as root:
        yield install(SYSTEM, BUILD, root)


def pkg_config(prefix, *arguments):
    environment = {**os.environ, "PKG_CONFIG_PATH": str(next(prefix.rglob("penstock.pc")).parent)}
    output = run("pkg-config", *arguments, "penstock", env=environment, stdout=subprocess.PIPE, text=True).stdout
    return shlex.split(output)


def link_program(prefix, source, program):
    """Compiles a program of one source against an install tree, as pkg-config says."""
    run(COMPILER, "-std=c++20", *FLAGS, source, "-o", program, *pkg_config(prefix, "--cflags"),
        *pkg_config(prefix, "--static", "--libs"), f"-Wl,-rpath,{prefix / LIBDIR}")


def cmake_build(source, build, *options):
    run("cmake", "-G", "Ninja", "-S", source, "-B", build, f"-DCMAKE_BUILD_TYPE={BUILD_TYPE}", *options)
    run("cmake", "--build", build)


def meson_build(source, build, *options):
    kind = {"Release": "release", "Debug": "debug"}.get(BUILD_TYPE, "debugoptimized")
    again = ["--reconfigure"] if (build / "build.ninja").exists() else []
    build.mkdir(parents=True, exist_ok=True)
    # In a folder of its own: Meson lets CMake write into the current one when it asks for its version.
    run("meson", "setup", build, source, f"--buildtype={kind}", *again, *options, cwd=build)
    run("meson", "compile", "-C", build)
