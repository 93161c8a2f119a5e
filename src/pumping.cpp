// SPDX-License-Identifier: MIT
/// What a pump does: find a batch, run it, publish it. README.md has the protocol.
#include <algorithm>
#include <exception>
#include <utility>

#include <penstock/errors.hpp>
#include <penstock/observer.hpp>

#include "stream_engine.hpp"

namespace penstock::inline v0::detail {
namespace {

/// To launch a task takes less than to yield; and on a busy machine it is others who get the core.
constexpr auto yield_interval = std::chrono::microseconds(20);

}  // namespace

bool stream_engine::work(pump& at) noexcept {
    if (launches_) {
        // One at a time, and soon done: nothing to time, and others seldom stand still.
        const bool found = ++at.launches % 64 == 0 ? find_work(at, clock::now()) : fill(at) || steal(at);
        if (!found) return false;
        run_batch(at);
        return true;
    }
    const auto begin = clock::now();
    if (!find_work(at, begin)) return false;
    at.attending = {};
    const std::size_t tasks = run_batch(at);
    adapt(at, clock::now() - begin - at.attending, tasks);
    return true;
}

bool stream_engine::find_work(pump& at, clock::time_point now) noexcept {
    return steal_stuck(at, now) || fill(at) || steal(at);
}

/// There may be more to do than this thread can: tells those who could.
void stream_engine::call_for_help(std::uint32_t bits, std::uint32_t unstarted) noexcept {
    if (bits & puller_idle) call_puller();
    if (!(bits & (places_idle | consumer_nested))) return;
    if (unstarted == 0 && !pullable()) return;
    if (bits & places_idle) kick();
    // It sits on a worker of its own: no other thread may be left for the pump that was kicked.
    if (bits & consumer_nested) wake_consumer();
}

/// Returns how many tasks it started.
std::size_t stream_engine::run_batch(pump& at) noexcept {
    for (std::size_t tasks = 0;; ++tasks) {
        record* next = at.advance();
        const std::uint32_t bits = attention_.load();  // O2, with sleep() and retire()
        if (bits & for_every_task) [[unlikely]]
            attend(at, bits, next != nullptr);
        if (!next) {
            publish(at);
            if (std::exchange(at.owes_loan, false)) return_loan();
            return tasks;
        }
        start(at, *next);
    }
}

/// Once the stream is being stopped, or a task has failed.
bool stream_engine::may_start(const record& task) const noexcept {
    if (attention_.load() & stopping) return false;
    // Fail-fast in submission order equals the sequential loop: what comes before the failing task still runs.
    return in_order_ && task.index < fail_index_.load();
}

/// `in_flight`: it has a slot.
void stream_engine::drop(record& task, bool in_flight) noexcept {
    if (task.retried) return drop_retried(task, in_flight);
    source_.discard(task);
    bool owes_loan = false;
    if (apart_) {
        if (observer_ && task.told) observer_->on_error(task.index, std::make_exception_ptr(stopped()));
        owes_loan = return_permit(task);
    }
    if (launches_) {
        publish_landed(task, stage::dropped);
    } else {
        task.state.store(stage::dropped, std::memory_order_release);  // O1
    }
    dropped_.fetch_add(1);  // I5
    if (retry_ && in_flight) {
        retry_->return_slot();
        offer_slot();
    }
    if (owes_loan) return_loan();
    if (attention_.load() & (consumer_waits | consumer_dozes)) wake_consumer();
}

void stream_engine::settle_error(record& task) noexcept {
    if (task.outcome == outcome::cancelled) {
        cancelled_.fetch_add(1);
        if (expired_.load()) task.late = true;  // C5: what the deadline stops is dropped
        return;
    }
    failed_.fetch_add(1);
    if (fail_fast_ && !task.late) fail(task);
}

/// The slow part of a task's end. `more`: the pump has another task to run before it comes back to the producer.
void stream_engine::attend(pump& at, std::uint32_t bits, bool more) noexcept {
    if (bits & consumer_waits) {
        if (!in_order_) publish(at);
        const record* awaited = awaited_.load();
        // Without one the consumer parked before its record was pulled: it must look which it is.
        const bool found = in_order_ && (!awaited || awaited->state.load(std::memory_order_acquire) >= stage::finished);
        if (found || bits & (stopping | failing)) make_way(at, &stream_engine::wake_consumer);
    } else if (bits & consumer_roused && (!launches_ || clock::now() - at.yielded > yield_interval)) {
        // Woken is not running: all cores are busy, and the scheduler preempts nobody for it. Let it have this one.
        make_way(at, &stream_engine::yield);
        if (launches_) at.yielded = clock::now();
    }
    if (more || bits & puller_idle) call_for_help(bits, at.approx_unstarted());
}

/// What others have of this thread's time says nothing about its tasks.
void stream_engine::make_way(pump& at, void (stream_engine::*act)()) noexcept {
    const auto begin = clock::now();
    (this->*act)();
    at.attending += clock::now() - begin;
}

/// Hands the pump's outbox over to the completion queue.
void stream_engine::publish(pump& at) noexcept {
    const auto [from, to] = at.claim_outbox();
    if (from == to) return;
    if (!in_order_) queue_.push(at.number, at.items.data() + from, to - from);
    at.pushed.store(at.pushed.load(std::memory_order_relaxed) + (to - from), std::memory_order_release);
    const std::size_t published = published_.fetch_add(to - from) + (to - from);
    const std::uint32_t bits = attention_.load();              // O2, with sleep() and doze()
    const bool awaited = bits & consumer_waits && !in_order_;  // in submission order attend() knows better
    if (!awaited && !(bits & consumer_dozes && published >= doze_target_.load())) return;
    make_way(at, &stream_engine::wake_consumer);
}

}  // namespace penstock::inline v0::detail
