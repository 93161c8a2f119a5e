// SPDX-License-Identifier: MIT
/// The part of stream_engine that runs for every task, in line: included by stream_engine.hpp.
#pragma once

#include <cstddef>

#include <penstock/detail/record.hpp>

#include "gate_side.hpp"
#include "pump.hpp"
#include "stream_engine.hpp"

namespace penstock::inline v0::detail {

inline bool stream_engine::short_tasks() const noexcept {
    return trust_.load(std::memory_order_relaxed) >= trust_to_help;
}

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

/// Every pulled task has been taken or dropped. I5: pulled_ is raised before dropped_ for a task that a stop cut off,
/// and read after it here: the sum is never reached too early.
inline bool stream_engine::all_accounted() const noexcept {
    const std::size_t accounted = taken_.load(std::memory_order_relaxed) + dropped_late_.load() + dropped_.load();
    return pulled_.load() == accounted;
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

}  // namespace penstock::inline v0::detail
