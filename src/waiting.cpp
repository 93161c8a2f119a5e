// SPDX-License-Identifier: MIT
/// The consumer waits, and is woken. README.md, "The consumer" and "The race that must not happen".
#include <algorithm>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

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
/// Of launched tasks, where whoever publishes looks at every end, and wakes for no more than this is due to.
constexpr std::size_t most_landed_to_doze_for = 256;
/// A consumer that goes to sleep again so soon, so many times with few exceptions, had better be woken less often.
constexpr auto fast_results = 150us;
constexpr unsigned sleeps_before_doze = 32;
constexpr unsigned most_fast_sleeps = 64;
constexpr unsigned slow_sleep_weighs = 8;

}  // namespace

/// Parks until there may be something to do, `until` at the latest.
void stream_engine::sleep(std::optional<clock::time_point> until, bool nested, bool may_help, bool may_ask) {
    if (gate_ && gate_->loan.want()) {
        until.reset();  // before it has its permits back it can not go on, whatever the time is
    } else if (deadline_ && (!until || *deadline_ < *until)) {
        until = deadline_;
    }
    if (launches_) {
        if (results_come_fast() && doze(until)) return;
    } else {
        // Spinning is for a consumer that has a core: it helps, or takes as fast as tasks end.
        const bool helps = may_help && short_tasks();
        if ((helps || tiny_to_take_) && spin_for_result()) return;
        if (!helps && short_to_take_) {
            if (!nested) set_helping(false);
            if (doze(until)) return;
        }
    }
    if (!nested) set_helping(false);
    if (own_) own_->lock.set_biased(false);
    const bool asks = may_ask && all_accounted();
    std::optional<cpu_lane::wait_inside> inside;
    if (nested || asks) inside.emplace(*lane_);
    const std::uint32_t bits =
        consumer_waits | (may_help ? consumer_helps : 0U) | (nested || asks ? consumer_nested : 0U);
    awaited_.store(in_order_ ? order_taken_->link.load(std::memory_order_acquire) : nullptr);
    announce(bits);
    // O2, with run_batch(), publish(), fill() and end_source(): what they did is seen now, or they see the
    // announcement.
    if (!anything_to_do(nested, may_help, asks)) consumer_.park(until);
    attention_.fetch_and(~(bits | consumer_roused));
    awaited_.store(nullptr);  // it may be taken, and stand for another task soon
}

/// Says that the consumer waits. It has taken back what it said before: if somebody says so already, it is another.
void stream_engine::announce(std::uint32_t bits) {
    if (!(attention_.fetch_or(bits) & (consumer_waits | consumer_dozes))) return;
    throw std::logic_error("penstock: a stream has two consumers: one waits for a result while another one does");
}

/// The consumer of a stream that launches its tasks, about to sleep: whether it has hardly ever slept for long of late.
bool stream_engine::results_come_fast() noexcept {
    const auto now = clock::now();
    const bool soon = now - std::exchange(last_sleep_, now) < fast_results;
    if (soon) {
        fast_sleeps_ = std::min(fast_sleeps_ + 1, most_fast_sleeps);
    } else {
        // Where timers end many waits at a time, results come in waves.
        fast_sleeps_ -= std::min(fast_sleeps_, slow_sleep_weighs);
    }
    return fast_sleeps_ >= sleeps_before_doze;
}

