# SPDX-License-Identifier: MIT
"""Doxygen understands the comments of the public headers; a warning is an error."""
import shutil
import subprocess
import sys

from build_under_test import SCRATCH, SOURCE, run

if not shutil.which("doxygen"):
    sys.exit("no doxygen: tools/deps.sh")
output = SCRATCH / "doxygen"
output.mkdir(parents=True, exist_ok=True)
settings = f"""
PROJECT_NAME = penstock
INPUT = "{SOURCE / 'include'}"
STRIP_FROM_PATH = "{SOURCE / 'include'}"
OUTPUT_DIRECTORY = "{output}"
EXCLUDE_PATTERNS = */detail/*
EXCLUDE_SYMBOLS = penstock::detail penstock::v0::detail
RECURSIVE = YES
EXTRACT_ALL = YES
MACRO_EXPANSION = YES
PREDEFINED = PENSTOCK_EXPORT=
WARN_AS_ERROR = FAIL_ON_WARNINGS
HAVE_DOT = NO
QUIET = YES
GENERATE_LATEX = NO
"""
run("doxygen", "-", input=settings, text=True, stdout=subprocess.DEVNULL)
