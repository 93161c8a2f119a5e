#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Measures penstock beside its peers, interleaved, in under ten minutes; the tables, every run and the plots are in
# build/compare/.
#   tools/compare.sh [--quick] [--rounds N] [--tree FOLDER] [WORKLOAD...]    all workloads, unless some are named
#   tools/compare.sh --help                                                  what they are
set -eu -o pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v python3 >/dev/null || tools/deps.sh compare
python3 -B benchmarks/compare/arguments.py "$@"
case " $* " in *" --help "* | *" -h "*) exit ;; esac

tools/deps.sh compare || echo "compare.sh goes on with what is there" >&2
cmake --preset release
cmake --build --preset release --target contenders penstock_tool
exec python3 -B benchmarks/compare "$@"
