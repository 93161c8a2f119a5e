# SPDX-License-Identifier: MIT
"""Every source stands in the list that both builds read, carries its licence, and the version agrees with itself."""
import re

from build_under_test import SOURCE, finish, read_list

LISTS = {  # list: the file that an entry of it means
    "include/headers.txt": "include/{}",
    "include/headers-asio.txt": "include/{}",
    "src/sources.txt": "{}",
    "src/sources-tbb.txt": "{}",
    "src/sources-reference.txt": "{}",
    "tools/cli/sources.txt": "{}",
    "tools/man/pages.txt": "tools/man/{}.in",
    "tests/tests.txt": "tests/{}.cpp",
    "tests/examples/examples.txt": "tests/examples/{}.cpp",
    "benchmarks/benchmarks.txt": "benchmarks/{}.cpp",
}
UNLISTED = ("tests/compile_fail/", "tests/consumers/")  # found by the scripts that use them
LICENSED = {".hpp", ".cpp", ".h", ".in", ".py", ".sh", ".cmake", ".txt", ".build", ".json"}
FOLDERS = ("include", "src", "tests", "benchmarks", "tools")
PRIVATE = {"CMakeUserPresets.json"}  # the developer's own


def listed_files():
    for name, meaning in LISTS.items():
        for line in read_list(name):
            words = line.split()
            if name != "benchmarks/benchmarks.txt":  # there all are sources; elsewhere the first, or what has a slash
                words = words[:1] + [word for word in words[1:] if name == "tests/tests.txt" and "/" in word]
            yield from (meaning.format(word).replace(".py.cpp", ".py") for word in words)


def own_files():
    yield from (path for path in SOURCE.iterdir() if path.is_file() and path.name not in PRIVATE)
    for folder in FOLDERS:
        yield from (path for path in (SOURCE / folder).rglob("*") if path.is_file())


def orphans(files, listed):
    for file in files:
        wanted = file.startswith("include/") and file.endswith(".hpp") or file.endswith((".cpp", ".1.in"))
        wanted = wanted or file.startswith("tests/tool/test_")
        if wanted and not file.startswith(UNLISTED) and file not in listed:
            yield f"{file}: in no list"


def version_faults():
    header = (SOURCE / "include/penstock/version.hpp").read_text()
    parts = [re.search(rf"PENSTOCK_VERSION_{part} (\d+)", header)[1] for part in ("MAJOR", "MINOR", "PATCH")]
    version = re.search(r'PENSTOCK_VERSION "(.*)"', header)[1]
    if ".".join(parts) != version:
        yield f"version.hpp: {version} and its parts {parts} disagree"
    if f"## [{version}]" not in (SOURCE / "CHANGELOG.md").read_text():
        yield f"CHANGELOG.md: nothing about {version}"


paths = sorted(own_files())
files = [str(path.relative_to(SOURCE)) for path in paths]
listed = set(listed_files())
complaints = [f"{file}: listed, but not there" for file in sorted(listed - set(files))]
complaints += orphans(files, listed)
complaints += [f"{path.relative_to(SOURCE)}: no licence line" for path in paths
               if path.suffix in LICENSED and "SPDX-License-Identifier: MIT" not in path.read_text()[:400]]
complaints += version_faults()
finish(complaints)
