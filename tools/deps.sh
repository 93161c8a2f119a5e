#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs the Debian packages that are missing, and says nothing if none is.
#   tools/deps.sh build    what the library and the program need
#   tools/deps.sh check    those, and what the tests need (the default)
#   tools/deps.sh compare  those, and what tools/compare.sh needs; not Go, which takes part where it is
set -eu -o pipefail

packages=(g++ cmake ninja-build pkg-config libtbb-dev libconcurrentqueue-dev libfmt-dev libssl-dev)
for_tests=(meson python3 libgtest-dev libbenchmark-dev clang-16 libclang-rt-16-dev doxygen groff-base strace valgrind
    libasio-dev libcurl4-openssl-dev nginx-light)
case ${1:-check} in
build) ;;
check) packages+=("${for_tests[@]}") ;;
compare) packages+=("${for_tests[@]}" gnuplot-nox parallel) ;;
*)
    echo "usage: tools/deps.sh [build|check|compare]" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "deps.sh knows Debian only; needed here under whatever name: ${packages[*]}" >&2
    exit 0
fi

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status} ' "$package" 2>/dev/null) || status=absent
    [[ $status == *"installed "* && $status != *not-installed* ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

as_root=()
((EUID == 0)) || as_root=(sudo)
echo "installing ${missing[*]}" >&2

# Debian starts a server as soon as it is installed; the tests want only the program, on ports of their own. A machine
# that has a policy about that already keeps it.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
