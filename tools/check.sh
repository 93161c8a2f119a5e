#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds and tests everything, lane by lane; a lane that fails does not keep the next from running.
#   tools/check.sh           every lane
#   tools/check.sh --quick   what is worth waiting for: unit, doc and most tool tests under CMake, a few of the tool's under Meson
# Under Meson only what shows that its build files are right: the code is the same, and was tested under CMake.
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
failed_lanes=()
summary=()

# ThreadSanitizer finds its shadow memory taken where the kernel randomises addresses too well.
fixed_addresses=()
if setarch -R true 2>/dev/null; then fixed_addresses=(setarch -R); fi

targets=() # what to build; everything if nothing is said
cmake_lane() { # preset, arguments of ctest
    local preset=$1
    shift
    cmake --preset "$preset" &&
        cmake --build --preset "$preset" "${targets[@]}" &&
        "${fixed_addresses[@]}" ctest --preset "$preset" -j "$jobs" "$@"
}

tsan_lane() { # arguments of ctest
    local bits
    bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null) || bits=0
    if ((bits > 28 && ${#fixed_addresses[@]} == 0)); then
        echo "ThreadSanitizer finds no place for its shadow memory: the kernel randomises $bits bits of addresses," \
            "and setarch -R is refused here. As root of the machine: sysctl vm.mmap_rnd_bits=28" >&2
        return 1
    fi
    cmake_lane tsan "$@"
}

meson_lane() { # arguments of meson test
    local again=()
    if [[ -e build/meson/build.ninja ]]; then again=(--reconfigure); fi
    meson setup "${again[@]}" build/meson &&
        meson test -C build/meson --print-errorlogs "$@" # builds what those tests need
}

whole_meson_lane() {
    local status=0
    meson_lane --suite doc || status=$?
    # Of the consumers those that use what this build installs; the others were tried in release and would do the same.
    meson_lane job_test as_completed_test task_test asio_test tool/test_command_line tool/test_lines tool/test_walk \
        scripts/consumer_uses_find_package scripts/consumer_uses_pkg_config || status=$?
    return $status
}

# Sets passed, failed and skipped to what CTest or Meson said at the end of a log.
count_tests() { # log
    passed=0 failed=0 skipped=0
    eval "$(awk '
        /^[0-9]+% tests passed, [0-9]+ tests? failed out of [0-9]+/ { failed = $4; passed = $NF - $4 }
        /\*\*\*Skipped/                                             { ctest_skipped++ } # among those that passed
        /\*\*\*Not Run \(Disabled\)/                                { skipped++ }       # among none
        /^(Ok|Expected Fail): +[0-9]+ *$/                           { passed += $NF }
        /^(Fail|Unexpected Pass|Timeout): +[0-9]+ *$/               { failed += $NF }
        /^Skipped: +[0-9]+ *$/                                      { skipped += $NF }
        END { printf "passed=%d failed=%d skipped=%d", passed - ctest_skipped, failed, skipped + ctest_skipped }
    ' "$1")"
}

# Prints what the log of a lane says of each test that failed: its line, and the beginning and end of its output. If no
# test did, the end of the log.
show_failures() { # log
    local shown
    shown=$(awk '
        / Test +#[0-9]+: / || /^ *[0-9]+\/[0-9]+ / || /^ +Start +[0-9]+: / { inside = 0 }
        /^The following tests / || /^Summary of Failures/ { again = 1; inside = 0 }
        /^Ok: / { again = 0 }
        again { next }
        / Test +#[0-9]+: .*\*\*\*/ && !/\*\*\*(Skipped|Not Run \(Disabled\))/ ||
            /^ *[0-9]+\/[0-9]+ .* (FAIL|TIMEOUT|ERROR) / {
            inside = 1
            lines[++tests] = 0
        }
        inside { text[tests, ++lines[tests]] = $0 }
        END {
            for (i = 1; i <= tests && i <= 8; i++) {
                for (j = 1; j <= lines[i]; j++) {
                    if (j <= 25 || j > lines[i] - 25) print substr(text[i, j], 1, 300)
                    else if (j == 26) print "    ..."
                }
            }
            if (tests > 8) print "and " tests - 8 " more"
        }' "$1")
    if [[ $shown ]]; then printf '%s\n' "$shown"; else tail -n 30 "$1"; fi
}

lane() { # name, command
    local name=$1 log="$logs/$1.log" started=$SECONDS status=0
    shift
    printf '\n== %s\n' "$name"
    "$@" 2>&1 | tee "$log" || status=$?
    count_tests "$log"
    if ((status != 0 && failed == 0)) || ((passed + failed == 0)); then failed=$((failed + 1)); fi
    if ((failed > 0)); then failed_lanes+=("$name"); fi
    all_passed=$((all_passed + passed))
    all_failed=$((all_failed + failed))
    summary+=("$(printf '%-8s %6d %6d %7d %6d s' "$name" "$passed" "$failed" "$skipped" $((SECONDS - started)))")
}

tools/deps.sh check
if $quick; then
    targets=(--target penstock_quick_tests)
    lane release cmake_lane release -L 'unit|tool|doc' -E 'tool/test_(limits|progress)'
    lane meson meson_lane tool/test_command_line tool/test_lines tool/test_walk
else
    lane release cmake_lane release
    lane meson whole_meson_lane
    lane clang cmake_lane clang -L 'unit|thorough'
    lane asan cmake_lane asan -L 'unit|thorough|stress|tool' -E '^scripts/'
    lane tsan tsan_lane -L 'unit|thorough|stress'
fi

# Once more, where whoever reads only the end of this finds it.
for name in "${failed_lanes[@]}"; do
    printf '\n== failed in %s\n' "$name"
    show_failures "$logs/$name.log"
done
printf '\nlane     passed failed skipped\n'
printf '%s\n' "${summary[@]}"
printf '%d passed, %d failed\n' "$all_passed" "$all_failed"
((all_failed == 0))
