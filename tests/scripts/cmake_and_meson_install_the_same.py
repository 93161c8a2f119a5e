# SPDX-License-Identifier: MIT
"""CMake and Meson install the same files: the same symbols in the library, the same words in penstock.pc and manual."""
import subprocess
import tempfile

from build_under_test import (BACKEND, BUILD, LIBDIR, LIBRARY, SCRATCH, SOURCE, SYSTEM, TOOLS, cmake_build, finish,
                              install, meson_build, run)

# CMake states where the library is in a file per build type, Meson in penstockTargets.cmake.
ONLY_CMAKE = "penstockTargets-"


def build_with_meson(build):
    meson_build(SOURCE, build, f"--libdir={LIBDIR}", f"-Dpenstock_backend={BACKEND}", f"-Ddefault_library={LIBRARY}",
                "-Dtests=disabled", "-Dbenchmarks=disabled", "-Dtools=" + ("enabled" if TOOLS else "disabled"))


def build_with_cmake(build):
    cmake_build(SOURCE, build, f"-DCMAKE_INSTALL_LIBDIR={LIBDIR}", f"-DPENSTOCK_BACKEND={BACKEND}",
                "-DBUILD_SHARED_LIBS=" + ("ON" if LIBRARY == "shared" else "OFF"), "-DPENSTOCK_BUILD_TESTS=OFF",
                "-DPENSTOCK_BUILD_BENCHMARKS=OFF", "-DPENSTOCK_BUILD_TOOLS=" + ("ON" if TOOLS else "OFF"))


def file_names(prefix):
    paths = (path for path in prefix.rglob("*") if not path.is_dir())
    return {str(path.relative_to(prefix)) for path in paths if not path.name.startswith(ONLY_CMAKE)}


def symbols(prefix):
    library = next((prefix / LIBDIR).glob("libpenstock.*"))
    dynamic = ["--dynamic"] if LIBRARY == "shared" else []
    command = ["nm", "-C", "--defined-only", "--extern-only", "--format=posix", *dynamic, library]
    lines = run(*command, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return {" ".join(words[:-2]) for words in map(str.split, lines) if len(words) > 2}


def pkg_config_words(prefix):
    return set((prefix / LIBDIR / "pkgconfig/penstock.pc").read_text().splitlines())


def manual_words(prefix):
    return {(page.name, line) for page in prefix.glob("share/man/*/*") for line in page.read_text().splitlines()}


other = "meson" if SYSTEM == "cmake" else "cmake"
other_build = SCRATCH / other
build_with_meson(other_build) if other == "meson" else build_with_cmake(other_build)

complaints = []
with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
    trees = {SYSTEM: install(SYSTEM, BUILD, ours), other: install(other, other_build, theirs)}
    for what in (file_names, symbols, pkg_config_words, manual_words):
        one, two = what(trees[SYSTEM]), what(trees[other])
        complaints += [f"only {SYSTEM}: {what.__name__}: {entry}" for entry in sorted(one - two)]
        complaints += [f"only {other}: {what.__name__}: {entry}" for entry in sorted(two - one)]
        print(f"{what.__name__}: {len(one & two)} in common", flush=True)
finish(complaints)
