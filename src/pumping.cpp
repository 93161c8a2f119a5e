// SPDX-License-Identifier: MIT
/// What a pump does: take the producer's turn, pull a batch, run it, publish it. README.md has the protocol.
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

bool stream_engine::fill(pump& at) noexcept {
    if (gate_) return fill_through_gate(at);
    if (retry_ && resume(at)) return true;
    if (pulls_elsewhere_) return fill_from_arrived(at);
    bool begun = false;
    return pull_some(batch_of(at), [&](record& pulled) {
               if (!std::exchange(begun, true)) at.clear();
               at.append(pulled);
           }) > 0;
}

/// Takes the producer's turn if it is free, and pulls. Whoever has the turn pulls; nobody waits for it. Returns how many
/// it were.
template <class Put>
std::size_t stream_engine::pull_some(std::size_t wanted, Put put) noexcept {
    if (fed_ && fed_->size() == 0) return 0;
    if (!open() || turn_.load(std::memory_order_relaxed) || turn_.exchange(true)) return 0;
    if (deadline_ && clock::now() >= *deadline_) expire();
    std::size_t count = 0;
    if (open()) {
        if (fed_) wanted = std::min(wanted, fed_->size());
        if (gate_ && arrived_.unsettled() > 0) wanted = 0;  // nothing passes it, and one waits at most
        const std::size_t most = std::min(wanted, room(wanted));
        while (count < most) {
            record* pulled = pull_record();
            if (!pulled) break;
            put(*pulled);
            ++count;
            // C12: the next pull may block. What has been pulled must not wait for it while somebody could run it.
            if (attention_.load() & (places_idle | consumer_helps)) break;  // O2, with retire() and sleep()
        }
    }
    turn_.store(false);
    const std::uint32_t bits = attention_.load();
    call_for_help(bits, 0);  // O2, with retire() and sleep(), who found the turn taken
    if (fed_) {
        end_drained_feed();
        if (bits & (consumer_waits | consumer_dozes) && at_end_visible()) wake_consumer();
    }
    return count;
}

/// What is pulled waits in arrived_ until the gate lets it in: one, where that is not known to have room for more.
bool stream_engine::fill_through_gate(pump& at) noexcept {
    if (!pulls_elsewhere_ && arrived_.unsettled() == 0) {
        const std::size_t wanted = std::min(batch_of(at), gate_->gate->batch());
        const std::size_t pulled = pull_some(wanted, [&](record& each) { arrived_.append(each); });
        if (pulled > 0 && attention_.load() & (stopping | failing)) wake_consumer();  // I5: it must look here again
    }
    return admit(at);
}

/// How many tasks the pump should take at once.
std::size_t stream_engine::batch_of(const pump& at) const noexcept {
    // C12: what is launched is launched before the next is pulled.
    if (launches_) return 1;
    if (gate_ && source_.weighs) return 1;
    // The consumer that runs tiny tasks alone need not leave as much to others.
    const bool alone = at.number == max_pumps_ && tiny_to_run_;
    return std::min<std::size_t>(at.batch, alone ? std::max<std::size_t>(1, admission_.limit() / 2) : fair_share_);
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

/// Holding the turn. Reserve, then pull: the caller has asked room(). Null if that gave nothing to be run.
record* stream_engine::pull_record() noexcept {
    if (!open()) return nullptr;
    if (timeouts_ && !keep_spares()) return nullptr;
    if (retry_ && (any_due() || !retry_->reserve())) return nullptr;
    record* pulled = vacant_record();
    if (!pulled) {
        if (retry_) retry_->give_up_reserved();
        return nullptr;
    }
    try {
        if (!source_.pull(*pulled)) {
            leave_unused(*pulled);
            // One that was told to stop, and heeds that, has not come to its end: that it gives no more says nothing.
            if (!(source_.pull_heeds_stop && attention_.load() & (stopping | failing))) end_source(nullptr);
            return nullptr;
        }
    } catch (...) {
        leave_unused(*pulled);
        end_source(std::current_exception());
        return nullptr;
    }
    const std::size_t index = pulled_.load(std::memory_order_relaxed);
    pulled->index = index;
    pulled->late = pulled->told = pulled->permitted = pulled->borrowed = pulled->retried = pulled->again = false;
    pulled->link.store(nullptr, std::memory_order_relaxed);
    pulled->state.store(stage::admitted, std::memory_order_release);                                   // O1
    if (in_order_) std::exchange(order_last_, pulled)->link.store(pulled, std::memory_order_release);  // O5
    if (attention_.load() & (stopping | failing)) {
        // A stop came while the producer was being asked: what it gave is pulled and dropped, in one step.
        pulled_.store(index + 1);  // I5: before dropped_
        drop(*pulled, !retry_ || retry_->keep_reserved());
        return nullptr;
    }
    pulled_.store(index + 1, std::memory_order_release);  // I5: counted before anybody can run it
    if (retry_ && !keep_pulled(*pulled)) return nullptr;
    return pulled;
}

/// Holding the turn: there was no item for the record.
void stream_engine::leave_unused(record& vacant) noexcept {
    records_.put_back(vacant);
    if (retry_) retry_->give_up_reserved();
}

/// Holding the turn. Null without memory, if the next record to come back will do instead.
record* stream_engine::vacant_record() noexcept {
    if (record* used_before = records_.take()) return used_before;
    try {
        return source_.make_record();
    } catch (...) {
        if (all_accounted()) end_source(std::current_exception());
        return nullptr;
    }
}

void stream_engine::end_source(std::exception_ptr error) noexcept {
    producer_threw_.store(error != nullptr);
    producer_error_ = std::move(error);
    source_ended_.store(true);                                                   // O4
    if (attention_.load() & (consumer_waits | consumer_dozes)) wake_consumer();  // O2, with sleep() and doze()
}

/// Holding the turn.
std::size_t stream_engine::room(std::size_t wanted) noexcept {
    if (retry_) return approx_room();  // exact with the turn, but for the slot, which is to be taken
    const std::size_t pulled = pulled_.load(std::memory_order_relaxed);
    // Summing up what ended takes a cache line from every pump: only when what is known does not do.
    if (admission_.limit_room(pulled, ended_seen_) < wanted) ended_seen_ = ended_total();
    return admission_.room(pulled, ended_seen_, taken_.load(std::memory_order_acquire));
}

std::size_t stream_engine::approx_room() const noexcept {
    if (retry_) {
        const std::size_t pulled = pulled_.load(std::memory_order_relaxed);
        return std::min(retry_->free_slots(), admission_.window_room(pulled, taken_.load()));
    }
    return admission_.room(pulled_.load(std::memory_order_relaxed), ended_total(), taken_.load());
}

std::size_t stream_engine::ended_total() const noexcept {
    std::size_t total = ended_elsewhere_.load();
    for (const auto& slot : pumps_) {
        if (const pump* other = slot.load(std::memory_order_acquire))
            total += other->ended.load(std::memory_order_acquire);
    }
    return total;
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