/// Where short tasks end all the time, to be woken for each would cost more than the tasks. Sleeps until a good number
/// of results are published, but no longer than a nap; pumps look at it after a batch, not after a task. Returns
/// whether anything came.
bool stream_engine::doze(std::optional<clock::time_point> until) {
    const std::size_t published = published_.load();
    doze_target_.store(published +
                       std::clamp<std::size_t>(fair_share_, 1, launches_ ? most_landed_to_doze_for : most_to_doze_for));
    announce(consumer_dozes);
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

/// To a consumer that may go on.
bool stream_engine::result_visible() const noexcept { return !waits_for_loan() && result_there(); }

bool stream_engine::result_there() const noexcept {
    if (ready_first_ || at_end_visible()) return true;
    if (!in_order_) return published_more();
    const record* awaited = order_taken_->link.load(std::memory_order_acquire);
    return awaited && awaited->state.load(std::memory_order_acquire) >= stage::finished;
}

/// Announced as waiting: exact (O2).
bool stream_engine::anything_to_do(bool nested, bool may_help, bool asks) noexcept {
    const bool unstarted = has_unstarted();  // first of all: it visits every batch
    if (launches_) published_.load();        // O2, with land(): what it counted before is seen below
    drop_waiting();                          // O2, with request_stop()
    if (result_visible()) return true;
    refill(true);
    if (ready_first_ && !waits_for_loan()) return true;
    if (gate_ && gate_->loan.is_returned()) return true;  // to be looked at, and lent again
    if (may_help && !pulls_elsewhere_ && turn_.load() && unstarted) return true;
    if (may_help && (nested || short_tasks()) && work_to_do()) return true;
    if ((nested || asks) && lane_->blocking().take_for(*this, true, !nested)) return true;
    if (!nested) return false;
    const sync::lock_guard guard(lane_->mutex());
    return descendants_ticket_locked() != nullptr;
}

/// Whoever has given the consumer something to do and sees that it waits. One of several wakes it; returns whether it
/// was this one.
bool stream_engine::rouse_consumer() noexcept {
    constexpr std::uint32_t waiting = consumer_waits | consumer_dozes | consumer_helps | consumer_nested;
    std::uint32_t bits = attention_.load();
    do {
        if (!(bits & (consumer_waits | consumer_dozes))) return false;
        // One that dozed is in no hurry: enough to make room for it once.
    } while (
        !attention_.compare_exchange_weak(bits, (bits & ~waiting) | (bits & consumer_waits ? consumer_roused : 0U)));
    // A coroutine may have found something by itself meanwhile, and wait for the next already: it is woken once too
    // often.
    std::uintptr_t at = async_.load();
    while (at != no_coroutine && at != roused && !async_.compare_exchange_weak(at, roused)) {
    }
    if (at == no_coroutine) {
        consumer_.unpark();
    } else if (at != announcing && at != roused) {
        make_ready(*reinterpret_cast<suspended_frame*>(at));
    }
    return true;
}

/// Under the lane's mutex: the same for a consumer that waits inside a task. That is no coroutine.
void stream_engine::rouse_nested_consumer_locked() noexcept {
    constexpr std::uint32_t waiting = consumer_waits | consumer_dozes | consumer_helps | consumer_nested;
    std::uint32_t bits = attention_.load();
    do {
        if (!(bits & consumer_nested) || !(bits & (consumer_waits | consumer_dozes))) return;
    } while (!attention_.compare_exchange_weak(bits, (bits & ~waiting) | consumer_roused));
    consumer_.unpark();
}

/// As sleep(), for a consumer that is a coroutine. It must not go on elsewhere while this thread still looks.
bool stream_engine::wait_async(suspended_frame& consumer, const std::stop_token& until) {
    if (alarm_ && !alarm_is_set_ && !(alarm_is_set_ = lane_->timing().set(*alarm_))) {
        // There is no thread for timers: it looks at the clock itself, in turn with the others on its worker.
        make_ready(consumer);
        return true;
    }
    if (attention_.load() & (consumer_waits | consumer_dozes)) announce(0);  // another one waits: throws
    if (lends()) lend();
    if (own_) own_->lock.set_biased(false);
    async_.store(announcing);
    awaited_.store(in_order_ ? order_taken_->link.load(std::memory_order_acquire) : nullptr);
    attention_.fetch_or(consumer_waits);
    // O2, as in sleep().
    // And with interrupt(): who asks for the stop looks at attention_ afterwards. And with expire().
    std::atomic_thread_fence(std::memory_order_seq_cst);
    std::uintptr_t at = announcing;
    const bool told = (until.stop_requested() || expired_.load()) && !waits_for_loan();
    if (!told && !anything_to_do(false, false, false) &&
        async_.compare_exchange_strong(at, reinterpret_cast<std::uintptr_t>(&consumer))) {
        return true;
    }
    woken();
    return false;
}

/// The task that consumes is asked to stop.
void stream_engine::interrupt() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);  // O2, with wait_async()
    wake_consumer();
}

void stream_engine::woken() noexcept {
    attention_.fetch_and(~std::uint32_t{consumer_waits | consumer_roused});
    awaited_.store(nullptr);
    async_.store(no_coroutine);
}

/// Not under a lock.
void stream_engine::wake_consumer() {
    // Waking a thread is not running it: make room for it on this core.
    if (rouse_consumer()) yield();
}

void stream_engine::yield() { std::this_thread::yield(); }

}  // namespace penstock::inline v0::detail
