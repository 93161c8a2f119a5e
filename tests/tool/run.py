#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests the program penstock from outside.

usage: run.py BINARY [-q] [PATTERN...]

Runs every test in the test_*.py files beside this one, or those whose name contains one of the patterns. Prints the
name of each when it begins, so that it is known which one hangs (with -q a dot when it has ended), what was skipped and
how many ran, and exits with 1 if any failed. Compares with the sha256sum of coreutils 9.
"""
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True  # the source tree stays as it is

import support


def selected(suite, patterns):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from selected(test, patterns)
        elif not patterns or any(pattern in test.id() for pattern in patterns):
            yield test


def main(arguments):
    verbosity = 1 if "-q" in arguments else 2
    names = [argument for argument in arguments if argument not in ("-q", "-v")]  # -v: as without any
    if not names or names[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    with support.prepared(names[0]):
        found = unittest.defaultTestLoader.discover(str(pathlib.Path(__file__).parent))
        suite = unittest.TestSuite(selected(found, names[1:]))
        result = unittest.TextTestRunner(verbosity=verbosity, stream=sys.stdout).run(suite)
    for test, reason in result.skipped:
        print(f"skipped: {test.id()}: {reason}")
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun} tests: {result.testsRun - failed - len(result.skipped)} passed, "
          f"{failed} failed, {len(result.skipped)} skipped")
    return 0 if failed == 0 and result.testsRun > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
