# SPDX-License-Identifier: MIT
"""Every public header compiles alone, without RTTI and without a warning, with both compilers."""
import concurrent.futures
import itertools
import os
import subprocess

from build_under_test import DEFINITIONS, SOURCE, WARNINGS, compilers, finish, read_list


def complaint(compiler, header):
    # Asio asks for type names unless it is told not to.
    command = [compiler, "-std=c++20", "-fsyntax-only", "-fno-rtti", "-DASIO_NO_TYPEID", *WARNINGS, *DEFINITIONS,
               f"-I{SOURCE / 'include'}", "-x", "c++", "-"]
    result = subprocess.run(command, input=f"#include <{header}>\n", stderr=subprocess.PIPE, text=True)
    return f"{compiler}: {header}\n{result.stderr}" if result.returncode else ""


headers = read_list("include/headers.txt") + read_list("include/headers-asio.txt")
pairs = itertools.product(compilers(), headers)
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    finish(list(filter(None, pool.map(lambda pair: complaint(*pair), pairs))))
