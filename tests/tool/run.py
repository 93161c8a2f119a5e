#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests the program penstock from outside.

usage: run.py BINARY [-v] [PATTERN...]

Runs every test in the test_*.py files beside this one, or those whose name contains one of the patterns. Prints how
many ran, and exits with 1 if any failed. Compares with the sha256sum of coreutils 9.
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
    verbose = "-v" in arguments
    names = [argument for argument in arguments if argument != "-v"]
    if not names or names[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    with support.prepared(names[0]):
        found = unittest.defaultTestLoader.discover(str(pathlib.Path(__file__).parent))
        suite = unittest.TestSuite(selected(found, names[1:]))
        result = unittest.TextTestRunner(verbosity=2 if verbose else 1, stream=sys.stdout).run(suite)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun} tests: {result.testsRun - failed - len(result.skipped)} passed, "
          f"{failed} failed, {len(result.skipped)} skipped")
    return 0 if failed == 0 and result.testsRun > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
