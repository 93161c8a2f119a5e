# SPDX-License-Identifier: MIT
"""The command line of the comparison."""
import argparse
import sys

from workloads import all_workloads

DESCRIPTION = """Measures penstock beside its peers, interleaved, and writes build/compare/comparison.md, comparison.csv and
plots. Without a workload it runs all of them."""


class Refused(Exception):
    """What is wrong with the command line, to be shown to who wrote it."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Refused(message)


def choose(words, quick):
    """The workloads of these names, each once, in their own order."""
    known = all_workloads(quick)
    names = {name: each for each in known for name in (each.key, each.name)}
    unknown = [word for word in words if word.lower() not in names]
    if unknown:
        listed = ", ".join(each.name if each.key == each.name else f"{each.key} or {each.name}" for each in known)
        raise Refused(f"no such workload: {', '.join(unknown)}. There are: {listed}")
    chosen = {names[word.lower()].key for word in words}
    return [each for each in known if not words or each.key in chosen]


def parse(words):
    parser = Parser(prog="tools/compare.sh", description=DESCRIPTION)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD",
                        help=", ".join(f"{each.key} {each.name}" for each in all_workloads()))
    parser.add_argument("--rounds", type=int, metavar="N",
                        help="exactly so many runs of each (default: up to 5, as many as fit into the time of the workload)")
    parser.add_argument("--quick", action="store_true",
                        help="fewer points and shorter runs: does it work, not how fast it is")
    parser.add_argument("--tree", metavar="FOLDER", help="what digest reads (default: /usr/share, or something smaller)")
    parser.add_argument("--build", default="build/release", help=argparse.SUPPRESS)  # these two are for who develops it
    parser.add_argument("--output", default="build/compare", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.rounds is not None and given.rounds < 1:
        raise Refused("--rounds takes a number from 1")
    given.chosen = choose(given.workloads, given.quick)
    return given


def parse_or_exit(words):
    try:
        return parse(words)
    except Refused as refused:
        print(f"tools/compare.sh: {refused}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":  # tools/compare.sh asks before it builds anything
    parse_or_exit(sys.argv[1:])
