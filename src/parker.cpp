// SPDX-License-Identifier: MIT
#include "parker.hpp"

#include <climits>
#include <ctime>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace penstock::inline v0::sync {
namespace {

/// FUTEX_WAIT_BITSET takes an absolute time on CLOCK_MONOTONIC, which is what steady_clock reads.
timespec monotonic(time_point at) noexcept {
    const auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
    const auto nanoseconds = since < 0 ? 0 : since;
    return {.tv_sec = static_cast<time_t>(nanoseconds / 1'000'000'000), .tv_nsec = nanoseconds % 1'000'000'000};
}

}  // namespace

void futex_wait(atomic<std::uint32_t>& word, std::uint32_t expected, std::optional<time_point> until) noexcept {
    timespec time{};
    if (until) time = monotonic(*until);
    syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, expected, until ? &time : nullptr, nullptr,
            FUTEX_BITSET_MATCH_ANY);
}

void futex_wake(atomic<std::uint32_t>& word) noexcept {
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace penstock::inline v0::sync
