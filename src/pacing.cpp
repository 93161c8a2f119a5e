// SPDX-License-Identifier: MIT
/// How much to do at a time, and how long tasks are: advice from the clock, on which nothing depends but speed.
#include <algorithm>
#include <utility>

#include <sys/resource.h>

#include "pacing.hpp"
#include "stream_engine.hpp"

namespace penstock::inline v0::detail {
namespace {

using namespace std::chrono_literals;

/// A batch shares the cost of turn, queue and wake-up among its tasks. It grows while it is cheap enough for those to
/// matter, and shrinks before it is long enough for the consumer or another stream to notice.
constexpr auto short_batch = 40us;
constexpr auto long_batch = 160us;

/// No more work than taking a result is: then a consumer that only takes keeps a core busy, too.
constexpr auto tiny_to_take = 800ns;
/// Less work than to wake a consumer and let it run is worth: it had better be woken for several results at a time.
constexpr auto short_to_take = 40us;
/// Less work than handing a record to another core and back: then the consumer runs such tasks best alone.
constexpr auto tiny_to_run = 120ns;

/// What takes so long is no short one that was held up.
constexpr auto deceiving_task = 1ms;
/// What takes so long was hardly short, whoever had the core meanwhile.
constexpr auto long_task = 10ms;
/// In multiples of what it takes to help.
constexpr std::uint32_t most_trust = 8;
constexpr std::uint32_t most_trust_to_help = 8'192;

bool preempted_since_last_asked() noexcept {
    static thread_local long seen = 0;
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return std::exchange(seen, usage.ru_nivcsw) != usage.ru_nivcsw;
}

}  // namespace

void stream_engine::adapt(pump& at, clock::duration spent, std::size_t tasks) noexcept {
    if (tasks == 0) return;
    judge(spent, tasks);
    at.each = spent / static_cast<clock::duration::rep>(tasks);
    if (is_own(at)) {
        tiny_to_run_.count(spent < tiny_to_run * tasks);
    } else {
        tiny_to_take_.count(spent < tiny_to_take * tasks);
        short_to_take_.count(spent < short_to_take * tasks);
    }
    if (spent < short_batch && tasks >= at.batch) {
        at.batch = std::min(at.batch * 2, pump::capacity);
    } else if (spent > long_batch) {
        at.batch = std::max(at.batch / 2, 1U);
    }
}

/// Whether tasks can be called short is a matter of trust: short ones earn it, a long one loses it all; but not if this
/// thread was preempted meanwhile, for then the time may have been somebody else's. And who was deceived believes less: while
/// the consumer runs a long task nobody takes results, and soon they fill the buffer. (Two pumps may overwrite each other's
/// sum, which does no harm.)
void stream_engine::judge(clock::duration spent, std::size_t tasks) noexcept {
    const std::uint32_t trust = trust_.load(std::memory_order_relaxed);
    const std::uint32_t needed = trust_to_help_.load(std::memory_order_relaxed);
    if (spent <= short_task * tasks) {
        if (trust < most_trust * needed) {
            const auto more = std::min<std::size_t>(trust + tasks, most_trust * needed);
            trust_.store(static_cast<std::uint32_t>(more), std::memory_order_relaxed);
        } else if (needed > least_trust_to_help) {
            trust_to_help_.store(needed / 2, std::memory_order_relaxed);
            trust_.store(most_trust * needed / 2, std::memory_order_relaxed);
        }
    } else if (trust > 0) {
        const bool doubtful = preempted_since_last_asked();
        trust_.store(doubtful ? trust / (spent < long_task ? 2 : 4) : 0, std::memory_order_relaxed);
        if (!doubtful && spent > deceiving_task && trust >= needed && needed < most_trust_to_help) {
            trust_to_help_.store(needed * 16, std::memory_order_relaxed);
        }
    }
}

}  // namespace penstock::inline v0::detail
