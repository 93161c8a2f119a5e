#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds and tests everything, lane by lane; a lane that fails does not keep the next from running.
#   tools/check.sh           every lane
#   tools/check.sh --quick   what is worth waiting for: unit, tool and doc tests under CMake, the tool's under Meson
# The last line says how many tests passed and failed in all; a lane that does not get as far as its tests is one failure.
set -eu -o pipefail

quick=false
case ${1:-} in
"") ;;
--quick) quick=true ;;
*)
    echo "usage: tools/check.sh [--quick]" >&2
    exit 2
    ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
jobs=$(nproc)
logs=build/check
mkdir -p "$logs"
all_passed=0
all_failed=0
summary=()

# ThreadSanitizer finds its shadow memory taken where the kernel randomises addresses too well.
fixed_addresses=()
if setarch -R true 2>/dev/null; then fixed_addresses=(setarch -R); fi

cmake_lane() { # preset, arguments of ctest
    local preset=$1
    shift
    cmake --preset "$preset" &&
        cmake --build --preset "$preset" &&
        "${fixed_addresses[@]}" ctest --preset "$preset" -j "$jobs" "$@"
}

meson_lane() { # arguments of meson test
    local again=()
    if [[ -e build/meson/build.ninja ]]; then again=(--reconfigure); fi
    meson setup "${again[@]}" build/meson &&
        meson test -C build/meson --print-errorlogs "$@" # builds what those tests need
}

# Sets passed, failed and skipped to what CTest or Meson said at the end of a log.
count_tests() { # log
    passed=0 failed=0 skipped=0
    eval "$(awk '
        /^[0-9]+% tests passed, [0-9]+ tests? failed out of [0-9]+/ { failed = $4; passed = $NF - $4 }
        /\*\*\*(Skipped|Not Run)/                                   { ctest_skipped++ }
        /^(Ok|Expected Fail): +[0-9]+ *$/                           { passed += $NF }
        /^(Fail|Unexpected Pass|Timeout): +[0-9]+ *$/               { failed += $NF }
        /^Skipped: +[0-9]+ *$/                                      { skipped += $NF }
        END { printf "passed=%d failed=%d skipped=%d", passed - ctest_skipped, failed, skipped + ctest_skipped }
    ' "$1")"
}

lane() { # name, command
    local name=$1 log="$logs/$1.log" started=$SECONDS status=0
    shift
    printf '\n== %s\n' "$name"
    "$@" 2>&1 | tee "$log" || status=$?
    count_tests "$log"
    if ((status != 0 && failed == 0)) || ((passed + failed == 0)); then failed=$((failed + 1)); fi
    all_passed=$((all_passed + passed))
    all_failed=$((all_failed + failed))
    summary+=("$(printf '%-8s %6d %6d %7d %6d s' "$name" "$passed" "$failed" "$skipped" $((SECONDS - started)))")
}

tools/deps.sh check
if $quick; then
    lane release cmake_lane release -LE 'consumer|stress'
    lane meson meson_lane --suite tool
else
    lane release cmake_lane release
    lane meson meson_lane
    lane clang cmake_lane clang -L unit
    lane asan cmake_lane asan -L 'unit|stress|tool'
    lane tsan cmake_lane tsan -L 'unit|stress'
fi

printf '\nlane     passed failed skipped\n'
printf '%s\n' "${summary[@]}"
printf '%d passed, %d failed\n' "$all_passed" "$all_failed"
((all_failed == 0))
