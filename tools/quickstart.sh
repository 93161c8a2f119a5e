#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the program and lets it hash every file below a folder; sha256sum checks its answer.
#   tools/quickstart.sh [DIR]    DIR is /usr/share unless said otherwise
set -eu -o pipefail

folder=$(realpath -e -- "${1:-/usr/share}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools/deps.sh build
cmake --preset release -B build/quickstart -DPENSTOCK_BUILD_TESTS=OFF -DPENSTOCK_BUILD_BENCHMARKS=OFF
cmake --build build/quickstart

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "penstock digest $folder"
build/quickstart/tools/cli/penstock digest "$folder" >"$work/manifest" || {
    status=$?
    echo "penstock digest failed: exit status $status" >&2
    exit "$status"
}
files=$(wc -l <"$work/manifest")
((files > 0)) || {
    echo "penstock digest found no files in $folder" >&2
    exit 1
}
sha256sum -c --quiet "$work/manifest"
echo "sha256sum verified $files files"
