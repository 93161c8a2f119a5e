// SPDX-License-Identifier: MIT
/// The part of stream_engine that runs for every task, in line: included by stream_engine.hpp.
#pragma once

#include <cstddef>

#include <penstock/detail/record.hpp>

#include "gate_side.hpp"
#include "pump.hpp"
#include "stream_engine.hpp"

namespace penstock::inline v0::detail {

inline bool stream_engine::open() const noexcept {
    return !source_ended_.load(std::memory_order_acquire) && !(attention_.load() & (stopping | failing));
}

/// Whether a pump would find something to take or to pull, if nobody has the turn. May be stale.
inline bool stream_engine::pullable() const noexcept {
    if (retry_) {
        if (resumable()) return true;
        if (any_due() && arrived_.size() == 0) return false;
    }
    if (pulls_elsewhere_ || arrived_.size() > 0)
        return arrived_.size() > 0 && !(gate_ && (gate_->waits.load() || ending()));
    if (gate_ && arrived_.unsettled() > 0) return false;  // in somebody's hands, who will look
    return open() && !(fed_ && fed_->size() == 0) && approx_room() > 0;
}

/// Whether tasks are due to be run again, nothing being pulled before them.
inline bool stream_engine::any_due() const noexcept { return retry_->any_due() || (gate_ && gate_->again.load()); }

/// And whether a pump could take one. May be stale.
inline bool stream_engine::resumable() const noexcept {
    if (gate_ && gate_->waits.load()) return false;
    return (gate_ && gate_->again.load()) || (retry_->any_due() && retry_->has_slot_for_due());
}

/// Holding the turn. Null without memory, if the next record to come back will do instead.
inline record* stream_engine::vacant_record(bool by_consumer) noexcept {
    record* const used_before = by_consumer ? records_.take_back() : records_.take();
    return used_before ? used_before : new_record();
}

/// A task that has run where it was started has its outcome.
template <bool Apart>
inline void stream_engine::end_here(pump& at, record& task) noexcept {
    if (task.outcome != outcome::value) [[unlikely]]
        settle_error(task);
    // Before anybody can take the result: nothing is taken that has not ended.
    at.ended.store(at.ended.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    if constexpr (Apart) at.owes_loan = return_permit(task);
    // What finishes after a failure that ends the stream is not delivered (C5); in submission order its place decides.
    if (attention_.load() & failing && !in_order_ && first_failed_.load() != &task) [[unlikely]]
        task.late = true;
    task.state.store(stage::finished, std::memory_order_release);  // O1
}

/// Runs an admitted task, or drops it.
inline void stream_engine::start(pump& at, record& task) noexcept {
    if (attention_.load() & (stopping | failing) && !may_start(task)) [[unlikely]]
        return drop(task);
    task.state.load(std::memory_order_acquire);  // O1
    task.state.store(stage::running, std::memory_order_relaxed);
    if (apart_) [[unlikely]]
        return start_apart(at, task);
    source_.run(task);
    end_here<false>(at, task);
}

/// Between the end of a task of the consumer's own and its look at attention_. In completion order the next section will do:
/// what may have been overlooked is room, and for that taken() looks again.
inline void stream_engine::order_end_of_own() noexcept {
    if (own_->lock.is_biased()) {
        sync::light_fence();  // O7
    } else if (in_order_) {
        own_->has_unstarted();  // O2
    }
}

inline record* stream_engine::next(const wait_until& wait) {
    if (own_run_left_ > 0 && wait.may_help) {
        record* const found = own_run_is_tiny_ ? run_tiny_task() : lends() ? nullptr : run_own_task();
        if (found) return found;
    }
    return next_of_all(wait);
}

inline void stream_engine::taken(record& done) noexcept {
    vacate(done);
    const std::size_t taken = taken_.load(std::memory_order_relaxed) + 1;
    if (own_ && own_->lock.is_biased()) {
        taken_.store(taken, std::memory_order_release);
        sync::light_fence();  // O7
    } else {
        taken_.store(taken);
    }
    if (attention_.load() & (places_idle | puller_idle)) [[unlikely]]
        kick_if_idle();  // O2, with retire(), who found no room
}

inline void stream_engine::vacate(record& done) noexcept {
    if (done.stands_in) [[unlikely]] {
        done.stands_in = false;
        give_back(done);
    } else if (!in_order_) {
        give_back(done);
    }
}

inline void stream_engine::give_back(record& vacant) noexcept {
    vacant.state.store(stage::vacant, std::memory_order_relaxed);
    records_.give(vacant);
}

}  // namespace penstock::inline v0::detail
