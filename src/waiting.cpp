// SPDX-License-Identifier: MIT
/// The consumer waits, and is woken. README.md, "The consumer" and "The race that must not happen".
#include <algorithm>
#include <optional>
#include <thread>

#include "stream_engine.hpp"

namespace penstock::inline v0::detail {
namespace {

using namespace std::chrono_literals;

/// Before parking: results of short tasks come sooner than a thread falls asleep and wakes.
constexpr auto spin_time = 10us;
/// Where each side waits for the other at every turn, sleeping and waking would be most of the work.
constexpr auto long_spin_time = 50us;
constexpr auto longest_doze = 100us;
constexpr std::size_t most_to_doze_for = 32;

}  // namespace

/// Parks until there may be something to do, `until` at the latest.
void stream_engine::sleep(std::optional<clock::time_point> until, bool nested, bool may_help) noexcept {
    if (deadline_ && (!until || *deadline_ < *until)) until = deadline_;
    if (short_tasks()) {
        // Spinning is for a consumer that has a core: it helps, or takes as fast as tasks end.
        const bool has_core = may_help || tiny_to_take_;
        if (has_core && spin_for_result()) return;
        if (!may_help) {
            if (!nested) set_helping(false);
            if (doze(until)) return;
        }
    }
    if (!nested) set_helping(false);
    const std::uint32_t bits =
        consumer_waits | (may_help ? consumer_helps : 0U) | (nested ? consumer_nested : 0U);
    awaited_.store(in_order_ ? order_taken_->link.load(std::memory_order_acquire) : nullptr);
    attention_.fetch_or(bits);
    // O2, with run_batch(), publish(), fill() and end_source(): what they did is seen now, or they see the announcement.
    if (!anything_to_do(nested, may_help)) consumer_.park(until);
    attention_.fetch_and(~(bits | consumer_roused));
}

/// Where short tasks end all the time, to be woken for each would cost more than the tasks. Sleeps until a good number of
/// results are published, but no longer than a nap; pumps look at it after a batch, not after a task. Returns whether
/// anything came.
bool stream_engine::doze(std::optional<clock::time_point> until) noexcept {
    const std::size_t published = published_.load();
    doze_target_.store(published + std::clamp<std::size_t>(fair_share_, 1, most_to_doze_for));
    attention_.fetch_or(consumer_dozes);
    const auto nap = clock::now() + longest_doze;
    if (published_.load() == published && !at_end_visible()) {  // O2, with publish() and end_source()
        consumer_.park(until ? std::min(*until, nap) : nap);
    }
    attention_.fetch_and(~(std::uint32_t{consumer_dozes} | consumer_roused));
    refill(true);
    return result_visible();
}

bool stream_engine::spin_for_result() noexcept {
    const auto until = clock::now() + (tiny_to_take_ ? long_spin_time : spin_time);
    do {
        for (int look = 0; look < 4; ++look) {
            if (result_visible()) return true;
            for (int pauses = 0; pauses < 16; ++pauses) sync::pause();
        }
        // On a busy machine the results may be made on this very core.
        yield();
    } while (clock::now() < until);
    return false;
}

bool stream_engine::result_visible() const noexcept {
    if (ready_first_ || at_end_visible()) return true;
    if (!in_order_) return published_more();
    const record* awaited = order_taken_->link.load(std::memory_order_acquire);
    return awaited && awaited->state.load(std::memory_order_acquire) >= stage::finished;
}

/// Announced as waiting: exact (O2).
bool stream_engine::anything_to_do(bool nested, bool may_help) noexcept {
    const bool unstarted = has_unstarted();  // first of all: it visits every batch
    if (result_visible()) return true;
    refill(true);
    if (ready_first_) return true;
    if (may_help && turn_.load() && unstarted) return true;
    if (may_help && (nested || short_tasks()) && work_to_do()) return true;
    if (!nested) return false;
    const sync::lock_guard guard(lane_->mutex());
    return descendants_pump_locked() != nullptr;
}

/// Whoever has given the consumer something to do and sees that it waits. One of several wakes it; returns whether it was
/// this one.
bool stream_engine::rouse_consumer() noexcept {
    constexpr std::uint32_t waiting = consumer_waits | consumer_dozes | consumer_helps | consumer_nested;
    std::uint32_t bits = attention_.load();
    do {
        if (!(bits & (consumer_waits | consumer_dozes))) return false;
        // One that dozed is in no hurry: enough to make room for it once.
    } while (!attention_.compare_exchange_weak(bits, (bits & ~waiting) | (bits & consumer_waits ? consumer_roused : 0U)));
    consumer_.unpark();
    return true;
}

/// Not under a lock.
void stream_engine::wake_consumer() {
    // Waking a thread is not running it: make room for it on this core.
    if (rouse_consumer()) yield();
}

void stream_engine::yield() { std::this_thread::yield(); }

}  // namespace penstock::inline v0::detail
